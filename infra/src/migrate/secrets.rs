//! Encrypts the secrets that were stored as plain text.

use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use tokio_postgres::Transaction;

use crate::secret::{MasterKeys, SealingKey, bound_to, draw_key};

/// The migration that creates the tables.
pub(super) const MIGRATION: i32 = 25;

const ORGS: &str = "SELECT 0::bigint UNION ALL SELECT id FROM orgs ORDER BY 1";
const PLAIN: &str = "SELECT key, value FROM secrets WHERE org_id = $1";
const SEAL: &str = "INSERT INTO sealed_secrets (org_id, key, sealed) VALUES ($1, $2, $3)";
const KEEP_KEY: &str = "INSERT INTO secret_keys (org_id, master_key, wrapped) VALUES ($1, $2, $3)";
/// The files of a dropped table are deleted; a dropped column would remain in the pages.
const FINISH: &str = "DROP TABLE secrets; ALTER TABLE sealed_secrets RENAME TO secrets";

/// Encrypts all secrets, and drops the table with the plain texts.
pub(super) async fn seal(transaction: &Transaction<'_>, master_keys: &MasterKeys) -> Result<()> {
    for row in transaction.query(ORGS, &[]).await.map_err(Error::internal)? {
        let org = OrgId(row.get(0));
        let set = format!("SET LOCAL app.org_id = '{org}'");
        transaction.batch_execute(&set).await.map_err(Error::internal)?;
        let secrets = transaction.query(PLAIN, &[&org.0]).await.map_err(Error::internal)?;
        if secrets.is_empty() {
            continue;
        }
        let (master, drawn) = (master_keys.current_or_first()?, draw_key()?);
        let (wrapped, key) = (master.wrap(org, &drawn)?, SealingKey::new(&drawn));
        let kept = transaction.execute(KEEP_KEY, &[&org.0, &master.id(), &wrapped]).await;
        kept.map_err(Error::internal)?;
        for row in secrets {
            let (name, value): (&str, &str) = (row.get("key"), row.get("value"));
            let sealed = key.seal(&bound_to(org, name), value.as_bytes())?;
            let inserted = transaction.execute(SEAL, &[&org.0, &name, &sealed]).await;
            inserted.map_err(Error::internal)?;
        }
    }
    transaction.batch_execute(FINISH).await.map_err(Error::internal)
}
