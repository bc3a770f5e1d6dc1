//! Folders.

mod depth;
mod many;
mod past;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_app::content::folder::{FolderContents, FolderCounts, FolderReader, FolderTree, FolderView};
use kymograph_app::kernel::cache::{BeforeFetch, MAX_AGE, ReadCache};
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_app::kernel::side_write::SideWrite;
use kymograph_app::kernel::work::Admission;
use kymograph_app::rights::authorization::ContentFilter;
use kymograph_app::{Error, Page, Result, Scope, Workers, values};
use kymograph_domain::account::org::{Org, OrgEvent};
use kymograph_domain::content::dashboard::Dashboard;
use kymograph_domain::content::folder::{Birth, Folder, FolderEvent};
use kymograph_domain::kernel::slug::slugify;
use kymograph_domain::{OrgId, StreamId, Uid, UserId};
use tokio_postgres::Row;

use crate::kernel::database::Database;
use crate::kernel::projector::{Projector, Recorded, project_gathered};
use crate::kernel::sql::{Text, Values, check};
use crate::kernel::statement::{OnFailure, Statements};
use crate::kernel::text::{optional_uid_column, timestamp_column, uid_column, uid_or_empty};
use crate::params;
use crate::rights::resource_permission::filter::{FilterParams, allows_folder};
use crate::rights::resource_permission::{AllowedContents, CHECK_FOLDER, FolderMemory, FolderPlace};
use many::Many;
use past::FolderTrees;

pub use depth::folder_depths;
pub use past::MAX_TREE;

/// Keeps `folders`.
pub struct FolderProjector;

const INSERT: &str = "INSERT INTO folders (org_id, uid, id, title, slug, description, parent_uid, version,
    created, created_by, updated, updated_by, creator_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $8, $9, $10)";
const UPDATE: &str = "UPDATE folders SET title = $3, slug = $4, description = $5, version = version + 1,
    updated = $6, updated_by = $7 WHERE org_id = $1 AND uid = $2";
const MOVE: &str = "UPDATE folders SET parent_uid = $3, version = version + 1, updated = $4, updated_by = $5
    WHERE org_id = $1 AND uid = $2";
static CHECK_EXISTS: Text =
    Text::new(|| check("EXISTS (SELECT FROM folders WHERE org_id = $1 AND uid = $2)"));
/// The folders around the folder `$2`.
const UP: &str = "WITH RECURSIVE up (uid, depth) AS (
        SELECT parent_uid, 1 FROM folders WHERE org_id = $1 AND uid = $2
        UNION ALL
        SELECT f.parent_uid, depth + 1 FROM up CROSS JOIN LATERAL (
            SELECT parent_uid FROM folders WHERE org_id = $1 AND uid = up.uid OFFSET 0) AS f
        WHERE depth < 10)";
static CHECK_NOT_OWN_ANCESTOR: Text = Text::new(|| {
    let check = check("NOT EXISTS (SELECT FROM up WHERE uid = $2)");
    format!("{UP} {check}")
});
static CHECK_DEPTH: Text = Text::new(|| {
    // A missing folder has no depth; another check reports it.
    let check = check("((SELECT max(depth) FROM up) + (SELECT max(height) FROM down) > $3) IS NOT TRUE");
    format!(
        "{UP},
    down (uid, height) AS (
        SELECT $2, 0
        UNION ALL
        SELECT f.uid, height + 1 FROM down CROSS JOIN LATERAL (
            SELECT uid FROM folders WHERE org_id = $1 AND parent_uid = down.uid ORDER BY title OFFSET 0) AS f
        WHERE height < 10)
    {check}"
    )
});
/// The orders are those of the indexes by folder. Without them PostgreSQL would expect a match soon, as most folders
/// and dashboards are in few places, and scan all of the org.
static CHECK_EMPTY: Text = Text::new(|| {
    check(
        "(SELECT uid FROM folders WHERE org_id = $1 AND parent_uid = $2 ORDER BY title LIMIT 1) IS NULL
    AND (SELECT uid FROM dashboards WHERE org_id = $1 AND folder_uid = $2 AND deleted IS NULL
        ORDER BY lower_title, uid LIMIT 1) IS NULL",
    )
});
/// Divides by zero unless the folder with a uid and a numeric id is in a parent.
static CHECK_STAYS: Text = Text::new(|| {
    check("EXISTS (SELECT FROM folders WHERE org_id = $1 AND uid = $2 AND id = $3 AND parent_uid = $4)")
});

