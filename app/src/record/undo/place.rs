//! The place to which objects are restored, and the objects that are restored with them.

use std::future::Future;
use std::pin::Pin;

use cqrs_es::Aggregate;
use kymograph_domain::content::dashboard::DashboardError;
use kymograph_domain::content::folder::{self, Birth, Folder, FolderError};
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{Stream, StreamId, Uid};

use super::Object;
use super::decide::Deciding;
use super::list::Reborn;
use crate::Unit;
use crate::content::folder::another_folder;
use crate::kernel::error::{Error, Result};
use crate::kernel::noun::Noun;
use crate::kernel::unit::Entity;
use crate::record::history::{Place, place_of, without_ended};
use crate::registry::{NounVisitor, visit};

impl Deciding<'_, '_> {
    /// Removes from commands the references to objects that have ended since the request, and returns their number.
    pub(super) async fn without_ended<A: Stream>(
        &self,
        object: &Entity<A>,
        commands: &mut [A::Command],
    ) -> Result<usize> {
        let reader = &*self.undos.ports.histories;
        let since = self.task.request.events.first().map_or(0, |event| event.position - 1);
        without_ended(reader, self.scope, &**object, commands, since, &self.returned).await
    }

    /// Fails if an object would refer to others that do not exist.
    pub(super) async fn check_references<A: Stream>(&self, had: &[StreamId], now: &A) -> Result<()> {
        let is_new = |stream: &StreamId| !had.contains(stream) && !self.returned.contains(stream);
        for stream in now.references().into_iter().filter(is_new) {
            let (noun, key) = stream.as_str().split_once('-').unwrap_or((stream.as_str(), ""));
            let is_there = visit(noun, IsThere { unit: &self.unit, stream: &stream });
            let is_there =
                is_there.ok_or_else(|| Error::internal(format!("{noun} is not an aggregate type")))?;
            if !is_there.await? {
                let noun = noun.replace('_', " ");
                return Err(Error::invalid(format!("{noun} {key} no longer exists")));
            }
        }
        Ok(())
    }

    /// True if undoing the request moves an object back: the request moved it, and it has not been moved since. Any
    /// other object stays where it is, to prevent it from being open to others elsewhere.
    pub(super) async fn goes_back<A: Stream>(&self, object: &Object, now: &A, then: &A) -> Result<bool> {
        let (now, then) = (place_of(now), place_of(then));
        if now == then {
            return Ok(true);
        }
        let after = self.read::<A>(object, object.last()).await?.state;
        Ok(place_of(&after) == now)
    }

    /// Fails unless the folder that an object is restored to exists, and is the same that it was in before the request;
    /// the latter is not checked if the object does not move.
    pub(super) async fn check_place<A: Stream>(
        &mut self,
        object: &Object,
        left: Option<Place>,
        now: &A,
    ) -> Result<()> {
        if !now.exists() {
            return Ok(());
        }
        let place = place_of(now);
        let has_moved = left != place;
        let Some(Place(Some(folder))) = place else { return Ok(()) };
        let exists = match self.resources.get(&(ResourceKind::Folder, folder.clone())) {
            Some(id) => id.is_some(),
            None => self.unit.load::<Folder>(&folder).await?.exists,
        };
        if !exists {
            return Err(if A::TYPE == Folder::TYPE {
                FolderError::ParentNotFound.into()
            } else {
                DashboardError::FolderNotFound.into()
            });
        }
        if !has_moved {
            return Ok(());
        }
        let before = object.events.first().map_or(0, |event| event.position);
        let id = self.same_folder(&folder, before).await?.ok_or_else(|| another_folder(&folder))?;
        if !self.folders_back.contains_key(&folder) {
            let folders = &self.undos.ports.folders;
            self.unit.rest_on(folders.still_is(self.scope.org(), &folder, id));
        }
        Ok(())
    }

    /// The current numeric id of a folder, if it is the one that had its uid before a position.
    pub(super) async fn same_folder(&mut self, uid: &Uid, position: i64) -> Result<Option<i64>> {
        if !self.births.contains_key(uid) {
            let mut births = self.undos.ports.folders.list_births(self.scope, uid).await?;
            births.splice(0..0, self.folders_back.get(uid).copied());
            self.births.insert(uid.clone(), births);
        }
        Ok(self.births.get(uid).and_then(|births| folder::same_folder(births, position)))
    }

    /// Records that a folder or dashboard was restored under a new numeric id.
    pub(super) fn remember_reborn(&mut self, reborn: Reborn) {
        let Reborn { had, now, .. } = &reborn;
        if now.kind == ResourceKind::Folder {
            let birth = Birth { id: now.id, restores: Some(had.id), position: i64::MAX };
            self.folders_back.insert(now.uid.clone(), birth);
            self.births.remove(&now.uid);
        }
        self.reborn.push(reborn);
    }
}

/// The commands without those that move the object.
pub(super) fn without_moves<A: Stream>(mut commands: Vec<A::Command>) -> Vec<A::Command> {
    commands.retain(|command| !A::is_move(command));
    commands
}

/// Checks whether the object of a stream exists.
struct IsThere<'a, 's> {
    unit: &'a Unit<'s>,
    stream: &'a StreamId,
}

impl<'a> NounVisitor for IsThere<'a, '_> {
    type Output = Pin<Box<dyn Future<Output = Result<bool>> + Send + 'a>>;

    fn visit<N: Noun>(self) -> Self::Output {
        let Self { unit, stream } = self;
        Box::pin(async move { Ok(Stream::exists(&*unit.load_stream::<N>(stream).await?)) })
    }
}
