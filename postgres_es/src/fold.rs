//! Folds streams through `postgres-es`, which shares no code with our fold but the aggregates, and compares.

use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateContext, AggregateError, EventStore};
use futures_util::{StreamExt, stream};
use kymograph_app::{Error, ErrorKind, Result};
use kymograph_domain::kernel::upcast::upcasters;
use kymograph_domain::registry::{AggregateVisitor, visit};
use kymograph_domain::{OrgId, Stream};
use postgres_es::PostgresEventRepository;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use tokio_postgres::Config;

use super::log::is_same_json;
use super::tunnel::Tunnel;
use super::{FoldedStreams, Report};

/// The log of the current org in the column layout of `postgres-es`.
const VIEW: &str = "postgres_es_events";
/// How many streams are folded at once.
const CONCURRENCY: u8 = 4;

/// Folds an org's streams again and compares them with ours. A stream that a server has written to since the
/// snapshot is compared by nobody; it is for the next verification.
pub(super) async fn check(
    tunnel: &Tunnel,
    config: &Config,
    org: OrgId,
    streams: &FoldedStreams,
    report: &mut Report,
) -> Result<()> {
    let pool = pool(tunnel, config, org)?;
    let mut results = stream::iter(streams.iter().filter(|(_, folded)| folded.is_readable))
        .map(|(name, folded)| {
            let pool = pool.clone();
            async move {
                let fold = visit(&folded.stream_type, FoldAgain { pool, stream: name.clone() });
                let Some(fold) = fold else { return Ok((name, None)) };
                let again = match tokio::spawn(fold).await {
                    Ok(Ok(again)) => again,
                    Ok(Err(error)) if error.kind() == ErrorKind::Unavailable => return Err(error),
                    Ok(Err(error)) => return Ok((name, Some(Err(error.to_string())))),
                    Err(panic) => return Ok((name, Some(Err(panic.to_string())))),
                };
                let state = folded.fold.state().map_err(Error::internal)?;
                let is_same = again.version == folded.version && is_same_json(&again.state, &state);
                let has_moved_on = again.version > folded.version;
                Ok::<_, Error>((name, (!has_moved_on).then_some(Ok(is_same))))
            }
        })
        .buffer_unordered(CONCURRENCY.into());
    while let Some(result) = results.next().await {
        match result? {
            (_, Some(Ok(true))) => report.streams_by_postgres_es += 1,
            (name, Some(Err(error))) => {
                report.fault(format!("org {org}: postgres-es cannot read {name}: {error}"));
            }
            (name, Some(Ok(false))) => {
                report.fault(format!("org {org}: postgres-es folds {name} to another state"));
            }
            (_, None) => {}
        }
    }
    drop(results);
    pool.close().await;
    Ok(())
}

/// A stream as `postgres-es` folded it.
struct Again {
    version: i64,
    state: String,
}

struct FoldAgain {
    pool: PgPool,
    stream: String,
}

type Folding = std::pin::Pin<Box<dyn Future<Output = Result<Again>> + Send>>;

impl AggregateVisitor for FoldAgain {
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
            Ok(Again {
                version: i64::try_from(context.current_sequence).map_err(Error::internal)?,
                state: serde_json::to_string(context.aggregate()).map_err(Error::internal)?,
            })
        })
    }
}

/// Connections of `sqlx`, which `postgres-es` wants, for one org.
fn pool(tunnel: &Tunnel, config: &Config, org: OrgId) -> Result<PgPool> {
    let mut options = PgConnectOptions::new_without_pgpass()
        .options([("app.org_id", org.to_string())])
        .socket(tunnel.folder())
        .port(Tunnel::PORT)
        .ssl_mode(PgSslMode::Disable);
    if let Some(user) = config.get_user() {
        options = options.username(user);
    }
    if let Some(name) = config.get_dbname() {
        options = options.database(name);
    }
    if let Some(password) = config.get_password() {
        options = options.password(std::str::from_utf8(password).map_err(Error::internal)?);
    }
    Ok(PgPoolOptions::new().max_connections(CONCURRENCY.into()).connect_lazy_with(options))
}
