//! Making the read model of dashboards anew from a log of a million events, against copying the same events out.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use kymograph_infra::migrate::connect;
use tokio_postgres::Client;

use super::Reading;
use super::stored::{FOLDER, MANY};
use crate::bench::Bench;
use crate::error::Result;
use crate::seed;
use crate::server::Server;
use crate::slice::median;

/// How often each side is timed.
const ROUNDS: usize = 3;

/// The time of a rebuild, against that of a copy of the events it is made of.
pub(super) async fn dashboards(bench: &Bench, _: &str) -> Result<Reading> {
    let folder = bench.kept_folder(FOLDER)?;
    let server = Server::start(bench, &folder).await?;
    let client = connect(&server.postgres().await?).await?;
    let org = seed::fill(bench, &folder, &server, MANY).await?;
    let (mut rebuilds, mut copies) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        copies.push(copy_out(&client, org).await?.as_secs_f64());
        let begun = Instant::now();
        seed::rebuild(bench, &folder).await?;
        rebuilds.push(begun.elapsed().as_secs_f64());
    }
    crate::report::progress(&format!("  rebuilds {rebuilds:.1?} s, copies {copies:.1?} s"));
    let (ours, theirs) = median(rebuilds).zip(median(copies)).ok_or("nothing was measured")?;
    let rows = "SELECT (SELECT count(*) FROM dashboards WHERE org_id = $1) >= $2,
        (SELECT count(*) FROM dashboard_versions WHERE org_id = $1) =
            (SELECT count(*) FROM events WHERE org_id = $1 AND stream_type = 'dashboard')";
    let rows = client.query_one(rows, &[&org, &MANY]).await?;
    if !rows.get::<_, bool>(0) || !rows.get::<_, bool>(1) {
        return Err("the rebuilt tables lack rows".into());
    }
    Ok(Reading::alone(ours / theirs))
}

/// Takes the events as a client that keeps nothing of them.
async fn copy_out(client: &Client, org: i64) -> Result<Duration> {
    let begun = Instant::now();
    let sql = format!("COPY (SELECT * FROM events WHERE org_id = {org}) TO STDOUT");
    let mut rows = std::pin::pin!(client.copy_out(&sql).await?);
    while rows.try_next().await?.is_some() {}
    Ok(begun.elapsed())
}
