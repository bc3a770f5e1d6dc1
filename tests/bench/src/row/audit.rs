//! The audit log: a page of a log of ten million events, against one of a hundred thousand; and an export, against a
//! copy of the same rows.

use std::net::SocketAddr;
use std::time::Duration;

use kymograph_infra::migrate::connect;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::Client;

use super::Reading;
use crate::api::Api;
use crate::bench::Bench;
use crate::error::Result;
use crate::http::render;
use crate::load::{Load, Until};
use crate::pairs::{self, copy_out};
use crate::server::Server;
use crate::slice::Slice;

/// The folder of the exported log.
pub(super) const EXPORT_FOLDER: &str = "audit-export-1m";
const SHORT: i64 = 100_000;
const EXPORTED: i64 = 1_000_000;
const LONG: i64 = 10_000_000;
/// The number of events created by one statement.
const STEP: i64 = 500_000;
const CONNECTIONS: usize = 8;
/// The actor is one of fifty, the action one of ten events.
const PAGE: &str = "/api/audit/events?actor=admin&action=dashboard.deleted&limit=100";

/// Adds `$2` events to the log of the org `$1`, like the last one except for the actor, the action and the dashboard.
const FILL: &str = "INSERT INTO events SELECT org_id, pos + n, 'dashboard-filler-' || n % 1000, 'dashboard',
        pos * 10000 + n, CASE n % 10 WHEN 0 THEN 'dashboard.deleted' ELSE 'dashboard.updated' END, 1,
        recorded_at + n * interval '1 millisecond', 1 + (n / 10) % 50,
        CASE (n / 10) % 50 WHEN 0 THEN 'admin' ELSE 'user-' || (n / 10) % 50 END,
        'filler', 'filler', meta, '{}', 0, ''
    FROM events, generate_series(1, $2::bigint) AS n
    WHERE org_id = $1 AND pos = (SELECT max(pos) FROM events WHERE org_id = $1)";
const MOVE_HEAD: &str = "UPDATE heads SET pos = e.pos, last_at = e.recorded_at FROM events e
    WHERE heads.org_id = $1 AND e.org_id = $1 AND e.pos = (SELECT max(pos) FROM events WHERE org_id = $1)";
/// The statements that drop and create each index of the log except the primary key.
const INDEXES: &str = "SELECT CASE WHEN c.oid IS NULL THEN format('DROP INDEX %s', i.indexrelid::regclass)
            ELSE format('ALTER TABLE events DROP CONSTRAINT %I', c.conname) END,
        CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
            ELSE format('ALTER TABLE events ADD CONSTRAINT %I %s', c.conname, pg_get_constraintdef(c.oid)) END
    FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
    WHERE i.indrelid = 'events'::regclass AND NOT i.indisprimary ORDER BY i.indexrelid";
/// The columns of an event in an export.
const COPY: &str =
    "pos, stream_id, version, type, schema_version, recorded_at, actor_id, actor_login, causation_id,
    correlation_id, trace_id, meta";

/// The time of a page of a long log, against that of one of a short log.
pub(super) async fn page(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.kept_folder(name)?;
    let server = Server::start(bench, &folder).await?;
    let client = connect(&server.postgres().await?).await?;
    let mut api = Api::log_in(server.address).await?;
    let short = fill(&client, &mut api, "Short log", SHORT).await?;
    let long = fill(&client, &mut api, "Long log", LONG).await?;
    let reading = pairs::compare(
        async || read(&server, &api.cookie, long, bench.slice).await,
        async || read(&server, &api.cookie, short, bench.slice).await,
    );
    Ok(reading.await?.into_time())
}

/// The time of an export of a million entries, against that of a copy of the same rows.
pub(super) async fn export(bench: &Bench, _: &str) -> Result<Reading> {
    let folder = bench.kept_folder(EXPORT_FOLDER)?;
    let server = Server::start(bench, &folder).await?;
    let client = connect(&server.postgres().await?).await?;
    let mut api = Api::log_in(server.address).await?;
    let org = fill_exported(&client, &mut api).await?;
    let events = format!("SELECT {COPY} FROM events WHERE org_id = {org} ORDER BY pos");
    pairs::compare_runs(
        async || download(server.address, &api.cookie, org).await,
        async || copy_out(&client, &events).await,
    )
    .await
}

async fn read(server: &Server, cookie: &str, org: i64, time: Duration) -> Result<Slice> {
    let org = org.to_string();
    let request = render("GET", PAGE, &[("cookie", cookie), ("x-grafana-org-id", &org)], b"");
    let prefix = br#"{"events":[{"#.to_vec();
    let load = Load { address: server.address, until: Until::Elapsed(time), prefix, length: None };
    server.metered(load.repeat(CONNECTIONS, &request)).await
}

/// Reads an export to its end, and checks that it is complete.
async fn download(address: SocketAddr, cookie: &str, org: i64) -> Result<()> {
    let org = org.to_string();
    let headers = [("cookie", cookie), ("x-grafana-org-id", &org), ("connection", "close")];
    let request = render("GET", "/api/audit/events/export?order=oldest", &headers, b"");
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&request).await?;
    let (mut buffer, mut entries) = (vec![0; 256 * 1024], 0_i64);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        entries += buffer[..read].iter().map(|byte| i64::from(*byte == b'}')).sum::<i64>();
    }
    // Each entry has four objects: itself, the actor, the target and the origin.
    if entries < EXPORTED * 4 {
        return Err(format!("an export ended after about {} entries", entries / 4).into());
    }
    Ok(())
}

/// Creates the org of the exported log, unless an earlier run has.
pub(super) async fn fill_exported(client: &Client, api: &mut Api) -> Result<i64> {
    fill(client, api, "Exported log", EXPORTED).await
}

/// Creates an org whose log has this many events, unless an earlier run has.
async fn fill(client: &Client, api: &mut Api, name: &str, events: i64) -> Result<i64> {
    let org = match client.query_opt("SELECT id FROM orgs WHERE name = $1", &[&name]).await? {
        Some(row) => row.get(0),
        None => api.create_org(name).await?,
    };
    let filled: i64 = client.query_one("SELECT pos FROM heads WHERE org_id = $1", &[&org]).await?.get(0);
    if filled < events {
        // An interrupted run leaves neither a part of the events nor a table without its indexes.
        client.batch_execute("BEGIN; SET LOCAL maintenance_work_mem = '1GB'").await?;
        write(client, org, name, events - filled).await?;
        for sql in ["COMMIT", "VACUUM ANALYZE events", "CHECKPOINT"] {
            client.batch_execute(sql).await?;
        }
    }
    Ok(org)
}

/// Adds this many events to a log. All indexes except the primary key are created afterwards, which takes a fraction of
/// the time.
async fn write(client: &Client, org: i64, name: &str, events: i64) -> Result<()> {
    let indexes = client.query(INDEXES, &[]).await?;
    for index in &indexes {
        client.batch_execute(index.get(0)).await?;
    }
    let mut written = 0;
    while written < events {
        let step = STEP.min(events - written);
        client.execute(FILL, &[&org, &step]).await?;
        written += step;
        crate::report::progress(&format!("  {written} of {events} events in the log of {name}"));
    }
    client.execute(MOVE_HEAD, &[&org]).await?;
    for index in &indexes {
        client.batch_execute(index.get(1)).await?;
    }
    Ok(())
}
