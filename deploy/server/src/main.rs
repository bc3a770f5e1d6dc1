//! The `kymograph` program.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use kymograph_infra::migrate::migrate;
use kymograph_infra::secret::MasterKeys;
use kymograph_server::config::{Config, Sources};
use kymograph_server::database::CommandDatabase;
use kymograph_server::error::ServerError;
use kymograph_server::import::{self, ImportArgs};
use kymograph_server::projections::{self, ProjectionsAction};
use kymograph_server::secrets::{self, SecretsAction};
use kymograph_server::trace::Traces;
use kymograph_server::{allocator, limits, logging, openapi, serve, verify};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An event-sourced, multi-tenant backend that speaks Grafana's HTTP API.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves the API, on an embedded PostgreSQL unless a database is configured.
    Serve(Settings),
    /// Applies missing migrations to the database and exits.
    Migrate(Settings),
    /// Verifies that the log, the stored states and the read models agree. The server may be running.
    Verify(Settings),
    /// Imports folders and dashboards from the log of a postgres-es application into an org. The server may be
    /// running.
    Import {
        #[command(flatten)]
        args: ImportArgs,
        #[command(flatten)]
        settings: Settings,
    },
    /// Lists projections, or rebuilds them from the log. The server may be running.
    Projections {
        #[command(subcommand)]
        action: ProjectionsAction,
        /// The configuration file. Defaults to conf/custom.ini if that exists.
        #[arg(long, global = true)]
        config: Option<PathBuf>,
    },
    /// Manages the encryption of secrets. The server may be running.
    Secrets {
        #[command(subcommand)]
        action: SecretsAction,
        /// The configuration file. Defaults to conf/custom.ini if that exists.
        #[arg(long, global = true)]
        config: Option<PathBuf>,
    },
    /// Prints all limits of a server with these settings. Needs no database.
    Limits(Settings),
    /// Prints the OpenAPI document. Needs no database.
    Openapi(Settings),
}

#[derive(Args)]
struct Settings {
    /// The configuration file. Defaults to conf/custom.ini if that exists.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Settings with precedence over all others, as `cfg:section.key=value`.
    #[arg(value_name = "cfg:SECTION.KEY=VALUE")]
    overrides: Vec<String>,
}

impl Settings {
    fn read(self) -> Result<Config, ServerError> {
        Ok(Config::load(&Sources::from_process(self.config, self.overrides)?)?)
    }

    fn load(self) -> Result<(Config, Traces), ServerError> {
        let config = self.read()?;
        let traces = logging::init(&config.log, &config.tracing)?;
        config.report_unknown();
        Ok((config, traces))
    }

    /// Runs a subcommand, and exports its remaining traces at the end.
    async fn run(
        self,
        work: impl AsyncFnOnce(&Config) -> Result<(), ServerError>,
    ) -> Result<(), ServerError> {
        let (config, traces) = self.load()?;
        let result = work(&config).await;
        traces.flush().await;
        result
    }
}

fn main() -> ExitCode {
    allocator::set_options();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    match runtime.block_on(run(Cli::parse().command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stderr, reason = "the reason for the exit must be visible whatever the log settings")]
fn fail(error: &ServerError) -> ExitCode {
    eprintln!("kymograph: {error}");
    ExitCode::FAILURE
}

async fn run(command: Command) -> Result<(), ServerError> {
    match command {
        Command::Serve(settings) => settings.run(serve::serve).await,
        Command::Migrate(settings) => settings.run(run_migrate).await,
        Command::Verify(settings) => settings.run(verify::verify).await,
        Command::Import { args, settings } => {
            settings.run(async |config| import::import(config, args).await).await
        }
        Command::Projections { mut action, config } => {
            let settings = Settings { config, overrides: action.take_overrides() };
            settings.run(async |config| projections::projections(config, action).await).await
        }
        Command::Secrets { action: SecretsAction::Rotate { overrides }, config } => {
            Settings { config, overrides }.run(secrets::rotate_master_key).await
        }
        Command::Limits(settings) => {
            limits::print(&settings.read()?);
            Ok(())
        }
        Command::Openapi(settings) => openapi::print(&settings.read()?),
    }
}

async fn run_migrate(config: &Config) -> Result<(), ServerError> {
    let database = CommandDatabase::attach(config).await?;
    let migrated = migrate(&database.server(), &MasterKeys::new(config.master_keys())).await;
    database.release().await?;
    let applied = migrated?;
    tracing::info!(applied, "the schema is up to date");
    Ok(())
}
