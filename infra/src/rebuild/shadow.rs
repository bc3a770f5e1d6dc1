//! The shadow tables of a rebuild.

use std::sync::{Mutex, PoisonError};

use futures_util::future::try_join;
use kymograph_app::{Error, Result};
use kymograph_projections::Projector;
use tokio_postgres::Client;

use super::failed;
use crate::database_server::DatabaseServer;
use crate::migrate::connect;

/// The columns of a table with their properties. PostgreSQL qualifies the names, because their schemas are not in the
/// search path.
const TABLE: &str =
    "SELECT format('CREATE TABLE rebuild.%I (LIKE public.%I INCLUDING ALL EXCLUDING INDEXES)%s',
        relname, relname, coalesce(' WITH (' || array_to_string(reloptions, ', ') || ')', ''))
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = $1";
/// Its keys, which the replay needs to find rows.
const KEYS: &str = "SELECT format('ALTER TABLE rebuild.%I ADD CONSTRAINT %I %s', t.relname, con.conname,
        pg_get_constraintdef(con.oid))
    FROM pg_class t JOIN pg_constraint con ON con.conrelid = t.oid AND con.contype IN ('p', 'u')
    WHERE t.relnamespace = 'public'::regnamespace AND t.relname = $1 ORDER BY con.conindid";
/// Its other indexes, which are created faster at the end. They include those of values that are unique among orgs,
/// such as names: logs are replayed one after the other, so the past of one org would conflict with the present of
/// another.
const INDEXES: &str = "SELECT replace(pg_get_indexdef(i.indexrelid), format(' ON public.%I ', t.relname),
        format(' ON rebuild.%I ', t.relname))
    FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
    WHERE t.relnamespace = 'public'::regnamespace AND t.relname = $1
        AND NOT EXISTS (SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid) ORDER BY i.indexrelid";

/// The role that owns all tables.
pub(super) const OWNER: &str = "kymograph_owner";

/// Tables in the schema `rebuild`.
pub(super) struct Shadow {
    /// The shadow tables.
    pub(super) tables: &'static [&'static str],
}

impl Shadow {
    /// Creates empty shadow tables, after removing those of an aborted rebuild.
    pub(super) async fn create(
        client: &Client,
        projector: &dyn Projector,
        running: &[&dyn Projector],
    ) -> Result<Self> {
        let schema = format!(
            "SET search_path = pg_catalog; SET client_min_messages = warning;
            DROP SCHEMA IF EXISTS rebuild CASCADE; CREATE SCHEMA rebuild AUTHORIZATION {OWNER}; SET ROLE {OWNER}"
        );
        client.batch_execute(&schema).await.map_err(failed)?;
        let named = running.iter().flat_map(|projector| projector.tables().iter().chain(projector.touches()));
        let mut named: Vec<_> = named.copied().collect();
        named.sort_unstable();
        named.dedup();
        for table in named {
            for sql in [TABLE, KEYS] {
                run_each(client, sql, table).await?;
            }
        }
        // Autovacuum would only slow down the replay.
        for table in projector.tables() {
            let rest = format!("ALTER TABLE rebuild.{table} SET (autovacuum_enabled = false)");
            client.batch_execute(&rest).await.map_err(failed)?;
        }
        client.batch_execute("RESET ROLE").await.map_err(failed)?;
        Ok(Self { tables: projector.tables() })
    }

    /// Creates the other indexes, two at a time, and analyzes the tables.
    pub(super) async fn complete(&self, server: &DatabaseServer) -> Result<()> {
        let clients = try_join(connect(server), connect(server)).await?;
        let clients = [&clients.0, &clients.1];
        let prepare =
            format!("SET search_path = pg_catalog; SET maintenance_work_mem = '256MB'; SET ROLE {OWNER}");
        let mut indexes = Vec::new();
        for client in clients {
            client.batch_execute(&prepare).await.map_err(failed)?;
        }
        for table in self.tables {
            let made = clients[0].query(INDEXES, &[table]).await.map_err(failed)?;
            indexes.extend(made.iter().map(|row| row.get::<_, String>(0)));
        }
        let indexes = Mutex::new(indexes);
        let next = || indexes.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let make = async |client: &Client| {
            while let Some(sql) = next() {
                client.batch_execute(&sql).await.map_err(failed)?;
            }
            Ok::<_, Error>(())
        };
        try_join(make(clients[0]), make(clients[1])).await?;
        for table in self.tables {
            let sql =
                format!("ALTER TABLE rebuild.{table} RESET (autovacuum_enabled); ANALYZE rebuild.{table}");
            clients[0].batch_execute(&sql).await.map_err(failed)?;
        }
        Ok(())
    }
}

/// Runs the statements that a query generates for a table.
async fn run_each(client: &Client, sql: &str, table: &str) -> Result<()> {
    for row in client.query(sql, &[&table]).await.map_err(failed)? {
        client.batch_execute(row.get(0)).await.map_err(failed)?;
    }
    Ok(())
}
