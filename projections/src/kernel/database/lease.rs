//! A connection while a statement runs on it, which is cancelled if its request was dropped.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::BoxFuture;
use kymograph_app::kernel::log_limit::LogLimit;
use kymograph_app::{Error, Result};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_postgres::CancelToken;

use super::STATEMENT_TIMEOUT;
use super::share::Share;

/// How long the statement of a dropped request may run before it is cancelled. Most have ended by then, and their
/// connections are kept.
const GRACE: Duration = Duration::from_millis(100);
/// The timeout of a cancellation request.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests the cancellation of the statement on a connection, over a connection like those of the pool.
pub type Cancel =
    Arc<dyn Fn(CancelToken) -> BoxFuture<'static, Result<(), tokio_postgres::Error>> + Send + Sync>;

/// A connection and the permits to use it. It is returned before the permits are.
struct Held {
    connection: Object,
    _tenant: Option<OwnedSemaphorePermit>,
    _share: Share,
}

/// A connection that was taken from the pool to run a statement.
pub(super) struct Lease<'a> {
    held: Option<Held>,
    is_finished: bool,
    cancel: &'a Cancel,
}

impl<'a> Lease<'a> {
    pub(super) fn new(
        connection: Object,
        tenant: Option<OwnedSemaphorePermit>,
        share: Share,
        cancel: &'a Cancel,
    ) -> Self {
        let held = Some(Held { connection, _tenant: tenant, _share: share });
        Self { held, is_finished: false, cancel }
    }

    pub(super) fn connection(&self) -> Result<&Object> {
        let held = self.held.as_ref().map(|held| &held.connection);
        held.ok_or_else(|| Error::internal("a connection was returned before its statement ended"))
    }

    /// Returns the connection, which is idle.
    pub(super) fn finish(mut self) {
        self.is_finished = true;
    }

    /// Closes the connection, which is idle.
    pub(super) fn finish_and_close(mut self) {
        self.is_finished = true;
        if let Some(Held { connection, .. }) = self.held.take() {
            drop(Object::take(connection));
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // Without a runtime the process is about to end.
        if let (Some(held), Ok(runtime)) = (self.held.take(), Handle::try_current()) {
            runtime.spawn(end(held, self.cancel.clone()));
        }
    }
}

/// Waits until a connection is idle, and cancels its statement if that takes long. Until then the connection and the
/// share of its claimant stay occupied.
async fn end(held: Held, cancel: Cancel) {
    if has_ended(&held.connection, GRACE).await {
        return;
    }
    let asked = timeout(CANCEL_TIMEOUT, cancel(held.connection.cancel_token())).await;
    match asked {
        Ok(Ok(())) => tracing::debug!("cancelled the statement of an aborted request"),
        Ok(Err(error)) => could_not_cancel(&error),
        Err(error) => could_not_cancel(&error),
    }
    has_ended(&held.connection, STATEMENT_TIMEOUT).await;
    // PostgreSQL does not report when a cancellation was processed, so it might hit the next statement on this
    // connection.
    let Held { connection, .. } = held;
    drop(Object::take(connection));
}

fn could_not_cancel(error: &dyn std::error::Error) {
    static LIMIT: LogLimit = LogLimit::new();
    if let Some(suppressed) = LIMIT.admit() {
        tracing::warn!(%error, suppressed, "could not cancel the statement of an aborted request");
    }
}

/// Whether all that was sent on a connection ends in time. Responses arrive in the order of the statements.
async fn has_ended(connection: &Object, limit: Duration) -> bool {
    timeout(limit, connection.batch_execute("")).await.is_ok()
}
