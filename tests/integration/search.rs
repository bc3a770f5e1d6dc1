//! Searching through HTTP.

use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

use crate::common_word::keep_words;

fn titles(body: &Value) -> Vec<&str> {
    body.as_array().unwrap().iter().map(|hit| hit["title"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn finds_by_words_tags_type_place_and_page() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/folders", &json!({"title": "Network", "uid": "net"})).await.expect(200);
    for (title, uid, tags, folder) in [
        ("CPU load", "cpu", json!(["host", "core"]), ""),
        ("Network load", "load", json!(["host"]), "net"),
        ("100% of it", "all", json!([]), "net"),
    ] {
        let document = json!({"title": title, "uid": uid, "tags": tags});
        admin
            .post("/api/dashboards/db", &json!({"dashboard": document, "folderUid": folder}))
            .await
            .expect(200);
    }
    for (query, expected) in [
        ("", vec!["Network", "100% of it", "CPU load", "Network load"]),
        ("query=LOAD+net", vec!["Network load"]),
        ("query=100%25", vec!["100% of it"]),
        ("query=_", vec![]),
        ("tag=host", vec!["CPU load", "Network load"]),
        ("tag=host&tag=core", vec!["CPU load"]),
        ("type=dash-folder", vec!["Network"]),
        ("type=dash-db&folderUIDs=net", vec!["100% of it", "Network load"]),
        ("folderUIDs=general&type=dash-db", vec!["CPU load"]),
        ("dashboardUIDs=cpu&dashboardUIDs=all", vec!["100% of it", "CPU load"]),
        ("limit=2", vec!["Network", "100% of it"]),
        ("limit=2&page=2", vec!["CPU load", "Network load"]),
        ("limit=2&page=3", vec![]),
        ("limit=0&page=0&query=cpu", vec!["CPU load"]),
        ("query=load+NET&limit=1&page=2", vec![]),
        ("query=load&limit=1&page=2", vec!["Network load"]),
        ("query=load&tag=host&limit=1", vec!["CPU load"]),
        ("query=net", vec!["Network", "Network load"]),
        ("query=net&limit=1&page=2", vec!["Network load"]),
        ("sort=alpha-asc", vec!["100% of it", "CPU load", "Network", "Network load"]),
        ("sort=alpha-desc", vec!["Network load", "Network", "CPU load", "100% of it"]),
        ("sort=alpha-desc&query=net&limit=1&page=2", vec!["Network"]),
        ("sort=alpha-desc&limit=3&page=2", vec!["100% of it"]),
        ("sort=viewed-most&type=dash-db&limit=1", vec!["100% of it"]),
        ("query=l%25+o", vec![]),
    ] {
        let answer = admin.get(&format!("/api/search?{query}")).await.expect(200);
        assert_eq!(titles(&answer.body), expected, "{query}");
        admin.get(&format!("/api/search/?{query}")).await.expect(200);
    }
    let hit = admin.get("/api/search?query=network+load").await.expect(200).body[0].clone();
    assert_eq!((&hit["url"], &hit["type"]), (&json!("/d/load/network-load"), &json!("dash-db")));
    assert_eq!((&hit["folderUid"], &hit["folderTitle"]), (&json!("net"), &json!("Network")));
    let long = admin.get(&format!("/api/search?query={}", "load+".repeat(40))).await.expect(200);
    assert_eq!(titles(&long.body), ["CPU load", "Network load"]);
    admin.get(&format!("/api/search?page={}&query=load", i64::MAX)).await.expect(200);
    admin.get("/api/search?query=a%00b").await.expect(400);
    let options = admin.get("/api/search/sorting").await.expect(200).body;
    assert_eq!(options["sortOptions"][1]["name"], "alpha-desc");
    admin.get("/api/search?type=unknown").await.expect_message(500, "Search failed");
}

#[tokio::test]
async fn ten_words_and_two_hundred_characters_count() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let long = format!("Long {}", "x".repeat(195));
    for title in ["CPU load", &long] {
        admin.post("/api/dashboards/db", &json!({"dashboard": {"title": title}})).await.expect(200);
    }
    for (query, expected) in [
        (format!("{} absent", ["cpu"; 9].join(" ")), vec![]),
        (format!("{} absent", ["cpu"; 10].join(" ")), vec!["CPU load"]),
        (format!("{} {}", ["cpu"; 10].join("   "), "absent ".repeat(2000)), vec!["CPU load"]),
        (long.clone(), vec![long.as_str()]),
        (format!("{long}y"), vec![long.as_str()]),
        (format!("{}y", &long[..199]), vec![]),
    ] {
        for tags in ["", "&tag=absent"] {
            let path = format!("/api/search?query={}{tags}", query.replace(' ', "+"));
            let expected = if tags.is_empty() { expected.clone() } else { Vec::new() };
            assert_eq!(titles(&admin.get(&path).await.expect(200).body), expected, "{query}");
        }
    }
    // The same holds for all lists that can be searched by a part of a name.
    let (name, more) = ("n".repeat(200), "n".repeat(201));
    admin.post("/api/teams", &json!({"name": name})).await.expect(200);
    admin.post("/api/serviceaccounts", &json!({"name": "robot"})).await.expect(201);
    let teams = admin.get(&format!("/api/teams/search?query={more}")).await.expect(200).body;
    assert_eq!(teams["totalCount"], 1);
    for list in ["/api/org/users", "/api/users", "/api/orgs", "/api/serviceaccounts/search"] {
        admin.get(&format!("{list}?query={}", "n".repeat(20_000))).await.expect(200);
    }
}

#[tokio::test]
async fn lists_of_what_is_searched_for_are_bounded() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin.post("/api/dashboards/db", &json!({"dashboard": {"title": "CPU"}})).await.expect(200);
    for (name, value, max) in [
        ("tag", "t", 20),
        ("dashboardUIDs", "u", 1000),
        ("dashboardIds", "1", 1000),
        ("folderUIDs", "u", 1000),
        ("folderIds", "1", 1000),
    ] {
        let path = |count: usize| format!("/api/search?{}", vec![format!("{name}={value}"); count].join("&"));
        admin.get(&path(max)).await.expect(200);
        let message = format!("{name} can have at most {max} values");
        admin.get(&path(max + 1)).await.expect_message(400, &message);
    }
    admin.get(&format!("/api/search?tag={}*", "t".repeat(199))).await.expect(200);
    let message = "tag can have at most 200 characters";
    admin.get(&format!("/api/search?tag={}*", "t".repeat(200))).await.expect_message(400, message);
}

