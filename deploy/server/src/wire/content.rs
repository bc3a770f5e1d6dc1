//! The parts of folders, dashboards and related objects.

use std::sync::Arc;

use kymograph_app::Commands;
use kymograph_app::account::team::TeamReader;
use kymograph_app::content::ContentServices;
use kymograph_app::content::annotation::{AnnotationEndings, AnnotationPorts, Annotations};
use kymograph_app::content::dashboard::{DashboardPorts, Dashboards, GuardedDashboards};
use kymograph_app::content::folder::{Folders, GuardedFolders};
use kymograph_app::content::playlist::Playlists;
use kymograph_app::content::preference::Preferences;
use kymograph_app::content::search::Searches;
use kymograph_app::content::star::Stars;
use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::ending::{EndingListener, Endings};
use kymograph_app::rights::resource_permission::GuardedKind;
use kymograph_projections::content::annotation::PgAnnotationReader;
use kymograph_projections::content::dashboard::{PgDashboardReader, dashboard_cache};
use kymograph_projections::content::folder::{FolderCache, PgFolderReader};
use kymograph_projections::content::playlist::PgPlaylistReader;
use kymograph_projections::content::preference::PgPreferenceReader;
use kymograph_projections::content::search::PgSearchReader;
use kymograph_projections::content::star::{PgStarReader, star_cache};

use super::kernel::Kernel;
use super::rights::RightsReaders;

/// The memory limit of cached documents.
const DASHBOARD_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// The readers of content.
pub(super) struct ContentReaders {
    pub(super) annotations: Arc<PgAnnotationReader>,
    pub(super) dashboards: Arc<PgDashboardReader>,
    pub(super) folders: Arc<PgFolderReader>,
    stars: Arc<PgStarReader>,
    caches: Vec<Arc<dyn ChangeListener>>,
}

impl ContentReaders {
    pub(super) fn new(kernel: &Kernel<'_>, folder_cache: Arc<FolderCache>, rights: &RightsReaders) -> Self {
        let feed = &kernel.feed_health;
        let dashboards = Arc::new(dashboard_cache(DASHBOARD_CACHE_BYTES, feed));
        let stars = Arc::new(star_cache(feed));
        let caches: Vec<Arc<dyn ChangeListener>> =
            vec![folder_cache.clone(), dashboards.clone(), stars.clone()];
        let (database, workers, allowed) = (&kernel.database, &kernel.workers, &rights.allowed);
        let folders = PgFolderReader::new(database.clone(), folder_cache, allowed.clone(), workers.clone());
        let dashboards =
            PgDashboardReader::new(database.clone(), dashboards, workers.clone(), allowed.clone());
        let stars = PgStarReader::new(database.clone(), stars, allowed.clone());
        Self {
            annotations: Arc::new(PgAnnotationReader::new(database.clone(), allowed.clone())),
            folders: Arc::new(folders),
            dashboards: Arc::new(dashboards),
            stars: Arc::new(stars),
            caches,
        }
    }

    pub(super) fn caches(&self) -> Vec<Arc<dyn ChangeListener>> {
        self.caches.clone()
    }

    pub(super) fn endings(&self) -> Vec<Arc<dyn EndingListener>> {
        vec![
            Arc::new(GuardedDashboards::new(self.dashboards.clone())),
            Arc::new(AnnotationEndings::new(self.annotations.clone())),
        ]
    }

    /// The kinds of content with access-control lists.
    pub(super) fn guarded(&self) -> Vec<Arc<dyn GuardedKind>> {
        vec![
            Arc::new(GuardedFolders::new(self.folders.clone())),
            Arc::new(GuardedDashboards::new(self.dashboards.clone())),
        ]
    }

    pub(super) fn services(
        &self,
        kernel: &Kernel<'_>,
        commands: &Commands,
        rights: &RightsReaders,
        endings: Endings,
        teams: Arc<dyn TeamReader>,
    ) -> ContentServices {
        let (folders, authorization, moments) = (&self.folders, &rights.authorization, &kernel.moments);
        let (database, ids) = (&kernel.database, &kernel.ids);
        let ports = DashboardPorts {
            reader: self.dashboards.clone(),
            folders: folders.clone(),
            authorization: authorization.clone(),
            moments: moments.clone(),
            ids: ids.clone(),
            endings: endings.clone(),
        };
        let annotations = AnnotationPorts {
            reader: self.annotations.clone(),
            dashboards: self.dashboards.clone(),
            authorization: authorization.clone(),
            ids: ids.clone(),
            clock: kernel.clock.clone(),
        };
        // Only Grafana 12.4 also searches the tags of dashboards.
        let words_in_tags = kernel.config.compatibility.grafana_version.starts_with("12.4.");
        let searches = PgSearchReader::new(database.clone(), rights.allowed.clone(), words_in_tags);
        let searches =
            Searches::new(Arc::new(searches), folders.clone(), self.stars.clone(), moments.clone());
        let playlists = PgPlaylistReader::new(database.clone());
        let (workers, max_body) = (kernel.workers.clone(), kernel.config.server.max_body);
        ContentServices {
            annotations: Arc::new(Annotations::new(commands.clone(), annotations, kernel.config.annotations)),
            dashboards: Arc::new(Dashboards::new(commands.clone(), ports, workers, max_body)),
            folders: Arc::new(Folders::new(
                commands.clone(),
                folders.clone(),
                authorization.clone(),
                moments.clone(),
                ids.clone(),
                endings,
            )),
            playlists: Arc::new(Playlists::new(commands.clone(), Arc::new(playlists), ids.clone())),
            preferences: Arc::new(Preferences::new(
                commands.clone(),
                Arc::new(PgPreferenceReader::new(database.clone())),
                self.dashboards.clone(),
                teams,
                authorization.clone(),
            )),
            searches: Arc::new(searches),
            stars: Arc::new(Stars::new(commands.clone(), self.stars.clone(), authorization.clone())),
        }
    }
}
