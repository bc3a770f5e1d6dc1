//! Annotations.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kymograph_app::content::annotation::{
    AnnotationPlace, AnnotationQuery, AnnotationTag, AnnotationView, Annotations, HISTORY, NamedDashboard,
    NewAnnotation,
};
use kymograph_app::{Error, ErrorKind};
use kymograph_domain::CanonicalJson;
use kymograph_domain::content::annotation::{AnnotationChange, tidy_tag};
use kymograph_domain::kernel::id::AnnotationId;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::kernel::body::form::Verbatim;
use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::openapi::parameter::{flag, many, number, one_of, text};
use crate::kernel::query::{Path, Query, parse_id};
use crate::kernel::routes::{Group, Routes, delete, get, history, patch, post, put};
use crate::kernel::url::avatar_url;

const GROUP: Group = Group::new("annotations", "Notes on points in time and ranges of it")
    .of_noun("annotations", "annotation");

/// How many annotations or tags a list has if the client names no limit.
const DEFAULT_LIMIT: i64 = 100;

/// The routes of annotations.
pub fn routes(annotations: Arc<Annotations>) -> Routes {
    let state = &annotations;
    Routes::of(&GROUP)
        .add(
            get("/api/annotations", "getAnnotations", "List annotations, the latest first")
                .query(
                    "from",
                    number(0),
                    "Where the range begins that they touch, in milliseconds; with `to`",
                )
                .query("to", number(0), "Where it ends")
                .query("dashboardUID", text(), "The dashboard that they are on")
                .query("dashboardId", number(0), "The same by its numeric id")
                .query("panelId", number(0), "The panel that they are on")
                .query("userId", number(0), "Whose they are")
                .query("alertId", number(0), "The alert that they tell of")
                .query("alertUID", text(), "The rule of that alert")
                .query("type", one_of(&["alert", "annotation"]), "Whether they tell of alerts")
                .query("tags", many(text()), "Tags that they have all of; a key stands for any pair with it")
                .query("matchAny", flag(), "Whether one of the tags is enough")
                .limit("limit", DEFAULT_LIMIT)
                .for_everybody()
                .fails(&[403])
                .to(state, get_annotations),
        )
        .add(
            post("/api/annotations", "postAnnotation", "Create an annotation")
                .fails(&[404])
                .to(state, post_annotation),
        )
        .add(
            post(
                "/api/annotations/graphite",
                "postGraphiteAnnotation",
                "Create an annotation as Graphite does",
            )
            .to(state, post_graphite_annotation),
        )
        .add(
            post(
                "/api/annotations/mass-delete",
                "massDeleteAnnotations",
                "Delete the annotations of a panel",
            )
            .fails(&[404])
            .to(state, mass_delete_annotations),
        )
        .add(
            get("/api/annotations/tags", "getAnnotationTags", "List the tags that annotations have")
                .query("tag", text(), "A part of the tag")
                .limit("limit", DEFAULT_LIMIT)
                .for_everybody()
                .fails(&[403])
                .to(state, get_annotation_tags),
        )
        .merge(routes_of_one(state))
        .with_history(history!(HISTORY, "/api/annotations/{annotation_id}", "Annotation", "an annotation"))
}

fn routes_of_one(state: &Arc<Annotations>) -> Routes {
    Routes::of(&GROUP)
        .add(
            get("/api/annotations/{annotation_id}", "getAnnotationByID", "Read an annotation")
                .fails(&[404])
                .to(state, get_annotation_by_id),
        )
        .add(
            put("/api/annotations/{annotation_id}", "updateAnnotation", "Change an annotation")
                .fails(&[404])
                .to(state, update_annotation),
        )
        .add(
            patch("/api/annotations/{annotation_id}", "patchAnnotation", "Change a part of an annotation")
                .fails(&[404])
                .to(state, patch_annotation),
        )
        .add(
            delete("/api/annotations/{annotation_id}", "deleteAnnotationByID", "Delete an annotation")
                .fails(&[404])
                .to(state, delete_annotation_by_id),
        )
}

