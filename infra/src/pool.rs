//! Connections to PostgreSQL as the application role.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use kymograph_app::{Error, Result};

use crate::database_server::DatabaseServer;

/// The role that serves requests. See `migrations/sql/0001_roles.sql`.
pub const APP_ROLE: &str = "kymograph_app";

/// The server as requests use it: as the application role, with limits after which it gives up on a statement or a
/// forgotten transaction.
#[must_use]
pub fn app_server(server: &DatabaseServer) -> DatabaseServer {
    server.with_config(|config| {
        let options = format!(
            "{} -c role={APP_ROLE} -c statement_timeout=60s -c idle_in_transaction_session_timeout=60s -c jit=off",
            config.get_options().unwrap_or_default()
        );
        config.options(options.trim()).application_name("kymograph").connect_timeout(Duration::from_secs(5));
    })
}

/// A pool of connections as the application role. None is opened before it is needed.
pub fn app_pool(server: &DatabaseServer, max_size: usize) -> Result<Pool> {
    // A connection is given back without a round trip: no code path leaves a transaction open on it.
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let server = app_server(server);
    let manager = Manager::from_config(server.config().clone(), server.tls().clone(), recycling);
    Pool::builder(manager).max_size(max_size).build().map_err(Error::internal)
}
