//! Undoing all changes of one request as one unit of work, and previewing the effects.
//!
//! The events of a request are those with its correlation id and its actor. Each object is restored, or ended, by
//! commands, in reverse order of the log, so that a folder exists before its contents.
//! [`kymograph_domain::kernel::undo`] defines the effect of undoing each type of event.

mod decide;
mod list;
mod past;
mod place;
mod step;

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kymograph_domain::kernel::undo::Undoing;
use kymograph_domain::registry::{reverted_types, undoing};
use kymograph_domain::{OrgId, StreamId, Timestamp, UserId};
use tokio::sync::OnceCell;

use crate::content::folder::FolderReader;
use crate::kernel::answer;
use crate::kernel::ending::Endings;
use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::id_allocator::IdAllocator;
use crate::kernel::work::Admitted;
use crate::record::history::{HistoryReader, Room};
use crate::rights::resource_permission::{Grantees, GuardedKinds};
use crate::{Commands, Permission, Scope, Workers};
use decide::Deciding;

pub use step::{Fate, UndoPlan, UndoStep};

/// The maximum number of events of an undo.
pub(crate) const MAX_UNDONE_EVENTS: i64 = 5000;
/// The maximum total size of the events that are read for an undo, in bytes: they are held until it is decided, and
/// written once more.
pub(crate) const MAX_UNDO_BYTES: usize = 16 * 1024 * 1024;
/// The maximum number of objects that the response lists.
pub(crate) const MAX_LISTED_STEPS: usize = 200;
/// The maximum number of later changes of an object that the response lists.
pub const MAX_LATER_OF_OBJECT: i64 = 10;
/// The maximum number of later changes that the response lists in total.
pub const MAX_LATER: i64 = 200;

/// An event of the request to undo.
#[derive(Clone, Debug)]
pub struct DoneEvent {
    /// The position in the log.
    pub position: i64,
    /// The stream of the object.
    pub stream: StreamId,
    /// The version of the object, from 1.
    pub version: i64,
    /// The stored name of the event type.
    pub stored_type: String,
}

/// The events of one request, as far as they were read.
#[derive(Clone, Debug)]
pub struct DoneRequest {
    /// The correlation id.
    pub correlation_id: String,
    /// The id of the actor.
    pub actor_id: UserId,
    /// The events in the order of the log, at most one more than requested.
    pub events: Vec<DoneEvent>,
}

/// A change of an object that came after the undone ones, and is undone with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaterChange {
    /// The position in the log.
    pub position: i64,
    /// The type of the event.
    pub action: String,
    /// When it happened.
    pub recorded_at: Timestamp,
    /// The id of the actor.
    pub actor_id: UserId,
    /// The login of the actor at that time.
    pub actor_login: String,
}

/// The later changes of an object.
#[derive(Clone, Debug, Default)]
pub struct LaterChanges {
    /// Their number.
    pub count: i64,
    /// The newest of the later changes.
    pub newest: Vec<LaterChange>,
}

/// A range of positions of the log, both inclusive. Events of a request outside of it are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first position.
    pub from: i64,
    /// The last position.
    pub to: i64,
}

impl Default for Window {
    fn default() -> Self {
        Self { from: 0, to: i64::MAX }
    }
}

/// Reads the data that an undo depends on.
#[async_trait]
pub trait UndoReader: Send + Sync {
    /// The events, in a range of the log, of the request that the event at a position belongs to: up to `limit`, and
    /// one more if there are more.
    async fn find_request(
        &self,
        scope: &Scope,
        position: i64,
        window: Window,
        limit: i64,
    ) -> Result<Option<DoneRequest>>;
    /// The changes of these types on objects after a version of each, without the events of the request.
    async fn list_later(
        &self,
        scope: &Scope,
        request: &DoneRequest,
        objects: &[(StreamId, i64)],
        types: &[&str],
    ) -> Result<HashMap<StreamId, LaterChanges>>;
}

/// The ports of [`Undos`].
pub struct UndoPorts {
    /// Reads the events of requests.
    pub reader: Arc<dyn UndoReader>,
    /// Reads the history of objects.
    pub histories: Arc<dyn HistoryReader>,
    /// Reads the contents of folders.
    pub folders: Arc<dyn FolderReader>,
    /// The kinds of objects that have permissions.
    pub kinds: GuardedKinds,
    /// Decides who can be a grantee.
    pub grantees: Arc<dyn Grantees>,
    /// The slices that are notified when objects end.
    pub endings: Endings,
    /// Allocates numeric ids.
    pub ids: Arc<dyn IdAllocator>,
    /// Runs work on large documents.
    pub workers: Workers,
}

/// The use cases of undoing.
pub struct Undos {
    commands: Commands,
    ports: UndoPorts,
}

/// An object that a request changed.
struct Object {
    stream: StreamId,
    noun: String,
    key: String,
    /// The events to undo, the oldest first.
    events: Vec<DoneEvent>,
    /// Its past, once it was read. It stays the same when a command is decided again.
    past: OnceCell<Arc<dyn Any + Send + Sync>>,
}

impl Object {
    fn first(&self) -> i64 {
        self.events.first().map_or(0, |event| event.version)
    }

