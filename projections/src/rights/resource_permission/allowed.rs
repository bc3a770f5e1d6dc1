//! The folders that an actor may use, which determine most of the actor's lists.
//!
//! Rights are inherited, so a statement would have to go up from each row or down from each grant. Instead the folders
//! of an org are cached as a [`Tree`], and for each actor the allowed ones of them: one bit per folder. Both have the
//! event up to which they are valid, and every request queries the log for the last event on rights, so that a change
//! of a permission is effective from the next request on, on each server. See `docs/adr/0027-allowed-contents.md`.

mod cache;
mod tree;

use std::sync::{Arc, OnceLock};

use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::rights::authorization::ContentFilter;
use kymograph_app::{Error, Result, Workers};
use kymograph_domain::{AccessLevel, OrgId, StreamId, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::filter::{AllowedPlaces, FilterParams, FilterPlaces, OpenPlaces};
use crate::kernel::database::{Database, Planning};
use crate::kernel::sql::{Place, Values};
use crate::kernel::statement::Param;
use cache::Cache;
use tree::Tree;

pub use cache::MAX_KEPT_BYTES;

/// If a member may see at most this number of dashboards, lists are made by scanning all of them; otherwise by scanning
/// titles in order until a page is full.
const FEW: i64 = 5_000;

/// The events that change the hierarchy of folders, and all events that change rights.
pub(crate) const EVENTS: [&str; 10] = [
    "folder.created",
    "folder.moved",
    "folder.deleted",
    "resource_permission.customized",
    "resource_permission.granted",
    "resource_permission.reset",
    "resource_permission.revoked",
    "team.member_added",
    "team.member_removed",
    "team.deleted",
];
const VERSION: &str =
    "SELECT coalesce(max(found.pos) FILTER (WHERE types.type LIKE 'folder.%'), 0) AS folders,
        coalesce(max(found.pos), 0) AS rights
    FROM unnest($2::text[]) AS types (type) CROSS JOIN LATERAL (
        SELECT pos FROM events WHERE org_id = $1 AND type = types.type ORDER BY pos DESC LIMIT 1) AS found";
const TREE: &str =
    "SELECT coalesce(array_agg(uid), '{}') AS uids, coalesce(array_agg(parent_uid), '{}') AS parents
    FROM folders WHERE org_id = $1";
/// The topmost folders with rights, and the individually granted dashboards.
fn grants_text(is_unlimited: Place, filter: FilterPlaces) -> String {
    let (is_open, grantees, level) =
        (filter.open_at_root("folder", "f"), filter.grantees(), filter.open.level);
    format!(
        "SELECT ARRAY(SELECT f.uid FROM folders f WHERE f.org_id = $1 AND f.parent_uid = '' \
        AND NOT {is_unlimited}::boolean AND {is_open}) AS open, ARRAY(SELECT g.uid FROM resource_grants g \
        WHERE g.org_id = $1 AND g.kind = 'folder'
        AND g.grantee = ANY ({grantees}) AND g.level >= {level}::smallint) AS folders, \
        ARRAY(SELECT DISTINCT g.resource_id FROM resource_grants g
        WHERE g.org_id = $1 AND g.kind = 'dashboard' AND g.grantee = ANY ({grantees}) \
        AND g.level >= {level}::smallint) AS dashboards"
    )
}
/// The number of dashboards in folders, up to a maximum.
const COUNT: &str = "SELECT count(*) FROM (
    SELECT FROM unnest($2::text[]) AS inside (uid) CROSS JOIN LATERAL (
        SELECT FROM dashboards d WHERE d.org_id = $1 AND d.folder_uid = inside.uid AND d.deleted IS NULL OFFSET 0) AS d
    LIMIT $3) AS found";

/// The events of an org's log up to which cached data is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    /// The last event on the folders.
    folders: i64,
    /// The last event on rights.
    rights: i64,
}

/// The folders and dashboards of an org that an actor may use at a level.
#[derive(Debug)]
pub(crate) struct Allowed {
    tree: Arc<Tree>,
    /// A bit for each folder.
    folders: Vec<u64>,
    /// The number of allowed folders.
    count: usize,
    /// Numeric ids of individually granted dashboards, wherever they are.
    dashboards: Vec<i64>,
    /// Whether there are so few that lists are made by scanning all of them.
    pub(crate) is_little: bool,
}

impl Allowed {
    fn of(tree: Arc<Tree>, granted: &[&str], dashboards: Vec<i64>) -> Self {
        let folders = tree.inside(granted);
        let count = folders.iter().map(|bits| bits.count_ones() as usize).sum();
        Self { tree, folders, count, dashboards, is_little: false }
    }

    /// Whether a folder is allowed.
    pub(crate) fn has_folder(&self, uid: &str) -> bool {
        self.tree.find(uid).is_some_and(|at| self.has(at))
    }

