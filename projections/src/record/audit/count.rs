//! Counting the events of a query, each time with the index that leads straight to them.

use kymograph_app::record::audit::AuditSelect;
use kymograph_app::{Error, Result, Scope};

use super::PgAuditReader;

// Each aggregate has its own subquery, which keeps the planner from scanning the whole log for all of them at once.
const BY_TYPE: &str = "SELECT bounds.number, types.number, counted.count
    FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY AS bounds (low, high, number)
    CROSS JOIN unnest($4::text[]) WITH ORDINALITY AS types (type, number)
    CROSS JOIN LATERAL (SELECT count(*) FROM events WHERE org_id = $1 AND type = types.type
        AND pos > bounds.low AND pos <= bounds.high) AS counted
    WHERE bounds.low < bounds.high AND counted.count > 0";

// All events of one type by an actor are one range of the index. To count each bucket separately would be an index
// lookup for each actor and type in each bucket.
const BY_ACTOR: &str = "SELECT counted.number, types.number, counted.count
    FROM unnest($6::bigint[]) AS actors (id)
    CROSS JOIN unnest($5::text[]) WITH ORDINALITY AS types (type, number)
    CROSS JOIN LATERAL (SELECT width_bucket(pos, $2::bigint[])::bigint AS number, count(*) FROM events
        WHERE org_id = $1 AND actor_id = actors.id AND type = types.type AND pos >= $3 AND pos <= $4
        GROUP BY 1) AS counted";

const BY_STREAM: &str =
    "SELECT counted.number, array_position($5::text[], counted.type)::bigint, counted.count
    FROM unnest($3::text[], $4::bigint[], $8::bigint[]) AS streams (id, low, high)
    CROSS JOIN LATERAL (SELECT width_bucket(pos, $2::bigint[])::bigint AS number, type, count(*) FROM events
        WHERE org_id = $1 AND stream_id = streams.id AND version > streams.low AND version <= streams.high
            AND type = ANY ($5::text[]) AND ($6::bigint[] = '{}' OR actor_id = ANY ($6))
            AND actor_id <> ALL ($7::bigint[])
        GROUP BY 1, 2) AS counted";

// The index contains only events with a trace id; the condition must be visible to the planner.
const BY_TRACE: &str =
    "SELECT counted.number, array_position($5::text[], counted.type)::bigint, counted.count
    FROM (SELECT width_bucket(pos, $2::bigint[])::bigint AS number, type, count(*) FROM events
        WHERE org_id = $1 AND trace_id = $8 AND trace_id <> '' AND pos >= $3 AND pos <= $4
            AND type = ANY ($5::text[]) AND ($6::bigint[] = '{}' OR actor_id = ANY ($6))
            AND actor_id <> ALL ($7::bigint[]) AND ($9::text[] = '{}' OR stream_id = ANY ($9))
        GROUP BY 1, 2) AS counted";

impl PgAuditReader {
    /// The number of matching entries between neighbouring positions.
    pub(super) async fn count(
        &self,
        scope: &Scope,
        positions: &[i64],
        select: &AuditSelect,
    ) -> Result<Vec<(usize, usize, i64)>> {
        let (Some(first), Some(last)) = (positions.first(), positions.last()) else { return Ok(Vec::new()) };
        let (lows, highs) = (&positions[..positions.len() - 1], &positions[1..]);
        // A bucket starts at its first position, which follows the low end.
        let starts: Vec<_> = lows.iter().map(|low| low + 1).collect();
        let (org, from) = (scope.org(), first + 1);
        let (types, excluded) = (&select.type_names(), &select.excluded_actors);
        let actors = &select.actors.clone().unwrap_or_default();
        let streams = &select.streams.clone().unwrap_or_default();
        let database = &self.database;
        let rows = if let Some(trace_id) = &select.trace_id {
            database
                .read(
                    org,
                    BY_TRACE,
                    &[&org.0, &starts, &from, last, types, actors, excluded, trace_id, streams],
                )
                .await?
        } else if select.streams.is_some() {
            let (lows, highs) = self.versions_between(scope, streams, *first, *last).await?;
            database
                .read(org, BY_STREAM, &[&org.0, &starts, streams, &lows, types, actors, excluded, &highs])
                .await?
        } else if select.actors.is_some() {
            database.read(org, BY_ACTOR, &[&org.0, &starts, &from, last, types, actors]).await?
        } else {
            database.read(org, BY_TYPE, &[&org.0, &lows, &highs, types]).await?
        };
        // Ordinals begin at 1.
        let index = |ordinal: i64| usize::try_from(ordinal - 1).map_err(Error::internal);
        rows.iter().map(|row| Ok((index(row.get(0))?, index(row.get(1))?, row.get(2)))).collect()
    }
}
