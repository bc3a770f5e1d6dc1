//! Undoing all changes of one request, through HTTP: the preview, the restored objects, and the obstacles.

use kymograph_server::verify::verify_database;
use kymograph_tests::{Answer, Client, TestServer};
use serde_json::{Value, json};

/// The newest entry of the log with an action.
async fn entry(client: &Client, action: &str) -> i64 {
    let found = client.get(&format!("/api/audit/events?action={action}&limit=1")).await.expect(200).body;
    found["events"][0]["id"].as_i64().unwrap()
}

async fn preview(client: &Client, entry: i64) -> Value {
    client.get(&format!("/api/audit/events/{entry}/undo")).await.expect(200).body
}

async fn undo(client: &Client, entry: i64) -> Answer {
    client.post(&format!("/api/audit/events/{entry}/undo"), &json!({})).await
}

/// The steps of a plan as `effect type uid`.
fn steps(plan: &Value) -> Vec<String> {
    let step = |step: &Value| {
        let text = |name: &str| step[name].as_str().unwrap().to_owned();
        format!("{} {} {}", text("effect"), text("type"), text("uid"))
    };
    plan["steps"].as_array().unwrap().iter().map(step).collect()
}

async fn save(client: &Client, uid: &str, folder: &str, number: i64) {
    let dashboard = json!({"title": uid.to_uppercase(), "uid": uid, "n": number});
    let save = json!({"dashboard": dashboard, "folderUid": folder, "overwrite": true});
    client.post("/api/dashboards/db", &save).await.expect(200);
}

async fn create_folder(client: &Client, uid: &str, parent: &str) {
    let folder = json!({"title": uid.to_uppercase(), "uid": uid, "parentUid": parent});
    client.post("/api/folders", &folder).await.expect(200);
}

async fn unharmed(server: &TestServer) {
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

/// Folders `net` with `lan` in it and `web` in the folder `ops`, with dashboards, one of which is in the trash.
async fn make_tree(admin: &Client) {
    for (uid, parent) in [("ops", ""), ("net", "ops"), ("lan", "net"), ("web", "ops"), ("other", "")] {
        create_folder(admin, uid, parent).await;
    }
    for (uid, folder) in
        [("a", "ops"), ("b", "net"), ("c", "lan"), ("d", "lan"), ("e", "other"), ("t", "ops")]
    {
        save(admin, uid, folder, 1).await;
    }
    admin.delete("/api/dashboards/uid/t").await.expect(200);
}

#[tokio::test]
async fn a_deleted_folder_comes_back_with_all_that_was_in_it_and_its_permissions() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (vic, vic_id) = server.new_member(1, "vic", "Viewer").await;
    let (_, gone_id) = server.new_member(1, "gone", "Viewer").await;
    let (back, back_id) = server.new_member(1, "back", "Viewer").await;
    make_tree(&admin).await;
    let items = json!({"items": [{"userId": vic_id, "permission": 1}, {"userId": gone_id, "permission": 2},
        {"userId": back_id, "permission": 4}]});
    admin.post("/api/folders/ops/permissions", &items).await.expect(200);
    let closed = json!({"items": [{"role": "Editor", "permission": 2}]});
    admin.post("/api/dashboards/uid/d/permissions", &closed).await.expect(200);
    vic.get("/api/dashboards/uid/c").await.expect(200);

    admin.delete("/api/folders/ops").await.expect(200);
    let deletion = entry(&admin, "folder.deleted").await;
    admin.delete(&format!("/api/org/users/{gone_id}")).await.expect(200);
    admin.delete(&format!("/api/org/users/{back_id}")).await.expect(200);
    admin.post("/api/org/users", &json!({"loginOrEmail": "back", "role": "Viewer"})).await.expect(200);

    let plan = preview(&admin, deletion).await;
    let expected = [
        "restore folder ops",
        "restore folder web",
        "restore folder net",
        "restore folder lan",
        "restore dashboard d",
        "restore dashboard c",
        "restore dashboard b",
        "restore dashboard a",
    ];
    let mut said = steps(&plan);
    let mut wanted = expected.map(str::to_owned).to_vec();
    assert_eq!(said[0], wanted[0], "what others are in comes first");
    said.sort();
    wanted.sort();
    assert_eq!(said, wanted);
    assert_eq!((&plan["count"], &plan["changed"], &plan["refused"]), (&json!(8), &json!(8), &json!(false)));
    assert_eq!(plan["steps"][0]["text"], "Restore folder “OPS”");
    admin.get("/api/folders/ops").await.expect(404);

    let undone = undo(&admin, deletion).await.expect(200).body;
    assert_eq!(undone, json!({"message": "Undone: 8 objects changed", "changed": 8}));
    for (uid, parent) in [("net", "ops"), ("lan", "net"), ("web", "ops")] {
        assert_eq!(admin.get(&format!("/api/folders/{uid}")).await.expect(200).body["parentUid"], parent);
    }
    for (uid, folder) in [("a", "ops"), ("b", "net"), ("c", "lan"), ("d", "lan")] {
        let read = admin.get(&format!("/api/dashboards/uid/{uid}")).await.expect(200).body;
        assert_eq!(read["meta"]["folderUid"], folder);
    }
    // Dashboards that were in the trash before stay there, former members get nothing, and returning members none of
    // their old permissions.
    admin.get("/api/dashboards/uid/t").await.expect(404);
    vic.get("/api/dashboards/uid/c").await.expect(200);
    back.get("/api/folders/ops").await.expect(403);
    let own = |body: &Value| -> Vec<i64> {
        let items = body.as_array().unwrap().iter().filter(|item| item["inherited"] == false);
        items.map(|item| item["userId"].as_i64().unwrap()).collect()
    };
    assert_eq!(own(&admin.get("/api/folders/ops/permissions").await.expect(200).body), [vic_id]);
    // One request is one unit of work, and can be undone like any other.
    let sql = "SELECT count(DISTINCT xmin::text) FROM events WHERE correlation_id =
        (SELECT correlation_id FROM events WHERE type = 'dashboard.restored' LIMIT 1)";
    assert_eq!(server.database.scalar::<i64>(sql).await, 1);
    let restoration = entry(&admin, "folder.created").await;
    undo(&admin, restoration).await.expect(200);
    admin.get("/api/folders/ops").await.expect(404);
    admin.get("/api/dashboards/uid/c").await.expect(404);
    unharmed(&server).await;
}

