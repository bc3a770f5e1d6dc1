//! The events of an object, for its history.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use kymograph_app::record::audit::actor_kind;
use kymograph_app::record::history::{HistoryEntry, HistoryReader, StoredChange, StoredChanges};
use kymograph_app::{Result, Scope};
use kymograph_domain::{StreamId, UserId, registry};
use serde::Deserialize;
use tokio_postgres::Row;

use crate::kernel::database::{Database, Params};
use crate::kernel::statement::column;
use crate::kernel::text::timestamp_column;

/// The author's message is inside the payload, so it is extracted there. PostgreSQL has no text with the character that
/// is replaced. Of a long payload, which is a dashboard's, only the beginning is read: the message comes before the
/// document, and quotes within a JSON text are always escaped.
const LIST_ENTRIES: &str = r#"SELECT pos, version, recorded_at, type, actor_id, actor_login, meta,
        octet_length(payload) AS payload_bytes,
        CASE WHEN octet_length(payload) <= 65536
            THEN (SELECT coalesce(nullif(said ->> 'message', ''), said -> 'content' ->> 'message', '')
                FROM (SELECT replace(payload, '\u0000', '\ufffd')::json) AS payloads (said))
            ELSE (SELECT coalesce(('"' || nullif(split_part(rest, '","data":', 1), rest) || '"')::json #>> '{}', '')
                FROM (SELECT split_part(left(payload, 262144), '"message":"', 2)) AS texts (rest))
        END AS message
    FROM events WHERE org_id = $1 AND stream_id = $2 AND version < $3 ORDER BY version DESC LIMIT $4"#;
/// Only the payloads of the requested events are read.
const READ_CHANGES: &str =
    "SELECT version, type, schema_version, CASE WHEN total <= $5 THEN payload END AS payload
    FROM (SELECT version, type, schema_version, payload,
            sum(octet_length(payload)) OVER (ORDER BY version)::bigint AS total
        FROM events WHERE org_id = $1 AND stream_id = $2 AND version >= $3 ORDER BY version LIMIT $4) AS found
    ORDER BY version";
const FIND_LAST_OF: &str = "SELECT version FROM events WHERE org_id = $1 AND stream_id = $2 AND version <= $3
    AND type = ANY ($4) ORDER BY version DESC LIMIT 1";

const FIND_LAST_OF_MANY: &str =
    "SELECT streams.id, last.version FROM unnest($2::text[], $3::bigint[]) AS streams (id, version)
    CROSS JOIN LATERAL (SELECT version FROM events WHERE org_id = $1 AND stream_id = streams.id
        AND version <= streams.version AND type = ANY ($4) ORDER BY version DESC LIMIT 1) AS last";
const READ_RANGES: &str = "SELECT stream_id, version, type, schema_version, CASE WHEN total <= $5 THEN payload END AS payload
    FROM (SELECT e.*, ranges.place, sum(octet_length(e.payload)) OVER (ORDER BY ranges.place, e.version)::bigint AS total
        FROM unnest($2::text[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS ranges (id, first, last, place)
        CROSS JOIN LATERAL (SELECT stream_id, version, type, schema_version, payload FROM events
            WHERE org_id = $1 AND stream_id = ranges.id AND version BETWEEN ranges.first AND ranges.last OFFSET 0) AS e) AS found
    ORDER BY place, version";
const FIND_ENDED: &str = "SELECT streams.id FROM unnest($2::text[]) AS streams (id)
    WHERE EXISTS (SELECT FROM events WHERE org_id = $1 AND stream_id = streams.id AND pos > $3
        AND type = ANY ($4))";

/// Reads the events of objects.
pub struct PgHistoryReader {
    database: Database,
    /// The types of events that end objects to which others refer.
    endings: Vec<&'static str>,
}

impl PgHistoryReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, endings: registry::endings() }
    }
}

/// The metadata of a request that a history shows.
#[derive(Deserialize, Default)]
struct Meta {
    auth_method: String,
}

