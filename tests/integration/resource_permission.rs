//! Permissions of folders and dashboards through HTTP. Their effects are tested in `authorization.rs`.

use kymograph_server::verify::verify_database;
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

async fn new_folder(client: &Client, uid: &str, parent: &str) {
    let folder = json!({"title": uid, "uid": uid, "parentUid": parent});
    client.post("/api/folders", &folder).await.expect(200);
}

async fn save(client: &Client, uid: &str, folder: &str) {
    let save = json!({"dashboard": {"title": uid, "uid": uid}, "folderUid": folder, "overwrite": true});
    client.post("/api/dashboards/db", &save).await.expect(200);
}

/// The list of the older operation: the grantee, the level, and whether it is inherited.
async fn acl(client: &Client, path: &str) -> Vec<(String, i64, bool)> {
    let body = client.get(&format!("{path}/permissions")).await.expect(200).body;
    let text = |item: &Value, member: &str| item[member].as_str().unwrap_or_default().to_owned();
    let item = |item: &Value| {
        let who = ["userLogin", "team", "role"].map(|member| text(item, member)).concat();
        (who, item["permission"].as_i64().unwrap(), item["inherited"].as_bool().unwrap())
    };
    body.as_array().unwrap().iter().map(item).collect()
}

fn own(list: &[(&str, i64)]) -> Vec<(String, i64, bool)> {
    list.iter().map(|(who, level)| ((*who).to_owned(), *level, false)).collect()
}

async fn set(client: &Client, path: &str, level: &str) {
    client.post(&format!("/api/access-control/{path}"), &json!({"permission": level})).await.expect(200);
}

#[tokio::test]
async fn defaults_are_listed_until_a_list_is_set() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (editor, id) = server.new_member(1, "eva", "Editor").await;
    new_folder(&editor, "ops", "").await;
    new_folder(&editor, "inner", "ops").await;
    save(&editor, "cpu", "").await;
    let defaults = own(&[("eva", 4), ("Viewer", 1), ("Editor", 2)]);
    assert_eq!(acl(&admin, "/api/folders/ops").await, defaults);
    assert_eq!(acl(&admin, "/api/dashboards/uid/cpu").await, defaults);
    let inherited: Vec<_> = defaults.iter().map(|(who, level, _)| (who.clone(), *level, true)).collect();
    assert_eq!(acl(&admin, "/api/folders/inner").await, inherited);

    // The first change keeps the defaults.
    set(&admin, "folders/ops/builtInRoles/Viewer", "").await;
    assert_eq!(acl(&admin, "/api/folders/ops").await, own(&[("eva", 4), ("Editor", 2)]));
    let items = json!({"items": [{"role": "Viewer", "permission": 1}]});
    let path = "/api/dashboards/uid/cpu/permissions";
    admin.post(path, &items).await.expect_message(200, "Dashboard permissions updated");
    assert_eq!(acl(&admin, "/api/dashboards/uid/cpu").await, own(&[("Viewer", 1)]));

    // A change without an effect leaves the defaults in force, also for a user who creates it again.
    new_folder(&editor, "same", "").await;
    set(&admin, "folders/same/builtInRoles/Viewer", "View").await;
    admin.delete(&format!("/api/org/users/{id}")).await.expect(200);
    assert_eq!(acl(&admin, "/api/folders/same").await, own(&[("Viewer", 1), ("Editor", 2)]));
    assert_eq!(acl(&admin, "/api/folders/ops").await, own(&[("Editor", 2)]));
}