#[tokio::test]
async fn what_held_by_default_holds_again() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, _) = server.new_member(1, "eve", "Editor").await;
    let (vic, _) = server.new_member(1, "vic", "Viewer").await;
    create_folder(&eve, "ops", "").await;
    admin.post("/api/folders/ops/permissions", &json!({"items": []})).await.expect(200);
    vic.get("/api/folders/ops").await.expect(403);
    let closing = entry(&admin, "resource_permission.customized").await;
    assert_eq!(steps(&preview(&admin, closing).await)[0].split(' ').next(), Some("revert"));
    undo(&admin, closing).await.expect(200);
    vic.get("/api/folders/ops").await.expect(200);
    // The creator is still the creator, also after the folder was deleted and restored by another user.
    eve.get("/api/folders/ops/permissions").await.expect(200);
    eve.delete("/api/folders/ops").await.expect(200);
    let deletion = entry(&admin, "folder.deleted").await;
    undo(&admin, deletion).await.expect(200);
    eve.get("/api/folders/ops/permissions").await.expect(200);
    vic.get("/api/folders/ops").await.expect(200);
    unharmed(&server).await;
}

#[tokio::test]
async fn later_changes_are_named_and_what_was_seen_can_be_insisted_on() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, ann_id) = server.new_member(1, "ann", "Editor").await;
    save(&admin, "cpu", "", 1).await;
    save(&admin, "cpu", "", 2).await;
    let second = entry(&admin, "dashboard.updated").await;
    assert_eq!(preview(&admin, second).await["steps"][0]["laterCount"], 0);
    for number in 3..=14 {
        save(&ann, "cpu", "", number).await;
    }
    let plan = preview(&admin, second).await;
    let step = &plan["steps"][0];
    assert_eq!((&step["effect"], &step["laterCount"]), (&json!("revert"), &json!(12)));
    let later = step["later"].as_array().unwrap();
    assert_eq!(later.len(), 10, "the newest are named");
    assert_eq!((&later[0]["actorLogin"], &later[0]["actorId"]), (&json!("ann"), &json!(ann_id)));
    assert_eq!(later[0]["action"], "dashboard.updated");

    save(&ann, "cpu", "", 15).await;
    let path = format!("/api/audit/events/{second}/undo");
    admin.post(&path, &json!({"seen": plan["seen"]})).await.expect(412);
    let seen = preview(&admin, second).await["seen"].clone();
    admin.post(&path, &json!({"seen": seen})).await.expect(200);
    assert_eq!(admin.get("/api/dashboards/uid/cpu").await.expect(200).body["dashboard"]["n"], 1);
    // Nothing remains to be undone.
    let again = undo(&admin, second).await.expect(200).body;
    assert_eq!(again, json!({"message": "Undone: 1 object changed", "changed": 1}));
}

