//! The subcommand `secrets`.

use clap::Subcommand;
use kymograph_infra::pool::app_database;
use kymograph_infra::secret::{MasterKeys, Rotation, rotate};

use crate::config::Config;
use crate::database::CommandDatabase;
use crate::error::ServerError;

/// What to do with the encryption of secrets.
#[derive(Subcommand)]
pub enum SecretsAction {
    /// Seals the keys of all orgs with another master key: a new one that is added to the file of them, or the one that
    /// `[security] secret_key` is set to, with the one of before in `previous_secret_keys`.
    Rotate,
}

/// Does it, beside running servers or without one.
pub async fn secrets(config: &Config, action: SecretsAction) -> Result<(), ServerError> {
    let SecretsAction::Rotate = action;
    let attached = CommandDatabase::attach(config).await?;
    let rotated = rotate_keys(config, &attached).await;
    attached.release().await?;
    let Rotation { master_key, rewrapped, is_resumed, unused } = rotated?;
    tracing::info!(master_key, rewrapped, is_resumed, ?unused, "rotated the master key for secrets");
    Ok(())
}

async fn rotate_keys(config: &Config, attached: &CommandDatabase) -> Result<Rotation, ServerError> {
    let database = app_database(&attached.server().with_tables_found().await?, 1)?;
    Ok(rotate(&database, &MasterKeys::new(config.master_keys())).await?)
}
