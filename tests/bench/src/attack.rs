//! Clients that try to keep a server busy: each sends its requests over new connections, one after the other, and
//! accepts any response.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::error::Result;

/// The timeout of an attacker's request: longer than the server's own.
const PATIENCE: Duration = Duration::from_secs(90);
/// The pause after a connection that could not be opened.
const PAUSE: Duration = Duration::from_millis(20);
/// The interval at which a slow client sends a byte.
const TRICKLE: Duration = Duration::from_millis(500);

/// The behaviour of a client.
pub(crate) enum Kind {
    /// Sends these requests in turn, repeatedly.
    Busy(Vec<Vec<u8>>),
    /// Sends the beginning of a request at once and the rest byte by byte, over this many connections.
    Slow(usize, Vec<u8>),
}

/// An attacker.
pub(crate) struct Attacker {
    /// Its name in the report.
    pub(crate) name: &'static str,
    /// Its behaviour.
    pub(crate) kind: Kind,
}

/// An attack, which continues until it is dropped.
pub(crate) struct Attack {
    _clients: JoinSet<()>,
    answers: Vec<(&'static str, Arc<AtomicU64>)>,
}

impl Attack {
    /// Begins.
    pub(crate) fn begin(address: SocketAddr, attackers: &[Attacker]) -> Self {
        let (mut clients, mut answers) = (JoinSet::new(), Vec::new());
        for attacker in attackers {
            let count = Arc::new(AtomicU64::default());
            answers.push((attacker.name, count.clone()));
            match &attacker.kind {
                Kind::Busy(requests) => {
                    clients.spawn(send_in_turn(address, requests.clone(), count));
                }
                Kind::Slow(connections, request) => {
                    let request: Arc<[u8]> = request.as_slice().into();
                    for _ in 0..*connections {
                        clients.spawn(trickle_again(address, request.clone(), count.clone()));
                    }
                }
            }
        }
        Self { _clients: clients, answers }
    }

    /// The number of requests of each attacker that were answered or abandoned so far.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for (name, count) in &self.answers {
            // Writing to a text cannot fail.
            let _ = write!(text, "{name} {}, ", count.load(Ordering::Relaxed));
        }
        text.truncate(text.len().saturating_sub(2));
        text
    }
}

async fn send_in_turn(address: SocketAddr, requests: Vec<Vec<u8>>, count: Arc<AtomicU64>) {
    for request in requests.iter().cycle() {
        match timeout(PATIENCE, send(address, request)).await {
            Ok(Ok(())) => {
                count.fetch_add(1, Ordering::Relaxed);
            }
            _ => sleep(PAUSE).await,
        }
    }
}

async fn send(address: SocketAddr, request: &[u8]) -> Result<()> {
    let (mut receiving, mut sending) = TcpStream::connect(address).await?.into_split();
    let write = async {
        // A server may respond and close the connection before it has read everything.
        drop(sending.write_all(request).await);
        std::future::pending::<Result<()>>().await
    };
    let read = async {
        let mut buffer = vec![0; 64 * 1024];
        while receiving.read(&mut buffer).await? > 0 {}
        Ok(())
    };
    tokio::select! {
        done = write => done,
        done = read => done,
    }
}

async fn trickle_again(address: SocketAddr, request: Arc<[u8]>, count: Arc<AtomicU64>) {
    loop {
        drop(trickle(address, &request).await);
        count.fetch_add(1, Ordering::Relaxed);
        sleep(PAUSE).await;
    }
}

/// Sends all but the last bytes of a request at once, and those so slowly that the server must give up.
async fn trickle(address: SocketAddr, request: &[u8]) -> Result<()> {
    const LAST: usize = 512;
    let mut stream = TcpStream::connect(address).await?;
    let (beginning, rest) = request.split_at(request.len().saturating_sub(LAST));
    stream.write_all(beginning).await?;
    let mut answer = [0; 1024];
    for byte in rest {
        stream.write_all(&[*byte]).await?;
        if timeout(TRICKLE, stream.read(&mut answer)).await.is_ok_and(|read| read.is_ok_and(|read| read == 0))
        {
            break;
        }
    }
    Ok(())
}