async fn server_with_dashboards() -> (TestServer, i64) {
    let server = TestServer::start().await;
    let admin = server.admin();
    let folder = admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200).body;
    for (uid, tags, folder) in [
        ("cpu", json!(["foobar", "bazqux"]), "ops"),
        ("ram", json!(["foobar", "foobar", "50%"]), ""),
        ("net", json!([]), ""),
    ] {
        let dashboard = json!({"dashboard": {"title": uid, "uid": uid, "tags": tags}, "folderUid": folder});
        admin.post("/api/dashboards/db", &dashboard).await.expect(200);
    }
    (server, folder["id"].as_i64().unwrap())
}

async fn found(client: &Client, query: &str) -> Vec<Value> {
    let hits = client.get(&format!("/api/search?{query}")).await.expect(200).body;
    hits.as_array().unwrap().iter().map(|hit| hit["uid"].clone()).collect()
}

#[tokio::test]
async fn tags_are_matched_whole_or_by_wildcard() {
    let (server, _) = server_with_dashboards().await;
    let admin = server.admin();
    for (query, uids) in [
        ("tag=foobar", vec!["cpu", "ram"]),
        ("tag=foo", vec![]),
        ("tag=foo*", vec!["cpu", "ram"]),
        ("tag=foo*&tag=baz*", vec!["cpu"]),
        ("tag=foo*&tag=bazqux", vec!["cpu"]),
        ("tag=*%25", vec!["ram"]),
        ("tag=foo_ar*", vec![]),
        ("tag=*", vec!["cpu", "ram"]),
    ] {
        assert_eq!(found(&admin, query).await, uids, "{query}");
    }
}

#[tokio::test]
async fn folder_ids_find_folders_and_what_is_in_them() {
    let (server, folder) = server_with_dashboards().await;
    let admin = server.admin();
    for (query, uids) in [
        (format!("folderIds={folder}&type=dash-folder"), vec!["ops"]),
        (format!("folderIds={folder}&type=dash-db"), vec!["cpu"]),
        ("folderIds=0&type=dash-db".to_owned(), vec![]),
        (format!("folderIds=0&folderIds={folder}&type=dash-db"), vec!["cpu"]),
        ("folderIds=999".to_owned(), vec![]),
    ] {
        assert_eq!(found(&admin, &query).await, uids, "{query}");
    }
}

