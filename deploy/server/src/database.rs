//! The database of the program: the configured or the embedded one.

use kymograph_embedded_postgres::{Attached, EmbeddedPostgres, EmbeddedSettings};
use kymograph_infra::database_server::DatabaseServer;

use crate::config::Config;
use crate::database_url::DatabaseUrl;
use crate::error::ServerError;

/// The database of a server.
pub enum ServerDatabase {
    /// An external server.
    External(Box<DatabaseServer>),
    /// The embedded server.
    Embedded(Box<EmbeddedPostgres>),
}

impl ServerDatabase {
    /// The configured database, or the embedded one after its start.
    pub async fn start(config: &Config) -> Result<Self, ServerError> {
        match external(config)? {
            Some(external) => Ok(Self::External(Box::new(external))),
            None => Ok(Self::Embedded(Box::new(EmbeddedPostgres::start(embedded_settings(config)).await?))),
        }
    }

    /// How to connect to it.
    #[must_use]
    pub fn server(&self) -> DatabaseServer {
        match self {
            Self::External(server) => DatabaseServer::clone(server),
            Self::Embedded(embedded) => DatabaseServer::embedded(embedded.config()),
        }
    }

    /// Stops it, if it is the embedded one.
    pub async fn stop(self) -> Result<(), ServerError> {
        match self {
            Self::External(_) => Ok(()),
            Self::Embedded(embedded) => Ok(embedded.stop().await?),
        }
    }
}

/// The database of a command, with or without a running server.
pub enum CommandDatabase {
    /// An external server.
    External(Box<DatabaseServer>),
    /// The embedded server, started unless it is running.
    Embedded(Box<Attached>),
}

impl CommandDatabase {
    /// The configured database, or the embedded one.
    pub async fn attach(config: &Config) -> Result<Self, ServerError> {
        match external(config)? {
            Some(external) => Ok(Self::External(Box::new(external))),
            // A mistyped path must not create an empty database that then passes verification.
            None if !config.paths.data.join("postgres").exists() => {
                Err(ServerError::NoDatabase(config.paths.data.clone()))
            }
            None => Ok(Self::Embedded(Box::new(EmbeddedPostgres::attach(embedded_settings(config)).await?))),
        }
    }

    /// How to connect to it.
    #[must_use]
    pub fn server(&self) -> DatabaseServer {
        match self {
            Self::External(server) => DatabaseServer::clone(server),
            Self::Embedded(attached) => DatabaseServer::without_tls(attached.config()),
        }
    }

    /// Releases it, and stops it if it was started here.
    pub async fn release(self) -> Result<(), ServerError> {
        match self {
            Self::External(_) => Ok(()),
            Self::Embedded(attached) => Ok(attached.release().await?),
        }
    }
}

fn external(config: &Config) -> Result<Option<DatabaseServer>, ServerError> {
    let Some(url) = &config.database.url else { return Ok(None) };
    let DatabaseUrl { config, tls } = DatabaseUrl::parse(url.expose(), &config.database)?;
    Ok(Some(DatabaseServer::with_tls(config, &tls)?))
}

fn embedded_settings(config: &Config) -> EmbeddedSettings {
    EmbeddedSettings {
        data: config.paths.data.clone(),
        run_as: config.database.embedded_user.clone(),
        extra: Vec::new(),
    }
}
