//! The positions of an org's log and the versions of its streams at a time.

use async_trait::async_trait;
use kymograph_app::kernel::moment::LogReader;
use kymograph_app::{Error, Result, Scope};
use kymograph_domain::{OrgId, StreamId, Timestamp};

use crate::kernel::database::Database;

/// Finds the last event up to a time by binary search in the log, whose times increase with its positions. `LIMIT`
/// makes each step read one row, whatever the planner assumes about the size of the log.
const POSITIONS_AT: &str = "WITH RECURSIVE search (number, at, low, high) AS (
        SELECT number, at, 0::bigint, coalesce((SELECT pos FROM heads WHERE org_id = $1), 0)
            FROM unnest($2::timestamptz[]) WITH ORDINALITY AS times (at, number)
        UNION ALL
        SELECT number, at, CASE WHEN e.recorded_at <= at THEN e.pos ELSE low END,
                CASE WHEN e.recorded_at <= at THEN high ELSE e.pos - 1 END
            FROM search CROSS JOIN LATERAL (SELECT pos, recorded_at FROM events
                WHERE org_id = $1 AND pos = (low + high + 1) / 2 LIMIT 1) AS e
            WHERE low < high)
    SELECT low FROM search WHERE low = high ORDER BY number";

/// Finds the last version of a stream up to a position in the same way.
const VERSION_AT: &str = "WITH RECURSIVE search (low, high) AS (
        SELECT 0::bigint,
            coalesce((SELECT version FROM streams WHERE org_id = $1 AND stream_id = $2), 0)
        UNION ALL
        SELECT CASE WHEN e.pos <= $3 THEN e.version ELSE low END,
                CASE WHEN e.pos <= $3 THEN high ELSE e.version - 1 END
            FROM search CROSS JOIN LATERAL (SELECT pos, version FROM events
                WHERE org_id = $1 AND stream_id = $2 AND version = (low + high + 1) / 2 LIMIT 1) AS e
            WHERE low < high)
    SELECT low FROM search WHERE low = high";

const LAST_EVENT: &str = "SELECT max(found.pos) FROM unnest($2::text[]) AS types (type)
    CROSS JOIN LATERAL (SELECT pos FROM events WHERE org_id = $1 AND type = types.type AND pos <= $3
        ORDER BY pos DESC LIMIT 1) AS found";

/// The position of the last event of these types in an org's log, up to a position.
pub(crate) async fn last_event(
    database: &Database,
    org: OrgId,
    types: &[&str],
    up_to: i64,
) -> Result<Option<i64>> {
    let row = database.read_one(org, LAST_EVENT, &[&org.0, &types, &up_to]).await?;
    Ok(row.and_then(|row| row.get(0)))
}

/// Finds positions in the log by time.
pub struct PgLogReader {
    database: Database,
}

impl PgLogReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl LogReader for PgLogReader {
    async fn last_position(&self, scope: &Scope) -> Result<i64> {
        let (org, sql) = (scope.org(), "SELECT pos FROM heads WHERE org_id = $1");
        Ok(self.database.read_one(org, sql, &[&org.0]).await?.map_or(0, |row| row.get(0)))
    }

    async fn positions_at(&self, scope: &Scope, times: &[Timestamp]) -> Result<Vec<i64>> {
        let org = scope.org();
        let dates: Vec<_> = times.iter().map(|time| time.date()).collect();
        let rows = self.database.read(org, POSITIONS_AT, &[&org.0, &dates]).await?;
        if rows.len() != times.len() {
            return Err(Error::internal(format!("the log of org {org} has a gap")));
        }
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn version_at(&self, scope: &Scope, stream: &StreamId, position: i64) -> Result<i64> {
        let org = scope.org();
        let row = self.database.read_one(org, VERSION_AT, &[&org.0, &stream.as_str(), &position]).await?;
        let row = row.ok_or_else(|| Error::internal(format!("{stream} of org {org} lacks a version")))?;
        Ok(row.get(0))
    }
}
