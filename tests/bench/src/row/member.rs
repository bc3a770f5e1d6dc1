//! Searches, lists and reads of a member who may see a fifth of a large org, in the shape of Grafana's own benchmark:
//! 54,300 folders in three levels, 585,000 dashboards, 50 teams of which the member is in ten, and no role.

use std::time::{Duration, Instant};

use kymograph_infra::migrate::connect;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::Reading;
use super::search::SEED_WORDS;
use crate::api::{Api, SAVE_PATH};
use crate::bench::Bench;
use crate::document::dashboard;
use crate::error::Result;
use crate::http::render;
use crate::load::{Load, Until};
use crate::report::progress;
use crate::server::Server;
use crate::slice::Slice;

/// The place of the org.
const FOLDER: &str = "member";
const LOGIN: &str = "member";
const TEAMS: i64 = 50;
const TEAMS_OF_MEMBER: i64 = 10;
/// The numbers of folders at the root, in those, and in those.
const FOLDERS: [i64; 3] = [300, 9_000, 45_000];
const DASHBOARDS: i64 = 585_000;
const CONNECTIONS: usize = 2;
/// The number of permission changes.
const CHANGES: usize = 100;
/// A folder with dashboards that is created through the API, and sorted before all others.
const CHANGED: &str = "changed";

const SEED_FOLDERS: &str = "INSERT INTO folders (org_id, uid, id, title, slug, description, parent_uid, version,
        created, created_by, updated, updated_by, creator_id)
    SELECT $1, 'folder-' || n, 1000 + n, (ARRAY['Team', 'Service', 'Region', 'Cluster', 'Product'])[1 + n % 5] || ' ' || n,
        'folder-' || n, '', CASE WHEN n <= $2 THEN '' WHEN n <= $2 + $3 THEN 'folder-' || 1 + (n - $2 - 1) % $2
            ELSE 'folder-' || $2 + 1 + (n - $2 - $3 - 1) % $3 END,
        1, now(), 'admin', now(), 'admin', 1
    FROM generate_series(1, $2::bigint + $3::bigint + $4::bigint) AS n";
const SEED_DASHBOARDS: &str = "INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid, version,
        pos, created, created_by, updated, updated_by, creator_id)
    SELECT $1, 'dashboard-' || n, 100000 + n, 1,
        (ARRAY['CPU', 'Memory', 'Disk space', 'Network', 'Latency', 'Errors', 'Queues', 'Cache', 'Cost', 'Threads'])
            [1 + (n / 2000) % 10] || ' of host-' || n * 7919 % 5003 || ' ' || n,
        'dashboard-' || n, ARRAY['tag-' || n % 10, 'rare-' || n % 5003], 'folder-' || $3::bigint + 1 + n % $4, 1, 1, now(), 'admin',
        now(), 'admin', 1
    FROM generate_series(1, $2::bigint) AS n";
const SEED_LISTS: &str = "INSERT INTO resource_permissions (org_id, kind, uid, resource_id)
    SELECT $1, 'folder', 'folder-' || n, 1000 + n FROM generate_series(1, $2::bigint) AS n";
const SEED_GRANTS: &str =
    "INSERT INTO resource_grants (org_id, kind, uid, grantee, level, resource_id, pos, created, updated)
    SELECT $1, 'folder', 'folder-' || n, 'team:' || ($3::bigint[])[1 + n % $4], 1, 1000 + n, 1, now(), now()
    FROM generate_series(1, $2::bigint) AS n";

/// The names and paths of the requests.
const REQUESTS: &[(&str, &str)] = &[
    ("the first page", "/api/search"),
    ("the first page of dashboards", "/api/search?type=dash-db"),
    ("page 50", "/api/search?limit=100&page=50"),
    ("page 50 of dashboards", "/api/search?type=dash-db&limit=100&page=50"),
    ("a common word", "/api/search?query=host"),
    ("a word of a tenth", "/api/search?query=memory&limit=100"),
    ("a rare word", "/api/search?query=host-777"),
    ("a common tag", "/api/search?tag=tag-3&limit=100"),
    ("a rare tag", "/api/search?tag=rare-77"),
    ("a folder", "/api/search?folderUIDs=folder-9301"),
    ("the root", "/api/search?folderUIDs=general"),
    ("folders at the root", "/api/folders"),
    ("folders in a folder", "/api/folders?parentUid=folder-300"),
    ("a dashboard", "/api/dashboards/uid/changed-1"),
];

/// The slowest 99th percentile of the member, in milliseconds.
pub(super) async fn latency(bench: &Bench, _: &str) -> Result<Reading> {
    worst(&Org::start(bench).await?, bench.slice, async |org, request| org.ask(&org.member, request).await)
        .await
}

/// The slowest 99th percentile of an admin, in milliseconds.
pub(super) async fn admin_latency(bench: &Bench, _: &str) -> Result<Reading> {
    worst(&Org::start(bench).await?, bench.slice, async |org, request| org.ask(&org.admin, request).await)
        .await
}