impl Projector for FolderProjector {
    fn name(&self) -> &'static str {
        "folders"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["folder", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["folders"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let (org, at, by) = (recorded.org.0, recorded.recorded_at.date(), recorded.actor_login.to_owned());
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            statements.write("DELETE FROM folders WHERE org_id = $1", params![org]);
        }
        let Some(event) = recorded.event.of::<FolderEvent>() else { return };
        match event {
            FolderEvent::Created(created) => {
                let (uid, title) = (created.uid.to_string(), created.title.clone());
                let parent = uid_or_empty(created.parent_uid.as_ref());
                let (slug, description) = (slugify(&title), created.description.clone());
                let creator = recorded.actor_id.0;
                let params = params![org, uid, created.id, title, slug, description, parent, at, by, creator];
                statements.write(INSERT, params);
                check_place(recorded, &created.uid, created.parent_uid.as_ref(), statements);
            }
            FolderEvent::Updated(updated) => {
                let title = updated.title.clone();
                let (slug, description) = (slugify(&title), updated.description.clone());
                statements
                    .write(UPDATE, params![org, updated.uid.to_string(), title, slug, description, at, by]);
            }
            FolderEvent::Moved(moved) => {
                let parent = uid_or_empty(moved.parent_uid.as_ref());
                statements.write(MOVE, params![org, moved.uid.to_string(), parent, at, by]);
                check_place(recorded, &moved.uid, moved.parent_uid.as_ref(), statements);
            }
            FolderEvent::Deleted(deleted) => {
                let uid = deleted.uid.to_string();
                statements
                    .write("DELETE FROM folders WHERE org_id = $1 AND uid = $2", params![org, uid.clone()]);
                // A conflict if something was added to the folder after its contents were listed: the command is
                // decided again.
                statements.check(&CHECK_EMPTY, params![org, uid], OnFailure::Conflict);
            }
        }
    }

    fn project_many(&self, recorded: &[Recorded<'_>], statements: &mut Statements) {
        project_gathered(self, Many::default(), recorded, statements);
    }
}

fn check_place(recorded: &Recorded<'_>, uid: &Uid, parent: Option<&Uid>, statements: &mut Statements) {
    let Some(parent) = parent else { return };
    let org = recorded.org.0;
    check_folder_exists(org, parent, statements);
    statements.check(
        &CHECK_NOT_OWN_ANCESTOR,
        params![org, uid.to_string()],
        OnFailure::Broken(Folder::NOT_OWN_ANCESTOR),
    );
    let max_depth = i32::try_from(kymograph_domain::content::folder::MAX_DEPTH).unwrap_or(i32::MAX);
    statements.check(
        &CHECK_DEPTH,
        params![org, uid.to_string(), max_depth],
        OnFailure::Broken(Folder::DEPTH_KEPT),
    );
}

/// Adds the check that the folder in which an object is placed exists.
pub(crate) fn check_folder_exists(org: i64, uid: &Uid, statements: &mut Statements) {
    let on_failure = OnFailure::Broken(Dashboard::FOLDER_EXISTS);
    statements.check(&CHECK_EXISTS, params![org, uid.to_string()], on_failure);
}

/// A check at commit that the folder with a uid has a numeric id.
#[must_use]
pub fn still_is(org: OrgId, uid: &Uid, id: i64) -> SideWrite {
    let params = values![org.0, uid.as_str(), id];
    SideWrite { org, sql: &CHECK_FOLDER, params, on_failure: OnFailure::Conflict }
}

/// The folders inside the folder `$2`, and the folder itself at depth 0. As in [`CHECK_EMPTY`] the order is that of the
/// index.
const INSIDE: &str = "WITH RECURSIVE inside (uid, depth) AS (
        SELECT uid, 0 FROM folders WHERE org_id = $1 AND uid = $2
        UNION ALL
        SELECT f.uid, depth + 1 FROM inside CROSS JOIN LATERAL (
            SELECT uid FROM folders WHERE org_id = $1 AND parent_uid = inside.uid ORDER BY title OFFSET 0) AS f
        WHERE depth < 10)";
/// The dashboards in [`INSIDE`].
const DASHBOARDS_INSIDE: &str = "CROSS JOIN LATERAL (
    SELECT uid FROM dashboards WHERE org_id = $1 AND folder_uid = inside.uid AND deleted IS NULL
    ORDER BY lower_title, uid OFFSET 0) AS d";

/// Reads `folders`.
pub struct PgFolderReader {
    database: Database,
    cache: Arc<FolderCache>,
    allowed: Arc<AllowedContents>,
    workers: Workers,
    trees: FolderTrees,
}

/// The maximum size of the cached folders, in bytes.
const MAX_CACHED_BYTES: u64 = 16 * 1024 * 1024;

/// The approximate memory of a folder in addition to its texts, in bytes.
const FOLDER_BYTES: usize = 500;

