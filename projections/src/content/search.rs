//! Searching dashboards and folders together.

mod anchor;
mod choice;
mod sample;
mod statement;

use std::cmp::Reverse;
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::content::folder::PastFolders;
use kymograph_app::content::search::{FoundObject, SearchQuery, SearchReader, SearchedPast};
use kymograph_app::kernel::text::searched_text;
use kymograph_app::rights::authorization::ContentFilter;
use kymograph_app::{Page, Result, Scope};
use kymograph_domain::content::folder::GENERAL_UID;
use kymograph_domain::kernel::slug::slugify;
use kymograph_domain::{OrgId, Uid};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::content::dashboard::words::searched_parts;
use crate::kernel::database::{Database, Params};
use crate::kernel::sql::Values;
use crate::kernel::text::{contains_pattern, optional_uid_column, stored, uid_column, wildcard_pattern};
use crate::rights::resource_permission::AllowedContents;
use crate::rights::resource_permission::allowed::{Allowed, AllowedParams};
use anchor::{Anchors, List, Listed, Place};
use choice::{By, Searched};
use sample::{Sample, Samples};
use statement::FIRST_BY_WORDS;

/// Searches `dashboards` and `folders`.
pub struct PgSearchReader {
    database: Database,
    allowed: Arc<AllowedContents>,
    samples: Samples,
    anchors: Anchors,
    words_in_tags: bool,
}

impl PgSearchReader {
    /// A reader on this database, which searches words in titles and, if `words_in_tags`, in tags as well.
    #[must_use]
    pub fn new(database: Database, allowed: Arc<AllowedContents>, words_in_tags: bool) -> Self {
        let (samples, anchors) = (Samples::new(database.clone()), Anchors::default());
        Self { database, allowed, samples, anchors, words_in_tags }
    }

    /// Whether the words are so common that scanning titles is faster than reading the matches of an index.
    async fn has_common_words(&self, org: OrgId, query: &SearchQuery) -> Result<bool> {
        Ok(are_common(query, &*self.samples.of(org).await?))
    }

    /// The first page of a search for words, with folders first, for those who may see everything.
    async fn find_first(&self, org: OrgId, query: &SearchQuery, size: i64) -> Result<Vec<Row>> {
        let sample = self.samples.of(org).await?;
        let parts = rare_parts(query, &sample);
        let words = lines(query, contains_pattern);
        let params: Params<'_> = &[&org.0, &words, &parts, &query.folders, &query.dashboards, &size];
        self.database.read_for(org, FIRST_BY_WORDS, params).await
    }

    /// A page of folders and then dashboards.
    async fn find_folders_first(&self, search: &Search<'_>, page: Page) -> Result<Vec<Row>> {
        let (statements, planning) = search.searched.folder_statements();
        let (size, offset) = (page.size, page.offset());
        let folders = search.folder_params();
        let mut rows = Vec::new();
        if search.has_folders {
            let (passed, (title, uid)) = self.anchors.before(search.list, Listed::Folders, offset);
            let left = offset - passed;
            let own: [&(dyn ToSql + Sync); 4] = [&size, &left, &title, &uid];
            let params = [folders.as_slice(), &own].concat();
            rows = self.database.read_planned(search.org, planning, &statements.page, &params).await?;
            self.keep_ends(search, Listed::Folders, offset, &rows);
        }
        let room = size - i64::try_from(rows.len()).unwrap_or(size);
        if room <= 0 || !search.searched.query.dashboards {
            return Ok(rows);
        }
        let mut skipped = if rows.is_empty() { offset } else { 0 };
        if search.has_folders && skipped > 0 {
            let counted =
                self.database.read_planned(search.org, planning, &statements.count, &folders).await?;
            skipped = (skipped - counted.first().map_or(0, |row| row.get(0))).max(0);
        }
        rows.extend(self.find_dashboards(search, room, skipped).await?);
        Ok(rows)
    }

