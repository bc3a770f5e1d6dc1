//! Reads an org's log from its start: checks it, folds its streams and projects it into shadow tables.

use kymograph_app::{Error, Result};
use kymograph_domain::kernel::json::depth_of_text;
use kymograph_domain::registry::{self, new_fold};
use kymograph_domain::{OrgId, StoredEvent, Timestamp, UserId};
use kymograph_projections::{Projector, Recorded};
use serde::Deserialize;
use tokio_postgres::{Row, Transaction};

use super::read_model::{Prepared, project};
use super::{Folded, FoldedStreams, Report};
use crate::event_store::checksum;

/// The maximum nesting depth of a payload that `postgres-es` can read: it wraps the payload in one more object, and
/// parses it with `serde_json`.
const MAX_DEPTH: usize = 126;

/// The number of events per fetch.
const FETCH: i32 = 500;

/// Checks an org's log. `None` if the org has none.
pub(super) async fn check(
    transaction: &Transaction<'_>,
    org: OrgId,
    projectors: &[Box<dyn Projector>],
    prepared: &mut Prepared,
    report: &mut Report,
) -> Result<Option<FoldedStreams>> {
    let head = read_head(transaction, org).await?;
    let sql = "SELECT pos, stream_id, stream_type, version, type, schema_version, recorded_at, actor_id, actor_login,
        payload, checksum, trace_id, meta FROM events WHERE org_id = $1 ORDER BY pos";
    let portal = transaction.bind(sql, &[&org.0]).await.map_err(Error::internal)?;
    let mut reader = LogReader {
        org,
        last: 0,
        last_at: Timestamp(i64::MIN),
        has_org: false,
        streams: FoldedStreams::new(),
    };
    loop {
        let rows = transaction.query_portal(&portal, FETCH).await.map_err(Error::internal)?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            reader.check_place(row, report);
            reader.check_org(row, report);
            let Some(event) = decode(org, row, report) else { continue };
            reader.fold(row, &*event, report);
            let recorded = Recorded {
                org,
                position: row.get("pos"),
                recorded_at: Timestamp::from_date(row.get("recorded_at")),
                actor_id: UserId(row.get("actor_id")),
                actor_login: row.get("actor_login"),
                event: &*event,
            };
            project(transaction, projectors, prepared, &recorded, report).await?;
        }
        report.events += i64::try_from(rows.len()).unwrap_or_default();
    }
    if head.is_none() && reader.last == 0 {
        return Ok(None);
    }
    if head.map(|(position, _)| position) != Some(reader.last) {
        report.fault(format!("org {org}: the head is {head:?}, but the last event is {}", reader.last));
    } else if head.map(|(_, at)| at) != Some(reader.last_at) {
        report.fault(format!("org {org}: the time of the head differs from that of the last event"));
    }
    Ok(Some(reader.streams))
}

async fn read_head(transaction: &Transaction<'_>, org: OrgId) -> Result<Option<(i64, Timestamp)>> {
    let sql = "SELECT pos, last_at FROM heads WHERE org_id = $1";
    let row = transaction.query_opt(sql, &[&org.0]).await.map_err(Error::internal)?;
    Ok(row.map(|row| (row.get(0), Timestamp::from_date(row.get(1)))))
}

fn decode(org: OrgId, row: &Row, report: &mut Report) -> Option<Box<dyn StoredEvent>> {
    let (position, payload): (i64, &str) = (row.get("pos"), row.get("payload"));
    if checksum(payload) != row.get::<_, i64>("checksum") {
        report.fault(format!("org {org}: the payload at position {position} fails its checksum"));
    }
    let meta: Meta<'_> = serde_json::from_str(row.get("meta")).unwrap_or_default();
    if meta.trace_id != row.get::<_, &str>("trace_id") {
        report.fault(format!(
            "org {org}: the trace id at position {position} differs from that of the request"
        ));
    }
    match registry::decode(row.get("type"), row.get("schema_version"), payload) {
        Ok(event) => Some(event),
        Err(error) => {
            report.fault(format!("org {org}: the event at position {position} cannot be read: {error}"));
            None
        }
    }
}

/// The metadata of a request that a column repeats.
#[derive(Deserialize, Default)]
struct Meta<'a> {
    trace_id: &'a str,
}

