//! What can be allowed, by Grafana's action names, and which rights a role carries.

use kymograph_domain::OrgRole;

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $action:literal;)+) => {
        /// One thing that can be allowed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Permission { $($(#[$doc])* $name,)+ }

        impl Permission {
            /// All permissions.
            pub const ALL: &'static [Permission] = &[$(Permission::$name),+];

            /// The name of the action, as clients know it.
            #[must_use]
            pub const fn action(self) -> &'static str {
                match self { $(Self::$name => $action,)+ }
            }
        }
    };
}

permissions! {
    /// Read dashboards and their versions.
    DashboardsRead = "dashboards:read";
    /// Create dashboards.
    DashboardsCreate = "dashboards:create";
    /// Save and restore dashboards.
    DashboardsWrite = "dashboards:write";
    /// Delete dashboards.
    DashboardsDelete = "dashboards:delete";
    /// Read who may do what with dashboards.
    DashboardsPermissionsRead = "dashboards.permissions:read";
    /// Change who may do what with dashboards.
    DashboardsPermissionsWrite = "dashboards.permissions:write";
    /// Read folders.
    FoldersRead = "folders:read";
    /// Create folders.
    FoldersCreate = "folders:create";
    /// Change and move folders.
    FoldersWrite = "folders:write";
    /// Delete folders.
    FoldersDelete = "folders:delete";
    /// Read who may do what with folders.
    FoldersPermissionsRead = "folders.permissions:read";
    /// Change who may do what with folders.
    FoldersPermissionsWrite = "folders.permissions:write";
    /// Read data sources.
    DataSourcesRead = "datasources:read";
    /// Read the current org; with server rights any org.
    OrgsRead = "orgs:read";
    /// Change the current org; with server rights any org.
    OrgsWrite = "orgs:write";
    /// Create orgs.
    OrgsCreate = "orgs:create";
    /// Delete orgs.
    OrgsDelete = "orgs:delete";
    /// Read what the org prefers.
    OrgsPreferencesRead = "orgs.preferences:read";
    /// Change what the org prefers.
    OrgsPreferencesWrite = "orgs.preferences:write";
    /// Read how much an org has and may have.
    OrgsQuotasRead = "orgs.quotas:read";
    /// Change how much an org may have.
    OrgsQuotasWrite = "orgs.quotas:write";
    /// Read the members of an org.
    OrgUsersRead = "org.users:read";
    /// Add members to an org.
    OrgUsersAdd = "org.users:add";
    /// Change the role of members.
    OrgUsersWrite = "org.users:write";
    /// Remove members from an org.
    OrgUsersRemove = "org.users:remove";
    /// Read the teams of an org.
    TeamsRead = "teams:read";
    /// Create teams.
    TeamsCreate = "teams:create";
    /// Change teams.
    TeamsWrite = "teams:write";
    /// Delete teams.
    TeamsDelete = "teams:delete";
    /// Read who is a member of a team.
    TeamsPermissionsRead = "teams.permissions:read";
    /// Change who is a member of a team.
    TeamsPermissionsWrite = "teams.permissions:write";
    /// Read the service accounts of an org.
    ServiceAccountsRead = "serviceaccounts:read";
    /// Create service accounts.
    ServiceAccountsCreate = "serviceaccounts:create";
    /// Change service accounts and their tokens.
    ServiceAccountsWrite = "serviceaccounts:write";
    /// Delete service accounts.
    ServiceAccountsDelete = "serviceaccounts:delete";
    /// Read who may use a service account.
    ServiceAccountsPermissionsRead = "serviceaccounts.permissions:read";
    /// Change who may use a service account.
    ServiceAccountsPermissionsWrite = "serviceaccounts.permissions:write";
    /// Read the audit log of the org.
    AuditRead = "audit:read";
    /// Read the audit log of what belongs to no org.
    ServerAuditRead = "server.audit:read";
    /// Read all users of the server.
    UsersRead = "users:read";
    /// Change any user's profile.
    UsersWrite = "users:write";
    /// Create users.
    UsersCreate = "users:create";
    /// Delete users.
    UsersDelete = "users:delete";
    /// Let users log in again.
    UsersEnable = "users:enable";
    /// Keep users from logging in.
    UsersDisable = "users:disable";
    /// Set any user's password.
    UsersPasswordWrite = "users.password:write";
    /// Make users server admins.
    UsersPermissionsWrite = "users.permissions:write";
    /// List any user's sessions.
    UsersAuthTokenRead = "users.authtoken:read";
    /// Revoke any user's sessions.
    UsersAuthTokenWrite = "users.authtoken:write";
    /// Log any user out.
    UsersLogout = "users:logout";
    /// Read how much a user has and may have.
    UsersQuotasRead = "users.quotas:read";
    /// Change how much a user may have.
    UsersQuotasWrite = "users.quotas:write";
    /// Read the settings the server runs with.
    SettingsRead = "settings:read";
    /// Read how much there is on the whole server.
    ServerStatsRead = "server:stats:read";
    /// Read the jobs of the whole server.
    JobsRead = "jobs:read";
    /// Have dead jobs tried again.
    JobsWrite = "jobs:write";
}

