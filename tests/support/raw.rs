//! Connections on which a test sends arbitrary bytes, including invalid ones.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// The timeout of a response.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub struct RawConnection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A response.
#[derive(Debug)]
pub struct RawAnswer {
    /// The status.
    pub status: u16,
    /// The status line and the headers, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl RawConnection {
    /// Connects from 127.0.0.1.
    pub async fn open(server: SocketAddr) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, server).await
    }

    /// Connects from an address of this machine.
    pub async fn from(address: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::V4(address), 0).into()).unwrap();
        Self { stream: socket.connect(server).await.unwrap(), received: Vec::new() }
    }

    /// Connects from an address of this machine with a small receive buffer.
    pub async fn narrow(address: Ipv4Addr, server: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::V4(address), 0).into()).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self { stream: socket.connect(server).await.unwrap(), received: Vec::new() }
    }

    /// Sends bytes. Returns whether all of them were accepted.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        sent.is_ok_and(|sent| sent.is_ok())
    }

    /// Reads a response; `None` if the connection was closed before.
    pub async fn answer(&mut self) -> Option<RawAnswer> {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("there was no answer")
    }

    async fn read_answer(&mut self) -> Option<RawAnswer> {
        let end = loop {
            if let Some(end) = self.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more().await?;
        };
        let head = String::from_utf8(self.received.drain(..end).collect()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        while self.received.len() < length {
            self.read_more().await?;
        }
        let body = String::from_utf8(self.received.drain(..length).collect()).unwrap();
        Some(RawAnswer { status, head, body })
    }

    async fn read_more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.received).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }

    /// Waits for this many bytes, and discards them. Returns whether they arrived.
    pub async fn skip(&mut self, bytes: usize) -> bool {
        while self.received.len() < bytes {
            match tokio::time::timeout(PATIENCE, self.read_more()).await {
                Ok(Some(())) => {}
                Ok(None) | Err(_) => return false,
            }
        }
        self.received.drain(..bytes);
        true
    }

    /// Whether the server closes the connection within a time. Received bytes are discarded.
    pub async fn is_closed_within(&mut self, time: Duration) -> bool {
        let closed = async { while self.read_more().await.is_some() {} };
        tokio::time::timeout(time, closed).await.is_ok()
    }
}

/// The header of a login and password, for a manually written request.
pub fn basic(login: &str, password: &str) -> String {
    let request = reqwest::Client::new().get("http://localhost/").basic_auth(login, Some(password));
    let request = request.build().unwrap();
    format!("Authorization: {}\r\n", request.headers()["authorization"].to_str().unwrap())
}
