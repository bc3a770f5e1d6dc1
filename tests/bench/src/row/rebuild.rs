//! Making the read model of dashboards anew from a log of a million events, against copying the same events out.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use cqrs_es::Aggregate;
use futures_util::TryStreamExt;
use kymograph_domain::dashboard::{
    Dashboard, DashboardContent, DashboardCreated, DashboardEvent, DashboardUpdated,
};
use kymograph_domain::{StoredEvent, Stream};
use kymograph_infra::event_store::checksum;
use kymograph_infra::migrate::connect;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use super::Reading;
use crate::api::Api;
use crate::bench::Bench;
use crate::document::dashboard;
use crate::error::Result;
use crate::script::content;
use crate::server::Server;
use crate::slice::median;

/// How many dashboards there are, and how many versions each has: a million events together.
const DASHBOARDS: i64 = 10_000;
const VERSIONS: i64 = 100;
const BYTES: usize = 1_400;
/// How often each side is timed.
const ROUNDS: usize = 3;

const COPY_IN: &str =
    "COPY events (org_id, pos, stream_id, stream_type, version, type, schema_version, recorded_at,
    actor_id, actor_login, causation_id, correlation_id, meta, payload, checksum) FROM STDIN (FORMAT binary)";
const TYPES: [Type; 15] = [
    Type::INT8,
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
    Type::TEXT,
    Type::INT4,
    Type::TIMESTAMPTZ,
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
];
const META: &str =
    r#"{"auth_method":"basic","token_id":"","ip":"127.0.0.1","user_agent":"curl/8","trace_id":""}"#;

/// The time of a rebuild, against that of a copy of the events it is made of.
pub(super) async fn dashboards(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.kept_folder(name)?;
    let server = Server::start(bench, &folder).await?;
    let client = connect(&server.postgres().await?).await?;
    let org = seed(&server, &client).await?;
    let (mut rebuilds, mut copies) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        copies.push(copy_out(&client, org).await?.as_secs_f64());
        rebuilds.push(rebuild(bench, &folder).await?.as_secs_f64());
    }
    crate::report::progress(&format!("rebuilds {rebuilds:.1?} s, copies {copies:.1?} s"));
    let (ours, theirs) = median(rebuilds).zip(median(copies)).ok_or("nothing was measured")?;
    let rows = "SELECT (SELECT count(*) FROM dashboards WHERE org_id = $1),
        (SELECT count(*) FROM dashboard_versions WHERE org_id = $1)";
    let rows = client.query_one(rows, &[&org]).await?;
    if (rows.get::<_, i64>(0), rows.get::<_, i64>(1)) != (DASHBOARDS, DASHBOARDS * VERSIONS) {
        return Err("the rebuilt tables lack rows".into());
    }
    Ok(Reading::alone(ours / theirs))
}

/// Takes the events as a client that keeps nothing of them.
async fn copy_out(client: &Client, org: i64) -> Result<Duration> {
    let begun = Instant::now();
    let sql = format!("COPY (SELECT * FROM events WHERE org_id = {org}) TO STDOUT");
    let mut rows = std::pin::pin!(client.copy_out(&sql).await?);
    while rows.try_next().await?.is_some() {}
    Ok(begun.elapsed())
}

/// Runs the subcommand as anybody does.
async fn rebuild(bench: &Bench, folder: &Path) -> Result<Duration> {
    let begun = Instant::now();
    let mut command = tokio::process::Command::new(bench.programs.join("kymograph"));
    command.args(["projections", "rebuild", "dashboards"]).current_dir(folder);
    command.env("GF_PATHS_DATA", folder.join("data")).stdout(Stdio::null());
    let output = command.output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(begun.elapsed())
}

/// Writes the log, unless an earlier run has: what is measured is what its length costs, not how it came to be.
async fn seed(server: &Server, client: &Client) -> Result<i64> {
    let seeded = "SELECT org_id FROM heads WHERE pos > $1 ORDER BY 1 LIMIT 1";
    if let Some(row) = client.query_opt(seeded, &[&(DASHBOARDS * VERSIONS)]).await? {
        return Ok(row.get(0));
    }
    let org = Api::log_in(server.address).await?.create_org("Long").await?;
    client.batch_execute("BEGIN").await?;
    let states = write_events(client, org).await?;
    for state in &states {
        let (stream, text) = (Dashboard::stream_id(&state.uid), serde_json::to_string(state)?);
        let sql = "INSERT INTO streams (org_id, stream_id, type, version, state) VALUES ($1, $2, $3, $4, $5)";
        client.execute(sql, &[&org, &stream.as_str(), &Dashboard::TYPE, &VERSIONS, &text]).await?;
    }
    let counted = "INSERT INTO counters (org_id, name, value) VALUES ($1, 'object', $2)";
    client.execute(counted, &[&org, &DASHBOARDS]).await?;
    for sql in ["COMMIT", "VACUUM ANALYZE events", "CHECKPOINT"] {
        client.batch_execute(sql).await?;
    }
    Ok(org)
}

/// Writes the events and the end of the log, and returns what the events fold to.
async fn write_events(client: &Client, org: i64) -> Result<Vec<Dashboard>> {
    let sql = "SELECT pos, last_at FROM heads WHERE org_id = $1";
    let head = client.query_one(sql, &[&org]).await?;
    let (mut position, mut at): (i64, OffsetDateTime) = (head.get(0), head.get(1));
    let writer = BinaryCopyInWriter::new(client.copy_in(COPY_IN).await?, &TYPES);
    let mut writer = std::pin::pin!(writer);
    let mut contents = (0..DASHBOARDS)
        .map(|number| content(&dashboard(&format!("long-{number:05}"), BYTES)))
        .collect::<Result<Vec<_>>>()?;
    let mut states = vec![Dashboard::default(); contents.len()];
    for version in 1..=VERSIONS {
        for ((number, content), state) in (1..).zip(&mut contents).zip(&mut states) {
            content.message = format!("version {version}");
            let event = event(number, version, content);
            let (payload, stream) = (event.payload()?, Dashboard::stream_id(&content.uid));
            (position, at) = (position + 1, at + Duration::from_micros(1));
            let row: [&(dyn ToSql + Sync); 15] = [
                &org,
                &position,
                &stream.as_str(),
                &Dashboard::TYPE,
                &version,
                &event.stored_type(),
                &event.schema_version(),
                &at,
                &1_i64,
                &"admin",
                &"seed",
                &"seed",
                &META,
                &payload,
                &checksum(&payload),
            ];
            writer.as_mut().write(&row).await?;
            state.apply(event);
        }
    }
    writer.finish().await?;
    client
        .execute("UPDATE heads SET pos = $2, last_at = $3 WHERE org_id = $1", &[&org, &position, &at])
        .await?;
    Ok(states)
}

fn event(number: i64, version: i64, content: &DashboardContent) -> DashboardEvent {
    let content = content.clone();
    if version == 1 {
        return DashboardCreated { id: number, generation: 1, content }.into();
    }
    DashboardUpdated { generation: 1, version, content }.into()
}
