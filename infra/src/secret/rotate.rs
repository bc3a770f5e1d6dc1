//! Rotation: the keys of all orgs are sealed anew with the current master key, while servers serve. The secrets themselves
//! stay as they are, since the keys that they are sealed with do.

use std::collections::BTreeSet;

use kymograph_app::Result;
use kymograph_domain::OrgId;
use kymograph_projections::Database;

use super::{MasterKeys, READ_KEY};

/// A server may have drawn or sealed a key meanwhile: then the row stays, and is found in the next round.
const REWRAP: &str = "UPDATE secret_keys SET master_key = $3, wrapped = $4
    WHERE org_id = $1 AND master_key = $2 RETURNING org_id";

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The id of the master key that all keys of orgs are sealed with now.
    pub master_key: String,
    /// The number of keys that were sealed anew.
    pub rewrapped: usize,
    /// Whether an earlier rotation was finished that had been interrupted, instead of a new key being made.
    pub is_resumed: bool,
    /// The ids of master keys that no key of an org is sealed with.
    pub unused: Vec<String>,
}

/// Makes a new master key if they are in a file, and seals the keys of all orgs with the current one.
///
/// The key that was current stays in the file until the next rotation: a server that drew a key for a new org meanwhile
/// may have used it. What was interrupted is finished by the next call, and until then all keys are where they were.
pub async fn rotate(database: &Database, keys: &MasterKeys) -> Result<Rotation> {
    let _lock = keys.lock()?;
    let (current, orgs) = (keys.current()?.id().to_owned(), list_orgs(database).await?);
    let is_resumed = used_keys(database, &orgs).await?.iter().any(|id| *id != current);
    if !is_resumed {
        keys.add()?;
    }
    let current = keys.current()?;
    let mut rewrapped = 0;
    for org in list_orgs(database).await? {
        let Some(row) = database.read_one(org, READ_KEY, &[&org.0]).await? else { continue };
        let (old, wrapped): (&str, &[u8]) = (row.get("master_key"), row.get("wrapped"));
        if old == current.id() {
            continue;
        }
        let key = keys.find(old)?.unwrap_bytes(org, wrapped)?;
        let wrapped = current.wrap(org, &key)?;
        rewrapped += database.write(org, REWRAP, &[&org.0, &old, &current.id(), &wrapped]).await?.len();
    }
    let used = used_keys(database, &list_orgs(database).await?).await?;
    let ids = keys.ids();
    let unused: Vec<_> = ids.iter().filter(|id| !used.contains(*id)).cloned().collect();
    keys.retain(|id| used.contains(id) || ids.iter().take(2).any(|recent| recent == id))?;
    Ok(Rotation { master_key: current.id().to_owned(), rewrapped, is_resumed, unused })
}

async fn list_orgs(database: &Database) -> Result<Vec<OrgId>> {
    let rows = database.read_global("SELECT id FROM orgs ORDER BY id", &[]).await?;
    Ok([OrgId::SERVER].into_iter().chain(rows.iter().map(|row| OrgId(row.get(0)))).collect())
}

async fn used_keys(database: &Database, orgs: &[OrgId]) -> Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for org in orgs {
        let row = database.read_one(*org, READ_KEY, &[&org.0]).await?;
        used.extend(row.map(|row| row.get::<_, String>("master_key")));
    }
    Ok(used)
}
