//! Selecting the events of a query, each time with the index that leads straight to them.

use std::sync::LazyLock;

use kymograph_app::record::audit::AuditSelect;
use kymograph_app::{Result, Scope};
use kymograph_domain::StreamId;
use tokio_postgres::Row;

use super::PgAuditReader;
use crate::kernel::database::{Params, Planning};

/// The columns of an entry. Payloads are not read, except the small ones of access events. Usual values are read as
/// null: to send and read a value takes much longer than to compare it.
const COLUMNS: &str = "SELECT e.pos, e.stream_id, e.version, e.type, nullif(e.schema_version, 1), e.recorded_at, e.actor_id,
            e.actor_login, e.causation_id, nullif(e.correlation_id, e.causation_id), nullif(e.trace_id, ''), e.meta,
            CASE WHEN e.stream_type = 'access' THEN e.payload END AS access ";

/// A statement for each direction of an index scan: `ASC` and `DESC`.
type BothWays = LazyLock<[String; 2]>;

fn both_ways(part: impl Fn(&str) -> String) -> [String; 2] {
    ["ASC", "DESC"].map(|way| format!("{COLUMNS}{}", part(way)))
}

static BY_POSITION: BothWays = BothWays::new(|| {
    both_ways(|way| {
        format!(
            "FROM events e WHERE e.org_id = $1 AND e.pos > $2 AND e.pos < $3 ORDER BY e.pos {way} LIMIT $4"
        )
    })
});

static BY_POSITION_WITHOUT: BothWays = BothWays::new(|| {
    both_ways(|way| {
        format!(
            "FROM events e WHERE e.org_id = $1 AND e.pos > $2 AND e.pos < $3 AND e.actor_id <> ALL ($5::bigint[])
    ORDER BY e.pos {way} LIMIT $4"
        )
    })
});

/// An index that begins with the type has the events of one type in order. Those of several types are merged: the limit
/// for each of them is more than enough.
fn by_type(and: &str) -> [String; 2] {
    both_ways(|way| {
        format!(
            "FROM (SELECT found.pos FROM unnest($5::text[]) AS types (type) CROSS JOIN LATERAL (
                    SELECT pos FROM events WHERE org_id = $1 AND type = types.type AND pos > $2 AND pos < $3{and} \
            ORDER BY pos {way} LIMIT $4) AS found
                ORDER BY found.pos {way} LIMIT $4) AS found
            JOIN events e ON e.org_id = $1 AND e.pos = found.pos ORDER BY e.pos {way}"
        )
    })
}

static BY_TYPE: BothWays = BothWays::new(|| by_type(""));
/// Separate, because the index does not contain the actors: all other queries need only the index.
static BY_TYPE_WITHOUT: BothWays = BothWays::new(|| by_type(" AND actor_id <> ALL ($6::bigint[])"));

static BY_ACTOR: BothWays = BothWays::new(|| {
    both_ways(|way| {
        format!(
            "FROM (SELECT found.pos FROM unnest($6::bigint[]) AS actors (id)
        CROSS JOIN unnest($5::text[]) AS types (type) CROSS JOIN LATERAL (
            SELECT pos FROM events WHERE org_id = $1 AND actor_id = actors.id AND type = types.type
                AND pos > $2 AND pos < $3
            ORDER BY pos {way} LIMIT $4) AS found
        ORDER BY found.pos {way} LIMIT $4) AS found
    JOIN events e ON e.org_id = $1 AND e.pos = found.pos ORDER BY e.pos {way}"
        )
    })
});

/// A stream's versions and positions increase together, and the index contains the versions.
static BY_STREAM: BothWays = BothWays::new(|| {
    both_ways(|way| {
        format!(
            "FROM (SELECT found.pos FROM unnest($2::text[], $3::bigint[], $7::bigint[]) AS streams (id, low, high)
        CROSS JOIN LATERAL (
            SELECT pos FROM events WHERE org_id = $1 AND stream_id = streams.id
                AND version > streams.low AND version <= streams.high
                AND type = ANY ($5::text[]) AND ($6::bigint[] = '{{}}' OR actor_id = ANY ($6))
                AND actor_id <> ALL ($8::bigint[])
            ORDER BY version {way} LIMIT $4) AS found
        ORDER BY found.pos {way} LIMIT $4) AS found
    JOIN events e ON e.org_id = $1 AND e.pos = found.pos ORDER BY e.pos {way}"
        )
    })
});

/// The index contains only events with a trace id; the condition must be visible to the planner.
static BY_TRACE: BothWays = BothWays::new(|| {
    both_ways(|way| {
        format!(
            "FROM events e WHERE e.org_id = $1 AND e.trace_id = $7 AND e.trace_id <> '' AND e.pos > $2 AND e.pos < $3
        AND e.type = ANY ($5::text[]) AND ($6::bigint[] = '{{}}' OR e.actor_id = ANY ($6))
        AND ($8::text[] = '{{}}' OR e.stream_id = ANY ($8)) AND e.actor_id <> ALL ($9::bigint[])
    ORDER BY e.pos {way} LIMIT $4"
        )
    })
});

impl PgAuditReader {
    /// The matching rows, and one more if there is one.
    pub(super) async fn select(&self, scope: &Scope, select: &AuditSelect) -> Result<Vec<Row>> {
        let (org, way) = (scope.org(), usize::from(select.newest));
        let (after, before, limit) = (&select.after, &select.before, &(select.limit + 1));
        let (types, excluded) = (&select.type_names(), &select.excluded_actors);
        let actors = &select.actors.clone().unwrap_or_default();
        let database = &self.database;
        if let Some(trace_id) = &select.trace_id {
            let streams = &select.streams.clone().unwrap_or_default();
            return database
                .read(
                    org,
                    &BY_TRACE[way],
                    &[&org.0, after, before, limit, types, actors, trace_id, streams, excluded],
                )
                .await;
        }
        if let Some(streams) = &select.streams {
            let (lows, highs) = self.versions_between(scope, streams, *after, before - 1).await?;
            return database
                .read(org, &BY_STREAM[way], &[&org.0, streams, &lows, limit, types, actors, &highs, excluded])
                .await;
        }
        if select.actors.is_some() {
            return database.read(org, &BY_ACTOR[way], &[&org.0, after, before, limit, types, actors]).await;
        }
        match (select.types.is_some(), excluded.is_empty()) {
            (true, true) => database.read(org, &BY_TYPE[way], &[&org.0, after, before, limit, types]).await,
            (true, false) => {
                let params: Params<'_> = &[&org.0, after, before, limit, types, excluded];
                database.read(org, &BY_TYPE_WITHOUT[way], params).await
            }
            (false, true) => {
                let params: Params<'_> = &[&org.0, after, before, limit];
                database.read_planned(org, Planning::Once, &BY_POSITION[way], params).await
            }
            (false, false) => {
                let params: Params<'_> = &[&org.0, after, before, limit, excluded];
                database.read(org, &BY_POSITION_WITHOUT[way], params).await
            }
        }
    }

    /// The version of each stream at one position, and at a later one.
    pub(super) async fn versions_between(
        &self,
        scope: &Scope,
        streams: &[String],
        first: i64,
        last: i64,
    ) -> Result<(Vec<i64>, Vec<i64>)> {
        let (mut lows, mut highs) = (Vec::new(), Vec::new());
        for stream in streams {
            let stream = StreamId::from_stored(stream.clone());
            lows.push(self.log.version_at(scope, &stream, first).await?);
            highs.push(self.log.version_at(scope, &stream, last).await?);
        }
        Ok((lows, highs))
    }
}
