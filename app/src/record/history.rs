//! The history of anything: what was done to an object, what that changed, and undoing it.
//!
//! Every aggregate has it by being one: its events are its history, what they fold to is what it was. A noun says in
//! [`kymograph_domain::Stream`] how it is shown and which commands bring it back.

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

/// How many entries a page has if the client does not say.
pub const DEFAULT_PAGE: i64 = 50;
/// How many entries a page has at most.
pub(crate) const MAX_PAGE: i64 = 200;
/// How many at most if each comes with what it changed.
const MAX_PAGE_WITH_CHANGES: i64 = 50;
/// How long the list of changes of an entry of a list may be, in bytes, before values are left out.
pub(crate) const MAX_LISTED_BYTES: usize = 128 * 1024;
/// The same of an entry that is asked for alone, or of two versions that are compared.
pub(crate) const MAX_DIFF_BYTES: usize = 4 * 1024 * 1024;
/// How many bytes of events the entries of a page have together if each comes with what it changed.
pub(crate) const MAX_PAGE_BYTES: usize = 16 * 1024 * 1024;
/// The most bytes of images that are compared for one request.
pub(crate) const MAX_COMPARED_BYTES: usize = 40 * 1024 * 1024;
/// How many bytes of events are read to find out what an object was like.
pub(crate) const MAX_READ_BYTES: usize = 64 * 1024 * 1024;

/// An event of an object, as it is stored.
#[derive(Clone, Debug)]
pub struct StoredChange {
    /// The version of the object, from 1.
    pub version: i64,
    /// The stored name of its type.
    pub stored_type: String,
    /// The version of its shape.
    pub schema_version: i32,
    /// The payload.
    pub payload: String,
}

/// Events of an object that were read together.
#[derive(Debug, Default)]
pub struct StoredChanges {
    /// The events.
    pub list: Vec<StoredChange>,
    /// Whether the next one would have been too long.
    pub is_cut: bool,
}

/// Reads the events of objects.
#[async_trait]
pub trait HistoryReader: Send + Sync {
    /// So many entries below a version, the newest first, without what they changed.
    async fn list_entries(
        &self,
        scope: &Scope,
        stream: &StreamId,
        below: i64,
        limit: i64,
    ) -> Result<Vec<HistoryEntry>>;
    /// So many events from a version on, the oldest first, as far as their payloads have so many bytes together.
    async fn read_changes(
        &self,
        scope: &Scope,
        stream: &StreamId,
        from: i64,
        limit: i64,
        max_bytes: i64,
    ) -> Result<StoredChanges>;
    /// The last version, up to one, whose event is of one of these types.
    async fn find_last_of(
        &self,
        scope: &Scope,
        stream: &StreamId,
        types: &[&str],
        version: i64,
    ) -> Result<Option<i64>>;
    /// The last version of each of these types on streams, up to a version of each, as far as there is one.
    async fn find_last_of_many(
        &self,
        scope: &Scope,
        streams: &[(&StreamId, i64)],
        types: &[&str],
    ) -> Result<HashMap<StreamId, i64>>;
    /// The events of streams from one version to another, in the order of the streams; `None` if they have more bytes
    /// together.
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
    /// What was done.
    pub action: String,
    /// As [`crate::record::audit::actor_kind`] says.
    pub actor_kind: &'static str,
    /// Who did it.
    pub actor_id: UserId,
    /// The login of who did it, at that time.
    pub actor_login: String,
    /// The author's message.
    pub message: String,
    /// How many bytes the payload of the event has.
    pub payload_bytes: usize,
    /// What it changed, if that was asked for.
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
    /// Decides who may look and bring back.
    pub authorization: Arc<Authorization>,
    /// The kinds of objects that have permissions.
    pub kinds: GuardedKinds,
    /// Knows which folders had a uid.
    pub folders: Arc<Folders>,
    /// The slices that are told of what ends.
    pub endings: Endings,
    /// Draws numeric ids.
    pub ids: Arc<dyn IdAllocator>,
    /// Compares large documents.
    pub workers: Workers,
}

/// The purpose of reading a history.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// To look at it.
    Look,
    /// To bring an earlier state back.
    Restore,
}

/// An object whose history is asked for.
struct Subject {
    scope: Scope,
    stream: StreamId,
    of: &'static HistoryOf,
    /// The first version that the actor may look at.
    first: i64,
}

impl Histories {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, ports: HistoryPorts) -> Self {
        let HistoryPorts { reader, authorization, kinds, folders, endings, ids, workers } = ports;
        Self { commands, reader, authorization, kinds, folders, endings, ids, workers }
    }

    /// Lists what was done to an object, the newest first, from below a version if one is given. A page with what entries
    /// changed has fewer of them if the object is large.
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
            // From the oldest on, so that only two images are held at a time.
            for entry in entries.iter_mut().rev() {
                let (before, after) = (entry.version - 1, entry.version);
                entry.diff = Some(images.diff(before, after, MAX_LISTED_BYTES).await?);
            }
        }
        let diffs = entries.iter().filter_map(|entry| entry.diff.as_ref());
        answer::reserve(diffs.map(Diff::bytes).sum()).await?;
        Ok((entries, next))
    }

    /// Compares an object at two versions. At 0, and before the first that the actor may look at, there is nothing.
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

    /// The object that a request means, for who may look at its history or bring it back. Text that cannot name an object
    /// names none.
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

    /// The entry of a version that is compared; none for what was before the first.
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
    /// The version it is compared with; `None` for before the first.
    pub from: Option<HistoryEntry>,
    /// The version that is compared.
    pub to: Option<HistoryEntry>,
    /// The differences.
    pub diff: Diff,
}
