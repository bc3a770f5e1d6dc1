//! The versions of a dashboard: listing, reading and restoring them.

use kymograph_domain::content::dashboard::{Dashboard, DashboardCommand, DashboardContent, DashboardError};
use kymograph_domain::{CanonicalJson, Timestamp, Uid};

use super::{Dashboards, SavedDashboard, parse_uid};
use crate::kernel::error::Result;
use crate::kernel::work::Admission;
use crate::{Permission, Scope};

/// The maximum total size of the messages of a page of versions, in bytes.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// A version as it is listed.
#[derive(Clone, Debug)]
pub struct VersionView {
    /// The position of the version in the org's log, which is unique in the org.
    pub id: i64,
    /// The numeric id of the dashboard.
    pub dashboard_id: i64,
    /// The uid of the dashboard.
    pub uid: Uid,
    /// The version's number, from 1.
    pub version: i64,
    /// The version it was restored from, 0 if it was not.
    pub restored_from: i64,
    /// When it was saved.
    pub created: Timestamp,
    /// The login of who saved it.
    pub created_by: String,
    /// The author's message.
    pub message: String,
}

/// A version with its content.
#[derive(Clone, Debug)]
pub struct VersionContent {
    /// The version as it is listed.
    pub view: VersionView,
    /// The title at that version.
    pub title: String,
    /// The tags at that version.
    pub tags: Vec<String>,
    /// The document without its members `id`, `uid` and `version`.
    pub data: CanonicalJson,
}

/// A version of a dashboard, as a client names it.
#[derive(Clone, Debug)]
pub struct VersionTarget {
    /// The uid of the dashboard.
    pub uid: Option<String>,
    /// The numeric id of the dashboard, for clients that do not name its uid.
    pub id: i64,
    /// The version's number.
    pub version: i64,
}

impl Dashboards {
    /// Lists up to `size` versions, the newest first, from below `before` if given, without the first `start`; fewer if
    /// their messages are long, but at least one if there is any.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_versions(
        &self,
        scope: &Scope,
        uid: &str,
        before: Option<i64>,
        start: i64,
        size: i64,
    ) -> Result<Vec<VersionView>> {
        let uid = parse_uid(uid)?;
        self.require_past(scope, &uid).await?;
        self.reader.list_versions(scope, &uid, before, start, size).await
    }

    /// Reads one version. Also returns the admission that the read needed.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_version(
        &self,
        scope: &Scope,
        uid: &str,
        version: i64,
    ) -> Result<(VersionContent, Option<Admission>)> {
        let uid = parse_uid(uid)?;
        self.require_past(scope, &uid).await?;
        let bytes = self.reader.version_bytes(scope, &uid, version).await?;
        let admission = self.workers.admit_for(scope.org(), bytes).await?;
        let found = self.reader.find_version(scope, &uid, version).await?;
        Ok((found.ok_or(DashboardError::VersionNotFound)?, admission))
    }

    /// Reads two versions of dashboards that are named by their uids or else by their numeric ids. Also returns the
    /// admission that the reads needed, one for both.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_versions(
        &self,
        scope: &Scope,
        base: &VersionTarget,
        new: &VersionTarget,
    ) -> Result<(VersionContent, VersionContent, Option<Admission>)> {
        let (base_uid, base_bytes) = self.find_target(scope, base).await?;
        let (new_uid, new_bytes) = self.find_target(scope, new).await?;
        let admission = self.workers.admit_for(scope.org(), base_bytes + new_bytes).await?;
        let base = self.reader.find_version(scope, &base_uid, base.version).await?;
        let new = self.reader.find_version(scope, &new_uid, new.version).await?;
        match (base, new) {
            (Some(base), Some(new)) => Ok((base, new, admission)),
            _ => Err(DashboardError::VersionNotFound.into()),
        }
    }

    /// The uid of a dashboard whose past the actor may read, and the size in bytes of the event of a version.
    async fn find_target(&self, scope: &Scope, target: &VersionTarget) -> Result<(Uid, usize)> {
        let uid = match &target.uid {
            Some(uid) => parse_uid(uid)?,
            None => {
                let uid = self.reader.find_uid_by_id(scope, target.id).await?;
                uid.ok_or(DashboardError::NotFound)?
            }
        };
        self.require_past(scope, &uid).await?;
        let bytes = self.reader.version_bytes(scope, &uid, target.version).await?;
        Ok((uid, bytes))
    }

    /// Fails unless the actor may read the past of a dashboard. The right to view it is not enough: earlier content may
    /// have been written in a folder that was closed to the actor.
    async fn require_past(&self, scope: &Scope, uid: &Uid) -> Result<()> {
        let dashboard = self.find(scope, uid).await?;
        let permission = Permission::DASHBOARDS_WRITE;
        self.authorization.require(scope, dashboard.guarded(), permission).await.map(drop)
    }

    /// Saves an older version as the newest one. The dashboard stays in the folder it is in.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn restore_version(&self, scope: &Scope, uid: &str, version: i64) -> Result<SavedDashboard> {
        let uid = parse_uid(uid)?;
        self.require_past(scope, &uid).await?;
        let bytes = self.reader.version_bytes(scope, &uid, version).await?;
        let _admission = self.workers.admit_for(scope.org(), bytes).await?;
        let from = self.reader.find_version(scope, &uid, version).await?;
        let from = &from.ok_or(DashboardError::VersionNotFound)?;
        let uid = &uid;
        self.commands
            .run(scope, |mut unit| async move {
                let mut dashboard = unit.load::<Dashboard>(uid).await?;
                let permission = Permission::DASHBOARDS_WRITE;
                self.require_edit_in(scope, &mut unit, &dashboard, permission).await?;
                let content = DashboardContent {
                    uid: uid.clone(),
                    title: from.title.clone(),
                    tags: from.tags.clone(),
                    folder_uid: dashboard.folder_uid.clone(),
                    message: format!("Restored from version {version}"),
                    data: from.data.clone(),
                };
                dashboard.tell(DashboardCommand::RestoreVersion { from: version, content }).await?;
                let saved = SavedDashboard {
                    id: dashboard.id,
                    uid: uid.clone(),
                    title: dashboard.title.clone(),
                    folder_uid: dashboard.folder_uid.clone(),
                    version: dashboard.version,
                };
                unit.record(dashboard)?;
                Ok(unit.decided(saved))
            })
            .await
    }
}
