//! Images: the state of an object at a version.

use std::collections::VecDeque;
use std::sync::Arc;

use kymograph_domain::kernel::past::{AnyPast, NOTHING, Past};
use kymograph_domain::registry::DecodeError;
use kymograph_domain::{StoredEvent, Stream, StreamId, registry};

use super::{Diff, HistoryReader, MAX_COMPARED_BYTES, MAX_READ_BYTES, StoredChange};
use crate::kernel::error::{Error, Result};
use crate::kernel::work::{Admitted, INLINE_BYTES};
use crate::{Scope, Workers};

/// The number of events that are read at once.
pub(super) const BATCH: i64 = 500;
/// The maximum number of bytes that are read at once with an admission. A larger event is read on its own.
pub(super) const BATCH_BYTES: i64 = 1024 * 1024;
/// The maximum number of events that an image is folded from if no event contains the complete state.
pub(crate) const MAX_FOLDED_EVENTS: i64 = 10_000;
/// The size that is counted for an event in addition to its payload, in bytes.
const EVENT_BYTES: usize = 100;
/// The minimum size that is counted for a piece of work, in bytes.
const PIECE_BYTES: usize = 1024;

/// The budget of a request for reconstructing objects and comparing them.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    /// Bytes of events to read.
    pub(crate) read: usize,
    /// Bytes of images to compare.
    pub(crate) compared: usize,
    /// Bytes to read without an admission.
    pub(super) small: usize,
    /// Bytes to process inline. Beyond them all work waits for its turn, however little it is.
    inline: usize,
}

impl Room {
    /// The budget of one request.
    pub(crate) const OF_REQUEST: Self = Self::new(MAX_READ_BYTES, MAX_COMPARED_BYTES);

    /// A budget with these numbers of bytes to read and to compare.
    pub(crate) const fn new(read: usize, compared: usize) -> Self {
        Self { read, compared, small: INLINE_BYTES, inline: INLINE_BYTES }
    }
}

/// Images of one object. In ascending order each one continues from the previous one.
pub(crate) struct Images<'a> {
    noun: &'a str,
    /// The first version that is disclosed.
    first: i64,
    reading: Reading<'a>,
    past: Option<Box<dyn AnyPast>>,
    version: i64,
    last: Option<(i64, Arc<str>)>,
    /// The total size of the events that the past was folded from, in bytes.
    weight: usize,
}

impl<'a> Images<'a> {
    pub(crate) fn new(
        reader: &'a dyn HistoryReader,
        workers: &'a Workers,
        scope: &'a Scope,
        stream: &'a StreamId,
        noun: &'a str,
    ) -> Self {
        let reading = Reading::new(reader, workers, scope, stream);
        Self { noun, first: 1, reading, past: None, version: 0, last: None, weight: 0 }
    }

    /// Hides the versions before the given one.
    pub(super) fn since(mut self, version: i64) -> Self {
        self.first = version;
        self
    }

    /// Announces that all images up to a version will be requested, so that their events are read together.
    pub(crate) fn up_to(mut self, version: i64) -> Self {
        self.reading.wanted = version;
        self
    }

    /// Sets the budget.
    pub(crate) fn within(mut self, room: Room) -> Self {
        self.reading.room = room;
        self
    }

    /// The remaining budget.
    pub(crate) fn left(&self) -> Room {
        self.reading.room
    }

    /// The difference between two versions, of at most `max_bytes`.
    pub(crate) async fn diff(&mut self, from: i64, to: i64, max_bytes: usize) -> Result<Diff> {
        let (Some(before), Some(after)) = (self.at(from).await?, self.at(to).await?) else {
            return Diff::too_much();
        };
        let (noun, bytes) = (self.noun.to_owned(), before.len() + after.len());
        let room = &mut self.reading.room;
        let Some(left) = room.compared.checked_sub(bytes) else { return Diff::too_much() };
        room.compared = left;
        self.reading.run(bytes, move || Diff::between(&noun, &before, &after, max_bytes)).await?
    }

    /// The image after a version's event, as JSON text; `None` if it would exceed the budget.
    async fn at(&mut self, version: i64) -> Result<Option<Arc<str>>> {
        if version < self.first {
            return Ok(Some(NOTHING.into()));
        }
        if let Some((_, image)) = self.last.as_ref().filter(|(last, _)| *last == version) {
            return Ok(Some(image.clone()));
        }
        if self.reading.room.read == 0 {
            return Ok(None);
        }
        let types = registry::complete_events(self.noun);
        let is_ahead = self.past.is_some() && (self.version..=self.reading.known_to()).contains(&version);
        if !is_ahead {
            let base = self.reading.base(types, version).await?;
            if self.past.is_none() || self.version > version || base > self.version {
                (self.past, self.weight) = (registry::new_past(self.noun), 0);
                self.version = base - 1;
                self.reading.known.clear();
            }
        }
        if version - self.version > MAX_FOLDED_EVENTS {
            return Ok(None);
        }
        let (noun, past, weight) = (self.noun, &mut self.past, &mut self.weight);
        let push = |known: &Known| {
            // Earlier events are irrelevant before an event with the complete state.
            if types.contains(&&*known.stored_type) {
                (*past, *weight) = (registry::new_past(noun), 0);
            }
            *weight += known.bytes;
            past.as_mut().is_some_and(|past| past.push(&*known.event))
        };
        if !self.reading.each(self.version + 1, version, push).await? {
            self.past = None;
            return Ok(None);
        }
        self.version = version;
        let past =
            self.past.take().ok_or_else(|| Error::internal(format!("{noun} is not an aggregate type")))?;
        let work = move || (past.image(), past);
        let (image, past) = self.reading.run(self.weight, work).await?;
        self.past = Some(past);
        let image: Arc<str> = image.map_err(Error::internal)?.into();
        self.last = Some((version, image.clone()));
        Ok(Some(image))
    }
}

