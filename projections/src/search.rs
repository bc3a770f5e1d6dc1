//! Searching dashboards and folders together.

mod part;
mod statement;

use async_trait::async_trait;
use kymograph_app::authorization::ContentFilter;
use kymograph_app::folder::FolderTree;
use kymograph_app::search::{FoundObject, SearchQuery, SearchReader, SearchedPast};
use kymograph_app::{Page, Result, Scope};
use kymograph_domain::OrgId;
use kymograph_domain::folder::GENERAL_UID;
use kymograph_domain::slug::slugify;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::database::{Database, Params};
use crate::resource_permission::filter::FilterParams;
use crate::text::{contains_pattern, optional_uid_column, uid_column, uid_or_empty, wildcard_pattern};
use part::CommonLetters;
use statement::{FIRST_BY_WORDS, Searched};

/// Searches `dashboards` and `folders`.
pub struct PgSearchReader {
    database: Database,
    letters: CommonLetters,
    words_in_tags: bool,
}

impl PgSearchReader {
    /// A reader on this database, which looks for words in the tags of dashboards, too, or in titles alone.
    #[must_use]
    pub fn new(database: Database, words_in_tags: bool) -> Self {
        Self { letters: CommonLetters::new(database.clone()), database, words_in_tags }
    }

    /// The first page of what words find, with folders first, for those who may see all.
    async fn find_first(&self, org: OrgId, query: &SearchQuery, size: i64) -> Result<Vec<Row>> {
        let common = self.letters.of(org).await?;
        let rare_part = |word: &str| contains_pattern(&common.rare_part(word));
        let (words, parts) = (lines(query, contains_pattern), lines(query, rare_part));
        let params: Params<'_> = &[&org.0, &words, &parts, &query.folders, &query.dashboards, &size];
        self.database.read_for(org, FIRST_BY_WORDS, params).await
    }

    /// A page of what is asked for, and maybe more.
    async fn find(
        &self,
        org: OrgId,
        searched: &Searched<'_>,
        filter: &ContentFilter,
        past: Option<&SearchedPast>,
        page: Page,
    ) -> Result<Vec<Row>> {
        let query = searched.query;
        let words = lines(query, contains_pattern);
        let folder_uids: Vec<_> =
            query.folder_uids.iter().map(|uid| if uid == GENERAL_UID { "" } else { uid.as_str() }).collect();
        let (patterns, tags): (Vec<String>, Vec<String>) =
            query.tags.iter().cloned().partition(|tag| tag.contains('*'));
        let patterns: Vec<_> = patterns.iter().map(|tag| wildcard_pattern(tag)).collect();
        // Folders have no tags.
        let folders = query.folders && query.tags.is_empty();
        let (offset, reach) = (page.offset(), page.offset().saturating_add(page.size));
        let own: [&(dyn ToSql + Sync); 13] = [
            &org.0,
            &words,
            &tags,
            &query.uids,
            &query.ids,
            &folder_uids,
            &folders,
            &query.dashboards,
            &page.size,
            &offset,
            &reach,
            &patterns,
            &query.folder_ids,
        ];
        let filter_params = FilterParams::of(filter);
        // The statements of today have no place for a filter that lets all through.
        let is_filtered = !filter.is_unlimited || past.is_some();
        let mut params = if is_filtered { filter_params.after(&own) } else { own.to_vec() };
        let past = past.map(|past| (past.position, FolderColumns::of(&past.folders)));
        if let Some((position, FolderColumns { uids, ids, titles, slugs, parents })) = &past {
            params.extend::<[&(dyn ToSql + Sync); 6]>([position, uids, ids, titles, slugs, parents]);
        }
        let (sql, planning) = searched.statement();
        self.database.read_planned(org, planning, sql, &params).await
    }
}

/// Something of each word that is looked for, as a text of lines.
fn lines(query: &SearchQuery, of: impl Fn(&str) -> String) -> String {
    query.text.split_whitespace().map(of).collect::<Vec<_>>().join("\n")
}

fn found_object(row: &Row) -> Result<FoundObject> {
    let (title, slug): (String, String) = (row.get("title"), row.get("slug"));
    Ok(FoundObject {
        id: row.get("id"),
        uid: uid_column(row, "uid")?,
        // Of a dashboard as it was the title alone is kept.
        slug: if slug.is_empty() { slugify(&title) } else { slug },
        title,
        is_folder: row.get("is_folder"),
        tags: row.get("tags"),
        folder_uid: optional_uid_column(row, "folder_uid")?,
    })
}

/// Folders as columns.
#[derive(Default)]
struct FolderColumns {
    uids: Vec<String>,
    ids: Vec<i64>,
    titles: Vec<String>,
    slugs: Vec<String>,
    parents: Vec<String>,
}

impl FolderColumns {
    fn of(tree: &FolderTree) -> Self {
        let mut columns = Self::default();
        for folder in tree.folders.values() {
            columns.uids.push(folder.uid.to_string());
            columns.ids.push(folder.id);
            columns.titles.push(folder.title.clone());
            columns.slugs.push(folder.slug.clone());
            columns.parents.push(uid_or_empty(folder.parent_uid.as_ref()));
        }
        columns
    }
}

#[async_trait]
impl SearchReader for PgSearchReader {
    async fn search(
        &self,
        scope: &Scope,
        query: &SearchQuery,
        filter: &ContentFilter,
        past: Option<&SearchedPast>,
        page: Page,
    ) -> Result<Vec<FoundObject>> {
        let searched = Searched {
            query,
            has_words: query.text.split_whitespace().next().is_some(),
            words_in_tags: self.words_in_tags,
            is_unlimited: filter.is_unlimited,
            is_past: past.is_some(),
            is_first: page.offset() == 0,
        };
        let rows = if searched.is_first_by_words() {
            self.find_first(scope.org(), query, page.size).await?
        } else {
            self.find(scope.org(), &searched, filter, past, page).await?
        };
        let size = usize::try_from(page.size).unwrap_or_default();
        rows.iter().take(size).map(found_object).collect()
    }
}
