//! The identity of an object's former folder. If the content of a closed folder came back into another folder that was
//! created since with the same uid, it would be open to others.

use kymograph_domain::Uid;
use kymograph_domain::content::folder::{self, Folder};

use super::{FolderReader, Folders};
use crate::kernel::error::{Error, Result};
use crate::{Scope, Unit};

/// The error for an object that would come back into a different folder than its former one.
pub(crate) fn another_folder(uid: &Uid) -> Error {
    Error::invalid(format!("its folder no longer exists, and “{uid}” is the uid of another folder"))
}

/// The numeric id of the folder that has a uid now, if it is the same folder that had it before a position.
pub(crate) async fn same_folder(
    reader: &dyn FolderReader,
    scope: &Scope,
    uid: &Uid,
    position: i64,
) -> Result<Option<i64>> {
    Ok(folder::same_folder(&reader.list_births(scope, uid).await?, position))
}

impl Folders {
    /// As [`same_folder`].
    pub(crate) async fn same(&self, scope: &Scope, uid: &Uid, position: i64) -> Result<Option<i64>> {
        same_folder(&*self.reader, scope, uid, position).await
    }

    /// Fails unless the folder with a uid is the same that had it before a position, now and at commit.
    pub(crate) async fn require_same(
        &self,
        scope: &Scope,
        unit: &mut Unit<'_>,
        uid: &Uid,
        position: i64,
    ) -> Result<()> {
        if !unit.load::<Folder>(uid).await?.exists {
            // The commit reports the missing folder.
            return Ok(());
        }
        let id = self.same(scope, uid, position).await?.ok_or_else(|| another_folder(uid))?;
        unit.rest_on(self.reader.still_is(scope.org(), uid, id));
        Ok(())
    }
}
