//! The subcommand `verify`.

use kymograph_infra::database_server::{DatabaseServer, Tunnel};
use kymograph_infra::verify::Report;
use kymograph_postgres_es::PostgresEsFold;

use crate::config::Config;
use crate::database::CommandDatabase;
use crate::error::ServerError;

/// Verifies the database and prints the report. Fails if there are faults.
pub async fn verify(config: &Config) -> Result<(), ServerError> {
    let database = CommandDatabase::attach(config).await?;
    let verified = verify_database(&database.server()).await;
    database.release().await?;
    let report = verified?;
    print(&report);
    if report.fault_count == 0 { Ok(()) } else { Err(ServerError::Unverified(report.fault_count)) }
}

/// Verifies a database, with `postgres-es` as the second implementation of the fold.
pub async fn verify_database(server: &DatabaseServer) -> kymograph_app::Result<Report> {
    let tunnel = Tunnel::open(server)?;
    let reference = PostgresEsFold::new(tunnel.config())?;
    kymograph_infra::verify::verify(server, &reference).await
}

#[allow(clippy::print_stdout, reason = "the report is what the command is for")]
fn print(report: &Report) {
    println!(
        "logs:    {} ({} events; positions and versions without gaps, checksums match)",
        report.logs, report.events
    );
    println!(
        "streams: {} folded, {} folded again by postgres-es",
        report.streams, report.streams_by_reference
    );
    println!("read models, each row equal to a replay:");
    for (table, rows) in &report.tables {
        println!("  {table}: {rows} rows");
    }
    println!("other tables, consistent with the log: {}", report.side_tables.join(", "));
    for fault in &report.faults {
        println!("FAULT: {fault}");
    }
    let hidden = report.fault_count - report.faults.len();
    if hidden > 0 {
        println!("… and {hidden} more");
    }
    if report.fault_count == 0 {
        println!("no faults found");
    }
}