    /// The uids of the allowed folders.
    pub(crate) fn folder_uids(&self) -> Vec<&str> {
        let mut uids = Vec::with_capacity(self.count);
        uids.extend(self.numbers().map(|at| self.tree.uid(at)));
        uids
    }

    /// The allowed folders that are directly inside one of some folders, or at the root, which is the empty uid.
    pub(crate) fn folder_uids_inside(&self, outer: &[String]) -> Vec<&str> {
        let outer = self.tree.parents_of(outer);
        let inside = self.numbers().filter(|at| self.tree.is_in_one_of(*at, &outer));
        inside.map(|at| self.tree.uid(at)).collect()
    }

    /// The numbers of the allowed folders.
    fn numbers(&self) -> impl Iterator<Item = usize> {
        let of_bits = |(word, bits): (usize, &u64)| {
            let rest = std::iter::successors(Some(*bits), |bits| Some(bits & bits.wrapping_sub(1)));
            rest.take_while(|bits| *bits != 0).map(move |bits| word * 64 + bits.trailing_zeros() as usize)
        };
        self.folders.iter().enumerate().flat_map(of_bits)
    }

    fn has(&self, at: usize) -> bool {
        self.folders.get(at / 64).is_some_and(|bits| bits >> (at % 64) & 1 == 1)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + (self.folders.len() + self.dashboards.len()) * size_of::<u64>()
    }
}

/// Caches the contents that actors may use.
///
/// Nothing has to be dropped when a stream changes, because each entry has the event up to which it is valid.
#[derive(Default)]
pub struct AllowedCache(Cache);

impl ChangeListener for AllowedCache {
    fn streams_changed(&self, _: OrgId, _: &[StreamId]) {}

    fn everything_changed(&self) {
        self.0.clear();
    }
}

/// Finds the contents that actors may use.
pub struct AllowedContents {
    database: Database,
    cache: Arc<AllowedCache>,
    workers: Workers,
}

impl AllowedContents {
    /// Creates it on this database.
    #[must_use]
    pub fn new(database: Database, cache: Arc<AllowedCache>, workers: Workers) -> Self {
        Self { database, cache, workers }
    }

    /// The contents that pass a filter as of now; `None` for all.
    pub(crate) async fn find(&self, org: OrgId, filter: &ContentFilter) -> Result<Option<Arc<Allowed>>> {
        if filter.is_unlimited {
            return Ok(None);
        }
        let before = self.cache.0.before_fetch();
        let version = self.version(org).await?;
        if let Some(allowed) = self.cache.0.find(org, filter, version) {
            return Ok(Some(allowed));
        }
        let tree = self.tree(org, version).await?;
        // Everything read from here on is as new as the version, or newer.
        let row = self.grants(org, filter).await?;
        let row = row.ok_or_else(|| Error::internal("the query of an actor's grants returned no row"))?;
        let granted: Vec<&str> = [row.get::<_, Vec<&str>>("open"), row.get("folders")].concat();
        let mut allowed = Allowed::of(tree, &granted, row.get("dashboards"));
        allowed.is_little = self.is_little(org, &allowed).await?;
        let allowed = Arc::new(allowed);
        self.cache.0.keep(before, org, filter, version, &allowed);
        Ok(Some(allowed))
    }

    async fn grants(&self, org: OrgId, filter: &ContentFilter) -> Result<Option<Row>> {
        static SQL: OnceLock<String> = OnceLock::new();
        let filter = FilterParams::of(filter);
        let mut values = Values::of(&org);
        let (is_unlimited, filter) = filter.push_to(&mut values);
        let sql = SQL.get_or_init(|| grants_text(is_unlimited, filter));
        self.database.read_one(org, sql, values.all()).await
    }

    async fn version(&self, org: OrgId) -> Result<Version> {
        let row =
            self.database.read_planned(org, Planning::Once, VERSION, &[&org.0, &EVENTS.as_slice()]).await?;
        let row = row
            .first()
            .ok_or_else(|| Error::internal("the query of the last event on rights returned no row"))?;
        Ok(Version { folders: row.get("folders"), rights: row.get("rights") })
    }

    /// The folders of an org. They are read by one request at a time, and waiting requests share the result.
    async fn tree(&self, org: OrgId, version: Version) -> Result<Arc<Tree>> {
        let slot = self.cache.0.tree_of(org);
        let mut kept = slot.lock().await;
        if let Some((_, tree)) = kept.as_ref().filter(|(folders, _)| *folders >= version.folders) {
            return Ok(tree.clone());
        }
        let row = self.database.read_one(org, TREE, &[&org.0]).await?;
        let row = row.ok_or_else(|| Error::internal("the query of an org's folders returned no row"))?;
        let bytes = row.raw_size_bytes();
        let tree = self.workers.run(org, bytes, move || {
            Tree::of(&row.get::<_, Vec<&str>>("uids"), &row.get::<_, Vec<&str>>("parents"))
        });
        let tree = Arc::new(tree.await?);
        *kept = Some((version.folders, tree.clone()));
        Ok(tree)
    }

