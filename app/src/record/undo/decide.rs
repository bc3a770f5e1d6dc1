//! Deciding the effect on each object.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;

use cqrs_es::Aggregate;
use kymograph_domain::content::folder::Birth;
use kymograph_domain::kernel::past::{AnyPast, NOTHING, Past};
use kymograph_domain::kernel::undo::Undoing;
use kymograph_domain::registry;
use kymograph_domain::rights::resource_permission::{Grantee, Resource, ResourceKind, ResourcePermission};
use kymograph_domain::{Stream, StreamId, Uid};
use sha2::{Digest, Sha256};

use super::list::Reborn;
use super::place::without_moves;
use super::{Fate, MAX_UNDONE_EVENTS, Object, Task, UndoPlan, UndoStep, Undos};
use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::id_allocator::IdKind;
use crate::kernel::noun::Noun;
use crate::kernel::random::hex;
use crate::kernel::unit::{Decided, Entity};
use crate::record::history::{Place, place_of, resource_of};
use crate::registry::{NounVisitor, visit};
use crate::{Scope, Unit};

/// The number of bytes of the digest of the objects' states.
const SEEN_BYTES: usize = 16;

/// A decision on all objects of a task.
pub(super) struct Deciding<'a, 's> {
    pub(super) undos: &'a Undos,
    pub(super) task: &'a Task,
    pub(super) scope: &'s Scope,
    pub(super) unit: Unit<'s>,
    /// Whether this is only a preview.
    pub(super) is_rehearsal: bool,
    pub(super) plan: UndoPlan,
    /// The current numeric ids of folders and dashboards, by kind and uid; `None` for deleted ones.
    pub(super) resources: HashMap<(ResourceKind, Uid), Option<i64>>,
    /// Folders and dashboards that were restored under a new numeric id.
    pub(super) reborn: Vec<Reborn>,
    /// The objects that were restored.
    pub(super) returned: HashSet<StreamId>,
    /// The creations with the uids of folders, the newest first.
    pub(super) births: HashMap<Uid, Vec<Birth>>,
    /// The versions at which objects began: the existing ones, or those that the request changed.
    pub(super) began: HashMap<StreamId, i64>,
    /// Grantees that were looked up, with true for those that exist.
    pub(super) grantees: HashMap<Grantee, bool>,
    /// Grantees whose ends were looked up, with true for those that ended since the request.
    pub(super) ended: HashMap<StreamId, bool>,
    /// Folders that were restored under a new numeric id.
    pub(super) folders_back: HashMap<Uid, Birth>,
    seen: Sha256,
}

/// The fate of an object, and the commands for it.
enum Decision<C> {
    Tell(Fate, Vec<C>),
    Keep(Fate, String),
}

impl<C> Decision<C> {
    fn unchanged(detail: &str) -> Self {
        Self::Keep(Fate::Unchanged, detail.to_owned())
    }

    fn impossible(detail: impl Into<String>) -> Self {
        Self::Keep(Fate::Impossible, detail.into())
    }
}

impl<'a, 's> Deciding<'a, 's> {
    pub(super) fn new(
        undos: &'a Undos,
        task: &'a Task,
        scope: &'s Scope,
        unit: Unit<'s>,
        is_rehearsal: bool,
    ) -> Self {
        let plan = UndoPlan::of(&task.request.correlation_id);
        let (resources, reborn, returned) = (HashMap::new(), Vec::new(), HashSet::new());
        Self {
            undos,
            task,
            scope,
            unit,
            is_rehearsal,
            plan,
            resources,
            reborn,
            returned,
            births: HashMap::new(),
            began: HashMap::new(),
            grantees: HashMap::new(),
            ended: HashMap::new(),
            folders_back: HashMap::new(),
            seen: Sha256::new(),
        }
    }

    /// Decides on all objects: access-control lists come last, because they refer to folders and members.
    pub(super) async fn undo_all(&mut self) -> Result<()> {
        let task = self.task;
        let is_list = |object: &&Object| object.noun == ResourcePermission::TYPE;
        let others: Vec<_> = task.objects.iter().filter(|object| !is_list(object)).collect();
        for run in others.chunk_by(|one, other| one.noun == other.noun) {
            let Some(noun) = run.first().map(|object| object.noun.clone()) else { continue };
            let decided = visit(&noun, UndoRun { deciding: &mut *self, objects: run });
            decided.ok_or_else(|| Error::internal(format!("{noun} is not an aggregate type")))?.await?;
        }
        let lists: Vec<_> = task.objects.iter().filter(is_list).collect();
        self.undo_lists(&lists).await
    }

