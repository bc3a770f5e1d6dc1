//! Searching dashboards and folders.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::{AccessLevel, Uid};

use crate::authorization::ContentFilter;
use crate::error::Result;
use crate::{Authorization, Page, Scope};

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
    /// Whether only what the actor may change is wanted.
    pub editable: bool,
}

/// A dashboard or folder that was found.
#[derive(Clone, Debug)]
pub struct SearchHit {
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
    /// Whether the actor starred it.
    pub is_starred: bool,
    /// The folder it is in.
    pub folder: Option<SearchHitFolder>,
}

/// The folder that a hit is in.
#[derive(Clone, Debug)]
pub struct SearchHitFolder {
    /// The numeric id.
    pub id: i64,
    /// The uid.
    pub uid: Uid,
    /// The title.
    pub title: String,
    /// The readable part of its address.
    pub slug: String,
}

/// Searches read models.
#[async_trait]
pub trait SearchReader: Send + Sync {
    /// The hits of a page that a filter lets through: folders first, then by title.
    async fn search(
        &self,
        scope: &Scope,
        query: &SearchQuery,
        filter: &ContentFilter,
        page: Page,
    ) -> Result<Vec<SearchHit>>;
}

/// The use cases of searching.
pub struct Searches {
    reader: Arc<dyn SearchReader>,
    authorization: Arc<Authorization>,
}

impl Searches {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(reader: Arc<dyn SearchReader>, authorization: Arc<Authorization>) -> Self {
        Self { reader, authorization }
    }

    /// Searches dashboards and folders that the actor may read.
    pub async fn search(&self, scope: &Scope, mut query: SearchQuery, page: Page) -> Result<Vec<SearchHit>> {
        // The trash holds dashboards only, and is shown to who can take them out of it.
        query.folders &= !query.deleted;
        if !query.folders && !query.dashboards {
            return Ok(Vec::new());
        }
        let is_edit = query.editable || query.deleted;
        let level = if is_edit { AccessLevel::Edit } else { AccessLevel::View };
        let filter = self.authorization.filter(scope, level).await?;
        self.reader.search(scope, &query, &filter, page).await
    }
}
