//! Who may do what with folders and dashboards.

pub mod resource_permission;
