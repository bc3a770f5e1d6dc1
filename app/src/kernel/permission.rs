//! Permissions by Grafana's action names, with the roles that have them. Each area declares its own in a separate file.

use std::hash::{Hash, Hasher};

use kymograph_domain::{AccessLevel, OrgRole};

/// A permission: a row of the table of permissions.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    pub(crate) action: &'static str,
    /// The lowest role that has it in its org.
    pub(crate) role: Option<OrgRole>,
    /// True if server admins have it, for the server and for the administration of every org.
    pub(crate) is_server: bool,
    /// The scopes, by Grafana's names, of an actor who has it on all objects; empty for a permission without an object.
    pub(crate) scopes: &'static [&'static str],
    /// The access level that it requires on a folder, for the folder and its content.
    pub(crate) on_folder: Option<AccessLevel>,
    /// The access level that it requires on a dashboard.
    pub(crate) on_dashboard: Option<AccessLevel>,
    /// The access level that it requires on a data source.
    pub(crate) on_data_source: Option<AccessLevel>,
}

/// Declares the permissions of an area: `NAME = { action: "teams:read", role: Some(OrgRole::Admin) };`.
#[macro_export]
macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = { $($field:ident: $value:expr),+ $(,)? };)+) => {
        impl $crate::Permission {
            $($(#[$doc])* pub const $name: Self = Self { $($field: $value,)+ ..Self::NOBODYS };)+
        }

        /// The permissions of the area.
        pub(crate) const PERMISSIONS: &[$crate::Permission] = &[$($crate::Permission::$name),+];
    };
}

impl Permission {
    /// A permission that no actor has: the defaults of all rows.
    pub(crate) const NOBODYS: Self = Self {
        action: "",
        role: None,
        is_server: false,
        scopes: &[""],
        on_folder: None,
        on_dashboard: None,
        on_data_source: None,
    };

    /// The name of the action, as clients know it.
    #[must_use]
    pub const fn action(self) -> &'static str {
        self.action
    }

    /// True if a role has it in its own org.
    #[must_use]
    pub fn is_of(self, role: OrgRole) -> bool {
        self.role.is_some_and(|lowest| lowest <= role)
    }

    /// The names of the roles that have it.
    #[must_use]
    pub fn roles(self) -> Vec<&'static str> {
        let roles = [OrgRole::None, OrgRole::Viewer, OrgRole::Editor, OrgRole::Admin].into_iter();
        roles.filter(|role| self.is_of(*role)).map(OrgRole::as_str).collect()
    }
}

impl PartialEq for Permission {
    fn eq(&self, other: &Self) -> bool {
        self.action == other.action
    }
}

impl Eq for Permission {}

impl Hash for Permission {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.action.hash(state);
    }
}

/// The permissions of an actor by its role and as a server admin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// The role in the org.
    pub role: Option<OrgRole>,
    /// True for a server admin, whose rights cover the server and the administration of every org, but no org's
    /// dashboards and folders.
    pub is_server_admin: bool,
}

impl Rights {
    /// True if a permission is among them.
    #[must_use]
    pub fn allow(self, permission: Permission) -> bool {
        self.role.is_some_and(|role| permission.is_of(role)) || self.is_server_admin && permission.is_server
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::permissions;

    #[test]
    fn a_viewer_reads_and_changes_nothing() {
        for permission in permissions() {
            let reads = permission.action().ends_with(":read") || permission.action().ends_with(":query");
            assert!(!permission.is_of(OrgRole::Viewer) || reads);
            assert!(!permission.is_of(OrgRole::None));
        }
    }

    #[test]
    fn server_rights_open_no_tenant_content() {
        let rights = Rights { role: None, is_server_admin: true };
        assert!(!rights.allow(Permission::DASHBOARDS_READ) && !rights.allow(Permission::FOLDERS_READ));
        assert!(rights.allow(Permission::USERS_READ));
    }

    #[test]
    fn no_action_is_declared_twice() {
        let mut actions: Vec<_> = permissions().map(Permission::action).collect();
        actions.sort_unstable();
        assert!(actions.windows(2).all(|pair| pair[0] != pair[1]), "{actions:?}");
    }
}