fn entry(row: &Row) -> HistoryEntry {
    let meta: Meta = serde_json::from_str(row.get("meta")).unwrap_or_default();
    let actor_id = UserId(row.get("actor_id"));
    HistoryEntry {
        version: row.get("version"),
        position: row.get("pos"),
        recorded_at: timestamp_column(row, "recorded_at"),
        action: row.get("type"),
        actor_kind: actor_kind(actor_id, &meta.auth_method),
        actor_id: actor_id.max(UserId::SERVER),
        actor_login: row.get("actor_login"),
        message: row.get("message"),
        payload_bytes: usize::try_from(row.get::<_, i32>("payload_bytes")).unwrap_or_default(),
        diff: None,
    }
}

/// The event of a row, unless it was too long.
fn stored_change(row: &Row) -> Option<StoredChange> {
    Some(StoredChange {
        version: row.get("version"),
        stored_type: row.get("type"),
        schema_version: row.get("schema_version"),
        payload: row.get::<_, Option<_>>("payload")?,
    })
}

#[async_trait]
impl HistoryReader for PgHistoryReader {
    async fn list_entries(
        &self,
        scope: &Scope,
        stream: &StreamId,
        below: i64,
        limit: i64,
    ) -> Result<Vec<HistoryEntry>> {
        let org = scope.org();
        let rows = self.database.read(org, LIST_ENTRIES, &[&org.0, &stream.as_str(), &below, &limit]).await?;
        Ok(rows.iter().map(entry).collect())
    }

    async fn read_changes(
        &self,
        scope: &Scope,
        stream: &StreamId,
        from: i64,
        limit: i64,
        max_bytes: i64,
    ) -> Result<StoredChanges> {
        let org = scope.org();
        let params: Params<'_> = &[&org.0, &stream.as_str(), &from, &limit, &max_bytes];
        let rows = self.database.read_bounded(org, READ_CHANGES, params).await?;
        let list: Vec<_> = rows.iter().map_while(stored_change).collect();
        let is_cut = list.len() < rows.len();
        Ok(StoredChanges { list, is_cut })
    }

    async fn find_last_of(
        &self,
        scope: &Scope,
        stream: &StreamId,
        types: &[&str],
        version: i64,
    ) -> Result<Option<i64>> {
        let org = scope.org();
        let row =
            self.database.read_one(org, FIND_LAST_OF, &[&org.0, &stream.as_str(), &version, &types]).await?;
        Ok(row.map(|row| row.get(0)))
    }

    async fn find_last_of_many(
        &self,
        scope: &Scope,
        streams: &[(&StreamId, i64)],
        types: &[&str],
    ) -> Result<HashMap<StreamId, i64>> {
        let org = scope.org();
        let (ids, versions): (Vec<_>, Vec<_>) =
            streams.iter().map(|(stream, version)| (stream.as_str(), *version)).unzip();
        let rows = self.database.read(org, FIND_LAST_OF_MANY, &[&org.0, &ids, &versions, &types]).await?;
        Ok(rows.iter().map(|row| (StreamId::from_stored(row.get(0)), row.get(1))).collect())
    }

    async fn read_ranges(
        &self,
        scope: &Scope,
        ranges: &[(StreamId, i64, i64)],
        max_bytes: i64,
    ) -> Result<Option<Vec<(StreamId, StoredChange)>>> {
        let org = scope.org();
        let ids = column(ranges, |(stream, ..)| stream.to_string());
        let (first, last) = (column(ranges, |(_, first, _)| *first), column(ranges, |(.., last)| *last));
        let params: Params<'_> = &[&org.0, &ids, &first, &last, &max_bytes];
        let rows = self.database.read_bounded(org, READ_RANGES, params).await?;
        let change = |row: &Row| Some((StreamId::from_stored(row.get("stream_id")), stored_change(row)?));
        Ok(rows.iter().map(change).collect())
    }

    async fn find_ended(
        &self,
        scope: &Scope,
        streams: &[StreamId],
        position: i64,
    ) -> Result<HashSet<StreamId>> {
        let org = scope.org();
        let streams: Vec<_> = streams.iter().map(StreamId::as_str).collect();
        let rows = self.database.read(org, FIND_ENDED, &[&org.0, &streams, &position, &self.endings]).await?;
        Ok(rows.iter().map(|row| StreamId::from_stored(row.get(0))).collect())
    }
}
