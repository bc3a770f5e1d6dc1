//! Folders: creating, changing, moving, deleting and reading them.

mod guarded;
mod past;
mod place;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::content::folder::{Birth, Folder, FolderCommand, FolderCreated, FolderError};
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{AccessLevel, OrgId, StreamId, Timestamp, Uid, UserId};
use serde::{Deserialize, Serialize};

use crate::kernel::ending::Endings;
use crate::kernel::error::{Error, Result};
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::id_allocator::{IdAllocator, IdKind};
use crate::kernel::moment::Moments;
use crate::kernel::noun::Noun;
use crate::kernel::random::uid_or_random;
use crate::kernel::scope::denied;
use crate::kernel::side_write::SideWrite;
use crate::kernel::work::Admission;
use crate::rights::authorization::{ContentFilter, Guarded};
use crate::{Authorization, Commands, Page, Permission, Scope};

pub use guarded::GuardedFolders;
pub use past::{FolderTree, PastFolders};
pub(crate) use place::{another_folder, same_folder};

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
    /// The number of changes, from 1.
    pub version: i64,
    /// When it was created.
    pub created: Timestamp,
    /// The id of its creator.
    pub creator_id: UserId,
    /// The login of its creator.
    pub created_by: String,
    /// When it was last changed.
    pub updated: Timestamp,
    /// The login of the author of its last change.
    pub updated_by: String,
}

/// A folder with the actor's access level.
#[derive(Clone, Debug)]
pub struct FolderRight {
    /// The folder.
    pub folder: Arc<FolderView>,
    /// The actor's access level; `None` without access.
    pub level: Option<AccessLevel>,
}

/// The number of objects inside a folder, at any depth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FolderCounts {
    /// Folders.
    pub folders: i64,
    /// Dashboards.
    pub dashboards: i64,
}

/// The uids of all objects inside a folder, at any depth.
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
    /// Those of some folders that exist.
    async fn find_folders(&self, scope: &Scope, uids: Vec<Uid>) -> Result<HashMap<Uid, Arc<FolderView>>>;
    /// The folder of that numeric id.
    async fn find_folder_by_id(&self, scope: &Scope, id: i64) -> Result<Option<FolderView>>;
    /// The folders directly inside another, or at the root, that pass a filter, by title; without their descriptions,
    /// which can be long. Rights on the parent folder, or on folders around it, are not considered: if they grant
    /// access, nothing has to be filtered.
    async fn list_folders(
        &self,
        scope: &Scope,
        parent: Option<&Uid>,
        filter: &ContentFilter,
        page: Page,
    ) -> Result<Vec<FolderView>>;
    /// The numeric ids of all folders that pass a filter.
    async fn find_allowed(&self, scope: &Scope, filter: &ContentFilter) -> Result<HashSet<i64>>;
    /// All folders as they were at a position of the log, with the admission to hold them in memory if they are many.
    async fn folders_at(&self, scope: &Scope, position: i64) -> Result<(Arc<FolderTree>, Option<Admission>)>;
    /// Those of them that pass a filter today. Deleted folders are only for those who may see everything.
    async fn allowed_folders_at(
        &self,
        scope: &Scope,
        position: i64,
        filter: &ContentFilter,
    ) -> Result<PastFolders> {
        let allowed = if filter.is_unlimited { None } else { Some(self.find_allowed(scope, filter).await?) };
        if allowed.as_ref().is_some_and(HashSet::is_empty) {
            return Ok(PastFolders::default());
        }
        let (tree, admission) = self.folders_at(scope, position).await?;
        Ok(PastFolders::new(tree, allowed, admission))
    }
    /// The description that a folder had at a position of the log.
    async fn find_description_at(&self, scope: &Scope, uid: &Uid, position: i64) -> Result<String>;
    /// A check at commit that the folder with a uid has a numeric id. If it has another one by then, the command is
    /// decided again.
    fn still_is(&self, org: OrgId, uid: &Uid, id: i64) -> SideWrite;
    /// A check at commit that a folder is where it was. If it has moved since, the command is decided again.
    fn stays(&self, org: OrgId, uid: &Uid, id: i64, parent: Option<&Uid>) -> SideWrite;
    /// The latest creations with a uid, the newest first.
    async fn list_births(&self, scope: &Scope, uid: &Uid) -> Result<Vec<Birth>>;
    /// The position of a version of any object in the org's log.
    async fn find_position(&self, scope: &Scope, stream: &StreamId, version: i64) -> Result<Option<i64>>;
    /// The number of objects inside a folder.
    async fn count_descendants(&self, scope: &Scope, uid: &Uid) -> Result<FolderCounts>;
    /// The objects inside a folder.
    async fn list_descendants(&self, scope: &Scope, uid: &Uid) -> Result<FolderContents>;
}

