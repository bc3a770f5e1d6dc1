//! Folders at an earlier time: the events on folders, which are small and few, folded up to a position.

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_es::Aggregate;
use kymograph_app::content::folder::{FolderTree, FolderView};
use kymograph_app::kernel::cache::ReadCache;
use kymograph_app::kernel::work::Admission;
use kymograph_app::{Error, Result, Workers};
use kymograph_domain::content::folder::{Birth, Folder, FolderEvent};
use kymograph_domain::kernel::event::EventSet;
use kymograph_domain::kernel::slug::slugify;
use kymograph_domain::{OrgId, Stream, StreamId, Timestamp, Uid, UserId, registry};
use tokio_postgres::Row;

use super::{FOLDER_BYTES, folder_bytes};
use crate::kernel::database::{Database, Params};
use crate::kernel::moment::last_event;
use crate::kernel::text::{stored, timestamp_column};

/// The maximum total size of the cached trees, in bytes.
const MAX_KEPT_BYTES: u64 = 48 * 1024 * 1024;
/// The maximum size of a tree in memory, in bytes.
pub const MAX_TREE: usize = 48 * 1024 * 1024;
/// The maximum number of events that are read at once.
const BATCH: i64 = 5000;
/// The maximum total size of their payloads in bytes, unless a single one is larger.
const BATCH_BYTES: i64 = 4 * 1024 * 1024;
/// The same for a read without an admission, which is enough for most orgs.
const FIRST_BATCH: i64 = 500;
const FIRST_BATCH_BYTES: i64 = 256 * 1024;

const EVENTS: &str =
    "SELECT * FROM (SELECT e.pos, e.stream_id, e.type, e.schema_version, e.payload, e.recorded_at, e.actor_id,
        e.actor_login, octet_length(e.payload) + octet_length(e.actor_login) AS bytes,
        sum(octet_length(e.payload) + octet_length(e.actor_login)) OVER (ORDER BY e.pos) AS total
    FROM (SELECT found.pos FROM unnest($2::text[]) AS types (type) CROSS JOIN LATERAL (
            SELECT pos FROM events WHERE org_id = $1 AND type = types.type AND pos > $3 AND pos <= $4
            ORDER BY pos LIMIT $5) AS found
        ORDER BY found.pos LIMIT $5) AS found
    JOIN events e ON e.org_id = $1 AND e.pos = found.pos) AS batch
    WHERE total <= $6 OR total = bytes ORDER BY pos";
/// The maximum number of creations with a uid that are read.
const MAX_BIRTHS: i64 = 1000;
/// PostgreSQL has no text with the character that is replaced.
const BIRTHS: &str = r"SELECT pos, (said ->> 'id')::bigint AS id, (said ->> 'restores')::bigint AS restores
    FROM (SELECT pos, version, replace(payload, '\u0000', '\ufffd')::json AS said FROM events
        WHERE org_id = $1 AND stream_id = $2 AND type = ANY ($3) ORDER BY version DESC LIMIT $4) AS births
    ORDER BY version DESC";
/// The types of events that contain the description of a folder.
const DESCRIBED: &[&str] = &["folder.created", "folder.updated"];
const DESCRIPTION: &str = "SELECT type, schema_version, payload FROM events
    WHERE org_id = $1 AND stream_id = $2 AND type = ANY ($3) AND pos <= $4 ORDER BY version DESC LIMIT 1";
const POSITION: &str = "SELECT pos FROM events WHERE org_id = $1 AND stream_id = $2 AND version = $3";

/// Trees of folders by org and by their last event. They describe the past, so they never change.
pub(super) struct FolderTrees(ReadCache<(OrgId, i64), Arc<FolderTree>>);

impl Default for FolderTrees {
    fn default() -> Self {
        Self(ReadCache::with_weight(MAX_KEPT_BYTES, |_, tree| {
            u32::try_from(tree_bytes(tree)).unwrap_or(u32::MAX)
        }))
    }
}

fn tree_bytes(tree: &FolderTree) -> usize {
    tree.folders.values().map(|folder| folder_bytes(folder)).sum::<usize>() + 64 * (tree.gone.len() + 10)
}

