//! What was changed by a commit, told to whoever keeps copies.

use kymograph_domain::{OrgId, StreamId};

/// Keeps copies of what the log decides, and must drop them when it changes.
///
/// Called after a commit and before the client is answered, so that what a client reads after an
/// acknowledged write shows it; and when another server on the same database reports a commit.
pub trait ChangeListener: Send + Sync {
    /// These streams of an org have new events.
    fn streams_changed(&self, org: OrgId, streams: &[StreamId]);

    /// Anything may have changed, for example because the connection that reports changes was lost.
    fn everything_changed(&self);
}
