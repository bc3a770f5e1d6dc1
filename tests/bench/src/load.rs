//! Sends requests over several connections at once, from one thread.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::runtime::Builder;

use crate::error::Result;
use crate::http::{Connection, Response};
use crate::slice::Slice;

/// The requests of one connection.
pub(crate) trait Client: Send {
    /// The next request.
    fn request(&mut self) -> &[u8];
}

/// Sends some requests in turn, repeatedly.
pub(crate) struct InTurn {
    requests: Vec<Vec<u8>>,
    next: usize,
}

impl InTurn {
    /// A client with these requests.
    pub(crate) fn new(requests: Vec<Vec<u8>>) -> Self {
        Self { requests, next: 0 }
    }
}

impl Client for InTurn {
    fn request(&mut self) -> &[u8] {
        let at = self.next % self.requests.len();
        self.next += 1;
        &self.requests[at]
    }
}

/// The condition for stopping.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After this many requests of each client.
    Each(usize),
}

/// The destination of requests, and the expected responses.
#[derive(Clone)]
pub(crate) struct Load {
    /// The address of the server.
    pub(crate) address: SocketAddr,
    /// The condition for stopping.
    pub(crate) until: Until,
    /// The expected beginning of the body of each response.
    pub(crate) prefix: Vec<u8>,
    /// The expected length of the body of each response, if known.
    pub(crate) length: Option<usize>,
}

impl Load {
    /// Lets this many clients send the same request, as [`Self::run`] does.
    pub(crate) async fn repeat(self, clients: usize, request: &[u8]) -> Result<Slice> {
        let client = |_| Box::new(InTurn::new(vec![request.to_vec()])) as Box<dyn Client>;
        self.run((0..clients).map(client).collect()).await
    }

    /// Lets each client send its requests over its own connection, one after the other.
    pub(crate) async fn run(self, clients: Vec<Box<dyn Client>>) -> Result<Slice> {
        let run =
            move || Builder::new_current_thread().enable_all().build()?.block_on(self.run_here(clients));
        tokio::task::spawn_blocking(run).await?
    }

    async fn run_here(self, clients: Vec<Box<dyn Client>>) -> Result<Slice> {
        let connections = try_join_all(clients.iter().map(|_| Connection::open(self.address))).await?;
        let begun = Instant::now();
        let running = clients.into_iter().zip(connections).map(|(client, connection)| {
            let load = self.clone();
            tokio::spawn(load.run_client(begun, client, connection))
        });
        let mut slice = Slice::default();
        for latencies in try_join_all(running).await? {
            slice.latencies.extend(latencies?);
        }
        slice.elapsed = begun.elapsed();
        slice.count = u32::try_from(slice.latencies.len())?;
        Ok(slice)
    }

    async fn run_client(
        self,
        begun: Instant,
        mut client: Box<dyn Client>,
        mut connection: Connection,
    ) -> Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        while self.goes_on(begun, latencies.len()) {
            let sent = Instant::now();
            let response = connection.exchange(client.request()).await?;
            latencies.push(sent.elapsed());
            self.check(&response)?;
        }
        Ok(latencies)
    }

    fn goes_on(&self, begun: Instant, sent: usize) -> bool {
        match self.until {
            Until::Elapsed(limit) => begun.elapsed() < limit,
            Until::Each(limit) => sent < limit,
        }
    }

    fn check(&self, response: &Response<'_>) -> Result<()> {
        let has_length = self.length.is_none_or(|length| length == response.body.len());
        if response.status == 200 && has_length && response.body.starts_with(&self.prefix) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&response.body[..response.body.len().min(300)]);
        Err(format!("unexpected response with status {}: {text}", response.status).into())
    }
}
