//! Differences of dashboard versions, for people and for programs.

mod html;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use kymograph_app::Error;
use kymograph_app::content::dashboard::{Dashboards, VersionContent, VersionTarget};
use kymograph_domain::kernel::json::diff::{Difference, compare};
use kymograph_domain::kernel::json::{JsonDocument, JsonError};
use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use utoipa::ToSchema;

use super::DashboardState;
use crate::kernel::body::JsonBody;
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::routes::{Routes, post};
use crate::rights::resource_permission::DASHBOARDS;

pub(super) fn routes(state: &Arc<Dashboards>) -> Routes {
    Routes::of(&DASHBOARDS).add(
        post(
            "/api/dashboards/calculate-diff",
            "calculateDashboardDiff",
            "Compare two versions of dashboards",
        )
        .details(FORMATS)
        .answers_text(200, "The difference", "text/html")
        .answers::<serde_json::Value>(200, "The difference")
        .fails(&[404])
        .to(state, calculate_dashboard_diff),
    )
}

const FORMATS: &str = "The answer is HTML for `basic` and `json`, and JSON in the format of jsondiffpatch for `delta`. \
    HTML that would be too long ends early with an element of the class `diff-truncated`; JSON that would be is 413.";

/// The size limit of HTML or JSON.
pub(crate) const MAX_DIFF_BYTES: usize = 8 * 1024 * 1024;

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

/// The format of a difference.
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
    let (base, new) = (target("base", form.base)?, target("new", form.new)?);
    let (base, new, _admission) = dashboards.get_versions(&scope, &base, &new).await?;
    let diff_type = form.diff_type.unwrap_or_default();
    let bytes = base.data.as_str().len() + new.data.as_str().len();
    let text = dashboards.work(&scope, bytes, move || diff_text(&base, &new, diff_type)).await??;
    let content_type = match diff_type {
        DiffType::Basic | DiffType::Json => "text/html; charset=utf-8",
        DiffType::Delta => "application/json",
    };
    let mut response = Response::new(text.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Nothing was written, so a repeated request is simply executed again.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn diff_text(base: &VersionContent, new: &VersionContent, diff_type: DiffType) -> ApiResult<String> {
    let copied = |version: &VersionContent| version.data.as_str().as_bytes().to_vec();
    let (mut base, mut new) = (copied(base), copied(new));
    let base = JsonDocument::try_parse_stored(&mut base).map_err(unreadable)?;
    let new = JsonDocument::try_parse_stored(&mut new).map_err(unreadable)?;
    let difference = compare(base.root(), new.root());
    match diff_type {
        DiffType::Basic => Ok(html::summary(&difference)),
        DiffType::Json => Ok(html::lines(&difference)),
        DiffType::Delta => delta(&difference),
    }
}

fn unreadable(error: JsonError) -> Error {
    match error {
        // Documents that are older than this limit.
        JsonError::TooMany => Error::too_large("the versions are too large to be compared"),
        error => Error::internal(error),
    }
}

fn target(which: &str, form: Option<TargetForm>) -> ApiResult<VersionTarget> {
    let form = form.unwrap_or_default();
    let uid = form.uid.filter(|uid| !uid.is_empty());
    let version = form.version.ok_or_else(|| ApiError::invalid_parameter(&format!("{which}.version")))?;
    if uid.is_none() && form.dashboard_id.is_none() {
        return Err(ApiError::invalid_parameter(&format!("{which}.dashboardId")));
    }
    Ok(VersionTarget { uid, id: form.dashboard_id.unwrap_or_default(), version })
}

/// A difference in the format of `jsondiffpatch`, an empty object if there is none.
fn delta(difference: &Difference<'_>) -> ApiResult<String> {
    if difference.is_same() {
        return Ok("{}".to_owned());
    }
    let mut text = LimitedText::default();
    match serde_json::to_writer(&mut text, &Delta(difference)) {
        Ok(()) => Ok(String::from_utf8(text.0).map_err(Error::internal)?),
        Err(error) if error.is_io() => {
            Err(Error::too_large("the versions differ too much for an answer").into())
        }
        Err(error) => Err(Error::internal(error).into()),
    }
}

/// A text with a size limit.
#[derive(Default)]
struct LimitedText(Vec<u8>);

impl io::Write for LimitedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_DIFF_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
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

/// The changed items of a list by index: with an underscore for removed ones, else the new index.
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
