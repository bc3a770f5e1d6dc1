//! The events of a step, read and ready to be written.

use std::collections::HashMap;

use kymograph_app::{Error, Result};
use kymograph_domain::StreamId;
use kymograph_domain::import::{Import, Imported};

use super::check::take;
use super::metadata::Origin;
use super::plan::Plan;
use super::source::{EventFile, event};
use crate::event_store::{NewStream, Payload};

/// An event to be written.
pub(super) struct Pending {
    pub(super) imported: Imported,
    /// Its version in the stream, from 1.
    pub(super) version: i64,
    pub(super) origin: Origin,
    pub(super) payload: Payload,
}

/// The events of a step.
pub(super) struct Chunk {
    /// The objects of the events.
    pub(super) import: Import,
    /// The events, in their order.
    pub(super) events: Vec<Pending>,
    /// Their streams.
    pub(super) streams: Vec<NewStream>,
    /// The order of projection, as indexes. Events of a stream keep their order. Events of a type are adjacent, so that
    /// they share statements.
    pub(super) runs: Vec<Vec<usize>>,
}

impl Chunk {
    /// Reads the events of a step. Their objects get the numeric ids after `last_id`.
    pub(super) fn read(
        file: &EventFile,
        plan: &Plan,
        step: usize,
        last_id: i64,
        max_document_bytes: usize,
    ) -> Result<Self> {
        let mut import = Import::new(last_id, max_document_bytes);
        let lines = plan.lines(step);
        let (mut events, mut text) = (Vec::with_capacity(lines.len()), Vec::new());
        for place in lines {
            let number = u64::from(place.number);
            file.read(*place, &mut text)?;
            let json = file.json(number, &text)?;
            let line = event(number, &json)?;
            let imported = take(&mut import, file, number, &line)?;
            let payload = Payload::new(imported.event.payload().map_err(Error::internal)?);
            let origin = Origin::of(&line.metadata).map_err(Error::internal)?;
            events.push(Pending { imported, version: line.sequence, origin, payload });
        }
        let streams = streams(&import, &events)?;
        let runs = runs(&events);
        Ok(Self { import, events, streams, runs })
    }
}

fn streams(import: &Import, events: &[Pending]) -> Result<Vec<NewStream>> {
    let types: HashMap<_, _> =
        events.iter().map(|pending| (&pending.imported.stream, pending.imported.stream_type)).collect();
    let stream = |stream: &StreamId, version: i64| {
        Ok(NewStream {
            stream_id: stream.clone(),
            stream_type: types.get(stream).copied().unwrap_or_default(),
            version,
            state: import.state(stream).map_err(Error::internal)?,
        })
    };
    import.objects().map(|object| stream(object.stream, object.events)).collect()
}

/// The indexes of events by aggregate type, and within a type by the number of changes of the event type before them in
/// their streams.
fn runs(events: &[Pending]) -> Vec<Vec<usize>> {
    let mut changes: HashMap<&StreamId, (&str, usize)> = HashMap::new();
    let mut by_type: Vec<(&str, Vec<(usize, usize)>)> = Vec::new();
    for (index, Pending { imported, .. }) in events.iter().enumerate() {
        let kind = imported.event.stored_type();
        let (last, round) = changes.entry(&imported.stream).or_insert((kind, 0));
        if *last != kind {
            (*last, *round) = (kind, *round + 1);
        }
        match by_type.iter_mut().find(|(of, _)| *of == imported.stream_type) {
            Some((_, run)) => run.push((*round, index)),
            None => by_type.push((imported.stream_type, vec![(*round, index)])),
        }
    }
    let sorted = by_type.into_iter().map(|(_, mut run)| {
        run.sort_unstable();
        run.into_iter().map(|(_, index)| index).collect()
    });
    sorted.collect()
}
