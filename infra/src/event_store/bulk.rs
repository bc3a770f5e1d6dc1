//! Appends many events of new streams.
//!
//! A stream is written once, with its final state: of a row that one transaction updates repeatedly every version stays
//! until it ends, and each update has to pass them all.

use kymograph_domain::{OrgId, StreamId};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement, Transaction};

use super::append::PlacedEvent;

const APPEND: &str = "INSERT INTO events (org_id, actor_id, causation_id, correlation_id, trace_id, pos, stream_id,
        stream_type, version, type, schema_version, recorded_at, actor_login, meta, payload, checksum)
    SELECT $1, 0, $2, $3, '', * FROM unnest($4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::integer[],
        $10::timestamptz[], $11::text[], $12::text[], $13::text[], $14::bigint[])";
const BEGIN: &str = "INSERT INTO streams (org_id, stream_id, type, version, state)
    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[])";

/// The maximum number of rows per statement.
const ROWS: usize = 2_000;

/// An imported event with its position.
pub struct BulkEvent<'a> {
    /// The event.
    pub placed: PlacedEvent<'a>,
    /// Its stream.
    pub stream_id: &'a StreamId,
    /// The type of the aggregate.
    pub stream_type: &'static str,
    /// Its version in the stream.
    pub version: i64,
    /// The login of the actor in the other application.
    pub actor_login: &'a str,
    /// The other metadata, as JSON text.
    pub meta: &'a str,
}

/// A new stream with its final state.
pub struct NewStream {
    /// The stream.
    pub stream_id: StreamId,
    /// The type of the aggregate.
    pub stream_type: &'static str,
    /// The number of its events.
    pub version: i64,
    /// The state, as JSON text.
    pub state: String,
}

/// The statements, prepared on a connection.
pub struct BulkAppend {
    append: Statement,
    begin: Statement,
}

impl BulkAppend {
    /// Prepares the statements.
    pub async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self { append: client.prepare(APPEND).await?, begin: client.prepare(BEGIN).await? })
    }

    /// Appends consecutive events with one causation id and one correlation id.
    pub async fn append(
        &self,
        transaction: &Transaction<'_>,
        org: OrgId,
        (causation_id, correlation_id): (&str, &str),
        events: &[BulkEvent<'_>],
    ) -> Result<(), Error> {
        for events in events.chunks(ROWS) {
            let params: [&(dyn ToSql + Sync); 14] = [
                &org.0,
                &causation_id,
                &correlation_id,
                &column(events, |event| event.placed.position),
                &column(events, |event| event.stream_id.as_str()),
                &column(events, |event| event.stream_type),
                &column(events, |event| event.version),
                &column(events, |event| event.placed.stored_type),
                &column(events, |event| event.placed.schema_version),
                &column(events, |event| event.placed.recorded_at.date()),
                &column(events, |event| event.actor_login),
                &column(events, |event| event.meta),
                &column(events, |event| event.placed.payload.text()),
                &column(events, |event| event.placed.payload.checksum()),
            ];
            transaction.execute(&self.append, &params).await?;
        }
        Ok(())
    }

    /// Writes the states of streams.
    pub async fn begin(
        &self,
        transaction: &Transaction<'_>,
        org: OrgId,
        streams: &[NewStream],
    ) -> Result<(), Error> {
        for streams in streams.chunks(ROWS) {
            let params: [&(dyn ToSql + Sync); 5] = [
                &org.0,
                &column(streams, |stream| stream.stream_id.as_str()),
                &column(streams, |stream| stream.stream_type),
                &column(streams, |stream| stream.version),
                &column(streams, |stream| stream.state.as_str()),
            ];
            transaction.execute(&self.begin, &params).await?;
        }
        Ok(())
    }
}

/// A column: a value of each row.
fn column<'r, R, V>(rows: &'r [R], value: impl Fn(&'r R) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}