#[tokio::test]
async fn inherited_permissions_are_listed_as_such() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (_, user) = server.new_member(1, "vic", "Viewer").await;
    new_folder(&admin, "outer", "").await;
    new_folder(&admin, "inner", "outer").await;
    save(&admin, "cpu", "inner").await;
    let items = json!({"items": [{"userId": user, "permission": 2}, {"role": "Viewer", "permission": 1}]});
    admin
        .post("/api/folders/outer/permissions", &items)
        .await
        .expect_message(200, "Folder permissions updated");
    set(&admin, &format!("folders/inner/users/{user}"), "Admin").await;
    set(&admin, &format!("dashboards/cpu/users/{user}"), "View").await;
    let listed = acl(&admin, "/api/dashboards/uid/cpu").await;
    let expected = [("vic", 1, false), ("vic", 4, true), ("Viewer", 1, true)];
    assert_eq!(listed, expected.map(|(who, level, inherited)| (who.to_owned(), level, inherited)));
    // A higher own level hides the inherited one.
    set(&admin, &format!("dashboards/cpu/users/{user}"), "Admin").await;
    let listed = acl(&admin, "/api/dashboards/uid/cpu").await;
    assert_eq!(listed, [("vic".to_owned(), 4, false), ("Viewer".to_owned(), 1, true)]);

    // Sending the list back does not convert inherited permissions into own grants.
    let list = admin.get("/api/dashboards/uid/cpu/permissions").await.expect(200).body;
    assert_eq!((&list[0]["uid"], &list[0]["isFolder"]), (&json!("cpu"), &json!(false)));
    admin.post("/api/dashboards/uid/cpu/permissions", &json!({"items": list})).await.expect(200);
    set(&admin, "folders/outer/builtInRoles/Viewer", "").await;
    assert_eq!(acl(&admin, "/api/dashboards/uid/cpu").await, own(&[("vic", 4)]));

    let newer = admin.get("/api/access-control/dashboards/cpu").await.expect(200).body;
    let managed =
        |item: &Value| (item["permission"].clone(), item["isManaged"].clone(), item["isInherited"].clone());
    let listed: Vec<_> = newer.as_array().unwrap().iter().map(managed).collect();
    let admin_level = || json!("Admin");
    assert_eq!(
        listed,
        [
            (admin_level(), json!(true), json!(false)),
            (admin_level(), json!(false), json!(true)),
            (admin_level(), json!(false), json!(false)),
        ]
    );
    assert_eq!(
        (&newer[0]["userLogin"], &newer[0]["roleName"]),
        (&json!("vic"), &json!(format!("managed:users:{user}:permissions")))
    );
    assert_eq!(newer[2]["builtInRole"], "Admin");
    assert!(newer[0]["actions"].as_array().unwrap().contains(&json!("dashboards.permissions:write")));
}

#[tokio::test]
async fn who_reads_appends_and_writes_back_loses_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (vic, user) = server.new_member(1, "vic", "None").await;
    let team = admin.post("/api/teams", &json!({"name": "Ops"})).await.expect(200).body["teamId"].clone();
    new_folder(&admin, "outer", "").await;
    new_folder(&admin, "inner", "outer").await;
    let outer = json!({"items": [{"teamId": team, "permission": 4}, {"role": "Viewer", "permission": 2}]});
    admin.post("/api/folders/outer/permissions", &outer).await.expect(200);
    let inner = json!({"items": [{"role": "Viewer", "permission": 1}, {"role": "Editor", "permission": 2}]});
    admin.post("/api/folders/inner/permissions", &inner).await.expect(200);
    let path = "/api/folders/inner/permissions";
    let levels = |list: &[(String, i64, bool)]| -> std::collections::BTreeMap<String, i64> {
        let mut levels = std::collections::BTreeMap::new();
        for (who, level, _) in list {
            let highest = levels.entry(who.clone()).or_insert(*level);
            *highest = (*highest).max(*level);
        }
        levels
    };
    let before = levels(&acl(&admin, "/api/folders/inner").await);
    assert_eq!(before.len(), 3);
    // Members of an item that Go's client has; it sends inherited items like those that are granted here.
    let known = |item: &Value| json!({"permission": item["permission"], "role": item["role"], "teamId": item["teamId"], "userId": item["userId"]});
    for is_verbatim in [true, false] {
        let list = admin.get(path).await.expect(200).body;
        let mut items: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|item| if is_verbatim { item.clone() } else { known(item) })
            .collect();
        items.push(json!({"userId": user, "permission": 1}));
        items.push(json!({"userId": user, "permission": 1}));
        admin.post(path, &json!({"items": items})).await.expect(200);
        let mut expected = before.clone();
        expected.insert("vic".to_owned(), 1);
        assert_eq!(levels(&acl(&admin, "/api/folders/inner").await), expected, "{is_verbatim}");
    }
    vic.get("/api/folders/inner").await.expect(200);
    // The last item of a grantee counts, also if permissions are changed one by one.
    let twice = json!({"permissions": [
        {"userId": user, "permission": "Edit"}, {"userId": user, "permission": "View"},
    ]});
    admin.post("/api/access-control/folders/inner", &twice).await.expect(200);
    assert_eq!(levels(&acl(&admin, "/api/folders/inner").await)["vic"], 1);
}

