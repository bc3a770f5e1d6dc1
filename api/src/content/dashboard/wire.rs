//! The wire types of dashboards.

use std::collections::BTreeMap;

use kymograph_app::content::dashboard::{DeletedDashboard, OpenedDashboard, SavedDashboard};
use kymograph_app::{Permission, Scope};
use kymograph_domain::content::dashboard::resource::schema_of;
use kymograph_domain::kernel::slug::slugify;
use kymograph_domain::{AccessLevel, Uid};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::text::{Title, VersionMessage};
use crate::content::folder::folder_url;
use crate::kernel::openapi::text::{NewUid, ParentUid};
use crate::kernel::url::address;

/// The URL of a dashboard's page.
pub(crate) fn dashboard_url(uid: &Uid, slug: &str) -> String {
    address(format_args!("/d/{uid}/{slug}"))
}

/// The result of a save.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SavedDashboardBody {
    status: &'static str,
    id: i64,
    uid: Uid,
    url: String,
    slug: String,
    title: String,
    version: i64,
    folder_uid: String,
}

impl SavedDashboardBody {
    pub(super) fn of(saved: SavedDashboard) -> Self {
        let slug = slugify(&saved.title);
        Self {
            status: "success",
            id: saved.id,
            url: dashboard_url(&saved.uid, &slug),
            uid: saved.uid,
            slug,
            title: saved.title,
            version: saved.version,
            folder_uid: saved.folder_uid.map(|uid| uid.to_string()).unwrap_or_default(),
        }
    }
}

/// The result of deleting, restoring or purging a dashboard.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletedDashboardBody {
    message: String,
    title: String,
    uid: Uid,
}

impl DeletedDashboardBody {
    pub(super) fn of(deleted: DeletedDashboard, what_was_done: &str) -> Self {
        let message = format!("Dashboard {} {what_was_done}", deleted.title);
        Self { message, title: deleted.title, uid: deleted.uid }
    }
}

/// The metadata of a dashboard.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DashboardMetaBody<'a> {
    r#type: &'static str,
    can_save: bool,
    can_edit: bool,
    can_admin: bool,
    can_star: bool,
    is_starred: bool,
    can_delete: bool,
    slug: &'a str,
    url: String,
    expires: &'static str,
    #[schema(format = DateTime)]
    created: String,
    #[schema(format = DateTime)]
    updated: String,
    updated_by: &'a str,
    created_by: &'a str,
    version: i64,
    /// The API version, unless the schema is the classic one.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'a str>,
    has_acl: bool,
    is_folder: bool,
    is_snapshot: bool,
    folder_id: i64,
    folder_uid: &'a str,
    folder_title: &'a str,
    folder_url: String,
    provisioned: bool,
    provisioned_external_id: &'static str,
    annotations_permissions: AnnotationsPermissions,
}

/// The caller's permissions on annotations.
#[derive(Clone, Copy, Serialize, ToSchema)]
struct AnnotationsPermissions {
    dashboard: AnnotationActions,
    organization: AnnotationActions,
}

#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AnnotationActions {
    can_add: bool,
    can_edit: bool,
    can_delete: bool,
}

impl<'a> DashboardMetaBody<'a> {
    pub(super) fn of(scope: &Scope, opened: &'a OpenedDashboard, is_starred: bool) -> Self {
        let (dashboard, folder) = (&*opened.dashboard, opened.folder.as_deref());
        let can_save = opened.level >= AccessLevel::Edit;
        let annotations = |can| AnnotationActions { can_add: can, can_edit: can, can_delete: can };
        Self {
            r#type: "db",
            can_save,
            can_edit: can_save,
            can_admin: opened.level >= AccessLevel::Admin,
            can_star: true,
            is_starred,
            can_delete: can_save,
            slug: &dashboard.slug,
            url: dashboard_url(&dashboard.uid, &dashboard.slug),
            expires: "0001-01-01T00:00:00Z",
            created: dashboard.created.rfc3339(),
            updated: dashboard.updated.rfc3339(),
            updated_by: &dashboard.updated_by,
            created_by: &dashboard.created_by,
            version: dashboard.version,
            api_version: schema_of(&dashboard.data),
            has_acl: false,
            is_folder: false,
            is_snapshot: false,
            folder_id: folder.map_or(0, |folder| folder.id),
            folder_uid: folder.map_or("", |folder| folder.uid.as_str()),
            folder_title: folder.map_or("General", |folder| &folder.title),
            folder_url: folder.map(|folder| folder_url(&folder.uid, &folder.slug)).unwrap_or_default(),
            provisioned: false,
            provisioned_external_id: "",
            annotations_permissions: AnnotationsPermissions {
                dashboard: annotations(can_save),
                organization: annotations(scope.allows(Permission::DASHBOARDS_WRITE)),
            },
        }
    }
}

/// A saved dashboard with its id, uid and version.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents pass as text, this describes them")]
pub(super) struct DashboardDocument {
    /// The numeric id, unique in the org.
    id: i64,
    uid: Uid,
    /// The version, from 1.
    version: i64,
    title: String,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// A dashboard to save. Unknown members are kept.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents pass as text, this describes them")]
pub(super) struct DashboardForm {
    /// The numeric id of the dashboard to overwrite, for old clients.
    id: Option<i64>,
    #[schema(value_type = Option<NewUid>)]
    uid: Option<String>,
    /// The version that the change is based on.
    version: Option<i64>,
    #[schema(value_type = Title)]
    title: String,
    tags: Option<Vec<String>>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// A dashboard with its metadata.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents pass as text, this describes them")]
pub(super) struct DashboardBody {
    meta: DashboardMetaBody<'static>,
    dashboard: DashboardDocument,
}

/// A dashboard to save.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the form is looked at without being parsed into a type")]
#[schema(rename_all = "camelCase")]
pub(super) struct SaveDashboardForm {
    dashboard: DashboardForm,
    /// The folder to save it in.
    #[schema(value_type = Option<ParentUid>)]
    folder_uid: Option<String>,
    /// Its numeric id, for old clients.
    folder_id: Option<i64>,
    /// The message of the version.
    #[schema(value_type = Option<VersionMessage>)]
    message: Option<String>,
    /// Whether to overwrite a version other than the one that the save is based on.
    #[serde(default)]
    overwrite: bool,
}
