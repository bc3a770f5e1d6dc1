//! The pasts of many objects at once.

use std::collections::HashMap;

use kymograph_domain::kernel::past::{AnyPast, Past};
use kymograph_domain::{Stream, StreamId};

use super::HistoryReader;
use super::image::{BATCH, BATCH_BYTES, Room, decode, run};
use crate::kernel::error::{Error, Result};
use crate::kernel::work::Admitted;
use crate::{Scope, Workers};

/// The number of objects that are read at once.
const OBJECTS: usize = 100;

/// Reads the pasts of many objects, within limits.
pub(crate) struct Pasts<'a> {
    pub(crate) reader: &'a dyn HistoryReader,
    pub(crate) workers: &'a Workers,
    pub(crate) scope: &'a Scope,
    pub(crate) admitted: &'a Admitted,
}

impl Pasts<'_> {
    /// The pasts of objects of one type up to a version of each, if they are short, and the remaining budget. The
    /// objects that are omitted have to be read one by one.
    pub(crate) async fn read<A: Stream>(
        &self,
        wanted: &[(&StreamId, i64)],
        mut room: Room,
    ) -> Result<(HashMap<StreamId, Past<A>>, Room)> {
        let bases = match A::COMPLETE {
            [] => HashMap::new(),
            types => self.reader.find_last_of_many(self.scope, wanted, types).await?,
        };
        let range = |(stream, version): &(&StreamId, i64)| {
            let base = bases.get(*stream).copied().unwrap_or(1);
            (version - base < BATCH).then(|| ((*stream).clone(), base, *version))
        };
        let ranges: Vec<_> = wanted.iter().filter_map(range).collect();
        let mut pasts = HashMap::new();
        for ranges in ranges.chunks(OBJECTS) {
            if let Some(read) = self.read_chunk(ranges, &mut room).await? {
                pasts.extend(read);
            }
        }
        Ok((pasts, room))
    }

    async fn read_chunk<A: Stream>(
        &self,
        ranges: &[(StreamId, i64, i64)],
        room: &mut Room,
    ) -> Result<Option<Vec<(StreamId, Past<A>)>>> {
        let mut read = None;
        if !self.admitted.is_held() {
            let small = i64::try_from(room.small).map_err(Error::internal)?;
            read = self.reader.read_ranges(self.scope, ranges, small).await?;
            if read.is_none() {
                self.admitted.wait(self.workers, self.scope.org()).await?;
            }
        }
        let read = match read {
            Some(read) => read,
            None => match self.reader.read_ranges(self.scope, ranges, BATCH_BYTES).await? {
                Some(read) => read,
                None => return Ok(None),
            },
        };
        let bytes = read.iter().map(|(_, change)| change.payload.len()).sum();
        room.small = room.small.saturating_sub(bytes);
        room.read = room.read.saturating_sub(bytes);
        if room.read == 0 {
            return Err(Error::too_large("the history up to this version is too long to read"));
        }
        let work = move || {
            let mut pasts: Vec<(StreamId, Past<A>)> = Vec::new();
            for (stream, change) in read {
                if pasts.last().is_none_or(|(last, _)| *last != stream) {
                    pasts.push((stream.clone(), Past::default()));
                }
                let known = decode(change).map_err(Error::internal)?;
                if !pasts.last_mut().is_some_and(|(_, past)| past.push(&*known.event)) {
                    return Err(Error::internal(format!("{stream} has an event of another type")));
                }
            }
            Ok(pasts)
        };
        run(self.workers, self.scope, room, bytes, work).await?.map(Some)
    }
}
