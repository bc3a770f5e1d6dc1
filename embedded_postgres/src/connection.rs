//! Connections to the embedded database.

use std::path::Path;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use crate::error::EmbeddedError;

/// The name of the superuser and of the database.
pub(crate) const NAME: &str = "kymograph";

/// Longer than a loaded machine takes to fork a backend, short enough to check the process again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How to reach the database through the socket in this folder.
pub(crate) fn config(socket: &Path, port: u16) -> Config {
    let mut config = Config::new();
    config.host_path(socket).port(port).user(NAME).dbname(NAME);
    config
}

/// Whether the server accepts connections to our database, which is created if it is missing: the next start thus
/// repairs a kill between the creation of the cluster and that of the database.
pub(crate) async fn answers(config: &Config) -> Result<bool, EmbeddedError> {
    let mut patient = config.clone();
    patient.connect_timeout(ANSWER_TIMEOUT);
    let Err(error) = patient.connect(NoTls).await else { return Ok(true) };
    match error.code() {
        None => Ok(false),
        Some(code) if *code == SqlState::UNDEFINED_DATABASE => create_database(patient).await,
        // It is running, and its connections are exhausted.
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => Ok(true),
        // Class 57 reports that the server is starting or shutting down.
        Some(code) if code.code().starts_with("57") => Ok(false),
        Some(_) => Err(error.into()),
    }
}

async fn create_database(mut config: Config) -> Result<bool, EmbeddedError> {
    let (client, connection) = config.dbname("postgres").connect(NoTls).await?;
    let create = async move {
        // The client is dropped with this block, which ends the connection.
        client.batch_execute(&format!("CREATE DATABASE {NAME}")).await
    };
    let (created, _) = tokio::join!(create, connection);
    match created {
        // Another process of ours may have created it first.
        Err(error) if error.code() != Some(&SqlState::DUPLICATE_DATABASE) => Err(error.into()),
        _ => Ok(true),
    }
}
