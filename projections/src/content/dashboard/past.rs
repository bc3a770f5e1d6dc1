//! Dashboards at an earlier time.

use kymograph_app::Result;
use kymograph_app::content::dashboard::DashboardView;
use kymograph_app::kernel::moment::Then;
use kymograph_domain::kernel::slug::slugify;
use kymograph_domain::{OrgId, Uid};
use tokio_postgres::Row;

use super::PgDashboardReader;
use super::reader::content;
use crate::kernel::text::{optional_uid_column, stored, timestamp_column};

/// The life of a dashboard at a position, or the last one before, with its version then and the event with the
/// document. A dashboard that was restored from the trash is in the folder it was restored to, until it is saved.
const FIND: &str = "SELECT life.to_pos, v.title, v.version, v.created AS updated, v.created_by AS updated_by,
        born.created, born.created_by, e.type, e.schema_version, e.payload,
        CASE WHEN v.pos < life.from_pos THEN life.folder_uid ELSE v.folder_uid END AS folder_uid,
        (SELECT id FROM dashboard_lives WHERE org_id = $1 AND uid = $2 AND from_pos <= $3 AND id > 0
            ORDER BY from_pos DESC LIMIT 1) AS id
    FROM (SELECT from_pos, to_pos, folder_uid FROM dashboard_lives
            WHERE org_id = $1 AND uid = $2 AND from_pos <= $3 ORDER BY from_pos DESC LIMIT 1) AS life
    CROSS JOIN LATERAL (SELECT generation, version FROM dashboard_versions
            WHERE org_id = $1 AND dashboard_uid = $2 AND pos <= $3
            ORDER BY generation DESC, version DESC LIMIT 1) AS last
    JOIN dashboard_versions v ON v.org_id = $1 AND v.dashboard_uid = $2 AND v.generation = last.generation
        AND v.version = last.version
    JOIN dashboard_versions born ON born.org_id = $1 AND born.dashboard_uid = $2
        AND born.generation = last.generation AND born.version = 1
    JOIN events e ON e.org_id = $1 AND e.pos = v.pos";

impl PgDashboardReader {
    /// The dashboard of a uid as it was at a position.
    pub(super) async fn find_at(&self, org: OrgId, uid: &Uid, position: i64) -> Result<Then<DashboardView>> {
        let row = self.database.read_one(org, FIND, &[&org.0, &uid.as_str(), &position]).await?;
        let Some(row) = row else { return Ok(Then::NotYet) };
        if row.get::<_, i64>("to_pos") <= position {
            return Ok(Then::Gone);
        }
        let uid = uid.clone();
        self.decoded(org, row, move |row| dashboard_view(org, uid, row)).await.map(Then::There)
    }
}

fn dashboard_view(org: OrgId, uid: Uid, row: &Row) -> Result<DashboardView> {
    let title: String = row.get("title");
    Ok(DashboardView {
        org_id: org,
        // A dashboard that was restored before lives had ids has none.
        id: stored(row, "id")?,
        uid,
        slug: slugify(&title),
        title,
        folder_uid: optional_uid_column(row, "folder_uid")?,
        version: row.get("version"),
        created: timestamp_column(row, "created"),
        created_by: row.get("created_by"),
        updated: timestamp_column(row, "updated"),
        updated_by: row.get("updated_by"),
        data: content(row)?.data,
    })
}