#[tokio::test]
async fn what_a_client_calls_one_undertaking_is_undone_together() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, _) = server.new_member(1, "ann", "Admin").await;
    let apply = admin.clone().with_header("X-Correlation-Id", "apply-7");
    create_folder(&apply, "new", "").await;
    save(&apply, "one", "new", 1).await;
    save(&admin, "between", "", 1).await;
    save(&apply, "two", "new", 1).await;
    // Changes by other users do not belong to it, even with the same correlation id.
    save(&ann.clone().with_header("X-Correlation-Id", "apply-7"), "three", "", 1).await;
    let last = admin.get("/api/audit/events?targetType=dashboard&targetUid=two").await.expect(200).body;
    let last = last["events"][0]["id"].as_i64().unwrap();
    let plan = preview(&admin, last).await;
    assert_eq!(steps(&plan), ["end dashboard two", "end dashboard one", "end folder new"]);
    // Content that others added to the folder is not deleted with it.
    save(&ann, "anns", "new", 1).await;
    let plan = preview(&admin, last).await;
    assert_eq!((&plan["refused"], &steps(&plan)[2]), (&json!(true), &"refused folder new".to_owned()));
    let refused = undo(&admin, last).await;
    refused.expect_message(400, "folder “NEW”: it is not empty: move or delete its contents first");
    admin.get("/api/dashboards/uid/one").await.expect(200);
    admin.delete("/api/dashboards/uid/anns").await.expect(200);
    undo(&admin, last).await.expect(200);
    admin.get("/api/folders/new").await.expect(404);
    for (uid, status) in [("one", 404), ("two", 404), ("between", 200), ("three", 200)] {
        admin.get(&format!("/api/dashboards/uid/{uid}")).await.expect(status);
    }
    unharmed(&server).await;
}

#[tokio::test]
async fn who_was_removed_comes_back_with_teams_and_permissions() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, ann_id) = server.new_member(1, "ann", "Viewer").await;
    let team = admin.post("/api/teams", &json!({"name": "Ops"})).await.expect(200).body["teamId"].clone();
    admin.post(&format!("/api/teams/{team}/members"), &json!({"userId": ann_id})).await.expect(200);
    create_folder(&admin, "ops", "").await;
    let items = json!({"items": [{"userId": ann_id, "permission": 2}, {"teamId": team, "permission": 1}]});
    admin.post("/api/folders/ops/permissions", &items).await.expect(200);
    admin.delete(&format!("/api/org/users/{ann_id}")).await.expect(200);
    let removal = entry(&admin, "membership.removed").await;
    let mut said = steps(&preview(&admin, removal).await);
    assert_eq!(said.remove(0), format!("restore membership {ann_id}"));
    assert_eq!(preview(&admin, removal).await["steps"][0]["text"], "Restore membership “ann”");
    assert_eq!(said.len(), 2, "{said:?}");
    undo(&admin, removal).await.expect(200);
    save(&ann, "mine", "ops", 1).await;
    assert_eq!(admin.get(&format!("/api/teams/{team}")).await.expect(200).body["memberCount"], 2);

    admin.delete(&format!("/api/teams/{team}")).await.expect(200);
    let deletion = entry(&admin, "team.deleted").await;
    undo(&admin, deletion).await.expect(200);
    let listed = admin.get("/api/folders/ops/permissions").await.expect(200).body;
    assert!(listed.as_array().unwrap().iter().any(|item| item["teamId"] == team), "{listed}");

    // A deleted user is not restored, and a team gets no member from outside the org.
    admin.delete(&format!("/api/admin/users/{ann_id}")).await.expect(200);
    let plan = preview(&admin, entry(&admin, "membership.removed").await).await;
    assert!(steps(&plan).contains(&format!("impossible membership {ann_id}")), "{plan}");
    let detail = "1 of its members are omitted, because they have left the org";
    assert!(plan["steps"].to_string().contains(detail), "{plan}");
    unharmed(&server).await;
}

