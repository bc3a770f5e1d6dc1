//! What each of some entries changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use kymograph_domain::StreamId;

use super::{AuditBatch, AuditRecord, AuditSink, AuditTarget};
use crate::Scope;
use crate::error::Result;
use crate::history::{Diff, HistoryReader, Images, MAX_LISTED_BYTES};

/// Finds out what entries changed.
#[derive(Clone)]
pub(super) struct Changes(pub(super) Arc<dyn HistoryReader>);

impl Changes {
    /// The same entries with what each of them changed.
    pub(super) async fn add_to(
        &self,
        scope: &Scope,
        batch: Box<dyn AuditBatch>,
    ) -> Result<Box<dyn AuditBatch>> {
        // Entries of one object are looked at together, from its oldest version on: each image serves two of them.
        let mut objects: BTreeMap<(String, StreamId), Vec<(i64, usize)>> = BTreeMap::new();
        let mut length = 0;
        batch.emit(false, &mut |record| {
            let AuditTarget { kind, uid, version, .. } = record.target;
            if let Some(version) = version {
                let object = (kind.to_owned(), StreamId::from_stored(format!("{kind}-{uid}")));
                objects.entry(object).or_default().push((version, length));
            }
            length += 1;
        });
        let mut diffs: Vec<_> = (0..length).map(|_| None).collect();
        for ((noun, stream), mut versions) in objects {
            versions.sort_unstable();
            for run in versions.chunk_by(|(version, _), (next, _)| version + 1 == *next) {
                let last = run.last().map_or(0, |(version, _)| *version);
                let mut images = Images::new(&*self.0, scope, &stream, &noun).up_to(last);
                for (version, index) in run {
                    let (before, after) = (images.at(version - 1).await?, images.at(*version).await?);
                    diffs[*index] = Some(Diff::between(&noun, &before, &after, MAX_LISTED_BYTES)?);
                }
            }
        }
        Ok(Box::new(Changed { batch, diffs }))
    }
}

/// Entries with what each of them changed.
struct Changed {
    batch: Box<dyn AuditBatch>,
    /// In the order of the entries; `None` for what changed nothing.
    diffs: Vec<Option<Diff>>,
}

impl AuditBatch for Changed {
    fn ends(&self) -> Option<(i64, i64)> {
        self.batch.ends()
    }

    fn has_more(&self) -> bool {
        self.batch.has_more()
    }

    fn emit(&self, reversed: bool, sink: &mut AuditSink<'_>) {
        let mut diffs = self.diffs.iter();
        self.batch.emit(reversed, &mut |record| {
            let diff = if reversed { diffs.next_back() } else { diffs.next() };
            let changes = diff.and_then(Option::as_ref);
            sink(&AuditRecord { changes, ..record.clone() });
        });
    }
}
