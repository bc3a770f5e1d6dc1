//! Accepts connections and serves HTTP on them.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kymograph_api::content::dashboard::WRITE_AT_BYTES;
use kymograph_api::kernel::health;
use kymograph_app::kernel::log_limit::LogLimit;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tower::{Layer, Service};
use tower_http::normalize_path::{NormalizePath, NormalizePathLayer};

use super::connection::{Connection, Open};
use super::connections::Connections;
use super::stream::{Answer, Arrival, Stream};

/// The size limit of a request head.
pub(crate) const MAX_HEAD: usize = 32 * 1024;
/// The maximum number of headers: those that `hyper` parses without allocating.
pub(crate) const MAX_HEADERS: usize = 100;
/// The interval of the sweep over all connections.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// The pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

type HttpService = NormalizePath<Router>;

/// Serves a router on incoming connections until the stop; then it drains the requests. A trailing slash of a path
/// makes no difference.
pub async fn listen(
    listener: TcpListener,
    router: Router,
    connections: Arc<Connections>,
    stop: impl Future<Output = ()>,
) {
    let router = NormalizePathLayer::trim_trailing_slash().layer(router);
    let (stopping, is_stopping) = watch::channel(false);
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    connections.settle().await;
                    open(&connections, socket, peer, &router, &is_stopping);
                }
                Err(error) => cannot_accept(&connections, &error).await,
            },
            _ = ticks.tick() => connections.sweep(),
            () = &mut stop => break,
        }
    }
    drop(listener);
    drop(is_stopping);
    stopping.send_replace(true);
    // Each connection holds a receiver until it ends.
    let mut ended = pin!(stopping.closed());
    loop {
        tokio::select! {
            () = &mut ended => break,
            _ = ticks.tick() => connections.sweep(),
        }
    }
}

/// A connection that the client closed before it was accepted is ignored. Other errors are caused by a lack of
/// descriptors or memory, and would repeat at once: one connection is evicted, and the next accept is delayed.
async fn cannot_accept(connections: &Connections, error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    static LIMIT: LogLimit = LogLimit::new();
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    if let Some(suppressed) = LIMIT.admit() {
        tracing::error!(%error, suppressed, "could not accept a connection");
    }
    connections.relieve();
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

fn open(
    connections: &Arc<Connections>,
    socket: TcpStream,
    peer: SocketAddr,
    router: &HttpService,
    is_stopping: &watch::Receiver<bool>,
) {
    let Some(connection) = connections.open(peer.ip()) else { return };
    set_options(&socket, connections.settings().write_timeout);
    let open = Open(connection.clone());
    let task = serve(open, socket, peer, router.clone(), is_stopping.clone());
    let task = tokio::spawn(task).abort_handle();
    connections.set_task(&connection, task);
}

/// The options that every connection needs.
fn set_options(socket: &TcpStream, write_timeout: Duration) {
    // Responses are few large writes; delaying them only costs time.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    // A client that has stopped reading must not hold its connection and pending output. The kernel detects it, while
    // HTTP only sees a socket that is not ready.
    let milliseconds = u32::try_from(write_timeout.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = set_tcp_user_timeout(socket, milliseconds) {
        tracing::debug!(%error, "could not set TCP_USER_TIMEOUT");
    }
}

async fn serve(
    open: Open,
    socket: TcpStream,
    peer: SocketAddr,
    router: HttpService,
    mut is_stopping: watch::Receiver<bool>,
) {
    let connection = &open.0;
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let may_begin = connection.begin_request();
        let (connection, router) = (connection.clone(), router.clone());
        async move {
            if !may_begin {
                // Until the task is aborted, which it is already.
                return std::future::pending().await;
            }
            let mut request = request.map(|body| Body::new(Arrival::new(body, connection.clone())));
            request.extensions_mut().insert(ConnectInfo(peer));
            let mut response = respond(&connection, router, request).await;
            if connection.is_reserved() || connection.is_too_large_to_keep() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| Answer::new(body, connection)))
        }
    });
    let io = TokioIo::new(Stream::new(socket, connection.clone()));
    let mut http = http1::Builder::new();
    // The sweep over all connections enforces timeouts; a timer for each request would cost more.
    http.header_read_timeout(None).max_header_size(MAX_HEAD).max_buf_size(WRITE_AT_BYTES);
    let mut served = pin!(http.serve_connection(io, service));
    let stop = async {
        // The sender outlives all receivers.
        let _ = is_stopping.wait_for(|is_stopping| *is_stopping).await;
    };
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = stop => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection was closed early");
    }
}

async fn respond(connection: &Connection, mut router: HttpService, request: Request) -> Response {
    if !connection.is_reserved() {
        return router.call(request).await.unwrap_or_else(|never| match never {});
    }
    let path = request.uri().path();
    let path = path.strip_prefix(connection.sub_path()).unwrap_or(path);
    if !health::is_probe(path) {
        return health::too_many_connections();
    }
    router.call(request).await.unwrap_or_else(|never| match never {})
}
