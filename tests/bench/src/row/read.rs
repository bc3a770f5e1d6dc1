//! Reading a dashboard of 50 KB, against a handler that only sends the same bytes.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use super::Reading;
use crate::api::{Api, BASIC};
use crate::bare_server::BareServer;
use crate::bench::Bench;
use crate::document::dashboard;
use crate::error::Result;
use crate::http::render;
use crate::load::{Load, Until};
use crate::machine::cpu_of_process;
use crate::pairs;
use crate::server::Server;
use crate::slice::Slice;

const CONNECTIONS: usize = 16;
const PATH: &str = "/api/dashboards/uid/read-often";

/// Reads with the cookie of a session.
pub(super) async fn with_session(bench: &Bench, name: &str) -> Result<Reading> {
    measure(bench, name, |cookie| ("cookie", cookie)).await
}

/// Reads with a login and a password in each request.
pub(super) async fn with_basic(bench: &Bench, name: &str) -> Result<Reading> {
    measure(bench, name, |_| BASIC).await
}

async fn measure(
    bench: &Bench,
    name: &str,
    credentials: fn(&str) -> (&'static str, &str),
) -> Result<Reading> {
    let folder = bench.folder(name)?;
    let server = Server::start(bench, &folder).await?;
    let mut api = Api::log_in(server.address).await?;
    api.save(&dashboard("read-often", 50_000)).await?;
    let body = api.call("GET", PATH, None).await?;
    let file = folder.join("body.json");
    fs::write(&file, &body)?;
    let bare = BareServer::start(&file).await?;
    let bare_pid = bare.pid()?;

    let request = render("GET", PATH, &[credentials(&api.cookie)], b"");
    let warm_up = Duration::from_millis(500);
    send(server.address, &request, &body, warm_up).await?;
    send(bare.address, &request, &body, warm_up).await?;
    pairs::compare(
        async || server.metered(send(server.address, &request, &body, bench.slice)).await,
        async || {
            let before = cpu_of_process(bare_pid)?;
            let mut slice = send(bare.address, &request, &body, bench.slice).await?;
            slice.server_cpu = Some(cpu_of_process(bare_pid)?.saturating_sub(before));
            Ok(slice)
        },
    )
    .await
}

async fn send(address: SocketAddr, request: &[u8], body: &[u8], time: Duration) -> Result<Slice> {
    let prefix = body[..body.len().min(64)].to_vec();
    let load = Load { address, until: Until::Elapsed(time), prefix, length: Some(body.len()) };
    load.repeat(CONNECTIONS, request).await
}
