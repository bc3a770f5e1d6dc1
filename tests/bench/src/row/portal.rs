//! The waiting times of users of the portal, in a real browser. The measurements themselves are in
//! `portal/e2e/measure.ts`.

use std::path::Path;
use std::process::Stdio;

use kymograph_infra::migrate::connect;
use tokio::process::Command;

use super::{Reading, audit, search};
use crate::api::Api;
use crate::bench::Bench;
use crate::error::Result;
use crate::server::Server;

/// The size of all responses until the overview is usable, in KB.
pub(super) async fn first_load(bench: &Bench, name: &str) -> Result<Reading> {
    let server = Server::start(bench, &bench.folder(name)?).await?;
    Ok(Reading::alone(measure(&server, 1, "first-load").await? / 1_000.0))
}

/// The time until the overview is usable, in seconds.
pub(super) async fn overview(bench: &Bench, name: &str) -> Result<Reading> {
    let server = Server::start(bench, &bench.folder(name)?).await?;
    Ok(Reading::alone(measure(&server, 1, "overview").await? / 1_000.0))
}

/// The duration of the longest frame while the log is scrolled through, in milliseconds.
pub(super) async fn audit_scroll(bench: &Bench, _: &str) -> Result<Reading> {
    let server = Server::start(bench, &bench.kept_folder(audit::EXPORT_FOLDER)?).await?;
    let client = connect(&server.postgres().await?).await?;
    let org = audit::fill_exported(&client, &mut Api::log_in(server.address).await?).await?;
    Ok(Reading::alone(measure(&server, org, "audit-scroll").await?))
}

/// The time from a key press to its result, in milliseconds.
pub(super) async fn dashboard_search(bench: &Bench, _: &str) -> Result<Reading> {
    let server = Server::start(bench, &bench.kept_folder(search::FOLDER)?).await?;
    let client = connect(&server.postgres().await?).await?;
    let org = search::seed(&client, &mut Api::log_in(server.address).await?).await?;
    Ok(Reading::alone(measure(&server, org, "dashboard-search").await?))
}

async fn measure(server: &Server, org: i64, what: &str) -> Result<f64> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/portal");
    let mut command = Command::new(script);
    command.arg("measure").arg(format!("http://{}", server.address)).arg(org.to_string()).arg(what);
    let output = command.stderr(Stdio::piped()).kill_on_drop(true).output().await?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}
