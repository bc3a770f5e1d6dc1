//! Errors of the embedded database, with instructions for the user.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the embedded database could not be started, reached or stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// There are no Postgres programs on this machine.
    #[error(
        "no PostgreSQL 15 to 18 found in /usr/lib/postgresql or on PATH: install it (on Debian and Ubuntu \
         `apt-get install postgresql`), or name an existing server by GF_DATABASE_URL"
    )]
    NotInstalled,
    /// A cluster exists, but the programs of its major version do not.
    #[error(
        "the database in {} was made by PostgreSQL {version}, which is not installed: install it (on Debian \
         and Ubuntu `apt-get install postgresql-{version}`), or upgrade the database by pg_upgrade",
        cluster.display()
    )]
    VersionNotInstalled {
        /// The cluster's folder.
        cluster: PathBuf,
        /// The major version that it needs.
        version: String,
    },
    /// The cluster's folder holds something else.
    #[error("{} is not empty, yet holds no PostgreSQL cluster: move it away, or choose another data folder", .0.display())]
    NotACluster(PathBuf),
    /// The cluster belongs to a user that we are not and cannot switch to.
    #[error("{} belongs to the user with id {uid}: start the server as that user or as root", cluster.display())]
    NotOurs {
        /// The cluster's folder.
        cluster: PathBuf,
        /// The numeric id of its owner.
        uid: u32,
    },
    /// Another server holds the data folder.
    #[error(
        "data folder {} is in use by the server with pid {pid}: stop that one first, or choose another data \
         folder (GF_PATHS_DATA)",
        data.display()
    )]
    InUse {
        /// The data folder.
        data: PathBuf,
        /// The process that holds it.
        pid: String,
    },
    /// The user to run Postgres as does not exist.
    #[error(
        "there is no user `{0}` in /etc/passwd to run PostgreSQL as (it refuses to run as root): create it, \
         or name another one"
    )]
    NoSuchUser(String),
    /// Only root can run Postgres as someone else.
    #[error("only root can run PostgreSQL as the user `{0}`: start the server as root or as that user")]
    CannotBecome(String),
    /// A parent folder is closed to the user that runs Postgres.
    #[error(
        "PostgreSQL runs as the user `{user}`, who may not enter {}: allow it (`chmod o+x` on that folder), \
         or choose another data folder (GF_PATHS_DATA)",
        folder.display()
    )]
    Unreachable {
        /// The user that runs Postgres.
        user: String,
        /// The first folder that it cannot enter.
        folder: PathBuf,
    },
    /// The folder of our socket was created by another user.
    #[error("{} is not a folder of our own, so that a socket in it cannot be trusted: remove it", .0.display())]
    SocketFolderTaken(PathBuf),
    /// `initdb` failed.
    #[error("PostgreSQL's initdb failed: {0}")]
    Init(String),
    /// `postgres` ended before it accepted connections.
    #[error("PostgreSQL did not start (its log is {}): {reason}", log.display())]
    Launch {
        /// The log file of Postgres.
        log: PathBuf,
        /// The last lines of that log.
        reason: String,
    },
    /// Postgres is running, but refuses the connection.
    #[error("the embedded PostgreSQL refuses the connection: {}", explain(.0))]
    Refused(#[from] tokio_postgres::Error),
    /// Postgres did not stop after any of the signals.
    #[error("PostgreSQL (pid {0}) did not stop in time and still runs; the next start will adopt it")]
    StillRunning(i32),
    /// The task that supervises Postgres was aborted.
    #[error("the supervision of the embedded PostgreSQL ended before it could be stopped")]
    Unsupervised,
    /// A file operation failed.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// The attempted operation.
        doing: &'static str,
        /// The file or folder of the operation.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl EmbeddedError {
    /// Names the operation and the file in an error of the operating system.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

/// The message of the server, which the error of the driver only has as its source.
fn explain(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |refusal| refusal.message().to_owned())
}
