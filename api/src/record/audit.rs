//! The audit log of the caller's org and of the server.

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

/// The default period of the activity, in days.
const DEFAULT_DAYS: i64 = 30;

/// The group of operations named `audit`.
pub(crate) const GROUP: Group =
    Group::new("audit", "The audit log: actor, time, origin and outcome of each action");

/// The routes of the audit log.
pub fn routes(audits: Arc<Audits>) -> Routes {
    let org = &AuditState { audits: audits.clone(), is_server: false };
    let server = &AuditState { audits, is_server: true };
    Routes::of(&GROUP)
        .add(
            events(get("/api/audit/events", "getAuditEvents", "List the audit log of the org"))
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
            event(get("/api/audit/events/{event_id}", "getAuditEvent", "Read an audit event of the org"))
                .to(org, get_audit_event),
        )
        .add(
            activity(get(
                "/api/audit/activity",
                "getAuditActivity",
                "Count the audit events of the org over time",
            ))
            .to(org, get_audit_activity),
        )
        .add(
            events(get(
                "/api/admin/audit/events",
                "getServerAuditEvents",
                "List the audit log of the server: events that belong to no org",
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
                "Read an audit event of the server",
            ))
            .to(server, get_audit_event),
        )
        .add(
            activity(get(
                "/api/admin/audit/activity",
                "getServerAuditActivity",
                "Count the audit events of the server over time",
            ))
            .to(server, get_audit_activity),
        )
}

const OUTCOMES: &[&str] = &["success", "denied", "failure"];

/// The filter of lists, exports and counts.
fn filtered(route: Route) -> Route {
    route
        .query("actor", many(text()), "The actor: a login, an id, or a login prefix followed by `*`")
        .query("action", many(text()), "The action, like `dashboard.updated` or `dashboard.*`")
        .query("targetType", text(), "The type of the target, like `dashboard`")
        .query("targetUid", text(), "The uid or id of the target")
        .query("outcome", one_of(OUTCOMES), "The outcome")
        .query("from", text(), "The earliest time: RFC 3339, or milliseconds or seconds since 1970")
        .query("to", text(), "The latest time: RFC 3339, or milliseconds or seconds since 1970")
        .query("traceId", text(), "The trace id of the request")
        .query("excludeActor", many(text()), "Actors to exclude, in the form of `actor`")
        .query("excludeAction", many(text()), "Actions to exclude, in the form of `action`")
        .query("excludeOutcome", many(one_of(OUTCOMES)), "Outcomes to exclude")
        .query("excludeTargetType", many(text()), "Target types to exclude")
        .fails(&[400])
}

fn listed(route: Route) -> Route {
    filtered(route).query("order", one_of(&["newest", "oldest"]), "The sort order").query(
        "cursor",
        text(),
        "The cursor: `next` or `previous` of another page",
    )
}

fn events(route: Route) -> Route {
    listed(route).limit("limit", DEFAULT_PAGE).query(
        "changes",
        flag(),
        "Include the changes of each event; a page then has at most 100",
    )
}

fn export_of(route: Route) -> Route {
    listed(route)
        .query("format", one_of(&["ndjson", "csv"]), "The format, one event a line")
        .query("changes", flag(), "Include the changes of each event; in `csv` as a summary in words")
        .answers_text(200, "The events", "application/x-ndjson")
        .answers_text(200, "The events", "text/csv")
}

fn event(route: Route) -> Route {
    route.answers::<entry::EntryBody<'static>>(200, "The event").fails(&[400, 404])
}

fn activity(route: Route) -> Route {
    filtered(route)
        .details("Without `from`, the period is the last `days` before `to`, or before now. At most 400 buckets are returned.")
        .query("days", number(1), "The length of the period without `from`, in days")
        .query("interval", one_of(&["hour", "day"]), "The length of a bucket; days are UTC")
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
