//! Preferences of the org, of teams and of the caller. The home dashboard is in [`home`].

mod home;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use kymograph_app::content::preference::{
    HomeChoice, ORG_HISTORY, OWN_HISTORY, PreferenceChange, PreferenceView, Preferences, Unmentioned,
};
use kymograph_domain::Uid;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::org::ORG;
use crate::account::team::TEAMS;
use crate::account::user::SIGNED_IN_USER;
use crate::kernel::body::{JsonBody, Message};
use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::openapi::text::{Theme, Word};
use crate::kernel::query::Path;
use crate::kernel::routes::{Routes, get, history, patch, put};

/// The routes of preferences.
pub fn routes(preferences: Arc<Preferences>) -> Routes {
    let state = &preferences;
    Routes::of(&ORG)
        .add(
            get("/api/org/preferences", "getOrgPreferences", "Read the preferences of the org")
                .to(state, get_org_preferences),
        )
        .add(
            put("/api/org/preferences", "updateOrgPreferences", "Replace the preferences of the org")
                .details("Preferences that are left out are reset.")
                .fails(&[404])
                .to(state, update_org_preferences),
        )
        .add(
            patch("/api/org/preferences", "patchOrgPreferences", "Change some preferences of the org")
                .fails(&[404])
                .to(state, patch_org_preferences),
        )
        .group(&TEAMS)
        .add(
            get("/api/teams/{team_id}/preferences", "getTeamPreferences", "Read the preferences of a team")
                .fails(&[404])
                .to(state, get_team_preferences),
        )
        .add(
            put(
                "/api/teams/{team_id}/preferences",
                "updateTeamPreferences",
                "Replace the preferences of a team",
            )
            .details("Preferences that are left out are reset.")
            .fails(&[404])
            .to(state, update_team_preferences),
        )
        .group(&SIGNED_IN_USER)
        .add(
            get("/api/user/preferences", "getUserPreferences", "Read the caller's preferences")
                .for_everybody()
                .to(state, get_user_preferences),
        )
        .add(
            put("/api/user/preferences", "updateUserPreferences", "Replace the caller's preferences")
                .details("Preferences that are left out are reset.")
                .for_everybody()
                .fails(&[404])
                .to(state, update_user_preferences),
        )
        .add(
            patch("/api/user/preferences", "patchUserPreferences", "Change some of the caller's preferences")
                .for_everybody()
                .fails(&[404])
                .to(state, patch_user_preferences),
        )
        .merge(home::routes(state))
        .with_history(history!(
            ORG_HISTORY,
            "/api/org/preferences",
            "OrgPreferences",
            "the preferences of the org"
        ))
        .with_history(history!(
            OWN_HISTORY,
            "/api/user/preferences",
            "UserPreferences",
            "the caller's preferences"
        ))
}

