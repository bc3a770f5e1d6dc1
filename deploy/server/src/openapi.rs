//! The subcommand `openapi`.

use std::sync::Arc;

use kymograph_infra::clock::SystemClock;
use kymograph_infra::database_server::DatabaseServer;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::error::ServerError;
use crate::wire::wire;

/// Prints the document.
#[allow(clippy::print_stdout, reason = "the document is what the command is for")]
pub fn print(config: &Config) -> Result<(), ServerError> {
    println!("{:#}", document(config)?);
    Ok(())
}

/// The document of a server with this configuration, wired like one that serves, on a database that is never connected
/// to.
pub fn document(config: &Config) -> Result<Value, ServerError> {
    let wired =
        wire(config, &DatabaseServer::without_tls(tokio_postgres::Config::new()), Arc::new(SystemClock))?;
    wired.background.iter().for_each(JoinHandle::abort);
    Ok(wired.document.json()?)
}