impl Permission {
    /// The objects, by Grafana's names, on which who has it on everything has it; empty for what has no object.
    #[must_use]
    pub fn scopes(self) -> &'static [&'static str] {
        use Permission as P;
        let (object, verb) = self.action().split_once(':').unwrap_or_default();
        match (object, verb) {
            _ if matches!(self, P::DashboardsCreate) => &["folders:*"],
            (_, "create") if object != "folders" => &[""],
            ("dashboards" | "dashboards.permissions", _) => &["dashboards:*", "folders:*"],
            ("folders" | "folders.permissions", _) => &["folders:*"],
            ("org.users", _) => &["users:*"],
            ("teams" | "teams.permissions", _) => &["teams:*"],
            ("serviceaccounts" | "serviceaccounts.permissions", _) => &["serviceaccounts:*"],
            ("users" | "users.password" | "users.permissions" | "users.authtoken", _) => &["global.users:*"],
            _ => &[""],
        }
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u64);

impl Rights {
    /// No permission at all.
    pub const NONE: Rights = Rights(0);

    const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < permissions.len() {
            bits |= 1 << permissions[index] as u64;
            index += 1;
        }
        Self(bits)
    }

    /// The rights that a role carries in its own org.
    #[must_use]
    pub const fn of_role(role: OrgRole) -> Self {
        use Permission as P;
        const VIEWER: Rights = Rights::of(&[
            P::DashboardsRead,
            P::FoldersRead,
            P::OrgsRead,
            P::OrgsPreferencesRead,
            P::OrgsQuotasRead,
        ]);
        const EDITOR: Rights = VIEWER.and(Rights::of(&[
            P::DashboardsCreate,
            P::DashboardsWrite,
            P::DashboardsDelete,
            P::FoldersCreate,
            P::FoldersWrite,
            P::FoldersDelete,
        ]));
        const ADMIN: Rights = EDITOR.and(Rights::of(&[
            P::DashboardsPermissionsRead,
            P::DashboardsPermissionsWrite,
            P::FoldersPermissionsRead,
            P::FoldersPermissionsWrite,
            P::DataSourcesRead,
            P::OrgsWrite,
            P::OrgsPreferencesWrite,
            P::OrgUsersRead,
            P::OrgUsersAdd,
            P::OrgUsersWrite,
            P::OrgUsersRemove,
            P::TeamsRead,
            P::TeamsCreate,
            P::TeamsWrite,
            P::TeamsDelete,
            P::TeamsPermissionsRead,
            P::TeamsPermissionsWrite,
            P::ServiceAccountsRead,
            P::ServiceAccountsCreate,
            P::ServiceAccountsWrite,
            P::ServiceAccountsDelete,
            P::ServiceAccountsPermissionsRead,
            P::ServiceAccountsPermissionsWrite,
            P::AuditRead,
        ]));
        match role {
            OrgRole::None => Self::NONE,
            OrgRole::Viewer => VIEWER,
            OrgRole::Editor => EDITOR,
            OrgRole::Admin => ADMIN,
        }
    }

    /// The rights of a server admin, which hold for the server and for the administration of every org, but
    /// do not open any org's dashboards and folders.
    pub const SERVER_ADMIN: Rights = {
        use Permission as P;
        Rights::of(&[
            P::OrgsRead,
            P::OrgsWrite,
            P::OrgsCreate,
            P::OrgsDelete,
            P::OrgsQuotasRead,
            P::OrgsQuotasWrite,
            P::OrgUsersRead,
            P::OrgUsersAdd,
            P::OrgUsersWrite,
            P::OrgUsersRemove,
            P::UsersRead,
            P::UsersWrite,
            P::UsersCreate,
            P::UsersDelete,
            P::UsersEnable,
            P::UsersDisable,
            P::UsersPasswordWrite,
            P::UsersPermissionsWrite,
            P::UsersAuthTokenRead,
            P::UsersAuthTokenWrite,
            P::UsersLogout,
            P::UsersQuotasRead,
            P::UsersQuotasWrite,
            P::SettingsRead,
            P::ServerStatsRead,
            P::ServerAuditRead,
            P::JobsRead,
            P::JobsWrite,
        ])
    };

    /// The names of the roles that carry a permission.
    #[must_use]
    pub fn roles_with(permission: Permission) -> Vec<&'static str> {
        let roles = [OrgRole::None, OrgRole::Viewer, OrgRole::Editor, OrgRole::Admin].into_iter();
        roles.filter(|role| Self::of_role(*role).allow(permission)).map(OrgRole::as_str).collect()
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the permission is in the set.
    #[must_use]
    pub const fn allow(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u64) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_has_all_rights_of_a_lower_one() {
        for permission in Permission::ALL {
            let allowed = [OrgRole::None, OrgRole::Viewer, OrgRole::Editor, OrgRole::Admin]
                .map(|role| Rights::of_role(role).allow(*permission));
            assert!(allowed.is_sorted(), "{permission:?} {allowed:?}");
        }
    }

    #[test]
    fn a_viewer_reads_and_changes_nothing() {
        const VIEWED: [&str; 5] =
            ["dashboards:read", "folders:read", "orgs:read", "orgs.preferences:read", "orgs.quotas:read"];
        let viewer = Rights::of_role(OrgRole::Viewer);
        for permission in Permission::ALL {
            assert_eq!(viewer.allow(*permission), VIEWED.contains(&permission.action()));
        }
    }

    #[test]
    fn server_rights_open_no_tenant_content() {
        assert!(!Rights::SERVER_ADMIN.allow(Permission::DashboardsRead));
        assert!(!Rights::SERVER_ADMIN.allow(Permission::FoldersRead));
    }
}
