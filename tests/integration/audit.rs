//! The audit log through HTTP: filters, pages, cursors and permissions.

mod activity;
mod export;

use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

async fn events(client: &Client, query: &str) -> Vec<Value> {
    let body = client.get(&format!("/api/audit/events?{query}")).await.expect(200).body;
    body["events"].as_array().unwrap().clone()
}

async fn actions(client: &Client, query: &str) -> Vec<String> {
    let events = events(client, query).await;
    events.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect()
}

async fn save(client: &Client, uid: &str, number: usize) {
    let dashboard = json!({"title": uid, "uid": uid, "number": number});
    client.post("/api/dashboards/db", &json!({"dashboard": dashboard, "overwrite": true})).await.expect(200);
}

#[tokio::test]
async fn an_entry_says_who_did_what_when_from_where_and_how() {
    let server = TestServer::start().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let admin = server
        .admin()
        .with_header("traceparent", &format!("00-{trace}-b7ad6b7169203331-01"))
        .with_header("x-request-id", "req-1")
        .with_header("x-correlation-id", "import-7")
        .with_header("user-agent", "tester/1.0");
    save(&admin, "cpu", 1).await;
    save(&admin, "cpu", 2).await;
    let entry = &events(&admin, "action=dashboard.updated").await[0];
    let expected = json!({
        "id": entry["id"], "orgId": 1, "occurredAt": entry["occurredAt"], "action": "dashboard.updated",
        "schemaVersion": 1, "outcome": "success", "actor": {"type": "user", "id": 1, "login": "admin"},
        "targets": [{"type": "dashboard", "uid": "cpu", "name": "cpu", "version": 2}],
        "context": {"ip": "127.0.0.1", "userAgent": "tester/1.0"}, "requestId": "req-1",
        "correlationId": "import-7", "traceId": trace, "tokenId": null, "authMethod": "basic",
    });
    assert_eq!(entry, &expected);
    let path = format!("/api/audit/events/{}", entry["id"]);
    let one = admin.get(&path).await.expect(200).body;
    assert_eq!(one["targets"], entry["targets"]);
    assert_eq!(events(&admin, &format!("traceId={}", trace.to_uppercase())).await.len(), 2);
    assert_eq!(actions(&admin, &format!("traceId={trace}&action=folder.*")).await.len(), 0);
}

/// A server with the actions of several users in one org, in this order.
async fn busy_server() -> (TestServer, i64, i64) {
    let server = TestServer::start().await;
    let (ann, ann_id) = server.new_member(1, "ann", "Editor").await;
    let (andy, andy_id) = server.new_member(1, "Andy", "Editor").await;
    ann.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    save(&andy, "cpu", 1).await;
    save(&ann, "cpu", 2).await;
    save(&ann, "ram", 1).await;
    andy.delete("/api/dashboards/uid/cpu").await.expect(200);
    (server, ann_id, andy_id)
}

