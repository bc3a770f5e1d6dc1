//! The trash: deleted dashboards that can come back, with their history.

use kymograph_domain::Uid;
use kymograph_domain::dashboard::{Dashboard, DashboardCommand, DashboardError};
use kymograph_domain::folder::Folder;

use super::{Dashboards, DeletedDashboard, parse_uid};
use crate::error::Result;
use crate::{Permission, Scope};

impl Dashboards {
    /// Takes a dashboard out of the trash, into a folder if one is named and else into the one it was in.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn restore_deleted_dashboard(
        &self,
        scope: &Scope,
        uid: &str,
        folder: Option<&str>,
    ) -> Result<DeletedDashboard> {
        scope.require(Permission::DashboardsWrite)?;
        let uid = &parse_uid(uid)?;
        let folder = &match folder {
            Some(folder) => Some(self.resolve_folder(scope, Some(folder), None).await?),
            None => None,
        };
        self.commands
            .run(scope, |mut unit| async move {
                let mut dashboard = unit.load::<Dashboard>(uid).await?;
                let folder_uid = folder.clone().unwrap_or_else(|| dashboard.folder_uid.clone());
                dashboard.tell(DashboardCommand::RestoreDeleted { folder_uid }).await?;
                if let Some(folder) = &dashboard.folder_uid
                    && !unit.load::<Folder>(folder).await?.exists
                {
                    return Err(DashboardError::FolderNotFound.into());
                }
                let restored = left_to_say(uid, &dashboard);
                unit.record(dashboard)?;
                Ok(unit.decided(restored))
            })
            .await
    }

    /// Removes a dashboard from the trash for good.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn purge_dashboard(&self, scope: &Scope, uid: &str) -> Result<DeletedDashboard> {
        scope.require(Permission::DashboardsDelete)?;
        let uid = &parse_uid(uid)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut dashboard = unit.load::<Dashboard>(uid).await?;
                dashboard.tell(DashboardCommand::Purge).await?;
                let purged = left_to_say(uid, &dashboard);
                unit.record(dashboard)?;
                Ok(unit.decided(purged))
            })
            .await
    }
}

fn left_to_say(uid: &Uid, dashboard: &Dashboard) -> DeletedDashboard {
    DeletedDashboard { uid: uid.clone(), title: dashboard.title.clone() }
}
