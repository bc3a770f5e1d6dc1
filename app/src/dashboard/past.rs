//! Dashboards as they were.

use std::sync::Arc;

use kymograph_domain::AccessLevel;

use super::{Dashboards, OpenedDashboard, parse_uid};
use crate::authorization::Guarded;
use crate::error::{ErrorKind, Result};
use crate::work::Admission;
use crate::{Permission, Scope};

impl Dashboards {
    /// Reads a dashboard with the folder it was in, as of a time, for who may read it now, with the rights of now. With it
    /// comes the admission that it needed.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_dashboard_at(
        &self,
        scope: &Scope,
        uid: &str,
        at: &str,
    ) -> Result<(OpenedDashboard, Option<Admission>)> {
        scope.require_member(Permission::DashboardsRead)?;
        let position = self.moments.resolve(scope, at).await?;
        let uid = &parse_uid(uid)?;
        let today = match self.find_visible(scope, uid).await {
            Ok(today) => Some(today),
            Err(error) if error.kind() == ErrorKind::Missing => None,
            Err(error) => return Err(error),
        };
        let bytes = self.reader.version_bytes_at(scope, uid, position).await?;
        let admission = self.workers.admit_for(scope.org(), bytes).await?;
        let dashboard = self.reader.find_dashboard_at(scope, uid, position).await?.there("Dashboard")?;
        let level = match today.filter(|(today, _)| today.id == dashboard.id) {
            Some((_, level)) => level,
            None => {
                // It is in the trash, where it keeps its rights, or for those only who may see all.
                let guarded = Guarded::Trashed(dashboard.id);
                let (view, permission) = (AccessLevel::View, Permission::DashboardsRead);
                self.authorization.require(scope, guarded, view, permission).await?
            }
        };
        let folder = match &dashboard.folder_uid {
            Some(folder) => self.folders.folders_at(scope, position).await?.find(folder).cloned(),
            None => None,
        };
        Ok((OpenedDashboard { dashboard: Arc::new(dashboard), folder, level }, admission))
    }
}
