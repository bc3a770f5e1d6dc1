//! Saving a dashboard with 10,000 versions, against saving one with a single version.

use std::time::{Duration, Instant};

use kymograph_domain::content::dashboard::{Dashboard, DashboardCommand};

use super::Reading;
use crate::api::Api;
use crate::bench::Bench;
use crate::document::dashboard;
use crate::error::Result;
use crate::script::content;
use crate::server::Server;
use crate::slice::Slice;
use crate::store::{Store, scope};

const VERSIONS: i64 = 10_000;
/// The number of versions per commit while the long history is created.
const BATCH: i64 = 100;
/// The number of timed saves of each side.
const SAVES: usize = 300;
const BYTES: usize = 10_000;

/// The time of a save that continues the long history, against that of the second save of a dashboard.
pub(super) async fn save(bench: &Bench, name: &str) -> Result<Reading> {
    let folder = bench.folder(name)?;
    let server = Server::start(bench, &folder).await?;
    write_history(&server).await?;
    let mut api = Api::log_in(server.address).await?;
    let fresh: Vec<_> = (0..SAVES).map(|number| dashboard(&format!("fresh-{number:04}"), BYTES)).collect();
    for dashboard in &fresh {
        api.save(dashboard).await?;
    }
    let long = dashboard("long-history", BYTES);
    let version = api.save(&long).await?;
    if version != VERSIONS + 1 {
        return Err(
            format!("the long history has version {version} now, which is not what was written").into()
        );
    }
    let long = api.render_save(&long);
    let fresh: Vec<_> = fresh.iter().map(|dashboard| api.render_save(dashboard)).collect();
    let (mut ours, mut theirs) = (Slice::default(), Slice::default());
    for (number, second) in fresh.iter().enumerate() {
        // The sides take turns in going first.
        if number % 2 == 0 {
            add(&mut ours, timed(&mut api, &long).await?);
            add(&mut theirs, timed(&mut api, second).await?);
        } else {
            add(&mut theirs, timed(&mut api, second).await?);
            add(&mut ours, timed(&mut api, &long).await?);
        }
    }
    let medians = ours.percentile(50).zip(theirs.percentile(50)).ok_or("nothing was saved")?;
    let value = medians.0.as_secs_f64() / medians.1.as_secs_f64();
    Ok(Reading { value, ours: Some(ours), theirs: Some(theirs) })
}

/// Writes the history into the server's log like another server on the same database, many versions per commit: the
/// measurement concerns the cost of a long history, not its creation.
async fn write_history(server: &Server) -> Result<()> {
    let store = Store::open(&server.postgres().await?, 4)?;
    let (scope, content) = (scope(1), content(&dashboard("long-history", BYTES))?);
    let (scope, content) = (&scope, &content);
    for _ in 0..VERSIONS / BATCH {
        let write = store.commands.run(scope, |mut unit| async move {
            let mut dashboard = unit.load::<Dashboard>(&content.uid).await?;
            for _ in 0..BATCH {
                let (content, new_id) = (content.clone(), 1_000_000);
                dashboard.tell(DashboardCommand::Save { content, new_id, expected_version: None }).await?;
            }
            unit.record(dashboard)?;
            Ok(unit.decided(()))
        });
        write.await?;
    }
    Ok(())
}

async fn timed(api: &mut Api, request: &[u8]) -> Result<Duration> {
    let begun = Instant::now();
    api.send(request).await?;
    Ok(begun.elapsed())
}

fn add(slice: &mut Slice, latency: Duration) {
    slice.count += 1;
    slice.elapsed += latency;
    slice.latencies.push(latency);
}