#[tokio::test]
async fn several_are_set_at_once_and_others_stay() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let team = admin.post("/api/teams", &json!({"name": "Ops", "email": "o@x.org"})).await.expect(200).body;
    let account = json!({"name": "ci", "role": "None"});
    let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
    new_folder(&admin, "ops", "").await;
    let permissions = json!({"permissions": [
        {"teamId": team["teamId"], "permission": "Edit"},
        {"userId": account, "teamId": 0, "builtInRole": "", "permission": "View"},
        {"builtInRole": "Viewer", "permission": ""},
    ]});
    let path = "/api/access-control/folders/ops";
    admin.post(path, &permissions).await.expect_message(200, "Permissions updated");
    let list = admin.get(path).await.expect(200).body;
    let of = |member: &str, value: &Value| {
        list.as_array().unwrap().iter().find(|item| item[member] == *value).cloned().unwrap_or_default()
    };
    assert_eq!(of("teamId", &team["teamId"])["team"], "Ops");
    assert_eq!(of("userId", &account)["isServiceAccount"], true);
    assert_eq!(of("userLogin", &json!("admin"))["permission"], "Admin");
    assert_eq!(
        (of("builtInRole", &json!("Viewer")), of("builtInRole", &json!("Editor"))["permission"].clone()),
        (Value::Null, json!("Edit"))
    );

    let token = admin
        .post(&format!("/api/serviceaccounts/{account}/tokens"), &json!({"name": "t"}))
        .await
        .expect(200)
        .body;
    let client = server.client("api_key", token["key"].as_str().unwrap());
    assert_eq!(client.get("/api/folders").await.expect(200).body[0]["uid"], "ops");
    assert_eq!(client.get("/api/folders/ops").await.expect(200).body["canSave"], false);
}

#[tokio::test]
async fn who_is_no_more_has_no_rights_and_gets_none_back() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, leaver) = server.new_member(1, "leaver", "None").await;
    let (_, deleted) = server.new_member(1, "deleted", "None").await;
    let team = admin.post("/api/teams", &json!({"name": "Ops"})).await.expect(200).body["teamId"].clone();
    let account = json!({"name": "ci", "role": "None"});
    let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
    save(&admin, "cpu", "").await;
    let items = json!([
        {"userId": leaver, "permission": 1}, {"userId": deleted, "permission": 1},
        {"userId": account, "permission": 1}, {"teamId": team, "permission": 1},
    ]);
    admin.post("/api/dashboards/uid/cpu/permissions", &json!({"items": items})).await.expect(200);
    viewer.get("/api/dashboards/uid/cpu").await.expect(200);
    admin.delete(&format!("/api/org/users/{leaver}")).await.expect(200);
    assert_eq!(acl(&admin, "/api/dashboards/uid/cpu").await.len(), 3);
    admin.delete(&format!("/api/admin/users/{deleted}")).await.expect(200);
    admin.delete(&format!("/api/serviceaccounts/{account}")).await.expect(200);
    admin.delete(&format!("/api/teams/{team}")).await.expect(200);
    assert_eq!(acl(&admin, "/api/dashboards/uid/cpu").await, own(&[]));

    let member = json!({"loginOrEmail": "leaver", "role": "None"});
    admin.post("/api/org/users", &member).await.expect(200);
    viewer.get("/api/dashboards/uid/cpu").await.expect(403);
    set(&admin, &format!("dashboards/cpu/users/{leaver}"), "View").await;
    viewer.get("/api/dashboards/uid/cpu").await.expect(200);
}

#[tokio::test]
async fn a_creator_who_left_and_came_back_is_none() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (editor, id) = server.new_member(1, "eva", "Editor").await;
    new_folder(&editor, "before", "").await;
    editor.get("/api/folders/before/permissions").await.expect(200);
    admin.delete(&format!("/api/org/users/{id}")).await.expect(200);
    admin.post("/api/org/users", &json!({"loginOrEmail": "eva", "role": "Editor"})).await.expect(200);
    editor.get("/api/folders/before/permissions").await.expect(403);
    new_folder(&editor, "after", "").await;
    editor.get("/api/folders/after/permissions").await.expect(200);
    let rights = editor.get("/api/access-control/user/permissions").await.expect(200).body;
    assert_eq!(rights["folders.permissions:read"], json!(["folders:uid:after"]));
}

