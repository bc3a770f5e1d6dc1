//! The permissions on folders, dashboards and data sources.

pub mod resource_permission;

use crate::Projector;

/// The projectors of the area.
pub(crate) fn projectors() -> Vec<Box<dyn Projector>> {
    vec![Box::new(resource_permission::ResourcePermissionProjector)]
}
