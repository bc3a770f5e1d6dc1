//! Searching by the words of titles in an org with 100,000 dashboards, against the statement alone.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use kymograph_infra::migrate::connect;
use tokio_postgres::Client;

use super::Reading;
use crate::api::Api;
use crate::bench::Bench;
use crate::error::Result;
use crate::http::render;
use crate::load::{Load, Until};
use crate::pairs;
use crate::server::Server;
use crate::slice::Slice;
use crate::tasks::repeat;

/// The folder of the dashboards.
pub(super) const FOLDER: &str = "search-100k";
const CONNECTIONS: usize = 16;
const DASHBOARDS: i64 = 100_000;
/// Words of some fifty titles; the second one alone finds five hundred.
const PATH: &str = "/api/search?query=cpu+host-77";
/// The least work for such a page: the titles are found by the index on their parts.
const SQL: &str = "SELECT id, uid, title, slug, tags, folder_uid FROM dashboards
    WHERE org_id = $1 AND deleted IS NULL AND lower_title LIKE '%cpu%' AND lower_title LIKE '%host-77%'
    ORDER BY lower_title, uid LIMIT 1000";
/// The read model of the dashboards; other tables of them are not read.
const SEED: &str = "INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid, version, pos,
        created, created_by, updated, updated_by, creator_id)
    SELECT $1, 'found-' || n, n, 1, words || ' of host-' || n % 2000, 'found-' || n, ARRAY['seeded'], '', 1, 1,
        now(), 'admin', now(), 'admin', 1
    FROM (SELECT n, (ARRAY['CPU', 'Memory', 'Disk space', 'Network', 'Latency', 'Errors', 'Queues', 'Cache', 'Cost',
        'Threads'])[1 + (n / 2000) % 10] AS words FROM generate_series(1, $2::bigint) AS n) AS titles";
/// The words of their titles.
pub(super) const SEED_WORDS: &str = "INSERT INTO title_words (org_id, word, beginning)
    SELECT DISTINCT org_id, word, part FROM dashboards,
        regexp_replace(left(lower_title, 32), '^(.{8}[^0-9]*)[0-9].*$', '\\10') AS beginning,
        unnest(string_to_array(translate(lower_title, '-!', '  '), ' ')) AS word, unnest(ARRAY['', beginning]) AS part
    WHERE org_id = $1 AND length(word) >= 3 AND ltrim(word, '0123456789') <> '' ON CONFLICT DO NOTHING";

/// The time of a search, against that of the statement.
pub(super) async fn by_words(bench: &Bench, _: &str) -> Result<Reading> {
    let folder = bench.kept_folder(FOLDER)?;
    let server = Server::start(bench, &folder).await?;
    let config = server.postgres().await?;
    let client = connect(&config).await?;
    let mut api = Api::log_in(server.address).await?;
    let org = seed(&client, &mut api).await?;
    let org_header = org.to_string();
    let headers = [("cookie", api.cookie.as_str()), ("x-grafana-org-id", &org_header)];
    let request = render("GET", PATH, &headers, b"");
    let found: Vec<serde_json::Value> = serde_json::from_slice(&api.send(&request).await?)?;
    let clients = try_join_all((0..CONNECTIONS).map(|_| connect(&config))).await?;
    let statements = try_join_all(clients.iter().map(|client| client.prepare(SQL))).await?;
    let prepared = Arc::new(clients.into_iter().zip(statements).collect::<Vec<_>>());
    let rows = prepared[0].0.query(&prepared[0].1, &[&org]).await?;
    if found.len() != rows.len() || found.is_empty() {
        return Err(format!("{} were found, and {} rows", found.len(), rows.len()).into());
    }
    let theirs = pairs::compare(
        async || search(&server, &request, bench.slice).await,
        async || {
            let prepared = prepared.clone();
            let query = move |task: usize| {
                let prepared = prepared.clone();
                async move {
                    let (client, statement) = &prepared[task];
                    client.query(statement, &[&org]).await?;
                    Ok(())
                }
            };
            server.metered(repeat(CONNECTIONS, bench.slice, query)).await
        },
    )
    .await?;
    Ok(theirs.into_time())
}

async fn search(server: &Server, request: &[u8], time: Duration) -> Result<Slice> {
    let load =
        Load { address: server.address, until: Until::Elapsed(time), prefix: b"[{".to_vec(), length: None };
    server.metered(load.repeat(CONNECTIONS, request)).await
}

/// Creates the org, unless an earlier run has.
pub(super) async fn seed(client: &Client, api: &mut Api) -> Result<i64> {
    let seeded = "SELECT org_id FROM dashboards WHERE uid = 'found-1'";
    if let Some(row) = client.query_opt(seeded, &[]).await? {
        return Ok(row.get(0));
    }
    let org = api.create_org("Searched").await?;
    client.execute(SEED, &[&org, &DASHBOARDS]).await?;
    client.execute(SEED_WORDS, &[&org]).await?;
    client.batch_execute("VACUUM ANALYZE dashboards").await?;
    Ok(org)
}