#[tokio::test]
async fn what_is_created_again_starts_without_a_list() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, user) = server.new_member(1, "vic", "Viewer").await;
    for round in 0..2 {
        new_folder(&admin, "ops", "").await;
        save(&admin, "cpu", "ops").await;
        save(&admin, "ram", "").await;
        for path in ["/api/folders/ops", "/api/dashboards/uid/ram"] {
            viewer.get(path).await.expect(200);
            let list = own(&[("admin", 4), ("Viewer", 1), ("Editor", 2)]);
            assert_eq!(acl(&admin, path).await, list, "round {round}");
            admin.post(&format!("{path}/permissions"), &json!({"items": []})).await.expect(200);
            viewer.get(path).await.expect(403);
        }
        set(&admin, &format!("dashboards/cpu/users/{user}"), "View").await;
        viewer.get("/api/dashboards/uid/cpu").await.expect(200);
        admin.delete("/api/folders/ops").await.expect(200);
        admin.delete("/api/dashboards/uid/ram").await.expect(200);
    }
    // A dashboard in the trash keeps its access-control list, so that it is not restored as open to all members.
    for uid in ["cpu", "ram"] {
        admin.delete(&format!("/api/dashboards/uid/{uid}/trash")).await.expect(200);
    }
    let rows = "SELECT (SELECT count(*) FROM resource_grants) + (SELECT count(*) FROM resource_permissions)";
    assert_eq!(server.database.scalar::<i64>(rows).await, 0);
}

#[tokio::test]
async fn own_permissions_are_named_with_their_scopes() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, user) = server.new_member(1, "vic", "Viewer").await;
    for uid in ["open", "closed", "mine"] {
        new_folder(&admin, uid, "").await;
    }
    for uid in ["closed", "mine"] {
        admin.post(&format!("/api/folders/{uid}/permissions"), &json!({"items": []})).await.expect(200);
    }
    set(&admin, &format!("folders/mine/users/{user}"), "Edit").await;
    let path = "/api/access-control/user/permissions";
    let rights = viewer.get(path).await.expect(200).body;
    assert_eq!(rights["folders:read"], json!(["folders:uid:mine", "folders:uid:open"]));
    assert_eq!(
        (&rights["dashboards:create"], &rights["orgs:read"]),
        (&json!(["folders:uid:mine"]), &json!([""]))
    );
    assert_eq!((&rights["folders.permissions:read"], &rights["teams:read"]), (&json!(null), &json!(null)));
    let actions = viewer.get("/api/access-control/user/actions?reloadcache=true").await.expect(200).body;
    assert_eq!((&actions["folders:write"], &actions["teams:read"]), (&json!(true), &json!(null)));
    let rights = admin.get(path).await.expect(200).body;
    assert_eq!(
        (&rights["folders:write"], &rights["teams:write"]),
        (&json!(["folders:*"]), &json!(["teams:*"]))
    );
    let (nobody, _) = server.new_member(1, "nora", "None").await;
    assert_eq!(nobody.get(path).await.expect(200).body, json!({}));

    // The description is for users who could use it.
    for kind in ["folders", "dashboards"] {
        let path = format!("/api/access-control/{kind}/description");
        let description = admin.get(&path).await.expect(200).body;
        assert_eq!(description["permissions"], json!(["View", "Edit", "Admin"]));
        assert_eq!(description["assignments"]["builtInRoles"], true);
        viewer.get(&path).await.expect(403);
    }
    set(&admin, &format!("folders/mine/users/{user}"), "Admin").await;
    viewer.get("/api/access-control/dashboards/description").await.expect(200);
}

