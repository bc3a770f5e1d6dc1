//! Rebuilds the tables of a projection from the log, while they are in use, and then replaces the old ones.
//!
//! The log is replayed into shadow tables in the schema `rebuild`. When they have almost caught up, writes are blocked
//! while the rest is replayed, and the shadow tables replace the old ones. See `docs/adr/0019-rebuild.md`.

mod replay;
mod shadow;
mod switch;

use std::time::Duration;

use kymograph_app::{Error, ErrorKind, Result};
use kymograph_projections::{Projector, projectors};
use tokio_postgres::Client;

use crate::database_server::DatabaseServer;
use crate::migrate::{connect, latest_version};
use crate::progress::Report;
use replay::Replay;
use shadow::Shadow;

/// The advisory lock that a rebuild holds, and that a verification shares: its tables must not be replaced.
pub(crate) const LOCK: i64 = 0x006b_796d_7262;

/// The timeout of the lock: the time in which PostgreSQL notices a killed process.
const WAIT_FOR_LOCK: Duration = Duration::from_secs(3);

/// The number of remaining events that justifies another round of catching up.
const FEW: i64 = 2_000;
/// The maximum number of rounds: a faster writer has to wait in the end.
const MAX_ROUNDS: usize = 20;

/// The result of a rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Its name.
    pub name: &'static str,
    /// Its tables.
    pub tables: &'static [&'static str],
    /// The number of replayed events.
    pub events: u64,
    /// For how long writes were blocked.
    pub pause: Duration,
}

/// A projection with its state.
#[derive(Clone, Debug)]
pub struct Projection {
    /// Its name.
    pub name: &'static str,
    /// Its tables.
    pub tables: Vec<ProjectionTable>,
    /// Its state.
    pub state: ProjectionState,
}

/// A table of a projection.
#[derive(Clone, Debug)]
pub struct ProjectionTable {
    /// Its name.
    pub name: &'static str,
    /// The estimated number of rows.
    pub rows: i64,
    /// Its size on disk in bytes, including indexes.
    pub bytes: i64,
}

/// The state of a projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionState {
    /// It is maintained inline.
    Current,
    /// It is maintained inline, and being rebuilt.
    Rebuilding,
    /// It is maintained inline, and a rebuild was aborted.
    Abandoned,
}

/// All projections.
pub async fn list(server: &DatabaseServer) -> Result<Vec<Projection>> {
    let client = connect(server).await?;
    check_schema(&client).await?;
    let sql = "SELECT c.relname::text, coalesce(s.n_live_tup, 0), pg_total_relation_size(c.oid),
            to_regclass('rebuild.' || quote_ident(c.relname)) IS NOT NULL,
            EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND (classid::bigint << 32) + objid::bigint = $1)
        FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'";
    let rows = client.query(sql, &[&LOCK]).await.map_err(Error::internal)?;
    let projections = projectors().into_iter().map(|projector| {
        let of = |table: &str| rows.iter().find(|row| row.get::<_, &str>(0) == table);
        let tables: Vec<_> = projector.tables().iter().map(|table| (*table, of(table))).collect();
        let has_shadow = tables.iter().any(|(_, row)| row.is_some_and(|row| row.get(3)));
        let is_running = rows.first().is_some_and(|row| row.get(4));
        Projection {
            name: projector.name(),
            state: match (has_shadow, is_running) {
                (false, _) => ProjectionState::Current,
                (true, true) => ProjectionState::Rebuilding,
                (true, false) => ProjectionState::Abandoned,
            },
            tables: tables
                .into_iter()
                .map(|(name, row)| ProjectionTable {
                    name,
                    rows: row.map(|row| row.get(1)).unwrap_or_default(),
                    bytes: row.map(|row| row.get(2)).unwrap_or_default(),
                })
                .collect(),
        }
    });
    Ok(projections.collect())
}