    /// Fails if the undo would write too many events.
    pub(super) fn must_fit(&self) -> Result<()> {
        let events: usize = self.unit.appends.iter().map(|append| append.events.len()).sum();
        if i64::try_from(events).is_ok_and(|events| events > MAX_UNDONE_EVENTS) {
            return Err(Error::too_large(format!(
                "the undo would write more than {MAX_UNDONE_EVENTS} events: restore objects by their history, and dashboards from the trash"
            )));
        }
        Ok(())
    }

    /// Ends the decision.
    pub(super) fn end(mut self) -> Result<Decided<'s, UndoPlan>> {
        self.must_fit()?;
        let seen = self.seen.finalize();
        self.plan.seen = hex(&seen[..SEEN_BYTES]);
        Ok(self.unit.decided(self.plan))
    }

    /// Adds the state that the decision depends on to the digest.
    pub(super) fn note<A: Stream>(&mut self, stream: &StreamId, entity: &Entity<A>) {
        self.seen.update(format!("{stream}:{};", entity.version()));
    }

    /// Adds the effect on an object. A refusal fails the undo, but a preview only reports it.
    pub(super) fn push(&mut self, step: UndoStep, refusal: Option<Error>) -> Result<()> {
        if let Some(error) = refusal {
            if !self.is_rehearsal {
                return Err(error.about(&step.what()));
            }
            let detail = error.message().to_owned();
            self.plan.push(UndoStep { fate: Fate::Refused, detail, takes_later: false, ..step });
            return Ok(());
        }
        self.plan.push(step);
        Ok(())
    }

    async fn undo<A: Noun>(&mut self, object: &Object, mut entity: Entity<A>) -> Result<()> {
        self.note(&object.stream, &entity);
        let takes_later =
            object.undoings().any(|undoing| matches!(undoing, Undoing::Reverted | Undoing::Ended));
        let mut step = UndoStep {
            noun: object.noun.clone(),
            key: object.key.clone(),
            name: self.name_of(object, &*entity).await?,
            fate: Fate::Unchanged,
            detail: String::new(),
            takes_later: false,
            later: super::LaterChanges::default(),
        };
        if self.unit.has(self.scope, &object.stream) {
            return self.push(step, None);
        }
        let was_there = Stream::exists(&*entity);
        let had = self.had(object, &entity, was_there).await?;
        let decision = match self.decide(object, &entity, was_there).await {
            Ok(decision) => decision,
            Err(error) => return refused(error).and_then(|error| self.push(step, Some(error))),
        };
        let (fate, mut commands) = match decision {
            Decision::Tell(fate, commands) => (fate, commands),
            Decision::Keep(fate, detail) => {
                return self.push(UndoStep { fate, detail, ..step }, None);
            }
        };
        let before = entity.version();
        let left = self.without_ended(&entity, &mut commands).await?;
        if left > 0 {
            step.detail = format!("{left} of its members are omitted, because they have left the org");
        }
        if let Err(error) = self.tell(object, &mut entity, was_there, commands).await {
            return refused(error).and_then(|error| self.push(step, Some(error)));
        }
        if entity.version() > before {
            step = UndoStep { fate, takes_later, ..step };
            if let Some(parts) = A::NOT_RESTORED.filter(|_| [Fate::Restored, Fate::Reverted].contains(&fate))
            {
                step.detail = parts.to_owned();
            }
            self.remember(object, &entity, had, was_there);
            self.unit.record(entity)?;
        }
        self.push(step, None)
    }

    /// Decides the effect on an object.
    async fn decide<A: Noun>(
        &mut self,
        object: &Object,
        entity: &Entity<A>,
        was_there: bool,
    ) -> Result<Decision<A::Command>> {
        let undoings: Vec<_> = object.undoings().collect();
        let reason = undoings.iter().find_map(|undoing| match undoing {
            Undoing::Impossible(reason) => Some(*reason),
            _ => None,
        });
        if let Some(reason) = reason
            && undoings.iter().all(|undoing| matches!(undoing, Undoing::Impossible(_)))
        {
            return Ok(Decision::impossible(reason));
        }
        A::require_undo(self.scope, &object.key, was_there)?;
        let is_deletion = object.events.last().is_some_and(|event| event.stored_type.ends_with(".deleted"));
        if was_there && self.is_another::<A>(object, entity).await? {
            if is_deletion {
                return Ok(Decision::unchanged("there is one with its uid again"));
            }
            let noun = &object.noun;
            return Err(Error::new(ErrorKind::Taken, format!("another {noun} uses its uid")));
        }
        if was_there && self.has_come_back::<A>(object).await? {
            return Ok(Decision::unchanged("who had it has left since, and has what it was given then"));
        }
        if let Some(Undoing::Ended) = undoings.first() {
            return self.end_object(entity).await;
        }
        if undoings.iter().all(|undoing| !matches!(undoing, Undoing::Reverted)) {
            return self.revoke(object, entity).await;
        }
        let new_id = self.new_id(&object.noun, was_there).await?;
        let is_last = object.first() == object.last() && entity.version() == object.last();
        if is_deletion
            && is_last
            && let Some(commands) = entity.undeletion(new_id)
        {
            return Ok(Decision::Tell(Fate::Restored, commands));
        }
        let past = self.past::<A>(object).await?;
        if past.events.is_empty() && !past.state.exists()
            || !past.events.is_empty() && past.image().map_err(Error::internal)? == NOTHING
        {
            return match reason {
                Some(reason) => Ok(Decision::impossible(reason)),
                None => self.end_object(entity).await,
            };
        }
        if !was_there && let Some(reason) = A::end_is_final(&self.unit, &object.key).await? {
            return Ok(Decision::impossible(reason));
        }
        let fate = if was_there { Fate::Reverted } else { Fate::Restored };
        let commands = self.commands_back_to(object, entity, &past, was_there, new_id).await?;
        match (commands, reason) {
            (Some(commands), _) => Ok(Decision::Tell(fate, commands)),
            (None, Some(reason)) => Ok(Decision::impossible(reason)),
            (None, None) => Ok(Decision::impossible("it was deleted since and does not come back")),
        }
    }

    /// The commands that restore the state of an object before the request.
    async fn commands_back_to<A: Stream>(
        &self,
        object: &Object,
        entity: &Entity<A>,
        past: &Past<A>,
        was_there: bool,
        new_id: i64,
    ) -> Result<Option<Vec<A::Command>>> {
        let owned;
        let events = if past.events.is_empty() {
            // The events of an object that existed all the time contain its id only in the first one.
            owned = self.read::<A>(object, object.last()).await?;
            &owned.events
        } else {
            &past.events
        };
        let goes_back = !was_there || self.goes_back(object, &**entity, &past.state).await?;
        Ok(if goes_back {
            entity.reversal(&past.state, events, new_id)
        } else {
            entity.restoration(&past.state, events, new_id).map(without_moves::<A>)
        })
    }

    /// Ends an object that the request created. A folder must be empty.
    async fn end_object<A: Stream>(&self, entity: &Entity<A>) -> Result<Decision<A::Command>> {
        let Some(command) = entity.ending() else {
            return Ok(Decision::unchanged("it does not exist any more"));
        };
        if let Some(Resource { kind: ResourceKind::Folder, uid, .. }) = resource_of(&**entity) {
            let contents = self.undos.ports.folders.list_descendants(self.scope, &uid).await?;
            let is_left = |kind, uid: &Uid| self.resources.get(&(kind, uid.clone())) != Some(&None);
            let is_left_of = |kind, uids: &[Uid]| uids.iter().any(|uid| is_left(kind, uid));
            if is_left_of(ResourceKind::Folder, &contents.folders)
                || is_left_of(ResourceKind::Dashboard, &contents.dashboards)
            {
                return Err(Error::invalid("it is not empty: move or delete its contents first"));
            }
        }
        Ok(Decision::Tell(Fate::Ended, vec![command]))
    }

    /// Revokes the grants of the request.
    async fn revoke<A: Stream>(&self, object: &Object, entity: &Entity<A>) -> Result<Decision<A::Command>> {
        let (mut commands, mut versions) = (Vec::new(), HashSet::new());
        for event in &object.events {
            versions.insert(event.version);
        }
        let read = self.read::<A>(object, object.last()).await?;
        for (event, version) in read.events.iter().zip(1..) {
            if versions.contains(&version) {
                commands.extend(entity.revocation(event));
            }
        }
        if commands.is_empty() {
            return Ok(Decision::unchanged("the grant does not exist any more"));
        }
        Ok(Decision::Tell(Fate::Revoked, commands))
    }

    /// The numeric id of an object that has to be created anew.
    async fn new_id(&self, noun: &str, was_there: bool) -> Result<i64> {
        let is_numbered = registry::beginnings(noun).is_empty();
        if was_there || is_numbered || self.is_rehearsal {
            return Ok(0);
        }
        self.undos.ports.ids.next_id(self.scope.org(), IdKind::Object).await
    }

    /// Executes the commands on an object, and the effects that follow from them.
    async fn tell<A: Noun>(
        &mut self,
        object: &Object,
        entity: &mut Entity<A>,
        was_there: bool,
        commands: Vec<A::Command>,
    ) -> Result<()> {
        let referred = entity.references();
        let left = place_of(&**entity).filter(|_| was_there);
        for command in commands {
            entity.tell(command).await?;
        }
        self.check_place(object, left, &**entity).await?;
        self.check_references(&referred, &**entity).await?;
        entity.follow_return(&mut self.unit, self.scope, &self.undos.ports.endings).await
    }

    /// Records the new state of an object, for the decisions on later objects.
    fn remember<A: Stream>(
        &mut self,
        object: &Object,
        entity: &Entity<A>,
        had: Option<Resource>,
        was_there: bool,
    ) {
        let exists = Stream::exists(&**entity);
        if let Some(now) = resource_of(&**entity) {
            self.resources.insert((now.kind, now.uid.clone()), exists.then_some(now.id));
            if let Some(had) = had.filter(|had| exists && had.id != now.id) {
                let is_root = place_of(&**entity) == Some(Place(None));
                let (stream, version) = (object.stream.clone(), object.first());
                self.remember_reborn(Reborn { had, now, stream, version, is_root });
            }
        }
        if exists && !was_there {
            self.returned.insert(object.stream.clone());
        }
    }

    /// Whether the next object will be listed in the response.
    fn names_more(&self) -> bool {
        self.plan.steps.len() < super::MAX_LISTED_STEPS
    }

    /// The name of an object, if it will be listed.
    async fn name_of<A: Noun>(&self, object: &Object, state: &A) -> Result<String> {
        if self.names_more() { state.name_in(&self.unit, &object.key).await } else { Ok(String::new()) }
    }
}

/// Returns an error that concerns only the object, for its step. Errors of the server or the session fail the request.
fn refused(error: Error) -> Result<Error> {
    use ErrorKind as K;
    match error.kind() {
        K::Internal | K::Unavailable | K::Overloaded | K::Unauthenticated => Err(error),
        _ => Ok(error),
    }
}

/// Consecutive objects of one noun.
struct UndoRun<'d, 'o, 'a, 's> {
    deciding: &'d mut Deciding<'a, 's>,
    objects: &'o [&'o Object],
}

impl<'d, 'o: 'd, 'a: 'd, 's: 'd> NounVisitor for UndoRun<'d, 'o, 'a, 's> {
    type Output = Pin<Box<dyn Future<Output = Result<()>> + Send + 'd>>;

    fn visit<A: Noun>(self) -> Self::Output {
        let Self { deciding, objects } = self;
        Box::pin(async move {
            let streams: Vec<_> = objects.iter().map(|object| object.stream.clone()).collect();
            let entities = deciding.unit.load_streams::<A>(&streams).await?;
            deciding.read_ahead::<A>(objects, &entities).await?;
            for (object, entity) in objects.iter().zip(entities) {
                deciding.undo(object, entity).await?;
            }
            Ok(())
        })
    }
}
