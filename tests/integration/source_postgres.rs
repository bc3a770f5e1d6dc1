//! PostgreSQL as a data source: its values compared with those of a plain client, and its errors.

mod frames;
mod hostile;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{
    Backend, Query, QueryError, QueryResult, SourceContext, SourceSecrets, SourceSettings, TimeRange,
};
use kymograph_app::source::room::AnswerShare;
use kymograph_domain::source::data_source::DataSourceContent;
use kymograph_domain::source::frame::{Column, Frame};
use kymograph_domain::{OrgId, Uid};
use kymograph_infra::compute::ComputeThreads;
use kymograph_infra::migrate::connect;
use kymograph_sources::policy::{Egress, EgressPolicy};
use kymograph_sources::postgres::PostgresBackend;
use serde_json::{Value, json};
use tokio_postgres::Client;
use zeroize::Zeroizing;

use crate::tls::{ANN, TlsPostgres};

const MIB: usize = 1024 * 1024;

/// A backend and a source for its queries.
struct Source {
    backend: PostgresBackend,
    context: SourceContext,
}

impl Source {
    /// A source at a port of this machine.
    fn at(port: u16, json_data: Value) -> Self {
        Self::with_secrets(port, json_data, &[("password", "secret")])
    }

    fn with_secrets(port: u16, json_data: Value, secrets: &[(&str, &str)]) -> Self {
        let policy = EgressPolicy { allows_loopback: true, ..EgressPolicy::default() };
        let secrets: BTreeMap<_, _> = secrets
            .iter()
            .map(|(name, secret)| ((*name).to_owned(), Zeroizing::new((*secret).to_owned())))
            .collect();
        let source = SourceSettings {
            org: OrgId(1),
            id: 1,
            uid: Uid::try_new("numbers").unwrap(),
            content: DataSourceContent {
                name: "Numbers".to_owned(),
                kind: "grafana-postgresql-datasource".to_owned(),
                url: format!("localhost:{port}"),
                user: "ann".to_owned(),
                database: "kymograph".to_owned(),
                json_data: json_data.as_object().unwrap().clone(),
                ..DataSourceContent::default()
            },
            secrets: SourceSecrets(secrets),
            version: 1,
            updated_ms: 0,
        };
        let workers = Workers::on(ComputeThreads::start("source-test", Workers::turns()).unwrap());
        Self {
            backend: PostgresBackend::new(Egress::new(policy), workers),
            context: SourceContext {
                source: Arc::new(source),
                user: None,
                headers: Vec::new(),
                max_bytes: 64 * MIB,
                share: Arc::new(AnswerShare::alone(OrgId(1))),
            },
        }
    }

    /// Changes the settings of the source.
    fn change(&mut self, change: impl FnOnce(&mut SourceSettings)) {
        change(Arc::make_mut(&mut self.context.source));
    }

    async fn answer(&self, query: Query) -> QueryResult {
        let share = Arc::new(AnswerShare::alone(OrgId(1)));
        let context = SourceContext { share, ..self.context.clone() };
        self.backend.query(&context, &[query]).await.remove("A").unwrap()
    }

    /// The only frame of a query; fails the test on an error.
    async fn frame(&self, model: Value) -> Frame {
        let answer = self.answer(query(&model)).await;
        answer.unwrap_or_else(|error| panic!("{model}: {error:?}")).remove(0)
    }

    async fn table(&self, sql: &str) -> Frame {
        self.frame(json!({"rawSql": sql, "format": "table"})).await
    }

    async fn error(&self, model: Value) -> QueryError {
        self.answer(query(&model)).await.expect_err(&model.to_string())
    }

    async fn refusal(&self, sql: &str) -> QueryError {
        self.error(json!({"rawSql": sql, "format": "table"})).await
    }
}

/// A query over the first hour of 2024.
fn query(model: &Value) -> Query {
    let range = TimeRange { from_ms: 1_704_067_200_000, to_ms: 1_704_070_800_000 };
    Query {
        ref_id: "A".to_owned(),
        query_type: String::new(),
        model: Arc::new(model.as_object().unwrap().clone()),
        range,
        interval_ms: 60_000,
        max_data_points: 100,
    }
}

/// A server, a source for it, and a plain client.
async fn start(name: &str) -> (TlsPostgres, Source, Client) {
    let postgres = TlsPostgres::start(name).await;
    let client = connect(&postgres.server(ANN, "sslmode=disable").await.unwrap()).await.unwrap();
    let source = Source::at(postgres.port, json!({"sslmode": "disable"}));
    (postgres, source, client)
}

fn column<'a>(frame: &'a Frame, name: &str) -> &'a Column {
    let field = frame.fields.iter().find(|field| field.name == name);
    &field.unwrap_or_else(|| panic!("{name} is missing in {:?}", frame.fields)).column
}

fn texts(frame: &Frame, name: &str) -> Vec<Option<String>> {
    match column(frame, name) {
        Column::Text(cells) | Column::Json(cells) => cells.iter().map(Option::<&String>::cloned).collect(),
        other => panic!("{other:?}"),
    }
}

fn numbers(frame: &Frame, name: &str) -> Vec<Option<f64>> {
    match column(frame, name) {
        Column::Float64(cells) => cells.iter().map(Option::<&f64>::cloned).collect(),
        other => panic!("{other:?}"),
    }
}

fn times(frame: &Frame, name: &str) -> Vec<Option<i64>> {
    match column(frame, name) {
        Column::Time(cells) => cells.iter().map(Option::<&i64>::cloned).collect(),
        other => panic!("{other:?}"),
    }
}

fn notices(frame: &Frame) -> Vec<&str> {
    frame.meta.as_ref().unwrap().notices.iter().map(|notice| notice.text.as_str()).collect()
}
