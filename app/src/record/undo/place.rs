//! The place to which objects come back, and who comes back with them.

use std::any::Any;

use kymograph_domain::content::dashboard::DashboardError;
use kymograph_domain::content::folder::{self, Birth, Folder, FolderCommand, FolderError};
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{Stream, Uid};

use super::Object;
use super::decide::Deciding;
use super::list::Reborn;
use crate::content::folder::another_folder;
use crate::kernel::error::Result;
use crate::kernel::unit::Entity;
use crate::record::history::{Place, leave_out_ended, place_of};

impl Deciding<'_, '_> {
    /// Takes those out of commands for a team who have left the org since the request, and returns how many they are.
    pub(super) async fn leave_out_ended<A: Stream>(
        &self,
        team: &Entity<A>,
        commands: &mut [A::Command],
    ) -> Result<usize> {
        let reader = &*self.undos.ports.histories;
        let since = self.task.request.events.first().map_or(0, |event| event.position - 1);
        leave_out_ended(reader, self.scope, &**team, commands, since, &self.returned).await
    }

    /// True if undoing the request puts an object back to where it was: the request has moved it, and nobody has since. All else
    /// stays where it is, lest it be open to others there.
    pub(super) async fn goes_back<A: Stream>(&self, object: &Object, now: &A, then: &A) -> Result<bool> {
        let (now, then) = (place_of(now), place_of(then));
        if now == then {
            return Ok(true);
        }
        let after = self.read::<A>(object, object.last()).await?.state;
        Ok(place_of(&after) == now)
    }

    /// Fails unless the folder in which something comes to be is there, and the one that it was in before the request, unless
    /// it is where it was all the time.
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
        match (exists, (now as &dyn Any).is::<Folder>()) {
            (true, _) => {}
            (false, true) => return Err(FolderError::ParentNotFound.into()),
            (false, false) => return Err(DashboardError::FolderNotFound.into()),
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

    /// The numeric id that a folder has now, if it is the one that had its uid before a position.
    pub(super) async fn same_folder(&mut self, uid: &Uid, position: i64) -> Result<Option<i64>> {
        if !self.births.contains_key(uid) {
            let mut births = self.undos.ports.folders.list_births(self.scope, uid).await?;
            births.splice(0..0, self.folders_back.get(uid).copied());
            self.births.insert(uid.clone(), births);
        }
        Ok(self.births.get(uid).and_then(|births| folder::same_folder(births, position)))
    }

    /// Remembers that a folder or dashboard came back under a new numeric id.
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

/// Commands for an object that stays in its folder.
pub(super) fn without_moves<C: Any>(mut commands: Vec<C>) -> Vec<C> {
    let is_move =
        |command: &C| matches!((command as &dyn Any).downcast_ref(), Some(FolderCommand::Move { .. }));
    commands.retain(|command| !is_move(command));
    commands
}
