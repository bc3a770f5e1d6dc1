//! Cancels the statement of a connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::pool::{Endpoint, open};

/// The timeout of a cancel request.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Cancels the statement of a connection.
#[derive(Clone)]
pub(super) struct Canceller {
    pub(super) endpoint: Arc<Endpoint>,
    /// The address of the connection; by now the name may resolve to another one.
    pub(super) address: SocketAddr,
    pub(super) process: i32,
    pub(super) secret: i32,
}

impl Canceller {
    /// Cancels in the background. PostgreSQL itself notices only when it sends something that the client is gone.
    pub(super) fn cancel(self) {
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(CANCEL_TIMEOUT, self.tell()));
        }
    }

    async fn tell(self) {
        let mut out = BytesMut::new();
        frontend::cancel_request(self.process, self.secret, &mut out);
        // If the cancel request fails, the statement timeout of the server ends the statement.
        if let Ok((mut socket, _)) = open(&self.endpoint, self.address).await
            && socket.write_all(&out).await.is_ok()
        {
            let _ = socket.shutdown().await;
        }
    }
}
