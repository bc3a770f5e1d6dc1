//! Preferences through HTTP, and the home dashboard that they determine.

use kymograph_server::verify::verify_database;
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

const OWN: &str = "/api/user/preferences";
const ORG: &str = "/api/org/preferences";

async fn save(client: &Client, uid: &str, title: &str) -> Value {
    let dashboard = json!({"dashboard": {"title": title, "uid": uid}});
    client.post("/api/dashboards/db", &dashboard).await.expect(200).body
}

#[tokio::test]
async fn put_replaces_and_patch_merges() {
    let server = TestServer::start().await;
    let admin = server.admin();
    save(&admin, "cpu", "CPU").await;
    for path in [OWN, ORG] {
        assert_eq!(admin.get(path).await.expect(200).body, json!({}));
        let all = json!({
            "theme": "dark", "timezone": "Europe/Berlin", "weekStart": "monday", "language": "de-DE",
            "regionalFormat": "de-DE", "homeDashboardUID": "cpu", "queryHistory": {"homeTab": "starred"},
            "navbar": {"bookmarkUrls": ["/alerting"]}
        });
        admin.put(path, &all).await.expect_message(200, "Preferences updated");
        assert_eq!(admin.get(path).await.expect(200).body, all);

        let patch = json!({"theme": "light", "timezone": null, "homeDashboardUID": ""});
        admin.patch(path, &patch).await.expect_message(200, "Preferences updated");
        let patched = admin.get(path).await.expect(200).body;
        assert_eq!((&patched["theme"], &patched["timezone"]), (&json!("light"), &json!("Europe/Berlin")));
        assert_eq!(patched["homeDashboardUID"], json!(null));

        let nothing =
            json!({"theme": null, "homeDashboardId": null, "homeDashboardUID": null, "locale": null});
        admin.put(path, &nothing).await.expect(200);
        assert_eq!(admin.get(path).await.expect(200).body, json!({}));
    }
}

#[tokio::test]
async fn the_home_dashboard_is_the_users_else_the_orgs_else_built_in() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let home = async || admin.get("/api/dashboards/home").await.expect(200).body;
    let built_in = home().await;
    assert_eq!(
        (&built_in["dashboard"]["title"], &built_in["meta"]["isHome"]),
        (&json!("Home"), &json!(true))
    );
    assert_eq!(built_in["meta"]["canDelete"], json!(false));

    let id = save(&admin, "mine", "My Home").await["id"].clone();
    save(&admin, "ours", "Ours").await;
    admin.put(ORG, &json!({"homeDashboardUID": "ours"})).await.expect(200);
    assert_eq!(home().await, json!({"redirectUri": "/d/ours/ours"}));
    admin.put(OWN, &json!({"homeDashboardId": id})).await.expect(200);
    assert_eq!(home().await, json!({"redirectUri": "/d/mine/my-home"}));
    assert_eq!(admin.get(OWN).await.expect(200).body, json!({"homeDashboardUID": "mine"}));

    admin.delete("/api/dashboards/uid/mine").await.expect(200);
    assert_eq!(home().await, json!({"redirectUri": "/d/ours/ours"}));
    assert_eq!(admin.get(OWN).await.expect(200).body, json!({}));
    admin.delete("/api/dashboards/uid/ours").await.expect(200);
    assert_eq!(home().await, built_in);
}

#[tokio::test]
async fn a_user_prefers_in_each_org_and_an_admin_for_the_org() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    admin.put(ORG, &json!({"theme": "dark"})).await.expect(200);
    assert_eq!(viewer.get(ORG).await.expect(200).body, json!({"theme": "dark"}));
    viewer.put(ORG, &json!({"theme": "light"})).await.expect(403);
    viewer.patch(ORG, &json!({"theme": "light"})).await.expect(403);
    viewer.put(OWN, &json!({"theme": "light"})).await.expect(200);
    assert_eq!(admin.get(OWN).await.expect(200).body, json!({}));

    let other = server.new_org("Other").await;
    admin.put(OWN, &json!({"timezone": "utc"})).await.expect(200);
    assert_eq!(admin.clone().in_org(other).get(OWN).await.expect(200).body, json!({}));
    admin.clone().in_org(999).put(OWN, &json!({"timezone": "utc"})).await.expect(404);
}

#[tokio::test]
async fn bad_input_is_told_clearly() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for path in [OWN, ORG] {
        admin.put(path, &json!({"theme": "pink"})).await.expect_message(400, "Invalid theme");
        admin.patch(path, &json!({"weekStart": "someday"})).await.expect_message(400, "Invalid weekStart");
        for zone in ["on Mars", "Mars/Olympus", "europe/berlin"] {
            admin.put(path, &json!({"timezone": zone})).await.expect_message(400, "Invalid timezone");
        }
        admin.put(path, &json!({"language": "x".repeat(100)})).await.expect(400);
        admin.put(path, &json!({"navbar": {"bookmarkUrls": "x"}})).await.expect(400);
        for home in [
            json!({"homeDashboardId": 9999}),
            json!({"homeDashboardUID": "unknown"}),
            json!({"homeDashboardUID": "a b"}),
        ] {
            admin.put(path, &home).await.expect_message(404, "Dashboard not found");
            admin.patch(path, &home).await.expect_message(404, "Dashboard not found");
        }
        server.anonymous().get(path).await.expect(401);
    }
}

#[tokio::test]
async fn a_team_prefers_between_its_members_and_the_org() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for uid in ["ours", "first", "second", "mine"] {
        save(&admin, uid, uid).await;
    }
    let (ann, id) = server.new_member(1, "ann", "Viewer").await;
    let home = async || ann.get("/api/dashboards/home").await.expect(200).body["redirectUri"].clone();
    let choose = |uid: &str| json!({"homeDashboardUID": uid});
    let mut paths = Vec::new();
    for name in ["first", "second"] {
        let team = admin.post("/api/teams", &json!({"name": name})).await.expect(200).body;
        let path = format!("/api/teams/{}", team["teamId"]);
        admin.post(&format!("{path}/members"), &json!({"userId": id})).await.expect(200);
        let by_uid = format!("/api/teams/{}/preferences", team["uid"].as_str().unwrap());
        assert_eq!(admin.get(&by_uid).await.expect(200).body, json!({}));
        admin.put(&by_uid, &choose(name)).await.expect_message(200, "Preferences updated");
        assert_eq!(admin.get(&format!("{path}/preferences")).await.expect(200).body, choose(name));
        paths.push(path);
    }
    let preferences = format!("{}/preferences", paths[1]);
    ann.get(&preferences).await.expect(403);
    ann.put(&preferences, &json!({})).await.expect(403);

    admin.put(ORG, &choose("ours")).await.expect(200);
    assert_eq!(home().await, "/d/second/second");
    ann.put(OWN, &choose("mine")).await.expect(200);
    assert_eq!(home().await, "/d/mine/mine");
    ann.put(OWN, &json!({})).await.expect(200);
    admin.put(&preferences, &json!({"theme": "dark"})).await.expect(200);
    assert_eq!(home().await, "/d/first/first");
    admin.put(&preferences, &choose("second")).await.expect(200);
    admin.delete(&paths[1]).await.expect(200);
    assert_eq!(home().await, "/d/first/first");
    admin.delete(&format!("{}/members/{id}", paths[0])).await.expect(200);
    assert_eq!(home().await, "/d/ours/ours");

    admin.get(&preferences).await.expect_message(404, "Team not found");
    admin.put(&preferences, &json!({})).await.expect_message(404, "Team not found");
    admin.put(&format!("{}/preferences", paths[0]), &json!({"theme": "pink"})).await.expect(400);
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}