#[tokio::test]
async fn a_new_token_is_revoked_and_a_deleted_one_does_not_come_back() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let account = json!({"name": "ci", "role": "Viewer"});
    let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
    let tokens = format!("/api/serviceaccounts/{account}/tokens");
    let mut keys = Vec::new();
    let mut entries = Vec::new();
    for name in ["first", "second"] {
        let token = admin.post(&tokens, &json!({"name": name})).await.expect(200).body;
        keys.push(token["key"].as_str().unwrap().to_owned());
        entries.push(entry(&admin, "service_account.token_added").await);
    }
    let plan = preview(&admin, entries[0]).await;
    assert_eq!(plan["steps"][0]["text"], "Revoke the new token of service account “ci”");
    assert_eq!((&plan["steps"][0]["effect"], &plan["steps"][0]["laterCount"]), (&json!("revoke"), &json!(0)));
    undo(&admin, entries[0]).await.expect(200);
    server.client("api_key", &keys[0]).get("/api/folders").await.expect(401);
    server.client("api_key", &keys[1]).get("/api/folders").await.expect(200);
    let again = undo(&admin, entries[0]).await.expect(200).body;
    assert_eq!(again, json!({"message": "Nothing to undo", "changed": 0}));

    let deletion = entry(&admin, "service_account.token_deleted").await;
    let plan = preview(&admin, deletion).await;
    let said = "Cannot undo the change of service account “ci”: tokens are not stored: create another token";
    assert_eq!(plan["steps"][0]["text"], said);
    let refused = undo(&admin, deletion).await;
    refused.expect_message(400, "this cannot be undone: tokens are not stored: create another token");
}

#[tokio::test]
async fn what_took_the_place_of_something_is_left_alone() {
    let server = TestServer::start().await;
    let admin = server.admin();
    create_folder(&admin, "ops", "").await;
    save(&admin, "cpu", "ops", 1).await;
    save(&admin, "cpu", "ops", 2).await;
    let change = entry(&admin, "dashboard.updated").await;
    admin.delete("/api/folders/ops").await.expect(200);
    let deletion = entry(&admin, "folder.deleted").await;
    create_folder(&admin, "ops", "").await;
    save(&admin, "cpu", "", 7).await;
    let refused = undo(&admin, change).await;
    refused.expect_message(409, "dashboard “CPU”: another dashboard uses its uid");
    let plan = preview(&admin, deletion).await;
    assert_eq!(steps(&plan), ["nothing folder ops", "nothing dashboard cpu"]);
    undo(&admin, deletion).await.expect_message(200, "Nothing to undo");
    assert_eq!(admin.get("/api/dashboards/uid/cpu").await.expect(200).body["dashboard"]["n"], 7);
}

#[tokio::test]
async fn what_was_in_a_closed_folder_does_not_come_into_another_with_its_uid() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (edith, _) = server.new_member(1, "edith", "Editor").await;
    for uid in ["closed", "inner", "kept"] {
        create_folder(&admin, uid, if uid == "inner" { "closed" } else { "" }).await;
    }
    admin.post("/api/folders/closed/permissions", &json!({"items": []})).await.expect(200);
    for uid in ["lost", "moved", "trashed"] {
        save(&admin, uid, "closed", 1).await;
    }
    save(&admin, "moved", "kept", 2).await;
    admin.post("/api/folders/inner/move", &json!({"parentUid": "kept"})).await.expect(200);
    let folder_move = entry(&admin, "folder.moved").await;
    admin.delete("/api/dashboards/uid/trashed").await.expect(200);
    let trashing = entry(&admin, "dashboard.deleted").await;
    admin.delete("/api/folders/closed").await.expect(200);
    let deletion = entry(&admin, "folder.deleted").await;
    edith.post("/api/folders", &json!({"title": "Mine", "uid": "closed"})).await.expect(200);

    let gone = "its folder no longer exists, and “closed” is the uid of another folder";
    for change in [folder_move, trashing, deletion] {
        let plan = preview(&admin, change).await;
        let mut steps = plan["steps"].as_array().unwrap().iter();
        assert!(steps.any(|step| step["text"].as_str().unwrap().ends_with(gone)), "{plan}");
        let answer = undo(&admin, change).await.expect(400);
        assert!(answer.body["message"].as_str().unwrap().ends_with(gone), "{}", answer.text);
    }
    let first = json!({"version": 1});
    for path in ["/api/dashboards/uid/lost", "/api/folders/inner"] {
        admin.post(&format!("{path}/history/restore"), &first).await.expect_message(400, gone);
    }
    // It is restored to its current place.
    admin.post("/api/dashboards/uid/moved/history/restore", &first).await.expect(200);
    assert_eq!(edith.get("/api/search?folderUIDs=closed").await.expect(200).body, json!([]));

    // Its own folder can be restored once the other one is deleted.
    edith.delete("/api/folders/closed").await.expect(200);
    undo(&admin, deletion).await.expect(200);
    admin.get("/api/dashboards/uid/lost").await.expect(200);
    edith.get("/api/dashboards/uid/lost").await.expect(403);
    unharmed(&server).await;
}

