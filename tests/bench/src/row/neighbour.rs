//! The effect on one org of another one that causes the maximum load: everything whose cost a client chooses, at its
//! limit and all at once.
//!
//! Load generators, server and PostgreSQL share the machine, so the attackers are few: a dozen busy ones, and some that
//! only hold connections. The measured org sends one request of each kind at a time, at a steady pace.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use kymograph_infra::migrate::connect;
use serde_json::{Map, Value, json};
use tokio::runtime::Builder;
use tokio::time::{sleep, sleep_until};
use tokio_postgres::Client;

use super::Reading;
use crate::api::{Api, SAVE_PATH};
use crate::attack::{Attack, Attacker, Kind};
use crate::bench::Bench;
use crate::document::dashboard;
use crate::error::Result;
use crate::http::{Connection, render};
use crate::machine::peak_megabytes;
use crate::report::progress;
use crate::server::Server;
use crate::slice::Slice;

const FOLDERS: i64 = 36_000;
/// The maximum number of characters and words of a search that are used.
const SEARCHED: (usize, usize) = (200, 10);
const MEMBERS: usize = 20_000;
/// The length of the name above changed members, and their number.
const PRODUCT: (usize, usize) = (40_000, 10_000);
const PLACEHOLDERS: usize = 200_000;
/// The default maximum size of a body.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// The number of connections that send half a header, and of those that send most of a body.
const SLOW: (usize, usize) = (64, 16);
/// The number of alternations of quiet and attack.
const ROUNDS: usize = 3;
/// The duration of an attack before the measurement.
const RUN_UP: Duration = Duration::from_secs(2);
/// The extra time in which a delayed neighbour continues to send. Requests that are not sent by then count as having
/// waited until then.
const OVERTIME: Duration = Duration::from_secs(10);
/// The time for the server to recover after an attack.
const CALM: Duration = Duration::from_secs(6);
/// The interval between requests of a kind.
const PACE: Duration = Duration::from_millis(10);

/// The read model of the folders; other tables of them are not read. Each of their titles has all words.
const SEED: &str = "INSERT INTO folders (org_id, uid, id, title, slug, description, parent_uid, version,
        created, created_by, updated, updated_by, creator_id)
    SELECT $1, 'deep-' || n, 1000000 + n, $3 || ' ' || n, 'deep-' || n, '', '', 1, now(), 'admin', now(),
        'admin', 1
    FROM generate_series(1, $2::bigint) AS n";

/// The measured requests of the neighbour.
const PROBES: [&str; 3] = ["GET", "save", "livez"];

/// The 99th percentile of the neighbour's requests under attack relative to quiet: the worst of three kinds.
pub(super) async fn latency(bench: &Bench, name: &str) -> Result<Reading> {
    let mut measured = measure(bench, name).await?;
    let mut worst: Option<Reading> = None;
    for (name, [mut quiet, mut attacked]) in PROBES.into_iter().zip(measured.slices.drain(..)) {
        let p99 = |slice: &mut Slice| slice.percentile(99).map(|time| time.as_secs_f64() * 1e3);
        let (before, during) = p99(&mut quiet).zip(p99(&mut attacked)).ok_or("nothing was measured")?;
        progress(&format!("  {name}: p99 {during:.2} ms under attack, {before:.2} ms without"));
        let value = during / before;
        if worst.as_ref().is_none_or(|worst| worst.value < value) {
            worst = Some(Reading { value, ours: Some(attacked), theirs: Some(quiet) });
        }
    }
    worst.ok_or_else(|| "nothing was measured".into())
}

/// The peak resident memory of the server.
pub(super) async fn memory(bench: &Bench, name: &str) -> Result<Reading> {
    Ok(Reading::alone(measure(bench, name).await?.peak_megabytes))
}

struct Measured {
    /// The measurements of each probe, while quiet and under attack.
    slices: Vec<[Slice; 2]>,
    peak_megabytes: f64,
}

async fn measure(bench: &Bench, name: &str) -> Result<Measured> {
    let folder = bench.folder(name)?;
    let server = Server::start(bench, &folder).await?;
    let (attackers, probes) = prepare(&server).await?;
    // The memory used by the preparation does not count.
    drop(server);
    let server = Server::start(bench, &folder).await?;
    let mut slices: Vec<[Slice; 2]> = PROBES.iter().map(|_| Default::default()).collect();
    for _ in 0..ROUNDS {
        let quiet = probe(server.address, &probes, Duration::ZERO, bench.slice).await?;
        let attack = Attack::begin(server.address, &attackers);
        let attacked = probe(server.address, &probes, RUN_UP, bench.slice).await?;
        progress(&format!("  answered: {}", attack.describe()));
        drop(attack);
        sleep(CALM).await;
        for (slices, (quiet, attacked)) in slices.iter_mut().zip(quiet.into_iter().zip(attacked)) {
            slices[0].merge(quiet);
            slices[1].merge(attacked);
        }
    }
    let peak_megabytes = peak_megabytes(server.pid())?;
    progress(&format!("  at most {peak_megabytes:.0} MB resident"));
    Ok(Measured { slices, peak_megabytes })
}

