//! All entries that are wanted, batch by batch.

use std::sync::Arc;

use kymograph_domain::Timestamp;
use tokio::task::JoinHandle;

use super::change::Changes;
use super::slot::ExportSlot;
use super::{AuditBatch, AuditQuery, AuditReader, AuditSelect, Audits, TargetNames, UnnamedBatch, require};
use crate::Scope;
use crate::error::{Error, Result};

/// How many entries are read at once.
const BATCH: i64 = 2000;
/// How many if each comes with what it changed, which can be a megabyte: several batches are on their way at once.
const BATCH_WITH_CHANGES: i64 = 10;
/// How many names of objects are remembered on the way.
const MAX_NAMES: usize = 20_000;

/// An export under way. While one batch is written out, the next is read; between two of them nothing is held, no
/// connection and no transaction, so a client may take its time.
pub struct AuditExport {
    reader: Arc<dyn AuditReader>,
    scope: Scope,
    select: AuditSelect,
    changes: Option<Changes>,
    names: TargetNames,
    coming: Option<Coming>,
    _slot: ExportSlot,
}

/// A batch that is being read.
type Coming = JoinHandle<Result<Box<dyn UnnamedBatch>>>;

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
        let changes = query.with_changes.then(|| self.changes.clone());
        let names = TargetNames::new();
        let mut export = AuditExport { reader, scope, select, changes, names, coming: None, _slot: slot };
        if !export.select.is_empty() {
            export.read_ahead();
        }
        Ok(export)
    }
}

impl AuditExport {
    /// The next batch; `None` after the last.
    pub async fn next_batch(&mut self) -> Result<Option<Box<dyn AuditBatch>>> {
        let Some(coming) = self.coming.take() else { return Ok(None) };
        let batch = coming.await.map_err(Error::internal)??;
        // The database goes on at once; what is left to do for this batch takes as long as the next takes to come.
        if let Some((_, last)) = batch.ends().filter(|_| batch.has_more()) {
            if self.select.newest {
                self.select.before = last;
            } else {
                self.select.after = last;
            }
            self.read_ahead();
        }
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

    fn read_ahead(&mut self) {
        let (reader, scope, select) = (self.reader.clone(), self.scope.clone(), self.select.clone());
        self.coming = Some(tokio::spawn(async move { reader.read_audit(&scope, &select).await }));
    }
}
