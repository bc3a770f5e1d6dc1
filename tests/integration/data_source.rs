//! Data sources through HTTP.

use kymograph_domain::source::data_source::{MAX_JSON_DATA_BYTES, MAX_SECRETS};
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

fn prometheus(name: &str) -> Value {
    json!({
        "name": name, "type": "prometheus", "access": "proxy", "url": "http://prometheus:9090", "basicAuth": true,
        "basicAuthUser": "scraper", "jsonData": {"httpMethod": "POST", "exemplars": [{"name": "trace", "n": 1.5}]},
        "secureJsonData": {"basicAuthPassword": "hunter2"},
    })
}

async fn add(admin: &Client, source: &Value) -> Value {
    admin.post("/api/datasources", source).await.expect(200).body["datasource"].clone()
}

#[tokio::test]
async fn are_created_read_changed_and_deleted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let added = admin.post("/api/datasources", &prometheus("Prometheus")).await.expect(200).body;
    assert_eq!((&added["message"], &added["name"]), (&json!("Datasource added"), &json!("Prometheus")));
    let source = &added["datasource"];
    let (uid, id) = (source["uid"].as_str().unwrap(), source["id"].as_i64().unwrap());
    assert_eq!(source["secureJsonFields"], json!({"basicAuthPassword": true}));
    assert_eq!((&source["version"], &source["jsonData"]["exemplars"][0]["n"]), (&json!(1), &json!(1.5)));
    let by_uid = format!("/api/datasources/uid/{uid}");
    for path in
        [by_uid.clone(), format!("/api/datasources/{id}"), "/api/datasources/name/Prometheus".to_owned()]
    {
        assert_eq!(&admin.get(&path).await.expect(200).body, source, "{path}");
    }
    let named = admin.get("/api/datasources/id/Prometheus").await.expect(200).body;
    assert_eq!(named, json!({"id": id}));
    let listed = admin.get("/api/datasources").await.expect(200).body;
    assert_eq!((&listed[0]["uid"], &listed[0]["typeName"]), (&source["uid"], &json!("Prometheus")));
    assert!(listed[0].get("secureJsonFields").is_none() && listed[0].get("version").is_none());

    // Omitted secrets are kept; others are set and removed.
    let mut change = prometheus("Metrics");
    change["secureJsonData"] = json!({"token": "abc"});
    change["version"] = json!(1);
    let updated = admin.put(&by_uid, &change).await.expect(200).body;
    assert_eq!(
        (&updated["message"], &updated["datasource"]["version"]),
        (&json!("Datasource updated"), &json!(2))
    );
    let fields = &updated["datasource"]["secureJsonFields"];
    assert_eq!(fields, &json!({"basicAuthPassword": true, "token": true}));
    let stale = "Datasource has already been updated by someone else. Please reload and try again";
    admin.put(&by_uid, &change).await.expect_message(409, stale);
    change["uid"] = json!("other");
    admin.put(&by_uid, &change).await.expect(400);
    change["uid"] = json!(uid);
    change["version"] = json!(0);
    change["secureJsonData"] = json!({"token": "", "basicAuthPassword": null});
    let path = format!("/api/datasources/{id}");
    let updated = admin.put(&path, &change).await.expect(200).body;
    assert_eq!(updated["datasource"]["secureJsonFields"], json!({}));
    let kept = "SELECT count(*) FROM secrets WHERE key LIKE 'data_source/%'";
    assert_eq!(server.database.scalar::<i64>(kept).await, 0);

    admin.delete("/api/datasources/name/Metrics").await.expect_message(200, "Data source deleted");
    for path in [&by_uid, &path] {
        admin.get(path).await.expect_message(404, "Data source not found");
        admin.delete(path).await.expect_message(404, "Data source not found");
        admin.put(path, &change).await.expect_message(404, "Data source not found");
    }
}

