//! Keys shared by all servers on one database.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::kernel::random::{hex, random_bytes};
use kymograph_app::kernel::secret::Secrets;
use kymograph_app::kernel::server_key::{ServerKey, ServerKeys};
use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use kymograph_projections::Database;
use sha2::{Digest, Sha256};

/// Stores keys in `secrets`.
pub struct PgServerKeys {
    database: Database,
    secrets: Arc<dyn Secrets>,
}

impl PgServerKeys {
    /// Keys in this database, encrypted by these secrets.
    #[must_use]
    pub fn new(database: Database, secrets: Arc<dyn Secrets>) -> Self {
        Self { database, secrets }
    }
}

#[async_trait]
impl ServerKeys for PgServerKeys {
    async fn server_key(&self, name: &str) -> Result<ServerKey> {
        let (org, key, drawn) = (OrgId::SERVER, format!("server/{name}"), hex(&random_bytes::<32>()?));
        // Another server may generate one concurrently: the first one written is the key of both.
        let sealed = self.secrets.seal(org, &key, &drawn).await?;
        let keep = "INSERT INTO secrets (org_id, key, sealed) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        self.database.write(org, keep, &[&org.0, &key, &sealed]).await?;
        let read = "SELECT sealed FROM secrets WHERE org_id = $1 AND key = $2";
        let row = self.database.read_one(org, read, &[&org.0, &key]).await?;
        let row = row.ok_or_else(|| Error::internal("a server key is missing"))?;
        let value = self.secrets.open(org, &key, row.get(0)).await?;
        Ok(Sha256::digest(value.as_bytes()).into())
    }
}
