//! Undoing a request, and its preview.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::record::audit::Audits;
use kymograph_app::record::undo::{LaterChange, UndoPlan, UndoStep, Undos, Window};
use kymograph_app::{Result, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::body::JsonBody;
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{Kind, number};
use crate::kernel::query::{Path, Query, parse_id};
use crate::kernel::routes::{Route, Routes, get, post};
use crate::record::audit::GROUP;

/// The routes of undo in the log of the org, and in that of the server.
pub fn routes(undos: &Arc<Undos>) -> Routes {
    let org = &UndoState { undos: undos.clone(), is_server: false };
    let server = &UndoState { undos: undos.clone(), is_server: true };
    Routes::of(&GROUP)
        .add(
            preview(get(
                "/api/audit/events/{event_id}/undo",
                "previewUndo",
                "Preview undoing the request of an audit event",
            ))
            .to(org, preview_undo),
        )
        .add(
            undo(post(
                "/api/audit/events/{event_id}/undo",
                "undoRequest",
                "Undo the request of an audit event",
            ))
            .to(org, undo_request),
        )
        .add(
            preview(get(
                "/api/admin/audit/events/{event_id}/undo",
                "previewServerUndo",
                "Preview undoing the request of an audit event of the server",
            ))
            .to(server, preview_undo),
        )
        .add(
            undo(post(
                "/api/admin/audit/events/{event_id}/undo",
                "undoServerRequest",
                "Undo the request of an audit event of the server",
            ))
            .to(server, undo_request),
        )
}

fn preview(route: Route) -> Route {
    route
        .details(
            "What the request did are the events with its correlation id and its actor. Rules that only the commit can \
             check, such as unique names and quotas, are not part of the preview.",
        )
        .fails(&[400, 404, 413])
        .query("from", position(), FROM)
        .query("to", position(), TO)
}

const FROM: &str = "Keep the effects of the request before this log position";
const TO: &str = "Keep the effects of the request after this log position";

fn position() -> Kind {
    number(0)
}

fn undo(route: Route) -> Route {
    route
        .details(
            "All of it is one unit of work: either everything that the preview says is done, or nothing.",
        )
        .fails(&[400, 404, 409, 412, 413])
        .query("from", position(), FROM)
        .query("to", position(), TO)
}

#[derive(Clone)]
struct UndoState {
    undos: Arc<Undos>,
    is_server: bool,
}

impl UndoState {
    fn scope(&self, caller: Scope) -> Result<Scope> {
        if self.is_server { Audits::server_scope(&caller) } else { Ok(caller) }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UndoPlanBody {
    correlation_id: String,
    /// The effect on each object, in order; at most 200 are listed.
    steps: Vec<UndoStepBody>,
    /// The number of objects.
    count: usize,
    /// The number of objects that change.
    changed: usize,
    /// Whether the undo would be refused.
    refused: bool,
    /// The precondition for the undo: it fails if an object has changed since.
    seen: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UndoStepBody {
    /// The type of the object.
    r#type: String,
    /// The uid or id of the object.
    uid: String,
    /// The name, empty if it has none.
    name: String,
    /// `restore`, `revert`, `end`, `revoke`, `nothing`, `impossible` or `refused`.
    effect: &'static str,
    /// The summary in words.
    text: String,
    /// The number of later changes that are lost.
    later_count: i64,
    /// The newest of the later changes.
    later: Vec<LaterChangeBody>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LaterChangeBody {
    /// The log position, which is the id of the audit event.
    position: i64,
    action: String,
    #[schema(format = DateTime)]
    recorded_at: String,
    actor_id: i64,
    actor_login: String,
}

impl From<LaterChange> for LaterChangeBody {
    fn from(change: LaterChange) -> Self {
        Self {
            position: change.position,
            action: change.action,
            recorded_at: change.recorded_at.rfc3339_micros(),
            actor_id: change.actor_id.0,
            actor_login: change.actor_login,
        }
    }
}

impl From<UndoStep> for UndoStepBody {
    fn from(step: UndoStep) -> Self {
        Self {
            effect: step.fate.name(),
            text: step.text(),
            r#type: step.noun,
            uid: step.key,
            name: step.name,
            later_count: step.later.count,
            later: step.later.newest.into_iter().map(LaterChangeBody::from).collect(),
        }
    }
}

/// The requested part of the log. An invalid number must not stand for the whole.
fn window(query: &Query) -> ApiResult<Window> {
    let position = |name| query.text(name).map(|text| parse_id(name, text)).transpose();
    let whole = Window::default();
    let (from, to) = (position("from")?, position("to")?);
    Ok(Window { from: from.unwrap_or(whole.from), to: to.unwrap_or(whole.to) })
}

async fn preview_undo(
    State(state): State<UndoState>,
    Caller(caller): Caller,
    Path(event_id): Path<String>,
    query: Query,
) -> ApiResult<Json<UndoPlanBody>> {
    let scope = state.scope(caller)?;
    let entry = parse_id("event_id", &event_id)?;
    let plan = state.undos.preview(&scope, entry, window(&query)?).await?;
    let refused = plan.is_refused();
    let UndoPlan { correlation_id, steps, count, changed, seen, .. } = plan;
    let steps = steps.into_iter().map(UndoStepBody::from).collect();
    Ok(Json(UndoPlanBody { correlation_id, steps, count, changed, refused, seen }))
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct UndoForm {
    /// `seen` of the preview, as a precondition.
    seen: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct UndoneBody {
    message: String,
    /// The number of changed objects.
    changed: usize,
}

async fn undo_request(
    State(state): State<UndoState>,
    Caller(caller): Caller,
    Path(event_id): Path<String>,
    query: Query,
    JsonBody(form): JsonBody<UndoForm>,
) -> ApiResult<Json<UndoneBody>> {
    let scope = state.scope(caller)?;
    let entry = parse_id("event_id", &event_id)?;
    let UndoPlan { changed, .. } =
        state.undos.undo(&scope, entry, window(&query)?, form.seen.as_deref()).await?;
    let message = match changed {
        0 => "Nothing to undo".to_owned(),
        1 => "Undone: 1 object changed".to_owned(),
        _ => format!("Undone: {changed} objects changed"),
    };
    Ok(Json(UndoneBody { message, changed }))
}
