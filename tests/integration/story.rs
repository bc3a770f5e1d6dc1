//! A working day of three people in two orgs, reconstructed from the log alone.

use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

/// The addresses of the users, as reported by the proxy in front of the server.
const ANNS: &str = "192.0.2.10";
const BOBS: &str = "198.51.100.20";
const OLGAS: &str = "2001:db8::30";

/// A browser behind the proxy, which also sends a forged address.
fn visitor(server: &TestServer, address: &str, agent: &str) -> Client {
    let hops = format!("203.0.113.66, {address}");
    server.anonymous().with_header("user-agent", agent).with_header("x-forwarded-for", &hops)
}

async fn log_in(server: &TestServer, login: &str, address: &str, agent: &str) -> Client {
    let body = json!({"user": login, "password": "secret"});
    let anonymous = visitor(server, address, agent);
    let answer = anonymous.post("/login", &body).await.expect(200);
    let cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    anonymous.with_header("cookie", &cookie)
}

async fn save(client: &Client, document: Value, message: &str) {
    let save = json!({"dashboard": document, "folderUid": "hosts", "message": message, "overwrite": true});
    client.post("/api/dashboards/db", &save).await.expect(200);
}

fn hosts(expr: &str, title: &str) -> Value {
    json!({"title": "Hosts", "uid": "hosts-overview", "panels": [
        {"id": 1, "title": title, "type": "timeseries", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
            "targets": [{"refId": "A", "expr": expr}]},
        {"id": 2, "title": "RAM", "type": "gauge", "targets": []},
    ]})
}

/// Ann builds, Bob breaks, Olga works elsewhere.
async fn work(server: &TestServer, acme: i64, other: i64) {
    let ann = log_in(server, "ann", ANNS, "firefox").await.in_org(acme);
    ann.post("/api/folders", &json!({"title": "Hosts", "uid": "hosts"})).await.expect(200);
    save(&ann, hosts("rate(cpu[5m])", "CPU"), "first").await;
    save(&ann, hosts("rate(cpu[1m])", "CPU per minute"), "closer").await;

    let olga = log_in(server, "olga", OLGAS, "chrome").await.in_org(other);
    olga.post("/api/folders", &json!({"title": "Hosts", "uid": "hosts"})).await.expect(200);
    save(&olga, hosts("olga", "Olga's"), "mine").await;

    let guess = json!({"user": "bob", "password": "guess"});
    visitor(server, BOBS, "curl/8.0").post("/login", &guess).await.expect(401);
    let bob = log_in(server, "bob", BOBS, "curl/8.0").await.in_org(acme);
    save(&bob, hosts("up", "Up"), "oops").await;
    bob.delete("/api/dashboards/uid/hosts-overview").await.expect(200);
    bob.delete("/api/teams/1").await.expect(403);
    bob.get("/logout").await.expect(302);
    server.access.flush().await;
}

