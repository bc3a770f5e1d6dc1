//! The connection pool, and queries through it as one tenant.

mod begin;
mod lease;
mod share;

use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError};
use futures_util::TryStreamExt;
use futures_util::future::{join4, try_join_all};
use kymograph_app::kernel::answer::Room;
use kymograph_app::{Error, ErrorKind, Result, TRACE_TARGET};
use kymograph_domain::OrgId;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};
use tracing::{Instrument, Span};

use crate::kernel::sql::Tables;
use begin::Begin;
use lease::Lease;
use share::{Claimant, Shares};

pub use lease::Cancel;
pub use share::share_of;

/// How long a request waits for its org's share of the connections, and then for a connection, before it is refused.
pub const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(5);
/// How long a statement of a request may take before PostgreSQL cancels it.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a statement of background work may take, and how long it waits for a connection.
const BACKGROUND_STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that received a longer row is closed: the driver's read buffer never shrinks below the length of the
/// longest row, so many such connections would keep a lot of memory.
const MAX_KEPT_ROW_BYTES: usize = 1024 * 1024;

/// Parameters of a query.
pub type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// The usage of the connections to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUsage {
    /// The number of open and free connections.
    pub idle: usize,
    /// The number of connections in use.
    pub in_use: usize,
    /// The maximum number of connections.
    pub max: usize,
    /// The number of requests that wait, because no connection is free.
    pub waited_for: usize,
}

/// How often a query is planned. PostgreSQL estimates which is better, and estimates badly for long queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planning {
    /// Once per connection: the best plan is the same for all parameters.
    Once,
    /// Each time, for its parameters.
    EachTime,
}

/// The kind of work that runs the statements of a [`Database`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// A request: a statement may take [`STATEMENT_TIMEOUT`].
    Request,
    /// An unauthenticated request, such as one with the code of an invite.
    Guest,
    /// Background work: a statement may take [`BACKGROUND_STATEMENT_TIMEOUT`].
    Background,
}

/// The database as the application role sees it.
///
/// All data of a tenant is read through [`Database::read`], which sets the tenant for one transaction. The three
/// messages of a read are sent together at the first poll, with statements prepared before, so that a request that is
/// dropped halfway can never leave a connection with an open transaction or another tenant.
///
/// Each org has a [share](share_of) of the connections, and a statement whose request was dropped is cancelled.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    cancel: Cancel,
    shares: Arc<Shares>,
    pace: Pace,
    tables: Tables,
}

impl Database {
    /// A database behind a pool, whose connections have a `statement_timeout` of [`STATEMENT_TIMEOUT`].
    #[must_use]
    pub fn new(pool: Pool, cancel: Cancel, tables: Tables) -> Self {
        let shares = Arc::new(Shares::of(pool.status().max_size));
        Self { pool, cancel, shares, pace: Pace::Request, tables }
    }

    /// The location of its tables.
    #[must_use]
    pub fn tables(&self) -> Tables {
        self.tables
    }

    /// The same database for background work: its statements may take longer, and all of it together has the share of
    /// one org.
    #[must_use]
    pub fn in_background(&self) -> Self {
        Self { pace: Pace::Background, ..self.clone() }
    }

    /// The same database for unauthenticated requests that name an org: all of them together have the share of one org,
    /// and use none of the share of the org that they name.
    #[must_use]
    pub fn for_guests(&self) -> Self {
        Self { pace: Pace::Guest, ..self.clone() }
    }

    /// The usage of its connections.
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

