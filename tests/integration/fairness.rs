//! Tenants that share one database: a busy one does not block the others.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kymograph_app::ErrorKind;
use kymograph_app::kernel::answer::Answers;
use kymograph_app::kernel::error::overload;
use kymograph_domain::OrgId;
use kymograph_infra::pool::app_database;
use kymograph_projections::Database;
use kymograph_tests::{Answer, Client, Cluster, TestDatabase, TestServer};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The number of statements other than its own that a connection sees running in its database.
const AT_WORK: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND state = 'active' AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
const CONNECTIONS: usize = 4;
const ORG: OrgId = OrgId(1);
const OTHER: OrgId = OrgId(2);
/// Long enough to be interrupted in the middle, and short enough not to be cancelled.
const SLOW: &str = "SELECT pg_sleep(2)::text";
const QUICK: &str = "SELECT 'quick'";

async fn wait_until(watch: &tokio_postgres::Client, at_work: i64, limit: Duration) {
    let begun = Instant::now();
    loop {
        let seen: i64 = watch.query_one(AT_WORK, &[]).await.unwrap().get(0);
        if seen == at_work {
            return;
        }
        assert!(begun.elapsed() < limit, "{seen} statements are at work instead of {at_work}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn database() -> (TestDatabase, Database) {
    let server = Cluster::get().new_database().await;
    let database = app_database(&server.config, CONNECTIONS).unwrap();
    (server, database)
}

fn read(database: &Database, org: OrgId, sql: &'static str) -> JoinHandle<kymograph_app::Result<()>> {
    let database = database.clone();
    tokio::spawn(async move { database.read(org, sql, &[]).await.map(drop) })
}

#[tokio::test]
async fn an_org_reads_over_half_of_the_connections_and_waits_for_more() {
    let (server, database) = database().await;
    let watch = server.connect().await;
    let slow: Vec<_> = (0..CONNECTIONS).map(|_| read(&database, ORG, SLOW)).collect();
    wait_until(&watch, 2, Duration::from_secs(1)).await;
    let begun = Instant::now();
    for _ in 0..20 {
        database.read(OTHER, QUICK, &[]).await.unwrap();
        database.read_global(QUICK, &[]).await.unwrap();
        database.in_background().read(ORG, QUICK, &[]).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "others waited for {:?}", begun.elapsed());
    // Large values are compared on a blocking thread, one after the other.
    for slow in slow {
        slow.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn more_rows_are_read_again_in_a_turn_and_too_many_are_refused() {
    let (_server, database) = database().await;
    let answers = Arc::new(Answers::default());
    let sql = "SELECT repeat('x', 1000) FROM generate_series(1, $1::bigint)";
    for (count, needs_turn) in [(100_i64, false), (400, true), (600, true), (10_000, true)] {
        let (rows, turn) = answers.make(ORG, database.read(ORG, sql, &[&count])).await;
        assert_eq!((rows.unwrap().len(), turn.is_some()), (usize::try_from(count).unwrap(), needs_turn));
    }
    let (refused, _) = answers.make(ORG, database.read(ORG, sql, &[&17_000_i64])).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooLarge);
    // Background work is not limited here.
    assert_eq!(database.read(ORG, sql, &[&17_000_i64]).await.unwrap().len(), 17_000);
    assert_eq!(database.pool_usage().in_use, 0);

    // A connection that received a long row is not kept.
    let idle = database.pool_usage().idle;
    database.read_one(ORG, "SELECT repeat('x', 2000000)", &[]).await.unwrap().unwrap();
    assert_eq!(database.pool_usage().idle, idle - 1);
}

#[tokio::test]
async fn all_orgs_together_leave_a_connection_to_what_belongs_to_none() {
    let (server, database) = database().await;
    let watch = server.connect().await;
    let slow: Vec<_> = [ORG, ORG, OTHER, OTHER].map(|org| read(&database, org, SLOW)).into();
    wait_until(&watch, 3, Duration::from_secs(1)).await;
    timeout(Duration::from_secs(1), database.read_global(QUICK, &[])).await.unwrap().unwrap();
    for slow in slow {
        slow.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_statement_of_who_waits_no_more_is_cancelled() {
    let (server, database) = database().await;
    let watch = server.connect().await;
    let slow = "SELECT pg_sleep(4)::text";
    for round in 0..3 {
        let dropped = match round {
            0 => timeout(Duration::from_millis(300), database.read(ORG, slow, &[])).await.map(drop),
            1 => timeout(Duration::from_millis(300), database.read_for(ORG, slow, &[])).await.map(drop),
            _ => timeout(Duration::from_millis(300), database.write(ORG, slow, &[])).await.map(drop),
        };
        assert!(dropped.is_err());
        wait_until(&watch, 0, Duration::from_secs(1)).await;
    }
    // Short statements are not cancelled: their connections are kept.
    let open = database.pool_usage();
    let short = "SELECT pg_sleep(0.05)::text";
    assert!(timeout(Duration::from_millis(10), database.read(ORG, short, &[])).await.is_err());
    wait_until(&watch, 0, Duration::from_secs(1)).await;
    sleep(Duration::from_millis(50)).await;
    let kept = database.pool_usage();
    assert_eq!((kept.idle + kept.in_use).max(1), (open.idle + open.in_use).max(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_hits_no_other_statement() {
    let (server, database) = database().await;
    let dropping = {
        let database = database.clone();
        tokio::spawn(async move {
            // Some end just before they would be cancelled, some just after.
            for _ in 0..30 {
                let read = database.read(ORG, "SELECT pg_sleep(0.1)::text", &[]);
                drop(timeout(Duration::from_millis(5), read).await);
            }
        })
    };
    while !dropping.is_finished() {
        database.read(ORG, QUICK, &[]).await.unwrap();
        database.read(OTHER, "SELECT pg_sleep(0.01)::text", &[]).await.unwrap();
    }
    dropping.await.unwrap();
    let watch = server.connect().await;
    wait_until(&watch, 0, Duration::from_secs(2)).await;
    for _ in 0..CONNECTIONS {
        database.read(ORG, QUICK, &[]).await.unwrap();
    }
}

#[tokio::test]
async fn a_read_of_a_request_takes_five_seconds_and_background_work_takes_longer() {
    let (_server, database) = database().await;
    let begun = Instant::now();
    let background = database.in_background();
    let (within, beyond, unhurried, unhurried_globally) = tokio::join!(
        database.read(ORG, "SELECT pg_sleep(4.5)::text", &[]),
        database.read_global("SELECT pg_sleep(5.5)::text", &[]),
        background.read(ORG, "SELECT pg_sleep(5.6)::text", &[]),
        background.read_global("SELECT pg_sleep(5.7)::text", &[]),
    );
    within.unwrap();
    let error = beyond.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("took too long"), "{error}");
    unhurried.unwrap();
    unhurried_globally.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn who_waits_for_its_share_in_vain_is_told_so() {
    let (_server, database) = database().await;
    let slow: Vec<_> = (0..2).map(|_| read(&database, ORG, "SELECT pg_sleep(4.9)::text")).collect();
    sleep(Duration::from_millis(50)).await;
    // These take over before the waiting time of the others expires.
    let next: Vec<_> = (0..2).map(|_| read(&database, ORG, SLOW)).collect();
    sleep(Duration::from_millis(50)).await;
    let refused = database.read(ORG, QUICK, &[]).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Overloaded, Some(overload::READS)));
    for read in slow.into_iter().chain(next) {
        read.await.unwrap().unwrap();
    }
    database.read(ORG, QUICK, &[]).await.unwrap();
}

fn search(client: &Client) -> JoinHandle<Answer> {
    let client = client.clone();
    tokio::spawn(async move { client.get("/api/search?query=cpu").await })
}

/// A server with an org whose searches wait for a lock, for as long as the returned client lives.
async fn blocked_server() -> (TestServer, Client, Client, tokio_postgres::Client) {
    let server = TestServer::start().await;
    let other = server.new_org("Other").await;
    let (neighbour, _) = server.new_member(other, "nina", "Admin").await;
    let admin = server.admin();
    for client in [&admin, &neighbour] {
        client.get("/api/search?query=cpu").await.expect(200);
        client.get("/api/folders").await.expect(200);
        client.get("/api/org/users").await.expect(200);
    }
    let lock = server.database.connect().await;
    lock.batch_execute("BEGIN; LOCK TABLE dashboards IN ACCESS EXCLUSIVE MODE").await.unwrap();
    (server, admin, neighbour, lock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_of_one_org_leave_the_others_their_database() {
    let (server, admin, neighbour, lock) = blocked_server().await;
    let watch = server.database.connect().await;
    let searches: Vec<_> = (0..24).map(|_| search(&admin)).collect();
    // Eight connections read by default.
    wait_until(&watch, 4, Duration::from_secs(3)).await;
    let begun = Instant::now();
    for number in 0..10 {
        neighbour.get("/api/org/users").await.expect(200);
        neighbour.get("/api/folders").await.expect(200);
        let folder = json!({"title": format!("Folder {number}")});
        neighbour.post("/api/folders", &folder).await.expect(200);
        server.anonymous().get("/readyz").await.expect(200);
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "others waited for {:?}", begun.elapsed());
    let (mut timed_out, mut refused) = (0, 0);
    for search in searches {
        let answer = search.await.unwrap();
        match answer.status {
            503 => {
                assert!(answer.text.contains("took too long"), "{}", answer.text);
                timed_out += 1;
            }
            429 => {
                assert!(answer.text.contains("Too many reads of this organization"), "{}", answer.text);
                refused += 1;
            }
            status => panic!("{status}: {}", answer.text),
        }
        assert!(answer.headers.contains_key("retry-after"));
    }
    assert!(timed_out >= 4 && refused > 0, "{timed_out} timed out, {refused} were refused");
    lock.batch_execute("ROLLBACK").await.unwrap();
    admin.get("/api/search?query=cpu").await.expect(200);
    wait_until(&watch, 0, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_leaves_no_statement_behind() {
    let (server, admin, _, lock) = blocked_server().await;
    let watch = server.database.connect().await;
    for _ in 0..3 {
        let searches: Vec<_> = (0..6).map(|_| search(&admin)).collect();
        wait_until(&watch, 4, Duration::from_secs(3)).await;
        for search in searches {
            search.abort();
        }
        wait_until(&watch, 0, Duration::from_secs(1)).await;
    }
    lock.batch_execute("ROLLBACK").await.unwrap();
    for _ in 0..10 {
        admin.get("/api/search?query=cpu").await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_takes_too_long_leaves_no_statement_behind() {
    let server = TestServer::with_settings(&["server.request_timeout=1s"]).await;
    let (admin, watch) = (server.admin(), server.database.connect().await);
    admin.get("/api/search?query=cpu").await.expect(200);
    let lock = server.database.connect().await;
    lock.batch_execute("BEGIN; LOCK TABLE dashboards IN ACCESS EXCLUSIVE MODE").await.unwrap();
    admin.get("/api/search?query=cpu").await.expect(504);
    wait_until(&watch, 0, Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_wait_for_one_org_keep_nobody_else_from_logging_in_and_saving() {
    let server = TestServer::start().await;
    let (slow, other) = (server.new_org("Slow").await, server.new_org("Other").await);
    let (neighbour, _) = server.new_member(other, "nina", "Admin").await;
    neighbour.get("/api/org").await.expect(200);
    let (lock, watch) = (server.database.connect().await, server.database.connect().await);
    // A long flight of the org holds this lock until its end.
    let head = format!("BEGIN; SELECT FROM heads WHERE org_id = {slow} FOR UPDATE");
    lock.batch_execute(&head).await.unwrap();
    let creations: Vec<_> = (0..6)
        .map(|number| {
            let admin = server.admin();
            let login = format!("new-{number}");
            let user = json!({"login": login, "password": "secret", "OrgId": slow});
            tokio::spawn(async move { admin.post("/api/admin/users", &user).await })
        })
        .collect();
    // Eight connections write by default; commits across orgs get four of them, and those of one org two.
    wait_until(&watch, 2, Duration::from_secs(10)).await;
    let begun = Instant::now();
    for number in 0..5 {
        let log_in = json!({"user": "nina", "password": "secret"});
        server.anonymous().post("/login", &log_in).await.expect(200);
        neighbour.post("/api/folders", &json!({"title": format!("Meanwhile {number}")})).await.expect(200);
    }
    assert!(begun.elapsed() < Duration::from_secs(4), "others waited for {:?}", begun.elapsed());
    lock.batch_execute("ROLLBACK").await.unwrap();
    for creation in creations {
        let answer = creation.await.unwrap();
        assert!([200, 429].contains(&answer.status), "{}", answer.text);
    }
}