#[tokio::test]
async fn each_filter_finds_what_it_should() {
    let (server, ann, andy) = busy_server().await;
    let admin = server.admin();
    let (anns, andys) = (
        ["dashboard.created", "dashboard.updated", "folder.created"],
        ["dashboard.deleted", "dashboard.created"],
    );
    for actor in ["ann".to_owned(), "ANN".to_owned(), ann.to_string(), "ann*".to_owned()] {
        assert_eq!(actions(&admin, &format!("actor={actor}")).await, anns, "{actor}");
    }
    assert_eq!(actions(&admin, "actor=andy").await, andys);
    assert_eq!(actions(&admin, &format!("actor={andy}")).await, andys);
    assert_eq!(actions(&admin, "actor=an*").await.len(), 5);
    assert_eq!(actions(&admin, "actor=ann&actor=andy").await.len(), 5);
    assert_eq!(actions(&admin, "actor=nobody").await.len(), 0);
    assert_eq!(actions(&admin, "actor=server").await, ["membership.added", "org.created"]);
    assert_eq!(actions(&admin, "action=dashboard.*").await.len(), 4);
    assert_eq!(actions(&admin, "action=dashboard.deleted&action=folder.*").await.len(), 2);
    assert_eq!(actions(&admin, "actor=ann&action=dashboard.*").await, anns[..2]);
    assert_eq!(actions(&admin, "targetType=dashboard&targetUid=cpu").await.len(), 3);
    assert_eq!(actions(&admin, "targetType=dashboard&targetUid=cpu&actor=ann").await, ["dashboard.updated"]);
    assert_eq!(actions(&admin, "targetType=dashboard&targetUid=cpu&action=dashboard.deleted").await.len(), 1);
    assert_eq!(actions(&admin, "targetType=dashboard&targetUid=gone").await.len(), 0);
    assert_eq!(actions(&admin, "targetType=folder").await, ["folder.created"]);
    assert_eq!(actions(&admin, "targetType=folder&actor=andy").await.len(), 0);
    assert_eq!(actions(&admin, "outcome=denied").await.len(), 0);
    assert_eq!(
        actions(&admin, "outcome=success&action=dashboard.*&order=oldest").await[0],
        "dashboard.created"
    );
    let all = events(&admin, "").await;
    assert_eq!(all.first().unwrap()["action"], "dashboard.deleted");
    assert_eq!(all.last().unwrap()["action"], "org.created");
    // The name of an object is its last one.
    let membership = events(&admin, &format!("targetType=membership&targetUid={ann}")).await;
    assert_eq!(membership[0]["targets"][0]["name"], "ann");
}

#[tokio::test]
async fn what_belongs_to_a_user_is_named_after_the_user() {
    let server = TestServer::start().await;
    let (ann, _) = server.new_member(1, "ann", "Editor").await;
    save(&ann, "cpu", 1).await;
    ann.post("/api/user/stars/dashboard/uid/cpu", &json!({})).await.expect(200);
    ann.put("/api/user/preferences", &json!({"theme": "dark"})).await.expect(200);
    for kind in ["star", "preference", "membership"] {
        let found = events(&server.admin(), &format!("targetType={kind}&order=newest&limit=1")).await;
        assert_eq!(found[0]["targets"][0]["name"], "ann", "{kind}");
    }
}

/// The expected result of a filter with exclusions, computed from the unfiltered entries.
fn without(all: &[Value], fits: impl Fn(&str, &str) -> bool) -> Vec<Value> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let fits = |event: &&Value| fits(&text(&event["action"]), &text(&event["actor"]["login"]));
    all.iter().filter(fits).cloned().collect()
}

#[tokio::test]
async fn what_is_excluded_is_left_out_by_every_filter() {
    let (server, ann, andy) = busy_server().await;
    let admin = server.admin();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    for login in ["ann", "Andy"] {
        let parent = format!("00-{trace}-b7ad6b7169203331-01");
        save(&server.client(login, "secret").with_header("traceparent", &parent), "traced", 1).await;
    }
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    viewer.delete("/api/dashboards/uid/ram").await.expect(403);
    server.access.flush().await;
    let numbers = [format!("excludeActor={ann}&excludeActor={andy}"), format!("excludeActor={ann}")];
    for filter in [
        "",
        "action=dashboard.*",
        "actor=an*",
        "actor=admin&actor=ann",
        "targetType=dashboard&targetUid=cpu",
        "targetType=dashboard&targetUid=ram",
        "outcome=denied",
        "targetType=dashboard",
        &format!("traceId={trace}"),
        &format!("traceId={trace}&targetType=dashboard&targetUid=traced"),
    ] {
        let all = events(&admin, &format!("limit=1000&{filter}")).await;
        let find = async |excluding: &str| events(&admin, &format!("limit=1000&{filter}&{excluding}")).await;
        assert_eq!(find("excludeActor=ANN").await, without(&all, |_, who| who != "ann"), "{filter}");
        assert_eq!(find(&numbers[1]).await, without(&all, |_, who| who != "ann"), "{filter}");
        for excluding in ["excludeActor=an*", &numbers[0]] {
            let rest = without(&all, |_, who| who != "ann" && who != "Andy");
            assert_eq!(find(excluding).await, rest, "{filter}");
        }
        assert_eq!(find("excludeActor=server").await, without(&all, |_, who| who != "server"), "{filter}");
        assert_eq!(find("excludeActor=nobody").await, all, "{filter}");
        let rest = without(&all, |what, _| !what.starts_with("dashboard.") && what != "folder.created");
        assert_eq!(find("excludeAction=dashboard.*&excludeAction=folder.created").await, rest, "{filter}");
        let rest = without(&all, |what, _| what == "access.denied");
        assert_eq!(find("excludeOutcome=success&excludeOutcome=failure").await, rest, "{filter}");
        let rest = without(&all, |what, _| !what.starts_with("access.") && !what.starts_with("org."));
        assert_eq!(find("excludeTargetType=access&excludeTargetType=org").await, rest, "{filter}");
        let rest = without(&all, |what, who| what != "dashboard.created" && who != "ann");
        assert_eq!(find("excludeAction=dashboard.created&excludeActor=ann").await, rest, "{filter}");
    }
    assert_eq!(events(&admin, "action=folder.*&excludeAction=*").await.len(), 0);
    assert_eq!(events(&admin, "excludeActor=").await, events(&admin, "").await);
}

