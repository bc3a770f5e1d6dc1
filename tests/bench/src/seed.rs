//! A log of a million dashboards, written without the server: the measurement concerns the cost of storing them, not
//! their creation.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cqrs_es::Aggregate;
use kymograph_domain::content::dashboard::{Dashboard, DashboardContent, DashboardCreated, DashboardEvent};
use kymograph_domain::{StoredEvent, Stream, Uid};
use kymograph_infra::event_store::checksum;
use kymograph_infra::migrate::connect;
use time::OffsetDateTime;
use tokio_postgres::Client;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

use crate::api::Api;
use crate::bench::Bench;
use crate::document::dashboard;
use crate::error::Result;
use crate::report::progress;
use crate::script::content;
use crate::server::Server;

/// The approximate size of a dashboard, in bytes.
pub(crate) const BYTES: usize = 2_000;

const COPY_EVENTS: &str =
    "COPY events (org_id, pos, stream_id, stream_type, version, type, schema_version, recorded_at,
    actor_id, actor_login, causation_id, correlation_id, meta, payload, checksum) FROM STDIN (FORMAT binary)";
const EVENT: [Type; 15] = [
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
const COPY_STREAMS: &str =
    "COPY streams (org_id, stream_id, type, version, state) FROM STDIN (FORMAT binary)";
const STREAM: [Type; 5] = [Type::INT8, Type::TEXT, Type::TEXT, Type::INT8, Type::TEXT];
const META: &str =
    r#"{"auth_method":"basic","token_id":"","ip":"127.0.0.1","user_agent":"curl/8","trace_id":""}"#;
/// Words of titles.
const WORDS: [&str; 10] =
    ["CPU", "Memory", "Disk space", "Network", "Latency", "Errors", "Queues", "Cache", "Cost", "Threads"];

/// The uid of a dashboard, numbered from 1.
pub(crate) fn uid(number: i64) -> String {
    format!("stored-{number:07}")
}

/// Fills an org with this many dashboards, unless an earlier run has, and returns its id.
pub(crate) async fn fill(bench: &Bench, folder: &Path, server: &Server, dashboards: i64) -> Result<i64> {
    let client = connect(&server.postgres().await?).await?;
    let seeded = "SELECT org_id FROM dashboards WHERE uid = $1";
    if let Some(row) = client.query_opt(seeded, &[&uid(dashboards)]).await? {
        return Ok(row.get(0));
    }
    progress(&format!("  writing {dashboards} dashboards"));
    let org = Api::log_in(server.address).await?.create_org("Stored").await?;
    let log = Log { org, dashboards, template: content(&dashboard("stored", BYTES))? };
    client.batch_execute("BEGIN").await?;
    log.write_events(&client).await?;
    log.write_streams(&client).await?;
    let counted = "INSERT INTO counters (org_id, name, value) VALUES ($1, 'object', $2)";
    client.execute(counted, &[&org, &dashboards]).await?;
    client.batch_execute("COMMIT").await?;
    progress("  making their read model");
    rebuild(bench, folder).await?;
    for sql in ["VACUUM ANALYZE", "CHECKPOINT"] {
        client.batch_execute(sql).await?;
    }
    Ok(org)
}

/// Rebuilds the read model of dashboards, by the public subcommand.
pub(crate) async fn rebuild(bench: &Bench, folder: &Path) -> Result<()> {
    let mut command = tokio::process::Command::new(bench.programs.join("kymograph"));
    command.args(["projections", "rebuild", "dashboards"]).current_dir(folder);
    command.env("GF_PATHS_DATA", folder.join("data")).stdout(Stdio::null());
    let output = command.output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(())
}

/// A log that only creates dashboards.
struct Log {
    org: i64,
    dashboards: i64,
    /// The content of all dashboards, except for their uids and titles.
    template: DashboardContent,
}

impl Log {
    fn created(&self, number: i64) -> Result<DashboardEvent> {
        let word = WORDS.get(usize::try_from(number)? % WORDS.len()).copied().unwrap_or_default();
        let content = DashboardContent {
            uid: Uid::try_new(&uid(number))?,
            title: format!("{word} of host-{}", number % 2000),
            ..self.template.clone()
        };
        Ok(DashboardCreated { id: number, generation: 1, content }.into())
    }

    /// Writes the events and the head of the log.
    async fn write_events(&self, client: &Client) -> Result<()> {
        let sql = "SELECT pos, last_at FROM heads WHERE org_id = $1";
        let head = client.query_one(sql, &[&self.org]).await?;
        let (mut position, mut at): (i64, OffsetDateTime) = (head.get(0), head.get(1));
        let writer = BinaryCopyInWriter::new(client.copy_in(COPY_EVENTS).await?, &EVENT);
        let mut writer = std::pin::pin!(writer);
        for number in 1..=self.dashboards {
            let event = self.created(number)?;
            let (payload, stream) = (event.payload()?, format!("dashboard-{}", uid(number)));
            (position, at) = (position + 1, at + Duration::from_micros(1));
            let row: [&(dyn ToSql + Sync); 15] = [
                &self.org,
                &position,
                &stream,
                &Dashboard::TYPE,
                &1_i64,
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
        }
        writer.finish().await?;
        let moved = "UPDATE heads SET pos = $2, last_at = $3 WHERE org_id = $1";
        client.execute(moved, &[&self.org, &position, &at]).await?;
        Ok(())
    }

    /// Writes the states of the streams.
    async fn write_streams(&self, client: &Client) -> Result<()> {
        let writer = BinaryCopyInWriter::new(client.copy_in(COPY_STREAMS).await?, &STREAM);
        let mut writer = std::pin::pin!(writer);
        for number in 1..=self.dashboards {
            let mut state = Dashboard::default();
            state.apply(self.created(number)?);
            let (stream, text) = (Dashboard::stream_id(&state.uid), serde_json::to_string(&state)?);
            let row: [&(dyn ToSql + Sync); 5] =
                [&self.org, &stream.as_str(), &Dashboard::TYPE, &1_i64, &text];
            writer.as_mut().write(&row).await?;
        }
        writer.finish().await?;
        Ok(())
    }
}
