//! The permissions on orgs and their members, a row each.

use kymograph_domain::OrgRole;

use crate::permissions;

permissions! {
    /// Read the current org; with server rights any org.
    ORGS_READ = { action: "orgs:read", role: Some(OrgRole::Viewer), is_server: true };
    /// Change the current org; with server rights any org.
    ORGS_WRITE = { action: "orgs:write", role: Some(OrgRole::Admin), is_server: true };
    /// Create orgs.
    ORGS_CREATE = { action: "orgs:create", is_server: true };
    /// Delete orgs.
    ORGS_DELETE = { action: "orgs:delete", is_server: true };
    /// Read the preferences of the org.
    ORGS_PREFERENCES_READ = { action: "orgs.preferences:read", role: Some(OrgRole::Viewer) };
    /// Change the preferences of the org.
    ORGS_PREFERENCES_WRITE = { action: "orgs.preferences:write", role: Some(OrgRole::Admin) };
    /// Read the quotas and the usage of an org.
    ORGS_QUOTAS_READ = { action: "orgs.quotas:read", role: Some(OrgRole::Viewer), is_server: true };
    /// Change the quotas of an org.
    ORGS_QUOTAS_WRITE = { action: "orgs.quotas:write", is_server: true };
    /// Read the members of an org.
    ORG_USERS_READ = { action: "org.users:read", role: Some(OrgRole::Admin), is_server: true, scopes: &["users:*"] };
    /// Add members to an org.
    ORG_USERS_ADD = { action: "org.users:add", role: Some(OrgRole::Admin), is_server: true, scopes: &["users:*"] };
    /// Change the role of members.
    ORG_USERS_WRITE = { action: "org.users:write", role: Some(OrgRole::Admin), is_server: true, scopes: &["users:*"] };
    /// Remove members from an org.
    ORG_USERS_REMOVE = { action: "org.users:remove", role: Some(OrgRole::Admin), is_server: true, scopes: &["users:*"] };
    /// Read the teams of an org.
    TEAMS_READ = { action: "teams:read", role: Some(OrgRole::Admin), scopes: &["teams:*"] };
    /// Create teams.
    TEAMS_CREATE = { action: "teams:create", role: Some(OrgRole::Admin) };
    /// Change teams.
    TEAMS_WRITE = { action: "teams:write", role: Some(OrgRole::Admin), scopes: &["teams:*"] };
    /// Delete teams.
    TEAMS_DELETE = { action: "teams:delete", role: Some(OrgRole::Admin), scopes: &["teams:*"] };
    /// Read the members of a team.
    TEAMS_PERMISSIONS_READ = { action: "teams.permissions:read", role: Some(OrgRole::Admin), scopes: &["teams:*"] };
    /// Change the members of a team.
    TEAMS_PERMISSIONS_WRITE = { action: "teams.permissions:write", role: Some(OrgRole::Admin), scopes: &["teams:*"] };
    /// Read the service accounts of an org.
    SERVICE_ACCOUNTS_READ = { action: "serviceaccounts:read", role: Some(OrgRole::Admin), scopes: &["serviceaccounts:*"] };
    /// Create service accounts.
    SERVICE_ACCOUNTS_CREATE = { action: "serviceaccounts:create", role: Some(OrgRole::Admin) };
    /// Change service accounts and their tokens.
    SERVICE_ACCOUNTS_WRITE = { action: "serviceaccounts:write", role: Some(OrgRole::Admin), scopes: &["serviceaccounts:*"] };
    /// Delete service accounts.
    SERVICE_ACCOUNTS_DELETE = { action: "serviceaccounts:delete", role: Some(OrgRole::Admin), scopes: &["serviceaccounts:*"] };
    /// Read who may use a service account.
    SERVICE_ACCOUNTS_PERMISSIONS_READ = { action: "serviceaccounts.permissions:read", role: Some(OrgRole::Admin), scopes: &["serviceaccounts:*"] };
    /// Change who may use a service account.
    SERVICE_ACCOUNTS_PERMISSIONS_WRITE = { action: "serviceaccounts.permissions:write", role: Some(OrgRole::Admin), scopes: &["serviceaccounts:*"] };
    /// Read all users of the server.
    USERS_READ = { action: "users:read", is_server: true, scopes: &["global.users:*"] };
    /// Change any user's profile.
    USERS_WRITE = { action: "users:write", is_server: true, scopes: &["global.users:*"] };
    /// Create users.
    USERS_CREATE = { action: "users:create", is_server: true };
    /// Delete users.
    USERS_DELETE = { action: "users:delete", is_server: true, scopes: &["global.users:*"] };
    /// Enable users.
    USERS_ENABLE = { action: "users:enable", is_server: true, scopes: &["global.users:*"] };
    /// Disable users.
    USERS_DISABLE = { action: "users:disable", is_server: true, scopes: &["global.users:*"] };
    /// Set any user's password.
    USERS_PASSWORD_WRITE = { action: "users.password:write", is_server: true, scopes: &["global.users:*"] };
    /// Make users server admins.
    USERS_PERMISSIONS_WRITE = { action: "users.permissions:write", is_server: true, scopes: &["global.users:*"] };
    /// List any user's sessions.
    USERS_AUTH_TOKEN_READ = { action: "users.authtoken:read", is_server: true, scopes: &["global.users:*"] };
    /// Revoke any user's sessions.
    USERS_AUTH_TOKEN_WRITE = { action: "users.authtoken:write", is_server: true, scopes: &["global.users:*"] };
    /// Log any user out.
    USERS_LOGOUT = { action: "users:logout", is_server: true, scopes: &["global.users:*"] };
    /// Read the quotas and the usage of a user.
    USERS_QUOTAS_READ = { action: "users.quotas:read", is_server: true };
    /// Change the quotas of a user.
    USERS_QUOTAS_WRITE = { action: "users.quotas:write", is_server: true };
    /// Read the settings of the server.
    SETTINGS_READ = { action: "settings:read", is_server: true };
    /// Read the jobs of the whole server.
    JOBS_READ = { action: "jobs:read", is_server: true };
    /// Retry dead jobs.
    JOBS_WRITE = { action: "jobs:write", is_server: true };
    /// Read the statistics of the whole server.
    SERVER_STATS_READ = { action: "server:stats:read", is_server: true };
}