#[tokio::test]
async fn tags_are_counted_by_dashboard() {
    let (server, _) = server_with_dashboards().await;
    let tags = server.admin().get("/api/dashboards/tags").await.expect(200).body;
    let expected = json!([
        {"term": "50%", "count": 1}, {"term": "bazqux", "count": 1}, {"term": "foobar", "count": 2}
    ]);
    assert_eq!(tags, expected);
    let other = server.new_org("Other").await;
    let (admin, _) = server.new_member(other, "olga", "Admin").await;
    assert_eq!(admin.get("/api/dashboards/tags").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn words_are_found_in_any_case_and_only_in_the_own_org() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let other = server.new_org("Other").await;
    let there = admin.clone().in_org(other);
    for (client, title) in [(&admin, "Größe ÉTÉ"), (&admin, "ΟΔΟΣ"), (&there, "Große Größe")] {
        let dashboard = json!({"dashboard": {"title": title}});
        client.post("/api/dashboards/db", &dashboard).await.expect(200);
    }
    for (query, expected) in [
        ("GRÖSSE", vec![]),
        ("GRÖßE", vec!["Größe ÉTÉ"]),
        ("été", vec!["Größe ÉTÉ"]),
        ("οδοσ", vec!["ΟΔΟΣ"]),
        ("ΟΔ", vec!["ΟΔΟΣ"]),
    ] {
        let request = admin.request(axum::http::Method::GET, "/api/search").query(&[("query", query)]);
        assert_eq!(titles(&admin.send(request).await.expect(200).body), expected, "{query}");
    }
    let request = there.request(axum::http::Method::GET, "/api/search").query(&[("query", "größe")]);
    assert_eq!(titles(&there.send(request).await.expect(200).body), ["Große Größe"]);
}

/// So many that the index is only used for rare parts of words, with hosts and without.
const MANY: &str = "INSERT INTO dashboards (org_id, uid, id, generation, title, slug, tags, folder_uid, version, pos,
        created, created_by, updated, updated_by, creator_id)
    SELECT 1, 'many-' || n, n, 1, titles[1 + n % 4], '', '{}', '', 1, 1, now(), 'admin', now(), 'admin', 1
    FROM generate_series(1, 8000) AS n,
        LATERAL (SELECT ARRAY['CPU of host-' || n / 4 % 500, 'Überlauf 100% of Host_' || n, 'Node exporter (' || n || ')',
            '日本語 ' || n / 4 % 7]) AS made (titles)";

#[tokio::test]
async fn rare_parts_of_words_find_what_the_words_find() {
    let server = TestServer::start().await;
    let (admin, client) = (server.admin(), server.database.connect().await);
    client.execute(MANY, &[]).await.unwrap();
    keep_words(&client).await;
    let expected = "SELECT uid FROM dashboards WHERE org_id = 1 AND lower_title LIKE ALL ($1)
        ORDER BY lower_title, uid LIMIT 1000";
    for (words, is_found) in [
        ("host-77", true),
        ("HOST-77 cpu", true),
        ("host", true),
        ("cpu host-7 of", true),
        ("of host-7 cpu c", true),
        ("t-49", true),
        ("-499", true),
        ("(40", true),
        ("4)", true),
        ("host_123", true),
        ("100% überlauf", true),
        ("ÜBER", true),
        ("日本語 3", true),
        ("exporter node 79", true),
        ("ghost", false),
        ("host-77 node", false),
        ("host_%", false),
    ] {
        let patterns: Vec<_> = words
            .to_lowercase()
            .split(' ')
            .map(|word| format!("%{}%", word.replace('%', "\\%").replace('_', "\\_")))
            .collect();
        let rows = client.query(expected, &[&patterns]).await.unwrap();
        let uids: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
        let request = admin.request(axum::http::Method::GET, "/api/search").query(&[("query", words)]);
        let answer = admin.send(request).await.expect(200).body;
        let found: Vec<_> =
            answer.as_array().unwrap().iter().map(|hit| hit["uid"].as_str().unwrap()).collect();
        assert_eq!(found, uids, "{words}");
        assert_eq!(!found.is_empty(), is_found, "{words}");
    }
}
