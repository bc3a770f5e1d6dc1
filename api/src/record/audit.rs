//! The audit log, of the caller's org and of what belongs to no org.

mod csv;
mod entry;
mod export;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use kymograph_app::record::audit::{AuditQuery, Audits, DEFAULT_PAGE, Excluded, Interval};
use kymograph_app::{Error, Result, Scope};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{flag, many, number, one_of, text};
use crate::kernel::query::{Path, Query, parse_id};
use crate::kernel::routes::{Group, Route, Routes, get};
use export::Format;

/// How many days the activity shows if the client does not say.
const DEFAULT_DAYS: i64 = 30;

/// The group of operations named `audit`.
pub(crate) const GROUP: Group = Group::new("audit", "Who did what, when, from where, and with what outcome");

/// The routes of the audit log.
pub fn routes(audits: Arc<Audits>) -> Routes {
    let org = &AuditState { audits: audits.clone(), is_server: false };
    let server = &AuditState { audits, is_server: true };
    Routes::of(&GROUP)
        .add(
            events(get(
                "/api/audit/events",
                "getAuditEvents",
                "List what was done in the org, by whom, and with what outcome",
            ))
            .to(org, get_audit_events),
        )
        .add(
            export_of(get(
                "/api/audit/events/export",
                "exportAuditEvents",
                "Export the audit log of the org",
            ))
            .to(org, export_audit_events),
        )
        .add(
            event(get(
                "/api/audit/events/{event_id}",
                "getAuditEvent",
                "Read an entry of the audit log of the org",
            ))
            .to(org, get_audit_event),
        )
        .add(
            activity(get(
                "/api/audit/activity",
                "getAuditActivity",
                "Count what was done in the org over time",
            ))
            .to(org, get_audit_activity),
        )
        .add(
            events(get(
                "/api/admin/audit/events",
                "getServerAuditEvents",
                "List what was done that belongs to no org",
            ))
            .to(server, get_audit_events),
        )
        .add(
            export_of(get(
                "/api/admin/audit/events/export",
                "exportServerAuditEvents",
                "Export the audit log of the server",
            ))
            .to(server, export_audit_events),
        )
        .add(
            event(get(
                "/api/admin/audit/events/{event_id}",
                "getServerAuditEvent",
                "Read an entry of the audit log of the server",
            ))
            .to(server, get_audit_event),
        )
        .add(
            activity(get(
                "/api/admin/audit/activity",
                "getServerAuditActivity",
                "Count what was done on the server over time",
            ))
            .to(server, get_audit_activity),
        )
}

const OUTCOMES: &[&str] = &["success", "denied", "failure"];

/// What lists, exports and counts are filtered by.
fn filtered(route: Route) -> Route {
    route
        .query("actor", many(text()), "Who did it: a login, an id, or the beginning of a login with `*`")
        .query("action", many(text()), "What was done, like `dashboard.updated` or `dashboard.*`")
        .query("targetType", text(), "The type of what it was done to, like `dashboard`")
        .query("targetUid", text(), "The uid or id of what it was done to")
        .query("outcome", one_of(OUTCOMES), "What came of it")
        .query("from", text(), "Not before this time, in RFC 3339, milliseconds or seconds")
        .query("to", text(), "Not after this time, in RFC 3339, milliseconds or seconds")
        .query("traceId", text(), "The trace that the request belonged to")
        .query("excludeActor", many(text()), "Who did not do it, in the same words")
        .query("excludeAction", many(text()), "What it was not, in the same words")
        .query("excludeOutcome", many(one_of(OUTCOMES)), "What did not come of it")
        .query("excludeTargetType", many(text()), "The types of what it was not done to")
        .fails(&[400])
}

fn listed(route: Route) -> Route {
    filtered(route).query("order", one_of(&["newest", "oldest"]), "What comes first").query(
        "cursor",
        text(),
        "`next` or `previous` of a page",
    )
}

fn events(route: Route) -> Route {
    listed(route).limit("limit", DEFAULT_PAGE).query(
        "changes",
        flag(),
        "Whether each entry says what it changed, of which there are at most 100 then",
    )
}

fn export_of(route: Route) -> Route {
    listed(route)
        .query("format", one_of(&["ndjson", "csv"]), "How entries are written, one a line")
        .query("changes", flag(), "Whether each entry says what it changed, in `csv` in words")
        .answers_text(200, "The entries", "application/x-ndjson")
        .answers_text(200, "The entries", "text/csv")
}

