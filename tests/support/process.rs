//! The real server program, as a process that can be killed.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kymograph_embedded_postgres::{EmbeddedPostgres, EmbeddedSettings};
use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::migrate::connect;
use rustix::process::{Pid, Signal, kill_process};

use crate::Client;

/// A `kymograph serve` with an embedded PostgreSQL. Both are killed when it is dropped.
pub struct ServerProcess {
    data: PathBuf,
    port: u16,
    env: Vec<(String, String)>,
    max_descriptors: Option<u64>,
    child: Option<Child>,
}

impl ServerProcess {
    /// Starts a server on a new data folder and waits until it is ready.
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, &[]).await
    }

    /// The same with additional environment variables.
    pub async fn start_with(name: &str, env: &[(&str, &str)]) -> Self {
        let data = std::env::temp_dir().join(format!("kymograph-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&data).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { data, port, env, max_descriptors: None, child: None };
        server.restart().await;
        server
    }

    /// Starts the server again with a limit of file descriptors.
    pub async fn restart_with_descriptors(&mut self, max: u64) {
        assert!(self.stop().await);
        self.max_descriptors = Some(max);
        self.restart().await;
    }

    /// Starts the server again on its data folder, after it has ended.
    pub async fn restart(&mut self) {
        let mut command = self.command(&["serve"]);
        if let Some(max) = self.max_descriptors {
            let program = command.get_program().to_owned();
            let mut limited = Command::new("sh");
            limited.args(["-c", &format!("ulimit -n {max} && exec \"$0\" serve")]).arg(program);
            limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command = limited;
            command.current_dir(&self.data).stdin(Stdio::null());
        }
        let log = File::options().create(true).append(true).open(self.data.join("server.log")).unwrap();
        self.child = Some(command.stderr(log).spawn().unwrap());
        self.wait_until_ready().await;
    }

    /// Waits until the server is ready for requests.
    pub async fn wait_until_ready(&self) {
        for _ in 0..600 {
            if self.is_ready().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server on {} was not ready in time", self.data.display());
    }

    async fn is_ready(&self) -> bool {
        let client = self.anonymous();
        let request = client.request(reqwest::Method::GET, "/readyz");
        request.send().await.is_ok_and(|response| response.status().is_success())
    }

    /// The program with arguments, on the data folder of this server.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(args)
            .env("GF_PATHS_DATA", &self.data)
            .env("GF_SERVER_HTTP_ADDR", "127.0.0.1")
            .env("GF_SERVER_HTTP_PORT", self.port.to_string())
            .env("GF_LOG_LEVEL", "warn")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.data)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// A connection to its PostgreSQL as the owner, which is not subject to row level security.
    pub async fn database(&self) -> tokio_postgres::Client {
        let settings = EmbeddedSettings { data: self.data.clone(), run_as: None, extra: Vec::new() };
        let config = EmbeddedPostgres::attach(settings).await.unwrap().config();
        connect(&DatabaseServer::without_tls(config)).await.unwrap()
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A client without credentials.
    pub fn anonymous(&self) -> Client {
        Client::new(format!("http://127.0.0.1:{}", self.port))
    }

    /// The server admin.
    pub fn admin(&self) -> Client {
        self.anonymous().with_basic("admin", "admin")
    }

    /// Kills the server with SIGKILL.
    pub fn kill_server(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.join("server.log")).unwrap()
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The resident memory of the server in bytes, without PostgreSQL.
    pub fn resident_memory(&self) -> usize {
        let status = format!("/proc/{}/status", self.child.as_ref().unwrap().id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    /// Kills PostgreSQL with SIGKILL.
    pub fn kill_postgres(&self) {
        if let Some(pid) = self.postgres_pid() {
            // It may be gone already.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    fn postgres_pid(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.data.join("postgres/postmaster.pid")).ok()?;
        Pid::from_raw(text.lines().next()?.trim().parse().ok()?)
    }

    /// Stops the server with SIGTERM, and returns whether it ended successfully.
    pub async fn stop(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        for _ in 0..400 {
            if let Some(status) = child.try_wait().unwrap() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server did not stop in time");
    }

    /// Whether its PostgreSQL is running.
    pub fn postgres_runs(&self) -> bool {
        self.postgres_pid()
            .is_some_and(|pid| Path::new("/proc").join(pid.as_raw_nonzero().to_string()).exists())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill_server();
        self.kill_postgres();
        // Its workers end within moments; their last writes do not matter.
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// The program, in the folder of the test programs.
pub fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join("kymograph");
    assert!(program.exists(), "{} is missing: run `make test`, which builds it", program.display());
    program
}
