//! Folders, dashboards, and what people make of them: stars, preferences and searches.

pub mod dashboard;
pub mod data_source;
pub mod folder;
pub mod preference;
pub mod search;
pub mod star;

use kymograph_domain::Uid;
use kymograph_domain::rights::resource_permission::ResourceKind;

/// The address of the page of a folder or dashboard.
pub(crate) fn url_of(kind: ResourceKind, uid: &Uid, slug: &str) -> String {
    match kind {
        ResourceKind::Folder => folder::folder_url(uid, slug),
        ResourceKind::Dashboard => dashboard::dashboard_url(uid, slug),
    }
}
