//! Folders: creating, changing, moving, deleting and reading them.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::dashboard::{Dashboard, DashboardCommand};
use kymograph_domain::folder::{Folder, FolderCommand, FolderCreated, FolderError};
use kymograph_domain::{OrgId, Timestamp, Uid};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::id_allocator::{IdAllocator, IdKind};
use crate::random::random_uid;
use crate::{Commands, Page, Permission, Scope};

/// A folder as it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FolderView {
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
    /// The description.
    pub description: String,
    /// The folder it is in.
    pub parent_uid: Option<Uid>,
    /// How often it was changed, from 1.
    pub version: i64,
    /// When it was created.
    pub created: Timestamp,
    /// The login of who created it.
    pub created_by: String,
    /// When it was last changed.
    pub updated: Timestamp,
    /// The login of who changed it last.
    pub updated_by: String,
}

/// How much is inside a folder, at any depth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderCounts {
    /// Folders.
    pub folders: i64,
    /// Dashboards.
    pub dashboards: i64,
}

/// The uids of all that is inside a folder, at any depth.
#[derive(Clone, Debug, Default)]
pub struct FolderContents {
    /// Folders.
    pub folders: Vec<Uid>,
    /// Dashboards.
    pub dashboards: Vec<Uid>,
}

/// Reads folders.
#[async_trait]
pub trait FolderReader: Send + Sync {
    /// The folder of that uid.
    async fn find_folder(&self, scope: &Scope, uid: &Uid) -> Result<Option<Arc<FolderView>>>;
    /// Those of some folders that are there.
    async fn find_folders(&self, scope: &Scope, uids: Vec<Uid>) -> Result<HashMap<Uid, Arc<FolderView>>>;
    /// The folder of that numeric id.
    async fn find_folder_by_id(&self, scope: &Scope, id: i64) -> Result<Option<FolderView>>;
    /// The folders directly inside another, or at the root, by title.
    async fn list_folders(&self, scope: &Scope, parent: Option<&Uid>, page: Page) -> Result<Vec<FolderView>>;
    /// How much is inside a folder.
    async fn count_descendants(&self, scope: &Scope, uid: &Uid) -> Result<FolderCounts>;
    /// What is inside a folder.
    async fn list_descendants(&self, scope: &Scope, uid: &Uid) -> Result<FolderContents>;
}

/// A folder to create.
#[derive(Clone, Debug)]
pub struct NewFolder {
    /// The uid; `None` has one generated.
    pub uid: Option<String>,
    /// The title.
    pub title: String,
    /// The description.
    pub description: String,
    /// The folder to create it in.
    pub parent_uid: Option<String>,
}

/// A change of a folder.
#[derive(Clone, Debug)]
pub struct FolderChange {
    /// The new title, `None` to leave it.
    pub title: Option<String>,
    /// The new description, `None` to leave it.
    pub description: Option<String>,
    /// The version the client has seen; `None` overwrites whatever is there.
    pub expected_version: Option<i64>,
}

/// What is left to say of a deleted folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedFolder {
    /// The numeric id it had.
    pub id: i64,
    /// The title it had.
    pub title: String,
}

/// The use cases of folders.
pub struct Folders {
    commands: Commands,
    reader: Arc<dyn FolderReader>,
    ids: Arc<dyn IdAllocator>,
}

