//! The history of any object: its changes, their differences, and restoring it.
//!
//! Every aggregate has a history: its events are the history, and their fold up to a version is the object at that
//! version. A noun defines in [`kymograph_domain::Stream`] how its history is shown and which commands restore it.

mod diff;
mod ended;
mod image;
mod many;
mod restore;
mod right;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{OrgId, StreamId, Timestamp, Uid, UserId};

use crate::content::folder::Folders;
use crate::kernel::answer;
use crate::kernel::ending::Endings;
use crate::kernel::error::{Error, Result};
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::id_allocator::IdAllocator;
use crate::rights::resource_permission::GuardedKinds;
use crate::{Authorization, Commands, Scope, Workers};

pub use diff::Diff;
pub(crate) use ended::without_ended;
pub(crate) use image::{Images, MAX_FOLDED_EVENTS, Room, past};
pub(crate) use many::Pasts;
pub use restore::Restored;
pub(crate) use right::{Place, place_of, resource_of};

/// The default number of entries of a page.
pub const DEFAULT_PAGE: i64 = 50;
/// The maximum number of entries of a page.
pub(crate) const MAX_PAGE: i64 = 200;
/// The maximum number of entries of a page that includes their changes.
const MAX_PAGE_WITH_CHANGES: i64 = 50;
/// The maximum size of the changes of an entry in a list, in bytes. Beyond it values are omitted.
pub(crate) const MAX_LISTED_BYTES: usize = 128 * 1024;
/// The same for a single entry, or for a comparison of two versions.
pub(crate) const MAX_DIFF_BYTES: usize = 4 * 1024 * 1024;
/// The maximum total size of the events of a page that includes their changes, in bytes.
pub(crate) const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;
/// The maximum total size of the images that are compared for one request, in bytes.
pub(crate) const MAX_COMPARED_BYTES: usize = 40 * 1024 * 1024;
/// The maximum total size of the events that are read to reconstruct an object, in bytes.
pub(crate) const MAX_READ_BYTES: usize = 64 * 1024 * 1024;

/// A stored event of an object.
#[derive(Clone, Debug)]
pub struct StoredChange {
    /// The version of the object, from 1.
    pub version: i64,
    /// The stored name of the event type.
    pub stored_type: String,
    /// The schema version of the event.
    pub schema_version: i32,
    /// The payload.
    pub payload: String,
}

/// Events of an object that were read together.
#[derive(Debug, Default)]
pub struct StoredChanges {
    /// The events.
    pub list: Vec<StoredChange>,
    /// Whether the next event did not fit.
    pub is_cut: bool,
}

/// Reads the events of objects.
#[async_trait]
pub trait HistoryReader: Send + Sync {
    /// Up to `limit` entries below a version, the newest first, without their changes.
    async fn list_entries(
        &self,
        scope: &Scope,
        stream: &StreamId,
        below: i64,
        limit: i64,
    ) -> Result<Vec<HistoryEntry>>;
    /// Up to `limit` events from a version on, the oldest first, with payloads of at most `max_bytes` in total.
    async fn read_changes(
        &self,
        scope: &Scope,
        stream: &StreamId,
        from: i64,
        limit: i64,
        max_bytes: i64,
    ) -> Result<StoredChanges>;
    /// The last version, up to the given one, whose event has one of these types.
    async fn find_last_of(
        &self,
        scope: &Scope,
        stream: &StreamId,
        types: &[&str],
        version: i64,
    ) -> Result<Option<i64>>;
    /// The last version on each of some streams, up to a version of each, whose event has one of these types; omitted
    /// if there is none.
    async fn find_last_of_many(
        &self,
        scope: &Scope,
        streams: &[(&StreamId, i64)],
        types: &[&str],
    ) -> Result<HashMap<StreamId, i64>>;
    /// The events of streams in ranges of versions, in the order of the streams; `None` if they exceed `max_bytes` in
    /// total.
    async fn read_ranges(
        &self,
        scope: &Scope,
        ranges: &[(StreamId, i64, i64)],
        max_bytes: i64,
    ) -> Result<Option<Vec<(StreamId, StoredChange)>>>;
    /// Those of some streams whose objects ended after a position, by the events in `Stream::ENDINGS`.
    async fn find_ended(
        &self,
        scope: &Scope,
        streams: &[StreamId],
        position: i64,
    ) -> Result<HashSet<StreamId>>;
}

