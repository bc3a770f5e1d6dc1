//! Secrets stored outside the log, encrypted with a key of their org, which is encrypted with a master key that is not
//! in the database. See `docs/adr/0034-envelope.md`.

mod master_key;
mod rotate;
mod sealing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kymograph_app::kernel::secret::Secrets;
use kymograph_app::kernel::side_write::{OnFailure, SideWrite, Value};
use kymograph_app::{Error, Result, values};
use kymograph_domain::OrgId;
use kymograph_projections::Database;
use moka::sync::Cache;
use zeroize::Zeroizing;

pub use master_key::{MasterKeySettings, MasterKeys};
pub use rotate::{Rotation, rotate};
pub(crate) use sealing::{SealingKey, draw_key};

const KEEP: &str = "INSERT INTO secrets (org_id, key, sealed) VALUES ($1, $2, $3)
    ON CONFLICT (org_id, key) DO UPDATE SET sealed = excluded.sealed";
const DELETE: &str = "DELETE FROM secrets WHERE org_id = $1 AND key = $2";
const DELETE_BELOW: &str = "DELETE FROM secrets WHERE org_id = $1 AND starts_with(key, $2)";
const DELETE_ALL: &str = "DELETE FROM secrets WHERE org_id = $1";
const DELETE_KEY: &str = "DELETE FROM secret_keys WHERE org_id = $1";
const READ_KEY: &str = "SELECT master_key, wrapped FROM secret_keys WHERE org_id = $1";
/// Another server may generate a key at the same time: both use the one that is written first.
const KEEP_KEY: &str = "INSERT INTO secret_keys (org_id, master_key, wrapped) VALUES ($1, $2, $3)
    ON CONFLICT (org_id) DO NOTHING";

/// The maximum number of cached keys of orgs, and how long a key is cached.
const MAX_KEYS: u64 = 10_000;
const KEY_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Stores secrets in the table `secrets`, and the keys of orgs in `secret_keys`.
pub struct PgSecrets {
    database: Database,
    master_keys: Arc<MasterKeys>,
    keys: Cache<OrgId, Arc<SealingKey>>,
}

impl PgSecrets {
    /// Secrets in this database, encrypted under these master keys.
    #[must_use]
    pub fn new(database: Database, master_keys: Arc<MasterKeys>) -> Self {
        let keys = Cache::builder().max_capacity(MAX_KEYS).time_to_live(KEY_LIFETIME).build();
        Self { database, master_keys, keys }
    }

    /// Fails unless the master keys match this database, which gets its first key if it has none.
    pub async fn check_master_key(&self) -> Result<()> {
        self.key_of(OrgId::SERVER).await.map(drop)
    }

    async fn key_of(&self, org: OrgId) -> Result<Arc<SealingKey>> {
        if let Some(key) = self.keys.get(&org) {
            return Ok(key);
        }
        let key = match self.read_key(org).await? {
            Some(key) => key,
            None => {
                let master = match org {
                    OrgId::SERVER => self.master_keys.current_or_first()?,
                    _ => self.master_keys.current()?,
                };
                let drawn = draw_key()?;
                let wrapped = master.wrap(org, &drawn)?;
                self.database.write(org, KEEP_KEY, &[&org.0, &master.id(), &wrapped]).await?;
                self.read_key(org).await?.ok_or_else(|| Error::internal("the key of an org vanished"))?
            }
        };
        let key = Arc::new(key);
        self.keys.insert(org, key.clone());
        Ok(key)
    }

    async fn read_key(&self, org: OrgId) -> Result<Option<SealingKey>> {
        let Some(row) = self.database.read_one(org, READ_KEY, &[&org.0]).await? else { return Ok(None) };
        let (master, wrapped): (&str, &[u8]) = (row.get("master_key"), row.get("wrapped"));
        self.master_keys.find(master)?.unwrap(org, wrapped).map(Some)
    }
}

#[async_trait]
impl Secrets for PgSecrets {
    async fn seal(&self, org: OrgId, key: &str, value: &str) -> Result<Vec<u8>> {
        self.key_of(org).await?.seal(&bound_to(org, key), value.as_bytes())
    }

    async fn open(&self, org: OrgId, key: &str, sealed: &[u8]) -> Result<Zeroizing<String>> {
        let opened = self.key_of(org).await?.open(&bound_to(org, key), sealed)?;
        let text = std::str::from_utf8(&opened).map_err(Error::internal)?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn keep(&self, org: OrgId, key: String, sealed: Vec<u8>) -> SideWrite {
        fault(org, KEEP, values![org.0, key, sealed])
    }

    fn delete(&self, org: OrgId, key: String) -> SideWrite {
        fault(org, DELETE, values![org.0, key])
    }

    fn delete_below(&self, org: OrgId, prefix: String) -> SideWrite {
        fault(org, DELETE_BELOW, values![org.0, prefix])
    }

    fn delete_all(&self, org: OrgId) -> [SideWrite; 2] {
        self.keys.invalidate(&org);
        [DELETE_ALL, DELETE_KEY].map(|sql| fault(org, sql, values![org.0]))
    }
}

fn fault(org: OrgId, sql: &'static str, params: Vec<Value>) -> SideWrite {
    SideWrite { org, sql, params, on_failure: OnFailure::Fault }
}

/// The context that a secret is bound to. A number has no `/`, so no two secrets share a context.
pub(crate) fn bound_to(org: OrgId, key: &str) -> String {
    format!("secret/{org}/{key}")
}
