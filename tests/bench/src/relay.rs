//! Provides TCP access to the Postgres of a server, which has only a socket. It is a separate process, so that its
//! processor time counts for neither side of a comparison.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, UnixStream};
use tokio::process::{Child, Command};

use crate::error::Result;

/// Relays between a port of this machine and a socket, until standard input is closed. Prints its address as the first
/// line on standard output.
pub(crate) async fn serve(socket: &Path) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    crate::report::line(&listener.local_addr()?.to_string());
    let accepting = async {
        loop {
            let (mut client, _) = listener.accept().await?;
            let mut server = UnixStream::connect(socket).await?;
            // A closed side ends the connection; that needs no report.
            tokio::spawn(async move { drop(copy_bidirectional(&mut client, &mut server).await) });
        }
    };
    tokio::select! {
        result = accepting => result,
        // The benchmark that started this process has ended, for whatever reason.
        _ = async { tokio::io::stdin().read(&mut [0]).await } => Ok(()),
    }
}

/// The relay as a child process, which is killed when this is dropped.
pub(crate) struct Relay {
    _child: Child,
    /// Its address.
    pub(crate) address: SocketAddr,
}

impl Relay {
    /// Starts this program again as a relay to a socket.
    pub(crate) async fn start(socket: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("relay").arg(socket).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or("the relay has no output")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let address = line.ok_or("the relay did not start")?.parse()?;
        Ok(Self { _child: child, address })
    }
}
