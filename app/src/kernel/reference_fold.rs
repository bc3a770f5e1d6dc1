//! A second implementation of folding, which a verification compares with the first.

use async_trait::async_trait;
use kymograph_domain::OrgId;

use super::error::Result;

/// A stream by name.
#[derive(Clone, Debug)]
pub struct StreamName {
    /// The type of its aggregate.
    pub stream_type: String,
    /// Its id within the org.
    pub stream_id: String,
}

/// The result of folding a stream.
#[derive(Clone, Debug)]
pub struct ReferenceState {
    /// The version of the last event.
    pub version: i64,
    /// The state as JSON text.
    pub state: String,
}

/// Receives the id of each stream with its state, or the reason why it cannot be folded. An error ends the folding.
pub type Compare<'a> = &'a mut (dyn FnMut(&str, Result<ReferenceState, String>) -> Result<()> + Send);

/// Folds stored streams by code that shares nothing with the event store but the aggregates.
#[async_trait]
pub trait ReferenceFold: Send + Sync {
    /// Folds streams of an org, in any order. Fails if the log cannot be reached.
    async fn fold(&self, org: OrgId, streams: Vec<StreamName>, compare: Compare<'_>) -> Result<()>;
}