    /// A connection for a statement. No transaction is open on it, and none may be left open.
    async fn lease(&self, org: OrgId) -> Result<Lease<'_>> {
        let (claimant, wait) = match self.pace {
            Pace::Request => (Claimant::Org(org), WAIT_FOR_CONNECTION),
            Pace::Guest => (Claimant::Guests, WAIT_FOR_CONNECTION),
            Pace::Background => (Claimant::Background, BACKGROUND_STATEMENT_TIMEOUT),
        };
        let share = self.shares.claim(claimant, wait).await?;
        let connect = async {
            let tenant = self.shares.claim_as_tenant(claimant).await?;
            let connection = self.pool.get().await.map_err(|error| match error {
                PoolError::Backend(error) => database_error(&error),
                error => Error::unavailable(error),
            })?;
            Ok::<_, Error>((connection, tenant))
        };
        match tokio::time::timeout(wait, connect).await {
            Ok(connected) => {
                let (connection, tenant) = connected?;
                Ok(Lease::new(connection, tenant, share, &self.cancel))
            }
            Err(_) => Err(Error::unavailable("timed out waiting for a database connection")),
        }
    }

    /// The first commands of a tenant's transaction.
    fn begin_as(&self, org: OrgId, begin: Begin) -> Begin {
        self.begin(begin.then(self.tables, format_args!("SET LOCAL app.org_id = '{org}'")))
    }

    /// The first commands of a transaction: the given ones and, for background work, the statement timeout.
    fn begin(&self, begin: Begin) -> Begin {
        match self.pace {
            Pace::Request | Pace::Guest => begin,
            Pace::Background => {
                let timeout_ms = BACKGROUND_STATEMENT_TIMEOUT.as_millis();
                begin.then(self.tables, format_args!("SET LOCAL statement_timeout = '{timeout_ms}ms'"))
            }
        }
    }

    /// The first commands of a statement on data without a tenant, if it needs a transaction.
    fn begin_global(&self) -> Option<Begin> {
        (self.pace == Pace::Background).then(|| self.begin(Begin::new("BEGIN")))
    }

    /// Runs a query as one tenant. Like all reads of lists, its rows are limited by the [`Room`] of the request.
    pub async fn read(&self, org: OrgId, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        let begin = self.begin_as(org, Begin::new("BEGIN READ ONLY"));
        self.list(org, Some(&begin), sql, params).await
    }

    /// Runs a query as one tenant that limits the bytes of its rows itself.
    pub async fn read_bounded(&self, org: OrgId, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        let begin = self.begin_as(org, Begin::new("BEGIN READ ONLY"));
        self.query(org, Some(&begin), Repeat::IfExchanged, sql, params).await
    }

    /// Runs a query as one tenant with the given planning; on distributed tables it is planned each time, because Citus
    /// needs the parameters to find the shards.
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
        let mut begin = Begin::new("BEGIN READ ONLY");
        if self.tables == Tables::Local {
            begin = begin.then(self.tables, format_args!("SET LOCAL plan_cache_mode = {mode}"));
        }
        let begin = self.begin_as(org, begin);
        self.list(org, Some(&begin), sql, params).await
    }

    /// Runs a query on data without a tenant.
    pub async fn read_global(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        self.read_for(OrgId::SERVER, sql, params).await
    }

    /// Runs a query in the share of one tenant that sets its tenant itself, or needs none: no other commands are sent
    /// then.
    pub async fn read_for(&self, org: OrgId, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        let begin = self.begin_global();
        self.list(org, begin.as_ref(), sql, params).await
    }

    /// Runs a query as one tenant, for at most one row.
    pub async fn read_one(&self, org: OrgId, sql: &'static str, params: Params<'_>) -> Result<Option<Row>> {
        Ok(self.read_bounded(org, sql, params).await?.into_iter().next())
    }

    /// Runs a query on data without a tenant, for at most one row.
    pub async fn read_global_one(&self, sql: &'static str, params: Params<'_>) -> Result<Option<Row>> {
        let begin = self.begin_global();
        let rows = self.query(OrgId::SERVER, begin.as_ref(), Repeat::IfExchanged, sql, params).await?;
        Ok(rows.into_iter().next())
    }

    /// Runs a statement that writes data without a tenant, and returns the number of rows.
    pub async fn write_global(&self, sql: &'static str, params: Params<'_>) -> Result<u64> {
        let begin = self.begin_global();
        let write = async {
            let lease = self.lease(OrgId::SERVER).await?;
            let connection = lease.connection()?;
            let count = async {
                let statement = prepare(connection, sql).await?;
                let counted = connection.execute(&statement, params);
                transact(connection, begin.as_ref(), counted).await.map_err(|error| self.explain(&error))
            };
            let count = count.await;
            lease.finish();
            count
        };
        write.instrument(sql_span(sql)).await
    }

    /// Runs a statement that writes data without a tenant, under an exclusive lock with a name, and returns its rows.
    /// It sees all that was committed before it got the lock. It does not wait for the write to disk: a count of client
    /// requests must not make commits wait for the disk, and may lose its last second if the machine fails.
    pub async fn write_global_alone(
        &self,
        lock: &str,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>> {
        let locked = Begin::new("BEGIN")
            .then(self.tables, format_args!("SET LOCAL synchronous_commit = off"))
            .then(self.tables, format_args!("SELECT pg_advisory_xact_lock(hashtextextended('{lock}', 0))"));
        let begin = self.begin(locked);
        self.query(OrgId::SERVER, Some(&begin), Repeat::Never, sql, params).await
    }

    /// Runs a statement that writes as one tenant, and returns its rows.
    pub async fn write(&self, org: OrgId, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>> {
        let begin = self.begin_as(org, Begin::new("BEGIN"));
        self.query(org, Some(&begin), Repeat::Never, sql, params).await
    }

    /// Runs a query whose rows are limited by the room of the request. If they do not fit, its connection is returned
    /// before it waits for more room, and it is sent again: a request that holds a turn may need a connection.
    async fn list(
        &self,
        org: OrgId,
        begin: Option<&Begin>,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>> {
        let mut room = if self.pace == Pace::Background { Room::unbounded() } else { Room::current() };
        loop {
            let rows = self.query_within(org, begin, Repeat::IfExchanged, sql, params, &mut room).await?;
            if let Some(rows) = rows {
                room.finish().await;
                return Ok(rows);
            }
            room = room.grow().await?;
        }
    }

    async fn query(
        &self,
        org: OrgId,
        begin: Option<&Begin>,
        repeat: Repeat,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>> {
        let rows = self.query_within(org, begin, repeat, sql, params, &mut Room::unbounded()).await?;
        rows.ok_or_else(|| Error::internal("rows did not fit into room without a bound"))
    }

    /// Runs a query, and returns its rows if they fit.
    async fn query_within(
        &self,
        org: OrgId,
        begin: Option<&Begin>,
        repeat: Repeat,
        sql: &'static str,
        params: Params<'_>,
        room: &mut Room,
    ) -> Result<Option<Vec<Row>>> {
        let query = async {
            let lease = self.lease(org).await?;
            let fetched = self.query_on(lease.connection()?, begin, repeat, sql, params, room).await;
            if fetched.as_ref().is_ok_and(|fetched| fetched.longest > MAX_KEPT_ROW_BYTES) {
                lease.finish_and_close();
            } else {
                lease.finish();
            }
            Ok(fetched?.rows)
        };
        query.instrument(sql_span(sql)).await
    }

    async fn query_on(
        &self,
        connection: &Object,
        begin: Option<&Begin>,
        repeat: Repeat,
        sql: &'static str,
        params: Params<'_>,
        room: &mut Room,
    ) -> Result<Fetched> {
        let statement = prepare(connection, sql).await?;
        let rows = match transact(connection, begin, fetch(connection, &statement, params, room)).await {
            Err(error) if repeat == Repeat::IfExchanged && was_exchanged(&error, self.tables) => {
                room.clear();
                transact(connection, begin, fetch(connection, &statement, params, room)).await
            }
            rows => rows,
        };
        rows.map_err(|error| self.explain(&error))
    }

    /// Converts an error. Citus reports a lost worker as an internal error.
    fn explain(&self, error: &tokio_postgres::Error) -> Error {
        if self.tables == Tables::Distributed && error.code() == Some(&SqlState::INTERNAL_ERROR) {
            return Error::unavailable(with_causes(error));
        }
        database_error(error)
    }
}

/// Whether a statement is sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// If a table or function that it reads was replaced meanwhile.
    IfExchanged,
    Never,
}

/// The result of a query.
struct Fetched {
    /// The rows, if they fit.
    rows: Option<Vec<Row>>,
    /// The size of the longest received row, in bytes.
    longest: usize,
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

/// Collects rows as they arrive, as long as they fit. The driver discards the others, and applies backpressure to the
/// server meanwhile.
async fn fetch(
    connection: &Object,
    statement: &Statement,
    params: Params<'_>,
    room: &mut Room,
) -> std::result::Result<Fetched, tokio_postgres::Error> {
    let mut stream = pin!(connection.query_raw(statement, params.iter().copied()).await?);
    let (mut rows, mut longest) = (Vec::new(), 0);
    while let Some(row) = stream.try_next().await? {
        longest = longest.max(row.raw_size_bytes());
        if !room.take(row_bytes(&row)) {
            return Ok(Fetched { rows: None, longest });
        }
        rows.push(row);
    }
    Ok(Fetched { rows: Some(rows), longest })
}

/// The memory of a row in bytes, including the positions of its columns.
fn row_bytes(row: &Row) -> usize {
    const COLUMN: usize = size_of::<Option<Range<usize>>>();
    size_of::<Row>() + row.len() * COLUMN + row.raw_size_bytes()
}

/// Runs a statement, in a transaction of its own if `begin` is given. All messages are sent together.
async fn transact<T>(
    connection: &Object,
    begin: Option<&Begin>,
    statement: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
) -> std::result::Result<T, tokio_postgres::Error> {
    let Some(begin) = begin else { return statement.await };
    let others = try_join_all(begin.others.iter().map(|command| connection.batch_execute(command)));
    let (begun, set, done, committed) =
        join4(connection.batch_execute(&begin.first), others, statement, connection.batch_execute("COMMIT"))
            .await;
    begun.and(set).and(done).and_then(|done| committed.map(|()| done))
}

/// Whether a table or function was replaced while a statement was planned or ran, as a rebuild of a projection does. If
/// sent again, the statement finds the new one. Citus reports the latter two codes also for statements that it cannot
/// plan and for a lost worker.
fn was_exchanged(error: &tokio_postgres::Error, tables: Tables) -> bool {
    error.code().is_some_and(|code| says_exchanged(code, tables))
}

fn says_exchanged(code: &SqlState, tables: Tables) -> bool {
    let is_missing = [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_FUNCTION].contains(code);
    let is_changed = [SqlState::FEATURE_NOT_SUPPORTED, SqlState::INTERNAL_ERROR].contains(code);
    is_missing || tables == Tables::Local && is_changed
}

/// Prepares a statement once per connection.
async fn prepare(connection: &Object, sql: &'static str) -> Result<Statement> {
    connection.prepare_cached(sql).await.map_err(|error| database_error(&error))
}

/// Distinguishes a database that cannot be reached, or is starting or stopping, from an internal error.
#[must_use]
pub fn database_error(error: &tokio_postgres::Error) -> Error {
    if let Some(db) = error.as_db_error() {
        return server_error(db.code(), db.message());
    }
    // Without a code the server did not respond: the connection failed or was lost. A value of an unexpected type has
    // no code either, and is the only internal error among these.
    let detail = with_causes(error);
    let is_ours = detail.contains("deserializing") || detail.contains("serializing parameter");
    if is_ours { Error::internal(detail) } else { Error::unavailable(detail) }
}

/// The text of an error and of its causes, which `tokio-postgres` does not include.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Converts an error code of the server.
#[must_use]
pub fn server_error(code: &SqlState, message: &str) -> Error {
    let detail = format!("{message} ({})", code.code());
    let is_class = |class: &str| code.code().starts_with(class);
    if *code == SqlState::QUERY_CANCELED {
        return Error::timed_out(detail);
    }
    if is_class("08") || is_class("57P") || is_class("53") || *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        return Error::unavailable(detail);
    }
    if *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE {
        return Error::new(ErrorKind::Invalid, "text contains a character that cannot be stored");
    }
    Error::internal(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_planned_was_exchanged_unless_tables_are_distributed() {
        for code in [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_FUNCTION] {
            assert!(says_exchanged(&code, Tables::Local) && says_exchanged(&code, Tables::Distributed));
        }
        for code in [SqlState::FEATURE_NOT_SUPPORTED, SqlState::INTERNAL_ERROR] {
            assert!(says_exchanged(&code, Tables::Local) && !says_exchanged(&code, Tables::Distributed));
        }
        assert!(!says_exchanged(&SqlState::UNIQUE_VIOLATION, Tables::Local));
    }
}
