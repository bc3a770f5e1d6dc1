//! Notification of caches about the changes of a commit.

use kymograph_domain::{OrgId, StreamId};

/// Caches state that the log determines, and must drop it when that changes.
///
/// Called after a commit and before the response, so that a client's reads after an acknowledged write see the write;
/// and when another server on the same database reports a commit.
pub trait ChangeListener: Send + Sync {
    /// These streams of an org have new events.
    fn streams_changed(&self, org: OrgId, streams: &[StreamId]);

    /// Anything may have changed, for example because the connection that reports changes was lost.
    fn everything_changed(&self);
}
