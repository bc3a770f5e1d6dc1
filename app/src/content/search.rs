//! Searching dashboards and folders.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::{AccessLevel, Uid};

use crate::content::folder::{FolderReader, FolderView, PastFolders};
use crate::content::star::{StarReader, StarredDashboards};
use crate::kernel::answer;
use crate::kernel::error::{Error, Result};
use crate::kernel::moment::Moments;
use crate::kernel::text::{MAX_SEARCHED_CHARACTERS, searched_words};
use crate::rights::authorization::ContentFilter;
use crate::{Page, Scope};

/// The maximum number of tags in a query: each dashboard is checked for each of them.
pub(crate) const MAX_TAGS: usize = 20;
/// The maximum number of uids or ids of dashboards or folders.
pub(crate) const MAX_NAMED: usize = 1000;

/// A search query.
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    /// Words of the title, in any case.
    pub text: String,
    /// Tags that a dashboard has all of, in which `*` stands for any text.
    pub tags: Vec<String>,
    /// Uids, one of which it must have.
    pub uids: Vec<String>,
    /// Numeric ids, one of which it must have.
    pub ids: Vec<i64>,
    /// Folders, one of which it must be in; `general` is the root.
    pub folder_uids: Vec<String>,
    /// Folders by numeric id: the folders themselves, and the dashboards in them; 0 is the root.
    pub folder_ids: Vec<i64>,
    /// Whether only objects that the actor has starred are wanted.
    pub starred: bool,
    /// Whether objects in the trash are wanted, instead of the others.
    pub deleted: bool,
    /// Whether folders are wanted.
    pub folders: bool,
    /// Whether dashboards are wanted.
    pub dashboards: bool,
    /// Whether only objects that the actor may change are wanted.
    pub editable: bool,
    /// The order of hits; by default folders come first.
    pub sort: Option<SearchSort>,
}

impl SearchQuery {
    /// True if the query excludes nothing of the kinds that it includes.
    #[must_use]
    pub fn is_all(&self) -> bool {
        let Self { text, tags, uids, ids, folder_uids, folder_ids, starred, deleted, sort, .. } = self;
        let names_nothing = [tags, uids, folder_uids].iter().all(|list| list.is_empty())
            && [ids, folder_ids].iter().all(|list| list.is_empty());
        text.trim().is_empty() && names_nothing && !starred && !deleted && sort.is_none()
    }
}

/// The order of hits.
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

/// A found object with the further data shown to clients.
#[derive(Clone, Debug)]
pub struct SearchHit {
    /// The found object.
    pub found: FoundObject,
    /// Whether the actor starred it.
    pub is_starred: bool,
    /// The folder it is in.
    pub folder: Option<Arc<FolderView>>,
}

/// A point in time at which dashboards and folders are searched.
pub struct SearchedPast {
    /// The position in the log.
    pub position: i64,
    /// The folders at that time.
    pub folders: PastFolders,
}

/// Searches read models.
#[async_trait]
pub trait SearchReader: Send + Sync {
    /// A page of the objects that pass a filter, now or in the past. It does not resolve stars: the caller passes ids
    /// instead.
    async fn search(
        &self,
        scope: &Scope,
        query: &SearchQuery,
        filter: &ContentFilter,
        past: Option<&SearchedPast>,
        page: Page,
    ) -> Result<Vec<FoundObject>>;
}

/// The use cases of searching.
pub struct Searches {
    reader: Arc<dyn SearchReader>,
    folders: Arc<dyn FolderReader>,
    stars: Arc<dyn StarReader>,
    moments: Arc<Moments>,
}

