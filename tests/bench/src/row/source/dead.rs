//! Queries of many orgs, each of which has a data source that accepts connections and never responds.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{BEGIN, LOOPBACK, add_source, load_of_queries, render_query};
use crate::api::Api;
use crate::bare_server::BareServer;
use crate::bench::Bench;
use crate::error::Result;
use crate::http::Connection;
use crate::load::{Client, InTurn, Until};
use crate::report::progress;
use crate::row::Reading;
use crate::server::Server;
use crate::slice::{Slice, median};

const ORGS: usize = 50;
const SOURCES: usize = 10;
const CLIENTS: usize = 16;
const ROUNDS: usize = 3;
/// How long the dead sources are queried before the measurement.
const RUN_UP: Duration = Duration::from_millis(500);
const ANSWER: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1700000000,"1"]]}]}}"#;

/// The 99th percentile of the queries to the live sources while the dead ones are queried, against without.
pub(in crate::row) async fn latency(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    let file = folder.join("answer.json");
    std::fs::write(&file, ANSWER)?;
    let source = BareServer::start(&file).await?;
    let dead = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let server = Server::start_with(bench, &folder, &LOOPBACK).await?;
    let (alive, asking_dead) = prepare(server.address, source.address, dead.local_addr()?).await?;
    let hold = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = dead.accept().await {
            held.push(stream);
        }
    });
    let (mut quiet_sum, mut beside_sum, mut ratios) = (Slice::default(), Slice::default(), Vec::new());
    for _ in 0..ROUNDS {
        let mut quiet = ask(server.address, &alive, bench.slice).await?;
        let mut asking = JoinSet::new();
        for request in asking_dead.clone() {
            asking.spawn(repeat(server.address, request));
        }
        tokio::time::sleep(RUN_UP).await;
        let mut beside = ask(server.address, &alive, bench.slice).await?;
        asking.shutdown().await;
        let p99 = |slice: &mut Slice| slice.percentile(99).map(|time| time.as_secs_f64() * 1e3);
        let (before, during) = p99(&mut quiet).zip(p99(&mut beside)).ok_or("nothing was measured")?;
        progress(&format!("  p99 {during:.2} ms beside dead sources, {before:.2} ms without"));
        ratios.push(during / before);
        quiet_sum.merge(quiet);
        beside_sum.merge(beside);
    }
    hold.abort();
    let value = median(ratios).ok_or("nothing was measured")?;
    Ok(Reading { value, ours: Some(beside_sum), theirs: Some(quiet_sum) })
}

/// The queries to the sources of all orgs: live ones and dead ones.
async fn prepare(
    server: SocketAddr,
    alive: SocketAddr,
    dead: SocketAddr,
) -> Result<(Vec<Vec<u8>>, Vec<Vec<u8>>)> {
    let (mut requests, mut asking_dead) = (Vec::new(), Vec::new());
    for number in 0..ORGS {
        let mut admin = Api::log_in(server).await?;
        let org = admin.create_org(&format!("Org {number}")).await?;
        admin.call("POST", &format!("/api/user/using/{org}"), None).await?;
        for source in 0..SOURCES {
            let uid = format!("s{source}");
            let address = if source == 0 { dead } else { alive };
            add_source(&mut admin, &uid, address).await?;
            let query =
                render_query(&admin.cookie, &uid, &format!("up{{n=\"{number}\"}}"), (BEGIN, BEGIN + 60));
            if source == 0 { asking_dead.push(query) } else { requests.push(query) }
        }
    }
    Ok((requests, asking_dead))
}

/// Several clients query the live sources, each different ones.
async fn ask(server: SocketAddr, requests: &[Vec<u8>], time: Duration) -> Result<Slice> {
    let client = |at: usize| {
        let own = requests.iter().skip(at).step_by(CLIENTS).cloned().collect();
        Box::new(InTurn::new(own)) as Box<dyn Client>
    };
    let load = load_of_queries(server, Until::Elapsed(time));
    load.run((0..CLIENTS).map(client).collect()).await
}

/// Queries a dead source repeatedly, and ignores the result.
async fn repeat(server: SocketAddr, request: Vec<u8>) {
    while let Ok(mut connection) = Connection::open(server).await {
        drop(connection.exchange(&request).await);
    }
}