/// The state of reading a log.
struct LogReader {
    org: OrgId,
    last: i64,
    last_at: Timestamp,
    /// Whether the org exists at this point.
    has_org: bool,
    streams: FoldedStreams,
}

impl LogReader {
    /// Checks that an org's log begins with its creation, and that nothing follows its deletion.
    fn check_org(&mut self, row: &Row, report: &mut Report) {
        let (org, position): (OrgId, i64) = (self.org, row.get("pos"));
        match row.get("type") {
            _ if org == OrgId::SERVER => {}
            "org.created" => self.has_org = true,
            kind if !self.has_org => {
                report.fault(format!("org {org}: {kind} at position {position}, before the org was created or after it was deleted"));
            }
            "org.deleted" => self.has_org = false,
            _ => {}
        }
    }

    fn check_place(&mut self, row: &Row, report: &mut Report) {
        let (org, position): (OrgId, i64) = (self.org, row.get("pos"));
        if position != self.last + 1 {
            report.fault(format!("org {org}: position {position} follows {}", self.last));
        }
        let at = Timestamp::from_date(row.get("recorded_at"));
        if at <= self.last_at {
            report.fault(format!("org {org}: the time at position {position} does not increase"));
        }
        (self.last, self.last_at) = (position, at);
    }

    fn fold(&mut self, row: &Row, event: &dyn StoredEvent, report: &mut Report) {
        let (org, position): (OrgId, i64) = (self.org, row.get("pos"));
        let (stream, stream_type): (&str, &str) = (row.get("stream_id"), row.get("stream_type"));
        if !self.streams.contains_key(stream) {
            let Some(fold) = new_fold(stream_type) else {
                report.fault(format!(
                    "org {org}: {stream_type} at position {position} is not an aggregate type"
                ));
                return;
            };
            let folded = Folded { stream_type: stream_type.to_owned(), version: 0, fold, is_readable: true };
            self.streams.insert(stream.to_owned(), folded);
        }
        let Some(folded) = self.streams.get_mut(stream) else { return };
        let depth = depth_of_text(row.get("payload"));
        if depth > MAX_DEPTH {
            folded.is_readable = false;
            report
                .fault(format!("org {org}: the event at position {position} is nested {depth} levels deep"));
        }
        let version: i64 = row.get("version");
        if version != folded.version + 1 {
            report.fault(format!("org {org}: version {version} of {stream} follows {}", folded.version));
        }
        folded.version = version;
        if folded.stream_type != stream_type || !folded.fold.apply(event) {
            report
                .fault(format!("org {org}: the event at position {position} has another type than {stream}"));
        }
    }
}

/// Compares the stored states of streams with the folded ones.
pub(super) async fn check_stored_ends(
    transaction: &Transaction<'_>,
    org: OrgId,
    streams: &FoldedStreams,
    report: &mut Report,
) -> Result<()> {
    let sql = "SELECT stream_id, type, version, state FROM streams WHERE org_id = $1";
    let portal = transaction.bind(sql, &[&org.0]).await.map_err(Error::internal)?;
    let mut found = 0;
    loop {
        let rows = transaction.query_portal(&portal, FETCH).await.map_err(Error::internal)?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let stream: &str = row.get("stream_id");
            match streams.get(stream) {
                None => report.fault(format!("org {org}: {stream} has a stored state and no events")),
                Some(folded) => {
                    found += 1;
                    check_end(org, row, folded, report)?;
                }
            }
        }
    }
    if found != streams.len() {
        report.fault(format!("org {org}: {} streams have events and no stored state", streams.len() - found));
    }
    Ok(())
}

fn check_end(org: OrgId, row: &Row, folded: &Folded, report: &mut Report) -> Result<()> {
    let stream: &str = row.get("stream_id");
    let state = folded.fold.state().map_err(Error::internal)?;
    let is_same = row.get::<_, &str>("type") == folded.stream_type
        && row.get::<_, i64>("version") == folded.version
        && is_same_json(row.get("state"), &state);
    if !is_same {
        report.fault(format!("org {org}: the stored state of {stream} differs from the fold of its events"));
    }
    Ok(())
}

/// Whether two texts are the same JSON, irrespective of the order of members.
pub(super) fn is_same_json(one: &str, other: &str) -> bool {
    let parse = |text| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other || (parse(one).is_some() && parse(one) == parse(other))
}
