//! The server as a process: its memory while idle, and its start-up time.

use std::time::Duration;

use tokio::time::sleep;

use super::Reading;
use crate::api::Api;
use crate::bench::Bench;
use crate::error::Result;
use crate::machine::resident_megabytes;
use crate::server::Server;
use crate::slice::median;

const STARTS: usize = 5;

/// Resident memory after a start on an existing database and one login.
pub(super) async fn idle_memory(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    // Only the first start creates the database.
    drop(Server::start(bench, &folder).await?);
    let server = Server::start(bench, &folder).await?;
    Api::log_in(server.address).await?;
    sleep(Duration::from_secs(4)).await;
    Ok(Reading::alone(resident_megabytes(server.pid())?))
}

/// The time from the start of the program, on an existing database that is not running, until it is ready, in seconds.
pub(super) async fn start(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    drop(Server::start(bench, &folder).await?);
    let mut times = Vec::new();
    for _ in 0..STARTS {
        times.push(Server::start(bench, &folder).await?.start_took.as_secs_f64());
    }
    Ok(Reading::alone(median(times).ok_or("there were no starts")?))
}
