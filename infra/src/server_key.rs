//! Keys shared by all servers on one database.

use async_trait::async_trait;
use kymograph_app::kernel::random::{hex, random_bytes};
use kymograph_app::kernel::server_key::{ServerKey, ServerKeys};
use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use kymograph_projections::Database;
use sha2::{Digest, Sha256};

/// Keeps keys in `secrets`.
pub struct PgServerKeys {
    database: Database,
}

impl PgServerKeys {
    /// Keys in this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ServerKeys for PgServerKeys {
    async fn server_key(&self, name: &str) -> Result<ServerKey> {
        let (org, key, drawn) = (OrgId::SERVER, format!("server/{name}"), hex(&random_bytes::<32>()?));
        // Another server may generate one concurrently: the first one written is the key of both.
        let keep = "INSERT INTO secrets (org_id, key, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        self.database.write(org, keep, &[&org.0, &key, &drawn]).await?;
        let read = "SELECT value FROM secrets WHERE org_id = $1 AND key = $2";
        let row = self.database.read_one(org, read, &[&org.0, &key]).await?;
        let value: String = row.ok_or_else(|| Error::internal("a server key is missing"))?.get(0);
        Ok(Sha256::digest(value).into())
    }
}