/// A folder to create.
#[derive(Clone, Debug)]
pub struct NewFolder {
    /// The uid; `None` to generate one.
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
    /// The new title; `None` to keep it.
    pub title: Option<String>,
    /// The new description; `None` to keep it.
    pub description: Option<String>,
    /// The version the client has seen; `None` overwrites any version.
    pub expected_version: Option<i64>,
}

/// The result of deleting a folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeletedFolder {
    /// The numeric id it had.
    pub id: i64,
    /// The title it had.
    pub title: String,
}

/// The history of folders.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: Folder::TYPE,
    missing: "folder not found",
    key: KeyOf::Uid,
    read: Some(Permission::FOLDERS_WRITE),
    write: Some(Permission::FOLDERS_WRITE),
    create: Some(Permission::FOLDERS_CREATE),
};

impl Noun for Folder {
    /// Restored content may have belonged to anybody, and so may its rights.
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        scope.require_administers_content(Permission::FOLDERS_WRITE)
    }
}

/// The use cases of folders.
pub struct Folders {
    commands: Commands,
    reader: Arc<dyn FolderReader>,
    authorization: Arc<Authorization>,
    moments: Arc<Moments>,
    ids: Arc<dyn IdAllocator>,
    endings: Endings,
}

impl Folders {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        commands: Commands,
        reader: Arc<dyn FolderReader>,
        authorization: Arc<Authorization>,
        moments: Arc<Moments>,
        ids: Arc<dyn IdAllocator>,
        endings: Endings,
    ) -> Self {
        Self { commands, reader, authorization, moments, ids, endings }
    }

    /// Creates a folder and returns its uid.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_folder(&self, scope: &Scope, new: &NewFolder) -> Result<Uid> {
        let uid = uid_or_random(new.uid.as_deref())?;
        let parent_uid = parse_parent(new.parent_uid.as_deref())?;
        let (uid, parent_uid) = (&uid, &parent_uid);
        self.commands
            .run(scope, |mut unit| async move {
                let mut folder = unit.load::<Folder>(uid).await?;
                if let Some(parent) = parent_uid {
                    must_exist(&*unit.load::<Folder>(parent).await?)?;
                }
                let (parent, permission) = (parent_uid.as_ref(), Permission::FOLDERS_CREATE);
                self.authorization.require_place_in(scope, &mut unit, parent, permission).await?;
                let id =
                    if folder.exists { 0 } else { self.ids.next_id(scope.org(), IdKind::Object).await? };
                folder
                    .tell(FolderCommand::Create(FolderCreated {
                        id,
                        uid: uid.clone(),
                        title: new.title.trim().to_owned(),
                        description: new.description.clone(),
                        parent_uid: parent_uid.clone(),
                        restores: None,
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
        let uid = &parse_uid(uid)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut folder = unit.load::<Folder>(uid).await?;
                self.require_edit(scope, &folder, Permission::FOLDERS_WRITE).await?;
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

    /// Moves a folder into another one, or to the root.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn move_folder(&self, scope: &Scope, uid: &str, parent_uid: Option<&str>) -> Result<()> {
        let uid = &parse_uid(uid)?;
        let parent_uid = &parse_parent(parent_uid)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut folder = unit.load::<Folder>(uid).await?;
                self.require_edit(scope, &folder, Permission::FOLDERS_WRITE).await?;
                if let Some(parent) = parent_uid.as_ref().filter(|parent| *parent != uid) {
                    must_exist(&*unit.load::<Folder>(parent).await?)?;
                }
                if folder.parent_uid != *parent_uid {
                    let (parent, permission) = (parent_uid.as_ref(), Permission::FOLDERS_CREATE);
                    self.authorization.require_place_in(scope, &mut unit, parent, permission).await?;
                    // An actor whose right is revoked meanwhile must not move the folder away.
                    let (kind, permission) = (ResourceKind::Folder, Permission::FOLDERS_WRITE);
                    self.authorization.rest_on_right(scope, &mut unit, kind, uid, permission)?;
                }
                folder.tell(FolderCommand::Move { parent_uid: parent_uid.clone() }).await?;
                unit.record(folder)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Deletes a folder with all its contents, in one commit.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_folder(&self, scope: &Scope, uid: &str) -> Result<DeletedFolder> {
        let uid = &parse_uid(uid)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut folder = unit.load::<Folder>(uid).await?;
                let (kind, permission) = (ResourceKind::Folder, Permission::FOLDERS_DELETE);
                self.require_edit(scope, &folder, permission).await?;
                self.authorization.rest_on_right(scope, &mut unit, kind, uid, permission)?;
                let deleted = DeletedFolder { id: folder.id, title: folder.title.clone() };
                folder.tell(FolderCommand::Delete).await?;
                let contents = self.reader.list_descendants(scope, uid).await?;
                // The innermost folders come last in the list and must go first.
                let keys: Vec<_> = contents.folders.iter().rev().collect();
                let inner = unit.load_many::<Folder>(&keys).await?;
                let inside = inside(uid, inner.iter().rev().map(|inner| &**inner));
                let endings: Vec<_> = inside.iter().map(Ending::Folder).collect();
                self.endings.tell(&mut unit, scope, &endings).await?;
                for mut inner in inner.into_iter().filter(|inner| inside.contains(&inner.uid)) {
                    inner.tell(FolderCommand::Delete).await?;
                    unit.record(inner)?;
                }
                unit.record(folder)?;
                Ok(unit.decided(deleted))
            })
            .await
    }

    /// Reads a folder with the folders it is in, outermost first; `None` for folders that the actor may not see.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_folder(
        &self,
        scope: &Scope,
        uid: &str,
    ) -> Result<(FolderRight, Vec<Option<FolderRight>>)> {
        let (folder, parents) = self.get_changed_folder(scope, uid).await?;
        may_view(&folder)?;
        Ok((folder, parents))
    }

    /// Reads a folder that the actor has just changed, even if the change took the actor's rights.
    pub async fn get_changed_folder(
        &self,
        scope: &Scope,
        uid: &str,
    ) -> Result<(FolderRight, Vec<Option<FolderRight>>)> {
        let folder = self.find(scope, &parse_uid(uid)?).await?;
        // First, because it loads the surrounding folders into memory.
        let folder = self.with_right(scope, folder).await?;
        let mut parents = Vec::new();
        let mut next = folder.folder.parent_uid.clone();
        while let Some(parent) =
            next.take().filter(|_| parents.len() < kymograph_domain::content::folder::MAX_DEPTH)
        {
            // A parent can be deleted between two reads; then the result ends with the parents read so far.
            let Some(parent) = self.reader.find_folder(scope, &parent).await? else { break };
            next.clone_from(&parent.parent_uid);
            parents.push(Some(self.with_right(scope, parent).await?).filter(|parent| parent.level.is_some()));
        }
        parents.reverse();
        Ok((folder, parents))
    }

    /// The actor's access level at the root, which is not a folder.
    pub fn get_root(&self, scope: &Scope) -> Result<AccessLevel> {
        scope.require_member(Permission::FOLDERS_READ)?;
        Ok(if scope.administers_content() {
            AccessLevel::Admin
        } else if scope.allows(Permission::FOLDERS_CREATE) {
            AccessLevel::Edit
        } else {
            AccessLevel::View
        })
    }

    /// Reads a folder by its numeric id.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_folder_by_id(&self, scope: &Scope, id: i64) -> Result<FolderRight> {
        let folder = self.reader.find_folder_by_id(scope, id).await?.ok_or(FolderError::NotFound)?;
        let folder = self.with_right(scope, Arc::new(folder)).await?;
        may_view(&folder)?;
        Ok(folder)
    }

    /// Lists the folders inside another, or at the root, on which the actor has at least this access level.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_folders(
        &self,
        scope: &Scope,
        parent_uid: Option<&str>,
        level: AccessLevel,
        page: Page,
    ) -> Result<Vec<FolderView>> {
        scope.require_member(Permission::FOLDERS_READ)?;
        let parent_uid = parse_parent(parent_uid)?;
        let mut filter = ContentFilter::of(scope, level);
        if let Some(parent) = &parent_uid {
            // Rights on a folder include all folders inside.
            let inherited = self.find_visible(scope, parent).await?.level;
            filter.is_unlimited |= inherited.is_some_and(|inherited| inherited >= level);
        }
        self.reader.list_folders(scope, parent_uid.as_ref(), &filter, page).await
    }

    /// Counts the objects inside a folder. Those who may see the folder may see all of them.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn count_descendants(&self, scope: &Scope, uid: &str) -> Result<FolderCounts> {
        let uid = parse_uid(uid)?;
        self.find_visible(scope, &uid).await?;
        self.reader.count_descendants(scope, &uid).await
    }

    async fn find_visible(&self, scope: &Scope, uid: &Uid) -> Result<FolderRight> {
        let folder = self.find(scope, uid).await?;
        let folder = self.with_right(scope, folder).await?;
        may_view(&folder)?;
        Ok(folder)
    }

    /// The actor's access level on an existing folder.
    pub(crate) async fn level(&self, scope: &Scope, uid: &Uid) -> Result<AccessLevel> {
        let folder = self.find(scope, uid).await?;
        self.with_right(scope, folder).await?.level.ok_or_else(|| denied(Permission::FOLDERS_READ))
    }

    async fn with_right(&self, scope: &Scope, folder: Arc<FolderView>) -> Result<FolderRight> {
        let level = self.authorization.level(scope, Guarded::Folder(&folder.uid)).await?;
        Ok(FolderRight { folder, level })
    }

    /// Fails unless the folder exists and the actor may change it.
    async fn require_edit(&self, scope: &Scope, folder: &Folder, permission: Permission) -> Result<()> {
        if !folder.exists {
            return Err(FolderError::NotFound.into());
        }
        let guarded = Guarded::Folder(&folder.uid);
        self.authorization.require(scope, guarded, permission).await.map(drop)
    }

    async fn find(&self, scope: &Scope, uid: &Uid) -> Result<Arc<FolderView>> {
        self.reader.find_folder(scope, uid).await?.ok_or_else(|| FolderError::NotFound.into())
    }
}

