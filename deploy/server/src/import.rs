//! The subcommand `import`.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use kymograph_app::account::quota::QuotaLimits;
use kymograph_domain::OrgId;
use kymograph_infra::import::{ImportOrder, ImportReport, ImportSource, LineForm};
use kymograph_infra::progress::Report;
use kymograph_postgres_es::PostgresEsLog;

use crate::config::Config;
use crate::database::CommandDatabase;
use crate::error::ServerError;
use crate::progress::Progress;

/// What to import.
#[derive(Args)]
pub struct ImportArgs {
    /// The id of the org to import into.
    #[arg(long)]
    org: i64,
    /// The source: a file with one event per line, as printed by `SELECT row_to_json(events) FROM events`; `-` for the
    /// standard input; or the URL of a PostgreSQL database with a postgres-es table.
    #[arg(long, value_name = "FILE|-|postgresql://…")]
    from: String,
    /// The postgres-es table of a database.
    #[arg(long, default_value = "events")]
    table: String,
    /// The format of the lines of a file, if it is ambiguous.
    #[arg(long, value_enum)]
    lines: Option<Lines>,
    /// Imports only aggregates of this type; can be repeated.
    #[arg(long, value_name = "TYPE")]
    only: Vec<String>,
    /// Checks the import without writing.
    #[arg(long)]
    dry_run: bool,
}

/// The format of the lines of a file.
#[derive(Clone, Copy, ValueEnum)]
enum Lines {
    /// JSON, as printed by `psql -qAtX -c 'SELECT row_to_json(events) …'`.
    Json,
    /// JSON as written by COPY … TO STDOUT, with doubled backslashes.
    Copy,
}

impl ImportArgs {
    fn order(self, limits: Option<QuotaLimits>, max_document_bytes: usize) -> ImportOrder {
        let source = match self.from.as_str() {
            "-" => ImportSource::Input,
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                ImportSource::Log(Box::new(PostgresEsLog::new(self.from, self.table)))
            }
            _ => ImportSource::File(self.from.into()),
        };
        let form = self.lines.map(|lines| match lines {
            Lines::Json => LineForm::Json,
            Lines::Copy => LineForm::Copy,
        });
        let (org, only, is_dry_run) = (OrgId(self.org), self.only, self.dry_run);
        ImportOrder { org, source, form, only, is_dry_run, limits, max_document_bytes }
    }
}

/// Imports all events, or none if one of them is invalid, and prints their counts.
pub async fn import(config: &Config, args: ImportArgs) -> Result<(), ServerError> {
    let order = args.order(config.quota.limits.clone(), config.server.max_body);
    let database = CommandDatabase::attach(config).await?;
    let progress = Progress::default();
    let show = |what: &str, done, of| progress.show(what, done, of);
    let imported = kymograph_infra::import::import(&database.server(), &order, Report::new(&show)).await;
    drop(progress);
    database.release().await?;
    print(&order, &imported?);
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the report is what the command is for")]
fn print(order: &ImportOrder, report: &ImportReport) {
    for (kind, read) in &report.read {
        let written = report.written.get(kind).copied().unwrap_or_default();
        println!("{kind}: {read} read, {written} written");
    }
    for (kind, count) in &report.left_out {
        println!("skipped: {count} events of aggregates of type {kind}");
    }
    let (objects, before, org) = (report.objects, report.objects_before, order.org);
    let events = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    if before > 0 {
        println!("org {org} already had {before} of the objects from an earlier run of this import");
    }
    match report.positions {
        Some((first, last)) => {
            let written = events(&report.written);
            println!(
                "imported {objects} objects into org {org}: {written} events at positions {first} to {last}"
            );
        }
        None if order.is_dry_run => {
            let read = events(&report.read);
            println!("dry run: {objects} objects with {read} events can be imported into org {org}");
        }
        None => println!("nothing to import"),
    }
}
