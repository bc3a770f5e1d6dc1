//! The queries on permissions of folders and dashboards.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kymograph_app::kernel::cache::BeforeFetch;
use kymograph_app::kernel::side_write::SideWrite;
use kymograph_app::rights::authorization::{
    AccessFacts, AccessNode, ContentFilter, Guarded, OwnAccess, StoredGrant,
};
use kymograph_app::rights::resource_permission::{
    ContentRight, GrantedTeam, GrantedUser, ResourcePermissionReader,
};
use kymograph_app::{Error, Result, Scope};
use kymograph_domain::rights::resource_permission::{Grantee, MAX_DEPTH, ResourceKind};
use kymograph_domain::{AccessLevel, OrgId, TeamId, Timestamp, Uid, UserId};
use tokio_postgres::Row;

use super::ResourcePermissionCache;
use super::filter::{FilterParams, FilterPlaces, OpenPlaces};
use crate::kernel::database::Database;
use crate::kernel::sql::{Place, Values};
use crate::kernel::text::{stored, timestamp_column, uid_column};

/// A folder on the way to the root.
#[derive(Clone, Debug)]
pub struct FolderPlace {
    /// The numeric id.
    pub id: i64,
    /// The folder that it is in.
    pub parent_uid: Option<Uid>,
}

/// The in-memory cache of folders, kept by their slice.
pub trait FolderMemory: Send + Sync {
    /// The place of a cached folder.
    fn place(&self, org: OrgId, uid: &Uid) -> Option<FolderPlace>;
    /// To be called before folders are fetched.
    fn before_fetch(&self) -> BeforeFetch;
    /// Caches a folder from all columns of its row.
    fn keep_row(&self, before: &BeforeFetch, org: OrgId, row: &Row) -> Result<()>;
}

/// Reads `resource_permissions` and `resource_grants`.
pub struct PgResourcePermissionReader {
    database: Database,
    cache: Arc<ResourcePermissionCache>,
    folders: Arc<dyn FolderMemory>,
}

impl PgResourcePermissionReader {
    /// A reader on this database. It shares the cache of folders.
    #[must_use]
    pub fn new(
        database: Database,
        cache: Arc<ResourcePermissionCache>,
        folders: Arc<dyn FolderMemory>,
    ) -> Self {
        Self { database, cache, folders }
    }

    /// The cached facts, if all of them are cached.
    fn remembered(&self, scope: &Scope, guarded: Guarded<'_>) -> Option<AccessFacts> {
        let org = scope.org();
        let teams = self.cache.teams.get(&(org, scope.actor().user_id))?;
        let mut nodes = Vec::with_capacity(MAX_DEPTH + 1);
        let mut next = match guarded {
            Guarded::Folder(uid) => Some(uid.clone()),
            Guarded::Dashboard { id, folder } => {
                let (kind, own) = (ResourceKind::Dashboard, self.cache.own.get(&(org, id))?);
                nodes.push(AccessNode { kind, own, is_root: folder.is_none() });
                folder.cloned()
            }
            Guarded::DataSource(id) => {
                let (kind, own) = (ResourceKind::DataSource, self.cache.own.get(&(org, id))?);
                nodes.push(AccessNode { kind, own, is_root: true });
                None
            }
            // The trash is rarely read, and the cache does not contain the time of deletion.
            Guarded::Trashed(_) => return None,
        };
        while let Some(uid) = next.take().filter(|_| nodes.len() <= MAX_DEPTH) {
            let folder = self.folders.place(org, &uid)?;
            let own = self.cache.own.get(&(org, folder.id))?;
            let is_root = folder.parent_uid.is_none();
            nodes.push(AccessNode { kind: ResourceKind::Folder, own, is_root });
            next = folder.parent_uid;
        }
        Some(AccessFacts { nodes, teams })
    }