fn folder_bytes(folder: &FolderView) -> usize {
    let FolderView { title, slug, description, created_by, updated_by, .. } = folder;
    let texts = [title, slug, description, created_by, updated_by];
    FOLDER_BYTES + texts.iter().map(|text| text.len()).sum::<usize>()
}

/// A cache of folders by org and uid.
pub type FolderCache = ReadCache<(OrgId, Uid), Arc<FolderView>>;

/// A cache of folders, invalidated by this feed. Rights depend on the place of a folder.
#[must_use]
pub fn folder_cache(feed: &Arc<FeedHealth>) -> FolderCache {
    let weigh = |_: &_, folder: &Arc<FolderView>| u32::try_from(folder_bytes(folder)).unwrap_or(u32::MAX);
    ReadCache::with_weight_for(MAX_CACHED_BYTES, MAX_AGE, weigh)
        .while_live(feed)
        .dropped_by::<Folder, Uid>(|org, uid| (org, uid))
        .outdated_in_org_by(&[Org::TYPE])
}

impl FolderMemory for FolderCache {
    fn place(&self, org: OrgId, uid: &Uid) -> Option<FolderPlace> {
        let folder = self.get(&(org, uid.clone()))?;
        Some(FolderPlace { id: folder.id, parent_uid: folder.parent_uid.clone() })
    }

    fn before_fetch(&self) -> BeforeFetch {
        ReadCache::before_fetch(self)
    }

    fn keep_row(&self, before: &BeforeFetch, org: OrgId, row: &Row) -> Result<()> {
        let folder = Arc::new(folder_view(row)?);
        self.keep(before, &(org, folder.uid.clone()), folder);
        Ok(())
    }
}

impl PgFolderReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(
        database: Database,
        cache: Arc<FolderCache>,
        allowed: Arc<AllowedContents>,
        workers: Workers,
    ) -> Self {
        Self { database, cache, allowed, workers, trees: FolderTrees::default() }
    }

    async fn fetch(&self, org: OrgId, uid: &Uid) -> Result<Option<Arc<FolderView>>> {
        let sql = "SELECT * FROM folders WHERE org_id = $1 AND uid = $2";
        let row = self.database.read_one(org, sql, &[&org.0, &uid.as_str()]).await?;
        row.as_ref().map(|row| folder_view(row).map(Arc::new)).transpose()
    }
}

pub(crate) fn folder_view(row: &Row) -> Result<FolderView> {
    Ok(FolderView {
        org_id: OrgId(row.get("org_id")),
        id: row.get("id"),
        uid: uid_column(row, "uid")?,
        title: row.get("title"),
        slug: row.get("slug"),
        description: row.get("description"),
        parent_uid: optional_uid_column(row, "parent_uid")?,
        version: row.get("version"),
        created: timestamp_column(row, "created"),
        creator_id: UserId(row.get("creator_id")),
        created_by: row.get("created_by"),
        updated: timestamp_column(row, "updated"),
        updated_by: row.get("updated_by"),
    })
}

#[async_trait]
impl FolderReader for PgFolderReader {
    async fn find_folder(&self, scope: &Scope, uid: &Uid) -> Result<Option<Arc<FolderView>>> {
        let org = scope.org();
        self.cache.get_or_fetch(&(org, uid.clone()), self.fetch(org, uid)).await
    }

    async fn find_folders(&self, scope: &Scope, uids: Vec<Uid>) -> Result<HashMap<Uid, Arc<FolderView>>> {
        let org = scope.org();
        let keys = uids.into_iter().map(|uid| (org, uid)).collect();
        let found = self.cache.get_many_or_fetch(keys, async |missing| {
            let sql = "SELECT * FROM folders WHERE org_id = $1 AND uid = ANY ($2)";
            let uids: Vec<_> = missing.iter().map(|(_, uid)| uid.as_str()).collect();
            let rows = self.database.read(org, sql, &[&org.0, &uids]).await?;
            let folder = |row| folder_view(row).map(|folder| ((org, folder.uid.clone()), Arc::new(folder)));
            rows.iter().map(folder).collect()
        });
        Ok(found.await?.into_iter().map(|((_, uid), folder)| (uid, folder)).collect())
    }

    async fn find_folder_by_id(&self, scope: &Scope, id: i64) -> Result<Option<FolderView>> {
        let sql = "SELECT * FROM folders WHERE org_id = $1 AND id = $2";
        let row = self.database.read_one(scope.org(), sql, &[&scope.org().0, &id]).await?;
        row.as_ref().map(folder_view).transpose()
    }

