//! The histories of all nouns. A slice adds its own by one line, see [`history!`](crate::kernel::routes::history).

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::kernel::history::HistoryOf;
use kymograph_app::record::history::{Comparison, DEFAULT_PAGE, Diff, Histories, HistoryEntry};
use kymograph_domain::kernel::past::Sentence;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::kernel::body::JsonBody;
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{flag, number};
use crate::kernel::query::{Path, Query};
use crate::kernel::routes::{Group, HistoryRoutes, Route, Routes};

const GROUP: Group =
    Group::new("history", "The history of an object: its versions, their differences, and restoring them");

/// The routes of the histories of all slices.
pub(super) fn routes(histories: &Arc<Histories>, added: Vec<HistoryRoutes>) -> Routes {
    added.into_iter().fold(Routes::of(&GROUP), |routes, added| {
        let HistoryRoutes { of, list, compare, restore } = added;
        let state = &HistoryState { histories: histories.clone(), of };
        let for_whom = |route: Route| if of.read.is_none() { route.for_everybody() } else { route };
        let list = for_whom(list)
            .limit("limit", DEFAULT_PAGE)
            .query("before", number(1), "The cursor: `next` of the page before")
            .query("changes", flag(), "Include the changes of each entry, of at most 50 entries")
            .fails(&[404]);
        let compare = for_whom(compare)
            .query(
                "from",
                number(0),
                "The version to compare with, by default the one before; 0 is before the object existed",
            )
            .query("to", number(0), "The version to compare, by default the latest")
            .fails(&[400, 404]);
        routes
            .add(list.to(state, get_history))
            .add(compare.to(state, get_history_diff))
            .add(for_whom(restore).fails(&[404, 409]).to(state, restore_history_version))
    })
}

#[derive(Clone)]
struct HistoryState {
    histories: Arc<Histories>,
    of: &'static HistoryOf,
}

/// The path parameter of the object; none if it belongs to the caller.
type Key = Path<HashMap<String, String>>;

fn key(Path(parameters): Key) -> String {
    parameters.into_values().next().unwrap_or_default()
}

#[derive(Serialize, ToSchema)]
struct HistoryBody {
    entries: Vec<HistoryEntryBody>,
    /// The cursor of the next page, for `before`; `null` on the last page.
    #[schema(required)]
    next: Option<i64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HistoryEntryBody {
    /// The version of the object, from 1.
    version: i64,
    /// The log position, which is the id of the audit event.
    position: i64,
    #[schema(format = DateTime)]
    recorded_at: String,
    action: String,
    actor: HistoryActorBody,
    /// The author's message.
    message: String,
    /// Its changes, if they were requested.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = EntryDiffBody)]
    diff: Option<DiffBody>,
}

#[derive(Serialize, ToSchema)]
struct HistoryActorBody {
    /// `user`, `serviceAccount`, `server` or `anonymous`.
    r#type: &'static str,
    id: i64,
    login: String,
}

/// The changes of a history entry, if they were requested.
#[derive(ToSchema)]
#[expect(dead_code, reason = "this describes a comparison that can be left out")]
struct EntryDiffBody {
    changes: Option<Vec<ChangeBody>>,
    truncated: Option<bool>,
    summary: Option<SummaryBody>,
}

/// A change in an object.
#[derive(ToSchema)]
#[expect(dead_code, reason = "changes are written by the comparison; this is for their schema")]
pub(crate) struct ChangeBody {
    /// `add`, `remove`, `replace` or `move`.
    op: &'static str,
    /// The place: a JSON pointer into the new object, or into the old one for a removal.
    path: &'static str,
    /// The former place of a move.
    from: Option<&'static str>,
    /// The old value.
    before: Option<serde_json::Value>,
    /// The new value.
    after: Option<serde_json::Value>,
}

#[derive(Serialize, ToSchema)]
struct DiffBody {
    #[schema(value_type = Vec<ChangeBody>)]
    changes: Box<RawValue>,
    /// Whether `changes` is truncated.
    truncated: bool,
    /// The summary in words.
    summary: SummaryBody,
}

#[derive(Serialize, ToSchema)]
struct SummaryBody {
    /// All sentences, one per line.
    text: String,
    parts: Vec<SentenceBody>,
}

#[derive(Serialize, ToSchema)]
struct SentenceBody {
    /// The kind of the part, like `panel`.
    subject: &'static str,
    /// The id of the panel.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i64>,
    /// The title of the panel, or the name of the part.
    title: String,
    /// The kinds of its changes.
    changed: Vec<String>,
    text: String,
}

impl From<Diff> for DiffBody {
    fn from(diff: Diff) -> Self {
        let texts: Vec<_> = diff.summary.iter().map(|part| part.text.as_str()).collect();
        let text = texts.join("\n");
        let part = |Sentence { subject, id, title, changed, text }| SentenceBody {
            subject,
            id,
            title,
            changed,
            text,
        };
        let parts = diff.summary.into_iter().map(part).collect();
        Self { changes: diff.changes, truncated: diff.is_cut, summary: SummaryBody { text, parts } }
    }
}

impl From<HistoryEntry> for HistoryEntryBody {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            version: entry.version,
            position: entry.position,
            recorded_at: entry.recorded_at.rfc3339_micros(),
            action: entry.action,
            actor: HistoryActorBody {
                r#type: entry.actor_kind,
                id: entry.actor_id.0,
                login: entry.actor_login,
            },
            message: entry.message,
            diff: entry.diff.map(DiffBody::from),
        }
    }
}