/// Rebuilds a projection, or each of them in turn. Each result is reported at once, because the next rebuild may fail.
pub async fn rebuild(
    server: &DatabaseServer,
    name: Option<&str>,
    report: Report<'_>,
    mut done: impl FnMut(&Rebuilt),
) -> Result<()> {
    let all = projectors();
    let wanted: Vec<_> =
        all.iter().filter(|projector| name.is_none_or(|name| projector.name() == name)).collect();
    if wanted.is_empty() {
        let names: Vec<_> = all.iter().map(|projector| projector.name()).collect();
        return Err(Error::invalid(format!("unknown projection: use {}", names.join(", "))));
    }
    let mut client = connect(server).await?;
    check_schema(&client).await?;
    take_lock(&client).await?;
    for projector in wanted {
        done(&rebuild_one(server, &mut client, &**projector, &all, report).await?);
    }
    Ok(())
}

async fn rebuild_one(
    server: &DatabaseServer,
    client: &mut Client,
    projector: &dyn Projector,
    all: &[Box<dyn Projector>],
    report: Report<'_>,
) -> Result<Rebuilt> {
    let running = all.iter().filter(|other| {
        let is_read = other.tables().iter().any(|table| projector.touches().contains(table));
        other.name() == projector.name() || is_read
    });
    let running: Vec<&dyn Projector> = running.map(|projector| &**projector).collect();
    must_be_local(client, projector).await?;
    let shadow = Shadow::create(client, projector, &running).await?;
    let mut replay = Replay::begin(server, running).await?;
    replay.catch_up(projector.name(), report).await?;
    replay.check_read(projector).await?;
    shadow.complete(server).await?;
    for _ in 0..MAX_ROUNDS {
        if replay.catch_up(projector.name(), report).await? < FEW {
            break;
        }
    }
    let pause = switch::switch(client, &shadow, &mut replay).await?;
    Ok(Rebuilt { name: projector.name(), tables: projector.tables(), events: replay.events(), pause })
}

/// Fails if Citus has distributed a table: its replacement would be on the coordinator alone.
async fn must_be_local(client: &Client, projector: &dyn Projector) -> Result<()> {
    let has_citus = "SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL";
    if !client.query_one(has_citus, &[]).await.map_err(failed)?.get::<_, bool>(0) {
        return Ok(());
    }
    let sql =
        "SELECT c.relname::text FROM pg_catalog.pg_dist_partition d JOIN pg_class c ON c.oid = d.logicalrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1) LIMIT 1";
    match client.query_opt(sql, &[&projector.tables()]).await.map_err(failed)? {
        Some(row) => {
            let table: &str = row.get(0);
            let message = format!("the table {table} is distributed, and a rebuild would make it local");
            Err(Error::invalid(message))
        }
        None => Ok(()),
    }
}

/// Fails if the schema version differs from that of this program's projectors.
pub(crate) async fn check_schema(client: &Client) -> Result<()> {
    let found: Option<i32> = client
        .query_one("SELECT max(version) FROM schema_migrations", &[])
        .await
        .map_err(|error| Error::internal(format!("the database has no Kymograph schema: {error}")))?
        .get(0);
    if found == Some(latest_version()) {
        return Ok(());
    }
    Err(Error::internal(format!("the schema has version {found:?}, this program knows {}", latest_version())))
}

async fn take_lock(client: &Client) -> Result<()> {
    let wait = format!("SET lock_timeout = '{}ms'", WAIT_FOR_LOCK.as_millis());
    client.batch_execute(&wait).await.map_err(failed)?;
    let taken = client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await;
    client.batch_execute("RESET lock_timeout").await.map_err(failed)?;
    match taken {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(&tokio_postgres::error::SqlState::LOCK_NOT_AVAILABLE) => {
            let message = "a rebuild or a verification is running: try again later";
            Err(Error::new(ErrorKind::Stale, message))
        }
        Err(error) => Err(failed(error)),
    }
}

/// An error of the database with all details: the user is not a client of the API.
fn failed(error: tokio_postgres::Error) -> Error {
    let detail = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    Error::internal(detail)
}