#[tokio::test]
async fn names_and_uids_are_unique_and_one_is_the_default() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let source = |name: &str, uid: &str| json!({"name": name, "type": "loki", "uid": uid, "isDefault": true});
    add(&admin, &source("a", "a")).await;
    let taken = "data source with the same name already exists";
    admin.post("/api/datasources", &source("a", "b")).await.expect_message(409, taken);
    let taken = "data source with the same uid already exists";
    admin.post("/api/datasources", &source("b", "a")).await.expect_message(409, taken);
    add(&admin, &source("b", "b")).await;
    admin.put("/api/datasources/uid/b", &source("a", "")).await.expect(409);
    let default = async || {
        let listed = admin.get("/api/datasources").await.expect(200).body;
        let listed = listed.as_array().unwrap().clone().into_iter();
        let defaults = listed.filter(|source| source["isDefault"] == true);
        defaults.map(|source| source["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(default().await, ["b"]);
    admin.put("/api/datasources/uid/a", &source("a", "")).await.expect(200);
    assert_eq!(default().await, ["a"]);
    // Many become the default at once; exactly one remains it.
    let racing = (0..8).map(|number| {
        let (admin, source) = (admin.clone(), source(&format!("r{number}"), ""));
        async move { admin.post("/api/datasources", &source).await.expect(200) }
    });
    futures_util::future::join_all(racing).await;
    assert_eq!(default().await.len(), 1);
}

#[tokio::test]
async fn bad_ones_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let secrets =
        |count: usize| (0..count).map(|at| (format!("s{at}"), json!("x"))).collect::<serde_json::Map<_, _>>();
    let with = |member: &str, value: Value| {
        let mut source = json!({"name": "a", "type": "loki"});
        source[member] = value;
        source
    };
    let bad = [
        json!({}),
        json!([]),
        json!({"name": "a"}),
        json!({"type": "loki"}),
        with("name", json!("x".repeat(761))),
        with("name", json!(5)),
        with("access", json!("both")),
        with("url", json!("http://a b")),
        with("url", json!("x".repeat(2049))),
        with("uid", json!("no uid")),
        with("jsonData", json!("{}")),
        with("jsonData", json!([1])),
        with("jsonData", json!({"x": "y".repeat(MAX_JSON_DATA_BYTES)})),
        with("jsonData", json!({"x": "\0"})),
        with("secureJsonData", json!({"a/b": "x"})),
        with("secureJsonData", json!({"a": 5})),
        with("secureJsonData", json!({"a": {"b": "c"}})),
        with("secureJsonData", json!("a")),
        with("secureJsonData", Value::Object(secrets(MAX_SECRETS + 1))),
        with("basicAuth", json!("true")),
    ];
    for source in bad {
        admin.post("/api/datasources", &source).await.expect(400);
    }
    admin.get("/api/datasources/uid/%00").await.expect(404);
    admin.get("/api/datasources/name/%00").await.expect(404);
    admin.get("/api/datasources/one").await.expect(400);
    assert_eq!(admin.get("/api/datasources").await.expect(200).body, json!([]));
    add(&admin, &with("secureJsonData", Value::Object(secrets(MAX_SECRETS)))).await;
}

#[tokio::test]
async fn rights_decide_who_asks_and_who_changes() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let admin = server.admin().in_org(acme);
    let (editor, eve) = server.new_member(acme, "eve", "Editor").await;
    let (viewer, _) = server.new_member(acme, "vic", "Viewer").await;
    let (nobody, ned) = server.new_member(acme, "ned", "None").await;
    let uid = add(&admin, &prometheus("P")).await["uid"].as_str().unwrap().to_owned();
    let (path, rights) =
        (format!("/api/datasources/uid/{uid}"), format!("/api/access-control/datasources/{uid}"));
    for client in [&editor, &viewer] {
        client.get(&path).await.expect(200);
        client.put(&path, &prometheus("P2")).await.expect(403);
        client.delete(&path).await.expect(403);
        client.post("/api/datasources", &prometheus("Q")).await.expect(403);
    }
    nobody.get(&path).await.expect(403);
    assert_eq!(nobody.get("/api/datasources").await.expect(200).body, json!([]));
    let described = admin.get("/api/access-control/datasources/description").await.expect(200).body;
    assert_eq!(described["permissions"], json!(["Query", "Edit", "Admin"]));
    let defaults = admin.get(&rights).await.expect(200).body;
    let of = |role: &str| {
        let listed = defaults.as_array().unwrap().iter();
        listed.filter(|entry| entry["builtInRole"] == role).map(|entry| entry["permission"].clone()).next()
    };
    assert_eq!((of("Viewer"), of("Editor")), (Some(json!("Query")), Some(json!("Query"))));

    admin.post(&format!("{rights}/builtInRoles/Viewer"), &json!({"permission": ""})).await.expect(200);
    admin.post(&format!("{rights}/users/{eve}"), &json!({"permission": "Edit"})).await.expect(200);
    admin.post(&format!("{rights}/users/{ned}"), &json!({"permission": "Query"})).await.expect(200);
    viewer.get(&path).await.expect(403);
    assert_eq!(viewer.get("/api/datasources").await.expect(200).body, json!([]));
    assert_eq!(nobody.get("/api/datasources").await.expect(200).body[0]["uid"], json!(uid));
    let own = nobody.get("/api/access-control/user/permissions").await.expect(200).body;
    assert_eq!(own["datasources:query"], json!([format!("datasources:uid:{uid}")]));
    editor.put(&path, &prometheus("P2")).await.expect(200);
    editor.get(&format!("{path}/history")).await.expect(200);
    nobody.get(&format!("{path}/history")).await.expect(403);
    editor.delete(&path).await.expect(200);
    // The next source with this uid begins without an access-control list.
    let mut again = prometheus("P3");
    again["uid"] = json!(uid);
    add(&admin, &again).await;
    viewer.get(&path).await.expect(200);
    nobody.get(&path).await.expect(403);
    server.admin().get(&path).await.expect(404);
}

