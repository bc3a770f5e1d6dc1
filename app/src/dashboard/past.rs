//! Dashboards as they were.

use std::sync::Arc;

use super::{DashboardView, Dashboards, parse_uid};
use crate::error::{ErrorKind, Result};
use crate::folder::FolderView;
use crate::{Permission, Scope};

impl Dashboards {
    /// Reads a dashboard with the folder it was in, as of a time, for who may read it now.
    pub async fn get_dashboard_at(
        &self,
        scope: &Scope,
        uid: &str,
        at: &str,
    ) -> Result<(Arc<DashboardView>, Option<Arc<FolderView>>)> {
        scope.require(Permission::DashboardsRead)?;
        let position = self.moments.resolve(scope, at).await?;
        // Today's rights count. Of what is there no more, only the right to read dashboards at all is left.
        match self.get_dashboard(scope, uid).await {
            Err(error) if error.kind() != ErrorKind::Missing => return Err(error),
            _ => {}
        }
        let uid = parse_uid(uid)?;
        let dashboard = self.reader.find_dashboard_at(scope, &uid, position).await?.there("Dashboard")?;
        let folder = match &dashboard.folder_uid {
            Some(folder) => self.folders.folders_at(scope, position).await?.find(folder).cloned(),
            None => None,
        };
        Ok((Arc::new(dashboard), folder))
    }
}
