//! The subcommand `secrets`.

use clap::Subcommand;
use kymograph_infra::pool::app_database;
use kymograph_infra::secret::{MasterKeys, Rotation, rotate};

use crate::config::Config;
use crate::database::CommandDatabase;
use crate::error::ServerError;

/// Actions on secrets.
#[derive(Subcommand)]
pub enum SecretsAction {
    /// Seals the keys of all orgs with another master key: a new one that is added to the key file, or the one that
    /// `[security] secret_key` is set to, with the one of before in `previous_secret_keys` or in the key file.
    Rotate {
        /// Settings with precedence over all others.
        #[arg(value_name = "cfg:SECTION.KEY=VALUE")]
        overrides: Vec<String>,
    },
}

/// Rotates the master key, with or without running servers.
pub async fn rotate_master_key(config: &Config) -> Result<(), ServerError> {
    let attached = CommandDatabase::attach(config).await?;
    let rotated = rotate_keys(config, &attached).await;
    attached.release().await?;
    let Rotation { master_key, rewrapped, is_resumed, unused } = rotated?;
    if is_resumed {
        tracing::info!("finished an earlier rotation: no new master key was made");
    }
    tracing::info!(
        master_key,
        sealed_keys_of_orgs = rewrapped,
        unused_master_keys = unused.join(" "),
        "rotated the master key for secrets"
    );
    Ok(())
}

async fn rotate_keys(config: &Config, attached: &CommandDatabase) -> Result<Rotation, ServerError> {
    let database = app_database(&attached.server().with_tables_found().await?, 1)?;
    Ok(rotate(&database, &MasterKeys::new(config.master_keys())).await?)
}
