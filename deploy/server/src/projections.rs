//! The subcommand `projections`.

use clap::Subcommand;
use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::progress::Report;
use kymograph_infra::rebuild::{Projection, ProjectionState, ProjectionTable, Rebuilt};

use crate::config::Config;
use crate::database::CommandDatabase;
use crate::error::ServerError;
use crate::progress::Progress;

/// Actions on projections.
#[derive(Clone, Debug, Subcommand, PartialEq, Eq)]
pub enum ProjectionsAction {
    /// Lists projections with their tables.
    List {
        /// Settings with precedence over all others.
        #[arg(value_name = "cfg:SECTION.KEY=VALUE")]
        overrides: Vec<String>,
    },
    /// Rebuilds a projection from the log, or all of them in turn. The server may be running.
    Rebuild {
        /// The name of the projection, as in `list`. Defaults to all.
        name: Option<String>,
        /// Settings with precedence over all others.
        #[arg(value_name = "cfg:SECTION.KEY=VALUE")]
        overrides: Vec<String>,
    },
}

impl ProjectionsAction {
    /// Takes the settings out. The first of `rebuild` without a name is in the place of the name.
    pub fn take_overrides(&mut self) -> Vec<String> {
        match self {
            Self::List { overrides } => std::mem::take(overrides),
            Self::Rebuild { name, overrides } => {
                let first = name.take_if(|name| name.starts_with("cfg:"));
                first.into_iter().chain(overrides.drain(..)).collect()
            }
        }
    }
}

/// Lists or rebuilds projections.
pub async fn projections(config: &Config, action: ProjectionsAction) -> Result<(), ServerError> {
    let database = CommandDatabase::attach(config).await?;
    let done = match action {
        ProjectionsAction::List { .. } => list(&database.server()).await,
        ProjectionsAction::Rebuild { name, .. } => rebuild(&database.server(), name.as_deref()).await,
    };
    database.release().await?;
    done
}

#[allow(clippy::print_stdout, reason = "the list is what the command is for")]
async fn list(database: &DatabaseServer) -> Result<(), ServerError> {
    println!("{:<18} {:<28} {:>12} {:>10}  state", "projection", "table", "rows (est.)", "size");
    for Projection { name, tables, state } in kymograph_infra::rebuild::list(database).await? {
        let state = match state {
            ProjectionState::Current => "current",
            ProjectionState::Rebuilding => "current, being rebuilt",
            ProjectionState::Abandoned => "current, a rebuild was aborted",
        };
        for ProjectionTable { name: table, rows, bytes } in tables {
            println!("{name:<18} {table:<28} {rows:>12} {:>10}  {state}", size(bytes));
        }
    }
    Ok(())
}

/// A human-readable number of bytes.
fn size(bytes: i64) -> String {
    match bytes / 1024 {
        kilobytes @ 0..10_240 => format!("{kilobytes} KiB"),
        kilobytes => format!("{} MiB", kilobytes / 1024),
    }
}

async fn rebuild(database: &DatabaseServer, name: Option<&str>) -> Result<(), ServerError> {
    let progress = Progress::default();
    let show = |what: &str, done, of| progress.show(what, done, of);
    let rebuilt = |rebuilt: &Rebuilt| progress.say(&describe(rebuilt));
    Ok(kymograph_infra::rebuild::rebuild(database, name, Report::new(&show), rebuilt).await?)
}

fn describe(rebuilt: &Rebuilt) -> String {
    let Rebuilt { name, tables, events, pause } = rebuilt;
    let (tables, pause) = (tables.join(", "), pause.as_millis());
    format!("{name}: replayed {events} events into {tables}; writes were blocked for {pause} ms")
}
