//! The server under measurement, with its embedded Postgres.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use kymograph_embedded_postgres::{EmbeddedPostgres, EmbeddedSettings};
use kymograph_infra::database_server::DatabaseServer;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::bench::Bench;
use crate::error::Result;
use crate::http::{Connection, render};
use crate::machine::{cpu_of_postgres, cpu_of_process};
use crate::slice::Slice;

/// The timeout for the server to become ready, and to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The interval of readiness checks: long enough not to slow it down.
const POLL: Duration = Duration::from_millis(2);

/// A server on its own data folder, which is stopped when this is dropped.
///
/// Measurements of Postgres alone also use the server's embedded one, so that both sides of a comparison have the same
/// programs, settings, files and disk.
pub(crate) struct Server {
    child: Child,
    /// Its address.
    pub(crate) address: SocketAddr,
    /// The time until it was ready.
    pub(crate) start_took: Duration,
    data: PathBuf,
}

impl Server {
    /// Starts the server in a folder with existing data, if any, and returns when it is ready.
    pub(crate) async fn start(bench: &Bench, folder: &Path) -> Result<Self> {
        Self::start_with(bench, folder, &[]).await
    }

    /// The same with other settings, as environment variables.
    pub(crate) async fn start_with(bench: &Bench, folder: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let program = bench.programs.join("kymograph");
        if !program.exists() {
            let path = program.display();
            return Err(format!("{path} is missing: run `cargo build --profile dist --workspace`").into());
        }
        let port = free_port()?;
        let (data, log) = (folder.join("data"), folder.join("server.log"));
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GF_") {
                command.env_remove(name);
            }
        }
        command.arg("serve").current_dir(folder).env("GF_PATHS_DATA", &data);
        command.env("GF_SERVER_HTTP_ADDR", "127.0.0.1").env("GF_SERVER_HTTP_PORT", port.to_string());
        command.envs(settings.iter().copied());
        command.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        // Ctrl-C in a terminal must reach only the benchmark, which then stops the server properly.
        command.process_group(0);
        let begun = Instant::now();
        let child = command.spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { child, address, start_took: Duration::ZERO, data };
        server.become_ready(begun, &log).await?;
        Ok(server)
    }

    async fn become_ready(&mut self, begun: Instant, log: &Path) -> Result<()> {
        let request = render("GET", "/readyz", &[], b"");
        while begun.elapsed() < PATIENCE {
            if let Ok(mut connection) = Connection::open(self.address).await
                && connection.exchange(&request).await.is_ok_and(|response| response.status == 200)
            {
                self.start_took = begun.elapsed();
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let text = fs::read_to_string(log).unwrap_or_default();
                let last = text.lines().last().unwrap_or_default();
                return Err(format!("the server ended ({status}): {last}").into());
            }
            sleep(POLL).await;
        }
        Err(format!("the server did not become ready within {PATIENCE:?}; see {}", log.display()).into())
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How to connect to its Postgres, as the superuser.
    pub(crate) async fn postgres(&self) -> Result<DatabaseServer> {
        let settings = EmbeddedSettings { data: self.data.clone(), run_as: None, extra: Vec::new() };
        // It is already running, so nothing is started here that would have to be released.
        Ok(DatabaseServer::without_tls(EmbeddedPostgres::attach(settings).await?.config()))
    }

    /// The process id of its Postgres.
    pub(crate) fn postmaster(&self) -> Result<u32> {
        let file = fs::read_to_string(self.data.join("postgres/postmaster.pid"))?;
        Ok(file.lines().next().unwrap_or_default().trim().parse()?)
    }

    /// Adds the processor time of the server and of Postgres to the measurements of a slice.
    pub(crate) async fn metered(&self, slice: impl Future<Output = Result<Slice>>) -> Result<Slice> {
        self.metered_with(self.pid(), slice).await
    }

    /// The same for the work of a process other than the server with its Postgres.
    pub(crate) async fn metered_with(
        &self,
        pid: u32,
        slice: impl Future<Output = Result<Slice>>,
    ) -> Result<Slice> {
        let postmaster = self.postmaster()?;
        let before = (cpu_of_process(pid)?, cpu_of_postgres(postmaster)?);
        let mut slice = slice.await?;
        slice.server_cpu = Some(cpu_of_process(pid)?.saturating_sub(before.0));
        slice.postgres_cpu = Some(cpu_of_postgres(postmaster)?.saturating_sub(before.1));
        Ok(slice)
    }

    fn stop(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > PATIENCE {
                self.child.kill()?;
                self.child.wait()?;
                return Err("the server did not stop and was killed; its PostgreSQL may still run".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            crate::report::progress(&format!("warning: {error}"));
        }
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