impl Folders {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, reader: Arc<dyn FolderReader>, ids: Arc<dyn IdAllocator>) -> Self {
        Self { commands, reader, ids }
    }

    /// Creates a folder and returns its uid.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_folder(&self, scope: &Scope, new: &NewFolder) -> Result<Uid> {
        scope.require(Permission::FoldersCreate)?;
        let uid = match new.uid.as_deref().filter(|uid| !uid.is_empty()) {
            Some(uid) => Uid::try_new(uid)?,
            None => random_uid()?,
        };
        let parent_uid = parse_parent(new.parent_uid.as_deref())?;
        let (uid, parent_uid) = (&uid, &parent_uid);
        self.commands
            .run(scope, |mut unit| async move {
                let mut folder = unit.load::<Folder>(uid).await?;
                if let Some(parent) = parent_uid {
                    must_exist(&*unit.load::<Folder>(parent).await?)?;
                }
                let id =
                    if folder.exists { 0 } else { self.ids.next_id(scope.org(), IdKind::Object).await? };
                folder
                    .tell(FolderCommand::Create(FolderCreated {
                        id,
                        uid: uid.clone(),
                        title: new.title.trim().to_owned(),
                        description: new.description.clone(),
                        parent_uid: parent_uid.clone(),
                    }))
                    .await?;
                unit.record(folder)?;
                Ok(unit.decided(uid.clone()))
            })
            .await
    }

    /// Changes a folder's title or description.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn update_folder(&self, scope: &Scope, uid: &str, change: &FolderChange) -> Result<()> {
        scope.require(Permission::FoldersWrite)?;
        let uid = &parse_uid(uid)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut folder = unit.load::<Folder>(uid).await?;
                folder
                    .tell(FolderCommand::Update {
                        title: change.title.as_deref().map(|title| title.trim().to_owned()),
                        description: change.description.clone(),
                        expected_version: change.expected_version,
                    })
                    .await?;
                unit.record(folder)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Puts a folder into another one, or at the root.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn move_folder(&self, scope: &Scope, uid: &str, parent_uid: Option<&str>) -> Result<()> {
        scope.require(Permission::FoldersWrite)?;
        let uid = &parse_uid(uid)?;
        let parent_uid = &parse_parent(parent_uid)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut folder = unit.load::<Folder>(uid).await?;
                must_exist(&folder)?;
                if let Some(parent) = parent_uid.as_ref().filter(|parent| *parent != uid)
                    && !unit.load::<Folder>(parent).await?.exists
                {
                    return Err(FolderError::ParentNotFound.into());
                }
                folder.tell(FolderCommand::Move { parent_uid: parent_uid.clone() }).await?;
                unit.record(folder)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Deletes a folder with all that is inside it, in one commit.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_folder(&self, scope: &Scope, uid: &str) -> Result<DeletedFolder> {
        scope.require(Permission::FoldersDelete)?;
        let uid = &parse_uid(uid)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut folder = unit.load::<Folder>(uid).await?;
                let deleted = DeletedFolder { id: folder.id, title: folder.title.clone() };
                folder.tell(FolderCommand::Delete).await?;
                let contents = self.reader.list_descendants(scope, uid).await?;
                let keys: Vec<_> = contents.dashboards.iter().collect();
                for mut dashboard in unit.load_many::<Dashboard>(&keys).await? {
                    dashboard.tell(DashboardCommand::Delete).await?;
                    unit.record(dashboard)?;
                }
                // The innermost folders come last in the list and must go first.
                let keys: Vec<_> = contents.folders.iter().rev().collect();
                for mut inner in unit.load_many::<Folder>(&keys).await? {
                    inner.tell(FolderCommand::Delete).await?;
                    unit.record(inner)?;
                }
                unit.record(folder)?;
                Ok(unit.decided(deleted))
            })
            .await
    }

    /// Reads a folder with the folders it is in, outermost first.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_folder(
        &self,
        scope: &Scope,
        uid: &str,
    ) -> Result<(Arc<FolderView>, Vec<Arc<FolderView>>)> {
        scope.require(Permission::FoldersRead)?;
        let folder = self.find(scope, &parse_uid(uid)?).await?;
        let mut parents = Vec::new();
        let mut next = folder.parent_uid.clone();
        while let Some(parent) = next.take().filter(|_| parents.len() < kymograph_domain::folder::MAX_DEPTH) {
            // A parent can be deleted between two reads; what was read so far is then all there is to say.
            let Some(parent) = self.reader.find_folder(scope, &parent).await? else { break };
            next.clone_from(&parent.parent_uid);
            parents.push(parent);
        }
        parents.reverse();
        Ok((folder, parents))
    }

    /// Reads a folder by its numeric id.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_folder_by_id(&self, scope: &Scope, id: i64) -> Result<FolderView> {
        scope.require(Permission::FoldersRead)?;
        self.reader.find_folder_by_id(scope, id).await?.ok_or_else(|| FolderError::NotFound.into())
    }

    /// Lists the folders inside another, or at the root.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_folders(
        &self,
        scope: &Scope,
        parent_uid: Option<&str>,
        page: Page,
    ) -> Result<Vec<FolderView>> {
        scope.require(Permission::FoldersRead)?;
        let parent_uid = parse_parent(parent_uid)?;
        if let Some(parent) = &parent_uid {
            self.find(scope, parent).await?;
        }
        self.reader.list_folders(scope, parent_uid.as_ref(), page).await
    }

    /// Counts what is inside a folder.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn count_descendants(&self, scope: &Scope, uid: &str) -> Result<FolderCounts> {
        scope.require(Permission::FoldersRead)?;
        let uid = parse_uid(uid)?;
        self.find(scope, &uid).await?;
        self.reader.count_descendants(scope, &uid).await
    }

    async fn find(&self, scope: &Scope, uid: &Uid) -> Result<Arc<FolderView>> {
        self.reader.find_folder(scope, uid).await?.ok_or_else(|| FolderError::NotFound.into())
    }
}

/// A uid in a path. One that cannot be a uid names nothing.
fn parse_uid(uid: &str) -> Result<Uid> {
    Uid::try_new(uid).map_err(|_| FolderError::NotFound.into())
}

/// The parent that a client names. Nothing and `general` both mean the root.
fn parse_parent(uid: Option<&str>) -> Result<Option<Uid>> {
    match uid {
        None | Some("" | kymograph_domain::folder::GENERAL_UID) => Ok(None),
        Some(uid) => Uid::try_new(uid).map(Some).map_err(Error::from),
    }
}

fn must_exist(folder: &Folder) -> Result<()> {
    if folder.exists { Ok(()) } else { Err(FolderError::ParentNotFound.into()) }
}