    /// Reads everything with one statement, and caches it.
    async fn fetch(&self, scope: &Scope, guarded: Guarded<'_>) -> Result<AccessFacts> {
        let (org, user) = (scope.org(), scope.actor().user_id);
        let (object, folder) = match guarded {
            Guarded::Folder(uid) => (0, Some(uid)),
            Guarded::Dashboard { id, folder } => (id, folder),
            Guarded::Trashed(id) | Guarded::DataSource(id) => (id, None),
        };
        let folder_uid = folder.map(Uid::as_str).unwrap_or_default();
        let (before, folders_before) = (self.cache.own.before_fetch(), self.folders.before_fetch());
        let (teams_key, teams_before) = ((org, user), self.cache.teams.before_fetch());
        let params: crate::kernel::database::Params<'_> = &[&org.0, &object, &folder_uid, &user.0];
        let rows = self.database.read(org, FETCH, params).await?;
        let (mut nodes, mut teams) = (Vec::with_capacity(rows.len()), None);
        for row in &rows {
            if row.get::<_, Option<i64>>("id").is_none() {
                let ids: Vec<i64> = row.get("team_ids");
                teams = Some(ids.into_iter().map(TeamId).collect::<Arc<[_]>>());
                continue;
            }
            let own = Arc::new(own_access(row)?);
            self.cache.own.keep(&before, &(org, row.get("id")), own.clone());
            if kind_column(row)? == ResourceKind::Folder {
                self.folders.keep_row(&folders_before, org, row)?;
            }
            let kind = kind_column(row)?;
            nodes.push(AccessNode { kind, own, is_root: row.get::<_, &str>("parent_uid").is_empty() });
        }
        let teams = teams.ok_or_else(|| Error::internal("the query of a user's teams returned no row"))?;
        self.cache.teams.keep(&teams_before, &teams_key, teams.clone());
        Ok(AccessFacts { nodes, teams })
    }
}

/// A row for the dashboard, in the trash or not, or the data source `$2`, if given, one for each folder from `$3` up,
/// innermost first, and a last one with the teams of the user `$4`. The folders of a dashboard in the trash start with
/// the one it was deleted from; a folder that has the uid of that one, but was created later, is a different one.
const FETCH: &str = "WITH RECURSIVE up AS (
        SELECT f.*, 1 AS depth FROM folders f WHERE f.org_id = $1 AND f.uid = $3
        UNION ALL
        SELECT f.*, 1 FROM dashboards d JOIN folders f ON f.org_id = $1 AND f.uid = d.folder_uid
            WHERE d.org_id = $1 AND d.id = $2 AND f.created < d.deleted
        UNION ALL
        SELECT f.*, depth + 1 FROM up JOIN folders f ON f.org_id = $1 AND f.uid = up.parent_uid WHERE depth < 10
    ), nodes AS (
        SELECT d.org_id, d.uid, d.id, '' AS title, '' AS slug, '' AS description, d.folder_uid AS parent_uid,
            d.version, d.created, d.created_by, d.updated, d.updated_by, d.creator_id, 0 AS depth,
            'dashboard' AS kind
            FROM dashboards d WHERE d.org_id = $1 AND d.id = $2 -- and be it deleted
        UNION ALL
        SELECT s.org_id, s.uid, s.id, '', '', '', '', s.version, s.created, '', s.updated, '', s.creator_id, 0,
            'data_source' FROM data_sources s WHERE s.org_id = $1 AND s.id = $2
        UNION ALL
        SELECT org_id, uid, id, title, slug, description, parent_uid, version, created, created_by, updated,
            updated_by, creator_id, depth, 'folder' FROM up
    )
    SELECT n.*, p.resource_id IS NOT NULL AS has_list, g.*,
        '{}'::bigint[] AS team_ids
    FROM nodes n
    LEFT JOIN resource_permissions p ON p.org_id = $1 AND p.kind = n.kind AND p.uid = n.uid
    LEFT JOIN LATERAL (
        SELECT coalesce(array_agg(g.grantee), '{}') AS grantees, coalesce(array_agg(g.level), '{}') AS levels,
            coalesce(array_agg(g.pos), '{}') AS positions, coalesce(array_agg(g.created), '{}') AS granted,
            coalesce(array_agg(g.updated), '{}') AS changed
        FROM resource_grants g WHERE g.org_id = $1 AND g.kind = n.kind AND g.uid = n.uid) g ON true
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 11, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL,
        array(SELECT m.team_id FROM team_members m WHERE m.org_id = $1 AND m.user_id = $4 ORDER BY m.team_id)
    ORDER BY depth";

