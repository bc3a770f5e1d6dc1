//! The limit of writing: pgbench, which only sends Postgres the statements of saves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use futures_util::future::try_join_all;
use kymograph_domain::content::dashboard::DashboardContent;
use kymograph_infra::database_server::DatabaseServer;
use kymograph_infra::migrate::connect;
use kymograph_infra::pool::APP_ROLE;
use tokio::process::Command;
use tokio_postgres::Client;
use tokio_postgres::config::Host;
use tokio_postgres::types::ToSql;

use crate::document::dashboard;
use crate::error::Result;
use crate::machine::cpu_of_postgres;
use crate::script::{Place, Script, content, script, statements};
use crate::slice::Slice;

/// The number of clients, here and at the server.
pub(crate) const CLIENTS: usize = 32;

/// The number of orgs of each pgbench client, which are not shared.
const ORGS_OF_CLIENT: i64 = 4;

/// The distance between the first orgs of two runs.
const ORGS_OF_RUN: i64 = 1_000;

/// A program, a script, and the database to run it on.
pub(crate) struct Pgbench {
    program: PathBuf,
    postmaster: u32,
    database: DatabaseServer,
    client: Client,
    content: DashboardContent,
    script: Script,
    folder: PathBuf,
    /// The first org of the next run. Each run begins with new orgs, because the position that each client of the last
    /// one reached is unknown.
    base: i64,
}

impl Pgbench {
    /// Prepares to save dashboards of this many bytes in a database.
    pub(crate) async fn prepare(
        database: &DatabaseServer,
        postmaster: u32,
        folder: &Path,
        bytes: usize,
    ) -> Result<Self> {
        let client = connect(database).await?;
        let content = content(&dashboard("pgbench", bytes))?;
        let script = script(&client, &content).await?;
        fs::write(folder.join("save.sql"), &script.text)?;
        Ok(Self {
            // The program that belongs to the running PostgreSQL; several versions may be installed.
            program: fs::read_link(format!("/proc/{postmaster}/exe"))?.with_file_name("pgbench"),
            postmaster,
            database: database.clone(),
            client,
            content,
            script,
            folder: folder.to_owned(),
            base: 1_000_000,
        })
    }

    /// Runs for this time.
    pub(crate) async fn run(&mut self, time: Duration) -> Result<Slice> {
        self.base += ORGS_OF_RUN;
        self.create_dashboards().await?;
        let before = cpu_of_postgres(self.postmaster)?;
        let output = self.command(time)?.output().await?;
        let mut slice = self.read(&output)?;
        slice.postgres_cpu = Some(cpu_of_postgres(self.postmaster)?.saturating_sub(before));
        self.check(slice.count).await?;
        Ok(slice)
    }

    /// Creates the dashboards that are saved, one in each org, by the same statements.
    async fn create_dashboards(&self) -> Result<()> {
        for org in self.base..self.base + i64::try_from(CLIENTS)? * ORGS_OF_CLIENT {
            let bound = statements(&self.content, Place { org, position: 1, version: 1 })?;
            self.client.batch_execute("BEGIN").await?;
            try_join_all(bound.iter().map(|(sql, params)| async move {
                let params: Vec<_> = params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect();
                self.client.execute(*sql, &params).await
            }))
            .await?;
            self.client.batch_execute("COMMIT").await?;
        }
        Ok(())
    }

    fn command(&self, time: Duration) -> Result<Command> {
        let (Some(Host::Unix(socket)), Some(port), Some(user), Some(database)) = (
            self.database.config().get_hosts().first(),
            self.database.config().get_ports().first(),
            self.database.config().get_user(),
            self.database.config().get_dbname(),
        ) else {
            return Err("the embedded PostgreSQL has no socket".into());
        };
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        // The settings of the server's own connections.
        let options = format!("-c role={APP_ROLE} -c statement_timeout=60s -c jit=off");
        command.env("PGOPTIONS", options).current_dir(&self.folder).kill_on_drop(true);
        command.arg("--host").arg(socket).arg("--port").arg(port.to_string()).arg("--username").arg(user);
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--file=save.sql", "--log"]);
        command.arg(format!("--log-prefix={}", self.log_prefix()));
        command.arg(format!("--client={CLIENTS}")).arg(format!("--time={}", time.as_secs().max(1)));
        command.arg(format!("--define=base={}", self.base)).arg("--define=i=-1");
        for (name, value) in &self.script.variables {
            command.arg(format!("--define={name}={value}"));
        }
        command.arg(database);
        Ok(command)
    }

    fn log_prefix(&self) -> String {
        format!("pgbench-{}", self.base)
    }

    /// Reads the time of each transaction from the logs, of which each thread writes one, and takes the rate from the
    /// output of pgbench, which excludes the time of connecting.
    fn read(&self, output: &Output) -> Result<Slice> {
        let told = String::from_utf8_lossy(&output.stdout);
        let tps =
            told.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse::<f64>().ok());
        let Some(tps) = tps.filter(|tps| output.status.success() && *tps > 0.0) else {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!("pgbench failed ({}): {}", output.status, text.trim()).into());
        };
        let mut slice = Slice::default();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(&format!("{}.", self.log_prefix())) {
                continue;
            }
            for line in fs::read_to_string(entry.path())?.lines() {
                let time = line.split(' ').nth(2).ok_or("a line without a time")?;
                slice.latencies.push(Duration::from_micros(time.parse()?));
            }
        }
        slice.count = u32::try_from(slice.latencies.len())?;
        slice.elapsed = Duration::from_secs_f64(f64::from(slice.count) / tps);
        Ok(slice)
    }

    /// Checks that everything was written: one event, one version and one position for each transaction.
    async fn check(&self, count: u32) -> Result<()> {
        let orgs = i64::try_from(CLIENTS)? * ORGS_OF_CLIENT;
        let counts = "SELECT (SELECT count(*) FROM events WHERE org_id >= $1 AND org_id < $2),
            (SELECT count(*) FROM dashboard_versions WHERE org_id >= $1 AND org_id < $2),
            (SELECT sum(version)::bigint FROM dashboards WHERE org_id >= $1 AND org_id < $2),
            (SELECT sum(version)::bigint FROM streams WHERE org_id >= $1 AND org_id < $2),
            (SELECT sum(pos)::bigint FROM heads WHERE org_id >= $1 AND org_id < $2)";
        let row = self.client.query_one(counts, &[&self.base, &(self.base + ORGS_OF_RUN)]).await?;
        let expected = orgs + i64::from(count);
        let found: Vec<Option<i64>> = (0..row.len()).map(|column| row.get(column)).collect();
        if found.iter().all(|found| *found == Some(expected)) {
            return Ok(());
        }
        Err(format!("pgbench was to write {expected} versions and wrote {found:?}").into())
    }
}