#[tokio::test]
async fn the_log_alone_tells_who_did_it_and_undoes_it() {
    let server = TestServer::with_settings(&["server.trusted_proxies=127.0.0.0/8"]).await;
    let (acme, other) = (server.new_org("Acme").await, server.new_org("Other").await);
    let (boss, _) = server.new_member(acme, "boss", "Admin").await;
    let (eve, _) = server.new_member(other, "eve", "Admin").await;
    for (org, login) in [(acme, "ann"), (acme, "bob"), (other, "olga")] {
        server.new_member(org, login, "Editor").await;
    }
    work(&server, acme, other).await;

    // Who deleted the dashboard, from where, and with what?
    let path = "/api/audit/events?action=dashboard.deleted&targetType=dashboard&targetUid=hosts-overview";
    let deleted = boss.get(path).await.expect(200).body["events"].clone();
    assert_eq!(deleted.as_array().unwrap().len(), 1);
    let deleted = &deleted[0];
    assert_eq!(
        (&deleted["actor"]["login"], &deleted["targets"][0]["name"]),
        (&json!("bob"), &json!("Hosts"))
    );
    assert_eq!(deleted["context"], json!({"ip": BOBS, "userAgent": "curl/8.0"}));
    assert_eq!(deleted["authMethod"], "session");

    // What did the panel look like before?
    let path = format!("/api/audit/events/{}", deleted["id"]);
    let entry = boss.get(&path).await.expect(200).body;
    assert_eq!(entry["changes"][0]["before"]["dashboard"]["panels"][0]["title"], "Up");
    let before = deleted["targets"][0]["version"].as_i64().unwrap() - 2;
    let path = "/api/dashboards/uid/hosts-overview/history";
    let diff = boss.get(&format!("{path}/diff?from={before}&to={}", before + 1)).await.expect(200).body;
    assert_eq!(diff["summary"]["text"], "panel “Up” was called “CPU per minute” before; its query changed");
    assert_eq!((&diff["to"]["actor"]["login"], &diff["to"]["message"]), (&json!("bob"), &json!("oops")));
    let position = diff["from"]["position"].as_i64().unwrap();
    let then = boss.get(&format!("/api/dashboards/uid/hosts-overview?at={position}")).await.expect(200).body;
    assert_eq!(then["dashboard"]["panels"][0]["targets"][0]["expr"], "rate(cpu[1m])");

    // The other changes came from other addresses.
    let path = "/api/audit/events?action=dashboard.*&order=oldest";
    for (boss, addresses) in [(&boss, vec![ANNS, ANNS, BOBS, BOBS]), (&eve, vec![OLGAS])] {
        let events = boss.get(path).await.expect(200).body["events"].clone();
        let found: Vec<_> =
            events.as_array().unwrap().iter().map(|entry| entry["context"]["ip"].clone()).collect();
        assert_eq!(found, addresses);
    }

    // What else did they do?
    let path = format!("/api/audit/events?actor={}&order=oldest", deleted["actor"]["id"]);
    let all = boss.get(&path).await.expect(200).body["events"].clone();
    let all: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["action"].as_str().unwrap(), &entry["outcome"]))
        .collect();
    let (success, denied) = (json!("success"), json!("denied"));
    assert_eq!(
        all,
        [
            ("access.logged_in", &success),
            ("dashboard.updated", &success),
            ("dashboard.deleted", &success),
            ("access.denied", &denied)
        ]
    );

    // The log-ins are in the server's log, because they belong to no org.
    let id = &deleted["actor"]["id"];
    let path = format!("/api/admin/audit/events?targetType=user&targetUid={id}&action=access.*&order=oldest");
    let access = server.admin().get(&path).await.expect(200).body["events"].clone();
    let outcomes: Vec<_> = access.as_array().unwrap().iter().map(|entry| entry["outcome"].clone()).collect();
    assert_eq!(outcomes, ["failure", "success"]);
    assert!(access.as_array().unwrap().iter().all(|entry| entry["context"]["ip"] == BOBS));
    assert_eq!(access[1]["tokenId"], deleted["tokenId"]);

    // Undo it: the dashboard is back as it was before Bob came.
    let body = json!({"version": before});
    boss.post("/api/dashboards/uid/hosts-overview/history/restore", &body).await.expect(200);
    let back = boss.get("/api/dashboards/uid/hosts-overview").await.expect(200).body;
    assert_eq!(back["dashboard"]["panels"][0]["title"], "CPU per minute");
    assert_eq!(back["meta"]["folderUid"], "hosts");

    // The other org's log does not have it, and its dashboard is unchanged.
    let theirs = eve.get("/api/audit/events?action=dashboard.*").await.expect(200);
    assert!(!theirs.text.contains("bob") && theirs.text.contains("olga"));
    let olgas = eve.get("/api/dashboards/uid/hosts-overview").await.expect(200).body;
    assert_eq!(olgas["dashboard"]["panels"][0]["title"], "Olga's");
}