#[tokio::test]
async fn no_secret_is_ever_shown_and_settings_come_back_without_them() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let source = add(&admin, &prometheus("P")).await;
    let path = format!("/api/datasources/uid/{}", source["uid"].as_str().unwrap());
    let mut change = prometheus("P2");
    change["secureJsonData"] = json!({"token": "hunter2"});
    admin.put(&path, &change).await.expect(200);
    let history = admin.get(&format!("{path}/history?changes=true")).await.expect(200);
    assert!(!history.text.contains("hunter2") && history.text.contains("token"), "{}", history.text);
    for page in
        ["/api/audit/events?changes=true", "/api/audit/events/export?changes=true", "/api/datasources"]
    {
        assert!(!admin.get(page).await.expect(200).text.contains("hunter2"), "{page}");
    }
    let plain = "SELECT count(*) FROM events WHERE payload LIKE '%hunter2%'";
    assert_eq!(server.database.scalar::<i64>(plain).await, 0);
    let sealed = "SELECT count(*) FROM secrets WHERE position('hunter2' IN encode(sealed, 'escape')) > 0";
    assert_eq!(server.database.scalar::<i64>(sealed).await, 0);

    let newest = admin.get(&format!("{path}/history?changes=true&limit=1")).await.expect(200).body;
    let changes = newest["entries"][0]["changes"].as_array().unwrap();
    assert!(changes.iter().any(|change| change["path"] == "/secrets/token"), "{newest}");
    let told = admin.post(&format!("{path}/history/restore"), &json!({"version": 1})).await.expect(200).body;
    assert!(told["message"].as_str().unwrap().contains("secrets are not restored"), "{told}");
    let restored = admin.get(&path).await.expect(200).body;
    assert_eq!((&restored["name"], &restored["version"]), (&json!("P"), &json!(3)));
    assert_eq!(restored["secureJsonFields"], json!({"basicAuthPassword": true, "token": true}));
    admin.delete(&path).await.expect(200);
    let history = admin.get(&format!("{path}/history")).await.expect(200).body;
    let undo = format!("/api/audit/events/{}/undo", history["entries"][0]["position"]);
    let told = admin.get(&undo).await.expect(200).body;
    assert!(told["steps"][0]["text"].as_str().unwrap().contains("secrets are not restored"), "{told}");
    admin.post(&undo, &json!({})).await.expect(200);
    let back = admin.get(&path).await.expect(200).body;
    assert_eq!((&back["name"], &back["secureJsonFields"]), (&json!("P"), &json!({})));
    assert_ne!(back["id"], source["id"]);

    // The secrets end with their data source, also if its creation is undone.
    let secret =
        json!({"name": "Short", "uid": "short", "type": "prometheus", "secureJsonData": {"token": "t"}});
    admin.post("/api/datasources", &secret).await.expect(200);
    let kept = "SELECT count(*) FROM secrets WHERE starts_with(key, 'data_source/')";
    assert_eq!(server.database.scalar::<i64>(kept).await, 1);
    let history = admin.get("/api/datasources/uid/short/history").await.expect(200).body;
    let undo = format!("/api/audit/events/{}/undo", history["entries"][0]["position"]);
    admin.post(&undo, &json!({})).await.expect(200);
    admin.get("/api/datasources/uid/short").await.expect(404);
    assert_eq!(server.database.scalar::<i64>(kept).await, 0);
}

#[tokio::test]
async fn a_quota_bounds_them() {
    let server = TestServer::with_settings(&["quota.enabled=true", "quota.org_data_source=2"]).await;
    let admin = server.admin();
    add(&admin, &prometheus("a")).await;
    let second = add(&admin, &prometheus("b")).await["uid"].clone();
    admin.post("/api/datasources", &prometheus("c")).await.expect(403);
    admin.delete(&format!("/api/datasources/uid/{}", second.as_str().unwrap())).await.expect(200);
    add(&admin, &prometheus("c")).await;
    let quotas = admin.get("/api/org/quotas").await.expect(200).body;
    let quota = quotas.as_array().unwrap().iter().find(|quota| quota["target"] == "data_source").unwrap();
    assert_eq!((&quota["used"], &quota["limit"]), (&json!(2), &json!(2)));
}
