//! Who may do what with folders and dashboards.

pub(crate) mod access_control;
pub mod resource_permission;
