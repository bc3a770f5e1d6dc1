//! What is different between two versions of dashboards, for people and for programs.

mod html;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, Method, header};
use axum::response::Response;
use kymograph_app::dashboard::{Dashboards, VersionContent, VersionTarget};
use kymograph_app::{Error, Scope};
use kymograph_domain::json::diff::{Difference, compare};
use kymograph_domain::json::{JsonDocument, JsonValue};
use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use utoipa::ToSchema;

use super::DashboardState;
use crate::body::JsonBody;
use crate::error::{ApiError, ApiResult};
use crate::layer::Caller;
use crate::openapi::operation;
use crate::routes::Routes;

pub(super) fn routes(state: &Arc<Dashboards>) -> Routes {
    Routes::default()
        .group("dashboards")
        .private(Method::POST, "/api/dashboards/calculate-diff", state, calculate_dashboard_diff)
        .describe(
            operation("calculateDashboardDiff", "Compare two versions of dashboards")
                .details("The answer is HTML for `basic` and `json`, and JSON in the format of jsondiffpatch for `delta`.")
                .answers_text(200, "What is different", "text/html")
                .answers::<serde_json::Value>(200, "What is different")
                .fails(&[404]),
        )
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DiffForm {
    base: Option<TargetForm>,
    new: Option<TargetForm>,
    diff_type: Option<DiffType>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TargetForm {
    dashboard_id: Option<i64>,
    uid: Option<String>,
    version: Option<i64>,
}

/// How a difference is shown.
#[derive(Clone, Copy, Deserialize, Default, ToSchema)]
#[serde(rename_all = "lowercase")]
enum DiffType {
    /// What changed, for people.
    #[default]
    Basic,
    /// The whole document line by line, for people.
    Json,
    /// What changed, for programs.
    Delta,
}

async fn calculate_dashboard_diff(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<DiffForm>,
) -> ApiResult<Response> {
    let base = find(&dashboards, &scope, "base", form.base).await?;
    let new = find(&dashboards, &scope, "new", form.new).await?;
    let text = |version: VersionContent| version.data.as_str().as_bytes().to_vec();
    let (mut base, mut new) = (text(base), text(new));
    let base = JsonDocument::try_parse(&mut base).map_err(Error::internal)?;
    let new = JsonDocument::try_parse(&mut new).map_err(Error::internal)?;
    let difference = compare(base.root(), new.root());
    let (content_type, text) = match form.diff_type.unwrap_or_default() {
        DiffType::Basic => ("text/html; charset=utf-8", html::summary(&difference)),
        DiffType::Json => ("text/html; charset=utf-8", html::lines(&difference)),
        DiffType::Delta => ("application/json", delta(&difference).map_err(Error::internal)?),
    };
    let mut response = Response::new(text.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Nothing was written, so a repetition may as well read again.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

async fn find(
    dashboards: &Dashboards,
    scope: &Scope,
    which: &str,
    target: Option<TargetForm>,
) -> ApiResult<VersionContent> {
    let target = target.unwrap_or_default();
    let uid = target.uid.filter(|uid| !uid.is_empty());
    let version = target.version.ok_or_else(|| ApiError::invalid_parameter(&format!("{which}.version")))?;
    if uid.is_none() && target.dashboard_id.is_none() {
        return Err(ApiError::invalid_parameter(&format!("{which}.dashboardId")));
    }
    let target = VersionTarget { uid, id: target.dashboard_id.unwrap_or_default(), version };
    Ok(dashboards.find_version(scope, &target).await?)
}

/// A difference in the format of `jsondiffpatch`, in which nothing different is an empty object.
fn delta(difference: &Difference<'_>) -> serde_json::Result<String> {
    if difference.is_same() { Ok("{}".to_owned()) } else { serde_json::to_string(&Delta(difference)) }
}

struct Delta<'a>(&'a Difference<'a>);

impl Serialize for Delta<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Difference::Same(_) => serializer.serialize_unit(),
            Difference::Added(new) => [new].serialize(serializer),
            Difference::Removed(old) => (old, 0, 0).serialize(serializer),
            Difference::Replaced(old, new) => (old, new).serialize(serializer),
            Difference::Object(members) => {
                let mut map = serializer.serialize_map(None)?;
                for (name, member) in members.iter().filter(|(_, member)| !member.is_same()) {
                    map.serialize_entry(name, &Self(member))?;
                }
                map.end()
            }
            Difference::List(items) => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("_t", "a")?;
                for (place, item) in places(items) {
                    map.serialize_entry(&place, &Self(item))?;
                }
                map.end()
            }
        }
    }
}

/// The items of a list that differ by their places: an underscore and the old one for what is gone, else the new one.
fn places<'a>(items: &'a [Difference<'a>]) -> BTreeMap<String, &'a Difference<'a>> {
    let (mut old, mut new) = (0, 0);
    let mut places = BTreeMap::new();
    for item in items {
        let is_removed = matches!(item, Difference::Removed(_));
        let place = if is_removed { format!("_{old}") } else { new.to_string() };
        if !item.is_same() {
            places.insert(place, item);
        }
        old += usize::from(!matches!(item, Difference::Added(_)));
        new += usize::from(!is_removed);
    }
    places
}

/// The text of a value on one line.
fn inline(value: JsonValue<'_>) -> String {
    // Writing to a text cannot fail.
    serde_json::to_string(&value).unwrap_or_default()
}
