//! An audit event as JSON.

use kymograph_app::record::audit::{AccessDetails, AuditActor, AuditRecord, AuditTarget};
use kymograph_domain::Timestamp;
use kymograph_domain::kernel::json::push_string;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::record::history::ChangeBody;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct EntryBody<'a> {
    id: i64,
    org_id: i64,
    occurred_at: String,
    action: &'a str,
    schema_version: i32,
    outcome: &'static str,
    actor: ActorBody<'a>,
    #[schema(value_type = Vec<TargetBody<'static>>)]
    targets: [TargetBody<'a>; 1],
    context: ContextBody<'a>,
    request_id: &'a str,
    correlation_id: &'a str,
    trace_id: &'a str,
    #[schema(required)]
    token_id: Option<i64>,
    auth_method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    imported: Option<ImportedEventBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<AccessBody<'a>>,
    /// The changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<ChangeBody>>)]
    changes: Option<&'a RawValue>,
    /// Whether `changes` is truncated.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    /// The summary.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<Vec<&'a str>>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ImportedEventBody<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(required = false)]
    occurred_at: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(required = false)]
    actor: &'a str,
}

#[derive(Serialize, ToSchema)]
struct ActorBody<'a> {
    r#type: &'static str,
    id: i64,
    login: &'a str,
}

#[derive(Serialize, ToSchema)]
struct TargetBody<'a> {
    r#type: &'a str,
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ContextBody<'a> {
    ip: &'a str,
    user_agent: &'a str,
}

