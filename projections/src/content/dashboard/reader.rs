//! The queries on dashboards.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use kymograph_app::content::dashboard::version::MAX_PAGE_BYTES;
use kymograph_app::content::dashboard::{
    DashboardReader, DashboardView, MAX_LISTED_TAGS, TagCount, VersionContent, VersionView,
};
use kymograph_app::kernel::moment::Then;
use kymograph_app::kernel::side_write::SideWrite;
use kymograph_app::kernel::work::LARGE_BYTES;
use kymograph_app::rights::authorization::ContentFilter;
use kymograph_app::{Error, Result, Scope, Workers, values};
use kymograph_domain::content::dashboard::{DashboardContent, DashboardEvent};
use kymograph_domain::{OrgId, Uid, registry};
use tokio_postgres::Row;

use super::DashboardCache;
use crate::kernel::database::{Database, Params};
use crate::kernel::sql::{Text, Values, check};
use crate::kernel::statement::OnFailure;
use crate::kernel::text::{optional_uid_column, timestamp_column, uid_column, uid_or_empty};
use crate::rights::resource_permission::AllowedContents;
use crate::rights::resource_permission::allowed::AllowedParams;

/// Divides by zero unless the dashboard with a uid and a numeric id is in a folder.
static CHECK_STAYS: Text = Text::new(|| {
    check(
        "EXISTS (SELECT FROM dashboards WHERE org_id = $1 AND uid = $2 AND id = $3 AND folder_uid = $4 AND deleted IS NULL)",
    )
});

/// Reads `dashboards` and `dashboard_versions`, and the documents out of the log.
pub struct PgDashboardReader {
    pub(super) database: Database,
    cache: Arc<DashboardCache>,
    workers: Workers,
    allowed: Arc<AllowedContents>,
}

impl PgDashboardReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(
        database: Database,
        cache: Arc<DashboardCache>,
        workers: Workers,
        allowed: Arc<AllowedContents>,
    ) -> Self {
        Self { database, cache, workers, allowed }
    }

    /// Decodes a row with an event, which takes long if the event is large.
    pub(super) async fn decoded<T: Send + 'static>(
        &self,
        org: OrgId,
        row: Row,
        decode: impl FnOnce(&Row) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let bytes = row.get::<_, &str>("payload").len();
        self.workers.run(org, bytes, move || decode(&row)).await?
    }

    async fn fetch(&self, org: OrgId, uid: &Uid) -> Result<Option<Arc<DashboardView>>> {
        let Some(mut row) = self.find_row(org, uid, LARGE_BYTES).await? else { return Ok(None) };
        let mut admission = None;
        if row.get::<_, Option<&str>>("payload").is_none() {
            admission = Some(self.workers.admit_large_read(org).await?);
            // Another request may have read it meanwhile.
            if let Some(read) = self.cache.get(&(org, uid.clone())) {
                return Ok(Some(read));
            }
            let Some(large) = self.find_row(org, uid, usize::MAX).await? else { return Ok(None) };
            row = large;
        }
        let dashboard = self.decoded(org, row, dashboard_view).await?;
        drop(admission);
        Ok(Some(Arc::new(dashboard)))
    }

    /// The row of a dashboard with the event that has its document; without the payload if it exceeds `max_bytes`.
    async fn find_row(&self, org: OrgId, uid: &Uid, max_bytes: usize) -> Result<Option<Row>> {
        let sql = "SELECT d.*, e.type, e.schema_version,
                CASE WHEN octet_length(e.payload) <= $3 THEN e.payload END AS payload
            FROM dashboards d JOIN events e ON e.org_id = d.org_id AND e.pos = d.pos
            WHERE d.org_id = $1 AND d.uid = $2 AND d.deleted IS NULL";
        let max_bytes = i32::try_from(max_bytes).unwrap_or(i32::MAX);
        self.database.read_one(org, sql, &[&org.0, &uid.as_str(), &max_bytes]).await
    }

    async fn find_bytes(&self, org: OrgId, sql: &'static str, uid: &Uid, number: i64) -> Result<usize> {
        let row = self.database.read_one(org, sql, &[&org.0, &uid.as_str(), &number]).await?;
        let bytes: i32 = row.map_or(0, |row| row.get(0));
        usize::try_from(bytes).map_err(Error::internal)
    }

    async fn find_uid(
        &self,
        scope: &Scope,
        sql: &'static str,
        params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Option<Uid>> {
        let row = self.database.read_one(scope.org(), sql, params).await?;
        row.as_ref().map(|row| uid_column(row, "uid")).transpose()
    }
}

