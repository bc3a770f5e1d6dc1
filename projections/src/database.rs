//! The connection pool, and reading through it as one tenant.

use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError};
use futures_util::future::join3;
use kymograph_app::{Error, ErrorKind, Result, TRACE_TARGET};
use kymograph_domain::OrgId;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use tracing::{Instrument, Span};

/// How long a request waits for a connection before it is told that the database is not available.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(5);

/// Parameters of a query.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// How the connections to a database are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUsage {
    /// How many are open and free.
    pub idle: usize,
    /// How many are in use.
    pub in_use: usize,
    /// How many there can be.
    pub max: usize,
    /// How many are waited for, because none is free.
    pub waited_for: usize,
}

/// How often a query is planned. PostgreSQL guesses which is better, and guesses badly about long queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planning {
    /// Once per connection: the best way to the rows is the same for all parameters.
    Once,
    /// For its parameters each time.
    EachTime,
}

/// The database as the application role sees it.
///
/// Whatever belongs to a tenant is read through [`Database::read`], which sets the tenant for one transaction.
/// The three messages of a read leave together at the first poll, with statements prepared before, so that a
/// request that is dropped half way can never leave a connection with an open transaction or another's tenant.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
}

impl Database {
    /// A database behind a pool.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// How its connections are used.
    #[must_use]
    pub fn pool_usage(&self) -> PoolUsage {
        let status = self.pool.status();
        PoolUsage {
            idle: status.available,
            in_use: status.size.saturating_sub(status.available),
            max: status.max_size,
            waited_for: status.waiting,
        }
    }

