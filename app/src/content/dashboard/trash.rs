//! The trash: soft-deleted dashboards that can be restored, with their history.

use kymograph_domain::content::dashboard::{Dashboard, DashboardCommand, DashboardError};
use kymograph_domain::content::folder::Folder;
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::{Stream, Uid};

use super::{Dashboards, DeletedDashboard, parse_uid};
use crate::content::folder::same_folder;
use crate::kernel::error::Result;
use crate::rights::authorization::Guarded;
use crate::{Permission, Scope, Unit};

impl Dashboards {
    /// Takes a dashboard out of the trash, into a folder if one is named and else into the one it was in.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn restore_deleted_dashboard(
        &self,
        scope: &Scope,
        uid: &str,
        folder: Option<&str>,
    ) -> Result<DeletedDashboard> {
        let uid = &parse_uid(uid)?;
        let stream = &Dashboard::stream_id(uid);
        let folder = &match folder {
            Some(folder) => Some(self.resolve_folder(scope, Some(folder), None).await?),
            None => None,
        };
        self.commands
            .run(scope, |mut unit| async move {
                let mut dashboard = unit.load::<Dashboard>(uid).await?;
                self.require_edit_in_trash(scope, &mut unit, uid, &dashboard, Permission::DASHBOARDS_WRITE)
                    .await?;
                let (before, deletion) = (dashboard.folder_uid.clone(), dashboard.version());
                let folder_uid = folder.clone().unwrap_or_else(|| before.clone());
                dashboard.tell(DashboardCommand::RestoreDeleted { folder_uid }).await?;
                if let Some(folder) = &dashboard.folder_uid
                    && !unit.load::<Folder>(folder).await?.exists
                {
                    return Err(DashboardError::FolderNotFound.into());
                }
                let place = dashboard.folder_uid.as_ref();
                let same = match place.filter(|_| place == before.as_ref()) {
                    Some(place) => {
                        let deletion = self.folders.find_position(scope, stream, deletion).await?;
                        same_folder(&*self.folders, scope, place, deletion.unwrap_or_default()).await?
                    }
                    None => None,
                };
                let is_back = match (place, before.as_ref()) {
                    (None, None) => true,
                    _ => same.is_some() && self.authorization.has_folder(scope, dashboard.id).await?,
                };
                if !is_back {
                    let permission = Permission::DASHBOARDS_CREATE;
                    self.authorization.require_place_in(scope, &mut unit, place, permission).await?;
                }
                match (place, same) {
                    (Some(uid), Some(id)) => unit.rest_on(self.folders.still_is(scope.org(), uid, id)),
                    (Some(_), None) if folder.is_none() => return Err(DashboardError::FolderNotFound.into()),
                    _ => {}
                }
                let restored = left_to_say(uid, &dashboard);
                unit.record(dashboard)?;
                Ok(unit.decided(restored))
            })
            .await
    }

    /// Purges a dashboard from the trash.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn purge_dashboard(&self, scope: &Scope, uid: &str) -> Result<DeletedDashboard> {
        let uid = &parse_uid(uid)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut dashboard = unit.load::<Dashboard>(uid).await?;
                self.require_edit_in_trash(scope, &mut unit, uid, &dashboard, Permission::DASHBOARDS_DELETE)
                    .await?;
                self.endings.tell(&mut unit, scope, &[Ending::Dashboard(uid)]).await?;
                dashboard.tell(DashboardCommand::Purge).await?;
                let purged = left_to_say(uid, &dashboard);
                unit.record(dashboard)?;
                Ok(unit.decided(purged))
            })
            .await
    }

    /// Fails unless the dashboard is in the trash and the actor may change it, now and at commit. Its folder may be
    /// deleted: then only its own access-control list grants rights.
    pub(super) async fn require_edit_in_trash(
        &self,
        scope: &Scope,
        unit: &mut Unit<'_>,
        uid: &Uid,
        dashboard: &Dashboard,
        permission: Permission,
    ) -> Result<()> {
        if !dashboard.in_trash {
            return Err(DashboardError::NotFound.into());
        }
        let guarded = Guarded::Trashed(dashboard.id);
        self.authorization.require(scope, guarded, permission).await?;
        self.authorization.rest_on_right_in_trash(scope, unit, uid, permission)
    }
}

fn left_to_say(uid: &Uid, dashboard: &Dashboard) -> DeletedDashboard {
    DeletedDashboard { uid: uid.clone(), title: dashboard.title.clone() }
}
