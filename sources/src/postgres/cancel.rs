//! Tells a server to stop what it does for a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::pool::{Endpoint, open};

/// How long the server may take to be told.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Tells a server to stop what it does for a connection.
#[derive(Clone)]
pub(super) struct Canceller {
    pub(super) endpoint: Arc<Endpoint>,
    /// Where the connection leads to; the name may lead elsewhere by now.
    pub(super) address: SocketAddr,
    pub(super) process: i32,
    pub(super) secret: i32,
}

impl Canceller {
    /// Tells it without anybody waiting for that. PostgreSQL notices only when it sends something that nobody is there any more.
    pub(super) fn cancel(self) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(CANCEL_TIMEOUT, self.tell()));
        }
    }

    async fn tell(self) {
        let mut out = BytesMut::new();
        frontend::cancel_request(self.process, self.secret, &mut out);
        // If the server cannot be told, its own time-out ends the statement.
        if let Ok((mut socket, _)) = open(&self.endpoint, self.address).await
            && socket.write_all(&out).await.is_ok()
        {
            let _ = socket.shutdown().await;
        }
    }
}
