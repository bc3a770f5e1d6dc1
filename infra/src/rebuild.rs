//! Makes the tables of a projection anew from the log, while they are used, and puts them in the place of the old ones.
//!
//! The log is replayed into tables of the schema `rebuild`. When they have almost caught up, writing is stopped for the
//! moment that the rest takes, and the old tables give way. See `docs/adr/0019-rebuild.md`.

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

/// The advisory lock that a rebuild holds, and that a verification shares: what it reads must not be replaced.
pub(crate) const LOCK: i64 = 0x006b_796d_7262;

/// How long the lock is waited for: as long as PostgreSQL may take to notice that a process was killed.
const WAIT_FOR_LOCK: Duration = Duration::from_secs(3);

/// From how many events on another round of catching up is worth its time.
const FEW: i64 = 2_000;
/// How many rounds there are at most: who writes faster than we read must wait in the end.
const MAX_ROUNDS: usize = 20;

/// What has become of a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Its name.
    pub name: &'static str,
    /// Its tables.
    pub tables: &'static [&'static str],
    /// How many events were replayed.
    pub events: u64,
    /// For how long nobody could write.
    pub pause: Duration,
}

/// What is known of a projection.
#[derive(Clone, Debug)]
pub struct Projection {
    /// Its name.
    pub name: &'static str,
    /// Its tables.
    pub tables: Vec<ProjectionTable>,
    /// What is being done to it.
    pub state: ProjectionState,
}

/// A table of a projection.
#[derive(Clone, Debug)]
pub struct ProjectionTable {
    /// Its name.
    pub name: &'static str,
    /// About how many rows it has.
    pub rows: i64,
    /// How many bytes it has on disk, with its indexes.
    pub bytes: i64,
}

/// What is being done to a projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectionState {
    /// It is kept with each event.
    Current,
    /// It is kept with each event, and somebody is making it anew.
    Rebuilding,
    /// It is kept with each event, and somebody began to make it anew and did not end.
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

/// Makes a projection anew, or each of them in turn. What has become of each is told at once, because the next may fail.
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

/// Fails if Citus has distributed a table: the one that takes its place would be on the coordinator alone.
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

/// Fails if the schema is not the one that the projectors of this program are made for.
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
            let message = "a rebuild or a verification is under way: try again when it has ended";
            Err(Error::new(ErrorKind::Stale, message))
        }
        Err(error) => Err(failed(error)),
    }
}

/// An error of the database with all that it says: whoever rebuilds is no client of the API.
fn failed(error: tokio_postgres::Error) -> Error {
    let detail = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
    Error::internal(detail)
}
