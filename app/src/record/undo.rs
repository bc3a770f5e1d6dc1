//! Undoing all that one request did, as one unit of work, and saying before what that will be.
//!
//! A request's events are those with its correlation id and its actor. Each object is brought back, or ended, by the
//! commands that lead there, in the opposite order of the log, so that a folder is there before what was in it. What undoing
//! comes to for each type of event is in [`kymograph_domain::kernel::undo`].

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

/// How many events are undone at once.
pub(crate) const MAX_UNDONE_EVENTS: i64 = 5000;
/// How many bytes of events are read to undo a request: they are kept until it is decided, and written once more.
pub(crate) const MAX_UNDO_BYTES: usize = 16 * 1024 * 1024;
/// How many objects the answer names.
pub(crate) const MAX_LISTED_STEPS: usize = 200;
/// How many later changes of an object the answer names.
pub const MAX_LATER_OF_OBJECT: i64 = 10;
/// How many later changes the answer names in all.
pub const MAX_LATER: i64 = 200;

/// An event of the request that is to be undone.
#[derive(Clone, Debug)]
pub struct DoneEvent {
    /// The position in the log.
    pub position: i64,
    /// The stream of the object.
    pub stream: StreamId,
    /// The version of the object, from 1.
    pub version: i64,
    /// The stored name of its type.
    pub stored_type: String,
}

/// The events of one request, as far as they are known.
#[derive(Clone, Debug)]
pub struct DoneRequest {
    /// The correlation id.
    pub correlation_id: String,
    /// Who did it.
    pub actor_id: UserId,
    /// The events in the order of the log, one more than asked for at most.
    pub events: Vec<DoneEvent>,
}

/// A change of an object that came after what is undone, and goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaterChange {
    /// The position in the log.
    pub position: i64,
    /// The type of the event.
    pub action: String,
    /// When.
    pub recorded_at: Timestamp,
    /// Who did it.
    pub actor_id: UserId,
    /// The login of who did it, at that time.
    pub actor_login: String,
}

/// The later changes of an object.
#[derive(Clone, Debug, Default)]
pub struct LaterChanges {
    /// How many there are.
    pub count: i64,
    /// The newest of the later changes.
    pub newest: Vec<LaterChange>,
}

/// A part of the log: the positions from one to another, both included. What an undertaking did outside of it stays.
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

/// Reads what has to be known before something is undone.
#[async_trait]
pub trait UndoReader: Send + Sync {
    /// The events in a part of the log of the request that the event at a position belongs to: so many, and one more if there
    /// are more.
    async fn find_request(
        &self,
        scope: &Scope,
        position: i64,
        window: Window,
        limit: i64,
    ) -> Result<Option<DoneRequest>>;
    /// The changes of these types that objects have seen after a version of theirs, without the events of the request.
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
    /// Reads what requests did.
    pub reader: Arc<dyn UndoReader>,
    /// Reads what objects were.
    pub histories: Arc<dyn HistoryReader>,
    /// Reads what is in a folder.
    pub folders: Arc<dyn FolderReader>,
    /// The kinds of objects that have permissions.
    pub kinds: GuardedKinds,
    /// Knows who can be granted something.
    pub grantees: Arc<dyn Grantees>,
    /// The slices that are told of what ends.
    pub endings: Endings,
    /// Draws numeric ids.
    pub ids: Arc<dyn IdAllocator>,
    /// Does what takes long with large documents.
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
    /// Its past, once that was read. It does not change, however often a command is decided.
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
    /// The work that may still be done to find out what objects were.
    room: Mutex<Room>,
    /// Held while what objects were is in memory.
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

    /// Says what undoing the request of an entry of the log would do, and which later changes would go with it.
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

    /// Undoes the request of an entry of the log. `seen` is what the preview said to send; if anything has changed since,
    /// nothing is done.
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

    /// Adds the changes that would go too to the steps that are named.
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

/// Readers of the log may undo its entries, as far as they may do each thing that this takes.
fn require(scope: &Scope) -> Result<()> {
    let is_server = scope.org() == OrgId::SERVER;
    scope.require(if is_server { Permission::SERVER_AUDIT_READ } else { Permission::AUDIT_READ })
}
