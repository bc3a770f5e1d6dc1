//! The wire types of users.

use kymograph_app::Error;
use kymograph_app::account::membership::UserOrgView;
use kymograph_app::account::user::{ProfileChange, UserView};
use kymograph_domain::account::user::UserError;
use kymograph_domain::{OrgId, OrgRole, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::error::ApiResult;
use crate::kernel::openapi::text::{ShortText, Theme};
use crate::kernel::url::avatar_url;

/// A user profile.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileBody {
    id: UserId,
    uid: String,
    email: String,
    name: String,
    login: String,
    theme: String,
    org_id: OrgId,
    is_grafana_admin: bool,
    is_disabled: bool,
    is_external: bool,
    is_externally_synced: bool,
    is_grafana_admin_externally_synced: bool,
    is_provisioned: bool,
    auth_labels: [&'static str; 0],
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    avatar_url: String,
}

impl ProfileBody {
    pub(super) fn of(user: UserView) -> Self {
        Self {
            id: user.id,
            uid: user.uid,
            avatar_url: avatar_url(&user.profile.email),
            email: user.profile.email,
            name: user.profile.name,
            login: user.profile.login,
            theme: user.profile.theme,
            org_id: user.org_id,
            is_grafana_admin: user.is_server_admin,
            is_disabled: user.is_disabled,
            is_external: false,
            is_externally_synced: false,
            is_grafana_admin_externally_synced: false,
            is_provisioned: false,
            auth_labels: [],
            created_at: user.created.rfc3339(),
            updated_at: user.updated.rfc3339(),
        }
    }
}

/// A user of a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserHitBody {
    id: UserId,
    uid: String,
    name: String,
    login: String,
    email: String,
    avatar_url: String,
    is_admin: bool,
    is_disabled: bool,
    is_provisioned: bool,
    #[schema(format = DateTime)]
    created: String,
    #[schema(format = DateTime)]
    last_seen_at: String,
    last_seen_at_age: String,
    auth_labels: [&'static str; 0],
}

impl UserHitBody {
    pub(super) fn of(user: UserView) -> Self {
        let (last_seen_at, last_seen_at_age) = last_seen(user.last_seen);
        Self {
            id: user.id,
            uid: user.uid,
            avatar_url: avatar_url(&user.profile.email),
            name: user.profile.name,
            login: user.profile.login,
            email: user.profile.email,
            is_admin: user.is_server_admin,
            is_disabled: user.is_disabled,
            is_provisioned: false,
            created: user.created.rfc3339(),
            last_seen_at,
            last_seen_at_age,
            auth_labels: [],
        }
    }
}

/// An org of a user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserOrgBody {
    org_id: OrgId,
    name: String,
    role: OrgRole,
}

impl UserOrgBody {
    pub(super) fn of(org: UserOrgView) -> Self {
        Self { org_id: org.org_id, name: org.name, role: org.role }
    }
}

/// An update of a profile.
#[derive(Deserialize, Default, ToSchema)]
#[serde(default)]
pub(super) struct ProfileForm {
    #[schema(value_type = Option<ShortText>)]
    login: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    email: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    name: Option<String>,
    #[schema(value_type = Option<Theme>)]
    theme: Option<String>,
}

impl ProfileForm {
    /// Grafana requires a login or an e-mail address in each update of a profile.
    pub(super) fn into_change(self) -> ApiResult<ProfileChange> {
        let is_empty = |text: &Option<String>| text.as_deref().is_none_or(|text| text.trim().is_empty());
        if is_empty(&self.login) && is_empty(&self.email) {
            return Err(Error::from(UserError::LoginEmpty).into());
        }
        Ok(ProfileChange { login: self.login, email: self.email, name: self.name, theme: self.theme })
    }
}

/// The last activity of a user, as a time and an age of one number. Like in Grafana, a user who was never seen was last
/// seen ten years ago.
#[allow(clippy::disallowed_methods, reason = "the age is relative to now, for people")]
pub(crate) fn last_seen(seen: Option<Timestamp>) -> (String, String) {
    let now = Timestamp::from_date(std::time::SystemTime::now().into());
    let seen = seen.unwrap_or_else(|| now.plus_seconds(-10 * 365 * 24 * 3600));
    let seconds = now.seconds() - seen.seconds();
    let age = match seconds {
        ..60 => "< 1 minute".to_owned(),
        60..3600 => counted(seconds / 60, "minute"),
        3600..86_400 => counted(seconds / 3600, "hour"),
        86_400..2_592_000 => counted(seconds / 86_400, "day"),
        2_592_000..31_536_000 => counted(seconds / 2_592_000, "month"),
        _ => counted(seconds / 31_536_000, "year"),
    };
    (seen.rfc3339(), age)
}

fn counted(number: i64, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}
