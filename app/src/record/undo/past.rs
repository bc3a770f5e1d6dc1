//! The past of objects before the request, and the identity of the objects that have their uids now.

use std::any::Any;
use std::sync::Arc;

use kymograph_domain::Stream;
use kymograph_domain::kernel::past::Past;
use kymograph_domain::kernel::undo::Undoing;
use kymograph_domain::rights::resource_permission::{Resource, ResourceKind};

use super::decide::Deciding;
use super::{DoneEvent, Object};
use crate::kernel::answer;
use crate::kernel::error::{Error, Result};
use crate::kernel::noun::Noun;
use crate::kernel::unit::Entity;
use crate::record::history::{Pasts, past, resource_of};

impl Deciding<'_, '_> {
    /// Reads with few statements the data, in addition to their states, that decisions on objects of one type need.
    pub(super) async fn read_ahead<A: Stream>(
        &mut self,
        objects: &[&Object],
        entities: &[Entity<A>],
    ) -> Result<()> {
        // The response is small: releases the turn for a large one, which others may wait for.
        answer::give_back();
        let (mut began, mut reverted) = (Vec::new(), Vec::new());
        for (object, entity) in objects.iter().zip(entities) {
            let is_last = entity.version() == object.last();
            let is_there = Stream::exists(&**entity);
            if !is_last {
                began.push((&object.stream, if is_there { i64::MAX } else { object.first() }));
            }
            let comes_back_as_it_is = is_last && !is_there && object.events.len() == 1;
            let is_reverted = object.undoings().any(|undoing| matches!(undoing, Undoing::Reverted));
            if is_reverted && !comes_back_as_it_is {
                reverted.push(*object);
            }
        }
        let ports = &self.undos.ports;
        if !A::BEGINNINGS.is_empty() && !began.is_empty() {
            let found = ports.histories.find_last_of_many(self.scope, &began, A::BEGINNINGS).await?;
            self.began.extend(found);
        }
        self.read_pasts::<A>(&reverted).await
    }

    /// Reads, at once, the pasts of objects before the request.
    pub(super) async fn read_pasts<A: Stream>(&self, objects: &[&Object]) -> Result<()> {
        let unread = objects.iter().filter(|object| object.first() > 1 && !object.past.initialized());
        let pasts: Vec<_> = unread.map(|object| (&object.stream, object.first() - 1)).collect();
        if pasts.is_empty() {
            return Ok(());
        }
        let room = self.task.room();
        let ports = &self.undos.ports;
        let reader = Pasts {
            reader: &*ports.histories,
            workers: &ports.workers,
            scope: self.scope,
            admitted: &self.task.admitted,
        };
        let (mut read, room) = reader.read::<A>(&pasts, room).await?;
        self.task.leave(room);
        for object in objects {
            if let Some(past) = read.remove(&object.stream) {
                // It equals the existing past, if it was read in the meantime.
                drop(object.past.set(Arc::new(past)));
            }
        }
        Ok(())
    }

    /// The past of an object before the request.
    pub(super) async fn past<A: Stream>(&self, object: &Object) -> Result<Arc<Past<A>>> {
        let read = async || -> Result<Arc<dyn Any + Send + Sync>> {
            let past: Arc<dyn Any + Send + Sync> =
                Arc::new(self.read::<A>(object, object.first() - 1).await?);
            Ok(past)
        };
        let past = object.past.get_or_try_init(read).await?.clone();
        past.downcast()
            .map_err(|_| Error::internal(format!("{} has the past of another type", object.stream)))
    }

    /// The past of an object up to a version.
    pub(super) async fn read<A: Stream>(&self, object: &Object, version: i64) -> Result<Past<A>> {
        if version == 0 {
            return Ok(Past::default());
        }
        let ports = &self.undos.ports;
        let room = self.task.room();
        let (reader, workers, admitted) = (&*ports.histories, &ports.workers, &self.task.admitted);
        let (past, room) = past(reader, workers, self.scope, &object.stream, version, room, admitted).await?;
        self.task.leave(room);
        Ok(past)
    }

    /// True if the uid belongs to another object than the one that the request changed.
    pub(super) async fn is_another<A: Stream>(
        &mut self,
        object: &Object,
        entity: &Entity<A>,
    ) -> Result<bool> {
        let begins = |event: &DoneEvent| A::BEGINNINGS.contains(&event.stored_type.as_str());
        if object.events.iter().skip(1).any(begins) {
            return Ok(true);
        }
        let is_newer = |version: &i64| *version > object.last();
        if entity.version() == object.last() || !self.began.get(&object.stream).is_some_and(is_newer) {
            return Ok(false);
        }
        let Some(Resource { kind: ResourceKind::Folder, uid, .. }) = resource_of(&**entity) else {
            return Ok(true);
        };
        let after = object.position() + 1;
        Ok(self.same_folder(&uid, after).await?.is_none())
    }

    /// True if an object that the request changed has ended since, and the object with its key now was given other
    /// rights.
    pub(super) async fn has_come_back<A: Noun>(&self, object: &Object) -> Result<bool> {
        if !A::HAS_RIGHTS {
            return Ok(false);
        }
        let (reader, stream) = (&self.undos.ports.histories, std::slice::from_ref(&object.stream));
        Ok(!reader.find_ended(self.scope, stream, object.position()).await?.is_empty())
    }

    /// The folder or dashboard that an object was when the request changed it. Its current state may be that of a later
    /// object with its uid.
    pub(super) async fn had<A: Stream>(
        &self,
        object: &Object,
        entity: &Entity<A>,
        is_there: bool,
    ) -> Result<Option<Resource>> {
        if is_there || A::BEGINNINGS.is_empty() || entity.version() == object.last() {
            return Ok(resource_of(&**entity));
        }
        let began = self.began.get(&object.stream).copied().unwrap_or(1);
        Ok(resource_of(&self.read::<A>(object, began).await?.state))
    }
}
