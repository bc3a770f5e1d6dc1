//! The log of another application, from which an import takes events.

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use super::error::Result;

/// An event of a foreign log. As JSON it has the form that `row_to_json` gives a row of `postgres-es`.
#[derive(Clone, Debug, Serialize)]
pub struct ForeignRow {
    /// The type of the aggregate.
    pub aggregate_type: String,
    /// The id of the aggregate.
    pub aggregate_id: String,
    /// The sequence number among the events of the aggregate, from 1.
    pub sequence: i64,
    /// The name of the event.
    pub event_type: String,
    /// The version of the payload.
    pub event_version: String,
    /// The payload.
    pub payload: Value,
    /// The context of the command that caused it, as the application keeps it.
    pub metadata: Value,
}

/// Receives the events, each with the count of all events of the log. An error ends the reading.
pub type TakeRow<'a> = &'a mut (dyn FnMut(ForeignRow, u64) -> Result<()> + Send);

/// A log that is read once, from its start.
#[async_trait]
pub trait ForeignLog: Send + Sync {
    /// Reads all events: folders before other aggregates, those of an aggregate in their order. Fails if the log cannot be
    /// read to its end.
    async fn read(&self, take: TakeRow<'_>) -> Result<()>;
}
