//! Folders as they were.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kymograph_domain::Uid;
use kymograph_domain::folder::MAX_DEPTH;

use super::{FolderView, Folders, parse_parent, parse_uid};
use crate::error::{ErrorKind, Result};
use crate::moment::Then;
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

    fn then(&self, uid: &Uid) -> Then<Arc<FolderView>> {
        match self.find(uid) {
            Some(folder) => Then::There(folder.clone()),
            None if self.gone.contains(uid) => Then::Gone,
            None => Then::NotYet,
        }
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
    /// Reads a folder with the folders it was in, outermost first, as of a time, for who may read it now.
    pub async fn get_folder_at(
        &self,
        scope: &Scope,
        uid: &str,
        at: &str,
    ) -> Result<(Arc<FolderView>, Vec<Arc<FolderView>>)> {
        scope.require(Permission::FoldersRead)?;
        let position = self.moments.resolve(scope, at).await?;
        // Today's rights count. Of what is there no more, only the right to read folders at all is left.
        match self.get_folder(scope, uid).await {
            Err(error) if error.kind() != ErrorKind::Missing => return Err(error),
            _ => {}
        }
        let tree = self.reader.folders_at(scope, position).await?;
        let folder = tree.then(&parse_uid(uid)?).there("folder")?;
        let parents = tree.parents(&folder);
        Ok((folder, parents))
    }

    /// Lists the folders that were inside another, or at the root, as of a time.
    pub async fn list_folders_at(
        &self,
        scope: &Scope,
        parent_uid: Option<&str>,
        page: Page,
        at: &str,
    ) -> Result<Vec<FolderView>> {
        scope.require(Permission::FoldersRead)?;
        let position = self.moments.resolve(scope, at).await?;
        let parent_uid = parse_parent(parent_uid)?;
        let tree = self.reader.folders_at(scope, position).await?;
        if let Some(parent) = &parent_uid {
            tree.then(parent).there("folder")?;
        }
        let mut inside: Vec<_> =
            tree.folders.values().filter(|folder| folder.parent_uid == parent_uid).collect();
        inside.sort_by(|one, other| (&one.title, &one.uid).cmp(&(&other.title, &other.uid)));
        let number = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let inside = inside.into_iter().skip(number(page.offset())).take(number(page.size));
        Ok(inside.map(|folder| FolderView::clone(folder)).collect())
    }
}
