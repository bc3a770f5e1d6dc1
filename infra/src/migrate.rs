//! Schema migrations.

mod secrets;
mod user_names;

use kymograph_app::{Error, Result};
use kymograph_migrations::{MIGRATIONS, Migration};
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use crate::database_server::DatabaseServer;
use crate::secret::MasterKeys;

/// The advisory lock of migrations, which serializes servers that start together.
pub(crate) const LOCK: i64 = 0x006b_796d_6f67;

/// The schema version that this server requires.
#[must_use]
pub fn latest_version() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// Opens a connection outside of all pools, for work that is not part of a request.
pub async fn connect(server: &DatabaseServer) -> Result<Client> {
    let (client, connection) = server.connect().await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "a database connection ended");
        }
    });
    Ok(client)
}

/// Applies the missing migrations, and returns their number.
///
/// Fails if the database has unknown or changed migrations. Secrets of older versions are encrypted under the master keys.
pub async fn migrate(server: &DatabaseServer, master_keys: &MasterKeys) -> Result<usize> {
    let mut client = connect(server).await?;
    let failed = |error| migration_error("the schema could not be read", &error);
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.map_err(failed)?;
    client
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now())",
        )
        .await
        .map_err(failed)?;
    let rows = client
        .query("SELECT version, checksum FROM schema_migrations ORDER BY version", &[])
        .await
        .map_err(failed)?;
    let applied: Vec<(i32, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    check_applied(&applied)?;
    let missing = &MIGRATIONS[applied.len()..];
    for migration in missing {
        apply(&mut client, migration, master_keys).await?;
    }
    Ok(missing.len())
}

fn check_applied(applied: &[(i32, String)]) -> Result<()> {
    for (index, (version, checksum)) in applied.iter().enumerate() {
        let Some(migration) = MIGRATIONS.get(index).filter(|migration| migration.version == *version) else {
            return Err(Error::internal(format!(
                "the database has migration {version}, which this server does not know: use a newer server"
            )));
        };
        if checksum_of(migration) != *checksum {
            return Err(Error::internal(format!(
                "migration {} was changed after it was applied to this database",
                migration.name
            )));
        }
    }
    Ok(())
}

async fn apply(client: &mut Client, migration: &Migration, master_keys: &MasterKeys) -> Result<()> {
    let failed = |error| migration_error(migration.name, &error);
    let transaction = client.transaction().await.map_err(failed)?;
    if migration.version > 1 {
        transaction.batch_execute("SET LOCAL ROLE kymograph_owner").await.map_err(failed)?;
    }
    transaction.batch_execute(migration.sql).await.map_err(failed)?;
    if migration.version == user_names::MIGRATION {
        user_names::fill(&transaction).await.map_err(failed)?;
    }
    if migration.version == secrets::MIGRATION {
        secrets::seal(&transaction, master_keys).await?;
    }
    transaction.batch_execute("RESET ROLE").await.map_err(failed)?;
    if migration.version == 1 {
        let grant = "GRANT SELECT ON schema_migrations TO kymograph_app";
        transaction.batch_execute(grant).await.map_err(failed)?;
    }
    let checksum = checksum_of(migration);
    transaction
        .execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
            &[&migration.version, &migration.name, &checksum],
        )
        .await
        .map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    tracing::info!(migration = migration.name, "applied a migration");
    Ok(())
}

fn checksum_of(migration: &Migration) -> String {
    kymograph_app::kernel::random::hex(&Sha256::digest(migration.sql))
}

fn migration_error(what: &str, error: &tokio_postgres::Error) -> Error {
    let detail = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    Error::internal(format!("{what}: {detail}"))
}
