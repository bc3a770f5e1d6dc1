//! What an object was like at a version.

use std::collections::VecDeque;
use std::sync::Arc;

use kymograph_domain::past::{AnyPast, NOTHING, Past};
use kymograph_domain::{StoredEvent, Stream, StreamId, registry};

use super::{HistoryReader, StoredChange};
use crate::Scope;
use crate::error::{Error, Result};

/// How many events are read at once.
const BATCH: i64 = 500;

/// Images of one object. Asked for in ascending order, each goes on from where the one before ended.
pub(crate) struct Images<'a> {
    noun: &'a str,
    /// The first version of which something is told.
    first: i64,
    reading: Reading<'a>,
    past: Option<Box<dyn AnyPast>>,
    version: i64,
    last: Option<(i64, Arc<str>)>,
}

impl<'a> Images<'a> {
    pub(crate) fn new(
        reader: &'a dyn HistoryReader,
        scope: &'a Scope,
        stream: &'a StreamId,
        noun: &'a str,
    ) -> Self {
        let reading = Reading::new(reader, scope, stream);
        Self { noun, first: 1, reading, past: None, version: 0, last: None }
    }

    /// Says that nothing is told of what was before a version.
    pub(super) fn since(mut self, version: i64) -> Self {
        self.first = version;
        self
    }

    /// Says that all images up to a version will be asked for, so that their events are read together.
    pub(crate) fn up_to(mut self, version: i64) -> Self {
        self.reading.wanted = version;
        self
    }

    /// The image after a version's event, as JSON text.
    pub(crate) async fn at(&mut self, version: i64) -> Result<Arc<str>> {
        if version < self.first {
            return Ok(NOTHING.into());
        }
        if let Some((_, image)) = self.last.as_ref().filter(|(last, _)| *last == version) {
            return Ok(image.clone());
        }
        let types = registry::complete_events(self.noun);
        let is_ahead = self.past.is_some() && (self.version..=self.reading.known_to()).contains(&version);
        if !is_ahead {
            let base = self.reading.base(types, version).await?;
            if self.past.is_none() || self.version > version || base > self.version {
                self.past = registry::new_past(self.noun);
                self.version = base - 1;
                self.reading.known.clear();
            }
        }
        let (noun, past) = (self.noun, &mut self.past);
        let push = |stored_type: &str, event: &dyn StoredEvent| {
            // What was before an event that tells all is of no use any more.
            if types.contains(&stored_type) {
                *past = registry::new_past(noun);
            }
            past.as_mut().is_some_and(|past| past.push(event))
        };
        self.reading.each(self.version + 1, version, push).await?;
        self.version = version;
        let past = self.past.as_ref().ok_or_else(|| Error::internal(format!("{noun} is no aggregate type")));
        let image: Arc<str> = past?.image().map_err(Error::internal)?.into();
        self.last = Some((version, image.clone()));
        Ok(image)
    }
}

/// What an object of a known type was like after a version's event.
pub(super) async fn past<A: Stream>(
    reader: &dyn HistoryReader,
    scope: &Scope,
    stream: &StreamId,
    version: i64,
) -> Result<Past<A>> {
    let mut past = Past::<A>::default();
    let mut reading = Reading::new(reader, scope, stream);
    let base = reading.base(A::COMPLETE, version).await?;
    reading.each(base, version, |_, event| past.push(event)).await?;
    Ok(past)
}

/// Reads the events of an object.
struct Reading<'a> {
    reader: &'a dyn HistoryReader,
    scope: &'a Scope,
    stream: &'a StreamId,
    /// Events that were read, but not handed out yet.
    known: VecDeque<StoredChange>,
    /// Up to which version events will be asked for, as far as is known.
    wanted: i64,
}

impl<'a> Reading<'a> {
    fn new(reader: &'a dyn HistoryReader, scope: &'a Scope, stream: &'a StreamId) -> Self {
        Self { reader, scope, stream, known: VecDeque::new(), wanted: 0 }
    }

    /// Up to which version events can be handed out without reading any.
    fn known_to(&self) -> i64 {
        self.known.back().map_or(0, |change| change.version)
    }

    /// From which version on events have to be read to know what an object was like at another.
    async fn base(&self, types: &[&str], version: i64) -> Result<i64> {
        if types.is_empty() || version == 1 {
            return Ok(1);
        }
        let last = self.reader.find_last_of(self.scope, self.stream, types, version).await?;
        Ok(last.unwrap_or(1))
    }

    /// Hands out the events from one version to another, which all have to be there and of the object's type.
    async fn each(
        &mut self,
        from: i64,
        to: i64,
        mut push: impl FnMut(&str, &dyn StoredEvent) -> bool + Send,
    ) -> Result<()> {
        for version in from..=to {
            if self.known.is_empty() {
                let limit = BATCH.min(self.wanted.max(to) - version + 1);
                let changes = self.reader.read_changes(self.scope, self.stream, version, limit).await?;
                self.known = changes.into();
            }
            let Some(change) = self.known.pop_front() else {
                return Err(Error::missing(format!("version {version} not found")));
            };
            let event = registry::decode(&change.stored_type, change.schema_version, &change.payload);
            if change.version != version || !push(&change.stored_type, &*event.map_err(Error::internal)?) {
                return Err(Error::internal(format!("{} lacks version {version}", self.stream)));
            }
        }
        Ok(())
    }
}
