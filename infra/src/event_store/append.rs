//! The statement that moves a stream and appends its events.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use kymograph_domain::{OrgId, StreamId, Timestamp};
use kymograph_projections::kernel::statement::{Param, SharedText};
use kymograph_projections::params;

/// The maximum number of events of one stream per statement.
const MAX_EVENTS: usize = 8;
/// The maximum number of events of all streams per statement.
const MAX_ROWS: usize = 64;
/// The numbers of streams per statement: few sizes, because each has its own SQL text that each connection prepares.
const GROUPS: [usize; 5] = [16, 8, 4, 2, 1];

/// Events of one stream with their positions, ready to be appended.
pub struct StreamAppend<'a> {
    /// The stream.
    pub stream_id: &'a StreamId,
    /// The type of the aggregate.
    pub stream_type: &'static str,
    /// The expected version of the stream.
    pub expected_version: i64,
    /// The new state of the stream, as JSON text.
    pub state: &'a str,
    /// The events, at least one.
    pub events: &'a [PlacedEvent<'a>],
    /// The actor.
    pub actor_id: i64,
    /// The login of the actor.
    pub actor_login: &'a str,
    /// The causation id.
    pub causation_id: &'a str,
    /// The correlation id.
    pub correlation_id: &'a str,
    /// Further metadata of the request, as JSON text.
    pub meta: &'a str,
    /// The trace id, empty if there is none.
    pub trace_id: &'a str,
}

/// An event with its position in the log.
pub struct PlacedEvent<'a> {
    /// The position.
    pub position: i64,
    /// The time of recording.
    pub recorded_at: Timestamp,
    /// The stored name of its type.
    pub stored_type: &'static str,
    /// The version of its shape.
    pub schema_version: i32,
    /// The payload.
    pub payload: &'a Payload,
}

/// The payload of an event.
pub struct Payload {
    text: Arc<String>,
    checksum: i64,
}

impl Payload {
    /// A payload with the checksum of its text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { checksum: checksum(&text), text: Arc::new(text) }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn checksum(&self) -> i64 {
        self.checksum
    }
}

/// The stored checksum of a payload, its CRC-32.
#[must_use]
pub fn checksum(payload: &str) -> i64 {
    crc32fast::hash(payload.as_bytes()).into()
}

impl StreamAppend<'_> {
    /// Splits the append into parts of one statement each. Each part writes the final state, which is the correct one
    /// at the end of the transaction.
    fn parts(self) -> impl Iterator<Item = Self> {
        let mut expected_version = self.expected_version;
        self.events.chunks(MAX_EVENTS).map(move |events| {
            let part = Self { expected_version, events, ..self };
            expected_version += count(events);
            part
        })
    }

    /// The parameters of its stream, `$1` left out.
    fn params(&self) -> Vec<Param> {
        params![
            self.stream_id.as_str().to_owned(),
            self.stream_type,
            self.actor_id,
            self.actor_login.to_owned(),
            self.causation_id.to_owned(),
            self.correlation_id.to_owned(),
            self.meta.to_owned(),
            self.trace_id.to_owned(),
            self.expected_version + count(self.events),
            self.state.to_owned(),
        ]
    }
}

