//! The permissions on folders, dashboards and their contents, one per row.

use kymograph_domain::{AccessLevel, OrgRole};

use crate::permissions;

permissions! {
    /// Read dashboards and their versions.
    DASHBOARDS_READ = { action: "dashboards:read", role: Some(OrgRole::Viewer), scopes: &["dashboards:*", "folders:*"], on_folder: Some(AccessLevel::View), on_dashboard: Some(AccessLevel::View) };
    /// Create dashboards.
    DASHBOARDS_CREATE = { action: "dashboards:create", role: Some(OrgRole::Editor), scopes: &["folders:*"], on_folder: Some(AccessLevel::Edit) };
    /// Save and restore dashboards.
    DASHBOARDS_WRITE = { action: "dashboards:write", role: Some(OrgRole::Editor), scopes: &["dashboards:*", "folders:*"], on_folder: Some(AccessLevel::Edit), on_dashboard: Some(AccessLevel::Edit) };
    /// Delete dashboards.
    DASHBOARDS_DELETE = { action: "dashboards:delete", role: Some(OrgRole::Editor), scopes: &["dashboards:*", "folders:*"], on_folder: Some(AccessLevel::Edit), on_dashboard: Some(AccessLevel::Edit) };
    /// Read folders.
    FOLDERS_READ = { action: "folders:read", role: Some(OrgRole::Viewer), scopes: &["folders:*"], on_folder: Some(AccessLevel::View) };
    /// Create folders.
    FOLDERS_CREATE = { action: "folders:create", role: Some(OrgRole::Editor), scopes: &["folders:*"], on_folder: Some(AccessLevel::Edit) };
    /// Change and move folders.
    FOLDERS_WRITE = { action: "folders:write", role: Some(OrgRole::Editor), scopes: &["folders:*"], on_folder: Some(AccessLevel::Edit) };
    /// Delete folders.
    FOLDERS_DELETE = { action: "folders:delete", role: Some(OrgRole::Editor), scopes: &["folders:*"], on_folder: Some(AccessLevel::Edit) };
    /// Read annotations.
    ANNOTATIONS_READ = { action: "annotations:read", role: Some(OrgRole::Viewer), scopes: &["annotations:type:organization", "annotations:type:dashboard", "dashboards:*", "folders:*"], on_folder: Some(AccessLevel::View), on_dashboard: Some(AccessLevel::View) };
    /// Create annotations.
    ANNOTATIONS_CREATE = { action: "annotations:create", role: Some(OrgRole::Editor), scopes: &["annotations:type:organization", "annotations:type:dashboard", "dashboards:*", "folders:*"], on_folder: Some(AccessLevel::Edit), on_dashboard: Some(AccessLevel::Edit) };
    /// Change annotations.
    ANNOTATIONS_WRITE = { action: "annotations:write", role: Some(OrgRole::Editor), scopes: &["annotations:type:organization", "annotations:type:dashboard", "dashboards:*", "folders:*"], on_folder: Some(AccessLevel::Edit), on_dashboard: Some(AccessLevel::Edit) };
    /// Delete annotations.
    ANNOTATIONS_DELETE = { action: "annotations:delete", role: Some(OrgRole::Editor), scopes: &["annotations:type:organization", "annotations:type:dashboard", "dashboards:*", "folders:*"], on_folder: Some(AccessLevel::Edit), on_dashboard: Some(AccessLevel::Edit) };
    /// Read playlists.
    PLAYLISTS_READ = { action: "playlists:read", role: Some(OrgRole::Viewer), scopes: &["playlists:*"] };
    /// Create, change and delete playlists.
    PLAYLISTS_WRITE = { action: "playlists:write", role: Some(OrgRole::Editor), scopes: &["playlists:*"] };
}
