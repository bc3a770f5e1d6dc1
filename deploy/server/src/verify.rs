//! The subcommand `verify`.

use kymograph_infra::verify::Report;

use crate::config::Config;
use crate::database::CommandDatabase;
use crate::error::ServerError;

/// Verifies the database, says what was checked and what was found, and fails if anything was found.
pub async fn verify(config: &Config) -> Result<(), ServerError> {
    let database = CommandDatabase::attach(config).await?;
    let verified = kymograph_infra::verify::verify(&database.server()).await;
    database.release().await?;
    let report = verified?;
    print(&report);
    if report.fault_count == 0 { Ok(()) } else { Err(ServerError::Unverified(report.fault_count)) }
}

#[allow(clippy::print_stdout, reason = "the report is what the command is for")]
fn print(report: &Report) {
    println!(
        "logs:    {} ({} events, positions and versions without a gap, payloads as written)",
        report.logs, report.events
    );
    println!(
        "streams: {} folded, {} folded again by postgres-es",
        report.streams, report.streams_by_postgres_es
    );
    println!("read models, compared row by row with a fresh projection:");
    for (table, rows) in &report.tables {
        println!("  {table}: {rows} rows");
    }
    println!("other tables, checked against the log: {}", report.side_tables.join(", "));
    for fault in &report.faults {
        println!("FAULT: {fault}");
    }
    let hidden = report.fault_count - report.faults.len();
    if hidden > 0 {
        println!("… and {hidden} more");
    }
    if report.fault_count == 0 {
        println!("everything agrees");
    }
}
