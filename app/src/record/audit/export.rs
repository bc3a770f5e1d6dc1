//! Exports of all matching entries, batch by batch.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::{StreamExt, stream};
use kymograph_domain::Timestamp;
use tokio::sync::mpsc;

use super::change::Changes;
use super::slot::ExportSlot;
use super::{AuditBatch, AuditQuery, AuditReader, AuditSelect, Audits, TargetNames, UnnamedBatch, require};
use crate::Scope;
use crate::kernel::error::{Error, Result};
use crate::record::history::{MAX_LISTED_BYTES, Room};

/// The maximum number of entries of a batch.
const BATCH: i64 = 2000;
/// The size of the first batch, when the size of entries is not known yet.
const FIRST_BATCH: i64 = 250;
/// The number of entries of a batch with changes, as several batches are processed at once.
const BATCH_WITH_CHANGES: i64 = 10;
/// The maximum size of a batch in bytes. Entries beyond it are read again with the next batch.
pub(crate) const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// The budget for the changes of entries. An export is complete, so it is unlimited; one object is read at a time.
const ROOM: Room = Room::new(usize::MAX, usize::MAX);
/// The number of batches of a whole log that are read concurrently.
const READ_AT_ONCE: usize = 2;
/// The maximum number of names of objects that an export caches.
const MAX_NAMES: usize = 20_000;

/// Sends the batches that were read, in order.
type Batches = mpsc::Sender<Result<Box<dyn UnnamedBatch>>>;

/// A running export. While one batch is written, the next ones are read; between two batches no connection and no
/// transaction is held, so the client may be slow.
pub struct AuditExport {
    reader: Arc<dyn AuditReader>,
    scope: Scope,
    changes: Option<Changes>,
    names: TargetNames,
    /// The batches read ahead: one is queued here, and one waits for a free place.
    batches: mpsc::Receiver<Result<Box<dyn UnnamedBatch>>>,
    _slot: ExportSlot,
}

impl Audits {
    /// Begins an export of all entries that match a query, whatever page it asks for. Events recorded later are not
    /// included.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn export(&self, scope: &Scope, query: &AuditQuery) -> Result<AuditExport> {
        require(scope)?;
        let slot = self.exports.try_take(scope.org())?;
        let mut select = self.select(scope, query).await?;
        select.newest = query.newest_first(false)?;
        let size = BatchSize::new(if query.with_changes { BATCH_WITH_CHANGES } else { BATCH });
        select.max_bytes = Some(MAX_BATCH_BYTES);
        let now = self.log.positions_at(scope, &[Timestamp::MAX]).await?;
        select.before = select.before.min(now.first().copied().unwrap_or_default() + 1);
        let (reader, scope) = (self.reader.clone(), scope.clone());
        let (read, batches) = mpsc::channel(1);
        if !select.is_empty() {
            tokio::spawn(read_all(reader.clone(), scope.clone(), select, size, read));
        }
        let changes = query.with_changes.then(|| self.changes.clone());
        Ok(AuditExport { reader, scope, changes, names: TargetNames::new(), batches, _slot: slot })
    }
}

/// The size of the next batch.
struct BatchSize {
    next: AtomicI64,
    most: i64,
}

impl BatchSize {
    fn new(most: i64) -> Self {
        Self { next: AtomicI64::new(FIRST_BATCH.min(most)), most }
    }

    fn next(&self) -> i64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Estimates the size of the next entries by those of a batch.
    fn learn(&self, batch: &dyn UnnamedBatch) {
        let (entries, bytes) = batch.size();
        if let Some(fitting) = (MAX_BATCH_BYTES * entries).checked_div(bytes) {
            let fitting = i64::try_from(fitting).unwrap_or(self.most);
            self.next.store(fitting.clamp(1, self.most), Ordering::Relaxed);
        }
    }
}

/// Reads batch after batch, until the receiver is dropped.
async fn read_all(
    reader: Arc<dyn AuditReader>,
    scope: Scope,
    select: AuditSelect,
    size: BatchSize,
    batches: Batches,
) {
    if select.is_whole() {
        read_ranges(reader, scope, select, size, batches).await;
    } else {
        read_pages(&*reader, &scope, select, &size, &batches).await;
    }
}

