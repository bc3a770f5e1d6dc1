//! All entries that are wanted, batch by batch.

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

/// How many entries are read at once at most.
const BATCH: i64 = 2000;
/// How many at first, when it is not known yet how large they are.
const FIRST_BATCH: i64 = 250;
/// How many if each comes with what it changed: several batches are on their way at once.
const BATCH_WITH_CHANGES: i64 = 10;
/// How many bytes a batch has at most. Entries beyond it are read again with the next.
pub(crate) const MAX_BATCH_BYTES: usize = 1024 * 1024;
/// How much is told of each of them. An export is complete, so whatever they are of is read, one object at a time.
const ROOM: Room = Room::new(usize::MAX, usize::MAX);
/// How many batches of a whole log are read at once.
const READ_AT_ONCE: usize = 2;
/// How many names of objects are remembered on the way.
const MAX_NAMES: usize = 20_000;

/// Takes the batches that were read, in order.
type Batches = mpsc::Sender<Result<Box<dyn UnnamedBatch>>>;

/// An export under way. While one batch is written out, the next are read; between two of them nothing is held, no
/// connection and no transaction, so a client may take its time.
pub struct AuditExport {
    reader: Arc<dyn AuditReader>,
    scope: Scope,
    changes: Option<Changes>,
    names: TargetNames,
    /// What is read ahead: a batch that waits here, and one that waits for its place.
    batches: mpsc::Receiver<Result<Box<dyn UnnamedBatch>>>,
    _slot: ExportSlot,
}

impl Audits {
    /// Begins an export of all entries that a query means, whatever page it asks for. What is recorded after this
    /// is not part of it.
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

/// How many entries the next batch has.
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

    /// Expects that the next entries are as large as those of a batch.
    fn learn(&self, batch: &dyn UnnamedBatch) {
        let (entries, bytes) = batch.size();
        if let Some(fitting) = (MAX_BATCH_BYTES * entries).checked_div(bytes) {
            let fitting = i64::try_from(fitting).unwrap_or(self.most);
            self.next.store(fitting.clamp(1, self.most), Ordering::Relaxed);
        }
    }
}

/// Reads batch after batch, until nobody takes them any more.
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

/// Each batch begins where the one before has ended. Whether all were read.
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

/// Hands a batch over, and goes on with what is left of what it was to hold, unless nobody takes batches any more, or it
/// is an error.
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

/// Of a whole log it is known where each batch begins, because its positions have no holes. So several are read at once. What
/// turns out too large for a batch is read on from where that has ended.
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

/// The ranges of positions that have as many entries as a batch, in the order in which they are wanted.
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
