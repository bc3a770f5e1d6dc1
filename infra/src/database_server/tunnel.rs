//! A way for `sqlx` to the database that is the same as ours, TLS included: a socket in a folder of our own, whose
//! connections are passed on.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kymograph_app::kernel::random::{hex, random_bytes};
use kymograph_app::{Error, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::database_server::{DatabaseServer, OpenSocket};

/// A socket that leads to the database. It goes away when this is dropped.
pub(super) struct Tunnel {
    folder: PathBuf,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// The port that is in the name of the socket.
    pub(super) const PORT: u16 = 5432;

    /// Opens a socket, which only this user may use.
    pub(super) fn open(server: &DatabaseServer) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("kymograph-verify-{}", hex(&random_bytes::<8>()?)));
        std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(Error::internal)?;
        let path = folder.join(format!(".s.PGSQL.{}", Self::PORT));
        let bound = UnixListener::bind(path).map_err(Error::internal);
        let server = server.clone();
        // The folder is removed with this value even if nothing can listen in it.
        let mut tunnel = Self { folder, task: tokio::spawn(async {}) };
        let listener = bound?;
        tunnel.task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move {
                    if let Err(error) = pass_on(client, &server).await {
                        tracing::warn!(%error, "a connection of the verification was lost");
                    }
                });
            }
        });
        Ok(tunnel)
    }

    /// Where the socket is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "a folder of the verification could not be removed");
        }
    }
}

async fn pass_on(mut client: UnixStream, server: &DatabaseServer) -> Result<()> {
    let mut failure = Error::internal("no server is configured");
    for (host, port) in server.addresses() {
        match server.open(host, port).await {
            Ok(OpenSocket { mut socket, .. }) => {
                // Either side may hang up as it likes.
                let _ = copy_bidirectional(&mut client, &mut socket).await;
                return Ok(());
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