type PreferenceState = State<Arc<Preferences>>;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PreferenceBody {
    #[serde(skip_serializing_if = "String::is_empty")]
    theme: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    timezone: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    week_start: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    language: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    regional_format: String,
    #[serde(skip_serializing_if = "Option::is_none", rename = "homeDashboardUID")]
    home_dashboard_uid: Option<Uid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_history: Option<QueryHistoryBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    navbar: Option<NavbarBody>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueryHistoryBody {
    home_tab: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NavbarBody {
    bookmark_urls: Vec<String>,
}

fn preference_body(preference: PreferenceView) -> PreferenceBody {
    let settings = preference.settings;
    let (home_tab, bookmark_urls) = (settings.query_history_tab, settings.bookmark_urls);
    PreferenceBody {
        theme: settings.theme,
        timezone: settings.timezone,
        week_start: settings.week_start,
        language: settings.language,
        regional_format: settings.regional_format,
        home_dashboard_uid: settings.home_dashboard_uid,
        query_history: (!home_tab.is_empty()).then_some(QueryHistoryBody { home_tab }),
        navbar: (!bookmark_urls.is_empty()).then_some(NavbarBody { bookmark_urls }),
    }
}

/// The first day of the week. An empty text is the default of the server.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the domain checks the text that this describes")]
enum WeekStart {
    #[schema(rename = "")]
    Unset,
    Saturday,
    Sunday,
    Monday,
    Browser,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PreferenceForm {
    #[schema(value_type = Option<Theme>)]
    theme: Option<String>,
    /// The name of a time zone, `utc` or `browser`.
    #[schema(max_length = 64, pattern = "^[a-zA-Z0-9/_+-]*$")]
    timezone: Option<String>,
    #[schema(value_type = Option<WeekStart>)]
    week_start: Option<String>,
    #[schema(value_type = Option<Word>)]
    language: Option<String>,
    #[schema(value_type = Option<Word>)]
    regional_format: Option<String>,
    /// The home dashboard; an empty text is none.
    #[serde(rename = "homeDashboardUID")]
    #[schema(max_length = 40, pattern = "^[a-zA-Z0-9_-]*$")]
    home_dashboard_uid: Option<String>,
    /// Its numeric id, for old clients.
    home_dashboard_id: Option<i64>,
    query_history: Option<QueryHistoryForm>,
    navbar: Option<NavbarForm>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct QueryHistoryForm {
    #[schema(value_type = Option<Word>)]
    home_tab: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NavbarForm {
    #[schema(max_items = 100)]
    bookmark_urls: Option<Vec<String>>,
}

impl PreferenceForm {
    fn into_change(self) -> PreferenceChange {
        // A uid has precedence over an id; an empty uid and the id 0 both mean no home dashboard.
        let home = match (self.home_dashboard_uid, self.home_dashboard_id) {
            (Some(uid), _) if !uid.is_empty() => Some(HomeChoice::Uid(uid)),
            (_, Some(id)) if id != 0 => Some(HomeChoice::Id(id)),
            (None, None) => None,
            _ => Some(HomeChoice::None),
        };
        PreferenceChange {
            theme: self.theme,
            timezone: self.timezone,
            week_start: self.week_start,
            language: self.language,
            regional_format: self.regional_format,
            home,
            query_history_tab: self.query_history.and_then(|history| history.home_tab),
            bookmark_urls: self.navbar.and_then(|navbar| navbar.bookmark_urls),
        }
    }
}

async fn get_org_preferences(
    State(preferences): PreferenceState,
    Caller(scope): Caller,
) -> ApiResult<Json<PreferenceBody>> {
    Ok(Json(preference_body(preferences.get_org_preference(&scope).await?)))
}

async fn get_team_preferences(
    State(preferences): PreferenceState,
    Caller(scope): Caller,
    Path(team): Path<String>,
) -> ApiResult<Json<PreferenceBody>> {
    Ok(Json(preference_body(preferences.get_team_preference(&scope, &team).await?)))
}

async fn get_user_preferences(
    State(preferences): PreferenceState,
    Caller(scope): Caller,
) -> ApiResult<Json<PreferenceBody>> {
    Ok(Json(preference_body(preferences.get_own_preference(&scope).await?)))
}

async fn update_org_preferences(
    State(preferences): PreferenceState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<PreferenceForm>,
) -> ApiResult<Json<Message>> {
    preferences.change_org_preference(&scope, &form.into_change(), Unmentioned::Reset).await?;
    Ok(Message::json("Preferences updated"))
}

async fn patch_org_preferences(
    State(preferences): PreferenceState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<PreferenceForm>,
) -> ApiResult<Json<Message>> {
    preferences.change_org_preference(&scope, &form.into_change(), Unmentioned::Keep).await?;
    Ok(Message::json("Preferences updated"))
}

async fn update_team_preferences(
    State(preferences): PreferenceState,
    Caller(scope): Caller,
    Path(team): Path<String>,
    JsonBody(form): JsonBody<PreferenceForm>,
) -> ApiResult<Json<Message>> {
    preferences.change_team_preference(&scope, &team, &form.into_change(), Unmentioned::Reset).await?;
    Ok(Message::json("Preferences updated"))
}

async fn update_user_preferences(
    State(preferences): PreferenceState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<PreferenceForm>,
) -> ApiResult<Json<Message>> {
    preferences.change_own_preference(&scope, &form.into_change(), Unmentioned::Reset).await?;
    Ok(Message::json("Preferences updated"))
}

async fn patch_user_preferences(
    State(preferences): PreferenceState,
    Caller(scope): Caller,
    JsonBody(form): JsonBody<PreferenceForm>,
) -> ApiResult<Json<Message>> {
    preferences.change_own_preference(&scope, &form.into_change(), Unmentioned::Keep).await?;
    Ok(Message::json("Preferences updated"))
}
