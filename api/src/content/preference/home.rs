//! The home dashboard.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::content::preference::Preferences;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::PreferenceState;
use crate::content::dashboard::dashboard_url;
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::routes::{Routes, get};
use crate::rights::resource_permission::DASHBOARDS;

pub(super) fn routes(state: &Arc<Preferences>) -> Routes {
    Routes::of(&DASHBOARDS).add(
        get("/api/dashboards/home", "getHomeDashboard", "Read the caller's home dashboard")
            .details("The answer is a redirect to the chosen dashboard, or the built-in dashboard if none is chosen.")
            .for_everybody()
            .to(state, get_home_dashboard),
    )
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum HomeBody {
    /// The chosen dashboard.
    #[serde(rename_all = "camelCase")]
    Chosen { redirect_uri: String },
    /// The built-in dashboard.
    BuiltIn {
        meta: HomeMetaBody,
        #[schema(value_type = Object, additional_properties)]
        dashboard: Value,
    },
}

/// The metadata of the built-in home dashboard, which cannot be changed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct HomeMetaBody {
    is_home: bool,
    can_save: bool,
    can_edit: bool,
    can_admin: bool,
    can_star: bool,
    can_delete: bool,
    slug: &'static str,
    url: &'static str,
    version: i64,
    has_acl: bool,
    is_folder: bool,
    folder_id: i64,
    folder_uid: &'static str,
    folder_title: &'static str,
    folder_url: &'static str,
    provisioned: bool,
    provisioned_external_id: &'static str,
}

const HOME_META: HomeMetaBody = HomeMetaBody {
    is_home: true,
    can_save: false,
    can_edit: false,
    can_admin: false,
    can_star: false,
    can_delete: false,
    slug: "",
    url: "",
    version: 0,
    has_acl: false,
    is_folder: false,
    folder_id: 0,
    folder_uid: "",
    folder_title: "General",
    folder_url: "",
    provisioned: false,
    provisioned_external_id: "",
};

/// A greeting, and the dashboards that the caller starred or viewed last.
fn built_in_dashboard() -> Value {
    json!({
        "title": "Home",
        "tags": [],
        "editable": false,
        "schemaVersion": 41,
        "time": {"from": "now-6h", "to": "now"},
        "panels": [
            {
                "id": 1,
                "type": "text",
                "title": "",
                "transparent": true,
                "gridPos": {"x": 0, "y": 0, "w": 24, "h": 3},
                "options": {"mode": "markdown", "content": "# Kymograph\n\nChoose a home dashboard in your preferences."}
            },
            {
                "id": 2,
                "type": "dashlist",
                "title": "Dashboards",
                "gridPos": {"x": 0, "y": 3, "w": 24, "h": 15},
                "options": {"showStarred": true, "showRecentlyViewed": true, "showSearch": false, "maxItems": 30}
            }
        ]
    })
}

async fn get_home_dashboard(
    State(preferences): PreferenceState,
    Caller(scope): Caller,
) -> ApiResult<Json<HomeBody>> {
    Ok(Json(match preferences.get_home_dashboard(&scope).await? {
        Some(home) => HomeBody::Chosen { redirect_uri: dashboard_url(&home.uid, &home.slug) },
        None => HomeBody::BuiltIn { meta: HOME_META, dashboard: built_in_dashboard() },
    }))
}