/// Sends one request of each kind at a time, each over its own connection and from its own thread.
async fn probe(
    address: SocketAddr,
    requests: &[Vec<u8>; 3],
    run_up: Duration,
    time: Duration,
) -> Result<Vec<Slice>> {
    let requests = requests.clone();
    let run = move || {
        Builder::new_current_thread().enable_all().build()?.block_on(async {
            let probes = requests.iter().map(|request| probe_one(address, request, run_up, time));
            futures_util::future::try_join_all(probes).await
        })
    };
    tokio::task::spawn_blocking(run).await?
}

/// Sends a request at each tick. One that is delayed by earlier ones has waited since its tick, as the request of
/// another client would have.
async fn probe_one(address: SocketAddr, request: &[u8], run_up: Duration, time: Duration) -> Result<Slice> {
    let mut connection = Connection::open(address).await?;
    let begun = Instant::now();
    let (from, to) = (begun + run_up, begun + run_up + time);
    let (mut slice, mut tick) = (Slice::default(), begun);
    while tick < to && Instant::now() < to + OVERTIME {
        let is_late = tick < Instant::now();
        sleep_until(tick.into()).await;
        let asked = if is_late { tick } else { Instant::now() };
        let response = connection.exchange(request).await?;
        let took = asked.elapsed();
        if response.status != 200 {
            let text = String::from_utf8_lossy(response.body);
            return Err(format!("the neighbour was answered {}: {text}", response.status).into());
        }
        if tick >= from {
            slice.latencies.push(took);
        }
        tick += PACE;
    }
    while tick < to {
        slice.latencies.push(tick.elapsed());
        tick += PACE;
    }
    slice.elapsed = time;
    slice.count = u32::try_from(slice.latencies.len())?;
    Ok(slice)
}

/// Creates both orgs, and everything that is attacked and measured.
async fn prepare(server: &Server) -> Result<(Vec<Attacker>, [Vec<u8>; 3])> {
    let client = connect(&server.postgres().await?).await?;
    let mut admin = Api::log_in(server.address).await?;
    let org = admin.create_org("Hostile").await?;
    seed(&client, org).await?;
    let viewer = member(server, &mut admin, org, "hostile-viewer", "Viewer").await?;
    let mut owner = member(server, &mut admin, org, "hostile-admin", "Admin").await?;
    for version in 0..2 {
        for dashboard in [wide(version), product(version)] {
            // A refused document cannot cause load later.
            owner.try_save(&dashboard).await?;
        }
    }
    let neighbour = admin.create_org("Neighbour").await?.to_string();
    let headers = [("cookie", admin.cookie.as_str()), ("x-grafana-org-id", &neighbour)];
    let save = |dashboard: Value| {
        let body = json!({"dashboard": dashboard, "overwrite": true}).to_string();
        render("POST", SAVE_PATH, &headers, body.as_bytes())
    };
    let get = render("GET", "/api/dashboards/uid/read-often", &headers, b"");
    let save_often = save(dashboard("saved-often", 5_000));
    let first = save(dashboard("read-often", 50_000));
    admin.send(&first).await?;
    admin.send(&save_often).await?;
    Ok((attackers(&viewer.cookie, &owner.cookie), [get, save_often, render("GET", "/livez", &[], b"")]))
}

async fn seed(client: &Client, org: i64) -> Result<()> {
    client.execute(SEED, &[&org, &FOLDERS, &words().join(" ")]).await?;
    client.batch_execute("VACUUM ANALYZE folders").await?;
    Ok(())
}

/// The maximum number of words that are used, of the maximum total length.
fn words() -> Vec<String> {
    let (characters, words) = SEARCHED;
    let length = (characters + 1) / words - 1;
    (0..words).map(|number| format!("{number}{}", "w".repeat(length - 1))).collect()
}

/// A session of a new member of an org.
async fn member(server: &Server, admin: &mut Api, org: i64, login: &str, role: &str) -> Result<Api> {
    let user = json!({"login": login, "password": login, "OrgId": org});
    let created: Value = serde_json::from_slice(&admin.call("POST", "/api/admin/users", Some(&user)).await?)?;
    let path = format!("/api/orgs/{org}/users/{}", created["id"]);
    admin.call("PATCH", &path, Some(&json!({"role": role}))).await?;
    Api::log_in_as(server.address, login, login).await
}

/// A dashboard with many top-level members, all of which differ between versions.
fn wide(version: usize) -> Value {
    let mut document = Map::new();
    for member in 0..MEMBERS {
        document.insert(format!("member-{version}-{member}"), json!(member));
    }
    document.insert("uid".to_owned(), json!("wide"));
    document.insert("title".to_owned(), json!("Wide"));
    document.into()
}

