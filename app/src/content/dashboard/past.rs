//! Dashboards at an earlier time.

use std::sync::Arc;

use kymograph_domain::AccessLevel;

use super::{Dashboards, OpenedDashboard, parse_uid};
use crate::kernel::error::Result;
use crate::kernel::work::Admission;
use crate::rights::authorization::{ContentFilter, Guarded};
use crate::{Permission, Scope};

impl Dashboards {
    /// Reads a dashboard with the folder it was in, as of a time. The actor must be able to change it now, with its
    /// current rights. A folder that the actor may not change now is omitted. Also returns the admission that the read
    /// needed.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_dashboard_at(
        &self,
        scope: &Scope,
        uid: &str,
        at: &str,
    ) -> Result<(OpenedDashboard, Option<Admission>)> {
        scope.require_member(Permission::DASHBOARDS_READ)?;
        let position = self.moments.resolve(scope, at).await?;
        let uid = &parse_uid(uid)?;
        let (edit, permission) = (AccessLevel::Edit, Permission::DASHBOARDS_WRITE);
        let today = self.reader.find_dashboard(scope, uid).await?;
        if let Some(today) = &today {
            self.authorization.require(scope, today.guarded(), permission).await?;
        }
        let bytes = self.reader.version_bytes_at(scope, uid, position).await?;
        let admission = self.workers.admit_for(scope.org(), bytes).await?;
        let mut dashboard = self.reader.find_dashboard_at(scope, uid, position).await?.there("Dashboard")?;
        let guarded = match today.as_ref().filter(|today| today.id == dashboard.id) {
            Some(today) => today.guarded(),
            // It is in the trash, where it keeps its rights, or it is only for those who may see everything.
            None => Guarded::Trashed(dashboard.id),
        };
        let level = self.authorization.require(scope, guarded, permission).await?;
        let folder = match &dashboard.folder_uid {
            Some(folder) => {
                let filter = ContentFilter::of(scope, edit);
                let allowed = self.folders.allowed_folders_at(scope, position, &filter).await?;
                allowed.find(folder).cloned()
            }
            None => None,
        };
        if folder.is_none() {
            dashboard.folder_uid = None;
        }
        Ok((OpenedDashboard { dashboard: Arc::new(dashboard), folder, level }, admission))
    }
}
