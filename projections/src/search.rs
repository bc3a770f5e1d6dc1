//! Searching dashboards and folders together.

mod statement;

use async_trait::async_trait;
use kymograph_app::authorization::ContentFilter;
use kymograph_app::search::{FoundObject, SearchQuery, SearchReader};
use kymograph_app::{Page, Result, Scope};
use kymograph_domain::folder::GENERAL_UID;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::database::Database;
use crate::resource_permission::filter::FilterParams;
use crate::text::{contains_pattern, optional_uid_column, uid_column, wildcard_pattern};
use statement::statement;

/// Searches `dashboards` and `folders`.
pub struct PgSearchReader {
    database: Database,
}

impl PgSearchReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

fn found_object(row: &Row) -> Result<FoundObject> {
    Ok(FoundObject {
        id: row.get("id"),
        uid: uid_column(row, "uid")?,
        title: row.get("title"),
        slug: row.get("slug"),
        is_folder: row.get("is_folder"),
        tags: row.get("tags"),
        folder_uid: optional_uid_column(row, "folder_uid")?,
    })
}

#[async_trait]
impl SearchReader for PgSearchReader {
    async fn search(
        &self,
        scope: &Scope,
        query: &SearchQuery,
        filter: &ContentFilter,
        page: Page,
    ) -> Result<Vec<FoundObject>> {
        let org = scope.org();
        let words: Vec<_> = query.text.split_whitespace().map(contains_pattern).collect();
        let folder_uids: Vec<_> =
            query.folder_uids.iter().map(|uid| if uid == GENERAL_UID { "" } else { uid.as_str() }).collect();
        let (patterns, tags): (Vec<String>, Vec<String>) =
            query.tags.iter().cloned().partition(|tag| tag.contains('*'));
        let patterns: Vec<_> = patterns.iter().map(|tag| wildcard_pattern(tag)).collect();
        // Folders have no tags.
        let folders = query.folders && query.tags.is_empty();
        let reach = page.offset().saturating_add(page.size);
        let (sql, planning) = statement(query, words.len(), filter.is_unlimited);
        let (words, offset) = (words.join("\n"), page.offset());
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
        // A statement for those who may see all has no place for a filter.
        let filter_params = FilterParams::of(filter);
        let params = if filter.is_unlimited { own.to_vec() } else { filter_params.after(&own) };
        let rows = self.database.read_planned(org, planning, sql, &params).await?;
        let size = usize::try_from(page.size).unwrap_or_default();
        rows.iter().take(size).map(found_object).collect()
    }
}
