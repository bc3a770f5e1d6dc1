//! The benchmarks of Kymograph. Every speed is given as a ratio against a limit that is measured side by side
//! in the same run, so that the numbers of different machines can be compared.
//!
//! `kymograph-bench [--row NAME] [--seconds N]`, after `cargo build --profile dist --workspace`.

mod api;
mod attack;
mod bare_server;
mod bench;
mod control_group;
mod document;
mod error;
mod http;
mod load;
mod machine;
mod pairs;
mod pgbench;
mod relay;
mod report;
mod row;
mod saver;
mod script;
mod seed;
mod server;
mod slice;
mod store;
mod tasks;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use bench::Bench;
use control_group::ControlGroup;
use error::Result;
use machine::Noise;
use report::Report;

/// The allocator of the server, so that the limits are not affected by a different one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Kymograph against physical limits on this machine.
#[derive(Parser)]
struct Arguments {
    /// Measures only the rows whose name begins with this.
    #[arg(long)]
    row: Option<String>,
    /// How long each slice of a measurement lasts; there are several for each row.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The parts of the program that it starts as separate processes.
#[derive(Subcommand)]
enum Part {
    /// Answers every request with the bytes of a file, until its standard input is closed.
    #[command(hide = true)]
    BareServer {
        /// The file.
        body: PathBuf,
    },
    /// Leads from a port of this machine to a socket, until its standard input is closed.
    #[command(hide = true)]
    Relay {
        /// The socket.
        socket: PathBuf,
    },
}

fn main() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::progress(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(run(arguments));
    // A load generator may still be in the middle of a slice.
    runtime.shutdown_background();
    result
}

async fn run(arguments: Arguments) -> Result<bool> {
    match arguments.part {
        Some(Part::BareServer { body }) => return bare_server::serve(&body).await.map(|()| true),
        Some(Part::Relay { socket }) => return relay::serve(&socket).await.map(|()| true),
        None => {}
    }
    let rows: Vec<_> = row::ROWS
        .iter()
        .filter(|row| arguments.row.as_ref().is_none_or(|wanted| row.name.starts_with(wanted.as_str())))
        .collect();
    if rows.is_empty() {
        let names: Vec<_> = row::ROWS.iter().map(|row| row.name).collect();
        return Err(format!("no such row; there are {}", names.join(", ")).into());
    }
    let bench = Bench::try_new(arguments.seconds)?;
    let group = ControlGroup::join();
    if group.is_none() {
        report::progress(
            "warning: not in a control group: the scheduler knows sessions, and no niceness between them",
        );
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // Everything that a row has started is stopped when it is dropped, also after an interrupt.
    tokio::select! {
        result = measure(&bench, &rows) => result,
        _ = interrupt.recv() => Err("interrupted".into()),
        _ = terminate.recv() => Err("interrupted".into()),
    }
}

/// Measures rows one after the other; false if one of them has missed its floor.
async fn measure(bench: &Bench, rows: &[&row::Row]) -> Result<bool> {
    let mut noise = Noise::listen()?;
    let mut report = Report::default();
    for row in rows {
        noise.calibrate();
        report::progress(&format!("measuring {} …", row.name));
        match (row.measure)(bench).await {
            Ok(reading) => {
                report.add(row, reading);
                bench.clear(row.name)?;
            }
            // The logs are kept.
            Err(error) => report.add_failed(row, &error),
        }
    }
    noise.calibrate();
    report.print(&noise.warnings()?);
    report.write(&bench.target.join("bench.json"))?;
    Ok(report.is_ok())
}