    async fn list_folders(
        &self,
        scope: &Scope,
        parent: Option<&Uid>,
        filter: &ContentFilter,
        page: Page,
    ) -> Result<Vec<FolderView>> {
        static SQL: OnceLock<String> = OnceLock::new();
        let (org, parent) = (scope.org(), uid_or_empty(parent));
        let (filter, offset) = (FilterParams::of(filter), page.offset());
        let mut values = Values::of(&org);
        let (parent, size, offset) = (values.push(&parent), values.push(&page.size), values.push(&offset));
        let (is_unlimited, filter) = filter.push_to(&mut values);
        let sql = SQL.get_or_init(|| {
            let (granted, is_open) = (filter.granted("folder", "f"), filter.open_at_root("folder", "f"));
            format!(
                "SELECT f.org_id, f.id, f.uid, f.title, f.slug, '' AS description, f.parent_uid, f.version, f.created,
                f.creator_id, f.created_by, f.updated, f.updated_by
            FROM folders f WHERE f.org_id = $1 AND f.parent_uid = {parent} AND ({is_unlimited}::boolean OR {granted} \
            OR (f.parent_uid = '' AND {is_open})) ORDER BY f.title, f.uid LIMIT {size} OFFSET {offset}"
            )
        });
        let rows = self.database.read(org, sql, values.all()).await?;
        rows.iter().map(folder_view).collect()
    }

    async fn find_allowed(&self, scope: &Scope, filter: &ContentFilter) -> Result<HashSet<i64>> {
        static SQL: OnceLock<String> = OnceLock::new();
        let org = scope.org();
        let allowed = self.allowed.find(org, filter).await?;
        let folders = allowed.as_ref().map(|allowed| allowed.folder_uids());
        let mut values = Values::of(&org);
        let is_allowed = allows_folder(values.push(&folders));
        let sql =
            SQL.get_or_init(|| format!("SELECT f.id FROM folders f WHERE f.org_id = $1 AND {is_allowed}"));
        let rows = self.database.read(org, sql, values.all()).await?;
        Ok(rows.iter().map(|row| row.get("id")).collect())
    }

    async fn folders_at(&self, scope: &Scope, position: i64) -> Result<(Arc<FolderTree>, Option<Admission>)> {
        self.trees.at(&self.database, &self.workers, scope.org(), position).await
    }

    async fn find_description_at(&self, scope: &Scope, uid: &Uid, position: i64) -> Result<String> {
        past::find_description(&self.database, scope.org(), uid, position).await
    }

    fn stays(&self, org: OrgId, uid: &Uid, id: i64, parent: Option<&Uid>) -> SideWrite {
        let params = values![org.0, uid.as_str(), id, uid_or_empty(parent)];
        SideWrite { org, sql: &CHECK_STAYS, params, on_failure: OnFailure::Conflict }
    }

    fn still_is(&self, org: OrgId, uid: &Uid, id: i64) -> SideWrite {
        still_is(org, uid, id)
    }

    async fn list_births(&self, scope: &Scope, uid: &Uid) -> Result<Vec<Birth>> {
        past::list_births(&self.database, scope.org(), uid).await
    }

    async fn find_position(&self, scope: &Scope, stream: &StreamId, version: i64) -> Result<Option<i64>> {
        past::find_position(&self.database, scope.org(), stream, version).await
    }

    async fn count_descendants(&self, scope: &Scope, uid: &Uid) -> Result<FolderCounts> {
        static SQL: Text = Text::new(|| {
            format!(
                "{INSIDE} SELECT (SELECT count(*) - 1 FROM inside) AS folders,
                    (SELECT count(*) FROM inside {DASHBOARDS_INSIDE}) AS dashboards"
            )
        });
        let org = scope.org();
        let row = self.database.read_one(org, &SQL, &[&org.0, &uid.as_str()]).await?;
        let row = row.ok_or_else(|| Error::internal("a count returned no row"))?;
        Ok(FolderCounts { folders: row.get("folders"), dashboards: row.get("dashboards") })
    }

    async fn list_descendants(&self, scope: &Scope, uid: &Uid) -> Result<FolderContents> {
        static SQL: Text = Text::new(|| {
            format!(
                "{INSIDE} SELECT uid, depth, true AS is_folder FROM inside WHERE depth > 0
                UNION ALL SELECT d.uid, depth, false FROM inside {DASHBOARDS_INSIDE}
                ORDER BY depth, uid"
            )
        });
        let org = scope.org();
        let mut contents = FolderContents::default();
        for row in self.database.read(org, &SQL, &[&org.0, &uid.as_str()]).await? {
            let list = if row.get("is_folder") { &mut contents.folders } else { &mut contents.dashboards };
            list.push(uid_column(&row, "uid")?);
        }
        Ok(contents)
    }
}
