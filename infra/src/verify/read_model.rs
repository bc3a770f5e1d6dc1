//! Compares the read models with a projection of the log from its start.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use kymograph_projections::{Projector, Recorded, Statements};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement, Transaction};

use super::Report;

/// The maximum number of described rows of a table.
const MAX_ROWS: i64 = 5;

/// The unique indexes of temporary tables that are not keys: those of values that are unique among orgs, such as their
/// names. The logs are read one after the other, so the past of one org would conflict with the present of another.
const UNIQUE_AMONG_ORGS: &str = "SELECT i.indexrelid::regclass::text FROM pg_index i
    WHERE i.indrelid = to_regclass($1) AND i.indisunique
        AND NOT EXISTS (SELECT FROM pg_constraint con WHERE con.conindid = i.indexrelid)";

/// Creates an empty temporary table in front of each table except those of the event store: the projectors' own
/// statements then write there. The transaction in which they run is read-only except for temporary tables.
pub(super) async fn create_shadows(client: &Client) -> Result<(), tokio_postgres::Error> {
    let sql = "SELECT quote_ident(table_name) FROM information_schema.tables
        WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT IN
            ('events', 'streams', 'heads', 'idempotency', 'secrets', 'secret_keys', 'counters', 'schema_migrations')";
    for row in client.query(sql, &[]).await? {
        let table: &str = row.get(0);
        let create = format!("CREATE TEMPORARY TABLE {table} (LIKE public.{table} INCLUDING ALL)");
        client.batch_execute(&create).await?;
        for index in client.query(UNIQUE_AMONG_ORGS, &[&format!("pg_temp.{table}")]).await? {
            client.batch_execute(&format!("DROP INDEX {}", index.get::<_, &str>(0))).await?;
        }
    }
    Ok(())
}

/// Prepared statements.
pub(super) type Prepared = HashMap<&'static str, Statement>;

/// Runs the statements of one event on the shadow tables.
pub(super) async fn project(
    transaction: &Transaction<'_>,
    projectors: &[Box<dyn Projector>],
    prepared: &mut Prepared,
    recorded: &Recorded<'_>,
    report: &mut Report,
) -> Result<()> {
    let mut statements = Statements::default();
    projectors.iter().for_each(|projector| projector.project(recorded, &mut statements));
    let statements = statements.into_vec();
    let statements: Vec<_> = statements.iter().filter(|statement| !statement.is_check).collect();
    // They run in the order in which they are sent. If they were prepared on demand, one could overtake another.
    for statement in &statements {
        if !prepared.contains_key(statement.sql) {
            let new = transaction.prepare(statement.sql).await.map_err(Error::internal)?;
            prepared.insert(statement.sql, new);
        }
    }
    let writes = statements.iter().filter_map(|statement| {
        let prepared = prepared.get(statement.sql)?;
        let params: Vec<&(dyn ToSql + Sync)> = statement.params.iter().map(|param| &**param as _).collect();
        Some(async move { transaction.execute(prepared, &params).await })
    });
    if let Err(error) = try_join_all(writes).await {
        let detail = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
        let (org, position) = (recorded.org, recorded.position);
        report.fault(format!("org {org}: the event at position {position} cannot be projected: {detail}"));
        // The first failed statement aborts the transaction, so nothing more can be read in it.
        return Err(Error::internal(format!("{}; the verification was aborted", report.faults.join("; "))));
    }
    Ok(())
}

/// Compares an org's rows.
pub(super) async fn compare_tenant_tables(
    transaction: &Transaction<'_>,
    org: OrgId,
    projectors: &[Box<dyn Projector>],
    report: &mut Report,
) -> Result<()> {
    for table in tables(projectors) {
        if has_org(transaction, table).await? {
            let whose = format!("org {org}: ");
            compare(transaction, table, &format!("WHERE org_id = {org}"), &whose, report).await?;
        }
    }
    Ok(())
}

/// Compares the rows of tables that belong to no org.
pub(super) async fn compare_global_tables(
    transaction: &Transaction<'_>,
    projectors: &[Box<dyn Projector>],
    report: &mut Report,
) -> Result<()> {
    for table in tables(projectors) {
        if !has_org(transaction, table).await? {
            compare(transaction, table, "", "", report).await?;
        }
    }
    Ok(())
}

fn tables(projectors: &[Box<dyn Projector>]) -> impl Iterator<Item = &'static str> {
    projectors.iter().flat_map(|projector| projector.tables()).copied()
}

async fn has_org(transaction: &Transaction<'_>, table: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = $1 AND column_name = 'org_id')";
    Ok(transaction.query_one(sql, &[&table]).await.map_err(Error::internal)?.get(0))
}

async fn compare(
    transaction: &Transaction<'_>,
    table: &'static str,
    filter: &str,
    whose: &str,
    report: &mut Report,
) -> Result<()> {
    let stored = format!("SELECT * FROM public.{table} {filter}");
    let fresh = format!("SELECT * FROM pg_temp.{table} {filter}");
    for (one, other, what) in
        [(&fresh, &stored, "lacks the row"), (&stored, &fresh, "has the unexpected row")]
    {
        let sql = format!(
            "SELECT left(to_jsonb(row)::text, 300) FROM ({one} EXCEPT ALL {other}) AS row LIMIT {MAX_ROWS}"
        );
        for row in transaction.query(&sql, &[]).await.map_err(Error::internal)? {
            report.fault(format!("{whose}{table} {what} {}", row.get::<_, &str>(0)));
        }
    }
    let sql = format!("SELECT count(*) FROM public.{table} {filter}");
    let rows: i64 = transaction.query_one(&sql, &[]).await.map_err(Error::internal)?.get(0);
    *report.tables.entry(table).or_default() += rows;
    Ok(())
}
