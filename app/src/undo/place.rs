//! Where objects come back to, and as which they had been there.

use std::any::Any;

use kymograph_domain::Stream;
use kymograph_domain::dashboard::DashboardError;
use kymograph_domain::folder::{Folder, FolderError};
use kymograph_domain::past::is_there;
use kymograph_domain::resource_permission::{Resource, ResourceKind};

use super::Object;
use super::decide::Deciding;
use crate::error::{Error, Result};
use crate::folder::{another_folder, is_same_folder};
use crate::history::{Place, place_of, resource_of};
use crate::unit::Entity;

impl Deciding<'_, '_> {
    /// The folder or dashboard that an object was when the request changed it. Its state may say what had its uid since.
    pub(super) async fn had<A: Stream>(
        &self,
        object: &Object,
        entity: &Entity<A>,
        is_there: bool,
    ) -> Result<Option<Resource>> {
        if is_there || A::BEGINNINGS.is_empty() || entity.version() == object.last() {
            return Ok(resource_of(&**entity));
        }
        let reader = &self.undos.ports.histories;
        let began = reader.find_last_of(self.scope, &object.stream, A::BEGINNINGS, object.first()).await?;
        Ok(resource_of(&self.read::<A>(object, began.unwrap_or(1)).await?.state))
    }

    /// Fails unless the folder in which something comes to be is there, and the one that it was in before the request, unless
    /// it is where it was all the time.
    pub(super) async fn check_place<A: Stream>(
        &mut self,
        object: &Object,
        left: Option<Place>,
        now: &A,
    ) -> Result<()> {
        if !is_there(now).map_err(Error::internal)? {
            return Ok(());
        }
        let place = place_of(now);
        let has_moved = left != place;
        let Some(Place(Some(folder))) = place else { return Ok(()) };
        let exists = match self.resources.get(&(ResourceKind::Folder, folder.clone())) {
            Some(Some(_)) => return Ok(()),
            Some(None) => false,
            None => self.unit.load::<Folder>(&folder).await?.exists,
        };
        match (exists, (now as &dyn Any).is::<Folder>()) {
            (true, _) => {}
            (false, true) => return Err(FolderError::ParentNotFound.into()),
            (false, false) => return Err(DashboardError::FolderNotFound.into()),
        }
        let is_same = match self.same_folders.get(&folder) {
            _ if !has_moved => true,
            Some(is_same) => *is_same,
            None => {
                let reader = &*self.undos.ports.folders;
                let before = (&object.stream, object.first() - 1);
                let is_same = is_same_folder(reader, self.scope, &folder, before).await?;
                self.same_folders.insert(folder.clone(), is_same);
                is_same
            }
        };
        if is_same { Ok(()) } else { Err(another_folder(&folder)) }
    }
}