impl FolderTrees {
    /// The folders of an org at a position, with the admission that they need if they are many.
    pub(super) async fn at(
        &self,
        database: &Database,
        workers: &Workers,
        org: OrgId,
        position: i64,
    ) -> Result<(Arc<FolderTree>, Option<Admission>)> {
        let types: Vec<_> = FolderEvent::TYPES.iter().map(|(name, _)| *name).collect();
        let Some(last) = last_event(database, org, &types, position).await? else {
            return Ok((Arc::default(), None));
        };
        let key = (org, last);
        let is_kept = match self.0.get(&key) {
            Some(tree) if is_small(&tree) => return Ok((tree, None)),
            large => large.is_some(),
        };
        let new = || Fold { database, workers, org, types: &types, last, after: 0, folders: HashMap::new() };
        // A request that waits holds none of the data that it has read.
        if !is_kept {
            let mut first = new();
            first.read(FIRST_BATCH, FIRST_BATCH_BYTES).await?;
            if first.is_done() {
                let tree = Arc::new(first.tree());
                self.0.keep(&self.0.before_fetch(), &key, tree.clone());
                return Ok((tree, None));
            }
        }
        // Each request with a large tree waits, even for a cached one: the cache may evict it meanwhile.
        let admission = workers.admit_large_read(org).await?;
        let tree = self.0.get_or_fetch(&key, async {
            let mut fold = new();
            while !fold.is_done() {
                fold.read(BATCH, BATCH_BYTES).await?;
            }
            Ok(Some(Arc::new(fold.tree())))
        });
        let tree = tree.await?.ok_or_else(|| Error::internal("a folder tree was not built"))?;
        Ok((tree, Some(admission)))
    }
}

fn is_small(tree: &FolderTree) -> bool {
    tree.folders.len() + tree.gone.len() <= 500
}

/// A folder with the times of its creation and last change.
#[derive(Default)]
struct Dated {
    folder: Folder,
    creator: UserId,
    created: (Timestamp, String),
    updated: (Timestamp, String),
}

impl Dated {
    /// The approximate memory that it takes in a tree: the readable part of its address is about as long as its title.
    fn bytes(&self) -> usize {
        FOLDER_BYTES + 2 * self.folder.title.len() + self.created.1.len() + self.updated.1.len()
    }
}

/// The events on folders that are folded into a tree.
struct Fold<'a> {
    database: &'a Database,
    workers: &'a Workers,
    org: OrgId,
    types: &'a [&'static str],
    /// The position of the last event.
    last: i64,
    /// The position of the last event that was read.
    after: i64,
    folders: HashMap<String, Dated>,
}

impl Fold<'_> {
    fn is_done(&self) -> bool {
        self.after >= self.last
    }

    /// Reads the next events, up to a number and a total size.
    async fn read(&mut self, count: i64, bytes: i64) -> Result<()> {
        let params: Params<'_> = &[&self.org.0, &self.types, &self.after, &self.last, &count, &bytes];
        let rows = self.database.read_bounded(self.org, EVENTS, params).await?;
        self.after = rows.last().map_or(self.last, |row| row.get("pos"));
        let bytes = rows.iter().map(|row| row.get::<_, &str>("payload").len()).sum();
        let mut folders = std::mem::take(&mut self.folders);
        let apply_all = move || -> Result<_> {
            for row in &rows {
                apply(folders.entry(row.get("stream_id")).or_default(), row)?;
            }
            Ok(folders)
        };
        self.folders = self.workers.run(self.org, bytes, apply_all).await??;
        let bytes: usize = self.folders.values().map(Dated::bytes).sum();
        if bytes > MAX_TREE {
            return Err(Error::too_large("the org has too many folders to read as of a time"));
        }
        Ok(())
    }

    fn tree(self) -> FolderTree {
        let mut tree = FolderTree::default();
        for dated in self.folders.into_values() {
            if dated.folder.exists {
                tree.folders.insert(dated.folder.uid.clone(), Arc::new(view(self.org, dated)));
            } else {
                tree.gone.insert(dated.folder.uid);
            }
        }
        tree
    }
}

/// The description of a folder at a position, from the last event that contains it.
pub(super) async fn find_description(
    database: &Database,
    org: OrgId,
    uid: &Uid,
    position: i64,
) -> Result<String> {
    let (stream, types) = (Folder::stream_id(uid), DESCRIBED);
    let row = database.read_one(org, DESCRIPTION, &[&org.0, &stream.as_str(), &types, &position]).await?;
    Ok(match row.as_ref().map(event).transpose()? {
        Some(FolderEvent::Created(created)) => created.description,
        Some(FolderEvent::Updated(updated)) => updated.description,
        Some(FolderEvent::Moved(_) | FolderEvent::Deleted(_)) | None => String::new(),
    })
}

/// The latest creations with a uid, the newest first.
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
    dated.folder.description = String::new();
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
        description: String::new(),
        parent_uid: folder.parent_uid,
        version: folder.version,
        created: created.0,
        created_by: created.1,
        updated: updated.0,
        updated_by: updated.1,
        creator_id: creator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_weighs_what_all_of_its_texts_do() {
        let texts = || "a".repeat(700);
        let folder = Folder { title: texts(), ..Folder::default() };
        let dated = Dated {
            folder,
            creator: UserId(1),
            created: (Timestamp::default(), texts()),
            updated: (Timestamp::default(), texts()),
        };
        assert!(dated.bytes() >= 4 * 700);
        let view = Arc::new(view(OrgId(1), dated));
        let tree = FolderTree { folders: HashMap::from([(view.uid.clone(), view)]), ..FolderTree::default() };
        assert!(tree_bytes(&tree) >= 4 * 700);
    }
}
