//! Connections to PostgreSQL as the application role.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod};
use kymograph_app::{Error, Result};
use kymograph_projections::Database;
use kymograph_projections::kernel::database::{self, Cancel};

use crate::compute::{lower_group_priority, lower_priority};
use crate::database_server::DatabaseServer;

/// The role that serves requests. See `migrations/sql/0001_roles.sql`.
pub const APP_ROLE: &str = "kymograph_app";

/// The timeout of a statement of a flight, and of an idle transaction.
const STATEMENT_TIMEOUT: &str = "60s";

/// The server as the application role, with timeouts for statements and idle transactions.
///
/// Commits access single rows by indexes. Their statements have generic plans: where most rows of a column have the
/// same value, PostgreSQL would scan the whole table, which holds the rows of all orgs. On distributed tables this
/// setting does not reach the workers, which depend on the form of the statements.
#[must_use]
pub fn app_server(server: &DatabaseServer) -> DatabaseServer {
    server_with(server, STATEMENT_TIMEOUT, "-c enable_seqscan=off")
}

fn server_with(server: &DatabaseServer, statement_timeout: &str, planning: &str) -> DatabaseServer {
    server.with_config(|config| {
        let options = format!(
            "{} -c role={APP_ROLE} -c statement_timeout={statement_timeout} \
                -c idle_in_transaction_session_timeout={STATEMENT_TIMEOUT} -c jit=off {planning}",
            config.get_options().unwrap_or_default()
        );
        config.options(options.trim()).application_name("kymograph").connect_timeout(Duration::from_secs(5));
    })
}

/// The database for requests, with up to this many connections as the application role. They are opened on demand.
pub fn app_database(server: &DatabaseServer, max_size: usize) -> Result<Database> {
    // A connection is returned without a round trip: no code path leaves a transaction open on it.
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let server = server_with(server, &format!("{}ms", database::STATEMENT_TIMEOUT.as_millis()), "");
    let tls = server.tls().clone();
    let manager = Manager::from_config(server.config().clone(), tls.clone(), recycling);
    let mut pool = Pool::builder(manager).max_size(max_size);
    if server.is_embedded() {
        pool = pool.post_create(Hook::async_fn(|client, _| Box::pin(yield_to_writers(client))));
    }
    let pool = pool.build().map_err(Error::internal)?;
    let cancel: Cancel = Arc::new(move |token| {
        let tls = tls.clone();
        Box::pin(async move { token.cancel_query(tls).await })
    });
    Ok(Database::new(pool, cancel, server.tables()))
}

/// Lowers the priority of a connection's process: searches of a large org use the most CPU time, while commits, on
/// other connections, are short.
async fn yield_to_writers(client: &ClientWrapper) -> std::result::Result<(), HookError> {
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).await.map_err(HookError::Backend)?.get(0);
    if let Err(error) = lower_priority(pid) {
        tracing::debug!(%error, pid, "could not lower the priority of a database process");
    }
    tokio::spawn(lower_group_priority(pid));
    Ok(())
}
