//! The statements with which the server saves a dashboard: to be executed, and as a script for pgbench.
//!
//! Their texts are those of the event store and of the projectors themselves, so that a change there also changes the
//! limit that saves are compared with.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::BytesMut;
use kymograph_app::kernel::random::hex;
use kymograph_domain::content::dashboard::{
    Dashboard, DashboardContent, DashboardCreated, DashboardEvent, DashboardUpdated,
};
use kymograph_domain::{CanonicalJson, OrgId, StoredEvent, Stream, Timestamp, Uid, UserId};
use kymograph_infra::event_store::{MOVE_HEAD, Payload, PlacedEvent, StreamAppend, append_statements};
use kymograph_projections::kernel::statement::Param;
use kymograph_projections::{Recorded, Statements, params, projectors};
use serde_json::Value;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::types::{FromSql, IsNull, Type};

use crate::error::Result;

/// The stored content of a saved dashboard: without the members that the server sets.
pub(crate) fn content(dashboard: &Value) -> Result<DashboardContent> {
    let mut document = dashboard.clone();
    let members = document.as_object_mut().ok_or("the dashboard is not an object")?;
    let uid = members.remove("uid").and_then(|uid| Uid::try_new(uid.as_str()?).ok()).ok_or("no uid")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(DashboardContent {
        uid,
        title: text(&document["title"]),
        tags: document["tags"].as_array().map(|tags| tags.iter().map(text).collect()).unwrap_or_default(),
        folder_uid: None,
        message: "measured".to_owned(),
        data: serde_json::from_str::<CanonicalJson>(&document.to_string())?,
    })
}

/// The place of a save in an org's log. Each org has one dashboard here.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The org.
    pub(crate) org: i64,
    /// The position in the log.
    pub(crate) position: i64,
    /// The version of the dashboard, 1 for its creation.
    pub(crate) version: i64,
}

/// Numbers that occur nowhere else in the parameters, and so mark the positions of the numbers of a place.
const MARKED: Place = Place { org: 1_111_111_111, position: 1_222_222_222, version: 1_333_333_333 };

/// The login of the actor.
const LOGIN: &str = "admin";

/// A statement with its parameters.
type Bound = (&'static str, Vec<Param>);

/// The statements of one save, in the order in which the event store sends them.
pub(crate) fn statements(content: &DashboardContent, place: Place) -> Result<Vec<Bound>> {
    let Place { org, position, version } = place;
    let event = if version == 1 {
        DashboardEvent::from(DashboardCreated { id: 1, generation: 1, content: content.clone() })
    } else {
        DashboardEvent::from(DashboardUpdated { generation: 1, version, content: content.clone() })
    };
    let state = serde_json::to_string(&Dashboard {
        uid: content.uid.clone(),
        id: 1,
        title: content.title.clone(),
        folder_uid: None,
        version,
        generation: 1,
        exists: true,
        in_trash: false,
    })?;
    let recorded_at = Timestamp(1_790_000_000_000_000);
    let at = recorded_at.date();
    let payload = Payload::new(event.payload()?);
    let placed = PlacedEvent {
        position,
        recorded_at,
        stored_type: event.stored_type(),
        schema_version: event.schema_version(),
        payload: &payload,
    };
    let append = StreamAppend {
        stream_id: &Dashboard::stream_id(&content.uid),
        stream_type: "dashboard",
        expected_version: version - 1,
        state: &state,
        events: &[placed],
        actor_id: 1,
        actor_login: LOGIN,
        causation_id: "0198c0de-0000-7000-8000-000000000000",
        correlation_id: "0198c0de-0000-7000-8000-000000000000",
        meta: r#"{"auth_method":"session","token_id":"1","ip":"127.0.0.1","user_agent":"","trace_id":""}"#,
        trace_id: "",
    };
    let appended = append_statements(OrgId(org), vec![append], true);
    let mut bound: Vec<Bound> =
        appended.into_iter().map(|statement| (statement.sql, statement.params)).collect();
    let (org_id, actor_id) = (OrgId(org), UserId(1));
    let recorded =
        Recorded { org: org_id, position, recorded_at, actor_id, actor_login: LOGIN, event: &event };
    let mut views = Statements::default();
    for projector in projectors() {
        projector.project(&recorded, &mut views);
    }
    bound.extend(views.into_vec().into_iter().map(|statement| (statement.sql, statement.params)));
    bound.push((MOVE_HEAD, params![org, position, at, position - 1]));
    Ok(bound)
}

/// A script for pgbench.
pub(crate) struct Script {
    /// The text.
    pub(crate) text: String,
    /// The variables that it needs in addition to `base` and `i`.
    pub(crate) variables: BTreeMap<String, String>,
}

/// Turns the statements of a save into a script.
///
/// Like the server, pgbench sends a transaction in one flight, including the document each time. Its advantages: it has
/// no HTTP, no JSON and no decisions to make, a connection for each client, and four orgs that each client does not
/// share (it could not know where the log of a shared one ends), so it never waits for another client's lock on a head.
/// Its disadvantage: its commits are never grouped.
pub(crate) async fn script(client: &Client, content: &DashboardContent) -> Result<Script> {
    let mut variables = BTreeMap::new();
    let mut text = String::from(
        "\\set i :i + 1\n\
         \\set org :base + :client_id * 4 + :i % 4\n\
         \\set position :i / 4 + 2\n\
         \\set before :position - 1\n\
         \\startpipeline\nBEGIN;\nSELECT set_config('app.org_id', :org, true);\n",
    );
    for (sql, params) in statements(content, MARKED)? {
        // PostgreSQL reports the types, which determine the text format of the parameters.
        let types = client.prepare(sql).await?.params().to_vec();
        let mut arguments = Vec::with_capacity(params.len());
        for (param, kind) in params.iter().zip(&types) {
            arguments.push(argument(&text_of(param, kind)?, &mut variables));
        }
        writeln!(text, "{};", substitute(sql, &arguments)?)?;
    }
    text.push_str("COMMIT;\n\\endpipeline\n");
    Ok(Script { text, variables })
}

/// The notation of a parameter in a script.
fn argument(value: &str, variables: &mut BTreeMap<String, String>) -> String {
    let is = |number: i64| value == number.to_string();
    if is(MARKED.org) {
        return ":org".to_owned();
    }
    // There is one dashboard in each org, so versions and positions are equal.
    if is(MARKED.position) || is(MARKED.version) {
        return ":position".to_owned();
    }
    if is(MARKED.position - 1) || is(MARKED.version - 1) {
        return ":before".to_owned();
    }
    // pgbench does not support empty variables.
    if value.is_empty() {
        return "''".to_owned();
    }
    let known = variables.iter().find(|(_, known)| *known == value).map(|(name, _)| name.clone());
    let name = known.unwrap_or_else(|| format!("p{}", variables.len()));
    variables.insert(name.clone(), value.to_owned());
    format!(":{name}")
}

/// Replaces `$1`, `$2` and so on.
fn substitute(sql: &str, arguments: &[String]) -> Result<String> {
    let mut parts = sql.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        // A `$` of a pattern, such as that of the words of titles.
        if digits == 0 {
            text.push('$');
            text.push_str(part);
            continue;
        }
        let number: usize = part[..digits].parse()?;
        let argument = arguments.get(number.wrapping_sub(1)).ok_or("a statement has too few parameters")?;
        text.push_str(argument);
        text.push_str(&part[digits..]);
    }
    Ok(text)
}