fn count(events: &[PlacedEvent<'_>]) -> i64 {
    i64::try_from(events.len()).unwrap_or(i64::MAX)
}

/// A statement that appends.
pub struct AppendStatement {
    /// The text.
    pub sql: &'static str,
    /// The parameters.
    pub params: Vec<Param>,
    /// The indexes of the appends that it writes.
    pub appends: Vec<usize>,
}

/// The statements that update streams of an org and append their events. One fails, by violating a check, if a stream
/// does not have its expected version.
///
/// Appends with the same number of events share a statement where possible, because each statement has a cost.
/// Consecutive appends to the same stream do not: a statement can update a row once.
#[must_use]
pub fn append_statements(
    org: OrgId,
    appends: Vec<StreamAppend<'_>>,
    may_share: bool,
) -> Vec<AppendStatement> {
    let (mut statements, mut rounds) = (Vec::new(), Vec::<Vec<_>>::new());
    let mut seen = HashMap::<&StreamId, usize>::new();
    for (index, append) in appends.into_iter().enumerate() {
        let round = seen.entry(append.stream_id).or_default();
        if *round == rounds.len() {
            rounds.push(Vec::new());
        }
        rounds[*round].push((index, append));
        *round += 1;
    }
    for round in rounds {
        append_round(org, round, may_share, &mut statements);
    }
    statements
}

/// Adds the statements of appends to different streams, numbered by their indexes.
fn append_round(
    org: OrgId,
    appends: Vec<(usize, StreamAppend<'_>)>,
    may_share: bool,
    statements: &mut Vec<AppendStatement>,
) {
    let mut by_length = BTreeMap::<usize, Vec<(usize, StreamAppend<'_>)>>::new();
    for (index, append) in appends {
        // The parts of a long append are consecutive.
        let is_long = append.events.len() > MAX_EVENTS;
        for part in append.parts() {
            if is_long || !may_share {
                statements.push(statement(org, &[(index, part)]));
            } else {
                by_length.entry(part.events.len()).or_default().push((index, part));
            }
        }
    }
    for (length, mut rest) in by_length {
        while !rest.is_empty() {
            let fits = |size: &&usize| **size <= rest.len() && **size * length <= MAX_ROWS;
            let size = GROUPS.iter().find(fits).copied().unwrap_or(1);
            let group: Vec<_> = rest.drain(..size).collect();
            statements.push(statement(org, &group));
        }
    }
}

fn statement(org: OrgId, group: &[(usize, StreamAppend<'_>)]) -> AppendStatement {
    let events = group.first().map_or(1, |(_, append)| append.events.len());
    let mut params = params![org.0];
    for (_, append) in group {
        params.extend(append.params());
        let mut versions = append.expected_version + 1..;
        for event in append.events {
            params.extend(event.params(versions.next().unwrap_or_default()));
        }
    }
    let place = GROUPS.iter().position(|size| *size == group.len()).unwrap_or(GROUPS.len() - 1);
    let sql = TEXTS[place][events - 1].as_str();
    AppendStatement { sql, params, appends: group.iter().map(|(index, _)| *index).collect() }
}

impl PlacedEvent<'_> {
    fn params(&self, version: i64) -> Vec<Param> {
        params![
            self.position,
            version,
            self.stored_type,
            self.schema_version,
            self.recorded_at.date(),
            SharedText(self.payload.text.clone()),
            self.payload.checksum,
        ]
    }
}

/// The number of parameters of a stream, and of an event.
const OF_STREAM: usize = 10;
const OF_EVENT: usize = 7;

/// The SQL by number of streams, as in [`GROUPS`], and by number of events of each.
static TEXTS: LazyLock<[Vec<String>; GROUPS.len()]> =
    LazyLock::new(|| GROUPS.map(|streams| (1..=MAX_EVENTS).map(|events| text(streams, events)).collect()));

fn text(streams: usize, events: usize) -> String {
    let (mut moved, mut appended) = (Vec::new(), Vec::new());
    for stream in 0..streams {
        let first = 2 + stream * (OF_STREAM + events * OF_EVENT);
        let of_stream: Vec<_> = (first..first + OF_STREAM).map(|number| format!("${number}")).collect();
        let [id, kind, request @ .., version, state] = of_stream.as_slice() else { continue };
        moved.push(format!("($1, {id}, {kind}, {version}, {state})"));
        let shared = format!("$1, {id}, {kind}, {}", request.join(", "));
        for event in 0..events {
            let first = first + OF_STREAM + event * OF_EVENT;
            let of_event: Vec<_> = (first..first + OF_EVENT).map(|number| format!("${number}")).collect();
            appended.push(format!("({shared}, {})", of_event.join(", ")));
        }
    }
    format!(
        "WITH moved AS (
            INSERT INTO streams (org_id, stream_id, type, version, state) VALUES {}
            ON CONFLICT (org_id, stream_id) DO UPDATE SET state = excluded.state, version = CASE
                WHEN streams.version = excluded.version - {events} THEN excluded.version ELSE -1 END)
        INSERT INTO events (org_id, stream_id, stream_type, actor_id, actor_login, causation_id, correlation_id,
            meta, trace_id, pos, version, type, schema_version, recorded_at, payload, checksum) VALUES {}",
        moved.join(", "),
        appended.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_moves_a_stream_once() {
        let streams = ["a", "b", "c"].map(|name| StreamId::from_stored(name.to_owned()));
        let payload = Payload::new("{}".to_owned());
        let event = |position| PlacedEvent {
            position,
            recorded_at: Timestamp(position),
            stored_type: "star.added",
            schema_version: 1,
            payload: &payload,
        };
        let events: Vec<_> = (1..=5).map(|position| [event(position)]).collect();
        let appends = [0, 1, 0, 2, 0].into_iter().zip(&events).map(|(stream, events)| StreamAppend {
            stream_id: &streams[stream],
            stream_type: "star",
            expected_version: 0,
            state: "{}",
            events,
            actor_id: 1,
            actor_login: "admin",
            causation_id: "",
            correlation_id: "",
            meta: "{}",
            trace_id: "",
        });
        let appends: Vec<_> = appends.collect();
        let statements = append_statements(OrgId(1), appends, true);
        let places: Vec<_> = statements.into_iter().map(|statement| statement.appends).collect();
        assert_eq!(places, [vec![0, 1], vec![3], vec![2], vec![4]]);
    }
}
