//! Work whose size a client determines: large documents, compared, filled in and saved. Limits are counted in bytes,
//! never in time; only the responsiveness of other requests is measured in time.

use std::time::{Duration, Instant};

use kymograph_tests::{Answer, Client, TestServer};
use serde_json::{Value, json};

/// The maximum length of a response whose changes may have 128 KiB: summaries and the rest of the entry are added.
const LISTED: usize = 512 * 1024;
const MIB: usize = 1024 * 1024;

async fn save(client: &Client, document: &Value) -> Answer {
    client.post("/api/dashboards/db", &json!({"dashboard": document, "overwrite": true})).await
}

/// A dashboard with members inside of one member.
fn dashboard(uid: &str, outer: &str, members: usize, value: &Value) -> Value {
    let members: serde_json::Map<_, _> =
        (0..members).map(|member| (format!("m{member:06}"), value.clone())).collect();
    json!({"uid": uid, "title": uid, outer: members})
}

async fn diff(client: &Client, uid: &str, diff_type: &str) -> Answer {
    let version = |version| json!({"uid": uid, "version": version});
    let form = json!({"base": version(1), "new": version(2), "diffType": diff_type});
    client.post("/api/dashboards/calculate-diff", &form).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_are_answered_while_large_versions_are_compared() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for value in 0..2 {
        let mut document = dashboard("wide", "x", 0, &json!(0));
        for member in 0..20_000 {
            document[format!("m{member:06}")] = json!(value);
        }
        save(&admin, &document).await.expect(200);
    }
    let path = "/api/dashboards/uid/wide/history";
    let comparisons: Vec<_> = (0..4)
        .map(|_| {
            let request = admin.request(reqwest::Method::GET, &format!("{path}/diff"));
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        })
        .collect();
    let mut answered = 0;
    while !comparisons.iter().all(tokio::task::JoinHandle::is_finished) {
        let asked = Instant::now();
        let alive = server.anonymous().request(reqwest::Method::GET, "/livez").send().await.unwrap();
        assert_eq!(alive.status(), 200);
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        answered += 1;
    }
    assert!(answered > 0);
    for comparison in comparisons {
        assert_eq!(comparison.await.unwrap(), 200);
    }
    let compared = admin.get(&format!("{path}/diff")).await.expect(200).body;
    // More changes than are listed, and more than the summary describes.
    assert_eq!(compared["changes"].as_array().unwrap().len(), 10_000);
    assert_eq!(compared["truncated"], true);
    let text = compared["summary"]["text"].as_str().unwrap();
    assert!(text.ends_with("; and 19950 more"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_histories_do_not_wait_for_the_large_ones_of_other_orgs() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for version in 0..2 {
        save(&admin, &json!({"uid": "small", "title": "small", "version": version, "n": version}))
            .await
            .expect(200);
    }
    let mut others = Vec::new();
    for name in ["One", "Two"] {
        let org = admin.post("/api/orgs", &json!({"name": name})).await.expect(200).body["orgId"].clone();
        let user = json!({"login": name, "password": "secret", "OrgId": org});
        let user = admin.post("/api/admin/users", &user).await.expect(200).body["id"].clone();
        let role = json!({"role": "Admin"});
        admin.patch(&format!("/api/orgs/{org}/users/{user}"), &role).await.expect(200);
        let other = server.anonymous().with_basic(name, "secret");
        // Comparing them takes seconds.
        for value in [1, 2] {
            save(&other, &dashboard("large", "members", 200_000, &json!(value))).await.expect(200);
        }
        others.extend(std::iter::repeat_n(other, 3));
    }
    let comparing: Vec<_> = others
        .into_iter()
        .map(|other| {
            tokio::spawn(async move {
                loop {
                    let request =
                        other.request(reqwest::Method::GET, "/api/dashboards/uid/large/history/diff");
                    drop(request.send().await);
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    for path in ["history/diff", "history?changes=true", "versions/1"] {
        admin.get(&format!("/api/dashboards/uid/small/{path}")).await.expect(200);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    for comparing in comparing {
        comparing.abort();
    }
}

/// Other orgs get their turns between the parts of long histories, for large documents, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_documents_do_not_wait_for_the_long_histories_of_other_orgs() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let other = server.new_org("Other").await;
    let (editor, _) = server.new_member(other, "edith", "Editor").await;
    // Each comparison of them is a large one.
    for value in 0..7 {
        save(&editor, &dashboard("long", "members", 180_000, &json!(value))).await.expect(200);
    }
    let paths =
        ["/api/dashboards/uid/long/history?changes=true", "/api/dashboards/uid/long/history?changes=1"];
    let pages: Vec<_> = paths
        .map(|path| {
            let request = editor.request(reqwest::Method::GET, path);
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        })
        .into();
    tokio::time::sleep(Duration::from_millis(500)).await;
    save(&admin, &dashboard("large", "members", 200_000, &json!("n".repeat(20)))).await.expect(200);
    assert!(!pages.iter().all(tokio::task::JoinHandle::is_finished), "the pages were faster than a save");
    for page in pages {
        assert_eq!(page.await.unwrap(), 200);
    }
}

#[tokio::test]
async fn a_long_name_over_many_changes_makes_no_long_answer() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let name = "n".repeat(40_000);
    for value in 0..2 {
        save(&admin, &dashboard("long", &name, 10_000, &json!(value))).await.expect(200);
    }
    let path = "/api/dashboards/uid/long/history";
    let compared = admin.get(&format!("{path}/diff")).await.expect(200);
    assert!(compared.text.len() < 4 * MIB, "{}", compared.text.len());
    let change = &compared.body["changes"][0];
    assert_eq!(change["path"], format!("/dashboard/{}…/m000000", "n".repeat(200)));
    assert_eq!((&change["before"], &change["after"]), (&json!(0), &json!(1)));

    let listed = admin.get(&format!("{path}?changes=true")).await.expect(200);
    assert!(listed.text.len() < 2 * LISTED, "{}", listed.text.len());
    assert_eq!(listed.body["entries"][0]["truncated"], true);
    let audit =
        admin.get("/api/audit/events?targetUid=long&targetType=dashboard&changes=true").await.expect(200);
    assert!(audit.text.len() < 2 * LISTED, "{}", audit.text.len());
    assert_eq!(audit.body["events"][0]["truncated"], true);
    assert!(!audit.body["events"][0]["changes"].as_array().unwrap().is_empty());
    let entry = admin.get(&format!("/api/audit/events/{}", audit.body["events"][0]["id"])).await.expect(200);
    assert!(entry.text.len() < 4 * MIB, "{}", entry.text.len());
    for format in ["ndjson", "csv"] {
        let export =
            admin.get(&format!("/api/audit/events/export?changes=true&format={format}")).await.expect(200);
        assert!(export.text.len() < 3 * LISTED, "{}", export.text.len());
    }

    let basic = diff(&admin, "long", "basic").await.expect(200).text;
    assert!(basic.len() < 8 * MIB && !basic.contains("diff-truncated"), "{}", basic.len());
    assert!(basic.contains(&format!("{}….m009999", "n".repeat(200))));
    let lines = diff(&admin, "long", "json").await.expect(200).text;
    assert!(lines.len() < 8 * MIB, "{}", lines.len());
    let delta = diff(&admin, "long", "delta").await.expect(200).body;
    assert_eq!(delta[&name]["m000000"], json!([0, 1]));
}

#[tokio::test]
async fn a_comparison_that_is_too_long_ends_early_or_is_refused() {
    let server = TestServer::start().await;
    let admin = server.admin();
    // Each value is short in the document, but a long line in HTML.
    for value in ["a", "b"] {
        let list: Vec<_> = (0..60_000).map(|_| value).collect();
        save(&admin, &json!({"uid": "lines", "title": "lines", "list": list})).await.expect(200);
        let text = value.repeat(5 * MIB);
        save(&admin, &json!({"uid": "text", "title": "text", "text": text})).await.expect(200);
    }
    for diff_type in ["basic", "json"] {
        let html = diff(&admin, "lines", diff_type).await.expect(200).text;
        assert!(html.len() <= 8 * MIB && html.len() > 7 * MIB, "{diff_type}: {}", html.len());
        assert_eq!(html.matches("diff-truncated").count(), 1);
    }
    let refused = diff(&admin, "text", "delta").await;
    refused.expect_message(413, "the versions differ too much for an answer");
    let basic = diff(&admin, "text", "basic").await.expect(200).text;
    assert!(basic.len() < 2000 && basic.contains(&format!("{}…", "a".repeat(199))), "{}", basic.len());
    let compared = admin.get("/api/dashboards/uid/text/history/diff").await.expect(200).body;
    assert_eq!(compared["changes"], json!([{"op": "replace", "path": "/dashboard/text"}]));
    assert_eq!(compared["truncated"], true);
}

#[tokio::test]
async fn a_page_with_changes_is_shorter_where_documents_are_large() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for value in ["a", "b", "c", "d"] {
        let document = json!({"uid": "large", "title": "large", "text": value.repeat(12 * MIB)});
        let form = json!({"dashboard": document, "overwrite": true, "message": format!("\"{value}\"\n")});
        admin.post("/api/dashboards/db", &form).await.expect(200);
    }
    let page = async |query: &str| {
        let path = format!("/api/dashboards/uid/large/history?{query}");
        let page = admin.get(&path).await.expect(200);
        assert!(page.text.len() < LISTED, "{}", page.text.len());
        let entries = page.body["entries"].as_array().unwrap().clone();
        let messages: Vec<_> =
            entries.iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect();
        (messages, page.body["next"].clone(), entries)
    };
    // 16 MiB have room for one of them.
    let (messages, next, entries) = page("changes=true").await;
    assert_eq!((messages, next), (vec!["\"d\"\n".into()], json!(4)));
    let expected = json!([{"op": "replace", "path": "/dashboard/text"}]);
    assert_eq!((&entries[0]["changes"], &entries[0]["truncated"]), (&expected, &json!(true)));
    let (messages, next, _) = page("changes=true&before=3").await;
    assert_eq!((messages.len(), next), (1, json!(2)));
    let (messages, next, _) = page("").await;
    assert_eq!((messages.len(), next), (4, Value::Null));
    // An audit page has its usual length, and marks the changes that are too expensive to read.
    let audit =
        admin.get("/api/audit/events?targetType=dashboard&targetUid=large&changes=true").await.expect(200);
    assert!(audit.text.len() < LISTED, "{}", audit.text.len());
    let events = audit.body["events"].as_array().unwrap();
    assert!(events.len() == 4 && events.iter().all(|event| event["truncated"] == true), "{events:?}");
    let restore = json!({"version": 1});
    admin.post("/api/dashboards/uid/large/history/restore", &restore).await.expect(200);
    let read = admin.get("/api/dashboards/uid/large/versions/5").await.expect(200).body;
    assert_eq!(read["data"]["text"].as_str().unwrap().len(), 12 * MIB);
    assert_eq!((&read["data"]["version"], &read["restoredFrom"]), (&json!(5), &json!(1)));
}

#[tokio::test]
async fn a_page_of_versions_is_shorter_where_messages_are_long() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for value in 0..4 {
        save(&admin, &json!({"uid": "told", "title": "told", "value": value})).await.expect(200);
    }
    // As if each message were much longer.
    let database = server.database.connect().await;
    database.execute("UPDATE dashboard_versions SET message = repeat('m', 2097152)", &[]).await.unwrap();
    let page = async |query: &str| {
        let page = admin.get(&format!("/api/dashboards/uid/told/versions?{query}")).await.expect(200).body;
        let versions = page["versions"].as_array().unwrap().iter();
        let versions: Vec<_> = versions.map(|version| version["version"].as_i64().unwrap()).collect();
        (versions, page["continueToken"].as_str().unwrap().to_owned())
    };
    // 4 MiB have room for two of them.
    assert_eq!(page("").await, (vec![4, 3], "3".to_owned()));
    assert_eq!(page("continueToken=3").await, (vec![2, 1], String::new()));
    database.execute("UPDATE dashboard_versions SET message = repeat('m', 4194305)", &[]).await.unwrap();
    assert_eq!(page("").await, (vec![4], "4".to_owned()));
    assert_eq!(page("start=4").await, (vec![], String::new()));
}

/// An import whose document has one text, which references an input this many times.
fn import(copies: usize, value: usize) -> Value {
    json!({
        "dashboard": {
            "__inputs": [{"name": "A", "type": "x"}],
            "title": "filled",
            "uid": "filled",
            "text": format!("x{}", "${A}".repeat(copies)),
        },
        "inputs": [{"name": "A", "type": "x", "value": "v".repeat(value)}],
    })
}

#[tokio::test]
async fn what_is_filled_in_is_no_longer_than_a_body() {
    const MAX: usize = 64 * 1024;
    let server = TestServer::with_settings(&["server.max_body=64KiB"]).await;
    let admin = server.admin();
    let message = "the dashboard exceeds [server] max_body";
    for path in ["/api/dashboards/interpolate", "/api/dashboards/import"] {
        for (copies, value) in [(8000, 20_000), (100, 1000), (2, MAX / 2)] {
            admin.post(path, &import(copies, value)).await.expect_message(413, message);
        }
    }
    admin.get("/api/dashboards/uid/filled").await.expect(404);
    let frame = r#"{"text":"x","title":"filled","uid":"filled"}"#.len();
    let half = (MAX - frame) / 2;
    let fits = admin.post("/api/dashboards/interpolate", &import(2, half)).await.expect(200);
    assert_eq!(fits.text.len(), MAX);
    admin.post("/api/dashboards/interpolate", &import(2, half + 1)).await.expect(413);
    admin.post("/api/dashboards/import", &import(2, half)).await.expect(200);
    // Numbers can be longer when stored.
    let numbers =
        |count: usize| format!("{{\"dashboard\":{{\"title\":\"n\",\"n\":[{}0]}}}}", "1e15,".repeat(count));
    for (count, status) in [(10, 200), (10_000, 413)] {
        let request = admin.request(reqwest::Method::POST, "/api/dashboards/db");
        let request = request.header("Content-Type", "application/json").body(numbers(count));
        admin.send(request).await.expect(status);
    }
}

#[tokio::test]
async fn what_begins_many_names_is_gone_through_once() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (text, inputs) = ("${".repeat(200_000), 2000);
    let declared: Vec<_> =
        (0..inputs).map(|input| json!({"name": format!("A{input}"), "type": "x"})).collect();
    let given: Vec<_> =
        (0..inputs).map(|input| json!({"name": format!("A{input}"), "type": "x", "value": "v"})).collect();
    let document = json!({"__inputs": declared, "title": "t", "text": format!("{text}A1}}")});
    let filled = admin
        .post("/api/dashboards/interpolate", &json!({"dashboard": document, "inputs": given}))
        .await
        .expect(200)
        .body;
    let expected = format!("{}v", "${".repeat(200_000 - 1));
    assert!(filled["text"] == expected, "the last one is a name");
}

#[tokio::test]
async fn tags_and_values_are_counted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let tagged = |tags: Vec<String>| json!({"uid": "tags", "title": "tags", "tags": tags});
    let distinct = |count: usize| (0..count).map(|tag| format!("t{tag}")).collect::<Vec<_>>();
    let message = "A dashboard has at most 100 tags of at most 100 characters, 4096 bytes in all, without NUL characters";
    save(&admin, &tagged(distinct(101))).await.expect_message(400, message);
    save(&admin, &tagged(vec!["é".repeat(101)])).await.expect_message(400, message);
    save(&admin, &tagged(vec!["a\0".into()])).await.expect_message(400, message);
    save(&admin, &tagged(vec!["é".repeat(100)])).await.expect(200);
    save(&admin, &tagged(distinct(100))).await.expect(200);
    // A tag that occurs repeatedly counts once.
    save(&admin, &tagged(vec!["same".into(); 1000])).await.expect(200);
    let tags = admin.get("/api/dashboards/tags").await.expect(200).body;
    assert_eq!(tags, json!([{"term": "same", "count": 1}]));
    assert_eq!(admin.get("/api/search").await.expect(200).body[0]["tags"], json!(["same"]));

    let message = "bad request data: invalid JSON: more than 500000 values and member names";
    let document = json!({"uid": "many", "title": "many", "list": vec![0; 500_000]});
    save(&admin, &document).await.expect_message(400, message);
}

#[tokio::test]
async fn what_many_events_led_to_is_not_told() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let team = admin.post("/api/teams", &json!({"name": "Ops"})).await.expect(200).body["teamId"].clone();
    let path = format!("/api/teams/{team}");
    for number in 0..3 {
        admin.put(&path, &json!({"name": format!("Ops {number}")})).await.expect(200);
    }
    // As if it had been renamed many times.
    let database = server.database.connect().await;
    let shift = "UPDATE events SET version = version + 10000 WHERE stream_id = $1 AND version > 1";
    database.execute(shift, &[&format!("team-{team}")]).await.unwrap();
    let copy = "INSERT INTO events SELECT (e).* FROM (SELECT jsonb_populate_record(e, jsonb_build_object(
            'version', number, 'pos', 1000000 + number)) AS e
        FROM events e, generate_series(2, 10001) AS number WHERE e.stream_id = $1 AND e.version = 10002) AS copies";
    database.execute(copy, &[&format!("team-{team}")]).await.unwrap();
    let page = admin.get(&format!("{path}/history?changes=true&limit=1")).await.expect(200).body;
    assert_eq!(
        (&page["entries"][0]["changes"], &page["entries"][0]["truncated"]),
        (&json!([]), &json!(true))
    );
    let told = admin.get(&format!("{path}/history?changes=true&limit=1&before=10001")).await.expect(200).body;
    assert_eq!(
        (&told["entries"][0]["version"], &told["entries"][0]["truncated"]),
        (&json!(10_000), &json!(false))
    );
}