    /// A connection. No transaction is open on it, and none may be left open.
    pub async fn connection(&self) -> Result<Object> {
        match tokio::time::timeout(WAIT_FOR_CONNECTION, self.pool.get()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(PoolError::Backend(error))) => Err(database_error(&error)),
            Ok(Err(error)) => Err(Error::unavailable(error)),
            Err(_) => Err(Error::unavailable("no connection became free")),
        }
    }

    /// A connection with a statement that is prepared on it.
    async fn prepared(&self, sql: &'static str) -> Result<(Object, Statement)> {
        let connection = self.connection().await?;
        let statement = prepare(&connection, sql).await?;
        Ok((connection, statement))
    }

    /// Runs a query as one tenant.
    pub async fn read(&self, org: OrgId, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        self.read_with(&format!("BEGIN READ ONLY; SET LOCAL app.org_id = '{org}'"), sql, params).await
    }

    /// Runs a query as one tenant that is planned as often as is said.
    pub async fn read_planned(
        &self,
        org: OrgId,
        planning: Planning,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>> {
        let mode = match planning {
            Planning::Once => "force_generic_plan",
            Planning::EachTime => "force_custom_plan",
        };
        let begin =
            format!("BEGIN READ ONLY; SET LOCAL app.org_id = '{org}'; SET LOCAL plan_cache_mode = {mode}");
        self.read_with(&begin, sql, params).await
    }

    /// Runs a query on what belongs to no tenant, or one that sets its tenant itself: nothing else needs to be sent then.
    pub async fn read_global(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        let read = async {
            let (connection, statement) = self.prepared(sql).await?;
            let rows = match connection.query(&statement, params).await {
                Err(error) if was_exchanged(&error) => connection.query(&statement, params).await,
                rows => rows,
            };
            rows.map_err(|error| database_error(&error))
        };
        read.instrument(sql_span(sql)).await
    }

    async fn read_with(&self, begin: &str, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        let read = async {
            let (connection, statement) = self.prepared(sql).await?;
            let rows = match transact(&connection, &statement, begin, params).await {
                Err(error) if was_exchanged(&error) => transact(&connection, &statement, begin, params).await,
                rows => rows,
            };
            rows.map_err(|error| database_error(&error))
        };
        read.instrument(sql_span(sql)).await
    }

    async fn write_with(&self, begin: &str, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        let write = async {
            let (connection, statement) = self.prepared(sql).await?;
            let rows = transact(&connection, &statement, begin, params).await;
            rows.map_err(|error| database_error(&error))
        };
        write.instrument(sql_span(sql)).await
    }

    /// Runs a query as one tenant of which at most one row is wanted.
    pub async fn read_one(&self, org: OrgId, sql: &'static str, params: Params<'_>) -> Result<Option<Row>> {
        Ok(self.read(org, sql, params).await?.into_iter().next())
    }

    /// Runs a query on what belongs to no tenant, of which at most one row is wanted.
    pub async fn read_global_one(&self, sql: &'static str, params: Params<'_>) -> Result<Option<Row>> {
        Ok(self.read_global(sql, params).await?.into_iter().next())
    }

    /// Runs a statement that writes what belongs to no tenant, and returns the number of rows.
    pub async fn write_global(&self, sql: &'static str, params: Params<'_>) -> Result<u64> {
        let write = async {
            let (connection, statement) = self.prepared(sql).await?;
            connection.execute(&statement, params).await.map_err(|error| database_error(&error))
        };
        write.instrument(sql_span(sql)).await
    }

    /// Runs a statement that writes what belongs to no tenant, alone among all that name the same lock, and returns its
    /// rows. It sees all that was committed before it was its turn.
    pub async fn write_global_alone(
        &self,
        lock: &str,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>> {
        let begin = format!("BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('{lock}', 0))");
        self.write_with(&begin, sql, params).await
    }

    /// Runs a statement that writes as one tenant, and returns its rows.
    pub async fn write(&self, org: OrgId, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        self.write_with(&format!("BEGIN; SET LOCAL app.org_id = '{org}'"), sql, params).await
    }
}

/// The span of a statement, waiting for a connection included.
fn sql_span(sql: &str) -> Span {
    tracing::trace_span!(
        target: TRACE_TARGET,
        "sql",
        otel.kind = "client",
        db.system.name = "postgresql",
        db.query.text = sql,
    )
}

/// Runs a statement in a transaction of its own. All messages leave together.
async fn transact(
    connection: &Object,
    statement: &Statement,
    begin: &str,
    params: Params<'_>,
) -> std::result::Result<Vec<Row>, tokio_postgres::Error> {
    let (begun, rows, committed) = join3(
        connection.batch_execute(begin),
        connection.query(statement, params),
        connection.batch_execute("COMMIT"),
    )
    .await;
    begun.and(rows).and_then(|rows| committed.map(|()| rows))
}

/// Whether a table or function was exchanged while a statement was planned or ran, as a rebuild of a projection does it.
/// The statement finds the new one if it is sent again.
fn was_exchanged(error: &tokio_postgres::Error) -> bool {
    let codes = [
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::INTERNAL_ERROR,
    ];
    error.code().is_some_and(|code| codes.contains(code))
}

/// Prepares a statement once per connection.
pub async fn prepare(connection: &Object, sql: &'static str) -> Result<Statement> {
    connection.prepare_cached(sql).await.map_err(|error| database_error(&error))
}

/// Tells a database that cannot be reached, or is starting or stopping, from a fault of ours.
#[must_use]
pub fn database_error(error: &tokio_postgres::Error) -> Error {
    if let Some(db) = error.as_db_error() {
        return server_error(db.code(), db.message());
    }
    // Without a code the server did not answer: the connection could not be made, or was lost. A value of an
    // unexpected type has no code either, and is the one case that is ours.
    let detail = with_causes(error);
    let is_ours = detail.contains("deserializing") || detail.contains("serializing parameter");
    if is_ours { Error::internal(detail) } else { Error::unavailable(detail) }
}

/// The text of an error and of what caused it, which `tokio-postgres` leaves to whoever prints it.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What a refusal of the server means.
#[must_use]
pub fn server_error(code: &SqlState, message: &str) -> Error {
    let detail = format!("{message} ({})", code.code());
    let is_class = |class: &str| code.code().starts_with(class);
    // A statement that waited too long for others, as for an import into the same org, may be tried again.
    let was_too_slow = *code == SqlState::QUERY_CANCELED;
    if was_too_slow
        || is_class("08")
        || is_class("57P")
        || is_class("53")
        || *code == SqlState::READ_ONLY_SQL_TRANSACTION
    {
        return Error::unavailable(detail);
    }
    if *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE {
        return Error::new(ErrorKind::Invalid, "text contains a character that cannot be stored");
    }
    Error::internal(detail)
}
