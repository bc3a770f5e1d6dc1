//! The events of requests, and later changes of their objects, for undoing them.

use std::collections::HashMap;

use async_trait::async_trait;
use kymograph_app::record::undo::{DoneEvent, DoneRequest, LaterChange, LaterChanges, UndoReader, Window};
use kymograph_app::record::undo::{MAX_LATER, MAX_LATER_OF_OBJECT};
use kymograph_app::{Result, Scope};
use kymograph_domain::{StreamId, UserId};
use tokio_postgres::Row;

use crate::kernel::database::{Database, Params};
use crate::kernel::text::timestamp_column;

const FIND_EVENT: &str = "SELECT correlation_id, actor_id FROM events WHERE org_id = $1 AND pos = $2";

/// The events of a request without a correlation id from the client are adjacent in the log, so they are all within
/// `$6` positions. The index contains only events with another correlation id; the condition must be visible to the
/// planner.
const FIND_REQUEST: &str = "SELECT pos, stream_id, version, type FROM (
        SELECT pos, stream_id, version, type FROM events WHERE org_id = $1 AND pos >= $2::bigint - $6::bigint AND pos <= $2::bigint + $6::bigint
            AND correlation_id = $4 AND actor_id = $5 AND pos BETWEEN $7 AND $8
        UNION
        (SELECT pos, stream_id, version, type FROM events WHERE org_id = $1 AND correlation_id = $4
            AND correlation_id <> causation_id AND actor_id = $5 AND pos BETWEEN $7 AND $8 ORDER BY pos LIMIT $3::bigint + 1)) AS found
    ORDER BY pos LIMIT $3::bigint + 1";

const LIST_LATER: &str = "SELECT objects.stream, later.* FROM unnest($2::text[], $3::bigint[]) AS objects (stream, first)
    CROSS JOIN LATERAL (
        SELECT pos, type, recorded_at, actor_id, actor_login, count(*) OVER () AS count FROM events
        WHERE org_id = $1 AND stream_id = objects.stream AND version > objects.first AND type = ANY ($4::text[])
            AND (correlation_id <> $5 OR actor_id <> $6 OR pos > $9)
        ORDER BY version DESC LIMIT $7) AS later
    ORDER BY later.pos DESC LIMIT $8";

/// Reads the events of requests.
pub struct PgUndoReader {
    database: Database,
}

impl PgUndoReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

fn done_event(row: &Row) -> DoneEvent {
    DoneEvent {
        position: row.get("pos"),
        stream: StreamId::from_stored(row.get("stream_id")),
        version: row.get("version"),
        stored_type: row.get("type"),
    }
}

fn later_change(row: &Row) -> LaterChange {
    LaterChange {
        position: row.get("pos"),
        action: row.get("type"),
        recorded_at: timestamp_column(row, "recorded_at"),
        actor_id: UserId(row.get::<_, i64>("actor_id").max(0)),
        actor_login: row.get("actor_login"),
    }
}

#[async_trait]
impl UndoReader for PgUndoReader {
    async fn find_request(
        &self,
        scope: &Scope,
        position: i64,
        window: Window,
        limit: i64,
    ) -> Result<Option<DoneRequest>> {
        let org = scope.org();
        let Some(row) = self.database.read_one(org, FIND_EVENT, &[&org.0, &position]).await? else {
            return Ok(None);
        };
        let (correlation_id, actor_id): (String, i64) = (row.get(0), row.get(1));
        // Events of the server itself belong to no request.
        let reach = if correlation_id.is_empty() { 0 } else { limit };
        let params: Params<'_> =
            &[&org.0, &position, &limit, &correlation_id, &actor_id, &reach, &window.from, &window.to];
        let rows = self.database.read(org, FIND_REQUEST, params).await?;
        let events = rows.iter().map(done_event).collect();
        Ok(Some(DoneRequest { correlation_id, actor_id: UserId(actor_id), events }))
    }

    async fn list_later(
        &self,
        scope: &Scope,
        request: &DoneRequest,
        objects: &[(StreamId, i64)],
        types: &[&str],
    ) -> Result<HashMap<StreamId, LaterChanges>> {
        let org = scope.org();
        let streams: Vec<_> = objects.iter().map(|(stream, _)| stream.as_str()).collect();
        let firsts: Vec<_> = objects.iter().map(|(_, first)| *first).collect();
        let (correlation, actor) = (&request.correlation_id, &request.actor_id.0);
        // Later events with the same ids belong to another request: clients choose their ids.
        let last = request.events.last().map_or(0, |event| event.position);
        let params: Params<'_> =
            &[&org.0, &streams, &firsts, &types, correlation, actor, &MAX_LATER_OF_OBJECT, &MAX_LATER, &last];
        let mut later: HashMap<StreamId, LaterChanges> = HashMap::new();
        for row in self.database.read(org, LIST_LATER, params).await? {
            let changes = later.entry(StreamId::from_stored(row.get("stream"))).or_default();
            changes.count = row.get("count");
            changes.newest.push(later_change(&row));
        }
        Ok(later)
    }
}