#[tokio::test]
async fn bad_input_is_told_clearly_and_changes_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin();
    new_folder(&admin, "ops", "").await;
    let before = acl(&admin, "/api/folders/ops").await;
    for (path, message) in [
        ("users/999", "user not found"),
        ("users/x", "userID is invalid"),
        ("teams/999", "team not found"),
        ("teams/x", "teamID is invalid"),
        ("builtInRoles/King", "built-in role [King] is not valid"),
        ("builtInRoles/None", "none role cannot receive permissions"),
    ] {
        let path = format!("/api/access-control/folders/ops/{path}");
        admin.post(&path, &json!({"permission": "View"})).await.expect_message(400, message);
    }
    let message = "Permission [Owner] is invalid for this resource type";
    let one = "/api/access-control/folders/ops/users/1";
    admin.post(one, &json!({"permission": "Owner"})).await.expect_message(400, message);
    for items in [
        json!([{"role": "Viewer"}]),
        json!([{"role": "Viewer", "permission": 3}]),
        json!([{"permission": 1}]),
        json!([{"role": "Viewer", "userId": 1, "permission": 1}]),
        json!([{"userId": 999, "permission": 1}]),
        json!({"role": "Viewer"}),
    ] {
        admin.post("/api/folders/ops/permissions", &json!({"items": items})).await.expect(400);
    }
    let many: Vec<_> = (1..=501).map(|id| json!({"userId": id, "permission": 1})).collect();
    admin.post("/api/folders/ops/permissions", &json!({"items": many})).await.expect(400);
    assert_eq!(acl(&admin, "/api/folders/ops").await, before);

    for path in [
        "/api/folders/gone/permissions",
        "/api/access-control/folders/gone",
        "/api/access-control/folders/a%20b",
    ] {
        admin.get(path).await.expect_message(404, "folder not found");
        admin.post(path, &json!({})).await.expect_message(404, "folder not found");
    }
    for path in ["/api/dashboards/uid/ops/permissions", "/api/access-control/dashboards/ops"] {
        admin.get(path).await.expect_message(404, "Dashboard not found");
        admin.post(path, &json!({})).await.expect_message(404, "Dashboard not found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_granted_when_two_are_at_it_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (_, user) = server.new_member(1, "vic", "Viewer").await;
    let granted = format!("SELECT count(*) FROM resource_grants WHERE grantee = 'user:{user}'");
    let listed = "SELECT count(*) FROM resource_permissions WHERE kind = 'dashboard'";
    let member = json!({"loginOrEmail": "vic", "role": "Viewer"});
    new_folder(&admin, "ops", "").await;
    for _ in 0..12 {
        save(&admin, "cpu", "ops").await;
        let grants = ["folders/ops", "dashboards/cpu"].map(|path| {
            let (admin, path) = (admin.clone(), format!("/api/access-control/{path}/users/{user}"));
            tokio::spawn(async move { admin.post(&path, &json!({"permission": "View"})).await.status })
        });
        admin.delete(&format!("/api/org/users/{user}")).await.expect(200);
        admin.delete("/api/dashboards/uid/cpu").await.expect(200);
        for grant in grants {
            assert!([200, 400, 404].contains(&grant.await.unwrap()));
        }
        admin.delete("/api/dashboards/uid/cpu/trash").await.expect(200);
        assert_eq!(server.database.scalar::<i64>(&granted).await, 0);
        assert_eq!(server.database.scalar::<i64>(listed).await, 0);
        admin.post("/api/org/users", &member).await.expect(200);
    }
    let report = verify_database(&server.database.config).await.unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
}

/// The part of the migration that determines the creators of existing objects, and the start of memberships.
#[tokio::test]
async fn creators_of_what_was_there_before_are_learnt_from_the_log() {
    let server = TestServer::start().await;
    let (editor, _) = server.new_member(1, "eva", "Editor").await;
    new_folder(&editor, "ops", "").await;
    save(&server.admin(), "cpu", "").await;
    server.admin().delete("/api/dashboards/uid/cpu").await.expect(200);
    save(&editor, "cpu", "").await;
    let migration = kymograph_migrations::MIGRATIONS
        .iter()
        .find(|migration| migration.name.ends_with("_resource_permission"))
        .unwrap();
    let (_, rest) = migration.sql.split_once("DO $$").unwrap();
    let (learn, _) = rest.split_once("$$;").unwrap();
    let client = server.database.connect().await;
    client
        .batch_execute("UPDATE folders SET creator_id = 0; UPDATE dashboards SET creator_id = 0; UPDATE user_orgs SET since = now()")
        .await
        .unwrap();
    client.batch_execute("SET ROLE kymograph_owner").await.unwrap();
    client.batch_execute(&format!("DO $${learn}$$")).await.unwrap();
    let report = verify_database(&server.database.config).await.unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
}