type AnnotationState = State<Arc<Annotations>>;

/// An annotation. No alert leaves any, so what would be about one is empty.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AnnotationBody {
    id: i64,
    alert_id: i64,
    alert_name: &'static str,
    dashboard_id: i64,
    #[serde(rename = "dashboardUID")]
    dashboard_uid: String,
    panel_id: i64,
    user_id: i64,
    #[serde(rename = "userUID")]
    user_uid: String,
    new_state: &'static str,
    prev_state: &'static str,
    /// When it was created, in milliseconds since the epoch.
    created: i64,
    /// When it was last changed.
    updated: i64,
    /// When what it is about began.
    time: i64,
    /// When that ended; the same for a point in time.
    time_end: i64,
    text: String,
    tags: Vec<String>,
    login: String,
    email: String,
    avatar_url: String,
    #[schema(value_type = Value)]
    data: DataBody,
}

/// What programs have added. Nothing is an empty object.
struct DataBody(Option<CanonicalJson>);

impl Serialize for DataBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(data) => data.serialize(serializer),
            None => serializer.serialize_map(Some(0))?.end(),
        }
    }
}

fn body(annotation: AnnotationView) -> AnnotationBody {
    let AnnotationView { id, dashboard, panel_id, author, content, created, updated } = annotation;
    let (dashboard_id, dashboard_uid) =
        dashboard.map(|dashboard| (dashboard.id, dashboard.uid.to_string())).unwrap_or_default();
    let avatar_url = if author.email.is_empty() { String::new() } else { avatar_url(&author.email) };
    AnnotationBody {
        id: id.0,
        alert_id: 0,
        alert_name: "",
        dashboard_id,
        dashboard_uid,
        panel_id,
        user_id: author.id.0,
        user_uid: author.uid,
        new_state: "",
        prev_state: "",
        created: created.0.div_euclid(1000),
        updated: updated.0.div_euclid(1000),
        time: content.time,
        time_end: content.time_end,
        text: content.text,
        tags: content.tags,
        login: author.login,
        email: author.email,
        avatar_url,
        data: DataBody(content.data),
    }
}

/// The answer to a new annotation.
#[derive(Serialize, ToSchema)]
struct CreatedAnnotationBody {
    message: &'static str,
    id: i64,
}

/// The tags that annotations have.
#[derive(Serialize, ToSchema)]
struct AnnotationTagsBody {
    result: AnnotationTagsResult,
}

#[derive(Serialize, ToSchema)]
struct AnnotationTagsResult {
    tags: Vec<AnnotationTagBody>,
}

