//! Who may do what with folders and dashboards.

pub mod authorization;
pub mod resource_permission;