fn event(route: Route) -> Route {
    route.answers::<entry::EntryBody<'static>>(200, "The entry").fails(&[400, 404])
}

fn activity(route: Route) -> Route {
    filtered(route)
        .details("Without `from` it counts so many `days` up to `to`, or up to now. There are at most 400 buckets.")
        .query("days", number(1), "How many days, where `from` does not say it")
        .query("interval", one_of(&["hour", "day"]), "How long each bucket is; days are those of UTC")
}

/// The audit log of the caller's org, or of the server.
#[derive(Clone)]
struct AuditState {
    audits: Arc<Audits>,
    is_server: bool,
}

impl AuditState {
    fn scope(&self, caller: Scope) -> Result<Scope> {
        if self.is_server { Audits::server_scope(&caller) } else { Ok(caller) }
    }
}

#[derive(Serialize, ToSchema)]
struct EventsBody {
    #[schema(value_type = Vec<entry::EntryBody<'static>>)]
    events: Vec<Box<RawValue>>,
    #[schema(required)]
    next: Option<String>,
    #[schema(required)]
    previous: Option<String>,
}

fn audit_query(query: &Query) -> AuditQuery {
    let text = |name| query.text(name).map(str::to_owned);
    AuditQuery {
        actors: query.texts("actor"),
        actions: query.texts("action"),
        target_type: text("targetType"),
        target_uid: text("targetUid"),
        outcome: text("outcome"),
        from: text("from"),
        to: text("to"),
        trace_id: text("traceId"),
        order: text("order"),
        limit: query.number("limit"),
        cursor: text("cursor").filter(|cursor| !cursor.is_empty()),
        with_changes: query.flag("changes"),
        excluded: Excluded {
            actors: query.texts("excludeActor"),
            actions: query.texts("excludeAction"),
            outcomes: query.texts("excludeOutcome"),
            target_types: query.texts("excludeTargetType"),
        },
    }
}

async fn get_audit_events(
    State(state): State<AuditState>,
    Caller(caller): Caller,
    query: Query,
) -> ApiResult<Json<EventsBody>> {
    let scope = state.scope(caller)?;
    let mut events = Vec::new();
    let mut failed = None;
    let links = state
        .audits
        .list_events(&scope, &audit_query(&query), &mut |record| match entry::raw(record) {
            Ok(event) => events.push(event),
            Err(error) => failed = Some(error),
        })
        .await?;
    match failed {
        None => Ok(Json(EventsBody { events, next: links.next, previous: links.previous })),
        Some(error) => Err(Error::internal(error).into()),
    }
}

async fn get_audit_event(
    State(state): State<AuditState>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let scope = state.scope(caller)?;
    let mut event = None;
    let id = parse_id("id", &id)?;
    state.audits.get_event(&scope, id, &mut |record| event = Some(entry::raw(record))).await?;
    let event = event.ok_or_else(|| Error::internal("an audit event was found and not handed out"))?;
    Ok(Json(event.map_err(Error::internal)?).into_response())
}

async fn export_audit_events(
    State(state): State<AuditState>,
    Caller(caller): Caller,
    query: Query,
) -> ApiResult<Response> {
    let scope = state.scope(caller)?;
    let filter = audit_query(&query);
    let format = Format::try_parse(query.text("format").unwrap_or_default(), filter.with_changes)?;
    let export = state.audits.export(&scope, &filter).await?;
    Ok(export::response(export, format))
}

#[derive(Serialize, ToSchema)]
struct ActivityBody {
    buckets: Vec<BucketBody>,
}

#[derive(Serialize, ToSchema)]
struct BucketBody {
    from: String,
    success: i64,
    denied: i64,
    failure: i64,
}

async fn get_audit_activity(
    State(state): State<AuditState>,
    Caller(caller): Caller,
    query: Query,
) -> ApiResult<Json<ActivityBody>> {
    let scope = state.scope(caller)?;
    let interval = Interval::try_parse(query.text("interval").unwrap_or_default())?;
    let days = query.number("days").filter(|days| *days > 0).unwrap_or(DEFAULT_DAYS);
    let activity = state.audits.count_activity(&scope, &audit_query(&query), days, interval).await?;
    let buckets = activity.buckets.into_iter().map(|bucket| BucketBody {
        from: bucket.from.rfc3339(),
        success: bucket.success,
        denied: bucket.denied,
        failure: bucket.failure,
    });
    Ok(Json(ActivityBody { buckets: buckets.collect() }))
}
