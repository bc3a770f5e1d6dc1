//! Whether the database answers.

use async_trait::async_trait;
use kymograph_app::health::HealthCheck;
use kymograph_app::{Error, Result};
use kymograph_projections::Database;

use crate::migrate::latest_version;

/// Asks the database for the version of its schema.
pub struct PgHealthCheck {
    database: Database,
}

impl PgHealthCheck {
    /// A check of this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl HealthCheck for PgHealthCheck {
    async fn check_database(&self) -> Result<()> {
        let row = self.database.read_global_one("SELECT max(version) FROM schema_migrations", &[]).await?;
        let found: Option<i32> = row.and_then(|row| row.get(0));
        let wanted = latest_version();
        if found == Some(wanted) {
            Ok(())
        } else {
            Err(Error::unavailable(format!("the schema has version {found:?}, this server needs {wanted}")))
        }
    }
}
