//! Two servers on one database: changes by one take effect on the other, also if the notification is lost.

use std::time::{Duration, Instant};

use kymograph_app::kernel::cache::MAX_AGE;
use kymograph_app::kernel::feed_health::MAX_SILENCE;
use kymograph_tests::{Client, Cluster, DatabaseProxy, ServerProcess};
use serde_json::json;

/// The servers of one database share a master key.
const SECRET_KEY: (&str, &str) = ("GF_SECURITY_SECRET_KEY", "the-secret-key-of-two-servers");

/// The allowance for a request and an iteration of the loop that sends it, on a loaded machine.
const SLACK: Duration = Duration::from_secs(3);

/// Two servers, and the proxy between the second and the database.
struct Pair {
    one: ServerProcess,
    other: ServerProcess,
    proxy: DatabaseProxy,
    /// The proxy between the first server and the database.
    _direct: DatabaseProxy,
}

impl Pair {
    async fn start(name: &str) -> Self {
        let database = Cluster::get().new_database().await;
        let (direct, proxy) = (DatabaseProxy::start(&database).await, DatabaseProxy::start(&database).await);
        let one =
            ServerProcess::start_with(&format!("{name}-1"), &[("GF_DATABASE_URL", direct.url()), SECRET_KEY])
                .await;
        let other =
            ServerProcess::start_with(&format!("{name}-2"), &[("GF_DATABASE_URL", proxy.url()), SECRET_KEY])
                .await;
        Self { one, other, proxy, _direct: direct }
    }

    /// A new user that the second server has cached, with the permissions.
    async fn known_user(&self, login: &str) -> (Client, i64) {
        let user = json!({"login": login, "password": "secret", "OrgId": 1});
        let id =
            self.one.admin().post("/api/admin/users", &user).await.expect(200).body["id"].as_i64().unwrap();
        let client = self.other.anonymous().with_basic(login, "secret");
        for _ in 0..3 {
            client.get("/api/user").await.expect(200);
        }
        (client, id)
    }

    async fn disable(&self, user: i64) {
        let path = format!("/api/admin/users/{user}/disable");
        self.one.admin().post(&path, &json!({})).await.expect(200);
    }
}

/// The time until a client gets a status.
async fn time_until(client: &Client, path: &str, status: u16, most: Duration) -> Duration {
    let begun = Instant::now();
    loop {
        let answer = client.get(path).await;
        if answer.status == status {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < most, "after {most:?} {path} still is {}: {}", answer.status, answer.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hears_nothing_trusts_no_cache_and_says_so() {
    let pair = Pair::start("half-open").await;
    let (ann, id) = pair.known_user("ann").await;
    let (bob, bob_id) = pair.known_user("bob").await;
    let folder = json!({"uid": "ops", "title": "Ops"});
    pair.one.admin().post("/api/folders", &folder).await.expect(200);
    bob.get("/api/folders/ops").await.expect(200);
    // While the feed is live, a change takes effect within moments.
    pair.disable(bob_id).await;
    time_until(&bob, "/api/user", 401, SLACK).await;

    pair.proxy.silence_feeds(true);
    pair.disable(id).await;
    time_until(&ann, "/api/user", 401, MAX_SILENCE + SLACK).await;
    let anybody = pair.other.anonymous();
    time_until(&anybody, "/readyz", 503, MAX_SILENCE + SLACK).await;
    let said = anybody.get("/readyz").await.expect(503).text;
    assert!(said.contains("does not hear of what other servers change"), "{said}");
    anybody.get("/livez").await.expect(200);
    // It reads from the database now, so it is up to date at once.
    let admin = pair.other.admin();
    for number in 0..20 {
        let title = format!("Ops {number}");
        let renamed = json!({"title": title, "overwrite": true});
        pair.one.admin().put("/api/folders/ops", &renamed).await.expect(200);
        assert_eq!(admin.get("/api/folders/ops").await.expect(200).body["title"], title.as_str());
    }
    // It keeps reporting this as long as each new connection goes silent, too.
    tokio::time::sleep(MAX_SILENCE).await;
    anybody.get("/readyz").await.expect(503);

    pair.proxy.silence_feeds(false);
    time_until(&anybody, "/readyz", 200, 3 * MAX_SILENCE + SLACK).await;
    let (cid, cid_id) = pair.known_user("cid").await;
    pair.disable(cid_id).await;
    time_until(&cid, "/api/user", 401, SLACK).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_the_stop_is_told() {
    let mut pair = Pair::start("stopped").await;
    for round in 0..3 {
        let (ann, id) = pair.known_user(&format!("ann{round}")).await;
        pair.disable(id).await;
        assert!(pair.one.stop().await);
        time_until(&ann, "/api/user", 401, Duration::from_secs(1)).await;
        pair.one.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_right_is_older_than_it_may_be_after_a_kill() {
    let mut pair = Pair::start("killed").await;
    let (ann, id) = pair.known_user("ann").await;
    let (bob, _) = pair.known_user("bob").await;
    let admin = pair.one.admin();
    for uid in ["closed", "moved", "safe"] {
        admin.post("/api/folders", &json!({"uid": uid, "title": uid})).await.expect(200);
    }
    let nobody = json!({"items": []});
    admin.post("/api/folders/safe/permissions", &nobody).await.expect(200);
    let dashboard =
        json!({"dashboard": {"uid": "cpu", "title": "CPU"}, "folderUid": "moved", "overwrite": true});
    admin.post("/api/dashboards/db", &dashboard).await.expect(200);
    let paths = ["/api/folders/closed", "/api/folders/moved", "/api/dashboards/uid/cpu"];
    for path in paths {
        time_until(&bob, path, 200, SLACK).await;
    }
    let (user, moved) = (format!("/api/admin/users/{id}/disable"), json!({"parentUid": "safe"}));
    let nothing = json!({});
    let (disabled, closed, moved) = tokio::join!(
        admin.post(&user, &nothing),
        admin.post("/api/folders/closed/permissions", &nobody),
        admin.post("/api/folders/moved/move", &moved),
    );
    pair.one.kill_server();
    for answer in [disabled, closed, moved] {
        answer.expect(200);
    }
    let begun = Instant::now();
    time_until(&ann, "/api/user", 401, MAX_AGE + SLACK).await;
    for path in paths {
        let left = (MAX_AGE + SLACK).saturating_sub(begun.elapsed()).max(SLACK);
        time_until(&bob, path, 403, left).await;
    }
}
