//! Folders as they were.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kymograph_domain::content::folder::MAX_DEPTH;
use kymograph_domain::{AccessLevel, Uid};

use super::{FolderRight, FolderView, Folders, parse_parent, parse_uid};
use crate::kernel::error::Result;
use crate::kernel::moment::Then;
use crate::kernel::scope::denied;
use crate::rights::authorization::ContentFilter;
use crate::{Page, Permission, Scope};

/// All folders of an org at some time.
#[derive(Debug, Default)]
pub struct FolderTree {
    /// Those that were there.
    pub folders: HashMap<Uid, Arc<FolderView>>,
    /// Those that had been deleted.
    pub gone: HashSet<Uid>,
}

impl FolderTree {
    /// A folder that was there.
    #[must_use]
    pub fn find(&self, uid: &Uid) -> Option<&Arc<FolderView>> {
        self.folders.get(uid)
    }

    /// Those with these numeric ids.
    pub(crate) fn only(&self, ids: &HashSet<i64>) -> Self {
        let is_kept = |(_, folder): &(&Uid, &Arc<FolderView>)| ids.contains(&folder.id);
        let folders = self.folders.iter().filter(is_kept);
        Self {
            folders: folders.map(|(uid, folder)| (uid.clone(), folder.clone())).collect(),
            gone: HashSet::new(),
        }
    }

    fn then(&self, uid: &Uid) -> Then<Arc<FolderView>> {
        match self.find(uid) {
            Some(folder) => Then::There(folder.clone()),
            None if self.gone.contains(uid) => Then::Gone,
            None => Then::NotYet,
        }
    }

    /// A folder that was there and is among those whose past the actor may see.
    fn require(&self, uid: &str, allowed: &Self) -> Result<Arc<FolderView>> {
        let folder = self.then(&parse_uid(uid)?).there("folder")?;
        if allowed.find(&folder.uid).is_none() {
            return Err(denied(Permission::FoldersWrite));
        }
        Ok(folder)
    }

    /// The folders that a folder was in, the outermost first.
    fn parents(&self, folder: &FolderView) -> Vec<Arc<FolderView>> {
        let parent = |folder: &FolderView| self.find(folder.parent_uid.as_ref()?).cloned();
        let mut parents: Vec<_> =
            std::iter::successors(parent(folder), |folder| parent(folder)).take(MAX_DEPTH).collect();
        parents.reverse();
        parents
    }
}

impl Folders {
    /// Reads a folder with the folders it was in, outermost first, as of a time, for who may change it now, with the rights
    /// of now; `None` for those that the actor may not change now.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_folder_at(
        &self,
        scope: &Scope,
        uid: &str,
        at: &str,
    ) -> Result<(FolderRight, Vec<Option<FolderRight>>)> {
        let position = self.moments.resolve(scope, at).await?;
        let (tree, allowed) = self.trees_at(scope, position).await?;
        let folder = tree.require(uid, &allowed)?;
        let mut parents = Vec::new();
        for parent in tree.parents(&folder) {
            let is_allowed = allowed.find(&parent.uid).is_some();
            parents.push(if is_allowed { Some(self.with_right(scope, parent).await?) } else { None });
        }
        Ok((self.with_right(scope, folder).await?, parents))
    }

    /// The folders there were at a position, and those of them that the actor may change now, and so look at the past of.
    async fn trees_at(&self, scope: &Scope, position: i64) -> Result<(Arc<FolderTree>, Arc<FolderTree>)> {
        let filter = ContentFilter::of(scope, AccessLevel::Edit);
        let tree = self.reader.folders_at(scope, position).await?;
        let allowed = self.reader.allowed_folders_at(scope, position, &filter).await?;
        Ok((tree, allowed))
    }

    /// Lists the folders that were inside another, or at the root, as of a time, and that the actor may change now.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_folders_at(
        &self,
        scope: &Scope,
        parent_uid: Option<&str>,
        page: Page,
        at: &str,
    ) -> Result<Vec<FolderView>> {
        scope.require_member(Permission::FoldersRead)?;
        let position = self.moments.resolve(scope, at).await?;
        let parent_uid = parse_parent(parent_uid)?;
        if let Some(parent) = &parent_uid {
            let (tree, allowed) = self.trees_at(scope, position).await?;
            tree.require(parent.as_str(), &allowed)?;
        }
        let filter = ContentFilter::of(scope, AccessLevel::Edit);
        let tree = self.reader.allowed_folders_at(scope, position, &filter).await?;
        let mut inside: Vec<_> =
            tree.folders.values().filter(|folder| folder.parent_uid == parent_uid).collect();
        inside.sort_by(|one, other| (&one.title, &one.uid).cmp(&(&other.title, &other.uid)));
        let number = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let inside = inside.into_iter().skip(number(page.offset())).take(number(page.size));
        Ok(inside.map(|folder| FolderView::clone(folder)).collect())
    }
}
