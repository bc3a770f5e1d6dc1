//! The embedded database: a private Postgres cluster in the data folder, run by the installed programs, for servers
//! without a configured database.
//!
//! It is as durable as any other Postgres. Either process may be killed at any moment: a Postgres that
//! outlived its server is adopted by the next one, and one that died under its server is started again.
//! Nothing listens on the network; the socket lies in a folder that only its owner may enter.

mod account;
mod binaries;
mod cluster;
mod connection;
mod error;
mod initdb;
mod lock;
mod pid_file;
mod place;
mod postmaster;
mod server_log;
mod supervisor;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_postgres::Config;

use cluster::Cluster;
pub use error::EmbeddedError;
use lock::DataLock;
use pid_file::Running;
use place::Place;
use supervisor::Supervisor;

/// The timeout of `attach` for a server that holds the data folder, but is starting or stopping.
const ATTACH_PATIENCE: Duration = Duration::from_secs(60);

/// How often `attach` retries.
const ATTACH_POLL: Duration = Duration::from_millis(20);

/// The settings of the cluster.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// The data folder; the cluster is its subfolder `postgres`.
    pub data: PathBuf,
    /// The user that runs Postgres if we are root. `None`: the owner of an existing cluster, otherwise `postgres`,
    /// otherwise `nobody`.
    pub run_as: Option<String>,
    /// Settings of Postgres by name, which override our defaults, but not those that durability relies on.
    pub extra: Vec<(String, String)>,
}

/// A private Postgres, kept running until it is stopped. If this is dropped instead, Postgres continues to run and is
/// adopted by the next start.
#[derive(Debug)]
#[must_use = "when it is dropped, nobody looks after PostgreSQL"]
pub struct EmbeddedPostgres {
    config: Config,
    stop: oneshot::Sender<()>,
    supervision: JoinHandle<Result<(), EmbeddedError>>,
    /// Released after everything else, when this is dropped.
    _lock: DataLock,
}

impl EmbeddedPostgres {
    /// Starts the cluster of a data folder, creating it first if there is none, and returns when it accepts
    /// connections.
    pub async fn start(settings: EmbeddedSettings) -> Result<Self, EmbeddedError> {
        let place = Place::open(&settings.data)?;
        let lock = DataLock::take(&place)?;
        Self::start_locked(place, lock, settings).await
    }

    async fn start_locked(
        place: Place,
        lock: DataLock,
        settings: EmbeddedSettings,
    ) -> Result<Self, EmbeddedError> {
        let mut supervisor = Supervisor::new(Cluster::open(place, settings).await?);
        supervisor.bring_up().await?;
        let config = connection::config(&supervisor.cluster.socket, supervisor.cluster.port);
        let (stop, stopped) = oneshot::channel();
        let supervision = tokio::spawn(supervisor.run(stopped));
        Ok(Self { config, stop, supervision, _lock: lock })
    }

    /// Connects to the running cluster of this data folder, or starts it. For subcommands that read with or without a
    /// running server.
    pub async fn attach(settings: EmbeddedSettings) -> Result<Attached, EmbeddedError> {
        let place = Place::open(&settings.data)?;
        let begun = Instant::now();
        loop {
            if let Some(config) = running_config(&place).await? {
                return Ok(Attached { config, own: None });
            }
            match DataLock::take(&place) {
                Ok(lock) => {
                    let own = Self::start_locked(place, lock, settings).await?;
                    return Ok(Attached { config: own.config(), own: Some(own) });
                }
                // Its server is starting or stopping.
                Err(EmbeddedError::InUse { .. }) if begun.elapsed() < ATTACH_PATIENCE => {}
                Err(error) => return Err(error),
            }
            sleep(ATTACH_POLL).await;
        }
    }

    /// How to connect to it.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// Stops Postgres properly and releases the data folder.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        // If the supervisor has ended already, its result shows it.
        let _ = self.stop.send(());
        self.supervision.await.map_err(|_| EmbeddedError::Unsupervised)?
    }
}

/// The settings of the running server of a data folder, if one accepts connections.
async fn running_config(place: &Place) -> Result<Option<Config>, EmbeddedError> {
    let Some(Running { socket: Some(socket), port, is_ready: true, .. }) = Running::find(&place.cluster)?
    else {
        return Ok(None);
    };
    let config = connection::config(&socket, port);
    Ok(connection::answers(&config).await?.then_some(config))
}

/// A connection to the database of a data folder, running or started for it.
#[derive(Debug)]
#[must_use = "a PostgreSQL started for it runs on until it is released"]
pub struct Attached {
    config: Config,
    own: Option<EmbeddedPostgres>,
}

impl Attached {
    /// How to connect to it.
    #[must_use]
    pub fn config(&self) -> Config {
        self.config.clone()
    }

    /// Stops Postgres if it was started for this; one that was already running continues to run.
    pub async fn release(self) -> Result<(), EmbeddedError> {
        match self.own {
            Some(own) => own.stop().await,
            None => Ok(()),
        }
    }
}
