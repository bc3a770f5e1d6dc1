//! The changes of audit entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use kymograph_domain::StreamId;

use super::{AuditBatch, AuditRecord, AuditSink, AuditTarget};
use crate::kernel::answer;
use crate::kernel::error::Result;
use crate::record::history::{Diff, HistoryReader, Images, Room};
use crate::{Scope, Workers};

/// Computes the changes of entries.
#[derive(Clone)]
pub(super) struct Changes {
    pub(super) reader: Arc<dyn HistoryReader>,
    pub(super) workers: Workers,
}

impl Changes {
    /// Adds to each entry its changes: up to `listed` bytes of each, and in total as much as `room` allows.
    pub(super) async fn add_to(
        &self,
        scope: &Scope,
        batch: Box<dyn AuditBatch>,
        listed: usize,
        mut room: Room,
    ) -> Result<Box<dyn AuditBatch>> {
        // Entries of one object are processed together, from its oldest version on: each image is used for two of them.
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
        let mut bytes = 0;
        let mut diffs: Vec<_> = (0..length).map(|_| None).collect();
        for ((noun, stream), mut versions) in objects {
            versions.sort_unstable();
            for run in versions.chunk_by(|(version, _), (next, _)| version + 1 == *next) {
                let last = run.last().map_or(0, |(version, _)| *version);
                let images = Images::new(&*self.reader, &self.workers, scope, &stream, &noun);
                let mut images = images.up_to(last).within(room);
                for (version, index) in run {
                    let diff = images.diff(version - 1, *version, listed).await?;
                    bytes += diff.bytes();
                    diffs[*index] = Some(diff);
                }
                room = images.left();
                // The images may hold an admission, which must not be held while waiting for another one.
                drop(images);
                answer::reserve(bytes).await?;
            }
        }
        Ok(Box::new(Changed { batch, diffs }))
    }
}

/// Entries with their changes.
struct Changed {
    batch: Box<dyn AuditBatch>,
    /// In the order of the entries; `None` for entries without changes.
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