    /// A range of dashboards, by title.
    async fn find_dashboards(&self, search: &Search<'_>, size: i64, skipped: i64) -> Result<Vec<Row>> {
        let (sql, planning) = search.searched.statement();
        let own: [&(dyn ToSql + Sync); 2] = [&size, &skipped];
        match search.searched.by() {
            By::Title => {
                let (passed, (title, uid)) = self.anchors.before(search.list, Listed::Dashboards, skipped);
                let left = skipped - passed;
                let own: [&(dyn ToSql + Sync); 4] = [&size, &left, &title, &uid];
                let mut values = Values::of(&search.org);
                search.allowed.push_to(&mut values);
                values.push_all(own);
                let rows = self.database.read_planned(search.org, planning, sql, values.all()).await?;
                self.keep_ends(search, Listed::Dashboards, skipped, &rows);
                Ok(rows)
            }
            By::WordsAndTags => {
                let sample = self.samples.of(search.org).await?;
                if let Some(part) = common_part(search.searched.query, &sample) {
                    let part = contains_pattern(part);
                    let mut values = Values::of(&search.org);
                    values.push_all::<2>([&search.words, &part]);
                    search.allowed.push_to(&mut values);
                    values.push_all(own);
                    return self
                        .database
                        .read_planned(search.org, planning, statement::BY_COMMON_WORD, values.all())
                        .await;
                }
                let parts = rare_parts(search.searched.query, &sample);
                // Admins see most dashboards with a tag. Several tags together may match nothing.
                let goes_through = !search.searched.is_unlimited
                    && match search.tags.as_slice() {
                        [] => true,
                        [tag] => sample.is_common_tag(tag),
                        _ => false,
                    };
                let mut values = Values::of(&search.org);
                values.push_all::<5>([&search.words, &parts, &search.tags, &search.patterns, &goes_through]);
                search.allowed.push_to(&mut values);
                values.push_all(own);
                self.database.read_planned(search.org, planning, sql, values.all()).await
            }
            _ => {
                let params = search.dashboard_params(&size, &skipped);
                self.database.read_planned(search.org, planning, sql, &params).await
            }
        }
    }

    /// Caches the first and last entry of a page that starts after `skipped` entries.
    fn keep_ends(&self, search: &Search<'_>, listed: Listed, skipped: i64, rows: &[Row]) {
        let (Some(first), Some(last), Some(_)) = (rows.first(), rows.last(), search.list) else { return };
        let length = i64::try_from(rows.len()).unwrap_or_default();
        self.anchors.keep(search.list, listed, skipped, place(first));
        self.anchors.keep(search.list, listed, skipped + length - 1, place(last));
    }

    /// A page of folders and dashboards together, now or in the past.
    async fn find_mixed(
        &self,
        search: &Search<'_>,
        past: Option<&SearchedPast>,
        page: Page,
    ) -> Result<Vec<Row>> {
        let (sql, planning) = search.searched.statement();
        let query = search.searched.query;
        let (offset, reach) = (page.offset(), page.offset().saturating_add(page.size));
        let mut params = search.dashboard_params(&page.size, &offset);
        params.extend::<[&(dyn ToSql + Sync); 5]>([
            &reach,
            &search.has_folders,
            &query.dashboards,
            &query.folder_ids,
            &search.parents,
        ]);
        let past = past.map(|past| (past.position, FolderColumns::of(&past.folders)));
        if let Some((position, FolderColumns { uids, ids, titles, slugs, parents })) = &past {
            params.extend::<[&(dyn ToSql + Sync); 6]>([position, uids, ids, titles, slugs, parents]);
        }
        self.database.read_planned(search.org, planning, sql, &params).await
    }

