//! Checks whether an import fits into the limits of an org.

use std::collections::BTreeMap;

use kymograph_app::account::quota::QuotaLimits;
use kymograph_app::{Error, ErrorKind, Result};
use kymograph_domain::OrgId;
use kymograph_domain::account::quota::QuotaTarget;
use tokio_postgres::GenericClient;

use super::limit::LOCK_TOTAL;
use crate::kernel::database::database_error;

const OF_ORG: &str =
    "SELECT used, coalesce(max, $3) AS max FROM quotas WHERE owner_org_id = $1 AND target = $2";
const OF_ALL: &str = "SELECT coalesce(sum(used), 0)::bigint FROM quotas WHERE target = $1";

/// Fails unless an org may have so many more of each target. The counts of the client's transaction are included, and
/// block other transactions until it ends.
pub async fn must_have_room(
    client: &impl GenericClient,
    limits: &QuotaLimits,
    org: OrgId,
    more: &BTreeMap<QuotaTarget, i64>,
) -> Result<()> {
    for (target, more) in more {
        let (name, default) = (target.as_str(), limits.of_each(*target));
        let row = client.query_one(OF_ORG, &[&org.0, &name, &default]).await;
        let row = row.map_err(|error| database_error(&error))?;
        must_fit(&format!("org {org}"), name, row.get::<_, i64>("used") + more, row.get("max"))?;
        if let Some(limit) = limits.of_all(*target) {
            client.batch_execute(LOCK_TOTAL).await.map_err(|error| database_error(&error))?;
            let row = client.query_one(OF_ALL, &[&name]).await.map_err(|error| database_error(&error))?;
            must_fit("the server", name, row.get::<_, i64>(0) + more, limit)?;
        }
    }
    Ok(())
}

fn must_fit(whose: &str, target: &str, number: i64, limit: i64) -> Result<()> {
    if limit < 0 || number <= limit {
        return Ok(());
    }
    let message = format!("Quota reached: {whose} would have {number} ({target}), the limit is {limit}");
    Err(Error::new(ErrorKind::Exhausted, message))
}