#[derive(Serialize, ToSchema)]
struct AnnotationTagBody {
    tag: String,
    count: i64,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AnnotationForm {
    #[serde(rename = "dashboardUID")]
    dashboard_uid: Option<String>,
    dashboard_id: Option<i64>,
    panel_id: Option<i64>,
    /// In milliseconds since the epoch; by default now.
    time: Option<i64>,
    /// The end of a range.
    time_end: Option<i64>,
    #[schema(value_type = String, required)]
    text: Option<String>,
    tags: Option<Vec<String>>,
    #[schema(value_type = Option<Value>)]
    data: Option<Verbatim>,
}

#[derive(Deserialize, Default, ToSchema)]
struct GraphiteAnnotationForm {
    #[schema(value_type = String, required)]
    what: Option<String>,
    /// In seconds since the epoch; by default now.
    when: Option<i64>,
    data: Option<String>,
    tags: Option<GraphiteTags>,
}

/// Tags as Graphite has them since 1.1, or as before.
#[derive(Deserialize, ToSchema)]
#[serde(untagged, expecting = "a text of tags with spaces between them, or a list of tags")]
enum GraphiteTags {
    Text(String),
    List(Vec<String>),
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AnnotationChangeForm {
    time: Option<i64>,
    time_end: Option<i64>,
    text: Option<String>,
    tags: Option<Vec<String>>,
    #[schema(value_type = Option<Value>)]
    data: Option<Verbatim>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MassDeleteForm {
    annotation_id: Option<i64>,
    #[serde(rename = "dashboardUID")]
    dashboard_uid: Option<String>,
    dashboard_id: Option<i64>,
    panel_id: Option<i64>,
}

/// A number that is there and not 0, which stands for none.
fn given(number: Option<i64>) -> Option<i64> {
    number.filter(|number| *number != 0)
}

/// The dashboard that a client names. A uid counts first.
fn named(uid: Option<String>, id: Option<i64>) -> Option<NamedDashboard> {
    let by_uid = uid.filter(|uid| !uid.is_empty()).map(NamedDashboard::Uid);
    by_uid.or_else(|| given(id).map(NamedDashboard::Id))
}

fn id_of(text: &str) -> ApiResult<AnnotationId> {
    parse_id("annotationId", text).map(AnnotationId)
}

/// Puts Grafana's words before the reason why an annotation cannot be what a client wants it to be.
fn said(words: &'static str) -> impl Fn(Error) -> Error {
    move |error| if error.kind() == ErrorKind::Invalid { error.about(words) } else { error }
}

fn created(message: &'static str, id: AnnotationId) -> Json<CreatedAnnotationBody> {
    Json(CreatedAnnotationBody { message, id: id.0 })
}

async fn get_annotations(
    State(annotations): AnnotationState,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<Vec<AnnotationBody>>> {
    let range = given(query.number("from")).zip(given(query.number("to")));
    let mut tags: Vec<_> = query.texts("tags").iter().filter_map(|tag| tidy_tag(tag)).collect();
    tags.sort_unstable();
    tags.dedup();
    let of_alerts = given(query.number("alertId")).is_some()
        || query.text("alertUID").is_some_and(|uid| !uid.is_empty())
        || query.text("type") == Some("alert");
    let wanted = AnnotationQuery {
        of_alerts,
        dashboard: named(query.text("dashboardUID").map(str::to_owned), query.number("dashboardId")),
        panel_id: given(query.number("panelId")),
        user_id: given(query.number("userId")),
        range,
        tags,
        any_tag: query.flag("matchAny"),
        limit: query.page("limit", DEFAULT_LIMIT).size,
    };
    let found = annotations.list_annotations(&scope, &wanted).await?;
    Ok(Json(found.into_iter().map(body).collect()))
}

async fn post_annotation(
    State(annotations): AnnotationState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<AnnotationForm>,
) -> ApiResult<Json<CreatedAnnotationBody>> {
    let new = NewAnnotation {
        dashboard: named(form.dashboard_uid, form.dashboard_id),
        panel_id: form.panel_id.unwrap_or_default(),
        time: given(form.time),
        time_end: given(form.time_end),
        text: form.text.unwrap_or_default(),
        tags: form.tags.unwrap_or_default(),
        data: form.data.map(|Verbatim(data)| data),
    };
    let id = annotations.create_annotation(&scope, new).await.map_err(said("Failed to save annotation"))?;
    Ok(created("Annotation added", id))
}

async fn post_graphite_annotation(
    State(annotations): AnnotationState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<GraphiteAnnotationForm>,
) -> ApiResult<Json<CreatedAnnotationBody>> {
    let what = form.what.filter(|what| !what.is_empty());
    let nothing = || {
        let message = "Failed to save Graphite annotation: what field should not be empty";
        ApiError::new(StatusCode::BAD_REQUEST, message)
    };
    let what = what.ok_or_else(nothing)?;
    let milliseconds =
        |seconds: i64| seconds.checked_mul(1000).ok_or_else(|| ApiError::invalid_parameter("when"));
    let tags = match form.tags {
        Some(GraphiteTags::Text(tags)) => tags.split(' ').map(str::to_owned).collect(),
        Some(GraphiteTags::List(tags)) => tags,
        None => Vec::new(),
    };
    let data = form.data.filter(|data| !data.is_empty()).map(|data| format!("\n{data}"));
    let new = NewAnnotation {
        time: given(form.when).map(milliseconds).transpose()?,
        text: what + &data.unwrap_or_default(),
        tags,
        ..NewAnnotation::default()
    };
    let saved = annotations.create_annotation(&scope, new).await;
    let id = saved.map_err(said("Failed to save Graphite annotation"))?;
    Ok(created("Graphite annotation added", id))
}

async fn mass_delete_annotations(
    State(annotations): AnnotationState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<MassDeleteForm>,
) -> ApiResult<Json<Message>> {
    let dashboard = named(form.dashboard_uid, form.dashboard_id);
    let place = match (given(form.annotation_id), dashboard, given(form.panel_id)) {
        (Some(id), _, _) => AnnotationPlace::Single(AnnotationId(id)),
        (None, Some(dashboard), Some(panel_id)) => AnnotationPlace::Panel(dashboard, panel_id),
        _ => {
            let message = "DashboardId and PanelId are both required for mass delete";
            return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
        }
    };
    annotations.delete_annotations(&scope, &place).await?;
    Ok(Message::json("Annotations deleted"))
}

async fn get_annotation_tags(
    State(annotations): AnnotationState,
    Caller(scope): Caller,
    query: Query,
) -> ApiResult<Json<AnnotationTagsBody>> {
    let limit = query.page("limit", DEFAULT_LIMIT).size;
    let tags = annotations.list_tags(&scope, query.text("tag").unwrap_or_default(), limit).await?;
    let body = |AnnotationTag { tag, count }| AnnotationTagBody { tag, count };
    Ok(Json(AnnotationTagsBody {
        result: AnnotationTagsResult { tags: tags.into_iter().map(body).collect() },
    }))
}

async fn get_annotation_by_id(
    State(annotations): AnnotationState,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<AnnotationBody>> {
    Ok(Json(body(annotations.get_annotation(&scope, id_of(&id)?).await?)))
}

fn change(form: AnnotationChangeForm) -> AnnotationChange {
    AnnotationChange {
        time: given(form.time),
        time_end: given(form.time_end),
        text: form.text,
        tags: form.tags,
        data: form.data.map(|Verbatim(data)| data),
    }
}

async fn update_annotation(
    State(annotations): AnnotationState,
    Caller(scope): Caller,
    Path(id): Path<String>,
    JsonBody(form): JsonBody<AnnotationChangeForm>,
) -> ApiResult<Json<Message>> {
    let form = AnnotationChangeForm { text: Some(form.text.unwrap_or_default()), ..form };
    let changed = annotations.change_annotation(&scope, id_of(&id)?, change(form)).await;
    changed.map_err(said("Failed to update annotation"))?;
    Ok(Message::json("Annotation updated"))
}

async fn patch_annotation(
    State(annotations): AnnotationState,
    Caller(scope): Caller,
    Path(id): Path<String>,
    JsonBody(form): JsonBody<AnnotationChangeForm>,
) -> ApiResult<Json<Message>> {
    let form = AnnotationChangeForm { text: form.text.filter(|text| !text.is_empty()), ..form };
    let changed = annotations.change_annotation(&scope, id_of(&id)?, change(form)).await;
    changed.map_err(said("Failed to update annotation"))?;
    Ok(Message::json("Annotation patched"))
}

async fn delete_annotation_by_id(
    State(annotations): AnnotationState,
    Caller(scope): Caller,
    Path(id): Path<String>,
) -> ApiResult<Json<Message>> {
    annotations.delete_annotation(&scope, id_of(&id)?).await?;
    Ok(Message::json("Annotation deleted"))
}
