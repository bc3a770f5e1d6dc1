//! A Unix socket that leads to a database server, TLS included, for libraries that open their own connections.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kymograph_app::kernel::random::{hex, random_bytes};
use kymograph_app::{Error, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use super::{DatabaseServer, OpenSocket};

/// The port in the name of the socket.
const PORT: u16 = 5432;

/// A socket that leads to a database server. It is removed when this is dropped.
pub struct Tunnel {
    folder: PathBuf,
    config: Config,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Opens a socket, which only this user may use.
    pub fn open(server: &DatabaseServer) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("kymograph-tunnel-{}", hex(&random_bytes::<8>()?)));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(Error::internal)?;
        let path = folder.join(format!(".s.PGSQL.{PORT}"));
        let bound = UnixListener::bind(path).map_err(Error::internal);
        let server = server.clone();
        // The folder is removed with this value, even if the bind failed.
        let mut tunnel = Self { config: config(&server, &folder), folder, task: tokio::spawn(async {}) };
        let listener = bound?;
        tunnel.task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    if let Err(error) = pass_on(client, &server).await {
                        tracing::warn!(%error, "a connection through a tunnel to the database failed");
                    }
                });
            }
        });
        Ok(tunnel)
    }

    /// How to connect to the server through the socket.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "could not remove the folder of a tunnel to the database");
        }
    }
}

/// The user, the database and the password of a server, behind the socket in a folder.
fn config(server: &DatabaseServer, folder: &Path) -> Config {
    let mut config = Config::new();
    config.host_path(folder).port(PORT).ssl_mode(SslMode::Disable);
    if let Some(user) = server.config.get_user() {
        config.user(user);
    }
    if let Some(name) = server.config.get_dbname() {
        config.dbname(name);
    }
    if let Some(password) = server.config.get_password() {
        config.password(password);
    }
    config
}

async fn pass_on(mut client: UnixStream, server: &DatabaseServer) -> Result<()> {
    let mut failure = Error::internal("no server is configured");
    for (host, port) in server.addresses() {
        match server.open(host, port).await {
            Ok(OpenSocket { mut socket, .. }) => {
                // Either side may close the connection.
                let _ = copy_bidirectional(&mut client, &mut socket).await;
                return Ok(());
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
