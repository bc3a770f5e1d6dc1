//! Folders at an earlier time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kymograph_domain::content::folder::MAX_DEPTH;
use kymograph_domain::{AccessLevel, Uid};

use super::{FolderRight, FolderView, Folders, parse_parent, parse_uid};
use crate::kernel::error::Result;
use crate::kernel::moment::Then;
use crate::kernel::scope::denied;
use crate::kernel::work::Admission;
use crate::rights::authorization::ContentFilter;
use crate::{Page, Permission, Scope};

/// All folders of an org at a point in time, without their descriptions, which can be long.
#[derive(Debug, Default)]
pub struct FolderTree {
    /// Those that existed.
    pub folders: HashMap<Uid, Arc<FolderView>>,
    /// Those that had been deleted.
    pub gone: HashSet<Uid>,
}

/// The folders of an org at a point in time, as far as the actor may read their past.
#[derive(Default)]
pub struct PastFolders {
    tree: Arc<FolderTree>,
    /// The numeric ids of the folders that it may read; `None` for all.
    allowed: Option<HashSet<i64>>,
    /// The admission to hold a large tree in memory.
    _admission: Option<Admission>,
}

impl PastFolders {
    /// A tree, with the admission to hold it if it is large, and the folders that may be read; `None` for all.
    pub(crate) fn new(
        tree: Arc<FolderTree>,
        allowed: Option<HashSet<i64>>,
        admission: Option<Admission>,
    ) -> Self {
        Self { tree, allowed, _admission: admission }
    }

    fn is_allowed(&self, folder: &FolderView) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&folder.id))
    }

    /// A folder that existed.
    #[must_use]
    pub fn find(&self, uid: &Uid) -> Option<&Arc<FolderView>> {
        self.tree.folders.get(uid).filter(|folder| self.is_allowed(folder))
    }

    /// The folders.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<FolderView>> {
        self.tree.folders.values().filter(|folder| self.is_allowed(folder))
    }

    fn then(&self, uid: &Uid) -> Then<&Arc<FolderView>> {
        match self.tree.folders.get(uid) {
            Some(folder) => Then::There(folder),
            None if self.tree.gone.contains(uid) => Then::Gone,
            None => Then::NotYet,
        }
    }

    /// A folder that existed, for an actor who may change the folder that has its uid now, which may be a different
    /// one.
    fn require(&self, uid: &Uid) -> Result<&Arc<FolderView>> {
        let folder = self.then(uid).there("folder")?;
        if self.is_allowed(folder) { Ok(folder) } else { Err(denied(Permission::FOLDERS_WRITE)) }
    }

    /// The folders that a folder was in, the outermost first; `None` for those that the actor may not read.
    fn parents(&self, folder: &FolderView) -> Vec<Option<&Arc<FolderView>>> {
        let parent = |folder: &FolderView| self.tree.folders.get(folder.parent_uid.as_ref()?);
        let parents = std::iter::successors(parent(folder), |folder| parent(folder)).take(MAX_DEPTH);
        let mut parents: Vec<_> =
            parents.map(|parent| Some(parent).filter(|parent| self.is_allowed(parent))).collect();
        parents.reverse();
        parents
    }
}

impl Folders {
    /// Reads a folder with the folders it was in, outermost first, as of a time. The actor must be able to change it
    /// now, with its current rights; `None` for folders that the actor may not change now.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_folder_at(
        &self,
        scope: &Scope,
        uid: &str,
        at: &str,
    ) -> Result<(FolderRight, Vec<Option<FolderRight>>)> {
        let position = self.moments.resolve(scope, at).await?;
        let uid = &parse_uid(uid)?;
        self.require_past(scope, uid).await?;
        let filter = ContentFilter::of(scope, AccessLevel::Edit);
        let past = self.reader.allowed_folders_at(scope, position, &filter).await?;
        let folder = past.require(uid)?;
        let mut parents = Vec::new();
        for parent in past.parents(folder) {
            parents.push(match parent {
                Some(parent) => Some(self.with_right(scope, parent.clone()).await?),
                None => None,
            });
        }
        let description = self.reader.find_description_at(scope, uid, position).await?;
        let folder = FolderView { description, ..FolderView::clone(folder) };
        Ok((self.with_right(scope, Arc::new(folder)).await?, parents))
    }

    /// Fails unless the actor may change the folder now: the times of its creation and deletion are not disclosed to
    /// others.
    async fn require_past(&self, scope: &Scope, uid: &Uid) -> Result<()> {
        if scope.administers_content() {
            return Ok(());
        }
        match self.level(scope, uid).await? {
            AccessLevel::View => Err(denied(Permission::FOLDERS_WRITE)),
            AccessLevel::Edit | AccessLevel::Admin => Ok(()),
        }
    }

    /// Lists the folders that were inside another, or at the root, as of a time, and that the actor may change now;
    /// without their descriptions.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_folders_at(
        &self,
        scope: &Scope,
        parent_uid: Option<&str>,
        page: Page,
        at: &str,
    ) -> Result<Vec<FolderView>> {
        scope.require_member(Permission::FOLDERS_READ)?;
        let position = self.moments.resolve(scope, at).await?;
        let parent_uid = parse_parent(parent_uid)?;
        if let Some(parent) = &parent_uid {
            self.require_past(scope, parent).await?;
        }
        let filter = ContentFilter::of(scope, AccessLevel::Edit);
        let past = self.reader.allowed_folders_at(scope, position, &filter).await?;
        if let Some(parent) = &parent_uid {
            past.require(parent)?;
        }
        let mut inside: Vec<_> = past.iter().filter(|folder| folder.parent_uid == parent_uid).collect();
        inside.sort_by(|one, other| (&one.title, &one.uid).cmp(&(&other.title, &other.uid)));
        let number = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let inside = inside.into_iter().skip(number(page.offset())).take(number(page.size));
        Ok(inside.map(|folder| FolderView::clone(folder)).collect())
    }
}
