//! The rights to read and restore the past of a folder or dashboard, which are those on its current version.

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
    /// Fails unless the actor may change a folder or dashboard, which is also required to read its history: earlier
    /// content may have been written in a folder that was closed to those who may view it now. A deleted object is only
    /// for those who administer all content.
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

    /// The first version that the actor may read. Rights on a folder or dashboard apply to the object that has the uid
    /// now. An earlier object with the uid may have belonged to somebody else, so its history is only for those who
    /// administer all content.
    pub(super) async fn first(&self, scope: &Scope, of: &HistoryOf, stream: &StreamId) -> Result<i64> {
        let types = registry::beginnings(of.noun);
        if types.is_empty() || scope.administers_content() {
            return Ok(1);
        }
        Ok(self.reader.find_last_of(scope, stream, types, i64::MAX).await?.unwrap_or(1))
    }

    /// Fails unless the actor still may change an existing folder or dashboard, now and at commit: reading the past may
    /// have taken long. Only those who administer all content may restore an object that was deleted meanwhile.
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

    /// Fails if another folder or dashboard now has the uid of the one that had it at a position: it would expose the
    /// content of the old one to those who may see the new one.
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

    /// Fails if an object would be restored to a place where the actor may create nothing, or to another one than it
    /// was in at a position. `left` is its place before, if it existed.
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

/// The resource of an object, if it is a folder or dashboard.
pub(crate) fn resource_of<A: Stream>(object: &A) -> Option<Resource> {
    let (uid, id) = object.guarded()?;
    Some(Resource { kind: ResourceKind::of_noun(A::TYPE)?, uid: uid.clone(), id })
}

/// The access-control list of an object that was created anew under a new numeric id. Its old list is not restored,
/// because grantees may have left since; an empty list is, to prevent a closed object from being open to everybody.
/// `None` if it had no list.
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

/// The folder that an object is in; `None` for the root.
#[derive(PartialEq)]
pub(crate) struct Place(pub(crate) Option<Uid>);

/// The place of a folder or dashboard; `None` for other objects.
pub(crate) fn place_of<A: Stream>(object: &A) -> Option<Place> {
    object.place().map(|folder| Place(folder.cloned()))
}
