//! The limit of reading: an axum handler that only responds with bytes from memory, in a separate process like the
//! server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::error::Result;

/// Answers reads of dashboards with the bytes of a file, until standard input is closed. Prints its address as the
/// first line on standard output.
pub(crate) async fn serve(body: &Path) -> Result<()> {
    let body = Bytes::from(tokio::fs::read(body).await?);
    let answer = move || async move { ([(CONTENT_TYPE, "application/json")], body) };
    let app = Router::new().route("/api/dashboards/uid/{uid}", get(answer.clone())).fallback(answer);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    crate::report::line(&listener.local_addr()?.to_string());
    let listener = listener.tap_io(|stream| {
        // A connection that was closed already fails when it is read.
        let _ = stream.set_nodelay(true);
    });
    tokio::select! {
        result = async { axum::serve(listener, app).await } => Ok(result?),
        // The benchmark that started this process has ended, for whatever reason.
        _ = async { tokio::io::stdin().read(&mut [0]).await } => Ok(()),
    }
}

/// The bare server as a child process, which is killed when this is dropped.
pub(crate) struct BareServer {
    child: Child,
    /// Its address.
    pub(crate) address: SocketAddr,
}

impl BareServer {
    /// Starts this program again as a bare server that answers with the bytes of a file.
    pub(crate) async fn start(body: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare-server").arg(body).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or("the bare server has no output")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let address = line.ok_or("the bare server did not start")?.parse()?;
        Ok(Self { child, address })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.child.id().ok_or("the bare server ended")?)
    }
}
