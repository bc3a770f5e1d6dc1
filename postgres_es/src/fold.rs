//! Folds streams of Kymograph's log through `postgres-es`, which shares no code with the event store but the aggregates.

use async_trait::async_trait;
use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateContext, AggregateError, EventStore};
use futures_util::{StreamExt, stream};
use kymograph_app::kernel::reference_fold::{Compare, ReferenceFold, ReferenceState, StreamName};
use kymograph_app::{Error, ErrorKind, Result};
use kymograph_domain::kernel::upcast::upcasters;
use kymograph_domain::registry::{AggregateVisitor, visit};
use kymograph_domain::{OrgId, Stream};
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The log of the current org in the column layout of `postgres-es`.
const VIEW: &str = "postgres_es_events";
/// The maximum number of concurrent folds.
const CONCURRENCY: u8 = 4;

/// Folds streams through `postgres-es`.
pub struct PostgresEsFold {
    options: PgConnectOptions,
}

impl PostgresEsFold {
    /// A fold of the log in this database, which must be reached through a Unix socket: `sqlx` is built without TLS.
    pub fn new(config: &Config) -> Result<Self> {
        let [Host::Unix(folder)] = config.get_hosts() else {
            return Err(Error::internal("the database is not reached through one Unix socket"));
        };
        let mut options = PgConnectOptions::new_without_pgpass().socket(folder).ssl_mode(PgSslMode::Disable);
        if let Some(port) = config.get_ports().first() {
            options = options.port(*port);
        }
        if let Some(user) = config.get_user() {
            options = options.username(user);
        }
        if let Some(name) = config.get_dbname() {
            options = options.database(name);
        }
        if let Some(password) = config.get_password() {
            options = options.password(std::str::from_utf8(password).map_err(Error::internal)?);
        }
        Ok(Self { options })
    }

    /// Connections that see the log of one org.
    fn pool(&self, org: OrgId) -> PgPool {
        let options = self.options.clone().options([("app.org_id", org.to_string())]);
        PgPoolOptions::new().max_connections(CONCURRENCY.into()).connect_lazy_with(options)
    }
}

#[async_trait]
impl ReferenceFold for PostgresEsFold {
    async fn fold(&self, org: OrgId, streams: Vec<StreamName>, compare: Compare<'_>) -> Result<()> {
        let pool = self.pool(org);
        let mut results = stream::iter(streams)
            .map(|StreamName { stream_type, stream_id }| {
                let folding = visit(&stream_type, Fold { pool: pool.clone(), stream: stream_id.clone() });
                async move {
                    let Some(folding) = folding else { return Ok(None) };
                    // A task of its own, because `postgres-es` panics on an event that it cannot read.
                    let folded = match tokio::spawn(folding).await {
                        Ok(Err(error)) if error.kind() == ErrorKind::Unavailable => return Err(error),
                        Ok(folded) => folded.map_err(|error| error.to_string()),
                        Err(panic) => Err(panic.to_string()),
                    };
                    Ok(Some((stream_id, folded)))
                }
            })
            .buffer_unordered(CONCURRENCY.into());
        while let Some(result) = results.next().await {
            if let Some((stream_id, folded)) = result? {
                compare(&stream_id, folded)?;
            }
        }
        drop(results);
        pool.close().await;
        Ok(())
    }
}

struct Fold {
    pool: PgPool,
    stream: String,
}

type Folding = std::pin::Pin<Box<dyn Future<Output = Result<ReferenceState>> + Send>>;

impl AggregateVisitor for Fold {
    type Output = Folding;

    fn visit<A: Stream>(self) -> Folding {
        Box::pin(async move {
            let repository = PostgresEventRepository::new(self.pool).with_tables(VIEW, "snapshots");
            let store = PersistedEventStore::<_, A>::new_event_store(repository).with_upcasters(upcasters());
            let failed = |error: AggregateError<A::Error>| match error {
                AggregateError::DatabaseConnectionError(error) => Error::unavailable(error),
                error => Error::internal(error),
            };
            let mut context = store.load_aggregate(&self.stream).await.map_err(failed)?;
            Ok(ReferenceState {
                version: i64::try_from(context.current_sequence).map_err(Error::internal)?,
                state: serde_json::to_string(context.aggregate()).map_err(Error::internal)?,
            })
        })
    }
}