/// A dashboard with a long name above many changing members: each change is named by both.
fn product(version: usize) -> Value {
    let (length, members) = PRODUCT;
    let changed: Map<_, _> = (0..members).map(|member| (format!("m{member}"), json!(version))).collect();
    let mut document = json!({"uid": "product", "title": "Product"});
    document["n".repeat(length)] = changed.into();
    document
}

/// Inputs that expand to far more than was sent.
fn inputs() -> Value {
    let value = "v".repeat(50_000);
    json!({
        "dashboard": {
            "title": "Filled in", "uid": "filled-in", "__inputs": [{"name": "A", "type": "constant"}],
            "text": "${A}".repeat(10_000),
        },
        "inputs": [{"name": "A", "type": "constant", "value": value}],
        "overwrite": true,
    })
}

/// Unclosed placeholders.
fn placeholders() -> Value {
    json!({
        "dashboard": {
            "title": "Open", "__inputs": [{"name": "A", "type": "constant"}], "text": "${".repeat(PLACEHOLDERS),
        },
        "inputs": [{"name": "A", "type": "constant", "value": "v"}],
    })
}

fn attackers(viewer: &str, owner: &str) -> Vec<Attacker> {
    let request = |cookie: &str, method: &str, path: &str, body: Option<Value>| {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        render(method, path, &[("cookie", cookie), ("connection", "close")], body.as_bytes())
    };
    let words = words();
    let found = request(viewer, "GET", &format!("/api/search?limit=5000&query={}", words.join("+")), None);
    // All words except the last are in each title, so that each title is checked for all of them.
    let absent = format!("{}+z", words[..words.len() - 1].join("+"));
    let absent = request(viewer, "GET", &format!("/api/search?sort=alpha-desc&query={absent}"), None);
    let diff = |uid: &str| {
        let path = format!("/api/dashboards/uid/{uid}/history/diff?from=1&to=2");
        request(owner, "GET", &path, None)
    };
    let calculated = |uid: &str, kind: &str| {
        let side = |version: i64| json!({"uid": uid, "version": version});
        let body = json!({"base": side(1), "new": side(2), "diffType": kind});
        request(owner, "POST", "/api/dashboards/calculate-diff", Some(body))
    };
    let audit = request(owner, "GET", "/api/audit/events?changes=true&limit=100", None);
    let interpolate = |body: Value| request(owner, "POST", "/api/dashboards/interpolate", Some(body));
    let import = request(owner, "POST", "/api/dashboards/import", Some(inputs()));
    let busy = |name, requests| Attacker { name, kind: Kind::Busy(requests) };
    vec![
        busy("searches", vec![absent.clone()]),
        busy("searches", vec![absent.clone()]),
        busy("searches", vec![absent]),
        busy("long searches", vec![found]),
        busy("wide diffs", vec![diff("wide"), calculated("wide", "basic")]),
        busy("product diffs", vec![diff("product"), calculated("product", "delta")]),
        busy("audit pages", vec![audit]),
        busy("interpolations", vec![interpolate(inputs()), interpolate(placeholders())]),
        busy("imports", vec![import]),
        busy("unknown logins", wrong_log_ins("nobody")),
        busy("wrong passwords", wrong_log_ins("hostile-viewer")),
        Attacker { name: "half headers", kind: Kind::Slow(SLOW.0, slow_head()) },
        Attacker { name: "half bodies", kind: Kind::Slow(SLOW.1, slow_body(owner)) },
    ]
}

fn wrong_log_ins(login: &str) -> Vec<Vec<u8>> {
    let log_in = |number: i64| {
        let user = if login == "nobody" { format!("{login}-{number}") } else { login.to_owned() };
        let body = json!({"user": user, "password": format!("wrong-{number}")}).to_string();
        render("POST", "/login", &[("connection", "close")], body.as_bytes())
    };
    (0..64).map(log_in).collect()
}

/// The beginning of a request, with an unfinished header.
fn slow_head() -> Vec<u8> {
    let mut request = render("GET", "/api/org", &[("x-slow", &"s".repeat(600))], b"");
    request.truncate(request.len() - 4);
    request
}

/// A request with a body of the maximum size.
fn slow_body(cookie: &str) -> Vec<u8> {
    let document = json!({"dashboard": {"title": "Slow", "text": "t".repeat(MAX_BODY - 100)}}).to_string();
    render("POST", SAVE_PATH, &[("cookie", cookie), ("connection", "close")], document.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_at_the_limit() {
        let words = words();
        assert_eq!(words.len(), SEARCHED.1);
        assert!((SEARCHED.0 - 10..=SEARCHED.0).contains(&words.join(" ").len()));
    }

    #[test]
    fn slow_requests_are_not_complete_and_not_too_long() {
        assert!(!slow_head().windows(4).any(|window| window == b"\r\n\r\n"));
        let body = slow_body("session");
        let end = body.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert!((MAX_BODY - 200..=MAX_BODY).contains(&(body.len() - end)));
    }
}
