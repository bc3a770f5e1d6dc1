//! Searching dashboards and folders.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::Uid;

use crate::error::Result;
use crate::folder::{FolderReader, FolderView};
use crate::star::{StarReader, StarredDashboards};
use crate::{Page, Permission, Scope};

/// What to look for.
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    /// Words of the title, in any case.
    pub text: String,
    /// Tags that a dashboard has all of, in which `*` stands for any text.
    pub tags: Vec<String>,
    /// Uids, any of which it has.
    pub uids: Vec<String>,
    /// Numeric ids, any of which it has.
    pub ids: Vec<i64>,
    /// Folders, in any of which it is; `general` is the root.
    pub folder_uids: Vec<String>,
    /// Folders by numeric id: the folders themselves, and the dashboards in them; 0 is the root.
    pub folder_ids: Vec<i64>,
    /// Whether only what the actor starred is wanted.
    pub starred: bool,
    /// Whether what is in the trash is wanted, instead of what is not.
    pub deleted: bool,
    /// Whether folders are wanted.
    pub folders: bool,
    /// Whether dashboards are wanted.
    pub dashboards: bool,
    /// How hits are sorted; if it is not said, folders come first.
    pub sort: Option<SearchSort>,
}

/// How hits can be sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchSort {
    /// By title.
    TitleAscending,
    /// By title, from the last to the first.
    TitleDescending,
}

/// A dashboard or folder that was found.
#[derive(Clone, Debug)]
pub struct FoundObject {
    /// The numeric id.
    pub id: i64,
    /// The uid.
    pub uid: Uid,
    /// The title.
    pub title: String,
    /// The readable part of its address.
    pub slug: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// The tags.
    pub tags: Vec<String>,
    /// The folder it is in.
    pub folder_uid: Option<Uid>,
}

/// What was found, with what else a client is shown of it.
#[derive(Clone, Debug)]
pub struct SearchHit {
    /// What was found.
    pub found: FoundObject,
    /// Whether the actor starred it.
    pub is_starred: bool,
    /// The folder it is in.
    pub folder: Option<Arc<FolderView>>,
}

/// Searches read models.
#[async_trait]
pub trait SearchReader: Send + Sync {
    /// What is found for a page. It knows nothing of stars: who asks for them names ids.
    async fn search(&self, scope: &Scope, query: &SearchQuery, page: Page) -> Result<Vec<FoundObject>>;
}

/// The use cases of searching.
pub struct Searches {
    reader: Arc<dyn SearchReader>,
    folders: Arc<dyn FolderReader>,
    stars: Arc<dyn StarReader>,
}

impl Searches {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        reader: Arc<dyn SearchReader>,
        folders: Arc<dyn FolderReader>,
        stars: Arc<dyn StarReader>,
    ) -> Self {
        Self { reader, folders, stars }
    }

    /// Searches dashboards and folders that the actor may read.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn search(&self, scope: &Scope, mut query: SearchQuery, page: Page) -> Result<Vec<SearchHit>> {
        // The trash holds dashboards only, and is shown to who can take them out of it.
        let read = if query.deleted { Permission::DashboardsWrite } else { Permission::DashboardsRead };
        query.folders &= scope.allows(Permission::FoldersRead) && !query.deleted;
        query.dashboards &= scope.allows(read);
        if !query.folders && !query.dashboards {
            return Ok(Vec::new());
        }
        let stars = self.stars.find_stars(scope).await?;
        if query.starred {
            query.only_starred(&stars);
            if query.ids.is_empty() {
                return Ok(Vec::new());
            }
        }
        let found = self.reader.search(scope, &query, page).await?;
        let folders: BTreeSet<_> = found.iter().filter_map(|found| found.folder_uid.as_ref()).collect();
        let folders = self.folders.find_folders(scope, folders.into_iter().cloned().collect()).await?;
        let hit = |found: FoundObject| SearchHit {
            is_starred: !found.is_folder && stars.get(&found.uid) == Some(&found.id),
            folder: found.folder_uid.as_ref().and_then(|folder| folders.get(folder).cloned()),
            found,
        };
        Ok(found.into_iter().map(hit).collect())
    }
}

impl SearchQuery {
    /// Looks for nothing but these dashboards. They are known by their ids, because a uid can be used again.
    fn only_starred(&mut self, stars: &StarredDashboards) {
        let is_wanted = |id: &i64| self.ids.is_empty() || self.ids.contains(id);
        self.ids = stars.values().copied().filter(is_wanted).collect();
        self.folders = false;
    }
}
