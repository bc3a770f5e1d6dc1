//! A proxy to PostgreSQL whose connections can go silent without being closed, as they do when a network between two
//! machines fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;

use crate::TestDatabase;

/// The statement with which a server subscribes to changes.
const LISTEN: &[u8] = b"LISTEN kymograph_changes";

/// Listens on a port of this machine and connects to the database of a test.
pub struct DatabaseProxy {
    url: String,
    is_silent: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

impl DatabaseProxy {
    /// A proxy in front of a database.
    pub async fn start(database: &TestDatabase) -> Self {
        let config = database.config.config();
        let [Host::Unix(folder)] = config.get_hosts() else { panic!("PostgreSQL has a socket") };
        let socket = folder.join(format!(".s.PGSQL.{}", config.get_ports()[0]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (user, name) = (config.get_user().unwrap(), config.get_dbname().unwrap());
        let url = format!("postgres://{user}@127.0.0.1:{port}/{name}?sslmode=disable");
        let is_silent = Arc::new(AtomicBool::new(false));
        let silent = is_silent.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (socket, silent) = (socket.clone(), silent.clone());
                tokio::spawn(async move {
                    let Ok(server) = UnixStream::connect(&socket).await else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let is_feed = Arc::new(AtomicBool::new(false));
                    let sending = Pump { is_silent: silent.clone(), is_feed: is_feed.clone() };
                    let receiving = Pump { is_silent: silent, is_feed };
                    tokio::select! {
                        () = sending.run(from_client, to_server) => {}
                        () = receiving.run(from_server, to_client) => {}
                    }
                });
            }
        });
        Self { url, is_silent, accepting }
    }

    /// The URL of the database through the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes the connections of change feeds silent, existing and new ones, or ends that for new ones.
    pub fn silence_feeds(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::SeqCst);
    }
}

impl Drop for DatabaseProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One direction of a connection.
struct Pump {
    is_silent: Arc<AtomicBool>,
    is_feed: Arc<AtomicBool>,
}

impl Pump {
    async fn run(self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(length) = from.read(&mut buffer).await else { return };
            let bytes = &buffer[..length];
            if bytes.windows(LISTEN.len()).any(|window| window == LISTEN) {
                self.is_feed.store(true, Ordering::SeqCst);
            }
            if self.is_feed.load(Ordering::SeqCst) && self.is_silent.load(Ordering::SeqCst) {
                // Neither end notices.
                std::future::pending::<()>().await;
            }
            if length == 0 || to.write_all(bytes).await.is_err() {
                return;
            }
        }
    }
}
