//! Dashboards: saving, importing, reading, deleting and undeleting them. Their versions are in [`version`].

mod import;
mod save;
mod trash;
pub mod version;

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::dashboard::{Dashboard, DashboardCommand, DashboardError};
use kymograph_domain::{CanonicalJson, OrgId, Timestamp, Uid};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::folder::{FolderReader, FolderView};
use crate::id_allocator::IdAllocator;
use crate::{Commands, Permission, Scope};

pub use import::{ImportDashboard, ImportInput, ImportedDashboard};
pub use save::SaveDashboard;
pub use version::{VersionContent, VersionTarget, VersionView};

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
    /// The login of who created it.
    pub created_by: String,
    /// When the current version was saved.
    pub updated: Timestamp,
    /// The login of who saved the current version.
    pub updated_by: String,
    /// The document without its members `id`, `uid` and `version`.
    pub data: CanonicalJson,
}

/// What a save, or a restore, came to.
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

/// What is left to say of a deleted dashboard.
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
    /// The uid of the dashboard of that numeric id.
    async fn find_uid_by_id(&self, scope: &Scope, id: i64) -> Result<Option<Uid>>;
    /// The uid of a dashboard with that title in that folder.
    async fn find_uid_by_title(
        &self,
        scope: &Scope,
        folder: Option<&Uid>,
        title: &str,
    ) -> Result<Option<Uid>>;
    /// The uid of the folder of that numeric id.
    async fn find_folder_uid_by_id(&self, scope: &Scope, id: i64) -> Result<Option<Uid>>;
    /// The tags of all dashboards, in order.
    async fn count_tags(&self, scope: &Scope) -> Result<Vec<TagCount>>;
    /// So many versions from the newest down, from below `before` if given, leaving out the first `start`.
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

/// The use cases of dashboards.
pub struct Dashboards {
    commands: Commands,
    reader: Arc<dyn DashboardReader>,
    folders: Arc<dyn FolderReader>,
    ids: Arc<dyn IdAllocator>,
}

impl Dashboards {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        commands: Commands,
        reader: Arc<dyn DashboardReader>,
        folders: Arc<dyn FolderReader>,
        ids: Arc<dyn IdAllocator>,
    ) -> Self {
        Self { commands, reader, folders, ids }
    }

    /// Reads a dashboard with the folder it is in.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_dashboard(
        &self,
        scope: &Scope,
        uid: &str,
    ) -> Result<(Arc<DashboardView>, Option<Arc<FolderView>>)> {
        scope.require(Permission::DashboardsRead)?;
        let dashboard = self.find(scope, &parse_uid(uid)?).await?;
        let folder = match &dashboard.folder_uid {
            Some(folder) => self.folders.find_folder(scope, folder).await?,
            None => None,
        };
        Ok((dashboard, folder))
    }

    /// Lists the tags of all dashboards with how many have each.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_tags(&self, scope: &Scope) -> Result<Vec<TagCount>> {
        scope.require(Permission::DashboardsRead)?;
        self.reader.count_tags(scope).await
    }

    /// Deletes a dashboard, which moves it to the trash.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_dashboard(&self, scope: &Scope, uid: &str) -> Result<DeletedDashboard> {
        scope.require(Permission::DashboardsDelete)?;
        let uid = &parse_uid(uid)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut dashboard = unit.load::<Dashboard>(uid).await?;
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
}

/// A uid in a path. One that cannot be a uid names nothing.
pub(crate) fn parse_uid(uid: &str) -> Result<Uid> {
    Uid::try_new(uid).map_err(|_| Error::from(DashboardError::NotFound))
}
