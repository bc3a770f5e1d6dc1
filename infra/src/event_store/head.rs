//! The cached heads of the orgs' logs.

use kymograph_app::Result;
use kymograph_domain::{OrgId, Timestamp};
use kymograph_projections::Database;
use moka::sync::Cache;

use super::statements::READ_HEAD;

/// The head of an org's log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// The position of the last event, 0 for an empty log.
    pub(super) position: i64,
    /// The time of recording.
    pub(super) last_at: Timestamp,
    /// Whether the org exists. The log of a deleted or missing org accepts no events.
    pub(super) is_open: bool,
}

/// Caches heads. If another server has moved one, the compare-and-set of the head fails, and it is read again.
pub(super) struct Heads(Cache<OrgId, Head>);

impl Default for Heads {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(100_000).build())
    }
}

impl Heads {
    pub(super) async fn get(&self, database: &Database, org: OrgId) -> Result<Head> {
        if let Some(head) = self.0.get(&org) {
            return Ok(head);
        }
        let row = database.read_one(org, READ_HEAD, &[&org.0]).await?;
        let head = row.map_or_else(Head::default, |row| Head {
            position: row.get("pos"),
            last_at: Timestamp::from_date(row.get("last_at")),
            is_open: row.get("is_open"),
        });
        Ok(Head { is_open: head.is_open || org == OrgId::SERVER, ..head })
    }

    pub(super) fn set(&self, org: OrgId, head: Head) {
        self.0.insert(org, head);
    }

    pub(super) fn forget(&self, org: OrgId) {
        self.0.invalidate(&org);
    }
}