    fn last(&self) -> i64 {
        self.events.last().map_or(0, |event| event.version)
    }

    fn position(&self) -> i64 {
        self.events.last().map_or(0, |event| event.position)
    }

    fn undoings(&self) -> impl Iterator<Item = Undoing> {
        self.events.iter().map(|event| undoing(&event.stored_type))
    }
}

/// The request to undo, with its objects.
struct Task {
    request: DoneRequest,
    /// The objects in the order in which they are undone.
    objects: Vec<Object>,
    /// The remaining budget for reconstructing objects.
    room: Mutex<Room>,
    /// Held while past states of objects are in memory.
    admitted: Admitted,
}

impl Task {
    fn room(&self) -> Room {
        *self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, room: Room) {
        *self.room.lock().unwrap_or_else(PoisonError::into_inner) = room;
    }
}

impl Undos {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, ports: UndoPorts) -> Self {
        Self { commands, ports }
    }

    /// Previews the undo of the request of a log entry, with the later changes that would be undone with it.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn preview(&self, scope: &Scope, entry: i64, window: Window) -> Result<UndoPlan> {
        require(scope)?;
        let task = &self.task(scope, entry, window).await?;
        answer::give_back();
        let mut plan = self
            .commands
            .rehearse(scope, |unit| async move {
                let mut deciding = Deciding::new(self, task, scope, unit, true);
                deciding.undo_all().await?;
                deciding.end()
            })
            .await?;
        self.add_later(scope, task, &mut plan).await?;
        Ok(plan)
    }

    /// Undoes the request of a log entry. `seen` is the value from the preview; fails if anything has changed since.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn undo(
        &self,
        scope: &Scope,
        entry: i64,
        window: Window,
        seen: Option<&str>,
    ) -> Result<UndoPlan> {
        require(scope)?;
        let task = &self.task(scope, entry, window).await?;
        self.commands
            .run(scope, |unit| async move {
                let mut deciding = Deciding::new(self, task, scope, unit, false);
                deciding.undo_all().await?;
                let decided = deciding.end()?;
                let plan = &decided.outcome;
                if seen.is_some_and(|seen| seen != plan.seen) {
                    let message = "it has changed since the preview: look at a new one";
                    return Err(Error::new(ErrorKind::Stale, message));
                }
                match plan.impossible() {
                    Some(reason) => Err(Error::invalid(format!("this cannot be undone: {reason}"))),
                    None => Ok(decided),
                }
            })
            .await
    }

    async fn task(&self, scope: &Scope, entry: i64, window: Window) -> Result<Task> {
        let request = self.ports.reader.find_request(scope, entry, window, MAX_UNDONE_EVENTS).await?;
        let request = request.ok_or_else(|| Error::missing("audit event not found"))?;
        if i64::try_from(request.events.len()).is_ok_and(|count| count > MAX_UNDONE_EVENTS) {
            return Err(Error::too_large(format!(
                "the request caused more than {MAX_UNDONE_EVENTS} events, the limit of one undo: \
                    undo it in parts by `from` and `to`, the last part first"
            )));
        }
        let mut by_stream: HashMap<&StreamId, Vec<DoneEvent>> = HashMap::new();
        for event in &request.events {
            by_stream.entry(&event.stream).or_default().push(event.clone());
        }
        let object = |(stream, events): (&StreamId, Vec<DoneEvent>)| {
            let (noun, key) = stream.as_str().split_once('-').unwrap_or((stream.as_str(), ""));
            let (noun, key) = (noun.to_owned(), key.to_owned());
            Object { stream: stream.clone(), noun, key, events, past: OnceCell::new() }
        };
        let mut objects: Vec<_> = by_stream.into_iter().map(object).collect();
        objects.sort_by_key(|object| std::cmp::Reverse(object.position()));
        let (room, admitted) = (Mutex::new(Room::new(MAX_UNDO_BYTES, 0)), Admitted::default());
        Ok(Task { request, objects, room, admitted })
    }

    /// Adds to the listed steps the later changes that would be undone with them.
    async fn add_later(&self, scope: &Scope, task: &Task, plan: &mut UndoPlan) -> Result<()> {
        let takers = plan.steps.iter().filter(|step| step.takes_later);
        let with_later: HashSet<_> = takers.map(UndoStep::stream).collect();
        let objects = task.objects.iter().filter(|object| with_later.contains(&object.stream));
        let objects: Vec<_> = objects.map(|object| (object.stream.clone(), object.first())).collect();
        if objects.is_empty() {
            return Ok(());
        }
        let types: Vec<_> = reverted_types().collect();
        let mut later = self.ports.reader.list_later(scope, &task.request, &objects, &types).await?;
        for step in &mut plan.steps {
            if let Some(changes) = later.remove(&step.stream()) {
                step.later = changes;
            }
        }
        Ok(())
    }
}

/// Readers of the log may undo its entries, if they have the permission for each of the changes.
fn require(scope: &Scope) -> Result<()> {
    let is_server = scope.org() == OrgId::SERVER;
    scope.require(if is_server { Permission::SERVER_AUDIT_READ } else { Permission::AUDIT_READ })
}
