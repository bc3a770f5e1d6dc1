//! A page of annotations by time and tag in an org with a million, against the statement alone.

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

/// The folder of the annotations.
const FOLDER: &str = "annotations-1m";
const CONNECTIONS: usize = 16;
const ANNOTATIONS: i64 = 1_000_000;
/// A tag of 2,000, of which a fifth is in the range: four pages.
const PATH: &str = "/api/annotations?tags=service:7&from=1700500000000&to=1700700000000";
/// The least work for such a page.
const SQL: &str = "SELECT a.id, a.dashboard_id, a.dashboard_uid, a.panel_id, a.user_id, a.time, a.time_end, a.text, a.tags, a.data,
        a.created, a.updated, u.uid, u.login, u.email
    FROM annotation_terms t JOIN annotations a ON a.org_id = $1 AND a.id = t.id LEFT JOIN users u ON u.id = a.user_id
    WHERE t.org_id = $1 AND t.term = 'service:7' AND t.time_end >= 1700500000000 AND t.time_end <= 1700700000000
    ORDER BY t.time_end DESC, t.time DESC, t.id DESC LIMIT 100";
/// The read models; other tables of annotations are not read. A tenth are of the whole org, the others on a thousand
/// dashboards; a tenth are regions.
const SEED: &[&str] = &[
    "INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid, version, pos, created, created_by,
        updated, updated_by, creator_id)
    SELECT $1, 'annotated-' || n, $2::bigint + n, 1, 'Annotated ' || n, 'annotated-' || n, '{}', '', 1, 1, now(), 'admin', now(),
        'admin', 1
    FROM generate_series(1, 1000) AS n",
    "INSERT INTO annotations (org_id, id, dashboard_id, dashboard_uid, panel_id, user_id, time, time_end, text, tags, terms,
        data, created, updated)
    SELECT $1, n, CASE WHEN n % 10 = 3 THEN 0 ELSE $2::bigint + 1 + n % 1000 END,
        CASE WHEN n % 10 = 3 THEN '' ELSE 'annotated-' || 1 + n % 1000 END, n % 5, 1, 1700000000000 + n * 1000,
        1700000000000 + n * 1000 + CASE WHEN n % 10 = 0 THEN 60000 ELSE 0 END, 'deployed ' || n,
        ARRAY['deploy', 'service:' || n % 500], ARRAY['deploy', 'service', 'service:' || n % 500], '', now(), now()
    FROM generate_series(1, $2::bigint) AS n",
    "INSERT INTO annotation_terms (org_id, term, time_end, time, id, dashboard_id)
    SELECT org_id, term, time_end, time, id, dashboard_id FROM annotations CROSS JOIN unnest(terms) AS term
    WHERE org_id = $1 AND id <= $2",
    "INSERT INTO annotation_tag_counts (org_id, tag, dashboard_id, used)
    SELECT org_id, tag, dashboard_id, count(*) FROM annotations CROSS JOIN unnest(array_append(tags, '')) AS tag
    WHERE org_id = $1 AND id <= $2 GROUP BY org_id, tag, dashboard_id",
];

/// The time of a page, against that of the statement.
pub(super) async fn page(bench: &Bench, _: &str) -> Result<Reading> {
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
    let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    if ids.is_empty() || !found.iter().map(|found| found["id"].as_i64()).eq(ids.iter().copied().map(Some)) {
        return Err(format!("{} were found, and other {} rows", found.len(), ids.len()).into());
    }
    let times = pairs::compare(
        async || list(&server, &request, bench.slice).await,
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
    Ok(times.into_time())
}

async fn list(server: &Server, request: &[u8], time: Duration) -> Result<Slice> {
    let load =
        Load { address: server.address, until: Until::Elapsed(time), prefix: b"[{".to_vec(), length: None };
    server.metered(load.repeat(CONNECTIONS, request)).await
}

/// Creates the org, unless an earlier run has.
async fn seed(client: &Client, api: &mut Api) -> Result<i64> {
    let seeded = "SELECT org_id FROM dashboards WHERE uid = 'annotated-1'";
    if let Some(row) = client.query_opt(seeded, &[]).await? {
        return Ok(row.get(0));
    }
    let org = api.create_org("Annotated").await?;
    client.batch_execute("BEGIN").await?;
    for sql in SEED {
        client.execute(*sql, &[&org, &ANNOTATIONS]).await?;
    }
    client.batch_execute("COMMIT").await?;
    for table in ["dashboards", "annotations", "annotation_terms", "annotation_tag_counts"] {
        client.batch_execute(&format!("VACUUM ANALYZE {table}")).await?;
    }
    Ok(org)
}