    /// The folders to search for dashboards, if any are named: those of the parents that also have one of the ids.
    async fn named_folders(
        &self,
        org: OrgId,
        query: &SearchQuery,
        parents: &[String],
        past: Option<&SearchedPast>,
    ) -> Result<Vec<String>> {
        if query.folder_ids.is_empty() {
            return Ok(parents.to_vec());
        }
        let mut named: Vec<String> = if let Some(past) = past {
            let folders = past.folders.iter();
            let named = folders.filter(|folder| query.folder_ids.contains(&folder.id));
            named.map(|folder| folder.uid.to_string()).collect()
        } else {
            let sql = "SELECT uid FROM folders WHERE org_id = $1 AND id = ANY ($2)";
            let rows = self.database.read(org, sql, &[&org.0, &query.folder_ids]).await?;
            rows.iter().map(|row| row.get("uid")).collect()
        };
        named.retain(|uid| parents.is_empty() || parents.contains(uid));
        if named.is_empty() {
            // An empty list would match any folder.
            named.push(NO_FOLDER.to_owned());
        }
        Ok(named)
    }
}

/// The place of a row in a list by title.
fn place(row: &Row) -> Place {
    (row.get("lower_title"), row.get("uid"))
}

/// A uid that no folder has.
const NO_FOLDER: &str = " ";

/// A search and its parameters.
struct Search<'a> {
    org: OrgId,
    /// The list of all entries that it is a page of, if places in it are cached.
    list: Option<&'a List>,
    searched: Searched<'a>,
    words: String,
    tags: Vec<String>,
    patterns: Vec<String>,
    /// The folders in which folders are searched, if any are named.
    parents: &'a [String],
    /// The folders in which dashboards are searched, if any are named or if all allowed ones are searched.
    inside: Vec<&'a str>,
    /// The allowed folders.
    folders: Option<Vec<&'a str>>,
    /// The allowed dashboards.
    allowed: AllowedParams<'a>,
    has_folders: bool,
}

impl<'a> Search<'a> {
    fn of(
        org: OrgId,
        searched: Searched<'a>,
        filter: &ContentFilter,
        allowed: Option<&'a Allowed>,
        (parents, named): (&'a [String], &'a [String]),
        list: Option<&'a List>,
    ) -> Self {
        let query = searched.query;
        let (patterns, tags): (Vec<String>, Vec<String>) =
            query.tags.iter().cloned().partition(|tag| tag.contains('*'));
        let by_folder = searched.by() == By::Folder && query.sort.is_none();
        let folders = allowed.map(|allowed| match parents {
            [] => allowed.folder_uids(),
            parents => allowed.folder_uids_inside(parents),
        });
        let inside: Vec<_> = match searched.by() {
            By::Few => folders.iter().flatten().copied().chain([""]).collect(),
            _ => named.iter().map(String::as_str).collect(),
        };
        let within = match (allowed, &folders) {
            // Only the named ones of the allowed folders are relevant.
            (Some(allowed), _) if by_folder => {
                Some(inside.iter().copied().filter(|uid| allowed.has_folder(uid)).collect())
            }
            (Some(_), Some(folders)) if parents.is_empty() => Some(folders.clone()),
            (allowed, _) => allowed.map(Allowed::folder_uids),
        };
        let allowed = AllowedParams::within(filter, allowed, within);
        Self {
            org,
            list,
            words: lines(query, contains_pattern),
            tags,
            patterns: patterns.iter().map(|tag| wildcard_pattern(tag)).collect(),
            parents,
            inside,
            folders,
            allowed,
            // Folders have no tags.
            has_folders: query.folders && query.tags.is_empty(),
            searched,
        }
    }

    /// The parameters of a statement on folders.
    fn folder_params(&self) -> Vec<&(dyn ToSql + Sync)> {
        let query = self.searched.query;
        vec![
            &self.org.0,
            &self.words,
            &query.uids,
            &query.ids,
            &self.parents,
            &query.folder_ids,
            &self.folders,
        ]
    }

    /// The parameters of a statement on dashboards.
    fn dashboard_params<'b>(&'b self, size: &'b i64, offset: &'b i64) -> Vec<&'b (dyn ToSql + Sync)> {
        let query = self.searched.query;
        let [folders, rights @ ..] = self.allowed.all();
        let own: [&(dyn ToSql + Sync); 10] = [
            &self.org.0,
            &self.words,
            &query.uids,
            &query.ids,
            &self.inside,
            &self.tags,
            folders,
            size,
            offset,
            &self.patterns,
        ];
        [own.as_slice(), &rights].concat()
    }
}

