//! The audit log: a page of a log of ten million events, against one of a hundred thousand; and an export, against a copy
//! of the same rows.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
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
use crate::pairs;
use crate::server::Server;
use crate::slice::{Slice, median};

/// Where the log that is exported is kept.
pub(super) const EXPORT_FOLDER: &str = "audit-export-1m";
const SHORT: i64 = 100_000;
const EXPORTED: i64 = 1_000_000;
const LONG: i64 = 10_000_000;
/// How many events are made by one statement.
const STEP: i64 = 500_000;
const CONNECTIONS: usize = 8;
/// How often each side of an export is timed.
const ROUNDS: usize = 3;
/// One of fifty people, and one of ten events.
const PAGE: &str = "/api/audit/events?actor=admin&action=dashboard.deleted&limit=100";

/// Adds to the log of the org `$1` so many events as `$2`, like the last one but for who did what to which dashboard.
const FILL: &str = "INSERT INTO events SELECT org_id, pos + n, 'dashboard-filler-' || n % 1000, 'dashboard',
        pos * 10000 + n, CASE n % 10 WHEN 0 THEN 'dashboard.deleted' ELSE 'dashboard.updated' END, 1,
        recorded_at + n * interval '1 millisecond', 1 + (n / 10) % 50,
        CASE (n / 10) % 50 WHEN 0 THEN 'admin' ELSE 'user-' || (n / 10) % 50 END,
        'filler', 'filler', meta, '{}', 0, ''
    FROM events, generate_series(1, $2::bigint) AS n
    WHERE org_id = $1 AND pos = (SELECT max(pos) FROM events WHERE org_id = $1)";
const MOVE_HEAD: &str = "UPDATE heads SET pos = e.pos, last_at = e.recorded_at FROM events e
    WHERE heads.org_id = $1 AND e.org_id = $1 AND e.pos = (SELECT max(pos) FROM events WHERE org_id = $1)";
/// What an export tells of an event.
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
    let (mut exports, mut copies) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        copies.push(copy_out(&client, org).await?.as_secs_f64());
        exports.push(download(server.address, &api.cookie, org).await?.as_secs_f64());
    }
    crate::report::progress(&format!("  exports {exports:.1?} s, copies {copies:.1?} s"));
    let (ours, theirs) = median(exports).zip(median(copies)).ok_or("nothing was measured")?;
    Ok(Reading::alone(ours / theirs))
}

async fn read(server: &Server, cookie: &str, org: i64, time: Duration) -> Result<Slice> {
    let org = org.to_string();
    let request = render("GET", PAGE, &[("cookie", cookie), ("x-grafana-org-id", &org)], b"");
    let prefix = br#"{"events":[{"#.to_vec();
    let load = Load { address: server.address, until: Until::Elapsed(time), prefix, length: None };
    server.metered(load.repeat(CONNECTIONS, &request)).await
}

async fn copy_out(client: &Client, org: i64) -> Result<Duration> {
    let begun = Instant::now();
    let sql = format!("COPY (SELECT {COPY} FROM events WHERE org_id = {org} ORDER BY pos) TO STDOUT");
    let mut rows = std::pin::pin!(client.copy_out(&sql).await?);
    while rows.try_next().await?.is_some() {}
    Ok(begun.elapsed())
}

/// Reads an export to its end, and looks whether it is complete.
async fn download(address: SocketAddr, cookie: &str, org: i64) -> Result<Duration> {
    let org = org.to_string();
    let headers = [("cookie", cookie), ("x-grafana-org-id", &org), ("connection", "close")];
    let request = render("GET", "/api/audit/events/export?order=oldest", &headers, b"");
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&request).await?;
    let (mut buffer, mut entries) = (vec![0; 256 * 1024], 0_i64);
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        entries += i64::try_from(buffer[..read].split(|byte| *byte == b'}').count() - 1)?;
    }
    // Each entry has four objects: itself, who, what and from where.
    if entries < EXPORTED * 4 {
        return Err(format!("an export ended after about {} entries", entries / 4).into());
    }
    Ok(begun.elapsed())
}

/// Makes the org whose log is exported, unless an earlier run has.
pub(super) async fn fill_exported(client: &Client, api: &mut Api) -> Result<i64> {
    fill(client, api, "Exported log", EXPORTED).await
}

/// Makes an org whose log has so many events, unless an earlier run has.
async fn fill(client: &Client, api: &mut Api, name: &str, events: i64) -> Result<i64> {
    let org = match client.query_opt("SELECT id FROM orgs WHERE name = $1", &[&name]).await? {
        Some(row) => row.get(0),
        None => api.create_org(name).await?,
    };
    let mut filled: i64 = client.query_one("SELECT pos FROM heads WHERE org_id = $1", &[&org]).await?.get(0);
    while filled < events {
        let step = STEP.min(events);
        client.execute(FILL, &[&org, &step]).await?;
        client.execute(MOVE_HEAD, &[&org]).await?;
        filled += step;
        crate::report::progress(&format!("  {filled} events in the log of {name}"));
    }
    client.batch_execute("ANALYZE events").await?;
    Ok(org)
}
