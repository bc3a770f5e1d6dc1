//! Replaces the old tables by the shadow tables.

use std::time::{Duration, Instant};

use kymograph_app::{Error, ErrorKind, Result};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Transaction};

use super::failed;
use super::replay::Replay;
use super::shadow::Shadow;
use crate::change_feed::EVERYTHING_CHANGED;
use crate::migrate::{LOCK as MIGRATION_LOCK, latest_version};
use crate::progress::Report;

/// The timeout of a lock. PostgreSQL detects deadlocks after a second, and might then abort a request instead of us;
/// and requests that queue behind us wait as long as we do.
const WAIT_FOR_LOCKS: Duration = Duration::from_millis(400);
/// The pause after a timeout, in which others go first.
const STEP_ASIDE: Duration = Duration::from_millis(200);
/// The number of attempts, for about two minutes.
const MAX_TRIES: usize = 200;

/// The privileges and policies of a table.
const RIGHTS: &str = "SELECT statement FROM (
    SELECT 1, format('ALTER TABLE public.%I OWNER TO %I', relname, pg_get_userbyid(relowner))
        FROM pg_class WHERE oid = $1::text::regclass
    UNION ALL SELECT 2, format('GRANT %s ON public.%I TO %s%s', privilege_type, relname,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
            CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
        FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = $1::text::regclass
    UNION ALL SELECT 3, format('CREATE POLICY %I ON public.%I AS %s FOR %s TO %s%s%s', policyname, tablename, permissive,
            cmd, (SELECT string_agg(CASE role WHEN 'public' THEN 'PUBLIC' ELSE quote_ident(role) END, ', ')
                FROM unnest(roles) AS role),
            coalesce(' USING (' || qual || ')', ''), coalesce(' WITH CHECK (' || with_check || ')', ''))
        FROM pg_policies WHERE format('%I.%I', schemaname, tablename)::regclass = $1::text::regclass
    UNION ALL SELECT 4, format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', relname)
        FROM pg_class WHERE oid = $1::text::regclass AND relrowsecurity
    UNION ALL SELECT 5, format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', relname)
        FROM pg_class WHERE oid = $1::text::regclass AND relforcerowsecurity
    ) AS rights (step, statement) ORDER BY step";

/// Blocks writes, replays the rest and switches. Returns how long writes were blocked.
pub(super) async fn switch(
    client: &mut Client,
    shadow: &Shadow,
    replay: &mut Replay<'_>,
) -> Result<Duration> {
    for _ in 0..MAX_TRIES {
        match try_switch(client, shadow, replay).await {
            Err(Failure::Locked) => tokio::time::sleep(STEP_ASIDE).await,
            Err(Failure::Failed(error)) => return Err(error),
            Ok(pause) => return Ok(pause),
        }
    }
    Err(Error::new(
        ErrorKind::Overloaded,
        "the tables are locked by another session: the old tables were kept",
    ))
}

/// The reason for not switching.
enum Failure {
    /// A lock timed out.
    Locked,
    /// The switch is impossible.
    Failed(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code)
                if *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::T_R_DEADLOCK_DETECTED =>
            {
                Self::Locked
            }
            _ => Self::Failed(failed(error)),
        }
    }
}

async fn try_switch(
    client: &mut Client,
    shadow: &Shadow,
    replay: &mut Replay<'_>,
) -> Result<Duration, Failure> {
    let transaction = client.transaction().await?;
    let settings = format!(
        "SET LOCAL lock_timeout = '{}ms'; SET LOCAL search_path = pg_catalog",
        WAIT_FOR_LOCKS.as_millis()
    );
    transaction.batch_execute(&settings).await?;
    check_schema(&transaction).await?;
    // Writers take this lock first and those of the projections after it, so we do the same. It blocks appends to the
    // log and nothing else.
    let begun = Instant::now();
    transaction.batch_execute("LOCK TABLE public.events IN EXCLUSIVE MODE").await?;
    replay.catch_up("catching up", Report::new(&|_, _, _| {})).await?;
    for table in shadow.tables {
        transaction.batch_execute(&format!("LOCK TABLE public.{table} IN ACCESS EXCLUSIVE MODE")).await?;
    }
    for table in shadow.tables {
        replace(&transaction, table).await?;
    }
    transaction.batch_execute("DROP SCHEMA rebuild CASCADE").await?;
    // Caches of servers may contain the faults that the rebuild has fixed.
    transaction.batch_execute(EVERYTHING_CHANGED).await?;
    transaction.commit().await?;
    Ok(begun.elapsed())
}

/// Fails if the schema was migrated since the shadow tables were created.
async fn check_schema(transaction: &Transaction<'_>) -> Result<(), Failure> {
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await?;
    let sql = "SELECT max(version) FROM public.schema_migrations";
    let found: Option<i32> = transaction.query_one(sql, &[]).await?.get(0);
    if found == Some(latest_version()) {
        return Ok(());
    }
    Err(Error::internal("the schema changed during the rebuild: the old tables were kept").into())
}

/// Replaces one table. Prepared statements find the new one by its name.
async fn replace(transaction: &Transaction<'_>, table: &str) -> Result<(), Failure> {
    let name = format!("public.{table}");
    let rights = transaction.query(RIGHTS, &[&name]).await?;
    let swap = format!("DROP TABLE public.{table}; ALTER TABLE rebuild.{table} SET SCHEMA public");
    transaction.batch_execute(&swap).await?;
    for statement in &rights {
        transaction.batch_execute(statement.get(0)).await?;
    }
    Ok(())
}