/// Whether all words occur in many titles.
fn are_common(query: &SearchQuery, sample: &Sample) -> bool {
    query.text.split_whitespace().all(|word| sample.is_common(word))
}

/// If a search has only words that all occur in many titles, the part of one of them by which titles are found.
fn common_part<'a>(query: &'a SearchQuery, sample: &Sample) -> Option<&'a str> {
    if !query.tags.is_empty() || !are_common(query, sample) {
        return None;
    }
    let words = query.text.split_whitespace().map(searched_text);
    words.flat_map(searched_parts).min_by_key(|part| (sample.least(part), Reverse(part.len())))
}

/// The rarest parts of all words.
fn rare_parts(query: &SearchQuery, sample: &Sample) -> String {
    lines(query, |word| contains_pattern(&sample.rare_part(word)))
}

/// Joins a text for each searched word, one per line.
fn lines(query: &SearchQuery, of: impl Fn(&str) -> String) -> String {
    query.text.split_whitespace().map(of).collect::<Vec<_>>().join("\n")
}

fn found_object(row: &Row) -> Result<FoundObject> {
    let (title, slug): (String, String) = (stored(row, "title")?, stored(row, "slug")?);
    Ok(FoundObject {
        // A dashboard that was restored before lives had ids has none in the past.
        id: stored(row, "id")?,
        uid: uid_column(row, "uid")?,
        // Of a past dashboard only the title is stored.
        slug: if slug.is_empty() { slugify(&title) } else { slug },
        title,
        is_folder: stored(row, "is_folder")?,
        tags: stored(row, "tags")?,
        folder_uid: optional_uid_column(row, "folder_uid")?,
    })
}

/// Folders as columns.
#[derive(Default)]
struct FolderColumns<'a> {
    uids: Vec<&'a str>,
    ids: Vec<i64>,
    titles: Vec<&'a str>,
    slugs: Vec<&'a str>,
    parents: Vec<&'a str>,
}

impl<'a> FolderColumns<'a> {
    fn of(past: &'a PastFolders) -> Self {
        let mut columns = Self::default();
        for folder in past.iter() {
            columns.uids.push(folder.uid.as_str());
            columns.ids.push(folder.id);
            columns.titles.push(&folder.title);
            columns.slugs.push(&folder.slug);
            columns.parents.push(folder.parent_uid.as_ref().map_or("", Uid::as_str));
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
        let org = scope.org();
        // An admin skips no entries, and the first pages are short.
        let has_places = !filter.is_unlimited && page.offset() > 0 && past.is_none() && query.is_all();
        let list =
            if has_places { Some(self.anchors.list(&self.database, org, filter).await?) } else { None };
        let allowed = self.allowed.find(org, filter).await?;
        let searched = Searched {
            query,
            has_words: query.text.split_whitespace().next().is_some(),
            words_in_tags: self.words_in_tags,
            is_unlimited: allowed.is_none(),
            is_little: allowed.as_ref().is_some_and(|allowed| allowed.is_little),
            is_past: past.is_some(),
            is_first: page.offset() == 0,
            tables: self.database.tables(),
        };
        let rows = if searched.is_first_by_words() && !self.has_common_words(org, query).await? {
            self.find_first(org, query, page.size).await?
        } else {
            let of_general = |uid: &String| if uid == GENERAL_UID { String::new() } else { uid.clone() };
            let parents: Vec<_> = query.folder_uids.iter().map(of_general).collect();
            let named = self.named_folders(org, query, &parents, past).await?;
            let within = (parents.as_slice(), named.as_slice());
            let search = Search::of(org, searched, filter, allowed.as_deref(), within, list.as_ref());
            if past.is_some() || query.sort.is_some() {
                self.find_mixed(&search, past, page).await?
            } else {
                self.find_folders_first(&search, page).await?
            }
        };
        let size = usize::try_from(page.size).unwrap_or_default();
        rows.iter().take(size).map(found_object).collect()
    }
}
