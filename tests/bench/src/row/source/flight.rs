//! The same query by many clients at once, which should reach the source only once.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::{BEGIN, LOOPBACK, add_source, load_of_queries, render_query};
use crate::api::Api;
use crate::bench::Bench;
use crate::error::Result;
use crate::load::Until;
use crate::row::Reading;
use crate::server::Server;

const CLIENTS: usize = 32;
/// The response time of the source: all clients connect and query within it.
const DELAY: Duration = Duration::from_millis(500);
const ANSWER: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;

/// The number of requests that reach the source.
pub(in crate::row) async fn requests(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    let server = Server::start_with(bench, &folder, &LOOPBACK).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let asked = Arc::new(AtomicU32::new(0));
    let source = tokio::spawn(answer(listener, asked.clone()));
    let mut api = Api::log_in(server.address).await?;
    add_source(&mut api, "counting", address).await?;
    let request = render_query(&api.cookie, "counting", "up", (BEGIN, BEGIN + 3600));
    let load = load_of_queries(server.address, Until::Each(1));
    load.repeat(CLIENTS, &request).await?;
    source.abort();
    Ok(Reading::alone(f64::from(asked.load(Ordering::Relaxed))))
}

async fn answer(listener: TcpListener, asked: Arc<AtomicU32>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let asked = asked.clone();
        tokio::spawn(async move {
            let mut head = [0; 8192];
            // The head arrives in one piece; a client that has disconnected needs no response.
            if stream.read(&mut head).await.is_ok_and(|bytes| bytes > 0) {
                asked.fetch_add(1, Ordering::Relaxed);
                sleep(DELAY).await;
                let length = ANSWER.len();
                let text = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{ANSWER}"
                );
                drop(stream.write_all(text.as_bytes()).await);
            }
        });
    }
}
