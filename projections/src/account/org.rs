//! Orgs: the list of tenants.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::account::org::{OrgReader, OrgView};
use kymograph_app::kernel::cache::{MAX_AGE, ReadCache};
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_app::{Error, Page, Result};
use kymograph_domain::OrgId;
use kymograph_domain::account::org::{AuditSettings, Org, OrgEvent};
use tokio_postgres::Row;

use crate::kernel::database::Database;
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::statement::Statements;
use crate::kernel::text::{contains_pattern, stored};
use crate::params;

/// Keeps `orgs`.
pub struct OrgProjector;

impl Projector for OrgProjector {
    fn name(&self) -> &'static str {
        "orgs"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["orgs"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let Some(event) = recorded.event.of::<OrgEvent>() else { return };
        let at = recorded.recorded_at.date();
        match event {
            OrgEvent::Created(created) => statements.write_keeping(
                "INSERT INTO orgs (id, name, address, created, updated) VALUES ($1, $2, '{}', $3, $3)",
                params![created.id.0, created.name.clone(), at],
                Org::NAME_UNIQUE,
            ),
            OrgEvent::Renamed(renamed) => statements.write_keeping(
                "UPDATE orgs SET name = $2, updated = $3 WHERE id = $1",
                params![recorded.org.0, renamed.name.clone(), at],
                Org::NAME_UNIQUE,
            ),
            OrgEvent::AddressChanged(changed) => statements.write(
                "UPDATE orgs SET address = $2, updated = $3 WHERE id = $1",
                // A struct of texts can always be written as JSON.
                params![recorded.org.0, serde_json::to_string(&changed.address).unwrap_or_default(), at],
            ),
            OrgEvent::AuditChanged(changed) => statements.write(
                "UPDATE orgs SET audits_queries = $2, updated = $3 WHERE id = $1",
                params![recorded.org.0, changed.audit.queries, at],
            ),
            OrgEvent::Deleted(_) => {
                statements.write("DELETE FROM orgs WHERE id = $1", params![recorded.org.0]);
            }
        }
    }
}

/// The maximum number of orgs whose audit settings are cached.
const MAX_CACHED: u64 = 100_000;

/// A cache of what the audit logs of orgs record.
pub type AuditCache = ReadCache<OrgId, AuditSettings>;

/// A cache of audit settings, invalidated by this feed.
#[must_use]
pub fn audit_cache(feed: &Arc<FeedHealth>) -> AuditCache {
    ReadCache::with_entries_for(MAX_CACHED, MAX_AGE).while_live(feed).dropped_by::<Org, OrgId>(|_, org| org)
}

/// Reads `orgs`.
pub struct PgOrgReader {
    database: Database,
    audit: Arc<AuditCache>,
}

impl PgOrgReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database, audit: Arc<AuditCache>) -> Self {
        Self { database, audit }
    }
}

fn org_view(row: &Row) -> Result<OrgView> {
    let address = serde_json::from_str(stored(row, "address")?).map_err(Error::internal)?;
    Ok(OrgView { id: OrgId(row.get("id")), name: row.get("name"), address })
}

#[async_trait]
impl OrgReader for PgOrgReader {
    async fn find_org(&self, id: OrgId) -> Result<Option<OrgView>> {
        let sql = "SELECT id, name, address FROM orgs WHERE id = $1";
        self.database.read_global_one(sql, &[&id.0]).await?.as_ref().map(org_view).transpose()
    }

    async fn find_audit(&self, id: OrgId) -> Result<AuditSettings> {
        let sql = "SELECT audits_queries FROM orgs WHERE id = $1";
        let fetch = async {
            let row = self.database.read_global_one(sql, &[&id.0]).await?;
            Ok(Some(row.map_or_else(AuditSettings::default, |row| AuditSettings { queries: row.get(0) })))
        };
        Ok(self.audit.get_or_fetch(&id, fetch).await?.unwrap_or_default())
    }

    async fn find_org_by_name(&self, name: &str) -> Result<Option<OrgView>> {
        let sql = "SELECT id, name, address FROM orgs WHERE name = $1";
        self.database.read_global_one(sql, &[&name]).await?.as_ref().map(org_view).transpose()
    }

    async fn search_orgs(&self, name: &str, query: &str, page: Page) -> Result<Vec<OrgView>> {
        let sql = "SELECT id, name, address FROM orgs
            WHERE ($1 = '' OR name = $1) AND name ILIKE $2 ORDER BY name, id LIMIT $3 OFFSET $4";
        let pattern = contains_pattern(query);
        let rows = self.database.read_global(sql, &[&name, &pattern, &page.size, &page.offset()]).await?;
        rows.iter().map(org_view).collect()
    }
}