fn own_access(row: &Row) -> Result<OwnAccess> {
    let has_list: bool = row.get("has_list");
    Ok(OwnAccess {
        grants: has_list.then(|| stored_grants(row)).transpose()?,
        creator: UserId(row.get("creator_id")),
        created: timestamp_column(row, "created"),
    })
}

fn stored_grants(row: &Row) -> Result<Vec<StoredGrant>> {
    let grantees: Vec<&str> = stored(row, "grantees")?;
    let levels: Vec<i16> = stored(row, "levels")?;
    let positions: Vec<i64> = stored(row, "positions")?;
    let times = |column| row.get::<_, Vec<_>>(column).into_iter().map(Timestamp::from_date);
    let grants = grantees.into_iter().zip(levels).zip(positions).zip(times("granted")).zip(times("changed"));
    grants
        .map(|((((grantee, level), position), created), updated)| {
            let grantee = Grantee::try_parse(grantee).map_err(Error::internal)?;
            Ok(StoredGrant { grantee, level: level_of(level)?, position, created, updated })
        })
        .collect()
}

fn level_of(number: i16) -> Result<AccessLevel> {
    AccessLevel::from_number(number.into())
        .ok_or_else(|| Error::internal(format!("{number} is not an access level")))
}

/// The topmost objects of what passes a filter: granted ones, and those open at the root without an access-control
/// list.
fn rights_text(limit: Place, is_unlimited: Place, filter: FilterPlaces) -> String {
    let OpenPlaces { level, default_level, member, since } = filter.open;
    let grantees = filter.grantees();
    let [folder_is_open, dashboard_is_open, source_is_open] =
        [("folder", "f"), ("dashboard", "d"), ("data_source", "s")]
            .map(|(kind, table)| filter.open_at_root(kind, table));
    format!(
        "SELECT kind, uid, max(level)::smallint AS level FROM (
        SELECT g.kind, g.uid, g.level FROM resource_grants g
            WHERE g.org_id = $1 AND g.grantee = ANY ({grantees}) AND g.level >= {level}::smallint
                AND NOT (g.kind = 'dashboard' AND EXISTS (SELECT FROM dashboards d
                    WHERE d.org_id = $1 AND d.uid = g.uid AND d.deleted IS NOT NULL))
        UNION ALL
        SELECT 'folder', f.uid, CASE WHEN f.creator_id = {member} AND f.created >= {since}::timestamptz THEN 4 ELSE {default_level}::smallint END
            FROM folders f WHERE f.org_id = $1 AND f.parent_uid = '' AND {folder_is_open}   UNION ALL
        SELECT 'dashboard', d.uid, CASE WHEN d.creator_id = {member} AND d.created >= {since}::timestamptz THEN 4 ELSE {default_level}::smallint END
            FROM dashboards d WHERE d.org_id = $1 AND d.deleted IS NULL AND d.folder_uid = '' AND {dashboard_is_open}
        UNION ALL
        SELECT 'data_source', s.uid, CASE WHEN s.creator_id = {member} AND s.created >= {since}::timestamptz THEN 4 ELSE least({default_level}::smallint, 1) END
            FROM data_sources s WHERE s.org_id = $1 AND {source_is_open}) \
        rights WHERE NOT {is_unlimited}::boolean GROUP BY kind, uid ORDER BY kind DESC, uid LIMIT {limit}"
    )
}