#[tokio::test]
async fn who_may_not_do_it_by_hand_may_not_undo_it() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, _) = server.new_member(1, "eve", "Editor").await;
    let (ann, ann_id) = server.new_member(1, "ann", "Admin").await;
    save(&eve, "cpu", "", 1).await;
    let created = entry(&admin, "dashboard.created").await;
    eve.get(&format!("/api/audit/events/{created}/undo")).await.expect(403);
    undo(&eve, created).await.expect(403);
    eve.put("/api/user/preferences", &json!({"theme": "dark"})).await.expect(200);
    let preference = entry(&admin, "preference.changed").await;
    assert_eq!(preview(&ann, preference).await["refused"], true);
    undo(&ann, preference).await.expect(403);
    // The log of the server is for server admins.
    admin.put(&format!("/api/users/{ann_id}"), &json!({"login": "anna", "name": "Anna"})).await.expect(200);
    let log = admin.get("/api/admin/audit/events?action=user.profile_changed&limit=1").await.expect(200).body;
    let path = format!("/api/admin/audit/events/{}/undo", log["events"][0]["id"]);
    server.client("anna", "secret").get(&path).await.expect(403);
    admin.get(&path).await.expect(200);
    admin.post(&path, &json!({})).await.expect(200);
    ann.get("/api/user").await.expect(200);
    // An entry of another org cannot be found.
    let other = server.new_org("Other").await;
    let (olga, _) = server.new_member(other, "olga", "Admin").await;
    undo(&olga, created + 1000).await.expect(404);
    undo(&admin, created).await.expect(200);
    admin.get("/api/dashboards/uid/cpu").await.expect(404);
}

#[tokio::test]
async fn so_much_is_undone_at_once_and_no_more() {
    let server = TestServer::start().await;
    let admin = server.admin();
    create_folder(&admin, "big", "").await;
    save(&admin, "cpu", "big", 1).await;
    let fill = |from: i64, to: i64| {
        format!(
            "INSERT INTO events SELECT org_id, h.pos + n, 'star-' || n, 'star', 1, 'star.added', 1,
                h.last_at + n * interval '1 microsecond', actor_id, actor_login, 'bulk', 'bulk', meta,
                '{{\"user_id\":1,\"dashboard_uid\":\"cpu\",\"dashboard_id\":1}}', 0, ''
            FROM events e JOIN heads h USING (org_id), generate_series({from}, {to}) AS n
            WHERE e.org_id = 1 AND e.pos = 1"
        )
    };
    let head = server.database.scalar::<i64>("SELECT pos FROM heads WHERE org_id = 1").await;
    server.database.connect().await.batch_execute(&fill(1, 5000)).await.unwrap();
    let at = |position: i64| format!("/api/audit/events/{position}/undo");
    for position in [head + 1, head + 5000] {
        let plan = admin.get(&at(position)).await.expect(200).body;
        assert_eq!((&plan["count"], plan["steps"].as_array().unwrap().len()), (&json!(5000), 200));
    }
    server.database.connect().await.batch_execute(&fill(5001, 5001)).await.unwrap();
    for position in [head + 1, head + 2500, head + 5001] {
        admin.get(&at(position)).await.expect(413);
        admin.post(&at(position), &json!({})).await.expect(413);
    }
    let parts = [(head + 2, head + 5001, 5000), (head + 1, head + 1, 1), (head + 5002, head + 6000, 0)];
    for (from, to, count) in parts {
        let part = format!("{}?from={from}&to={to}", at(head + 1));
        assert_eq!(admin.get(&part).await.expect(200).body["count"], count);
    }
    admin.post(&format!("{}?from=all", at(head + 1)), &json!({})).await.expect(400);
}

