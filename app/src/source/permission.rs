//! The permissions on data sources, one per row.

use kymograph_domain::{AccessLevel, OrgRole};

use crate::permissions;

permissions! {
    /// Read the settings of data sources, except their secrets.
    DATA_SOURCES_READ = { action: "datasources:read", role: Some(OrgRole::Viewer), scopes: &["datasources:*"], on_data_source: Some(AccessLevel::View) };
    /// Query data sources.
    DATA_SOURCES_QUERY = { action: "datasources:query", role: Some(OrgRole::Viewer), scopes: &["datasources:*"], on_data_source: Some(AccessLevel::View) };
    /// Create data sources.
    DATA_SOURCES_CREATE = { action: "datasources:create", role: Some(OrgRole::Admin) };
    /// Change data sources.
    DATA_SOURCES_WRITE = { action: "datasources:write", role: Some(OrgRole::Admin), scopes: &["datasources:*"], on_data_source: Some(AccessLevel::Edit) };
    /// Delete data sources.
    DATA_SOURCES_DELETE = { action: "datasources:delete", role: Some(OrgRole::Admin), scopes: &["datasources:*"], on_data_source: Some(AccessLevel::Edit) };
}