/// An entry of a history.
#[derive(Debug)]
pub struct HistoryEntry {
    /// The version of the object, from 1.
    pub version: i64,
    /// The position in the org's log, which is the id of the audit entry.
    pub position: i64,
    /// When it happened.
    pub recorded_at: Timestamp,
    /// The action.
    pub action: String,
    /// See [`crate::record::audit::actor_kind`].
    pub actor_kind: &'static str,
    /// The id of the actor.
    pub actor_id: UserId,
    /// The login of the actor at that time.
    pub actor_login: String,
    /// The author's message.
    pub message: String,
    /// The size of the event's payload in bytes.
    pub payload_bytes: usize,
    /// Its changes, if requested.
    pub diff: Option<Diff>,
}

/// The use cases of histories.
pub struct Histories {
    commands: Commands,
    reader: Arc<dyn HistoryReader>,
    authorization: Arc<Authorization>,
    kinds: GuardedKinds,
    folders: Arc<Folders>,
    endings: Endings,
    ids: Arc<dyn IdAllocator>,
    workers: Workers,
}

/// The ports of [`Histories`].
pub struct HistoryPorts {
    /// Reads the events of objects.
    pub reader: Arc<dyn HistoryReader>,
    /// Decides who may read and restore.
    pub authorization: Arc<Authorization>,
    /// The kinds of objects that have permissions.
    pub kinds: GuardedKinds,
    /// Finds the folders that had a uid.
    pub folders: Arc<Folders>,
    /// The slices that are notified when objects end.
    pub endings: Endings,
    /// Allocates numeric ids.
    pub ids: Arc<dyn IdAllocator>,
    /// Compares large documents.
    pub workers: Workers,
}

/// The purpose of reading a history.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// To read it.
    Look,
    /// To restore an earlier state.
    Restore,
}

/// An object whose history is requested.
struct Subject {
    scope: Scope,
    stream: StreamId,
    of: &'static HistoryOf,
    /// The first version that the actor may read.
    first: i64,
}