#[tokio::test]
async fn a_later_change_under_the_same_ids_is_told() {
    let server = TestServer::start().await;
    let admin = server.admin();
    create_folder(&admin, "ops", "").await;
    let client = admin.clone().with_header("X-Request-Id", "mine").with_header("X-Correlation-Id", "mine");
    let head = server.database.scalar::<i64>("SELECT pos FROM heads WHERE org_id = 1").await;
    save(&client, "cpu", "ops", 1).await;
    save(&client, "cpu", "ops", 2).await;
    // As if many events lay between them.
    let apart = format!("UPDATE events SET pos = pos + 6000 WHERE org_id = 1 AND pos = {}", head + 2);
    server.database.connect().await.batch_execute(&apart).await.unwrap();
    let plan = admin.get(&format!("/api/audit/events/{}/undo", head + 1)).await.expect(200).body;
    assert_eq!((&plan["count"], &plan["steps"][0]["laterCount"]), (&json!(1), &json!(1)), "{plan}");
}

/// The responses of PostgreSQL to this many statements do not fit into the buffers of a socket.
#[tokio::test]
async fn a_large_folder_is_deleted_and_comes_back() {
    const COUNT: i64 = 2000;
    let server = TestServer::start().await;
    let admin = server.admin();
    create_folder(&admin, "big", "").await;
    let writers = (0..8).map(|writer| {
        let admin = admin.clone();
        tokio::spawn(async move {
            for number in (writer..COUNT).step_by(8) {
                save(&admin, &format!("d{number}"), "big", 1).await;
                let editors_view = json!({"items": [{"role": "Editor", "permission": 1}]});
                let path = format!("/api/dashboards/uid/d{number}/permissions");
                admin.post(&path, &editors_view).await.expect(200);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let list = "/api/dashboards/uid/d1/permissions";
    let permissions = admin.get(list).await.expect(200).body;
    admin.delete("/api/folders/big").await.expect(200);
    let deletion = entry(&admin, "folder.deleted").await;
    let plan = preview(&admin, deletion).await;
    assert_eq!((&plan["count"], &plan["changed"]), (&json!(COUNT + 1), &json!(COUNT + 1)));
    undo(&admin, deletion).await.expect(200);
    let counts = admin.get("/api/folders/big/counts").await.expect(200).body;
    assert_eq!(counts["dashboard"], COUNT);
    let restored = admin.get(list).await.expect(200).body;
    for (entry, before) in restored.as_array().unwrap().iter().zip(permissions.as_array().unwrap()) {
        for member in ["role", "userId", "permission", "inherited"] {
            assert_eq!(entry[member], before[member], "{restored}");
        }
    }
    assert_eq!(restored[0]["inherited"], false, "{restored}");
    unharmed(&server).await;
}

#[tokio::test]
async fn so_many_later_changes_are_named_and_no_more() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, _) = server.new_member(1, "ann", "Editor").await;
    let apply = admin.clone().with_header("X-Correlation-Id", "apply-8");
    for number in 1..=21 {
        save(&admin, &format!("d{number}"), "", 1).await;
        save(&apply, &format!("d{number}"), "", 2).await;
        for later in 3..=12 {
            save(&ann, &format!("d{number}"), "", later).await;
        }
        let last = admin.get("/api/audit/events?action=dashboard.updated&actor=admin&limit=1").await;
        let plan = preview(&admin, last.expect(200).body["events"][0]["id"].as_i64().unwrap()).await;
        let steps = plan["steps"].as_array().unwrap();
        let named: usize = steps.iter().map(|step| step["later"].as_array().unwrap().len()).sum();
        assert_eq!(named, 200.min(10 * number), "{plan}");
    }
}
