//! Whether a folder is the one that something was in.

use kymograph_domain::{StreamId, Uid, folder};

use super::{FolderReader, Folders};
use crate::Scope;
use crate::error::{Error, Result};

/// Whether the folder that has a uid now is the one that an object was in at a version. What was in a closed folder would be
/// open to others in another folder, which somebody made since under its uid.
pub(crate) async fn is_same_folder(
    reader: &dyn FolderReader,
    scope: &Scope,
    uid: &Uid,
    object: (&StreamId, i64),
) -> Result<bool> {
    Ok(folder::is_same_folder(&reader.list_births(scope, uid, object).await?))
}

/// The refusal to put something into another folder than the one that it was in.
pub(crate) fn another_folder(uid: &Uid) -> Error {
    Error::invalid(format!("the folder it was in is gone, and “{uid}” is the uid of another one now"))
}

impl Folders {
    /// Fails unless the folder that has a uid now is the one that an object was in at a version.
    pub(crate) async fn require_same(
        &self,
        scope: &Scope,
        uid: &Uid,
        object: (&StreamId, i64),
    ) -> Result<()> {
        let is_same = is_same_folder(&*self.reader, scope, uid, object).await?;
        if is_same { Ok(()) } else { Err(another_folder(uid)) }
    }
}