#[async_trait]
impl ResourcePermissionReader for PgResourcePermissionReader {
    async fn find_access(&self, scope: &Scope, guarded: Guarded<'_>) -> Result<AccessFacts> {
        match self.remembered(scope, guarded) {
            Some(facts) => Ok(facts),
            None => self.fetch(scope, guarded).await,
        }
    }

    fn still_allowed(&self, org: OrgId, kind: ResourceKind, uid: &Uid, filter: ContentFilter) -> SideWrite {
        super::still_allowed(org, kind.as_str(), uid, filter)
    }

    fn still_allowed_in_trash(&self, org: OrgId, uid: &Uid, filter: ContentFilter) -> SideWrite {
        super::still_allowed(org, super::IN_TRASH, uid, filter)
    }

    async fn list_resources_of(&self, scope: &Scope, grantee: Grantee) -> Result<Vec<i64>> {
        let sql =
            "SELECT resource_id FROM resource_grants WHERE org_id = $1 AND grantee = $2 ORDER BY resource_id";
        let org = scope.org();
        let rows = self.database.read(org, sql, &[&org.0, &grantee.to_string()]).await?;
        Ok(rows.iter().map(|row| row.get("resource_id")).collect())
    }

    async fn list_granted_users(&self, scope: &Scope, ids: &[UserId]) -> Result<Vec<GrantedUser>> {
        let sql = "SELECT u.id, u.uid, u.login, u.email, false AS is_service_account, m.created AS since
            FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 AND m.user_id = ANY ($2)
            UNION ALL
            SELECT a.id, a.uid, a.login, '', true, a.created FROM service_accounts a
            WHERE a.org_id = $1 AND a.id = ANY ($2)";
        let (org, ids) = (scope.org(), ids.iter().map(|id| id.0).collect::<Vec<_>>());
        let rows = self.database.read(org, sql, &[&org.0, &ids]).await?;
        let user = |row: &Row| GrantedUser {
            id: UserId(row.get("id")),
            uid: row.get("uid"),
            login: row.get("login"),
            email: row.get("email"),
            is_service_account: row.get("is_service_account"),
            since: timestamp_column(row, "since"),
        };
        Ok(rows.iter().map(user).collect())
    }

    async fn list_granted_teams(&self, scope: &Scope, ids: &[TeamId]) -> Result<Vec<GrantedTeam>> {
        let sql = "SELECT id, uid, name, email FROM teams WHERE org_id = $1 AND id = ANY ($2)";
        let (org, ids) = (scope.org(), ids.iter().map(|id| id.0).collect::<Vec<_>>());
        let rows = self.database.read(org, sql, &[&org.0, &ids]).await?;
        rows.iter().map(granted_team).collect()
    }

    async fn list_rights(
        &self,
        scope: &Scope,
        filter: &ContentFilter,
        limit: i64,
    ) -> Result<Vec<ContentRight>> {
        static SQL: OnceLock<String> = OnceLock::new();
        let (org, filter) = (scope.org(), FilterParams::of(filter));
        let mut values = Values::of(&org);
        let limit = values.push(&limit);
        let (is_unlimited, filter) = filter.push_to(&mut values);
        let sql = SQL.get_or_init(|| rights_text(limit, is_unlimited, filter));
        let rows = self.database.read(org, sql, values.all()).await?;
        rows.iter().map(content_right).collect()
    }
}

fn granted_team(row: &Row) -> Result<GrantedTeam> {
    Ok(GrantedTeam {
        id: TeamId(row.get("id")),
        uid: uid_column(row, "uid")?,
        name: row.get("name"),
        email: row.get("email"),
    })
}

fn kind_column(row: &Row) -> Result<ResourceKind> {
    let kind = stored(row, "kind")?;
    ResourceKind::of_noun(kind).ok_or_else(|| Error::internal(format!("{kind} is no kind of resource")))
}

fn content_right(row: &Row) -> Result<ContentRight> {
    let kind = kind_column(row)?;
    Ok(ContentRight { kind, uid: uid_column(row, "uid")?, level: level_of(stored(row, "level")?)? })
}
