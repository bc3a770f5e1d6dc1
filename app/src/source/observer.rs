//! The port that observes the calls of data sources, for metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// The kind of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// Queries.
    Query,
    /// A health check.
    Health,
    /// A resource of the backend.
    Resource,
    /// A request through the proxy.
    Proxy,
}

/// A finished call of a data source.
#[derive(Clone, Copy, Debug)]
pub struct ObservedCall {
    /// The type of the data source if a backend serves it, else `other`.
    pub source_type: &'static str,
    /// The kind of the call.
    pub kind: CallKind,
    /// The HTTP status of the result: for queries 200, or that of a failed one. 499 if the client has disconnected.
    pub status: u16,
    /// The time until the result, or until the head of a streamed response.
    pub duration: Duration,
}

/// Observes calls of data sources.
pub trait CallObserver: Send + Sync {
    /// A call has started.
    fn started(&self);
    /// A call has finished.
    fn finished(&self, call: ObservedCall);
}

/// The status of a call whose client has disconnected.
const DISCONNECTED: u16 = 499;

/// A running call. It finishes when this is dropped.
pub(super) struct RunningCall {
    observer: Arc<dyn CallObserver>,
    begun: Instant,
    source_type: &'static str,
    kind: CallKind,
    status: u16,
}

impl RunningCall {
    pub(super) fn start(observer: Arc<dyn CallObserver>, source_type: &'static str, kind: CallKind) -> Self {
        observer.started();
        Self { observer, begun: Instant::now(), source_type, kind, status: DISCONNECTED }
    }

    /// Finishes the call with a status.
    pub(super) fn finish(mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let Self { source_type, kind, status, .. } = *self;
        self.observer.finished(ObservedCall { source_type, kind, status, duration: self.begun.elapsed() });
    }
}
