//! Rebuilding the read model of dashboards from a log of a million events, against copying the same events out.

use kymograph_infra::migrate::connect;

use super::Reading;
use super::stored::{FOLDER, MANY};
use crate::bench::Bench;
use crate::error::Result;
use crate::pairs::{self, copy_out};
use crate::seed;
use crate::server::Server;

/// The time of a rebuild, against that of a copy of the same events.
pub(super) async fn dashboards(bench: &Bench, _: &str) -> Result<Reading> {
    let folder = bench.kept_folder(FOLDER)?;
    let server = Server::start(bench, &folder).await?;
    let client = connect(&server.postgres().await?).await?;
    let org = seed::fill(bench, &folder, &server, MANY).await?;
    let events = format!("SELECT * FROM events WHERE org_id = {org}");
    let reading = pairs::compare_runs(
        async || seed::rebuild(bench, &folder).await,
        async || copy_out(&client, &events).await,
    )
    .await?;
    let rows = "SELECT (SELECT count(*) FROM dashboards WHERE org_id = $1) >= $2,
        (SELECT count(*) FROM dashboard_versions WHERE org_id = $1) =
            (SELECT count(*) FROM events WHERE org_id = $1 AND stream_type = 'dashboard')";
    let rows = client.query_one(rows, &[&org, &MANY]).await?;
    if !rows.get::<_, bool>(0) || !rows.get::<_, bool>(1) {
        return Err("the rebuilt tables lack rows".into());
    }
    Ok(reading)
}