/// The largest ratio of the median of the member to that of an admin.
pub(super) async fn against_admin(bench: &Bench, _: &str) -> Result<Reading> {
    let org = Org::start(bench).await?;
    let mut worst: Option<Reading> = None;
    for (what, path) in REQUESTS {
        // The first round fills the caches.
        let (mut ours, mut theirs) = (Slice::default(), Slice::default());
        for round in 0..4 {
            let (member, admin) = (org.ask(&org.member, path).await?, org.ask(&org.admin, path).await?);
            if round > 0 {
                ours.merge(member);
                theirs.merge(admin);
            }
        }
        let median = |slice: &mut Slice| slice.percentile(50).ok_or("nothing was finished");
        let (our_median, their_median) = (median(&mut ours)?, median(&mut theirs)?);
        let value = our_median.as_secs_f64() / their_median.as_secs_f64();
        progress(&format!("  {what}: {our_median:.1?} / {their_median:.1?}"));
        if worst.as_ref().is_none_or(|worst| worst.value < value) {
            worst = Some(Reading { value, ours: Some(ours), theirs: Some(theirs) });
        }
    }
    worst.ok_or_else(|| "nothing was measured".into())
}

/// The slowest of a hundred requests of the member that come right after a change of its rights, in milliseconds.
pub(super) async fn after_change(bench: &Bench, _: &str) -> Result<Reading> {
    let mut org = Org::start(bench).await?;
    let mut slice = Slice::default();
    let begun = Instant::now();
    for change in 0..CHANGES {
        let is_granted = change % 2 == 0;
        let permission = json!({"permission": if is_granted { "View" } else { "" }});
        let path = format!("/api/access-control/folders/{CHANGED}/teams/{}", org.team);
        org.call("POST", &path, &permission).await?;
        let asked = Instant::now();
        let found = org.search("/api/search?type=dash-db&limit=100").await?;
        slice.latencies.push(asked.elapsed());
        let is_found = found.as_array().is_some_and(|hits| hits.iter().any(|hit| hit["uid"] == "changed-2"));
        if is_found != is_granted {
            return Err(format!("after change {change} of a permission the old one counted").into());
        }
        if change % 10 == 0 {
            // The folders themselves change, too.
            let (uid, title) = (format!("inside-{change}-{}", org.runs), format!("! inside {change}"));
            let folder = json!({"uid": uid, "title": title, "parentUid": CHANGED});
            org.call("POST", "/api/folders", &folder).await?;
            let asked = Instant::now();
            let found = org.search("/api/search?type=dash-folder&limit=100").await?;
            slice.latencies.push(asked.elapsed());
            if !found.as_array().is_some_and(|hits| hits.iter().any(|hit| hit["uid"] == uid.as_str())) {
                return Err("a folder was not found right after it was made".into());
            }
            org.call("DELETE", &format!("/api/folders/{uid}"), &Value::Null).await?;
        }
    }
    slice.elapsed = begun.elapsed();
    slice.count = u32::try_from(slice.latencies.len())?;
    let slowest = slice.percentile(99).ok_or("nothing was finished")?;
    Ok(Reading { value: slowest.as_secs_f64() * 1000.0, ours: Some(slice), theirs: None })
}

async fn worst(org: &Org, time: Duration, ask: impl AsyncFn(&Org, &str) -> Result<Slice>) -> Result<Reading> {
    let mut worst: Option<Reading> = None;
    for (what, path) in REQUESTS {
        // The first request fills the caches.
        ask(org, path).await?;
        let (mut slice, begun) = (Slice::default(), Instant::now());
        while begun.elapsed() < time {
            slice.merge(ask(org, path).await?);
        }
        let latency = |percent, slice: &mut Slice| slice.percentile(percent).ok_or("nothing was finished");
        let (median, slowest) = (latency(50, &mut slice)?, latency(99, &mut slice)?);
        progress(&format!("  {what}: {median:.1?}, {slowest:.1?} at most for 99 of 100"));
        let value = slowest.as_secs_f64() * 1000.0;
        if worst.as_ref().is_none_or(|worst| worst.value < value) {
            worst = Some(Reading { value, ours: Some(slice), theirs: None });
        }
    }
    worst.ok_or_else(|| "nothing was measured".into())
}

/// The org, and the sessions of its users.
struct Org {
    server: Server,
    api: Api,
    id: String,
    member: String,
    admin: String,
    /// A team of the member.
    team: i64,
    /// A number that is unique to this run.
    runs: u128,
}

