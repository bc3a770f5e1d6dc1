//! Reads and checks a whole source.

use std::collections::{BTreeMap, BTreeSet};

use kymograph_app::{Error, Result};
use kymograph_domain::StreamId;
use kymograph_domain::import::{ForeignEvent, Import, Imported, Misplaced};
use kymograph_projections::account::quota::must_have_room;
use kymograph_projections::content::folder::folder_depths;
use sha2::{Digest, Sha256};
use tokio_postgres::{Client, GenericClient};

use super::line::Line;
use super::metadata::is_too_long;
use super::source::{EventFile, LinePlace, event};
use super::{ImportOrder, ImportReport, failed};
use crate::progress::Report;

/// The number of streams per lookup.
const LOOK_UP: usize = 5_000;

/// Existing streams of these names, with their versions and the correlation ids of their first events.
const FIND_STREAMS: &str = "SELECT s.stream_id, s.version, e.correlation_id
    FROM streams s JOIN events e ON e.org_id = s.org_id AND e.stream_id = s.stream_id AND e.version = 1
    WHERE s.org_id = $1 AND s.stream_id = ANY ($2)";

/// The events that passed all checks that need no database.
pub(super) struct Checked {
    pub(super) import: Import,
    /// The places of the selected events, each with its object.
    pub(super) lines: Vec<(LinePlace, u32)>,
    /// The correlation id of these events, independent of their order: it identifies an earlier run in the log.
    pub(super) correlation_id: String,
}

/// Reads a whole file.
pub(super) fn read(
    file: &EventFile,
    order: &ImportOrder,
    found: &mut ImportReport,
    report: Report<'_>,
) -> Result<Checked> {
    let mut import = Import::new(0, order.max_document_bytes);
    let (mut lines, mut fingerprint) = (Vec::new(), 0_u128);
    let mut raw_lines = file.lines();
    while let Some(raw) = raw_lines.next()? {
        report.at("checking", raw.number, file.count());
        let json = file.json(raw.number, raw.text)?;
        let line = event(raw.number, &json)?;
        if !is_wanted(order, &line) {
            *found.left_out.entry(line.aggregate_type.into_owned()).or_default() += 1;
            continue;
        }
        if is_too_long(&line.metadata) {
            let place = file.place(raw.number, &line);
            return Err(Error::invalid(format!("{place}: its metadata is too long")));
        }
        let imported = take(&mut import, file, raw.number, &line)?;
        lines.push((raw.place, u32::try_from(imported.object).map_err(Error::internal)?));
        match found.read.get_mut(&*line.event_type) {
            Some(count) => *count += 1,
            None => drop(found.read.insert(line.event_type.into_owned(), 1)),
        }
        fingerprint = fingerprint.wrapping_add(hash_of(json.trim_ascii_end()));
    }
    Ok(Checked { import, lines, correlation_id: format!("import-{fingerprint:032x}") })
}

/// Half of a hash of a line. The sum over all lines identifies a file.
fn hash_of(text: &[u8]) -> u128 {
    Sha256::digest(text).iter().take(16).fold(0, |hash, byte| hash << 8 | u128::from(*byte))
}

fn is_wanted(order: &ImportOrder, line: &Line<'_>) -> bool {
    order.only.is_empty() || order.only.iter().any(|only| *only == line.aggregate_type)
}

/// Adds the event of a line to the import.
pub(super) fn take(import: &mut Import, file: &EventFile, number: u64, line: &Line<'_>) -> Result<Imported> {
    let refused =
        |error: &dyn std::fmt::Display| Error::invalid(format!("{}: {error}", file.place(number, line)));
    let schema_version = line.event_version.parse().ok().filter(|version| *version > 0);
    let schema_version = schema_version.ok_or_else(|| refused(&"event_version is not a version"))?;
    let payload = line.inner_payload().map_err(|error| refused(&error))?;
    let event = ForeignEvent {
        aggregate_type: &line.aggregate_type,
        aggregate_id: &line.aggregate_id,
        sequence: line.sequence,
        event_type: &line.event_type,
        schema_version,
        payload,
    };
    import.take(number, &event).map_err(|error| refused(&error))
}

/// Fails unless all imported objects are in an imported or an existing folder.
pub(super) async fn must_be_placed(
    client: &impl GenericClient,
    order: &ImportOrder,
    file: &EventFile,
    import: &Import,
) -> Result<()> {
    let folders: Vec<_> = import.folders_elsewhere().into_iter().collect();
    let mut depths = BTreeMap::new();
    for folders in folders.chunks(LOOK_UP) {
        depths.extend(folder_depths(client, order.org, folders.iter().copied()).await?);
    }
    let misplaced = |error: Misplaced| Error::invalid(format!("{}: {error}", file.place_of(error.number)));
    import.check_places(&depths).map_err(misplaced)
}

impl Checked {
    /// Skips the objects that an earlier run of the same import has written, and returns their number. Rejects other
    /// existing or deleted objects of the org: a stream has one beginning.
    pub(super) async fn leave_out_what_is_there(
        &mut self,
        client: &Client,
        order: &ImportOrder,
        file: &EventFile,
    ) -> Result<usize> {
        let org = order.org;
        let (mut taken, mut there) = (BTreeMap::new(), BTreeSet::<StreamId>::new());
        let objects: Vec<_> = self.import.objects().collect();
        for objects in objects.chunks(LOOK_UP) {
            let names: Vec<_> = objects.iter().map(|object| object.stream.as_str()).collect();
            let rows = client.query(FIND_STREAMS, &[&org.0, &names]).await.map_err(failed)?;
            let found = rows.iter().map(|row| (row.get("stream_id"), (row.get("version"), row.get(2))));
            let found: BTreeMap<&str, (i64, &str)> = found.collect();
            for object in objects {
                match found.get(object.stream.as_str()) {
                    Some((version, id)) if *id == self.correlation_id && *version >= object.events => {
                        there.insert(object.stream.clone());
                    }
                    Some(_) => drop(taken.insert(object.number, object.stream)),
                    None => {}
                }
            }
        }
        if let Some((number, stream)) = taken.first_key_value() {
            let (place, others) = (file.place_of(*number), taken.len() - 1);
            let message = format!("{place}: {stream} already exists in org {org} (and {others} others)");
            return Err(Error::invalid(message));
        }
        self.import.leave_out(&there);
        Ok(there.len())
    }

    /// Fails if a folder is missing or a quota exceeded.
    pub(super) async fn must_fit(
        &self,
        client: &Client,
        order: &ImportOrder,
        file: &EventFile,
    ) -> Result<()> {
        must_be_placed(client, order, file, &self.import).await?;
        match &order.limits {
            Some(limits) => must_have_room(client, limits, order.org, &self.import.added()).await,
            None => Ok(()),
        }
    }
}