    async fn is_little(&self, org: OrgId, allowed: &Allowed) -> Result<bool> {
        let few = usize::try_from(FEW).unwrap_or_default();
        if allowed.count > few || allowed.dashboards.len() > few {
            return Ok(false);
        }
        // The root is included.
        let folders: Vec<&str> = std::iter::once("").chain(allowed.folder_uids()).collect();
        let row = self.database.read_one(org, COUNT, &[&org.0, &folders, &(FEW + 1)]).await?;
        Ok(row.is_some_and(|row| row.get::<_, i64>(0) <= FEW))
    }
}

/// The parameters of a statement that filters contents by what an actor may see, in the order of [`AllowedPlaces`].
pub(crate) struct AllowedParams<'a> {
    folders: Option<Vec<&'a str>>,
    dashboards: Option<&'a [i64]>,
    level: i16,
    default_level: i16,
    member: Option<i64>,
    creator_since: Param,
}

impl<'a> AllowedParams<'a> {
    /// The contents that pass a filter.
    pub(crate) fn of(filter: &ContentFilter, allowed: Option<&'a Allowed>) -> Self {
        Self::within(filter, allowed, allowed.map(Allowed::folder_uids))
    }

    /// The same for a statement that reads only these folders.
    pub(crate) fn within(
        filter: &ContentFilter,
        allowed: Option<&'a Allowed>,
        folders: Option<Vec<&'a str>>,
    ) -> Self {
        Self {
            folders,
            dashboards: allowed.map(|allowed| allowed.dashboards.as_slice()),
            level: filter.level.number(),
            default_level: filter.default_level.map_or(0, AccessLevel::number),
            member: filter.member.map(|member| member.0),
            creator_since: Box::new(filter.creator_since.map(Timestamp::date)),
        }
    }

    /// Adds them to the parameters of a query.
    pub(crate) fn push_to<'b>(&'b self, values: &mut Values<&'b (dyn ToSql + Sync)>) -> AllowedPlaces {
        let [folders, ids, level, default_level, member, since] = values.push_all(self.all());
        AllowedPlaces { folders, ids, open: OpenPlaces { level, default_level, member, since } }
    }

    /// All parameters.
    pub(crate) fn all(&self) -> [&(dyn ToSql + Sync); 6] {
        [
            &self.folders,
            &self.dashboards,
            &self.level,
            &self.default_level,
            &self.member,
            &*self.creator_since,
        ]
    }
}

#[cfg(test)]
mod tests {
    use kymograph_domain::account::team::TeamEvent;
    use kymograph_domain::content::folder::FolderEvent;
    use kymograph_domain::kernel::event::EventSet;
    use kymograph_domain::rights::resource_permission::ResourcePermissionEvent;

    use super::*;

    #[test]
    fn of_each_event_on_rights_it_is_known_whether_it_changes_them() {
        const CHANGES_NO_RIGHTS: [&str; 4] =
            ["folder.updated", "team.created", "team.updated", "team.permission_changed"];
        let types = [FolderEvent::TYPES, ResourcePermissionEvent::TYPES, TeamEvent::TYPES].concat();
        let mut known = [EVENTS.as_slice(), &CHANGES_NO_RIGHTS].concat();
        let mut stored: Vec<_> = types.into_iter().map(|(name, _)| name).collect();
        known.sort_unstable();
        stored.sort_unstable();
        assert_eq!(stored, known);
    }

    #[test]
    fn folders_are_told_by_their_bits() {
        let uids: Vec<_> = (0..200).map(|number| format!("f{number:03}")).collect();
        let uids: Vec<_> = uids.iter().map(String::as_str).collect();
        let parents: Vec<_> = (0..200).map(|number| if number < 5 { "" } else { uids[number % 5] }).collect();
        let allowed = Allowed::of(Arc::new(Tree::of(&uids, &parents)), &["f003", "f199"], vec![7]);
        let expected: Vec<_> = (0..200).filter(|number| number % 5 == 3 || *number == 199).collect();
        let named = |numbers: &[usize]| numbers.iter().map(|number| uids[*number]).collect::<Vec<_>>();
        assert_eq!(allowed.folder_uids(), named(&expected));
        assert_eq!(allowed.count, expected.len());
        let inside = |outer: &[&str]| {
            let outer: Vec<_> = outer.iter().map(|uid| (*uid).to_owned()).collect();
            allowed.folder_uids_inside(&outer).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(inside(&["", "f004"]), ["f003", "f199"]);
        assert_eq!(inside(&["f003"]).len(), 39);
        assert!(allowed.has_folder("f003") && !allowed.has_folder("f004") && !allowed.has_folder("gone"));
    }
}