#[derive(Serialize, ToSchema)]
struct AccessBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl<'a> ActorBody<'a> {
    fn of(actor: &AuditActor<'a>) -> Self {
        Self { r#type: actor.kind, id: actor.id.0, login: actor.login }
    }
}

impl<'a> TargetBody<'a> {
    fn of(target: &AuditTarget<'a>) -> Self {
        let AuditTarget { kind, uid, name, version } = *target;
        Self { r#type: kind, uid, name, version }
    }
}

impl<'a> AccessBody<'a> {
    fn of(access: &'a AccessDetails<'_>) -> Self {
        Self {
            reason: access.reason.as_deref(),
            method: access.method.as_deref().filter(|method| !method.is_empty()),
            route: access.route.as_deref().filter(|route| !route.is_empty()),
            query: access.query.as_deref(),
            count: access.count,
            since: access.since.map(Timestamp::rfc3339_micros),
        }
    }
}

fn body<'a>(record: &'a AuditRecord<'_>) -> EntryBody<'a> {
    EntryBody {
        id: record.id,
        org_id: record.org.0,
        occurred_at: record.occurred_at.rfc3339_micros(),
        action: record.action,
        schema_version: record.schema_version,
        outcome: record.outcome.name(),
        actor: ActorBody::of(&record.actor),
        targets: [TargetBody::of(&record.target)],
        context: ContextBody { ip: &record.ip, user_agent: &record.user_agent },
        request_id: record.request_id,
        correlation_id: record.correlation_id,
        trace_id: record.trace_id,
        token_id: record.token_id,
        auth_method: &record.auth_method,
        imported: record
            .imported
            .as_ref()
            .map(|imported| ImportedEventBody { occurred_at: &imported.occurred_at, actor: &imported.actor }),
        access: record.access.as_ref().map(AccessBody::of),
        changes: record.changes.map(|diff| &*diff.changes),
        truncated: record.changes.map(|diff| diff.is_cut),
        summary: record.changes.map(|diff| diff.summary.iter().map(|part| part.text.as_str()).collect()),
    }
}

/// An event as JSON text.
pub(super) fn raw(record: &AuditRecord<'_>) -> serde_json::Result<Box<RawValue>> {
    serde_json::value::to_raw_value(&body(record))
}

/// Writes an event with its line break.
pub(super) fn write_line(out: &mut Vec<u8>, record: &AuditRecord<'_>) -> serde_json::Result<()> {
    if record.imported.is_none() && record.access.is_none() && record.changes.is_none() {
        write_plain(out, record)?;
    } else {
        serde_json::to_writer(&mut *out, &body(record))?;
    }
    out.push(b'\n');
    Ok(())
}

/// Writes an event without optional members, as most are: a serializer escapes each byte of the names of members, which
/// are longer than the values.
fn write_plain(out: &mut Vec<u8>, record: &AuditRecord<'_>) -> serde_json::Result<()> {
    let (actor, target) = (&record.actor, &record.target);
    number(out, r#"{"id":"#, record.id)?;
    number(out, r#","orgId":"#, record.org.0)?;
    text(out, r#","occurredAt":"#, &record.occurred_at.rfc3339_micros())?;
    text(out, r#","action":"#, record.action)?;
    number(out, r#","schemaVersion":"#, record.schema_version.into())?;
    text(out, r#","outcome":"#, record.outcome.name())?;
    text(out, r#","actor":{"type":"#, actor.kind)?;
    number(out, r#","id":"#, actor.id.0)?;
    text(out, r#","login":"#, actor.login)?;
    text(out, r#"},"targets":[{"type":"#, target.kind)?;
    text(out, r#","uid":"#, target.uid)?;
    if let Some(name) = target.name {
        text(out, r#","name":"#, name)?;
    }
    if let Some(version) = target.version {
        number(out, r#","version":"#, version)?;
    }
    text(out, r#"}],"context":{"ip":"#, &record.ip)?;
    text(out, r#","userAgent":"#, &record.user_agent)?;
    text(out, r#"},"requestId":"#, record.request_id)?;
    text(out, r#","correlationId":"#, record.correlation_id)?;
    text(out, r#","traceId":"#, record.trace_id)?;
    match record.token_id {
        Some(id) => number(out, r#","tokenId":"#, id)?,
        None => out.extend_from_slice(br#","tokenId":null"#),
    }
    text(out, r#","authMethod":"#, &record.auth_method)?;
    out.push(b'}');
    Ok(())
}

fn text(out: &mut Vec<u8>, before: &str, value: &str) -> serde_json::Result<()> {
    out.extend_from_slice(before.as_bytes());
    push_string(out, value)
}

fn number(out: &mut Vec<u8>, before: &str, value: i64) -> serde_json::Result<()> {
    out.extend_from_slice(before.as_bytes());
    serde_json::to_writer(out, &value)
}

#[cfg(test)]
mod tests {
    use kymograph_domain::account::access::Outcome;
    use kymograph_domain::{OrgId, UserId};

    use super::*;

    #[test]
    fn a_plain_entry_is_the_same_with_and_without_a_serializer() {
        let targets = [
            AuditTarget { kind: "dashboard", uid: "a\"b", name: Some("Überlauf \\ \n"), version: Some(3) },
            AuditTarget { kind: "user", uid: "", name: None, version: None },
        ];
        for (target, token_id) in targets.into_iter().zip([Some(-7), None]) {
            let record = AuditRecord {
                id: i64::MAX,
                org: OrgId(2),
                occurred_at: Timestamp(1_730_455_200_003_456),
                action: "dashboard.updated",
                schema_version: 2,
                outcome: Outcome::Success,
                actor: AuditActor { kind: "user", id: UserId(5), login: "ann\t" },
                target,
                ip: "::1".into(),
                user_agent: "<img src=\"x\">".into(),
                request_id: "req-1",
                correlation_id: "",
                trace_id: "0af7651916cd43dd8448eb211c80319c",
                token_id,
                auth_method: "basic".into(),
                imported: None,
                access: None,
                changes: None,
            };
            let mut line = Vec::new();
            write_line(&mut line, &record).unwrap();
            assert_eq!(String::from_utf8(line).unwrap(), format!("{}\n", raw(&record).unwrap()));
        }
    }
}