impl Searches {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        reader: Arc<dyn SearchReader>,
        folders: Arc<dyn FolderReader>,
        stars: Arc<dyn StarReader>,
        moments: Arc<Moments>,
    ) -> Self {
        Self { reader, folders, stars, moments }
    }

    /// Searches dashboards and folders that the actor may read, or, at an earlier time, those that it may change.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn search(
        &self,
        scope: &Scope,
        mut query: SearchQuery,
        at: Option<&str>,
        page: Page,
    ) -> Result<Vec<SearchHit>> {
        query.check()?;
        query.text = searched_words(&query.text).into_owned();
        if at.is_some() && query.deleted {
            return Err(Error::invalid("at cannot be combined with deleted: the trash has no history"));
        }
        // The trash contains only dashboards, and is shown to those who can restore them.
        query.folders &= !query.deleted;
        if !query.folders && !query.dashboards {
            return Ok(Vec::new());
        }
        // An old title or place may be of a folder that was closed to those who may view the object today.
        let is_edit = query.editable || query.deleted || at.is_some();
        let level = if is_edit { AccessLevel::Edit } else { AccessLevel::View };
        let filter = ContentFilter::of(scope, level);
        let past = match at {
            Some(at) => Some(self.find_past(scope, at, &filter).await?),
            None => None,
        };
        let stars = self.stars.find_stars(scope).await?;
        if query.starred {
            query.only_starred(&stars);
            if query.ids.is_empty() {
                return Ok(Vec::new());
            }
        }
        let found = self.reader.search(scope, &query, &filter, past.as_ref(), page).await?;
        let folders = self.find_folders(scope, &found, past.as_ref()).await?;
        answer::reserve(repeated_bytes(&found, &folders)).await?;
        let hit = |found: FoundObject| SearchHit {
            is_starred: !found.is_folder && stars.get(&found.uid) == Some(&found.id),
            folder: found.folder_uid.as_ref().and_then(|folder| folders.get(folder).cloned()),
            found,
        };
        Ok(found.into_iter().map(hit).collect())
    }

    /// The past, limited to objects that the actor may change today.
    async fn find_past(&self, scope: &Scope, at: &str, filter: &ContentFilter) -> Result<SearchedPast> {
        let position = self.moments.resolve(scope, at).await?;
        let folders = self.folders.allowed_folders_at(scope, position, filter).await?;
        Ok(SearchedPast { position, folders })
    }

    /// The folders of the found objects.
    async fn find_folders(
        &self,
        scope: &Scope,
        found: &[FoundObject],
        past: Option<&SearchedPast>,
    ) -> Result<HashMap<Uid, Arc<FolderView>>> {
        let uids: BTreeSet<_> = found.iter().filter_map(|found| found.folder_uid.clone()).collect();
        match past {
            None => self.folders.find_folders(scope, uids.into_iter().collect()).await,
            Some(past) => {
                let folder = |uid| past.folders.find(&uid).map(|folder| (uid, folder.clone()));
                Ok(uids.into_iter().filter_map(folder).collect())
            }
        }
    }
}

/// The total size in bytes of the folders in the response: each hit repeats its folder.
fn repeated_bytes(found: &[FoundObject], folders: &HashMap<Uid, Arc<FolderView>>) -> usize {
    let folders = found.iter().filter_map(|found| folders.get(found.folder_uid.as_ref()?));
    folders.map(|folder| folder.title.len() + folder.slug.len()).sum()
}

impl SearchQuery {
    fn check(&self) -> Result<()> {
        for (what, count, max) in [
            ("tag", self.tags.len(), MAX_TAGS),
            ("dashboardUIDs", self.uids.len(), MAX_NAMED),
            ("dashboardIds", self.ids.len(), MAX_NAMED),
            ("folderUIDs", self.folder_uids.len(), MAX_NAMED),
            ("folderIds", self.folder_ids.len(), MAX_NAMED),
        ] {
            if count > max {
                return Err(Error::invalid(format!("{what} can have at most {max} values")));
            }
        }
        if self.tags.iter().any(|tag| tag.chars().count() > MAX_SEARCHED_CHARACTERS) {
            return Err(Error::invalid(format!("tag can have at most {MAX_SEARCHED_CHARACTERS} characters")));
        }
        Ok(())
    }

    /// Limits the search to these dashboards. They are identified by their ids, because a uid can be reused.
    fn only_starred(&mut self, stars: &StarredDashboards) {
        let is_wanted = |id: &i64| self.ids.is_empty() || self.ids.contains(id);
        self.ids = stars.values().copied().filter(is_wanted).collect();
        self.folders = false;
    }
}
