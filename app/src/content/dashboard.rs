//! Dashboards: saving, importing, reading, deleting and undeleting them. Their versions are in [`version`].

mod guarded;
mod import;
mod past;
mod save;
mod trash;
pub mod version;

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::content::dashboard::{Dashboard, DashboardCommand, DashboardError};
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{AccessLevel, CanonicalJson, OrgId, Timestamp, Uid};
use serde::{Deserialize, Serialize};

use crate::content::folder::{FolderReader, FolderView};
use crate::kernel::ending::Endings;
use crate::kernel::error::{Error, Result};
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::id_allocator::IdAllocator;
use crate::kernel::moment::{Moments, Then};
use crate::kernel::noun::Noun;
use crate::kernel::side_write::SideWrite;
use crate::rights::authorization::{ContentFilter, Guarded};
use crate::{Authorization, Commands, Permission, Scope, Unit, Workers};

pub use guarded::GuardedDashboards;
pub use import::{ImportDashboard, ImportInput, ImportedDashboard, interpolate};
pub use save::{ParsedDashboard, SaveDashboard};
pub use version::{VersionContent, VersionTarget, VersionView};

/// The maximum number of tags in a list.
pub const MAX_LISTED_TAGS: i64 = 5000;

/// A dashboard as it is read.
#[derive(Clone, Debug)]
pub struct DashboardView {
    /// The org that owns it.
    pub org_id: OrgId,
    /// The numeric id.
    pub id: i64,
    /// The uid.
    pub uid: Uid,
    /// The title.
    pub title: String,
    /// The readable part of its address.
    pub slug: String,
    /// The folder it is in.
    pub folder_uid: Option<Uid>,
    /// The current version.
    pub version: i64,
    /// When it was created.
    pub created: Timestamp,
    /// The login of its creator.
    pub created_by: String,
    /// When the current version was saved.
    pub updated: Timestamp,
    /// The login of the author of the current version.
    pub updated_by: String,
    /// The document without its members `id`, `uid` and `version`.
    pub data: CanonicalJson,
}

impl DashboardView {
    /// The dashboard as a subject of permission checks.
    pub(crate) fn guarded(&self) -> Guarded<'_> {
        Guarded::Dashboard { id: self.id, folder: self.folder_uid.as_ref() }
    }
}

/// A dashboard to open, with the folder it is in and the actor's access level.
#[derive(Clone, Debug)]
pub struct OpenedDashboard {
    /// The dashboard.
    pub dashboard: Arc<DashboardView>,
    /// The folder it is in.
    pub folder: Option<Arc<FolderView>>,
    /// The actor's access level.
    pub level: AccessLevel,
}

/// The result of a save or restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedDashboard {
    /// The numeric id.
    pub id: i64,
    /// The uid.
    pub uid: Uid,
    /// The title.
    pub title: String,
    /// The folder it is in.
    pub folder_uid: Option<Uid>,
    /// The version that was saved.
    pub version: i64,
}

/// The result of deleting, purging or undeleting a dashboard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedDashboard {
    /// The uid it had.
    pub uid: Uid,
    /// The title it had.
    pub title: String,
}

/// A tag and how many dashboards have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagCount {
    /// The tag.
    pub term: String,
    /// The number of dashboards.
    pub count: i64,
}

/// Reads dashboards and their versions.
#[async_trait]
pub trait DashboardReader: Send + Sync {
    /// The dashboard of that uid.
    async fn find_dashboard(&self, scope: &Scope, uid: &Uid) -> Result<Option<Arc<DashboardView>>>;
    /// The uids of the dashboards that are directly in some folders.
    async fn list_uids_in(&self, scope: &Scope, folders: Vec<Uid>) -> Result<Vec<Uid>>;
    /// A check at commit that a dashboard is where it was. If it has moved since, the command is decided again.
    fn stays(&self, org: OrgId, uid: &Uid, id: i64, folder: Option<&Uid>) -> SideWrite;
    /// The uid of the dashboard of that numeric id.
    async fn find_uid_by_id(&self, scope: &Scope, id: i64) -> Result<Option<Uid>>;
    /// The uid of the folder of that numeric id.
    async fn find_folder_uid_by_id(&self, scope: &Scope, id: i64) -> Result<Option<Uid>>;
    /// The size in bytes of the event that saved a version of a dashboard; 0 if there is none.
    async fn version_bytes(&self, scope: &Scope, uid: &Uid, version: i64) -> Result<usize>;
    /// The same of the last version that was saved up to a position of the log.
    async fn version_bytes_at(&self, scope: &Scope, uid: &Uid, position: i64) -> Result<usize>;
    /// The dashboard of that uid as it was at a position of the log.
    async fn find_dashboard_at(&self, scope: &Scope, uid: &Uid, position: i64)
    -> Result<Then<DashboardView>>;
    /// The tags of all dashboards that pass a filter, in order; of more than [`MAX_LISTED_TAGS`], the most used.
    async fn count_tags(&self, scope: &Scope, filter: &ContentFilter) -> Result<Vec<TagCount>>;
    /// Up to `size` versions, the newest first, from below `before` if given, without the first `start`; fewer if their
    /// messages exceed [`version::MAX_PAGE_BYTES`], but at least one if there is any.
    async fn list_versions(
        &self,
        scope: &Scope,
        uid: &Uid,
        before: Option<i64>,
        start: i64,
        size: i64,
    ) -> Result<Vec<VersionView>>;
    /// One version with its content.
    async fn find_version(&self, scope: &Scope, uid: &Uid, version: i64) -> Result<Option<VersionContent>>;
}

