//! The lifecycle of the server.

pub(crate) mod connection;
pub(crate) mod connections;
pub(crate) mod descriptors;
pub(crate) mod discard;
pub(crate) mod listener;
mod stream;
pub(crate) mod table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kymograph_app::account::setup::{FirstUser, Setup};
use kymograph_infra::clock::SystemClock;
use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::migrate::migrate;
use kymograph_infra::secret::MasterKeys;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::config::{Config, ServerConfig};
use crate::database::ServerDatabase;
use crate::error::ServerError;
use crate::wire::{Wired, wire};

pub use connections::{ConnectionSettings, Connections};
pub use listener::listen;

/// The password of the first admin, unless another is configured.
const DEFAULT_PASSWORD: &str = "admin";

/// The timeout for recording queued refusals and notifications at the stop.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until SIGTERM or SIGINT.
///
/// Start: database, migrations, wiring, first user, background work, HTTP. Stop: not ready, drain, jobs, background
/// work, embedded database.
pub async fn serve(config: &Config) -> Result<(), ServerError> {
    let started = Instant::now();
    descriptors::raise_limit();
    let database = ServerDatabase::start(config).await?;
    let served = serve_on(config, &database.server(), started).await;
    let stopped = database.stop().await;
    served.and(stopped)
}

async fn serve_on(config: &Config, database: &DatabaseServer, started: Instant) -> Result<(), ServerError> {
    migrate(database, &MasterKeys::new(config.master_keys())).await?;
    let database = &database.with_tables_found().await?;
    let wired = wire(config, database, Arc::new(SystemClock))?;
    wired.secrets.check_master_key().await?;
    let first = FirstUser {
        login: config.security.admin_user.clone(),
        email: config.security.admin_email.clone(),
        password: config.security.admin_password.expose().to_owned(),
    };
    if wired.setup.ensure_first_user(&first).await? {
        tracing::info!(login = first.login, "created the first org and its admin");
    }
    let (host, port) = config.server.listen_address();
    let address = format!("{host}:{port}");
    let listener = TcpListener::bind((host, port))
        .await
        .map_err(|source| ServerError::Listen { address: address.clone(), source })?;
    let address = listener.local_addr()?;
    wired.readiness.set(true);
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let url = &config.server.root_url;
    tracing::info!(%address, url, portal = format!("{url}portal"), milliseconds, "serving");
    if !address.ip().is_loopback() {
        let (setup, login) = (wired.setup.clone(), config.security.admin_user.clone());
        // In the background: hashing takes a while.
        tokio::spawn(async move { warn_of_default_password(&setup, &login, address).await });
    }
    serve_until_stopped(listener, wired, &config.server).await
}

/// Logs a warning if the first admin still has the default password.
async fn warn_of_default_password(setup: &Setup, login: &str, address: SocketAddr) {
    match setup.has_password(login, DEFAULT_PASSWORD).await {
        Ok(true) => tracing::warn!(
            login,
            %address,
            "the admin still has the default password, and the server is reachable from other machines: change it"
        ),
        Ok(false) => {}
        Err(error) => tracing::debug!(%error, "could not check for the default password"),
    }
}

async fn serve_until_stopped(
    listener: TcpListener,
    wired: Wired,
    settings: &ServerConfig,
) -> Result<(), ServerError> {
    let (stop, stopped) = oneshot::channel::<()>();
    let drained = async {
        // The sender is dropped or used; both mean stop.
        let _ = stopped.await;
    };
    let server = tokio::spawn(listen(listener, wired.router, wired.connections, drained));
    wait_for_stop().await?;
    tracing::info!("stopping: draining requests");
    wired.readiness.set(false);
    drop(stop);
    match tokio::time::timeout(settings.drain_timeout, server).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the server task failed"),
        Err(_) => tracing::warn!("some requests did not finish within [server] drain_timeout"),
    }
    wired.jobs.stop().await;
    if tokio::time::timeout(FLUSH_TIMEOUT, wired.access.flush()).await.is_err() {
        tracing::warn!("could not record the refused requests of the last minute in time");
    }
    if tokio::time::timeout(FLUSH_TIMEOUT, wired.feed.flush()).await.is_err() {
        tracing::warn!("could not notify other servers of the last changes in time");
    }
    for task in wired.background {
        task.abort();
    }
    tracing::info!("stopped");
    Ok(())
}

async fn wait_for_stop() -> Result<(), ServerError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
