//! All entries that are wanted, batch by batch.

use std::sync::Arc;

use kymograph_domain::Timestamp;
use tokio::task::JoinHandle;

use super::change::Changes;
use super::slot::ExportSlot;
use super::{AuditBatch, AuditQuery, AuditReader, AuditSelect, Audits, TargetNames, require};
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
    coming: Option<Coming>,
    _slot: ExportSlot,
}

/// A batch that is being read, with the names that are known by then.
type Coming = JoinHandle<Result<(Box<dyn AuditBatch>, TargetNames)>>;

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
        let mut export = AuditExport { reader, scope, select, changes, coming: None, _slot: slot };
        if !export.select.is_empty() {
            export.read_ahead(TargetNames::new());
        }
        Ok(export)
    }
}

impl AuditExport {
    /// The next batch; `None` after the last.
    pub async fn next_batch(&mut self) -> Result<Option<Box<dyn AuditBatch>>> {
        let Some(coming) = self.coming.take() else { return Ok(None) };
        let (batch, mut names) = coming.await.map_err(Error::internal)??;
        if let Some((_, last)) = batch.ends().filter(|_| batch.has_more()) {
            if self.select.newest {
                self.select.before = last;
            } else {
                self.select.after = last;
            }
            if names.len() > MAX_NAMES {
                names.clear();
            }
            self.read_ahead(names);
        }
        Ok(Some(batch))
    }

    fn read_ahead(&mut self, mut names: TargetNames) {
        let (reader, scope, select) = (self.reader.clone(), self.scope.clone(), self.select.clone());
        let changes = self.changes.clone();
        self.coming = Some(tokio::spawn(async move {
            let mut batch = reader.read_audit(&scope, &select, &mut names).await?;
            if let Some(changes) = changes {
                batch = changes.add_to(&scope, batch).await?;
            }
            Ok((batch, names))
        }));
    }
}
