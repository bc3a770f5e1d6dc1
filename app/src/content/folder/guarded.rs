//! Folders as objects that have permissions.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::content::folder::{Folder, FolderError};
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{OrgId, Uid};

use super::FolderReader;
use crate::kernel::error::{Error, Result};
use crate::kernel::side_write::SideWrite;
use crate::rights::resource_permission::{GuardedKind, GuardedView};
use crate::{Scope, Unit};

/// Describes folders to their permissions.
pub struct GuardedFolders(Arc<dyn FolderReader>);

impl GuardedFolders {
    /// On this reader.
    #[must_use]
    pub fn new(reader: Arc<dyn FolderReader>) -> Self {
        Self(reader)
    }
}

#[async_trait]
impl GuardedKind for GuardedFolders {
    fn kind(&self) -> ResourceKind {
        ResourceKind::Folder
    }

    async fn find(&self, scope: &Scope, uid: &Uid) -> Result<Option<GuardedView>> {
        let folder = self.0.find_folder(scope, uid).await?;
        Ok(folder.map(|folder| GuardedView {
            id: folder.id,
            title: folder.title.clone(),
            slug: folder.slug.clone(),
            folder_uid: folder.parent_uid.clone(),
        }))
    }

    async fn load(&self, unit: &Unit<'_>, uid: &Uid) -> Result<Option<(i64, Option<Uid>)>> {
        let folder = unit.load::<Folder>(uid).await?;
        Ok(folder.exists.then(|| (folder.id, folder.parent_uid.clone())))
    }

    fn stays(&self, org: OrgId, uid: &Uid, id: i64, folder: Option<&Uid>) -> SideWrite {
        self.0.stays(org, uid, id, folder)
    }

    fn missing(&self) -> Error {
        FolderError::NotFound.into()
    }
}
