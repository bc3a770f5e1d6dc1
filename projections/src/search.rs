//! Searching dashboards and folders together.

use async_trait::async_trait;
use kymograph_app::authorization::ContentFilter;
use kymograph_app::search::{SearchHit, SearchHitFolder, SearchQuery, SearchReader};
use kymograph_app::{Page, Result, Scope};
use tokio_postgres::Row;

use crate::database::Database;
use crate::resource_permission::filter::{FilterParams, allowed_folders, allows_dashboard, allows_folder};
use crate::text::{contains_pattern, optional_uid_column, uid_column, wildcard_pattern};

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

/// An empty list of uids, ids or folders stands for any; each word of the query, each tag and a tag for each
/// pattern must be there.
const SEARCH: &str = concat!(
    "WITH RECURSIVE ",
    allowed_folders!("$16", "$17", "$18", "$19", "$20", "$21"),
    ", hits AS (
        SELECT id, uid, title, slug, true AS is_folder, false AS is_starred, '{}'::text[] AS tags,
            parent_uid AS folder_uid
            FROM folders f LEFT JOIN allowed_folders ON allowed_uid = uid
            WHERE org_id = $1 AND $7 AND $3::text[] = '{}' AND $11::text[] = '{}' AND ",
    allows_folder!("$16"),
    " UNION ALL
        SELECT d.id, uid, title, slug, false, s.user_id IS NOT NULL, tags, folder_uid
            FROM dashboards d
            LEFT JOIN stars s ON s.org_id = $1 AND s.user_id = $12 AND s.dashboard_uid = d.uid
            LEFT JOIN allowed_folders ON allowed_uid = folder_uid
            WHERE d.org_id = $1 AND $8 AND (d.deleted IS NOT NULL) = $15 AND tags @> $3::text[]
                AND NOT EXISTS (SELECT FROM unnest($11::text[]) AS pattern
                    WHERE NOT EXISTS (SELECT FROM unnest(tags) AS tag WHERE tag LIKE pattern))
                AND ",
    allows_dashboard!("$16", "$17", "$18", "$19", "$20", "$21"),
    ")
    SELECT h.*, f.id AS folder_id, f.title AS folder_title, f.slug AS folder_slug
    FROM hits h LEFT JOIN folders f ON f.org_id = $1 AND f.uid = h.folder_uid
    WHERE h.title ILIKE ALL ($2::text[]) AND ($4::text[] = '{}' OR h.uid = ANY ($4))
        AND ($5::bigint[] = '{}' OR h.id = ANY ($5))
        AND ($6::text[] = '{}' OR h.folder_uid = ANY ($6))
        AND ($13::bigint[] = '{}'
            OR CASE WHEN h.is_folder THEN h.id ELSE coalesce(f.id, 0) END = ANY ($13))
        AND (h.is_starred OR NOT $14)
    ORDER BY h.is_folder DESC, lower(h.title), h.uid LIMIT $9 OFFSET $10"
);

fn search_hit(row: &Row) -> Result<SearchHit> {
    let folder = match (row.get::<_, Option<i64>>("folder_id"), optional_uid_column(row, "folder_uid")?) {
        (Some(id), Some(uid)) => {
            Some(SearchHitFolder { id, uid, title: row.get("folder_title"), slug: row.get("folder_slug") })
        }
        _ => None,
    };
    Ok(SearchHit {
        id: row.get("id"),
        uid: uid_column(row, "uid")?,
        title: row.get("title"),
        slug: row.get("slug"),
        is_folder: row.get("is_folder"),
        tags: row.get("tags"),
        is_starred: row.get("is_starred"),
        folder,
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
    ) -> Result<Vec<SearchHit>> {
        let org = scope.org();
        let words: Vec<_> = query.text.split_whitespace().map(contains_pattern).collect();
        let folders: Vec<_> = query
            .folder_uids
            .iter()
            .map(|uid| if uid == kymograph_domain::folder::GENERAL_UID { "" } else { uid.as_str() })
            .collect();
        let (patterns, tags): (Vec<String>, Vec<String>) =
            query.tags.iter().cloned().partition(|tag| tag.contains('*'));
        let patterns: Vec<_> = patterns.iter().map(|tag| wildcard_pattern(tag)).collect();
        let (filter, offset) = (FilterParams::of(filter), page.offset());
        let params = filter.after(&[
            &org.0,
            &words,
            &tags,
            &query.uids,
            &query.ids,
            &folders,
            &query.folders,
            &query.dashboards,
            &page.size,
            &offset,
            &patterns,
            &scope.actor().user_id.0,
            &query.folder_ids,
            &query.starred,
            &query.deleted,
        ]);
        let rows = self.database.read(org, SEARCH, &params).await?;
        rows.iter().map(search_hit).collect()
    }
}