impl Org {
    /// Starts a server with the org, which is created unless an earlier run has.
    async fn start(bench: &Bench) -> Result<Self> {
        let folder = bench.kept_folder(FOLDER)?;
        let server = Server::start(bench, &folder).await?;
        let client = connect(&server.postgres().await?).await?;
        let mut api = Api::log_in(server.address).await?;
        let found = client.query_opt("SELECT id FROM orgs WHERE name = 'Large'", &[]).await?;
        let id: i64 = match found {
            Some(row) => row.get(0),
            None => api.create_org("Large").await?,
        };
        let admin = api.cookie.clone();
        let mut org = Self {
            server,
            api,
            id: id.to_string(),
            member: String::new(),
            admin,
            team: 0,
            runs: std::time::UNIX_EPOCH.elapsed()?.as_millis(),
        };
        let is_seeded = "SELECT EXISTS (SELECT FROM users WHERE login = $1)";
        if !client.query_one(is_seeded, &[&LOGIN]).await?.get::<_, bool>(0) {
            org.seed(&client, id).await?;
        }
        org.member = Api::log_in_as(org.server.address, LOGIN, LOGIN).await?.cookie;
        let team = "SELECT min(id) FROM teams WHERE org_id = $1";
        org.team = client.query_one(team, &[&id]).await?.get(0);
        let shared = json!({"permission": "View"});
        org.call("POST", &format!("/api/access-control/folders/{CHANGED}/teams/{}", org.team), &shared)
            .await?;
        Ok(org)
    }

    async fn seed(&mut self, client: &Client, id: i64) -> Result<()> {
        progress("  writing 54,300 folders and 585,000 dashboards");
        let [roots, middle, leaves] = FOLDERS;
        // The remains of an interrupted run.
        for table in ["folders", "dashboards", "resource_permissions", "resource_grants"] {
            let sql = format!(
                "DELETE FROM {table} WHERE org_id = $1 AND uid <> '{CHANGED}' AND uid NOT LIKE 'changed-%'"
            );
            client.execute(&sql, &[&id]).await?;
        }
        client.execute(SEED_FOLDERS, &[&id, &roots, &middle, &leaves]).await?;
        client.execute(SEED_DASHBOARDS, &[&id, &DASHBOARDS, &(roots + middle), &leaves]).await?;
        client.execute(SEED_WORDS, &[&id]).await?;
        let counted = "INSERT INTO counters (org_id, name, value) VALUES ($1, 'object', 1000000)
            ON CONFLICT (org_id, name) DO UPDATE SET value = greatest(counters.value, 1000000)";
        client.execute(counted, &[&id]).await?;
        let mut teams = Vec::new();
        for number in 0..TEAMS {
            let team = json!({"name": format!("Team {number} of run {}", self.runs)});
            let made: Value = serde_json::from_slice(&self.call("POST", "/api/teams", &team).await?)?;
            teams.push(made["teamId"].as_i64().ok_or("a team has no id")?);
        }
        client.execute(SEED_LISTS, &[&id, &roots]).await?;
        client.execute(SEED_GRANTS, &[&id, &roots, &teams, &TEAMS]).await?;
        if !self.has_changed(client, id).await? {
            self.call("POST", "/api/folders", &json!({"uid": CHANGED, "title": "! changed"})).await?;
            for number in 1..=2 {
                let mut document = dashboard(&format!("changed-{number}"), 5_000);
                document["title"] = json!(format!("! changed {number}"));
                let body = json!({"dashboard": document, "folderUid": CHANGED, "overwrite": true});
                self.call("POST", SAVE_PATH, &body).await?;
            }
        }
        self.call("POST", &format!("/api/folders/{CHANGED}/permissions"), &json!({"items": []})).await?;
        client.batch_execute("VACUUM ANALYZE").await?;
        // The member is created last, as the sign that everything else exists.
        let user = json!({"login": LOGIN, "password": LOGIN, "OrgId": id});
        let created: Value = serde_json::from_slice(&self.call("POST", "/api/admin/users", &user).await?)?;
        let path = format!("/api/orgs/{id}/users/{}", created["id"]);
        self.call("PATCH", &path, &json!({"role": "None"})).await?;
        for team in teams.iter().take(usize::try_from(TEAMS_OF_MEMBER)?) {
            let member = json!({"userId": created["id"]});
            self.call("POST", &format!("/api/teams/{team}/members"), &member).await?;
        }
        Ok(())
    }

    async fn has_changed(&self, client: &Client, id: i64) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT FROM folders WHERE org_id = $1 AND uid = $2)";
        Ok(client.query_one(sql, &[&id, &CHANGED]).await?.get(0))
    }

    /// An operation of the admin.
    async fn call(&mut self, method: &str, path: &str, body: &Value) -> Result<Vec<u8>> {
        let headers = [("cookie", self.admin.as_str()), ("x-grafana-org-id", &self.id)];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = render(method, path, &headers, body.as_bytes());
        self.api.send(&request).await
    }

    /// The response to a request of the member.
    async fn search(&mut self, path: &str) -> Result<Value> {
        let headers = [("cookie", self.member.as_str()), ("x-grafana-org-id", &self.id)];
        Ok(serde_json::from_slice(&self.api.send(&render("GET", path, &headers, b"")).await?)?)
    }

    /// Repeats a request for some time.
    async fn ask(&self, cookie: &str, path: &str) -> Result<Slice> {
        let request = render("GET", path, &[("cookie", cookie), ("x-grafana-org-id", &self.id)], b"");
        let until = Until::Elapsed(Duration::from_millis(500));
        let load = Load { address: self.server.address, until, prefix: Vec::new(), length: None };
        self.server.metered(load.repeat(CONNECTIONS, &request)).await
    }
}