async fn get_history(
    State(state): State<HistoryState>,
    Caller(scope): Caller,
    path: Key,
    query: Query,
) -> ApiResult<Json<HistoryBody>> {
    let (before, limit) = (query.number("before"), query.number("limit"));
    let (entries, next) = state
        .histories
        .list_history(&scope, state.of, &key(path), before, limit, query.flag("changes"))
        .await?;
    Ok(Json(HistoryBody { entries: entries.into_iter().map(HistoryEntryBody::from).collect(), next }))
}

#[derive(Serialize, ToSchema)]
struct ComparisonBody {
    /// The entry of the base version; `null` before the first.
    #[schema(required)]
    from: Option<HistoryEntryBody>,
    /// The entry of the compared version.
    #[schema(required)]
    to: Option<HistoryEntryBody>,
    #[serde(flatten)]
    diff: DiffBody,
}

async fn get_history_diff(
    State(state): State<HistoryState>,
    Caller(scope): Caller,
    path: Key,
    query: Query,
) -> ApiResult<Json<ComparisonBody>> {
    let version = |name: &str| match query.text(name).filter(|text| !text.is_empty()) {
        Some(text) => {
            let number = text.parse().ok().filter(|number: &i64| *number >= 0);
            number.map(Some).ok_or_else(|| ApiError::invalid_parameter(name))
        }
        None => Ok(None),
    };
    let (from, to) = (version("from")?, version("to")?);
    let Comparison { from, to, diff } =
        state.histories.compare(&scope, state.of, &key(path), from, to).await?;
    Ok(Json(ComparisonBody {
        from: from.map(HistoryEntryBody::from),
        to: to.map(HistoryEntryBody::from),
        diff: DiffBody::from(diff),
    }))
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
struct RestoreForm {
    version: Option<i64>,
}

#[derive(Serialize, ToSchema)]
struct RestoredBody {
    message: String,
    /// The current version of the object.
    version: i64,
    /// Whether the object was changed.
    changed: bool,
}

async fn restore_history_version(
    State(state): State<HistoryState>,
    Caller(scope): Caller,
    path: Key,
    JsonBody(form): JsonBody<RestoreForm>,
) -> ApiResult<Json<RestoredBody>> {
    let version = form.version.ok_or_else(|| ApiError::invalid_parameter("version"))?;
    let restored = state.histories.restore(&scope, state.of, &key(path), version).await?;
    let message = match &restored.not_restored {
        _ if !restored.is_changed => "Nothing to restore".to_owned(),
        Some(parts) => format!("Restored version {version}; {parts}"),
        None => format!("Restored version {version}"),
    };
    Ok(Json(RestoredBody { message, version: restored.version, changed: restored.is_changed }))
}
