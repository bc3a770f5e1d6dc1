//! A server in this process, composed by the same `wire` as the real one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kymograph_api::kernel::routes::Route;
use kymograph_app::account::access::AccessLog;
use kymograph_app::account::setup::FirstUser;
use kymograph_jobs::JobRunner;
use kymograph_server::config::{Config, Sources};
use kymograph_server::serve::listen;
use kymograph_server::wire::wire;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{Client, Cluster, TestClock, TestDatabase};

/// A server on a free port, with its own database. It ends with the test.
pub struct TestServer {
    /// Its address.
    pub address: SocketAddr,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Its database.
    pub database: TestDatabase,
    /// Records refusals in the background.
    pub access: AccessLog,
    /// Its clock.
    pub clock: Arc<TestClock>,
    _jobs: JobRunner,
    tasks: Vec<JoinHandle<()>>,
}

/// Servers on one database share a master key, and data sources are on this machine.
const DEFAULTS: [&str; 2] =
    ["security.secret_key=the-secret-key-of-tests", "data_sources.allow_loopback=true"];

impl TestServer {
    /// A server with default settings.
    pub async fn start() -> Self {
        Self::with_settings(&[]).await
    }

    /// A server with settings like `server.max_body=1MiB`.
    pub async fn with_settings(settings: &[&str]) -> Self {
        Self::on_database(Cluster::get().new_database().await, settings).await
    }

    /// A server on a database that may have been used before.
    pub async fn on_database(database: TestDatabase, settings: &[&str]) -> Self {
        let config = Config::load(&Sources {
            config_file: None,
            env: Vec::new(),
            overrides: DEFAULTS.iter().chain(settings).map(|setting| format!("cfg:{setting}")).collect(),
            working_dir: PathBuf::from("/nonexistent"),
        })
        .unwrap();
        let clock = Arc::new(TestClock::default());
        let wired = wire(&config, &database.config, clock.clone()).unwrap();
        let first =
            FirstUser { login: "admin".into(), email: "admin@localhost".into(), password: "admin".into() };
        wired.secrets.check_master_key().await.unwrap();
        wired.setup.ensure_first_user(&first).await.unwrap();
        wired.readiness.set(true);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(listen(listener, wired.router, wired.connections, std::future::pending()));
        let mut tasks = wired.background;
        tasks.push(serving);
        let (routes, access, jobs) = (wired.routes, wired.access, wired.jobs);
        Self { address, routes, database, access, clock, _jobs: jobs, tasks }
    }

    /// Runs the hourly and daily jobs at once.
    pub async fn tidy(&self) {
        let client = self.database.connect().await;
        let at_rest = "SELECT count(*) FILTER (WHERE state = 'waiting' AND due_at > now()), count(*),
                count(*) FILTER (WHERE kind = 'tidy-server')
            FROM jobs WHERE kind LIKE 'tidy-%'";
        let rest = async || {
            for _ in 0..600 {
                let row = client.query_one(at_rest, &[]).await.unwrap();
                let (resting, all, of_server): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
                if resting == all && of_server == 1 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            panic!("the server did not tidy in time");
        };
        rest().await;
        client.batch_execute("UPDATE jobs SET due_at = now() WHERE kind LIKE 'tidy-%'").await.unwrap();
        rest().await;
    }

    /// Its URL without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of its clients' connections, according to the kernel.
    pub fn open_connections(&self) -> usize {
        const ESTABLISHED: &str = "01";
        let local = format!("0100007F:{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let columns = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        columns.filter(|columns| columns[1] == local && columns[3] == ESTABLISHED).count()
    }

    /// A client without credentials.
    pub fn anonymous(&self) -> Client {
        Client::new(self.url())
    }

    /// A client with a login and password.
    pub fn client(&self, login: &str, password: &str) -> Client {
        Client::new(self.url()).with_basic(login, password)
    }

    /// The server admin, who is also admin of org 1.
    pub fn admin(&self) -> Client {
        self.client("admin", "admin")
    }

    /// A new org and its id.
    pub async fn new_org(&self, name: &str) -> i64 {
        let answer = self.admin().post("/api/orgs", &json!({"name": name})).await;
        answer.expect(200).body["orgId"].as_i64().unwrap()
    }

    /// A new user with its id: a member of one org only, with the password `secret`.
    pub async fn new_member(&self, org: i64, login: &str, role: &str) -> (Client, i64) {
        let admin = self.admin();
        let user = json!({"login": login, "password": "secret", "OrgId": org});
        let id = admin.post("/api/admin/users", &user).await.expect(200).body["id"].as_i64().unwrap();
        let path = format!("/api/orgs/{org}/users/{id}");
        admin.patch(&path, &json!({"role": role})).await.expect(200);
        (self.client(login, "secret"), id)
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
