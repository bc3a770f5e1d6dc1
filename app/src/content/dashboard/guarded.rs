//! Dashboards as objects that have permissions, and that end with their folder.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::content::dashboard::{Dashboard, DashboardCommand, DashboardError};
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{OrgId, Uid};

use super::DashboardReader;
use crate::kernel::ending::EndingListener;
use crate::kernel::error::{Error, Result};
use crate::kernel::side_write::SideWrite;
use crate::rights::resource_permission::{GuardedKind, GuardedView};
use crate::{Scope, Unit};

/// Describes dashboards to their permissions, and deletes the dashboards of folders that end.
pub struct GuardedDashboards(Arc<dyn DashboardReader>);

impl GuardedDashboards {
    /// On this reader.
    #[must_use]
    pub fn new(reader: Arc<dyn DashboardReader>) -> Self {
        Self(reader)
    }
}

#[async_trait]
impl GuardedKind for GuardedDashboards {
    fn kind(&self) -> ResourceKind {
        ResourceKind::Dashboard
    }

    async fn find(&self, scope: &Scope, uid: &Uid) -> Result<Option<GuardedView>> {
        let dashboard = self.0.find_dashboard(scope, uid).await?;
        Ok(dashboard.map(|dashboard| GuardedView {
            id: dashboard.id,
            title: dashboard.title.clone(),
            slug: dashboard.slug.clone(),
            folder_uid: dashboard.folder_uid.clone(),
        }))
    }

    async fn load(&self, unit: &Unit<'_>, uid: &Uid) -> Result<Option<(i64, Option<Uid>)>> {
        let dashboard = unit.load::<Dashboard>(uid).await?;
        Ok(dashboard.exists.then(|| (dashboard.id, dashboard.folder_uid.clone())))
    }

    fn stays(&self, org: OrgId, uid: &Uid, id: i64, folder: Option<&Uid>) -> SideWrite {
        self.0.stays(org, uid, id, folder)
    }

    fn missing(&self) -> Error {
        DashboardError::NotFound.into()
    }
}

#[async_trait]
impl EndingListener for GuardedDashboards {
    async fn on_endings(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &[Ending<'_>]) -> Result<()> {
        let folder = |ending: &Ending<'_>| match ending {
            Ending::Folder(uid) => Some((*uid).clone()),
            _ => None,
        };
        let folders: HashSet<_> = endings.iter().filter_map(folder).collect();
        if folders.is_empty() {
            return Ok(());
        }
        let uids = self.0.list_uids_in(scope, folders.iter().cloned().collect()).await?;
        let keys: Vec<_> = uids.iter().collect();
        for mut dashboard in unit.load_many::<Dashboard>(&keys).await? {
            // The log is authoritative: a dashboard that was moved since it was listed stays.
            if dashboard.folder_uid.as_ref().is_some_and(|folder| folders.contains(folder)) {
                dashboard.tell(DashboardCommand::Delete).await?;
                unit.record(dashboard)?;
            }
        }
        Ok(())
    }
}
