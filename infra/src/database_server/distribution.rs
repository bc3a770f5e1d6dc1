//! Detects whether tables are distributed by Citus.

use kymograph_app::Result;
use kymograph_projections::kernel::database::database_error;
use kymograph_projections::kernel::sql::Tables;
use tokio_postgres::Client;

use super::DatabaseServer;

/// Only databases with the extension have distributed tables and its catalog.
const HAS_CITUS: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus')";
/// All tables of an org are colocated with the log.
const IS_DISTRIBUTED: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition
    WHERE logicalrelid = pg_catalog.to_regclass('public.events'))";

impl DatabaseServer {
    /// Whether the tables are distributed.
    #[must_use]
    pub fn tables(&self) -> Tables {
        self.tables
    }

    /// The same server with local or distributed tables.
    #[must_use]
    pub fn with_tables(&self, tables: Tables) -> Self {
        Self { tables, ..self.clone() }
    }

    /// The same server, after detecting whether its tables are distributed. That is one query without Citus.
    pub async fn with_tables_found(&self) -> Result<Self> {
        let (client, connection) = self.connect().await?;
        let connection = tokio::spawn(connection);
        let tables = find_tables(&client).await.map_err(|error| database_error(&error));
        connection.abort();
        Ok(self.with_tables(tables?))
    }
}

async fn find_tables(client: &Client) -> std::result::Result<Tables, tokio_postgres::Error> {
    let mut tables = Tables::Local;
    if client.query_one(HAS_CITUS, &[]).await?.get(0) && client.query_one(IS_DISTRIBUTED, &[]).await?.get(0) {
        tables = Tables::Distributed;
    }
    Ok(tables)
}
