//! The parts of permissions.

use std::sync::Arc;

use kymograph_app::account::membership::OrgGrantees;
use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::ending::EndingListener;
use kymograph_app::rights::RightsServices;
use kymograph_app::rights::resource_permission::{
    GrantEndings, GuardedKinds, ResourcePermissionPorts, ResourcePermissions,
};
use kymograph_app::{Authorization, Commands};
use kymograph_projections::rights::resource_permission::{
    AllowedCache, AllowedContents, FolderMemory, PgResourcePermissionReader, ResourcePermissionCache,
};

use super::kernel::Kernel;

/// The readers of permissions.
pub(super) struct RightsReaders {
    permissions: Arc<PgResourcePermissionReader>,
    pub(super) allowed: Arc<AllowedContents>,
    pub(super) authorization: Arc<Authorization>,
    caches: Vec<Arc<dyn ChangeListener>>,
}

impl RightsReaders {
    /// The readers, which share the cache of folders.
    pub(super) fn new(kernel: &Kernel<'_>, folders: Arc<dyn FolderMemory>) -> Self {
        let permission_cache = Arc::new(ResourcePermissionCache::new(&kernel.feed_health));
        let allowed_cache = Arc::new(AllowedCache::default());
        let caches: Vec<Arc<dyn ChangeListener>> = vec![permission_cache.clone(), allowed_cache.clone()];
        let database = kernel.database.clone();
        let permissions =
            Arc::new(PgResourcePermissionReader::new(database.clone(), permission_cache, folders));
        let allowed = Arc::new(AllowedContents::new(database, allowed_cache, kernel.workers.clone()));
        let authorization = Arc::new(Authorization::new(permissions.clone()));
        Self { permissions, allowed, authorization, caches }
    }

    pub(super) fn caches(&self) -> Vec<Arc<dyn ChangeListener>> {
        self.caches.clone()
    }

    pub(super) fn endings(&self) -> Vec<Arc<dyn EndingListener>> {
        vec![Arc::new(GrantEndings::new(self.permissions.clone()))]
    }

    pub(super) fn services(&self, commands: Commands, kinds: GuardedKinds) -> RightsServices {
        let ports = ResourcePermissionPorts {
            reader: self.permissions.clone(),
            authorization: self.authorization.clone(),
            kinds,
            grantees: Arc::new(OrgGrantees),
        };
        RightsServices { resource_permissions: Arc::new(ResourcePermissions::new(commands, ports)) }
    }
}
