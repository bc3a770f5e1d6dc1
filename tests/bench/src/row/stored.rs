//! Saving and reading with a million stored dashboards, against a thousand.
//!
//! There are two servers, each with its own PostgreSQL. On both the same number of dashboards is saved and read: all of
//! the thousand, and as many of the million, evenly distributed among them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::json;

use super::Reading;
use crate::api::{Api, SAVE_PATH};
use crate::bench::Bench;
use crate::document::dashboard;
use crate::error::Result;
use crate::http::render;
use crate::load::{Client, InTurn, Load, Until};
use crate::pairs;
use crate::saver::Saver;
use crate::seed::{self, BYTES, uid};
use crate::server::Server;
use crate::slice::Slice;

/// The folder of the million dashboards.
pub(super) const FOLDER: &str = "stored-many";
/// Their number.
pub(super) const MANY: i64 = 1_000_000;
const FEW: i64 = 1_000;
const CONNECTIONS: usize = 16;

/// The time of a save among many, against that of a save among few.
pub(super) async fn save(bench: &Bench, name: &str) -> Result<Reading> {
    measure(bench, name, Side::save).await
}

/// The time of a read among many, against that of a read among few.
pub(super) async fn get(bench: &Bench, name: &str) -> Result<Reading> {
    measure(bench, name, Side::get).await
}

async fn measure(
    bench: &Bench,
    name: &str,
    work: impl AsyncFn(&Side, Until) -> Result<Slice>,
) -> Result<Reading> {
    let many = Side::start(bench, bench.kept_folder(FOLDER)?, MANY).await?;
    let few = Side::start(bench, bench.folder(name)?, FEW).await?;
    // Each of the used dashboards has been read once on both.
    for side in [&many, &few] {
        work(side, Until::Each(usize::try_from(FEW)?.div_ceil(CONNECTIONS))).await?;
    }
    let until = Until::Elapsed(bench.slice);
    let reading = pairs::compare(async || work(&many, until).await, async || work(&few, until).await);
    Ok(reading.await?.into_time())
}

/// A server with a number of dashboards.
struct Side {
    server: Server,
    cookie: String,
    org: String,
    /// The distance between the dashboards that are used.
    stride: i64,
    revision: Arc<AtomicU64>,
}

impl Side {
    async fn start(bench: &Bench, folder: PathBuf, dashboards: i64) -> Result<Self> {
        let server = Server::start(bench, &folder).await?;
        let org = seed::fill(bench, &folder, &server, dashboards).await?.to_string();
        let cookie = Api::log_in(server.address).await?.cookie;
        Ok(Self { server, cookie, org, stride: dashboards / FEW, revision: Arc::default() })
    }

    fn headers(&self) -> [(&str, &str); 2] {
        [("cookie", &self.cookie), ("x-grafana-org-id", &self.org)]
    }

    /// The dashboards of a client, none of which another client uses.
    fn uids(&self, client: usize) -> impl Iterator<Item = String> {
        let client = i64::try_from(client).unwrap_or_default();
        let connections = i64::try_from(CONNECTIONS).unwrap_or(1);
        (0..FEW)
            .filter(move |number| number % connections == client)
            .map(|number| uid((number + 1) * self.stride))
    }

    async fn save(&self, until: Until) -> Result<Slice> {
        let client = |number: usize| {
            let requests = self.uids(number).map(|uid| {
                let body = json!({"dashboard": dashboard(&uid, BYTES), "overwrite": true}).to_string();
                render("POST", SAVE_PATH, &self.headers(), body.as_bytes())
            });
            Box::new(Saver::new(requests.collect(), self.revision.clone())) as Box<dyn Client>
        };
        self.run((0..CONNECTIONS).map(client).collect(), until).await
    }

    async fn get(&self, until: Until) -> Result<Slice> {
        let client = |number: usize| {
            let requests = self
                .uids(number)
                .map(|uid| render("GET", &format!("/api/dashboards/uid/{uid}"), &self.headers(), b""));
            Box::new(InTurn::new(requests.collect())) as Box<dyn Client>
        };
        self.run((0..CONNECTIONS).map(client).collect(), until).await
    }

    async fn run(&self, clients: Vec<Box<dyn Client>>, until: Until) -> Result<Slice> {
        let load = Load { address: self.server.address, until, prefix: b"{".to_vec(), length: None };
        self.server.metered(load.run(clients)).await
    }
}
