//! Numeric ids from counters in the database.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::kernel::id_allocator::{IdAllocator, IdKind};
use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use kymograph_projections::Database;
use moka::sync::Cache;
use tokio::sync::Mutex;

/// The block size of object ids. Unused ids of a block are lost at a restart.
const OBJECT_BLOCK: i64 = 20;

/// Allocates ids, those of objects in blocks to save round trips.
pub struct PgIdAllocator {
    database: Database,
    blocks: Cache<(OrgId, IdKind), Arc<Mutex<Block>>>,
}

/// Allocated but unused ids.
#[derive(Default)]
struct Block {
    next: i64,
    last: i64,
}

impl PgIdAllocator {
    /// An allocator on the counters of this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database, blocks: Cache::builder().max_capacity(20_000).build() }
    }

    async fn take(&self, org: OrgId, kind: IdKind, size: i64) -> Result<Block> {
        let sql = "INSERT INTO counters (org_id, name, value) VALUES ($1, $2, $3)
            ON CONFLICT (org_id, name) DO UPDATE SET value = counters.value + excluded.value RETURNING value";
        let rows = self.database.write(org, sql, &[&org.0, &kind.counter(), &size]).await?;
        let last =
            rows.first().ok_or_else(|| Error::internal("a counter returned no value"))?.get::<_, i64>(0);
        Ok(Block { next: last - size + 1, last })
    }
}

#[async_trait]
impl IdAllocator for PgIdAllocator {
    async fn next_id(&self, org: OrgId, kind: IdKind) -> Result<i64> {
        let size = match kind {
            IdKind::Org | IdKind::User => 1,
            IdKind::Object => OBJECT_BLOCK,
        };
        let block = self.blocks.get_with((org, kind), || Arc::new(Mutex::new(Block { next: 1, last: 0 })));
        let mut block = block.lock().await;
        if block.next > block.last {
            *block = self.take(org, kind, size).await?;
        }
        let id = block.next;
        block.next += 1;
        Ok(id)
    }
}
