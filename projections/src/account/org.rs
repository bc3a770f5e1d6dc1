//! Orgs: the list of tenants.

use async_trait::async_trait;
use kymograph_app::account::org::{OrgReader, OrgView};
use kymograph_app::{Error, Page, Result};
use kymograph_domain::OrgId;
use kymograph_domain::account::org::{Org, OrgEvent};
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
            OrgEvent::Deleted(_) => {
                statements.write("DELETE FROM orgs WHERE id = $1", params![recorded.org.0]);
            }
        }
    }
}

/// Reads `orgs`.
pub struct PgOrgReader {
    database: Database,
}

impl PgOrgReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
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