/// A parameter in Postgres's text format.
fn text_of(param: &Param, kind: &Type) -> Result<String> {
    let mut raw = BytesMut::new();
    if let IsNull::Yes = param.to_sql_checked(kind, &mut raw)? {
        return Err("a parameter is null, which a variable of pgbench cannot be".into());
    }
    match *kind {
        Type::INT8 => Ok(i64::from_sql(kind, &raw)?.to_string()),
        Type::INT4 => Ok(i32::from_sql(kind, &raw)?.to_string()),
        Type::TEXT => Ok(String::from_sql(kind, &raw)?),
        Type::TIMESTAMPTZ => Ok(Timestamp::from_date(OffsetDateTime::from_sql(kind, &raw)?).rfc3339()),
        Type::BYTEA => Ok(format!("\\x{}", hex(&raw))),
        Type::TEXT_ARRAY => Ok(format!("{{{}}}", Vec::<String>::from_sql(kind, &raw)?.join(","))),
        _ => Err(format!("a parameter is of type {kind}, which this program cannot write as a text").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::dashboard;

    #[test]
    fn parameters_are_replaced_whole() {
        let arguments: Vec<_> = (1..=10).map(|number| format!(":p{number}")).collect();
        assert_eq!(substitute("($1, $10, $1)", &arguments).unwrap(), "(:p1, :p10, :p1)");
        assert!(substitute("$11", &arguments).is_err());
        assert!(substitute("$0", &arguments).is_err());
        assert_eq!(substitute("~ '^a$' AND $1", &arguments).unwrap(), "~ '^a$' AND :p1");
    }

    #[test]
    fn a_save_has_the_statements_of_the_log_and_of_the_views() {
        let content = content(&dashboard("one", 1_000)).unwrap();
        let texts = |version| -> Vec<&str> {
            let place = Place { org: 1, position: 1, version };
            statements(&content, place).unwrap().into_iter().map(|(sql, _)| sql).collect()
        };
        let update = texts(2);
        assert!(update[0].contains("INSERT INTO streams") && update[0].contains("INSERT INTO events"));
        assert!(
            update[1].contains("UPDATE dashboards") && update[1].contains("INSERT INTO dashboard_versions")
        );
        assert_eq!(update[2..], [MOVE_HEAD]);
        assert!(texts(1).iter().any(|sql| sql.contains("INSERT INTO dashboards")));
    }
}
