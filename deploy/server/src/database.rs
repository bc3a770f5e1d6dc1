//! Which database the program works on: the one that is configured, or the embedded one.

use kymograph_embedded_postgres::{Attached, EmbeddedPostgres, EmbeddedSettings};
use kymograph_infra::database_server::DatabaseServer;

use crate::config::Config;
use crate::database_url::DatabaseUrl;
use crate::error::ServerError;

/// The database of a server.
pub enum ServerDatabase {
    /// A server that somebody else runs.
    External(Box<DatabaseServer>),
    /// The private server under the data folder.
    Embedded(Box<EmbeddedPostgres>),
}

impl ServerDatabase {
    /// The configured database, or the embedded one, which is started.
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

/// The database of a command that works beside a running server, or without one.
pub enum CommandDatabase {
    /// A server that somebody else runs.
    External(Box<DatabaseServer>),
    /// The private server under the data folder, started only if nobody has.
    Embedded(Box<Attached>),
}

impl CommandDatabase {
    /// The configured database, or the embedded one.
    pub async fn attach(config: &Config) -> Result<Self, ServerError> {
        match external(config)? {
            Some(external) => Ok(Self::External(Box::new(external))),
            // A mistyped path must not make a new, empty database that is then found to be in order.
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

    /// Lets it go, and stops it if it was started here.
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
