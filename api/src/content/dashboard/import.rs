//! Importing dashboards, and filling in their inputs without saving them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use kymograph_app::content::dashboard::{Dashboards, ImportDashboard, ImportInput, interpolate};
use kymograph_domain::Uid;
use kymograph_domain::kernel::slug::slugify;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::wire::DashboardForm;
use super::{DashboardState, dashboard_url};
use crate::kernel::body::{JsonText, form};
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::routes::{Routes, post};
use crate::rights::resource_permission::DASHBOARDS;

pub(super) fn routes(state: &Arc<Dashboards>) -> Routes {
    Routes::of(&DASHBOARDS)
        .add(
            post(
                "/api/dashboards/import",
                "importDashboard",
                "Import a dashboard, with its inputs filled in",
            )
            .takes::<ImportForm>()
            .fails(&[412, 422])
            .to(state, import_dashboard),
        )
        .add(
            post(
                "/api/dashboards/interpolate",
                "interpolateDashboard",
                "Fill in the inputs of a dashboard without saving it",
            )
            .takes::<ImportForm>()
            .answers::<DashboardForm>(200, "The dashboard")
            .fails(&[422])
            .to(state, interpolate_dashboard),
        )
}

/// A dashboard to import.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the form is looked at without being parsed into a type")]
#[schema(rename_all = "camelCase")]
struct ImportForm {
    dashboard: DashboardForm,
    /// The values of the dashboard's inputs.
    inputs: Option<Vec<ImportInputForm>>,
    /// The folder to save it in.
    folder_uid: Option<String>,
    /// Its numeric id, for old clients.
    folder_id: Option<i64>,
    /// Whether to overwrite a dashboard with the same uid.
    overwrite: Option<bool>,
}

/// The value of an input.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
struct ImportInputForm {
    #[schema(required)]
    name: String,
    #[schema(required)]
    r#type: String,
    #[schema(required)]
    value: String,
}

impl From<ImportInputForm> for ImportInput {
    fn from(ImportInputForm { name, r#type, value }: ImportInputForm) -> Self {
        Self { name, kind: r#type, value }
    }
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

/// A form with its inputs filled in.
struct FilledIn {
    text: kymograph_app::Result<Vec<u8>>,
    folder_uid: Option<String>,
    folder_id: Option<i64>,
    overwrite: bool,
}

/// Fills in the inputs of a form's document, up to a size limit.
fn fill_in(mut body: JsonText, max_bytes: usize) -> ApiResult<FilledIn> {
    body.read(|form| {
        let Some(dashboard) = form::member(form, "dashboard") else {
            return Err(no_dashboard(form::read_member(form, "pluginId")?));
        };
        let inputs: Vec<ImportInputForm> = form::read_member(form, "inputs")?.unwrap_or_default();
        let inputs: Vec<_> = inputs.into_iter().map(ImportInput::from).collect();
        Ok(FilledIn {
            text: interpolate(dashboard, &inputs, max_bytes),
            folder_uid: form::read_member(form, "folderUid")?,
            folder_id: form::read_member(form, "folderId")?,
            overwrite: form::read_member(form, "overwrite")?.unwrap_or_default(),
        })
    })
}

fn no_dashboard(plugin_id: Option<String>) -> ApiError {
    let message = match plugin_id.unwrap_or_default().as_str() {
        "" => "Dashboard must be set",
        _ => "No plugin of this server brings dashboards along: the dashboard must be set",
    };
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
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
    // Nothing was written, so a repeated request is simply executed again.
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, text).into_response())
}
