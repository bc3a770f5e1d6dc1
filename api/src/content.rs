//! Folders, dashboards, annotations, playlists, stars, preferences and search.

pub mod annotation;
pub mod dashboard;
pub mod folder;
pub mod playlist;
pub mod preference;
pub mod search;
pub mod star;

use kymograph_app::content::ContentServices;
use kymograph_domain::Uid;
use kymograph_domain::rights::resource_permission::ResourceKind;

use crate::kernel::routes::Routes;

/// The routes of the area.
pub(crate) fn routes(services: ContentServices) -> Routes {
    Routes::default()
        .merge(folder::routes(services.folders))
        .merge(dashboard::routes(services.dashboards, services.stars.clone()))
        .merge(search::routes(services.searches))
        .merge(annotation::routes(services.annotations))
        .merge(playlist::routes(services.playlists))
        .merge(preference::routes(services.preferences))
        .merge(star::routes(services.stars))
}

/// The URL of the page of a folder, dashboard or data source.
pub(crate) fn url_of(kind: ResourceKind, uid: &Uid, slug: &str) -> String {
    match kind {
        ResourceKind::Folder => folder::folder_url(uid, slug),
        ResourceKind::Dashboard => dashboard::dashboard_url(uid, slug),
        ResourceKind::DataSource => format!("/connections/datasources/edit/{uid}"),
    }
}