impl Histories {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, ports: HistoryPorts) -> Self {
        let HistoryPorts { reader, authorization, kinds, folders, endings, ids, workers } = ports;
        Self { commands, reader, authorization, kinds, folders, endings, ids, workers }
    }

    /// Lists the changes of an object, the newest first, from below a version if one is given. A page with the
    /// differences has fewer entries if the object is large.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_history(
        &self,
        scope: &Scope,
        of: &'static HistoryOf,
        key: &str,
        below: Option<i64>,
        limit: Option<i64>,
        with_changes: bool,
    ) -> Result<(Vec<HistoryEntry>, Option<i64>)> {
        let subject = self.subject(scope, of, key, Purpose::Look).await?;
        let max = if with_changes { MAX_PAGE_WITH_CHANGES } else { MAX_PAGE };
        let limit = limit.filter(|limit| *limit > 0).unwrap_or(DEFAULT_PAGE).min(max);
        let Subject { scope, stream, first, .. } = &subject;
        let mut entries = self.reader.list_entries(scope, stream, below.unwrap_or(i64::MAX), limit).await?;
        if entries.is_empty() {
            self.last(&subject).await?;
        }
        entries.retain(|entry| entry.version >= *first);
        if with_changes {
            let mut left = MAX_PAGE_BYTES;
            let fitting = entries.iter().take_while(|entry| {
                let fits = entry.payload_bytes <= left;
                left = left.saturating_sub(entry.payload_bytes);
                fits
            });
            let fitting = fitting.count().max(1);
            entries.truncate(fitting);
        }
        let next = entries.last().map(|entry| entry.version).filter(|version| version > first);
        if with_changes && let Some(newest) = entries.first().map(|entry| entry.version) {
            let mut images = self.images(&subject).up_to(newest);
            // From the oldest, so that only two images are held at a time.
            for entry in entries.iter_mut().rev() {
                let (before, after) = (entry.version - 1, entry.version);
                entry.diff = Some(images.diff(before, after, MAX_LISTED_BYTES).await?);
            }
        }
        let diffs = entries.iter().filter_map(|entry| entry.diff.as_ref());
        answer::reserve(diffs.map(Diff::bytes).sum()).await?;
        Ok((entries, next))
    }

    /// Compares an object at two versions. It is empty at version 0, and before the first version that the actor may
    /// read.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn compare(
        &self,
        scope: &Scope,
        of: &'static HistoryOf,
        key: &str,
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<Comparison> {
        let subject = self.subject(scope, of, key, Purpose::Look).await?;
        let last = self.last(&subject).await?;
        let to = to.unwrap_or(last.version);
        let from = from.unwrap_or(to - 1);
        let sides = (self.side(&subject, from).await?, self.side(&subject, to).await?);
        let diff = self.images(&subject).diff(from, to, MAX_DIFF_BYTES).await?;
        answer::reserve(diff.bytes()).await?;
        Ok(Comparison { from: sides.0, to: sides.1, diff })
    }

    /// The object of a request, for callers who may read its history or restore it. Text that is not a valid key is
    /// reported as not found.
    async fn subject(
        &self,
        scope: &Scope,
        of: &'static HistoryOf,
        key: &str,
        purpose: Purpose,
    ) -> Result<Subject> {
        let missing = || Error::missing(of.missing);
        let number = || key.parse::<i64>().map(|number| number.to_string()).map_err(|_| missing());
        let permission = match purpose {
            Purpose::Look => of.read,
            Purpose::Restore => of.write,
        };
        let mut scope = scope.clone();
        let kind = ResourceKind::of_noun(of.noun);
        if let Some(permission) = permission.filter(|_| kind.is_none()) {
            match of.key {
                KeyOf::ServerNumber => scope = scope.in_org(OrgId::SERVER, permission)?,
                KeyOf::NumberOfContent => scope.require_administers_content(permission)?,
                _ => scope.require(permission)?,
            }
        }
        let key = match of.key {
            KeyOf::Uid => {
                let uid = Uid::try_new(key).map_err(|_| missing())?;
                if let Some(kind) = kind {
                    self.require_edit(&scope, of, kind, &uid).await?;
                }
                uid.to_string()
            }
            KeyOf::Number | KeyOf::NumberOfContent | KeyOf::ServerNumber => number()?,
            KeyOf::Caller(key) => key(&scope),
        };
        let stream = StreamId::from_stored(format!("{}-{key}", of.noun));
        let first = self.first(&scope, of, &stream).await?;
        Ok(Subject { scope, stream, of, first })
    }

    /// The entry of a version that is compared; `None` before the first version.
    async fn side(&self, subject: &Subject, version: i64) -> Result<Option<HistoryEntry>> {
        let is_before = version == 0 || version == subject.first - 1;
        if is_before { Ok(None) } else { self.entry(subject, version).await.map(Some) }
    }

    fn images<'s>(&'s self, subject: &'s Subject) -> Images<'s> {
        Images::new(&*self.reader, &self.workers, &subject.scope, &subject.stream, subject.of.noun)
            .since(subject.first)
    }

    async fn last(&self, subject: &Subject) -> Result<HistoryEntry> {
        let entries = self.reader.list_entries(&subject.scope, &subject.stream, i64::MAX, 1).await?;
        entries.into_iter().next().ok_or_else(|| Error::missing(subject.of.missing))
    }

    async fn entry(&self, subject: &Subject, version: i64) -> Result<HistoryEntry> {
        let missing = || Error::missing(format!("version {version} not found"));
        let below = version.checked_add(1).filter(|_| version >= subject.first).ok_or_else(missing)?;
        let entries = self.reader.list_entries(&subject.scope, &subject.stream, below, 1).await?;
        entries.into_iter().next().filter(|entry| entry.version == version).ok_or_else(missing)
    }
}

/// An object at two versions.
#[derive(Debug)]
pub struct Comparison {
    /// The version it is compared with; `None` before the first version.
    pub from: Option<HistoryEntry>,
    /// The version that is compared; `None` before the first version.
    pub to: Option<HistoryEntry>,
    /// The differences.
    pub diff: Diff,
}
