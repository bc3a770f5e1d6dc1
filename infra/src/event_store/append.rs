//! The statement that moves a stream and appends its events.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use kymograph_domain::{OrgId, StreamId, Timestamp};
use kymograph_projections::params;
use kymograph_projections::statement::{Param, SharedText};

/// How many events one statement appends.
const MAX_EVENTS: usize = 8;

/// Events of one stream with their places, ready to be appended.
pub struct StreamAppend<'a> {
    /// The org.
    pub org: OrgId,
    /// The stream.
    pub stream_id: &'a StreamId,
    /// The type of the aggregate.
    pub stream_type: &'static str,
    /// How many events the stream must have.
    pub expected_version: i64,
    /// What the stream folds to with the new events, as JSON text.
    pub state: &'a str,
    /// The events, at least one.
    pub events: &'a [PlacedEvent<'a>],
    /// Who caused them.
    pub actor_id: i64,
    /// The login of who caused them.
    pub actor_login: &'a str,
    /// The request that caused them.
    pub causation_id: &'a str,
    /// The undertaking that the request belongs to.
    pub correlation_id: &'a str,
    /// What else is known of the request, as JSON text.
    pub meta: &'a str,
}

/// An event with its place in the log.
pub struct PlacedEvent<'a> {
    /// The position.
    pub position: i64,
    /// When it is recorded.
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
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }
}

/// The checksum that is kept with a payload: its CRC-32.
#[must_use]
pub fn checksum(payload: &str) -> i64 {
    crc32fast::hash(payload.as_bytes()).into()
}

impl StreamAppend<'_> {
    /// The statements with their parameters. The first moves the stream and fails, by breaking a check, if the
    /// stream is not where it is expected to be.
    #[must_use]
    pub fn statements(&self) -> Vec<(&'static str, Vec<Param>)> {
        let mut versions = self.expected_version + 1..;
        self.events
            .chunks(MAX_EVENTS)
            .enumerate()
            .map(|(index, events)| {
                let mut params = self.shared_params();
                for event in events {
                    let version = versions.next().unwrap_or_default();
                    params.extend(event.params(version));
                }
                let texts = if index == 0 { &MOVE_AND_APPEND } else { &APPEND };
                (texts[events.len() - 1].as_str(), params)
            })
            .collect()
    }

    fn shared_params(&self) -> Vec<Param> {
        let last = self.expected_version + i64::try_from(self.events.len()).unwrap_or_default();
        params![
            self.org.0,
            self.stream_id.as_str().to_owned(),
            self.stream_type,
            self.actor_id,
            self.actor_login.to_owned(),
            self.causation_id.to_owned(),
            self.correlation_id.to_owned(),
            self.meta.to_owned(),
            last,
            self.state.to_owned(),
            self.expected_version,
        ]
    }
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

/// How many parameters all events of a statement share, and how many each has of its own.
const SHARED: usize = 11;
const OWN: usize = 7;

/// The texts for one to [`MAX_EVENTS`] events, the first statement of an append.
static MOVE_AND_APPEND: LazyLock<Vec<String>> = LazyLock::new(|| {
    let moved = "WITH moved AS (
        INSERT INTO streams (org_id, stream_id, type, version, state) VALUES ($1, $2, $3, $9, $10)
        ON CONFLICT (org_id, stream_id) DO UPDATE SET state = excluded.state,
            version = CASE WHEN streams.version = $11 THEN excluded.version ELSE -1 END)";
    texts(moved)
});

/// The texts for further events of an append. They take the same parameters, so the first ones are named.
static APPEND: LazyLock<Vec<String>> =
    LazyLock::new(|| texts("WITH unused AS (SELECT $9::bigint, $10::text, $11::bigint)"));

fn texts(before: &str) -> Vec<String> {
    (1..=MAX_EVENTS).map(|events| append_text(before, events)).collect()
}

fn append_text(before: &str, events: usize) -> String {
    let mut text = format!(
        "{before} INSERT INTO events (org_id, stream_id, stream_type, actor_id, actor_login, causation_id,
            correlation_id, meta, pos, version, type, schema_version, recorded_at, payload, checksum) VALUES "
    );
    for event in 0..events {
        let first = SHARED + event * OWN + 1;
        let own: Vec<_> = (first..first + OWN).map(|number| format!("${number}")).collect();
        let separator = if event == 0 { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}($1, $2, $3, $4, $5, $6, $7, $8, {})", own.join(", "));
    }
    text
}
