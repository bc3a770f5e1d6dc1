//! Folders as they were: the events on folders, which are small and few, folded up to a position.

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_es::Aggregate;
use kymograph_app::content::folder::{FolderTree, FolderView};
use kymograph_app::kernel::cache::ReadCache;
use kymograph_app::{Error, Result};
use kymograph_domain::content::folder::{Birth, Folder, FolderEvent};
use kymograph_domain::kernel::event::EventSet;
use kymograph_domain::kernel::slug::slugify;
use kymograph_domain::{OrgId, Stream, StreamId, Timestamp, Uid, UserId, registry};
use tokio_postgres::Row;

use super::folder_bytes;
use crate::kernel::database::{Database, Params};
use crate::kernel::moment::last_event;
use crate::kernel::text::{stored, timestamp_column};

/// How many bytes of all trees together are kept.
const MAX_TREE_BYTES: u64 = 64 * 1024 * 1024;
/// How many events are read at once.
const BATCH: i64 = 5000;
/// How many bytes their payloads have together, unless one alone has more.
const BATCH_BYTES: i64 = 4 * 1024 * 1024;

const EVENTS: &str =
    "SELECT * FROM (SELECT e.pos, e.stream_id, e.type, e.schema_version, e.payload, e.recorded_at, e.actor_id,
        e.actor_login, sum(octet_length(e.payload)) OVER (ORDER BY e.pos) AS total
    FROM (SELECT found.pos FROM unnest($2::text[]) AS types (type) CROSS JOIN LATERAL (
            SELECT pos FROM events WHERE org_id = $1 AND type = types.type AND pos > $3 AND pos <= $4
            ORDER BY pos LIMIT $5) AS found
        ORDER BY found.pos LIMIT $5) AS found
    JOIN events e ON e.org_id = $1 AND e.pos = found.pos) AS batch
    WHERE total <= $6 OR total = octet_length(payload) ORDER BY pos";
/// So many creations under a uid are looked at.
const MAX_BIRTHS: i64 = 1000;
/// PostgreSQL cannot say the character that is replaced.
const BIRTHS: &str = r"SELECT pos, (said ->> 'id')::bigint AS id, (said ->> 'restores')::bigint AS restores
    FROM (SELECT pos, version, replace(payload, '\u0000', '\ufffd')::json AS said FROM events
        WHERE org_id = $1 AND stream_id = $2 AND type = ANY ($3) ORDER BY version DESC LIMIT $4) AS births
    ORDER BY version DESC";
const POSITION: &str = "SELECT pos FROM events WHERE org_id = $1 AND stream_id = $2 AND version = $3";

/// Trees of folders by org and by the last event that made them. They are past, so nothing about them changes.
pub(super) struct FolderTrees(ReadCache<(OrgId, i64), Arc<FolderTree>>);

impl Default for FolderTrees {
    fn default() -> Self {
        Self(ReadCache::with_weight(MAX_TREE_BYTES, |_, tree| {
            let folders: usize = tree.folders.values().map(|folder| folder_bytes(folder)).sum();
            u32::try_from(folders + 64 * (tree.gone.len() + 10)).unwrap_or(u32::MAX)
        }))
    }
}

impl FolderTrees {
    /// The folders of an org at a position.
    pub(super) async fn at(&self, database: &Database, org: OrgId, position: i64) -> Result<Arc<FolderTree>> {
        let types: Vec<_> = FolderEvent::TYPES.iter().map(|(name, _)| *name).collect();
        let Some(last) = last_event(database, org, &types, position).await? else {
            return Ok(Arc::default());
        };
        let key = (org, last);
        let tree = self.0.get_or_fetch(&key, async { fold(database, org, &types, last).await.map(Some) });
        tree.await?.ok_or_else(|| Error::internal("a tree of folders was not made"))
    }
}

/// A folder, with when it was made and changed.
#[derive(Default)]
struct Dated {
    folder: Folder,
    creator: UserId,
    created: (Timestamp, String),
    updated: (Timestamp, String),
}

async fn fold(database: &Database, org: OrgId, types: &[&str], last: i64) -> Result<Arc<FolderTree>> {
    let mut folders = HashMap::<String, Dated>::new();
    let mut after = 0;
    while after < last {
        let params: Params<'_> = &[&org.0, &types, &after, &last, &BATCH, &BATCH_BYTES];
        let rows = database.read_bounded(org, EVENTS, params).await?;
        for row in &rows {
            let dated = folders.entry(row.get("stream_id")).or_default();
            apply(dated, row)?;
        }
        after = rows.last().map_or(last, |row| row.get("pos"));
    }
    let mut tree = FolderTree::default();
    for dated in folders.into_values() {
        if dated.folder.exists {
            tree.folders.insert(dated.folder.uid.clone(), Arc::new(view(org, dated)));
        } else {
            tree.gone.insert(dated.folder.uid);
        }
    }
    Ok(Arc::new(tree))
}

/// The newest creations under a uid, the newest first.
pub(super) async fn list_births(database: &Database, org: OrgId, uid: &Uid) -> Result<Vec<Birth>> {
    let (stream, types) = (Folder::stream_id(uid), Folder::BEGINNINGS);
    let rows = database.read(org, BIRTHS, &[&org.0, &stream.as_str(), &types, &MAX_BIRTHS]).await?;
    let birth = |row: &Row| {
        Ok(Birth { id: stored(row, "id")?, restores: stored(row, "restores")?, position: row.get("pos") })
    };
    rows.iter().map(birth).collect()
}

/// The position of a version of any object.
pub(super) async fn find_position(
    database: &Database,
    org: OrgId,
    stream: &StreamId,
    version: i64,
) -> Result<Option<i64>> {
    let row = database.read_one(org, POSITION, &[&org.0, &stream.as_str(), &version]).await?;
    Ok(row.map(|row| row.get("pos")))
}

fn event(row: &Row) -> Result<FolderEvent> {
    let event = registry::decode(row.get("type"), row.get("schema_version"), row.get("payload"))
        .map_err(Error::internal)?;
    let event = event.of::<FolderEvent>().cloned();
    event.ok_or_else(|| Error::internal("an event on a folder is of another type"))
}

fn apply(dated: &mut Dated, row: &Row) -> Result<()> {
    let event = event(row)?;
    dated.updated = (timestamp_column(row, "recorded_at"), row.get("actor_login"));
    if matches!(event, FolderEvent::Created(_)) {
        dated.created.clone_from(&dated.updated);
        dated.creator = UserId(row.get("actor_id"));
    }
    dated.folder.apply(event);
    Ok(())
}

fn view(org: OrgId, dated: Dated) -> FolderView {
    let Dated { folder, creator, created, updated } = dated;
    FolderView {
        org_id: org,
        id: folder.id,
        uid: folder.uid,
        slug: slugify(&folder.title),
        title: folder.title,
        description: folder.description,
        parent_uid: folder.parent_uid,
        version: folder.version,
        created: created.0,
        created_by: created.1,
        updated: updated.0,
        updated_by: updated.1,
        creator_id: creator,
    }
}
