//! The statistics of the server through HTTP.

use kymograph_server::verify::verify_database;
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

const PATH: &str = "/api/admin/stats";

async fn save(client: &Client, uid: &str, tags: &[&str]) {
    let dashboard = json!({"title": uid, "uid": uid, "tags": tags});
    client.post("/api/dashboards/db", &json!({"dashboard": dashboard, "overwrite": true})).await.expect(200);
}

/// The statistics with these names.
async fn read<const N: usize>(server: &TestServer, names: [&str; N]) -> [i64; N] {
    let stats = server.admin().get(PATH).await.expect(200).body;
    names.map(|name| stats[name].as_i64().unwrap_or_else(|| panic!("{name} is no number: {stats}")))
}

#[tokio::test]
async fn a_new_server_has_one_org_and_one_user() {
    let server = TestServer::start().await;
    let stats = server.admin().get(PATH).await.expect(200).body;
    let ones = [
        "orgs",
        "users",
        "admins",
        "activeUsers",
        "activeAdmins",
        "dailyActiveUsers",
        "dailyActiveAdmins",
        "monthlyActiveUsers",
    ];
    let numbers = stats.as_object().unwrap();
    assert_eq!(numbers.len(), 24, "{stats}");
    for (name, number) in numbers {
        assert_eq!(*number, json!(i32::from(ones.contains(&name.as_str()))), "{name}");
    }
}

#[tokio::test]
async fn counts_over_all_orgs_and_forgets_what_is_deleted() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let (one, two) = (server.admin(), server.admin().in_org(acme));
    save(&one, "cpu", &["prod", "prod", "linux"]).await;
    save(&one, "disk", &["linux"]).await;
    save(&two, "cpu", &["prod"]).await;
    let star = |uid: &str| format!("/api/user/stars/dashboard/uid/{uid}");
    for (client, uid) in [(&one, "cpu"), (&one, "disk"), (&two, "cpu")] {
        client.post(&star(uid), &json!({})).await.expect(200);
    }
    let names = ["orgs", "dashboards", "stars", "tags"];
    assert_eq!(read(&server, names).await, [2, 3, 3, 3]);

    // A new version changes only the number of tags.
    save(&one, "disk", &["bsd", "mac"]).await;
    assert_eq!(read(&server, names).await, [2, 3, 3, 5]);
    // A dashboard is deleted with its stars, and removing a deleted star has no effect.
    one.delete("/api/dashboards/uid/cpu").await.expect(200);
    one.delete(&star("cpu")).await;
    assert_eq!(read(&server, names).await, [2, 2, 2, 3]);
    save(&one, "cpu", &[]).await;
    one.post(&star("cpu"), &json!({})).await.expect(200);
    one.delete(&star("disk")).await.expect(200);
    assert_eq!(read(&server, names).await, [2, 3, 2, 3]);
    one.delete(&format!("/api/orgs/{acme}")).await.expect(200);
    assert_eq!(read(&server, names).await, [1, 2, 1, 2]);
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_user_counts_once_with_its_highest_role() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    let (_, bob) = server.new_member(1, "bob", "Editor").await;
    let member = json!({"loginOrEmail": "ann", "role": "Editor"});
    server.admin().post(&format!("/api/orgs/{acme}/users"), &member).await.expect(200);
    let names = ["users", "admins", "editors", "viewers"];
    assert_eq!(read(&server, names).await, [3, 1, 2, 0]);
    let path = format!("/api/orgs/{acme}/users/{id}");
    server.admin().patch(&path, &json!({"role": "Admin"})).await.expect(200);
    assert_eq!(read(&server, names).await, [3, 2, 1, 0]);
    server.admin().delete(&path).await.expect(200);
    server.admin().delete(&format!("/api/admin/users/{bob}")).await.expect(200);
    assert_eq!(read(&server, names).await, [2, 1, 0, 1]);

    // Only users that were seen are active, for a period measured by the clock.
    let active = ["activeUsers", "activeViewers", "dailyActiveUsers", "dailyActiveViewers", "activeSessions"];
    assert_eq!(read(&server, active).await, [1, 0, 1, 0, 0]);
    ann.get("/api/user").await.expect(200);
    let login = json!({"user": "ann", "password": "secret"});
    server.anonymous().post("/login", &login).await.expect(200);
    assert_eq!(read(&server, active).await, [2, 1, 2, 1, 1]);
    let aged = format!(
        "UPDATE user_seen SET seen = seen - interval '2 days' WHERE user_id = {id};
        UPDATE sessions SET rotated = rotated - interval '31 days', seen = seen - interval '31 days'"
    );
    server.database.connect().await.batch_execute(&aged).await.unwrap();
    assert_eq!(read(&server, active).await, [2, 1, 1, 0, 0]);
}

#[tokio::test]
async fn belong_to_who_administers_the_server() {
    let server = TestServer::start().await;
    let (org_admin, _) = server.new_member(1, "ann", "Admin").await;
    org_admin.get(PATH).await.expect(403);
    assert_eq!(server.anonymous().get(PATH).await.expect(401).body["orgs"], Value::Null);
}

#[tokio::test]
async fn the_tags_of_a_large_org_are_counted_once_a_minute() {
    let server = TestServer::start().await;
    let fill =
        "INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid, version, pos,
            created, created_by, updated, updated_by, creator_id)
        SELECT 1, 'd' || g, g + 1000, 1, 'd', 'd', ARRAY['t' || g % 7], '', 1, 1,
            now(), 'admin', now(), 'admin', 1 FROM generate_series(1, 6000) g;
        UPDATE quotas SET used = 6000 WHERE owner_org_id = 1 AND target = 'dashboard'";
    server.database.connect().await.batch_execute(fill).await.unwrap();
    assert_eq!(read(&server, ["tags"]).await, [7]);
    save(&server.admin(), "cpu", &["prod"]).await;
    server.clock.advance(59);
    assert_eq!(read(&server, ["tags"]).await, [7]);
    server.clock.advance(1);
    // The first request still gets the old number, so that none has to wait.
    assert_eq!(read(&server, ["tags"]).await, [7]);
    for attempt in 0.. {
        if read(&server, ["tags"]).await == [8] {
            break;
        }
        assert!(attempt < 100, "the tags were not counted again");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
