//! Importing dashboards, and filling in their inputs without saving them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kymograph_app::dashboard::{Dashboards, ImportDashboard, ImportInput, interpolate};
use kymograph_domain::Uid;
use kymograph_domain::json::JsonValue;
use kymograph_domain::slug::slugify;
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::DashboardForm;
use super::{DashboardState, dashboard_url};
use crate::body::JsonText;
use crate::error::{ApiError, ApiResult};
use crate::layer::Caller;
use crate::openapi::operation;
use crate::routes::Routes;

pub(super) fn routes(state: &Arc<Dashboards>) -> Routes {
    Routes::default()
        .group("dashboards")
        .private(Method::POST, "/api/dashboards/import", state, import_dashboard)
        .describe(
            operation("importDashboard", "Create a dashboard of a file, with its inputs filled in")
                .takes::<ImportForm>()
                .fails(&[412, 422]),
        )
        .private(Method::POST, "/api/dashboards/interpolate", state, interpolate_dashboard)
        .describe(
            operation("interpolateDashboard", "Fill in the inputs of a dashboard without saving it")
                .takes::<ImportForm>()
                .answers::<DashboardForm>(200, "The dashboard")
                .fails(&[422]),
        )
}

/// A dashboard to import.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the form is looked at without being parsed into a type")]
#[schema(rename_all = "camelCase")]
struct ImportForm {
    dashboard: DashboardForm,
    /// What to put where the dashboard names an input.
    inputs: Option<Vec<ImportInputForm>>,
    /// The folder to save it in.
    folder_uid: Option<String>,
    /// The same by its numeric id, for old clients.
    folder_id: Option<i64>,
    /// Whether to save over a dashboard of the same uid.
    overwrite: Option<bool>,
}

/// An input of a dashboard that is imported.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the form is looked at without being parsed into a type")]
struct ImportInputForm {
    name: String,
    #[schema(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ImportedBody {
    uid: Uid,
    plugin_id: &'static str,
    title: String,
    imported: bool,
    imported_uri: String,
    imported_url: String,
    slug: String,
    dashboard_id: i64,
    folder_uid: String,
    imported_revision: i64,
    revision: i64,
    description: &'static str,
    path: &'static str,
    removed: bool,
}

/// A form whose inputs were filled in.
struct FilledIn {
    text: kymograph_app::Result<Vec<u8>>,
    folder_uid: Option<String>,
    folder_id: Option<i64>,
    overwrite: bool,
}

/// Fills in the inputs of a form's document, which has at most so many bytes then.
fn fill_in(mut body: JsonText, max_bytes: usize) -> ApiResult<FilledIn> {
    let document = body.document()?;
    let form = document.root();
    let text = |value: JsonValue<'_>, name| value.get(name).and_then(JsonValue::as_str).map(str::to_owned);
    let dashboard = form.get("dashboard").filter(|dashboard| !dashboard.is_null()).ok_or_else(|| {
        let message = match text(form, "pluginId").unwrap_or_default().as_str() {
            "" => "Dashboard must be set",
            _ => "No plugin of this server brings dashboards along: the dashboard must be set",
        };
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    })?;
    let input = |input: JsonValue<'_>| ImportInput {
        name: text(input, "name").unwrap_or_default(),
        kind: text(input, "type").unwrap_or_default(),
        value: text(input, "value").unwrap_or_default(),
    };
    let inputs: Vec<_> = form.get("inputs").into_iter().flat_map(JsonValue::items).map(input).collect();
    Ok(FilledIn {
        text: interpolate(dashboard, &inputs, max_bytes),
        folder_uid: text(form, "folderUid"),
        folder_id: form.get("folderId").and_then(JsonValue::as_i64),
        overwrite: form.get("overwrite").and_then(JsonValue::as_bool).unwrap_or_default(),
    })
}

async fn import_dashboard(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    body: JsonText,
) -> ApiResult<Json<ImportedBody>> {
    let max_bytes = dashboards.max_document_bytes();
    let bytes = body.bytes_filled_in(max_bytes);
    let parse = move || -> ApiResult<_> {
        let FilledIn { text, folder_uid, folder_id, overwrite } = fill_in(body, max_bytes)?;
        Ok(ImportDashboard::try_new(text?, folder_uid, folder_id, overwrite, max_bytes)?)
    };
    let import = dashboards.work(&scope, bytes, parse).await??;
    let imported = dashboards.import_dashboard(&scope, import).await?;
    let saved = imported.saved;
    let slug = slugify(&saved.title);
    Ok(Json(ImportedBody {
        plugin_id: "",
        imported: true,
        imported_uri: format!("db/{slug}"),
        imported_url: dashboard_url(&saved.uid, &slug),
        uid: saved.uid,
        title: saved.title,
        slug,
        dashboard_id: saved.id,
        folder_uid: saved.folder_uid.map(|uid| uid.to_string()).unwrap_or_default(),
        imported_revision: imported.revision,
        revision: imported.revision,
        description: "",
        path: "",
        removed: false,
    }))
}

async fn interpolate_dashboard(
    State(dashboards): DashboardState,
    Caller(scope): Caller,
    body: JsonText,
) -> ApiResult<Response> {
    let max_bytes = dashboards.max_document_bytes();
    let bytes = body.bytes_filled_in(max_bytes);
    let filled = dashboards.work(&scope, bytes, move || fill_in(body, max_bytes)).await??;
    dashboards.require_import(&scope, filled.folder_uid.as_deref(), filled.folder_id).await?;
    let text = filled.text?;
    // Nothing was written, so a repetition may as well be answered anew.
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, text).into_response())
}
