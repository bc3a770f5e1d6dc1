//! Saving dashboards of 50 KB by 32 clients: in many orgs against Postgres alone, and in one org against many; and one
//! dashboard by many clients against one.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::json;

use super::Reading;
use crate::api::{Api, SAVE_PATH};
use crate::bench::Bench;
use crate::document::dashboard;
use crate::error::Result;
use crate::http::render;
use crate::load::{Client, Load, Until};
use crate::pairs;
use crate::pgbench::{CLIENTS, Pgbench};
use crate::saver::Saver;
use crate::server::Server;
use crate::slice::Slice;

const ORGS: usize = 100;
const BYTES: usize = 50_000;
/// The number of orgs that each client saves in, if there are many. Each org is shared by three or four clients.
const ORGS_OF_CLIENT: usize = 10;
/// The number of clients that save the same dashboard.
const SHARERS: usize = 16;

/// Saves in 100 orgs, against pgbench with the same statements.
pub(super) async fn in_many_orgs(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    let server = Server::start(bench, &folder).await?;
    let savers = Savers::prepare(&server, ORGS).await?;
    savers.save(&server, Place::ManyOrgs, Until::Each(ORGS_OF_CLIENT)).await?;
    let postmaster = server.postmaster()?;
    let mut pgbench = Pgbench::prepare(&server.postgres().await?, postmaster, &folder, BYTES).await?;
    // Both sides fill their caches of plans and pages.
    pgbench.run(Duration::from_secs(1)).await?;
    pairs::compare(
        async || savers.save(&server, Place::ManyOrgs, Until::Elapsed(bench.slice)).await,
        async || pgbench.run(bench.slice).await,
    )
    .await
}

/// Saves in one org, against saves in 100 orgs.
pub(super) async fn in_one_org(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    let server = Server::start(bench, &folder).await?;
    let savers = Savers::prepare(&server, ORGS).await?;
    savers.save(&server, Place::ManyOrgs, Until::Each(ORGS_OF_CLIENT)).await?;
    savers.save(&server, Place::OneOrg, Until::Each(3)).await?;
    pairs::compare(
        async || savers.save(&server, Place::OneOrg, Until::Elapsed(bench.slice)).await,
        async || savers.save(&server, Place::ManyOrgs, Until::Elapsed(bench.slice)).await,
    )
    .await
}

/// Saves of one dashboard by many clients, against one client. Each save must follow the previous one.
pub(super) async fn of_one_dashboard(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    let server = Server::start(bench, &folder).await?;
    let savers = Savers::prepare(&server, 1).await?;
    savers.save(&server, Place::OneDashboard(SHARERS), Until::Each(3)).await?;
    pairs::compare(
        async || savers.save(&server, Place::OneDashboard(SHARERS), Until::Elapsed(bench.slice)).await,
        async || savers.save(&server, Place::OneDashboard(1), Until::Elapsed(bench.slice)).await,
    )
    .await
}

/// Saves with metrics, against saves without. The audit log is the log itself, so nothing can be switched off there.
pub(super) async fn with_metrics(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    let (with, without) = (folder.join("with"), folder.join("without"));
    std::fs::create_dir_all(&with)?;
    std::fs::create_dir_all(&without)?;
    let with = Server::start(bench, &with).await?;
    let without = Server::start_with(bench, &without, &[("GF_METRICS_ENABLED", "false")]).await?;
    let ours = Savers::prepare(&with, ORGS).await?;
    let theirs = Savers::prepare(&without, ORGS).await?;
    for (savers, server) in [(&ours, &with), (&theirs, &without)] {
        savers.save(server, Place::ManyOrgs, Until::Each(ORGS_OF_CLIENT)).await?;
    }
    pairs::compare(
        async || ours.save(&with, Place::ManyOrgs, Until::Elapsed(bench.slice)).await,
        async || theirs.save(&without, Place::ManyOrgs, Until::Elapsed(bench.slice)).await,
    )
    .await
}

/// Where the clients save.
#[derive(Clone, Copy)]
enum Place {
    /// All in the same org.
    OneOrg,
    /// Each in some of many orgs, in turn.
    ManyOrgs,
    /// The same dashboard, by this many clients.
    OneDashboard(usize),
}

/// Creates the clients.
struct Savers {
    cookie: String,
    orgs: Vec<i64>,
    revision: Arc<AtomicU64>,
}

impl Savers {
    /// Creates the orgs.
    async fn prepare(server: &Server, orgs: usize) -> Result<Self> {
        let mut api = Api::log_in(server.address).await?;
        let mut ids = Vec::with_capacity(orgs);
        for number in 0..orgs {
            ids.push(api.create_org(&format!("Measured {number:03}")).await?);
        }
        Ok(Self { cookie: api.cookie, orgs: ids, revision: Arc::default() })
    }

    /// Lets all clients save until the time is over or each has saved often enough.
    async fn save(&self, server: &Server, place: Place, until: Until) -> Result<Slice> {
        let count = if let Place::OneDashboard(sharers) = place { sharers } else { CLIENTS };
        let clients =
            (0..count).map(|number| Box::new(self.client(number, place)) as Box<dyn Client>).collect();
        let load = Load { address: server.address, until, prefix: b"{".to_vec(), length: None };
        server.metered(load.run(clients)).await
    }

    fn client(&self, number: usize, place: Place) -> Saver {
        let orgs: Vec<i64> = match place {
            Place::OneOrg | Place::OneDashboard(_) => vec![self.orgs[0]],
            // Coprime to the number of orgs, so that the clients spread over all of them.
            Place::ManyOrgs => {
                (0..ORGS_OF_CLIENT).map(|hop| self.orgs[(number * 3 + hop * 7) % ORGS]).collect()
            }
        };
        let number = if let Place::OneDashboard(_) = place { 0 } else { number };
        let document = dashboard(&format!("saved-{number:02}"), BYTES);
        let body = json!({"dashboard": document, "overwrite": true, "message": "measured"}).to_string();
        let requests = orgs.iter().map(|org| {
            let headers = [("cookie", self.cookie.as_str()), ("x-grafana-org-id", &org.to_string())];
            render("POST", SAVE_PATH, &headers, body.as_bytes())
        });
        Saver::new(requests.collect(), self.revision.clone())
    }
}