/// The content in the event of a row.
pub(super) fn content(row: &Row) -> Result<DashboardContent> {
    let event = registry::decode(row.get("type"), row.get("schema_version"), row.get("payload"))
        .map_err(Error::internal)?;
    match event.of::<DashboardEvent>() {
        Some(DashboardEvent::Created(created)) => Ok(created.content.clone()),
        Some(DashboardEvent::Updated(updated)) => Ok(updated.content.clone()),
        Some(DashboardEvent::VersionRestored(restored)) => Ok(restored.content.clone()),
        _ => Err(Error::internal("the event of a dashboard version has no content")),
    }
}

fn dashboard_view(row: &Row) -> Result<DashboardView> {
    Ok(DashboardView {
        org_id: OrgId(row.get("org_id")),
        id: row.get("id"),
        uid: uid_column(row, "uid")?,
        title: row.get("title"),
        slug: row.get("slug"),
        folder_uid: optional_uid_column(row, "folder_uid")?,
        version: row.get("version"),
        created: timestamp_column(row, "created"),
        created_by: row.get("created_by"),
        updated: timestamp_column(row, "updated"),
        updated_by: row.get("updated_by"),
        data: content(row)?.data,
    })
}

fn version_view(row: &Row) -> Result<VersionView> {
    Ok(VersionView {
        id: row.get("pos"),
        dashboard_id: row.get("dashboard_id"),
        uid: uid_column(row, "dashboard_uid")?,
        version: row.get("version"),
        restored_from: row.get("restored_from"),
        created: timestamp_column(row, "created"),
        created_by: row.get("created_by"),
        message: row.get("message"),
    })
}

fn version_content(row: &Row) -> Result<VersionContent> {
    let content = content(row)?;
    Ok(VersionContent {
        view: version_view(row)?,
        title: content.title,
        tags: content.tags,
        data: content.data,
    })
}

#[async_trait]
impl DashboardReader for PgDashboardReader {
    async fn find_dashboard(&self, scope: &Scope, uid: &Uid) -> Result<Option<Arc<DashboardView>>> {
        let org = scope.org();
        self.cache.get_or_fetch(&(org, uid.clone()), self.fetch(org, uid)).await
    }

    async fn list_uids_in(&self, scope: &Scope, folders: Vec<Uid>) -> Result<Vec<Uid>> {
        let sql = "SELECT uid FROM dashboards
            WHERE org_id = $1 AND folder_uid = ANY ($2) AND deleted IS NULL ORDER BY uid";
        let folders: Vec<_> = folders.iter().map(Uid::as_str).collect();
        let rows = self.database.read(scope.org(), sql, &[&scope.org().0, &folders]).await?;
        rows.iter().map(|row| uid_column(row, "uid")).collect()
    }

    fn stays(&self, org: OrgId, uid: &Uid, id: i64, folder: Option<&Uid>) -> SideWrite {
        let params = values![org.0, uid.as_str(), id, uid_or_empty(folder)];
        SideWrite { org, sql: &CHECK_STAYS, params, on_failure: OnFailure::Conflict }
    }

    async fn find_uid_by_id(&self, scope: &Scope, id: i64) -> Result<Option<Uid>> {
        let sql = "SELECT uid FROM dashboards WHERE org_id = $1 AND id = $2 AND deleted IS NULL";
        self.find_uid(scope, sql, &[&scope.org().0, &id]).await
    }

    async fn find_folder_uid_by_id(&self, scope: &Scope, id: i64) -> Result<Option<Uid>> {
        let sql = "SELECT uid FROM folders WHERE org_id = $1 AND id = $2";
        self.find_uid(scope, sql, &[&scope.org().0, &id]).await
    }