/// Reads batches of which each begins where the previous one ended. Returns whether all were read.
async fn read_pages(
    reader: &dyn AuditReader,
    scope: &Scope,
    mut select: AuditSelect,
    size: &BatchSize,
    batches: &Batches,
) -> bool {
    loop {
        select.limit = size.next();
        let batch = reader.read_audit(scope, &select).await;
        let ControlFlow::Continue(rest) = send(batch, select, size, batches).await else { return false };
        match rest {
            Some(rest) => select = rest,
            None => return true,
        }
    }
}

/// Sends a batch, and continues with the part of its selection that did not fit, unless the receiver was dropped or the
/// batch is an error.
async fn send(
    batch: Result<Box<dyn UnnamedBatch>>,
    mut select: AuditSelect,
    size: &BatchSize,
    batches: &Batches,
) -> ControlFlow<(), Option<AuditSelect>> {
    let has_failed = batch.is_err();
    let mut last = None;
    if let Ok(batch) = &batch {
        size.learn(&**batch);
        last = batch.ends().filter(|_| batch.has_more()).map(|(_, last)| last);
    }
    if batches.send(batch).await.is_err() || has_failed {
        return ControlFlow::Break(());
    }
    ControlFlow::Continue(last.map(|last| {
        *(if select.newest { &mut select.before } else { &mut select.after }) = last;
        select
    }))
}

/// Reads several batches of a whole log concurrently: the start of each is known, because positions have no gaps. If a
/// batch turns out to be too large, the rest of its range is read from where it ended.
async fn read_ranges(
    reader: Arc<dyn AuditReader>,
    scope: Scope,
    select: AuditSelect,
    size: BatchSize,
    batches: Batches,
) {
    let read = |range: AuditSelect| {
        let (reader, scope) = (reader.clone(), scope.clone());
        tokio::spawn(async move { (reader.read_audit(&scope, &range).await, range) })
    };
    let mut reading = stream::iter(ranges(select, || size.next())).map(read).buffered(READ_AT_ONCE);
    while let Some(read) = reading.next().await {
        let (batch, range) = match read {
            Ok(read) => read,
            Err(error) => (Err(Error::internal(error)), AuditSelect::default()),
        };
        let ControlFlow::Continue(rest) = send(batch, range, &size, &batches).await else { return };
        if let Some(rest) = rest
            && !read_pages(&*reader, &scope, rest, &size, &batches).await
        {
            return;
        }
    }
}

/// The ranges of positions with the entries of one batch each, in the requested order.
fn ranges(mut rest: AuditSelect, next: impl Fn() -> i64) -> impl Iterator<Item = AuditSelect> {
    std::iter::from_fn(move || {
        if rest.after + 1 >= rest.before {
            return None;
        }
        let mut range = AuditSelect { limit: next(), ..rest.clone() };
        if rest.newest {
            range.after = rest.after.max(rest.before - range.limit - 1);
            rest.before = range.after + 1;
        } else {
            range.before = rest.before.min(rest.after + range.limit + 1);
            rest.after = range.before - 1;
        }
        Some(range)
    })
}

impl AuditExport {
    /// The next batch; `None` after the last.
    pub async fn next_batch(&mut self) -> Result<Option<Box<dyn AuditBatch>>> {
        let Some(batch) = self.batches.recv().await.transpose()? else { return Ok(None) };
        if self.names.len() > MAX_NAMES {
            self.names.clear();
        }
        self.reader.complete_names(&self.scope, &*batch, &mut self.names).await?;
        let batch = batch.named(&self.names);
        match &self.changes {
            Some(changes) => changes.add_to(&self.scope, batch, MAX_LISTED_BYTES, ROOM).await.map(Some),
            None => Ok(Some(batch)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(newest: bool) -> Vec<(i64, i64)> {
        let select = AuditSelect { after: 3, before: 11, newest, ..AuditSelect::default() };
        ranges(select, || 3).map(|range| (range.after, range.before)).collect()
    }

    #[test]
    fn ranges_meet_and_have_no_more_positions_than_a_batch() {
        assert_eq!(bounds(false), [(3, 7), (6, 10), (9, 11)]);
        assert_eq!(bounds(true), [(7, 11), (4, 8), (3, 5)]);
        assert_eq!(ranges(AuditSelect { before: 1, ..AuditSelect::default() }, || 3).count(), 0);
    }
}
