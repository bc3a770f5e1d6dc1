//! The permissions to read and change permissions of folders, dashboards and data sources, a row each.

use kymograph_domain::{AccessLevel, OrgRole};

use crate::permissions;

permissions! {
    /// Read the permissions of dashboards.
    DASHBOARDS_PERMISSIONS_READ = { action: "dashboards.permissions:read", role: Some(OrgRole::Admin), scopes: &["dashboards:*", "folders:*"], on_folder: Some(AccessLevel::Admin), on_dashboard: Some(AccessLevel::Admin) };
    /// Change the permissions of dashboards.
    DASHBOARDS_PERMISSIONS_WRITE = { action: "dashboards.permissions:write", role: Some(OrgRole::Admin), scopes: &["dashboards:*", "folders:*"], on_folder: Some(AccessLevel::Admin), on_dashboard: Some(AccessLevel::Admin) };
    /// Read the permissions of data sources.
    DATA_SOURCES_PERMISSIONS_READ = { action: "datasources.permissions:read", role: Some(OrgRole::Admin), scopes: &["datasources:*"], on_data_source: Some(AccessLevel::Admin) };
    /// Change the permissions of data sources.
    DATA_SOURCES_PERMISSIONS_WRITE = { action: "datasources.permissions:write", role: Some(OrgRole::Admin), scopes: &["datasources:*"], on_data_source: Some(AccessLevel::Admin) };
    /// Read the permissions of folders.
    FOLDERS_PERMISSIONS_READ = { action: "folders.permissions:read", role: Some(OrgRole::Admin), scopes: &["folders:*"], on_folder: Some(AccessLevel::Admin) };
    /// Change the permissions of folders.
    FOLDERS_PERMISSIONS_WRITE = { action: "folders.permissions:write", role: Some(OrgRole::Admin), scopes: &["folders:*"], on_folder: Some(AccessLevel::Admin) };
}
