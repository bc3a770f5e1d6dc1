//! Rotation: the keys of all orgs are encrypted again with the current master key, while servers are running. The
//! secrets themselves are unchanged, because the keys that encrypt them are.

use std::collections::BTreeSet;

use kymograph_app::Result;
use kymograph_domain::OrgId;
use kymograph_projections::Database;

use super::{MasterKeys, READ_KEY};

/// A server may create or encrypt a key at the same time: then the row is unchanged, and processed in the next round.
const REWRAP: &str = "UPDATE secret_keys SET master_key = $3, wrapped = $4
    WHERE org_id = $1 AND master_key = $2 RETURNING org_id";

/// The result of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The id of the master key that now encrypts all keys of orgs.
    pub master_key: String,
    /// The number of keys that were encrypted again.
    pub rewrapped: usize,
    /// Whether an interrupted rotation was completed, instead of creating a new key.
    pub is_resumed: bool,
    /// The ids of master keys that encrypt no key of an org.
    pub unused: Vec<String>,
}

/// Creates a new master key if the keys are in a file, and encrypts the keys of all orgs with the current one.
///
/// The previous key stays in the file until the next rotation: a server that created a key for a new org meanwhile may
/// have used it. An interrupted rotation is completed by the next call; until then all master keys stay in the file.
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
