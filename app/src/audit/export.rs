//! All entries that are wanted, batch by batch.

use std::sync::Arc;

use kymograph_domain::Timestamp;
use tokio::sync::mpsc;

use super::change::Changes;
use super::slot::ExportSlot;
use super::{AuditBatch, AuditQuery, AuditReader, AuditSelect, Audits, TargetNames, UnnamedBatch, require};
use crate::Scope;
use crate::error::Result;

/// How many entries are read at once.
const BATCH: i64 = 2000;
/// How many if each comes with what it changed, which can be a megabyte: several batches are on their way at once.
const BATCH_WITH_CHANGES: i64 = 10;
/// How many names of objects are remembered on the way.
const MAX_NAMES: usize = 20_000;

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
        select.limit = if query.with_changes { BATCH_WITH_CHANGES } else { BATCH };
        let now = self.log.positions_at(scope, &[Timestamp::MAX]).await?;
        select.before = select.before.min(now.first().copied().unwrap_or_default() + 1);
        let (reader, scope) = (self.reader.clone(), scope.clone());
        let (read, batches) = mpsc::channel(1);
        if !select.is_empty() {
            tokio::spawn(read_all(reader.clone(), scope.clone(), select, read));
        }
        let changes = query.with_changes.then(|| self.changes.clone());
        Ok(AuditExport { reader, scope, changes, names: TargetNames::new(), batches, _slot: slot })
    }
}

/// Reads batch after batch, until nobody takes them any more.
async fn read_all(
    reader: Arc<dyn AuditReader>,
    scope: Scope,
    mut select: AuditSelect,
    batches: mpsc::Sender<Result<Box<dyn UnnamedBatch>>>,
) {
    loop {
        let batch = reader.read_audit(&scope, &select).await;
        let last = batch.as_ref().ok().filter(|batch| batch.has_more()).and_then(|batch| batch.ends());
        if batches.send(batch).await.is_err() {
            return;
        }
        match last {
            Some((_, last)) if select.newest => select.before = last,
            Some((_, last)) => select.after = last,
            None => return,
        }
    }
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
            Some(changes) => changes.add_to(&self.scope, batch).await.map(Some),
            None => Ok(Some(batch)),
        }
    }
}