/// The past of an object of a known type up to a version, and the remaining budget. The admission that it may need
/// belongs to the request.
pub(crate) async fn past<A: Stream>(
    reader: &dyn HistoryReader,
    workers: &Workers,
    scope: &Scope,
    stream: &StreamId,
    version: i64,
    room: Room,
    admitted: &Admitted,
) -> Result<(Past<A>, Room)> {
    let mut past = Past::<A>::default();
    let mut reading = Reading::new(reader, workers, scope, stream);
    reading.room = room;
    reading.admitted = admitted.clone();
    let base = reading.base(A::COMPLETE, version).await?;
    if reading.each(base, version, |known| past.push(&*known.event)).await? {
        return Ok((past, reading.room));
    }
    Err(Error::too_large("the history up to this version is too long to read"))
}

/// Reads the events of an object.
struct Reading<'a> {
    reader: &'a dyn HistoryReader,
    workers: &'a Workers,
    scope: &'a Scope,
    stream: &'a StreamId,
    /// Events that were read, but not used yet.
    known: VecDeque<Known>,
    /// The last version that is expected to be needed.
    wanted: i64,
    room: Room,
    admitted: Admitted,
}

impl<'a> Reading<'a> {
    fn new(
        reader: &'a dyn HistoryReader,
        workers: &'a Workers,
        scope: &'a Scope,
        stream: &'a StreamId,
    ) -> Self {
        Self {
            reader,
            workers,
            scope,
            stream,
            known: VecDeque::new(),
            wanted: 0,
            room: Room::OF_REQUEST,
            admitted: Admitted::default(),
        }
    }

    /// The last version whose event was already read.
    fn known_to(&self) -> i64 {
        self.known.back().map_or(0, |known| known.version)
    }

    /// The version from which events have to be read to reconstruct an object at a version.
    async fn base(&self, types: &[&str], version: i64) -> Result<i64> {
        if types.is_empty() || version == 1 {
            return Ok(1);
        }
        let last = self.reader.find_last_of(self.scope, self.stream, types, version).await?;
        Ok(last.unwrap_or(1))
    }

    /// Passes the events of a range of versions to `push`; all of them must exist and be of the object's type. Returns
    /// false if they exceed the budget.
    async fn each(
        &mut self,
        from: i64,
        to: i64,
        mut push: impl FnMut(&Known) -> bool + Send,
    ) -> Result<bool> {
        for version in from..=to {
            if self.known.is_empty() {
                let read = self.read(version, BATCH.min(self.wanted.max(to) - version + 1)).await?;
                let bytes = read.iter().map(|change| change.payload.len()).sum();
                let decode = move || read.into_iter().map(decode).collect::<Result<_, _>>();
                self.known = self.run(bytes, decode).await?.map_err(Error::internal)?;
            }
            let Some(known) = self.known.pop_front() else {
                return Err(Error::missing(format!("version {version} not found")));
            };
            self.room.read = self.room.read.saturating_sub(known.bytes);
            if self.room.read == 0 {
                return Ok(false);
            }
            if known.version != version || !push(&known) {
                return Err(Error::internal(format!("{} lacks version {version}", self.stream)));
            }
        }
        Ok(true)
    }

    /// Up to `limit` events from a version on, or fewer if they are large.
    async fn read(&mut self, from: i64, limit: i64) -> Result<Vec<StoredChange>> {
        let (scope, stream) = (self.scope, self.stream);
        if !self.admitted.is_held() {
            let max_bytes = i64::try_from(self.room.small).map_err(Error::internal)?;
            let read = self.reader.read_changes(scope, stream, from, limit, max_bytes).await?;
            let bytes = read.list.iter().map(|change| change.payload.len()).sum();
            self.room.small = self.room.small.saturating_sub(bytes);
            if !read.list.is_empty() || !read.is_cut {
                return Ok(read.list);
            }
            self.admitted.wait(self.workers, scope.org()).await?;
        }
        let read = self.reader.read_changes(scope, stream, from, limit, BATCH_BYTES).await?;
        if !read.list.is_empty() || !read.is_cut {
            return Ok(read.list);
        }
        let read = self.reader.read_changes(scope, stream, from, 1, i64::MAX).await?;
        Ok(read.list)
    }

    async fn run<T: Send + 'static>(
        &mut self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        run(self.workers, self.scope, &mut self.room, bytes, work).await
    }
}

/// Runs work on `bytes` of data: inline until the request has used up its inline budget, then in a turn of its own, so
/// that others have their turns between the pieces of a long history.
pub(super) async fn run<T: Send + 'static>(
    workers: &Workers,
    scope: &Scope,
    room: &mut Room,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if let Some(left) = room.inline.checked_sub(bytes.max(PIECE_BYTES)) {
        room.inline = left;
        return Ok(work());
    }
    workers.turn(scope.org(), bytes).await?.run(work).await
}

/// An event that was read.
pub(super) struct Known {
    version: i64,
    stored_type: String,
    pub(super) event: Box<dyn StoredEvent>,
    /// The size that is counted for it, in bytes.
    bytes: usize,
}

pub(super) fn decode(change: StoredChange) -> Result<Known, DecodeError> {
    let StoredChange { version, stored_type, schema_version, payload } = change;
    let event = registry::decode(&stored_type, schema_version, &payload)?;
    Ok(Known { version, stored_type, event, bytes: payload.len() + EVENT_BYTES })
}