    async fn count_tags(&self, scope: &Scope, filter: &ContentFilter) -> Result<Vec<TagCount>> {
        static SQL: OnceLock<String> = OnceLock::new();
        let org = scope.org();
        let allowed = self.allowed.find(org, filter).await?;
        let params = AllowedParams::of(filter, allowed.as_deref());
        let mut values = Values::of(&org);
        let (is_allowed, limit) = (params.push_to(&mut values), values.push(&MAX_LISTED_TAGS));
        // A dashboard can have the same tag twice.
        let sql = SQL.get_or_init(|| {
            format!(
                "SELECT * FROM (SELECT tag, count(DISTINCT d.uid) AS dashboards
            FROM dashboards d CROSS JOIN unnest(d.tags) AS tag
            WHERE d.org_id = $1 AND d.deleted IS NULL AND {} \
            GROUP BY tag ORDER BY dashboards DESC, tag LIMIT {limit}) AS most_used ORDER BY tag",
                is_allowed.allows_dashboard("")
            )
        });
        let rows = self.database.read(org, sql, values.all()).await?;
        Ok(rows.iter().map(|row| TagCount { term: row.get("tag"), count: row.get("dashboards") }).collect())
    }

    async fn version_bytes(&self, scope: &Scope, uid: &Uid, version: i64) -> Result<usize> {
        let sql = "SELECT octet_length(e.payload)
            FROM dashboards d JOIN dashboard_versions v ON v.org_id = d.org_id AND v.dashboard_uid = d.uid
                AND v.generation = d.generation
            JOIN events e ON e.org_id = v.org_id AND e.pos = v.pos
            WHERE d.org_id = $1 AND d.uid = $2 AND d.deleted IS NULL AND v.version = $3";
        self.find_bytes(scope.org(), sql, uid, version).await
    }

    async fn version_bytes_at(&self, scope: &Scope, uid: &Uid, position: i64) -> Result<usize> {
        let sql = "SELECT octet_length(e.payload)
            FROM (SELECT pos FROM dashboard_versions WHERE org_id = $1 AND dashboard_uid = $2 AND pos <= $3
                ORDER BY generation DESC, version DESC LIMIT 1) AS last
            JOIN events e ON e.org_id = $1 AND e.pos = last.pos";
        self.find_bytes(scope.org(), sql, uid, position).await
    }

    async fn find_dashboard_at(
        &self,
        scope: &Scope,
        uid: &Uid,
        position: i64,
    ) -> Result<Then<DashboardView>> {
        self.find_at(scope.org(), uid, position).await
    }

    async fn list_versions(
        &self,
        scope: &Scope,
        uid: &Uid,
        before: Option<i64>,
        start: i64,
        size: i64,
    ) -> Result<Vec<VersionView>> {
        let sql = "SELECT * FROM (
                SELECT *, sum(octet_length(message)) OVER (ORDER BY version DESC) AS total FROM (
                    SELECT v.*, d.id AS dashboard_id
                    FROM dashboards d JOIN dashboard_versions v ON v.org_id = d.org_id AND v.dashboard_uid = d.uid
                        AND v.generation = d.generation
                    WHERE d.org_id = $1 AND d.uid = $2 AND d.deleted IS NULL AND v.version < $3
                    ORDER BY v.version DESC LIMIT $4 OFFSET $5) AS page) AS counted
            WHERE total <= $6 OR total = octet_length(message) ORDER BY version DESC";
        let (org, before) = (scope.org(), before.unwrap_or(i64::MAX));
        let max_bytes = i64::try_from(MAX_PAGE_BYTES).map_err(Error::internal)?;
        let params: Params<'_> = &[&org.0, &uid.as_str(), &before, &size, &start, &max_bytes];
        let rows = self.database.read(org, sql, params).await?;
        rows.iter().map(version_view).collect()
    }

    async fn find_version(&self, scope: &Scope, uid: &Uid, version: i64) -> Result<Option<VersionContent>> {
        let sql = "SELECT v.*, d.id AS dashboard_id, e.type, e.schema_version, e.payload
            FROM dashboards d JOIN dashboard_versions v ON v.org_id = d.org_id AND v.dashboard_uid = d.uid
                AND v.generation = d.generation
            JOIN events e ON e.org_id = v.org_id AND e.pos = v.pos
            WHERE d.org_id = $1 AND d.uid = $2 AND d.deleted IS NULL AND v.version = $3";
        let org = scope.org();
        let Some(row) = self.database.read_one(org, sql, &[&org.0, &uid.as_str(), &version]).await? else {
            return Ok(None);
        };
        self.decoded(org, row, version_content).await.map(Some)
    }
}