/// The ports of [`Dashboards`].
pub struct DashboardPorts {
    /// Reads dashboards.
    pub reader: Arc<dyn DashboardReader>,
    /// Reads folders.
    pub folders: Arc<dyn FolderReader>,
    /// Decides who may do what.
    pub authorization: Arc<Authorization>,
    /// Resolves points in time.
    pub moments: Arc<Moments>,
    /// Allocates numeric ids.
    pub ids: Arc<dyn IdAllocator>,
    /// The slices that are notified when dashboards end.
    pub endings: Endings,
}

/// The history of dashboards.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: Dashboard::TYPE,
    missing: "Dashboard not found",
    key: KeyOf::Uid,
    read: Some(Permission::DASHBOARDS_WRITE),
    write: Some(Permission::DASHBOARDS_WRITE),
    create: Some(Permission::DASHBOARDS_CREATE),
};

impl Noun for Dashboard {
    /// Restored content may have belonged to anybody, and so may its rights.
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        scope.require_administers_content(Permission::DASHBOARDS_WRITE)
    }
}

/// The use cases of dashboards.
pub struct Dashboards {
    commands: Commands,
    reader: Arc<dyn DashboardReader>,
    folders: Arc<dyn FolderReader>,
    authorization: Arc<Authorization>,
    moments: Arc<Moments>,
    ids: Arc<dyn IdAllocator>,
    endings: Endings,
    workers: Workers,
    max_document_bytes: usize,
}

impl Dashboards {
    /// Creates the use cases on these ports, for documents of up to `max_document_bytes`.
    #[must_use]
    pub fn new(
        commands: Commands,
        ports: DashboardPorts,
        workers: Workers,
        max_document_bytes: usize,
    ) -> Self {
        let DashboardPorts { reader, folders, authorization, moments, ids, endings } = ports;
        Self { commands, reader, folders, authorization, moments, ids, endings, workers, max_document_bytes }
    }

    /// The maximum size of a document, in bytes.
    #[must_use]
    pub fn max_document_bytes(&self) -> usize {
        self.max_document_bytes
    }

    /// Runs work on documents of `bytes` in total, which takes long if they are large.
    pub async fn work<T: Send + 'static>(
        &self,
        scope: &Scope,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        self.workers.run(scope.org(), bytes, work).await
    }

    /// Reads a dashboard with the folder it is in.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_dashboard(&self, scope: &Scope, uid: &str) -> Result<OpenedDashboard> {
        let (dashboard, level) = self.find_visible(scope, &parse_uid(uid)?).await?;
        let folder = match &dashboard.folder_uid {
            Some(folder) => self.folders.find_folder(scope, folder).await?,
            None => None,
        };
        Ok(OpenedDashboard { dashboard, folder, level })
    }

    /// Lists the tags of all dashboards that the actor may read, with the number of dashboards of each; if there are
    /// too many tags, the most used.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_tags(&self, scope: &Scope) -> Result<Vec<TagCount>> {
        scope.require_member(Permission::DASHBOARDS_READ)?;
        let filter = ContentFilter::of(scope, AccessLevel::View);
        self.reader.count_tags(scope, &filter).await
    }

    /// Deletes a dashboard, which moves it to the trash.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_dashboard(&self, scope: &Scope, uid: &str) -> Result<DeletedDashboard> {
        let uid = &parse_uid(uid)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut dashboard = unit.load::<Dashboard>(uid).await?;
                let permission = Permission::DASHBOARDS_DELETE;
                self.require_edit_in(scope, &mut unit, &dashboard, permission).await?;
                dashboard.tell(DashboardCommand::Delete).await?;
                let title = dashboard.title.clone();
                unit.record(dashboard)?;
                Ok(unit.decided(DeletedDashboard { uid: uid.clone(), title }))
            })
            .await
    }

    async fn find(&self, scope: &Scope, uid: &Uid) -> Result<Arc<DashboardView>> {
        self.reader.find_dashboard(scope, uid).await?.ok_or_else(|| DashboardError::NotFound.into())
    }

    /// A dashboard that the actor may read, with the actor's access level.
    async fn find_visible(&self, scope: &Scope, uid: &Uid) -> Result<(Arc<DashboardView>, AccessLevel)> {
        let dashboard = self.find(scope, uid).await?;
        let permission = Permission::DASHBOARDS_READ;
        let level = self.authorization.require(scope, dashboard.guarded(), permission).await?;
        Ok((dashboard, level))
    }

    /// Fails unless the dashboard exists and the actor may change it.
    async fn require_edit(&self, scope: &Scope, dashboard: &Dashboard, permission: Permission) -> Result<()> {
        if !dashboard.exists {
            return Err(DashboardError::NotFound.into());
        }
        let guarded = Guarded::Dashboard { id: dashboard.id, folder: dashboard.folder_uid.as_ref() };
        self.authorization.require(scope, guarded, permission).await.map(drop)
    }

    /// The same for a unit of work: now and at commit.
    async fn require_edit_in(
        &self,
        scope: &Scope,
        unit: &mut Unit<'_>,
        dashboard: &Dashboard,
        permission: Permission,
    ) -> Result<()> {
        self.require_edit(scope, dashboard, permission).await?;
        let kind = ResourceKind::Dashboard;
        self.authorization.rest_on_right(scope, unit, kind, &dashboard.uid, permission)
    }
}

/// Parses a uid in a path. Text that is not a valid uid is reported as not found.
pub(crate) fn parse_uid(uid: &str) -> Result<Uid> {
    Uid::try_new(uid).map_err(|_| Error::from(DashboardError::NotFound))
}
