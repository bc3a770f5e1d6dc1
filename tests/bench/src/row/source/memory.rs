//! The memory of the server while it forwards a large response.

use std::fs;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{LOOPBACK, add_source};
use crate::api::Api;
use crate::bare_server::BareServer;
use crate::bench::Bench;
use crate::error::Result;
use crate::http::render;
use crate::machine::{peak_megabytes, resident_megabytes};
use crate::row::Reading;
use crate::server::Server;

const BYTES: usize = 100 * 1024 * 1024;
/// The time for the server to settle after its start.
const CALM: Duration = Duration::from_secs(2);

/// The maximum additional resident memory, in megabytes.
pub(in crate::row) async fn of_proxy(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    let large = BYTES.to_string();
    let settings = [LOOPBACK[0], ("GF_DATAPROXY_RESPONSE_LIMIT", large.as_str())];
    let file = folder.join("large");
    fs::write(&file, vec![b'x'; BYTES])?;
    let source = BareServer::start(&file).await?;
    let server = Server::start_with(bench, &folder, &settings).await?;
    let mut api = Api::log_in(server.address).await?;
    add_source(&mut api, "large", source.address).await?;
    tokio::time::sleep(CALM).await;
    let before = resident_megabytes(server.pid())?.max(peak_megabytes(server.pid())?);
    let request = render(
        "GET",
        "/api/datasources/proxy/uid/large/file",
        &[("cookie", &api.cookie), ("connection", "close")],
        b"",
    );
    let mut stream = TcpStream::connect(server.address).await?;
    stream.write_all(&request).await?;
    let (mut part, mut received) = (vec![0; 64 * 1024], 0);
    loop {
        match stream.read(&mut part).await? {
            0 => break,
            bytes => received += bytes,
        }
    }
    if received < BYTES {
        return Err(format!("{received} bytes came through the proxy").into());
    }
    Ok(Reading::alone(peak_megabytes(server.pid())? - before))
}
