//! The audit log, of the caller's org and of what belongs to no org.

mod csv;
mod entry;
mod export;

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Response;
use kymograph_app::audit::{AuditQuery, Audits, Interval};
use kymograph_app::{Error, Result, Scope};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::ApiResult;
use crate::layer::Caller;
use crate::query::{Query, parse_id};
use crate::routes::Routes;
use export::Format;

/// How many days the activity shows if the client does not say.
const DEFAULT_DAYS: i64 = 30;

/// The routes of the audit log.
pub fn routes(audits: Arc<Audits>) -> Routes {
    let org = &AuditState { audits: audits.clone(), is_server: false };
    let server = &AuditState { audits, is_server: true };
    Routes::default()
        .private(Method::GET, "/api/audit/events", org, get_audit_events)
        .private(Method::GET, "/api/audit/events/export", org, export_audit_events)
        .private(Method::GET, "/api/audit/events/{event_id}", org, get_audit_event)
        .private(Method::GET, "/api/audit/activity", org, get_audit_activity)
        .private(Method::GET, "/api/admin/audit/events", server, get_audit_events)
        .private(Method::GET, "/api/admin/audit/events/export", server, export_audit_events)
        .private(Method::GET, "/api/admin/audit/events/{event_id}", server, get_audit_event)
        .private(Method::GET, "/api/admin/audit/activity", server, get_audit_activity)
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

#[derive(Serialize)]
struct EventsBody {
    events: Vec<Box<RawValue>>,
    next: Option<String>,
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
) -> ApiResult<Json<Box<RawValue>>> {
    let scope = state.scope(caller)?;
    let mut event = None;
    let id = parse_id("id", &id)?;
    state.audits.get_event(&scope, id, &mut |record| event = Some(entry::raw(record))).await?;
    let event = event.ok_or_else(|| Error::internal("an audit event was found and not handed out"))?;
    Ok(Json(event.map_err(Error::internal)?))
}

async fn export_audit_events(
    State(state): State<AuditState>,
    Caller(caller): Caller,
    query: Query,
) -> ApiResult<Response> {
    let scope = state.scope(caller)?;
    let format = Format::try_parse(query.text("format").unwrap_or_default())?;
    let export = state.audits.export(&scope, &audit_query(&query)).await?;
    Ok(export::response(export, format))
}

#[derive(Serialize)]
struct ActivityBody {
    buckets: Vec<BucketBody>,
}

#[derive(Serialize)]
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
    let activity = state.audits.count_activity(&scope, days, interval).await?;
    let buckets = activity.buckets.into_iter().map(|bucket| BucketBody {
        from: bucket.from.rfc3339(),
        success: bucket.success,
        denied: bucket.denied,
        failure: bucket.failure,
    });
    Ok(Json(ActivityBody { buckets: buckets.collect() }))
}
