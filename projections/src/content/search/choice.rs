//! The choice of the statement that reads the fewest rows for a search.

use kymograph_app::content::search::{SearchQuery, SearchSort};

use super::statement::{self, FolderStatements, Way};
use crate::kernel::database::Planning;
use crate::kernel::sql::Tables;

/// The features of a search that decide on its statement.
pub(super) struct Searched<'a> {
    pub(super) query: &'a SearchQuery,
    /// Whether the search has words.
    pub(super) has_words: bool,
    /// Whether words may also be in the tags of a dashboard.
    pub(super) words_in_tags: bool,
    /// Whether the actor may see everything.
    pub(super) is_unlimited: bool,
    /// Whether the actor may see so little that all of it can be scanned.
    pub(super) is_little: bool,
    /// Whether the past is searched.
    pub(super) is_past: bool,
    /// Whether the first page is requested.
    pub(super) is_first: bool,
    /// The location of the tables.
    pub(super) tables: Tables,
}

/// The access path to dashboards.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Title,
    WordsAndTags,
    WordsInTags,
    Uid,
    Id,
    /// In the named folders.
    Folder,
    /// In all folders that the actor may see.
    Few,
    Trash,
    Past,
}

impl Searched<'_> {
    /// The access path to dashboards that reads the fewest rows.
    pub(super) fn by(&self) -> By {
        let query = self.query;
        let has_tags = !query.tags.is_empty();
        if self.is_past {
            By::Past
        } else if query.deleted {
            By::Trash
        } else if !query.uids.is_empty() {
            By::Uid
        } else if !query.ids.is_empty() {
            By::Id
        } else if !query.folder_uids.is_empty() || !query.folder_ids.is_empty() {
            By::Folder
        } else if self.is_little {
            By::Few
        } else if self.words_in_tags && self.has_words {
            By::WordsInTags
        } else if self.has_words || has_tags {
            By::WordsAndTags
        } else {
            By::Title
        }
    }

    /// The statement, and how often to plan it. If the best plan depends on lists that are mostly empty, it is planned
    /// each time.
    pub(super) fn statement(&self) -> (&'static str, Planning) {
        let in_tags = self.words_in_tags && self.has_words;
        let has_tags = !self.query.tags.is_empty();
        let by = self.by();
        let way: &'static Way = match by {
            By::Title => &statement::BY_TITLE,
            By::WordsAndTags if self.tables == Tables::Distributed => {
                &statement::BY_WORDS_AND_TAGS_DISTRIBUTED
            }
            By::WordsAndTags => &statement::BY_WORDS_AND_TAGS,
            By::WordsInTags => &statement::BY_WORDS_IN_TAGS,
            By::Uid => &statement::BY_UID,
            By::Id => &statement::BY_ID,
            By::Folder if in_tags => &statement::INSIDE_BY_WORDS_IN_TAGS,
            By::Folder if has_tags => &statement::INSIDE_BY_TAGS,
            By::Folder => &statement::INSIDE,
            By::Few if in_tags => &statement::FEW_BY_WORDS_IN_TAGS,
            By::Few if has_tags => &statement::FEW_BY_TAGS,
            By::Few => &statement::FEW,
            By::Trash => &statement::IN_TRASH,
            By::Past => &statement::IN_PAST,
        };
        let leads_straight = matches!(by, By::Title | By::WordsAndTags | By::Folder | By::Few);
        let planning =
            if self.query.sort.is_none() && leads_straight { Planning::Once } else { Planning::EachTime };
        let sql = match self.query.sort {
            None => &way.dashboards,
            Some(SearchSort::TitleAscending) => &way.ascending,
            Some(SearchSort::TitleDescending) => &way.descending,
        };
        (sql, planning)
    }

    /// The statements on folders, and how often to plan them.
    pub(super) fn folder_statements(&self) -> (&'static FolderStatements, Planning) {
        let query = self.query;
        if !query.uids.is_empty() || !query.ids.is_empty() || !query.folder_ids.is_empty() {
            (&statement::NAMED_FOLDERS, Planning::EachTime)
        } else if !query.folder_uids.is_empty() {
            (&statement::FOLDERS_INSIDE, Planning::Once)
        } else if self.is_little {
            (&statement::FEW_FOLDERS, Planning::Once)
        } else {
            (&statement::FOLDERS, Planning::Once)
        }
    }

    /// Whether [`statement::FIRST_BY_WORDS`] applies.
    pub(super) fn is_first_by_words(&self) -> bool {
        let has_only_words = self.by() == By::WordsAndTags && self.query.tags.is_empty();
        self.is_unlimited && self.is_first && self.query.sort.is_none() && has_only_words
    }
}
