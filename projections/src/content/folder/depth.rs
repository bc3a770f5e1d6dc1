//! The depth of existing folders, to which an import adds.

use std::collections::BTreeMap;

use kymograph_app::Result;
use kymograph_domain::{OrgId, Uid};
use tokio_postgres::GenericClient;

use crate::kernel::database::database_error;
use crate::kernel::text::uid_column;

const DEPTHS: &str = "WITH RECURSIVE up (uid, parent_uid, depth) AS (
        SELECT uid, parent_uid, 1 FROM folders WHERE org_id = $1 AND uid = ANY ($2)
        UNION ALL
        SELECT up.uid, f.parent_uid, depth + 1 FROM up JOIN folders f ON f.org_id = $1 AND f.uid = up.parent_uid
        WHERE depth < 10)
    SELECT uid, max(depth)::bigint AS depth FROM up GROUP BY uid";

/// The depths of those folders that exist; the depth of a folder at the root is 1. The client's transaction has their
/// org as its tenant.
pub async fn folder_depths(
    client: &impl GenericClient,
    org: OrgId,
    folders: impl IntoIterator<Item = &Uid>,
) -> Result<BTreeMap<Uid, usize>> {
    let uids: Vec<_> = folders.into_iter().map(Uid::as_str).collect();
    let rows = client.query(DEPTHS, &[&org.0, &uids]).await.map_err(|error| database_error(&error))?;
    let depth = |depth: i64| usize::try_from(depth).unwrap_or(usize::MAX);
    rows.iter().map(|row| Ok((uid_column(row, "uid")?, depth(row.get("depth"))))).collect()
}
