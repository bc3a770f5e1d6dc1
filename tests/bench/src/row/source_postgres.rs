//! The processor time of a data source's response with a table of 100,000 rows, against that of `COPY` of the same
//! rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{
    Backend, Query, SourceContext, SourceSecrets, SourceSettings, TimeRange,
};
use kymograph_app::source::room::AnswerShare;
use kymograph_domain::source::data_source::DataSourceContent;
use kymograph_domain::{OrgId, Uid};
use kymograph_infra::compute::ComputeThreads;
use kymograph_infra::migrate::connect;
use kymograph_sources::policy::{Egress, EgressPolicy};
use kymograph_sources::postgres::PostgresBackend;
use serde_json::{Map, json};
use tokio_postgres::NoTls;
use tokio_postgres::config::Host;

use super::Reading;
use crate::bench::Bench;
use crate::error::Result;
use crate::pairs::{compare_cpu, copy_out};
use crate::relay::Relay;
use crate::server::Server;
use crate::tasks::repeat;

const ROWS: usize = 100_000;
const MAX_BYTES: usize = 256 * 1024 * 1024;
const SEED: &str =
    "CREATE TABLE metrics AS SELECT timestamptz '2024-01-01' + n * interval '1 second' AS time,
        'host-' || n % 100 AS host, random() * 100 AS cpu, n * 4096::bigint AS memory, n % 50 <> 0 AS up
    FROM generate_series(1, 100000) AS n";
/// It runs in no transaction, so it is a statement of its own.
const VACUUM: &str = "VACUUM ANALYZE metrics";
const SQL: &str = "SELECT time, host, cpu, memory, up FROM metrics";

/// The processor time of our process and of Postgres for a table as a frame, against a client that discards the rows.
pub(super) async fn frames(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    // The server only provides PostgreSQL; otherwise it is idle.
    let server = Server::start(bench, &folder).await?;
    let database = server.postgres().await?;
    let client = connect(&database).await?;
    client.batch_execute(SEED).await?;
    client.batch_execute(VACUUM).await?;
    let config = database.config();
    let (Some(Host::Unix(socket)), Some(port)) = (config.get_hosts().first(), config.get_ports().first())
    else {
        return Err("Postgres has no socket".into());
    };
    let relay = Relay::start(&socket.join(format!(".s.PGSQL.{port}"))).await?;
    let source = Arc::new(Source::at(&relay)?);
    let rows = source.rows().await?;
    if rows != ROWS {
        return Err(format!("the frame has {rows} rows").into());
    }
    let (copying, connection) = copying(config, &relay).connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    let copying = Arc::new(copying);
    let pid = std::process::id();
    let reading = compare_cpu(
        async || {
            let source = source.clone();
            let ask = move |_| {
                let source = source.clone();
                async move { source.rows().await.map(drop) }
            };
            server.metered_with(pid, repeat(1, bench.slice, ask)).await
        },
        async || {
            let copying = copying.clone();
            let copy = move |_| {
                let copying = copying.clone();
                async move { copy_out(&copying, SQL).await }
            };
            server.metered_with(pid, repeat(1, bench.slice, copy)).await
        },
    )
    .await;
    connection.abort();
    reading
}

/// How to connect through the relay.
fn copying(config: &tokio_postgres::Config, relay: &Relay) -> tokio_postgres::Config {
    let mut copying = tokio_postgres::Config::new();
    copying.host(relay.address.ip().to_string()).port(relay.address.port());
    copying.user(config.get_user().unwrap_or_default()).dbname(config.get_dbname().unwrap_or_default());
    copying
}

/// The Postgres of the server as a data source.
struct Source {
    backend: PostgresBackend,
    source: Arc<SourceSettings>,
    query: Query,
}

impl Source {
    fn at(relay: &Relay) -> Result<Self> {
        let policy = EgressPolicy { allows_loopback: true, ..EgressPolicy::default() };
        let settings = SourceSettings {
            org: OrgId(1),
            id: 1,
            uid: Uid::try_new("measured")?,
            content: DataSourceContent {
                name: "Measured".to_owned(),
                kind: "grafana-postgresql-datasource".to_owned(),
                url: relay.address.to_string(),
                user: "kymograph".to_owned(),
                database: "kymograph".to_owned(),
                json_data: Map::from_iter([("sslmode".to_owned(), json!("disable"))]),
                ..DataSourceContent::default()
            },
            secrets: SourceSecrets(BTreeMap::new()),
            version: 1,
            updated_ms: 0,
        };
        let model =
            Map::from_iter([("rawSql".to_owned(), json!(SQL)), ("format".to_owned(), json!("table"))]);
        let query = Query {
            ref_id: "A".to_owned(),
            query_type: String::new(),
            model: Arc::new(model),
            range: TimeRange { from_ms: 1_704_067_200_000, to_ms: 1_704_153_600_000 },
            interval_ms: 60_000,
            max_data_points: 1000,
        };
        let workers = Workers::on(ComputeThreads::start("bench-source", Workers::turns())?);
        let source = Arc::new(settings);
        Ok(Self { backend: PostgresBackend::new(Egress::new(policy), workers), source, query })
    }

    /// Queries the table, and returns its number of rows.
    async fn rows(&self) -> Result<usize> {
        let share = Arc::new(AnswerShare::alone(self.source.org));
        let source = self.source.clone();
        let context = SourceContext { source, user: None, headers: Vec::new(), max_bytes: MAX_BYTES, share };
        let mut answers = self.backend.query(&context, std::slice::from_ref(&self.query)).await;
        let answer = answers.remove(&self.query.ref_id).ok_or("the query has no answer")?;
        let frames = answer.map_err(|error| error.message)?;
        let field = frames.first().and_then(|frame| frame.fields.first()).ok_or("the frame is empty")?;
        Ok(field.column.len())
    }
}