#[tokio::test]
async fn times_are_inclusive_and_may_be_given_in_two_ways() {
    let (server, ..) = busy_server().await;
    let admin = server.admin();
    let all = events(&admin, "order=oldest").await;
    let time = |index: usize| all[index]["occurredAt"].as_str().unwrap().to_owned();
    let between = format!("from={}&to={}&order=oldest", time(2), time(4));
    assert_eq!(events(&admin, &between).await, all[2..=4]);
    assert_eq!(events(&admin, &format!("{between}&action=*")).await, all[2..=4]);
    assert_eq!(events(&admin, &format!("to={}", time(0))).await, all[..1]);
    assert_eq!(events(&admin, "to=0").await.len(), 0);
    assert_eq!(events(&admin, "from=2999-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(events(&admin, "from=0&to=32503680000000&limit=1000").await.len(), all.len());
}

#[tokio::test]
async fn who_was_renamed_or_deleted_is_still_found() {
    let (server, ann, _) = busy_server().await;
    let admin = server.admin();
    admin.put(&format!("/api/users/{ann}"), &json!({"login": "maria"})).await.expect(200);
    for login in ["ann", "maria"] {
        assert_eq!(actions(&admin, &format!("actor={login}")).await.len(), 3, "{login}");
    }
    admin.delete(&format!("/api/admin/users/{ann}")).await.expect(200);
    assert_eq!(actions(&admin, "actor=ann").await.len(), 3);
    assert_eq!(actions(&admin, "actor=mar*").await.len(), 3);
}

#[tokio::test]
async fn bad_input_is_told_clearly() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let many = "actor=a&".repeat(101);
    for (query, message) in [
        ("outcome=maybe", "outcome is invalid: use success, denied or failure"),
        ("order=up", "order is invalid: use newest or oldest"),
        ("from=yesterday", "from is invalid: use RFC 3339, milliseconds or seconds since 1970"),
        ("to=2026-13-01T00:00:00Z", "to is invalid: use RFC 3339, milliseconds or seconds since 1970"),
        ("from=20&to=10", "from is after to"),
        ("action=comet.seen", "action comet.seen is unknown"),
        ("targetUid=cpu", "targetUid needs a targetType"),
        ("cursor=00", "cursor is invalid: it does not belong to this list"),
        (&many, "a filter can have at most 100 values"),
        ("traceId=%00", "a filter is too long or contains a character that cannot be stored"),
        ("excludeActor=%00", "a filter is too long or contains a character that cannot be stored"),
        (&many.replace("actor", "excludeActor"), "a filter can have at most 100 values"),
        (
            "excludeOutcome=denied&excludeOutcome=maybe",
            "excludeOutcome is invalid: use success, denied or failure",
        ),
        ("excludeAction=folder.*&excludeAction=comet.*", "excludeAction comet.* is unknown"),
    ] {
        for path in ["/api/audit/events", "/api/admin/audit/events"] {
            admin.get(&format!("{path}?{query}")).await.expect_message(400, message);
        }
        if !query.starts_with("cursor") {
            admin.get(&format!("/api/audit/events/export?{query}")).await.expect_message(400, message);
        }
        if !query.starts_with("cursor") && !query.starts_with("order") {
            admin.get(&format!("/api/audit/activity?{query}")).await.expect_message(400, message);
        }
    }
    for name in ["targetType", "excludeTargetType"] {
        let unknown = admin.get(&format!("/api/audit/events?{name}=comet")).await.expect(400).body;
        let expected = format!("{name} is invalid: use access, annotation, correlation, dashboard");
        assert!(unknown["message"].as_str().unwrap().starts_with(&expected), "{unknown}");
    }
    admin.get("/api/audit/events/export?format=xls").await.expect(400);
    admin.get("/api/audit/events/x").await.expect_message(400, "id is invalid");
    for id in ["0", "-1", "999999", "9223372036854775807", "-9223372036854775808"] {
        admin.get(&format!("/api/audit/events/{id}")).await.expect_message(404, "audit event not found");
    }
    admin.get("/api/audit/activity?interval=year").await.expect(400);
    for (query, message) in [
        ("days=401", "days is invalid: there can be at most 400 intervals"),
        ("days=17&interval=hour", "days is invalid: there can be at most 400 intervals"),
        (
            "from=2025-01-01T00:00:00Z&to=2026-02-05T00:00:00Z",
            "from and to are too far apart: there can be at most 400 intervals",
        ),
        (
            "from=-62135596800000&to=253402300799999",
            "from and to are too far apart: there can be at most 400 intervals",
        ),
    ] {
        admin.get(&format!("/api/audit/activity?{query}")).await.expect_message(400, message);
    }
}

#[tokio::test]
async fn only_admins_read_the_log_and_only_their_own() {
    let (server, ..) = busy_server().await;
    let acme = server.new_org("Acme").await;
    let (olga, _) = server.new_member(acme, "olga", "Admin").await;
    let (editor, _) = server.new_member(1, "ed", "Editor").await;
    let (viewer, _) = server.new_member(acme, "vic", "Viewer").await;
    for path in
        ["/api/audit/events", "/api/audit/events/1", "/api/audit/events/export", "/api/audit/activity"]
    {
        editor.get(path).await.expect(403);
        olga.get(&path.replace("audit", "admin/audit")).await.expect(403);
        server.admin().get(&path.replace("audit", "admin/audit")).await.expect(200);
        viewer.get(path).await.expect(403);
        olga.get(path).await.expect(200);
    }
    let boss = json!({"login": "boss", "password": "secret", "OrgId": 1});
    let id = server.admin().post("/api/admin/users", &boss).await.expect(200).body["id"].as_i64().unwrap();
    let permissions = json!({"isGrafanaAdmin": true});
    server.admin().put(&format!("/api/admin/users/{id}/permissions"), &permissions).await.expect(200);
    // A server admin may not read an org's log.
    let boss = server.client("boss", "secret").in_org(acme);
    boss.get("/api/audit/events").await.expect(403);
    boss.get("/api/admin/audit/events").await.expect(200);
    let own = events(&olga, "limit=1000").await;
    assert!(!own.is_empty() && own.iter().all(|event| event["orgId"] == acme));
}

#[tokio::test]
async fn a_cursor_holds_for_its_list_only() {
    let (server, ..) = busy_server().await;
    let admin = server.admin();
    let acme = server.new_org("Acme").await;
    let page = admin.get("/api/audit/events?limit=2").await.expect(200).body;
    let next = page["next"].as_str().unwrap();
    admin.get(&format!("/api/audit/events?limit=3&cursor={next}")).await.expect(200);
    let refused = "cursor is invalid: it does not belong to this list";
    for (index, digit) in next.char_indices() {
        let mut tampered = next.to_owned();
        tampered.replace_range(index..=index, if digit == '0' { "1" } else { "0" });
        admin.get(&format!("/api/audit/events?cursor={tampered}")).await.expect_message(400, refused);
    }
    for other in [
        "&action=dashboard.*",
        "&order=oldest",
        "&actor=ann",
        "&to=32503680000000",
        "&excludeActor=ann",
        "&excludeAction=folder.*",
        "&excludeOutcome=denied",
        "&excludeTargetType=star",
    ] {
        admin.get(&format!("/api/audit/events?cursor={next}{other}")).await.expect_message(400, refused);
    }
    let path = format!("/api/audit/events?cursor={next}");
    admin.clone().in_org(acme).get(&path).await.expect_message(400, refused);
    admin.get(&path.replace("/api/audit", "/api/admin/audit")).await.expect_message(400, refused);
}

#[tokio::test]
async fn pages_lead_forward_and_back() {
    let (server, ..) = busy_server().await;
    let admin = server.admin();
    for filter in [
        "",
        "&action=dashboard.*",
        "&actor=an*",
        "&order=oldest",
        "&order=oldest&action=*",
        "&excludeActor=ann",
        "&excludeActor=admin&excludeAction=folder.*&order=oldest",
    ] {
        let all = events(&admin, &format!("limit=1000{filter}")).await;
        let (mut forward, mut pages, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            let page =
                admin.get(&format!("/api/audit/events?limit=2{filter}{cursor}")).await.expect(200).body;
            forward.extend(page["events"].as_array().unwrap().clone());
            let next = page["next"].as_str().map(|next| format!("&cursor={next}"));
            pages.push(page);
            let Some(next) = next else { break };
            cursor = next;
        }
        assert_eq!(forward, all, "{filter}");
        for pair in pages.windows(2).rev() {
            let previous = pair[1]["previous"].as_str().unwrap();
            let path = format!("/api/audit/events?limit=2{filter}&cursor={previous}");
            let back = admin.get(&path).await.expect(200).body;
            assert_eq!(back["events"], pair[0]["events"], "{filter}");
            let again = back["next"].as_str().unwrap();
            let path = format!("/api/audit/events?limit=2{filter}&cursor={again}");
            assert_eq!(admin.get(&path).await.expect(200).body["events"], pair[1]["events"], "{filter}");
        }
    }
    // With the newest first, the previous page of the first one contains later entries.
    let first = admin.get("/api/audit/events?limit=2").await.expect(200).body;
    let path = format!("/api/audit/events?limit=2&cursor={}", first["previous"].as_str().unwrap());
    let nothing = admin.get(&path).await.expect(200).body;
    assert_eq!((nothing["events"].as_array().unwrap().len(), &nothing["previous"]), (0, &first["previous"]));
    save(&admin, "new", 1).await;
    let later = admin.get(&path).await.expect(200).body;
    assert_eq!(later["events"][0]["targets"][0]["uid"], "new");
    let path = format!("/api/audit/events?limit=2&cursor={}", nothing["next"].as_str().unwrap());
    assert_eq!(admin.get(&path).await.expect(200).body["events"], first["events"]);
}

#[tokio::test]
async fn nothing_is_skipped_or_repeated_while_eight_write() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let admin = server.admin();
            tokio::spawn(async move {
                for number in 0..15 {
                    save(&admin, &format!("d{writer}"), number).await;
                }
            })
        })
        .collect();
    let (mut seen, mut path) = (Vec::new(), "/api/audit/events?order=newest&limit=7".to_owned());
    while seen.len() < 122 {
        let page = admin.get(&path).await.expect(200).body;
        let Some(previous) = page["previous"].as_str() else { continue };
        let mut ids: Vec<_> =
            page["events"].as_array().unwrap().iter().map(|event| event["id"].as_i64().unwrap()).collect();
        ids.reverse();
        if seen.is_empty() {
            // The first page has the newest entries so far; earlier ones are read downwards.
            let mut next = page["next"].as_str().map(str::to_owned);
            let mut older = Vec::new();
            while let Some(cursor) = next {
                let page =
                    admin.get(&format!("/api/audit/events?order=newest&limit=7&cursor={cursor}")).await;
                let page = page.expect(200).body;
                older.extend(
                    page["events"].as_array().unwrap().iter().map(|event| event["id"].as_i64().unwrap()),
                );
                next = page["next"].as_str().map(str::to_owned);
            }
            older.reverse();
            seen = older;
        }
        seen.extend(ids);
        path = format!("/api/audit/events?order=newest&limit=7&cursor={previous}");
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(seen, (1..=122).collect::<Vec<_>>());
}
