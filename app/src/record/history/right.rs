//! Who may look at what a folder or dashboard was, and bring it back: who may do so with what it is today.

use kymograph_domain::rights::resource_permission::{
    Grants, Resource, ResourceKind, ResourcePermission, ResourcePermissionCommand,
};
use kymograph_domain::{AccessLevel, Stream, StreamId, Uid, registry};

use super::{Histories, Subject};
use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::history::HistoryOf;
use crate::kernel::scope::denied;
use crate::kernel::unit::Entity;
use crate::{Scope, Unit};

impl Histories {
    /// Fails unless the actor may change a folder or dashboard, which looking at its history takes as well: what it said
    /// before may have been said in a folder that was closed to those who may view it now. One that was deleted is there
    /// for those only who administer all of them.
    pub(super) async fn require_edit(
        &self,
        scope: &Scope,
        of: &HistoryOf,
        kind: ResourceKind,
        uid: &Uid,
    ) -> Result<()> {
        if scope.administers_content() {
            return Ok(());
        }
        let missing = || Error::missing(of.missing);
        let object = self.kinds.of(kind)?.find(scope, uid).await?.ok_or_else(missing)?;
        let level = self.authorization.level(scope, object.guarded(kind, uid)).await?;
        match of.write {
            Some(permission) if level < Some(AccessLevel::Edit) => Err(denied(permission)),
            _ => Ok(()),
        }
    }

    /// The first version that the actor may look at. Rights on a folder or dashboard are rights on what has the uid now,
    /// and what had it before may have been somebody else's, so that its history is for those only who administer
    /// all of them.
    pub(super) async fn first(&self, scope: &Scope, of: &HistoryOf, stream: &StreamId) -> Result<i64> {
        let types = registry::beginnings(of.noun);
        if types.is_empty() || scope.administers_content() {
            return Ok(1);
        }
        Ok(self.reader.find_last_of(scope, stream, types, i64::MAX).await?.unwrap_or(1))
    }

    /// Fails unless the actor still may change a folder or dashboard that is there, now and when it is written: the past may have
    /// taken long to read. Who does not administer all of them brings nothing back that was deleted meanwhile.
    pub(super) async fn require_edit_still<A: Stream>(
        &self,
        subject: &Subject,
        unit: &mut Unit<'_>,
        now: &A,
    ) -> Result<()> {
        let Subject { scope, of, .. } = subject;
        let Some(Resource { kind, uid, .. }) = resource_of(now).filter(|_| !scope.administers_content())
        else {
            return Ok(());
        };
        if !now.exists() {
            return Err(Error::missing(of.missing));
        }
        self.require_edit(scope, of, kind, &uid).await?;
        let permission =
            of.write.ok_or_else(|| Error::internal(format!("a {} cannot be changed", of.noun)))?;
        self.authorization.rest_on_right(scope, unit, kind, &uid, permission)
    }

    /// Fails if there is another folder or dashboard under the uid of the one that had it at a position: it would show what that
    /// one said to those who may see this one.
    pub(super) async fn must_be_same<A: Stream>(
        &self,
        subject: &Subject,
        had: Option<&Resource>,
        now: &A,
        position: i64,
    ) -> Result<()> {
        let has_uid = now.holds_key();
        let (Some(had), Some(now)) = (had, resource_of(now).filter(|_| has_uid)) else { return Ok(()) };
        let is_same = had.id == now.id
            || now.kind == ResourceKind::Folder
                && self.folders.same(&subject.scope, &now.uid, position + 1).await?.is_some();
        if is_same {
            return Ok(());
        }
        let noun = subject.of.noun;
        let message = format!("another {noun} uses its uid: delete that one permanently first");
        Err(Error::new(ErrorKind::Taken, message))
    }

    /// Fails if an object came back to a place into which the actor may put nothing, or to another one than it was in at a
    /// position. One that was there before has left `left`.
    pub(super) async fn require_place<A: Stream>(
        &self,
        subject: &Subject,
        unit: &mut Unit<'_>,
        left: Option<Place>,
        now: &A,
        position: i64,
    ) -> Result<()> {
        let (Some(place), Some(permission)) = (place_of(now), subject.of.create) else { return Ok(()) };
        if left.as_ref() == Some(&place) {
            return Ok(());
        }
        let scope = &subject.scope;
        self.authorization.require_place_in(scope, unit, place.0.as_ref(), permission).await?;
        match &place.0 {
            Some(folder) => self.folders.require_same(scope, unit, folder, position).await,
            None => Ok(()),
        }
    }
}

/// What an object is as something that has permissions, if it is a folder or dashboard.
pub(crate) fn resource_of<A: Stream>(object: &A) -> Option<Resource> {
    let (uid, id) = object.guarded()?;
    Some(Resource { kind: ResourceKind::of_noun(A::TYPE)?, uid: uid.clone(), id })
}

/// The list of permissions with which something comes back that was created anew, under a new numeric id. Its old list
/// does not come back, because who was granted something may have left since; an empty one does, lest what was closed
/// come back open to everybody. What had no list has none.
pub(super) async fn closed_list<A: Stream>(
    unit: &Unit<'_>,
    had: Option<&Resource>,
    now: &A,
    new_id: i64,
) -> Result<Option<Entity<ResourcePermission>>> {
    let (Some(had), Some(resource)) = (had, resource_of(now).filter(|now| now.id == new_id)) else {
        return Ok(None);
    };
    if unit.load::<ResourcePermission>(&had.id).await?.resource.is_none() {
        return Ok(None);
    }
    let mut list = unit.load::<ResourcePermission>(&new_id).await?;
    list.tell(ResourcePermissionCommand::Replace { resource, grants: Grants::new() }).await?;
    Ok(Some(list))
}

/// The folder that something is in; nothing for the root.
#[derive(PartialEq)]
pub(crate) struct Place(pub(crate) Option<Uid>);

/// Where a folder or dashboard is. Everything else is in no folder.
pub(crate) fn place_of<A: Stream>(object: &A) -> Option<Place> {
    object.place().map(|folder| Place(folder.cloned()))
}
