//! Queries to a data source with the API of Prometheus, and the proxy to it.

mod dead;
mod flight;
mod memory;

use std::fs;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Reading;
use crate::api::Api;
use crate::bare_server::BareServer;
use crate::bench::Bench;
use crate::error::Result;
use crate::http::render;
use crate::load::{Client, InTurn, Load, Until};
use crate::pairs;
use crate::server::Server;
use crate::slice::Slice;

pub(super) use dead::latency as beside_a_dead_one;
pub(super) use flight::requests as of_the_same_query;
pub(super) use memory::of_proxy as memory_of_proxy;

const SERIES: u32 = 200;
const POINTS: u32 = 1_000;
/// The step of the points, and the time of the first one.
const STEP: u32 = 15;
const BEGIN: u32 = 1_700_000_000;
/// The number of concurrent clients if elapsed time is measured.
const CLIENTS: usize = 16;

/// Allows data sources on this machine.
const LOOPBACK: [(&str, &str); 1] = [("GF_DATA_SOURCES_ALLOW_LOOPBACK", "true")];

/// The processor time of a query, against that of the proxy for the same response.
pub(super) async fn query_cpu(bench: &Bench, name: &str) -> Result<Reading> {
    let measured = Measured::prepare(bench, name).await?;
    pairs::compare_cpu(async || measured.queries(1, bench).await, async || measured.proxied(1, bench).await)
        .await
}

/// The median time of a query with many clients, against that of the proxy.
pub(super) async fn query_time(bench: &Bench, name: &str) -> Result<Reading> {
    let measured = Measured::prepare(bench, name).await?;
    let mut reading = pairs::compare(
        async || measured.queries(CLIENTS, bench).await,
        async || measured.proxied(CLIENTS, bench).await,
    )
    .await?;
    let median = |side: &mut Option<Slice>| side.as_mut().and_then(|slice| slice.percentile(50));
    let (ours, theirs) =
        median(&mut reading.ours).zip(median(&mut reading.theirs)).ok_or("nothing was measured")?;
    Ok(Reading { value: ours.as_secs_f64() / theirs.as_secs_f64(), ..reading })
}

/// A server with a data source that always responds with the same matrix.
struct Measured {
    server: Server,
    _source: BareServer,
    cookie: String,
    /// The length of the matrix.
    length: usize,
}

impl Measured {
    async fn prepare(bench: &Bench, name: &str) -> Result<Self> {
        let folder = bench.folder(name)?;
        let server = Server::start_with(bench, &folder, &LOOPBACK).await?;
        let file = folder.join("matrix.json");
        let matrix = matrix();
        fs::write(&file, &matrix)?;
        let source = BareServer::start(&file).await?;
        let mut api = Api::log_in(server.address).await?;
        add_source(&mut api, "measured", source.address).await?;
        let measured = Self { server, _source: source, cookie: api.cookie.clone(), length: matrix.len() };
        let answer: Value = serde_json::from_slice(&api.send(&measured.query(0)).await?)?;
        let frames = answer["results"]["A"]["frames"].as_array().map_or(0, Vec::len);
        if frames != SERIES as usize {
            return Err(format!("the query has {frames} frames").into());
        }
        Ok(measured)
    }

    /// A query that is unique to the client: equal concurrent queries would be one call of the source.
    fn query(&self, client: usize) -> Vec<u8> {
        let end = BEGIN + STEP * (POINTS - 1);
        render_query(&self.cookie, "measured", &format!("up{{client=\"{client}\"}}"), (BEGIN, end))
    }

    async fn queries(&self, clients: usize, bench: &Bench) -> Result<Slice> {
        let client = |at| Box::new(InTurn::new(vec![self.query(at)])) as Box<dyn Client>;
        let load = load_of_queries(self.server.address, Until::Elapsed(bench.slice));
        self.server.metered(load.run((0..clients).map(client).collect())).await
    }

    async fn proxied(&self, clients: usize, bench: &Bench) -> Result<Slice> {
        let path = "/api/datasources/proxy/uid/measured/api/v1/query_range?query=up";
        let request = render("GET", path, &[("cookie", &self.cookie)], b"");
        let load = Load {
            address: self.server.address,
            until: Until::Elapsed(bench.slice),
            prefix: b"{\"status\"".to_vec(),
            length: Some(self.length),
        };
        self.server.metered(load.repeat(clients, &request)).await
    }
}

/// Adds a data source of the type `prometheus` to the org of a session.
async fn add_source(api: &mut Api, uid: &str, address: SocketAddr) -> Result<()> {
    let source = json!({"name": uid, "uid": uid, "type": "prometheus", "url": format!("http://{address}"), "access": "proxy"});
    api.call("POST", "/api/datasources", Some(&source)).await.map(drop)
}

/// The request of a query to a source, between times in seconds since 1970.
fn render_query(cookie: &str, uid: &str, expression: &str, (from, to): (u32, u32)) -> Vec<u8> {
    let query = json!({"refId": "A", "datasource": {"uid": uid}, "expr": expression, "range": true,
        "intervalMs": STEP * 1000, "maxDataPoints": POINTS});
    let body =
        json!({"from": format!("{from}000"), "to": format!("{to}000"), "queries": [query]}).to_string();
    render("POST", "/api/ds/query", &[("cookie", cookie)], body.as_bytes())
}

/// A load of queries, each of which must succeed.
fn load_of_queries(address: SocketAddr, until: Until) -> Load {
    Load { address, until, prefix: b"{\"results\"".to_vec(), length: None }
}

/// The response of Prometheus to a range query.
fn matrix() -> String {
    let series = |at: u32| {
        let point = |point: u32| {
            let value = f64::from((at * 31 + point * 7) % 1_000) / 8.0;
            format!("[{},\"{value}\"]", BEGIN + point * STEP)
        };
        let points: Vec<_> = (0..POINTS).map(point).collect();
        let labels = format!(r#"{{"__name__":"up","instance":"10.0.0.{at:04}:9100","job":"node"}}"#);
        format!(r#"{{"metric":{labels},"values":[{}]}}"#, points.join(","))
    };
    let all: Vec<_> = (0..SERIES).map(series).collect();
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#, all.join(","))
}