/// Parses a uid in a path. Text that is not a valid uid is reported as not found.
fn parse_uid(uid: &str) -> Result<Uid> {
    Uid::try_new(uid).map_err(|_| FolderError::NotFound.into())
}

/// Parses the parent that a client names. An empty value and `general` both mean the root.
fn parse_parent(uid: Option<&str>) -> Result<Option<Uid>> {
    match uid {
        None | Some("" | kymograph_domain::content::folder::GENERAL_UID) => Ok(None),
        Some(uid) => Uid::try_new(uid).map(Some).map_err(Error::from),
    }
}

/// The uids of a folder and of those of `folders`, given outermost first, that are inside it at any depth. Their states
/// are authoritative, not the list they were found by, which may not yet include the latest moves.
fn inside<'a>(uid: &Uid, folders: impl Iterator<Item = &'a Folder>) -> HashSet<Uid> {
    let mut inside = HashSet::from([uid.clone()]);
    for folder in folders {
        if folder.parent_uid.as_ref().is_some_and(|parent| inside.contains(parent)) {
            inside.insert(folder.uid.clone());
        }
    }
    inside
}

fn may_view(folder: &FolderRight) -> Result<()> {
    if folder.level.is_some() { Ok(()) } else { Err(denied(Permission::FOLDERS_READ)) }
}

fn must_exist(folder: &Folder) -> Result<()> {
    if folder.exists { Ok(()) } else { Err(FolderError::ParentNotFound.into()) }
}
