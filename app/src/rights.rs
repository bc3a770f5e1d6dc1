//! Authorization on folders, dashboards and data sources.

pub mod authorization;
pub(crate) mod permission;
pub mod resource_permission;

use std::sync::Arc;

/// The use cases of the area.
pub struct RightsServices {
    /// Permissions of folders and dashboards.
    pub resource_permissions: Arc<resource_permission::ResourcePermissions>,
}
