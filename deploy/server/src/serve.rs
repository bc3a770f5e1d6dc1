//! The server's life: start in order, serve, stop in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::ServiceExt;
use axum::extract::Request;
use axum::extract::connect_info::IntoMakeServiceWithConnectInfo;
use axum::serve::{ListenerExt, TapIo};
use kymograph_app::setup::FirstUser;
use kymograph_infra::clock::SystemClock;
use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::migrate::migrate;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tower::Layer;
use tower_http::normalize_path::{NormalizePath, NormalizePathLayer};

use crate::config::{Config, ServerConfig};
use crate::database::ServerDatabase;
use crate::error::ServerError;
use crate::wire::{Wired, wire};

/// How long what was only counted so far may take to be recorded at the stop.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until the process is told to stop.
///
/// Start: database, migrations, wiring, first user, background work, HTTP. Stop: not ready, drain, background
/// work, embedded database.
pub async fn serve(config: &Config) -> Result<(), ServerError> {
    let started = Instant::now();
    let database = ServerDatabase::start(config).await?;
    let served = serve_on(config, &database.server(), started).await;
    let stopped = database.stop().await;
    served.and(stopped)
}

async fn serve_on(config: &Config, database: &DatabaseServer, started: Instant) -> Result<(), ServerError> {
    migrate(database).await?;
    let wired = wire(config, database, Arc::new(SystemClock))?;
    let first = FirstUser {
        login: config.security.admin_user.clone(),
        email: config.security.admin_email.clone(),
        password: config.security.admin_password.expose().to_owned(),
    };
    if wired.setup.ensure_first_user(&first).await? {
        tracing::info!(login = first.login, "made the first org and its admin");
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
    serve_until_stopped(listener, wired, &config.server).await
}

async fn serve_until_stopped(
    listener: TcpListener,
    wired: Wired,
    settings: &ServerConfig,
) -> Result<(), ServerError> {
    let listener = make_listener(listener, settings.write_timeout);
    let service = make_service(wired.router);
    let (stop, stopped) = oneshot::channel::<()>();
    let drained = async {
        // The sender is dropped or used; both mean stop.
        let _ = stopped.await;
    };
    let server = tokio::spawn(axum::serve(listener, service).with_graceful_shutdown(drained).into_future());
    wait_for_stop().await?;
    tracing::info!("stopping: finishing the requests that are under way");
    wired.readiness.set(false);
    drop(stop);
    match tokio::time::timeout(settings.drain_timeout, server).await {
        Ok(Ok(result)) => result?,
        Ok(Err(error)) => tracing::error!(%error, "the server task failed"),
        Err(_) => tracing::warn!("some requests did not finish in time"),
    }
    if tokio::time::timeout(FLUSH_TIMEOUT, wired.access.flush()).await.is_err() {
        tracing::warn!("refused requests of the last minute could not be recorded in time");
    }
    for task in wired.background {
        task.abort();
    }
    tracing::info!("stopped");
    Ok(())
}

/// A listener whose connections have the settings that all of them need.
pub fn make_listener(
    listener: TcpListener,
    write_timeout: Duration,
) -> TapIo<TcpListener, impl FnMut(&mut TcpStream) + Send + 'static> {
    let milliseconds = u32::try_from(write_timeout.as_millis()).unwrap_or(u32::MAX);
    listener.tap_io(move |stream| {
        // Answers go out in few large writes; waiting for more of them only costs time.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        // A client that has stopped reading must not keep its connection and what waits to be sent. The kernel knows
        // it, while HTTP only sees a socket that is not ready.
        if let Err(error) = set_tcp_user_timeout(stream, milliseconds) {
            tracing::debug!(%error, "could not set TCP_USER_TIMEOUT");
        }
    })
}

/// The service of a router: a slash at the end of a path makes no difference, and requests know their peer.
#[must_use]
pub fn make_service(router: Router) -> IntoMakeServiceWithConnectInfo<NormalizePath<Router>, SocketAddr> {
    let service = NormalizePathLayer::trim_trailing_slash().layer(router);
    ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(service)
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
