//! Permissions on folders and dashboards, through HTTP.

use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

/// The permission levels, 0 for none.
const LEVELS: [i64; 4] = [0, 1, 2, 4];
const NAMES: [(i64, &str); 4] = [(0, ""), (1, "View"), (2, "Edit"), (4, "Admin")];

fn name(level: i64) -> &'static str {
    NAMES.iter().find(|(number, _)| *number == level).unwrap().1
}

async fn new_folder(admin: &Client, uid: &str, parent: &str) {
    let folder = json!({"title": uid, "uid": uid, "parentUid": parent});
    admin.post("/api/folders", &folder).await.expect(200);
}

async fn save(client: &Client, uid: &str, folder: &str) -> u16 {
    let save = json!({"dashboard": {"title": uid, "uid": uid}, "folderUid": folder, "overwrite": true});
    client.post("/api/dashboards/db", &save).await.status
}

/// Gives a folder or dashboard exactly these permissions.
async fn set_list(admin: &Client, path: &str, items: &Value) {
    admin.post(&format!("{path}/permissions"), &json!({"items": items})).await.expect(200);
}

async fn found(client: &Client, query: &str) -> Vec<String> {
    let hits = client.get(&format!("/api/search?{query}")).await.expect(200).body;
    hits.as_array().unwrap().iter().map(|hit| hit["uid"].as_str().unwrap().to_owned()).collect()
}

fn status(allowed: bool) -> u16 {
    if allowed { 200 } else { 403 }
}

/// Checks all operations on a folder by a client with this permission level.
async fn check_folder(client: &Client, uid: &str, level: i64, cell: &str) {
    let path = format!("/api/folders/{uid}");
    let read = client.get(&format!("{path}?accesscontrol=true")).await;
    assert_eq!(read.status, status(level >= 1), "{cell}: {}", read.text);
    if level >= 1 {
        let flags = ["canSave", "canEdit", "canDelete", "canAdmin"].map(|flag| read.body[flag].clone());
        let edit = json!(level >= 2);
        assert_eq!(flags, [edit.clone(), edit.clone(), edit, json!(level >= 4)], "{cell}");
        let can = |action: &str| read.body["accessControl"][action] == json!(true);
        let actions = ["folders:read", "dashboards:create", "folders.permissions:write"].map(can);
        assert_eq!(actions, [true, level >= 2, level >= 4], "{cell}");
    }
    assert_eq!(client.get(&format!("{path}/counts")).await.status, status(level >= 1), "{cell}");
    let listed = client.get(&format!("/api/folders?parentUid={uid}")).await;
    assert_eq!(listed.status, status(level >= 1), "{cell}");
    let change = json!({"title": uid, "overwrite": true});
    assert_eq!(client.put(&path, &change).await.status, status(level >= 2), "{cell}");
    let inner = json!({"title": "inner", "parentUid": uid});
    assert_eq!(client.post("/api/folders", &inner).await.status, status(level >= 2), "{cell}");
    assert_eq!(save(client, &format!("{uid}-new"), uid).await, status(level >= 2), "{cell}");
    assert_eq!(client.get(&format!("{path}/permissions")).await.status, status(level >= 4), "{cell}");
    // Removing a missing permission changes nothing, but requires the permission to do so.
    let revoke = format!("/api/access-control/folders/{uid}/users/1");
    let revoked = client.post(&revoke, &json!({"permission": ""})).await;
    assert_eq!(revoked.status, status(level >= 4), "{cell}: {}", revoked.text);
}

/// Checks all operations on a dashboard by a client with this permission level.
async fn check_dashboard(client: &Client, uid: &str, folder: &str, level: i64, cell: &str) {
    let path = format!("/api/dashboards/uid/{uid}");
    let read = client.get(&path).await;
    assert_eq!(read.status, status(level >= 1), "{cell}: {}", read.text);
    if level >= 1 {
        let flags = ["canSave", "canEdit", "canDelete", "canAdmin", "canStar"];
        let flags = flags.map(|flag| read.body["meta"][flag].clone());
        let edit = json!(level >= 2);
        assert_eq!(flags, [edit.clone(), edit.clone(), edit, json!(level >= 4), json!(true)], "{cell}");
    }
    for part in ["versions", "versions/1"] {
        assert_eq!(client.get(&format!("{path}/{part}")).await.status, status(level >= 2), "{cell} {part}");
    }
    let star = client.post(&format!("/api/user/stars/dashboard/uid/{uid}"), &json!({})).await;
    assert_eq!(star.status, status(level >= 1), "{cell}");
    let starred = client.get("/api/user/stars").await.expect(200).body;
    assert_eq!(starred.as_array().unwrap().contains(&json!(uid)), level >= 1, "{cell}");
    assert_eq!(save(client, uid, folder).await, status(level >= 2), "{cell}");
    let restored = client.post(&format!("{path}/restore"), &json!({"version": 1})).await;
    assert_eq!(restored.status, status(level >= 2), "{cell}");
    assert_eq!(client.get(&format!("{path}/permissions")).await.status, status(level >= 4), "{cell}");
    let of_one = format!("/api/access-control/dashboards/{uid}");
    assert_eq!(client.get(&of_one).await.status, status(level >= 4), "{cell}");
    let by_uid = format!("dashboardUIDs={uid}&type=dash-db");
    assert_eq!(found(client, &by_uid).await.len(), usize::from(level >= 1), "{cell}");
    let editable = found(client, &format!("{by_uid}&permission=Edit")).await;
    assert_eq!(editable.len(), usize::from(level >= 2), "{cell}");
    let deleted = client.delete(&path).await;
    assert_eq!(deleted.status, status(level >= 2), "{cell}: {}", deleted.text);
}

/// A member of each role, with a team of its own.
async fn members(server: &TestServer) -> Vec<(&'static str, Client, Value, Value)> {
    let admin = server.admin();
    let mut members = Vec::new();
    for role in ["None", "Viewer", "Editor", "Admin"] {
        let (client, user) = server.new_member(1, &format!("{role}-member"), role).await;
        let team = admin.post("/api/teams", &json!({"name": format!("{role} team")})).await.expect(200).body;
        let list = format!("/api/teams/{}/members", team["teamId"]);
        admin.post(&list, &json!({"userId": user})).await.expect(200);
        members.push((role, client, json!(user), team["teamId"].clone()));
    }
    members
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_grants_places_and_operations() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for (role, client, user, team) in members(&server).await {
        for (grantee, by) in [
            (json!({"userId": user}), "user"),
            (json!({"teamId": team}), "team"),
            (json!({"role": "Viewer"}), "role"),
        ] {
            for (place, level) in ["around", "folder", "dashboard"]
                .into_iter()
                .flat_map(|place| LEVELS.map(|level| (place, level)))
            {
                let cell = format!("{role}-{by}-{place}-{level}");
                let (outer, inner, dashboard) =
                    (format!("o-{cell}"), format!("i-{cell}"), format!("d-{cell}"));
                new_folder(&admin, &outer, "").await;
                new_folder(&admin, &inner, &outer).await;
                assert_eq!(save(&admin, &dashboard, &inner).await, 200);
                set_list(&admin, &format!("/api/folders/{outer}"), &json!([])).await;
                let mut item = grantee.clone();
                item["permission"] = json!(level);
                let items = if level == 0 { json!([]) } else { json!([item]) };
                let path = match place {
                    "around" => format!("/api/folders/{outer}"),
                    "folder" => format!("/api/folders/{inner}"),
                    _ => format!("/api/dashboards/uid/{dashboard}"),
                };
                set_list(&admin, &path, &items).await;
                let granted = if by == "role" && role == "None" { 0 } else { level };
                let granted = if role == "Admin" { 4 } else { granted };
                let on_folder = if place == "dashboard" && role != "Admin" { 0 } else { granted };
                let on_outer = if place == "around" || role == "Admin" { granted } else { 0 };
                check_folder(&client, &outer, on_outer, &format!("outer {cell}")).await;
                check_folder(&client, &inner, on_folder, &format!("inner {cell}")).await;
                check_dashboard(&client, &dashboard, &inner, granted, &cell).await;
                let deleted = client.delete(&format!("/api/folders/{outer}")).await;
                assert_eq!(deleted.status, status(on_outer >= 2), "{cell}");
                if on_outer < 2 {
                    admin.delete(&format!("/api/folders/{outer}")).await.expect(200);
                }
            }
        }
    }
}

#[tokio::test]
async fn without_a_list_the_role_decides_at_the_root() {
    let server = TestServer::start().await;
    let admin = server.admin();
    new_folder(&admin, "open", "").await;
    new_folder(&admin, "inside", "open").await;
    for uid in ["d-none", "d-viewer", "d-editor"] {
        assert_eq!(save(&admin, uid, "inside").await, 200);
        assert_eq!(save(&admin, &format!("{uid}-root"), "").await, 200);
    }
    for (role, level) in [("None", 0), ("Viewer", 1), ("Editor", 2)] {
        let (client, _) = server.new_member(1, &format!("{role}-member"), role).await;
        let uid = format!("d-{}", role.to_lowercase());
        check_folder(&client, "open", level, role).await;
        check_folder(&client, "inside", level, role).await;
        check_dashboard(&client, &uid, "inside", level, role).await;
        check_dashboard(&client, &format!("{uid}-root"), "", level, role).await;
        // At the root the role decides on creation.
        assert_eq!(save(&client, &format!("{role}-own"), "").await, status(level >= 2));
        let folder = client.post("/api/folders", &json!({"title": "own"})).await;
        assert_eq!(folder.status, status(level >= 2));
    }
}

#[tokio::test]
async fn who_creates_something_at_the_root_administers_it() {
    let server = TestServer::start().await;
    let (editor, id) = server.new_member(1, "eva", "Editor").await;
    new_folder(&editor, "mine", "").await;
    new_folder(&editor, "inside", "mine").await;
    assert_eq!(save(&editor, "cpu", "").await, 200);
    check_folder(&editor, "mine", 4, "mine").await;
    check_folder(&editor, "inside", 4, "inherited").await;
    // Also if the role alone is not sufficient any more.
    server.admin().patch(&format!("/api/org/users/{id}"), &json!({"role": "Viewer"})).await.expect(200);
    check_folder(&editor, "inside", 4, "as a viewer").await;
    assert_eq!(found(&editor, "permission=Edit&dashboardUIDs=cpu").await, ["cpu"]);
    check_dashboard(&editor, "cpu", "", 4, "own dashboard").await;
}

#[tokio::test]
async fn a_change_holds_from_the_next_request_on() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, user) = server.new_member(1, "vic", "None").await;
    let team = admin.post("/api/teams", &json!({"name": "Ops"})).await.expect(200).body["teamId"].clone();
    new_folder(&admin, "outer", "").await;
    new_folder(&admin, "inner", "outer").await;
    assert_eq!(save(&admin, "cpu", "inner").await, 200);
    let sees = async |expected: bool| {
        let read = viewer.get("/api/dashboards/uid/cpu").await;
        assert_eq!(read.status, status(expected), "{}", read.text);
        assert_eq!(found(&viewer, "type=dash-db").await.len(), usize::from(expected));
    };
    let grant = async |path: &str, level: &str| {
        let path = format!("/api/access-control/{path}");
        admin.post(&path, &json!({"permission": level})).await.expect(200);
    };
    sees(false).await;
    for path in [
        format!("dashboards/cpu/users/{user}"),
        format!("folders/inner/users/{user}"),
        format!("folders/outer/users/{user}"),
    ] {
        grant(&path, "View").await;
        sees(true).await;
        grant(&path, "").await;
        sees(false).await;
    }
    grant(&format!("folders/outer/teams/{team}"), "View").await;
    sees(false).await;
    let members = format!("/api/teams/{team}/members");
    admin.post(&members, &json!({"userId": user})).await.expect(200);
    sees(true).await;
    admin.delete(&format!("{members}/{user}")).await.expect(200);
    sees(false).await;
    admin.patch(&format!("/api/org/users/{user}"), &json!({"role": "Viewer"})).await.expect(200);
    sees(true).await;
    // An object that was changed has a list, now an empty one; without the parent folder no permission is left.
    admin.post("/api/folders/inner/move", &json!({"parentUid": ""})).await.expect(200);
    sees(false).await;
    admin.post("/api/folders/inner/move", &json!({"parentUid": "outer"})).await.expect(200);
    sees(true).await;
    set_list(&admin, "/api/folders/outer", &json!([])).await;
    sees(false).await;
    // An object without a list is open at the root, and inherits from its parent folders elsewhere.
    admin.delete("/api/dashboards/uid/cpu").await.expect(200);
    for (folder, expected) in [("", true), ("outer", false), ("", true)] {
        assert_eq!(save(&admin, "cpu", folder).await, 200);
        sees(expected).await;
    }
}

#[tokio::test]
async fn a_warm_read_asks_no_database() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, user) = server.new_member(1, "vic", "None").await;
    new_folder(&admin, "outer", "").await;
    new_folder(&admin, "inner", "outer").await;
    assert_eq!(save(&admin, "cpu", "inner").await, 200);
    set_list(&admin, "/api/folders/outer", &json!([{"userId": user, "permission": 1}])).await;
    viewer.get("/api/dashboards/uid/cpu").await.expect(200);
    let client = server.database.connect().await;
    for table in ["folders", "dashboards", "resource_permissions", "resource_grants", "team_members", "stars"]
    {
        client.batch_execute(&format!("ALTER TABLE {table} RENAME TO {table}_gone")).await.unwrap();
    }
    viewer.get("/api/dashboards/uid/cpu").await.expect(200);
}

/// A tree with some permissions granted, and the objects that each reader finds in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_agree_with_reads_on_every_page() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let members = members(&server).await;
    let mut uids = Vec::new();
    for number in 0..24_usize {
        let uid = format!("f{number:02}");
        let parent = if number % 3 == 0 { String::new() } else { format!("f{:02}", number - 1) };
        new_folder(&admin, &uid, &parent).await;
        // Some have no list, some an empty one, and some a grant to one of the readers.
        let (_, _, user, team) = &members[number % 3];
        let items = match number % 8 {
            0 | 5 => json!([]),
            1 => json!([{"userId": user, "permission": 1}]),
            3 => json!([{"teamId": team, "permission": 2}]),
            6 => json!([{"role": "Viewer", "permission": 2}]),
            _ => Value::Null,
        };
        if !items.is_null() {
            set_list(&admin, &format!("/api/folders/{uid}"), &items).await;
        }
        for (dashboard, folder) in [(format!("d{number:02}"), &uid[..]), (format!("r{number:02}"), "")] {
            let tags = json!({"title": dashboard, "uid": dashboard, "tags": ["all"]});
            let body = json!({"dashboard": tags, "folderUid": folder});
            admin.post("/api/dashboards/db", &body).await.expect(200);
            if number % 5 == 0 {
                let items = json!([{"userId": user, "permission": 4}]);
                set_list(&admin, &format!("/api/dashboards/uid/{dashboard}"), &items).await;
            }
            uids.push(dashboard);
        }
    }
    for (role, client, _, _) in &members {
        let mut visible = Vec::new();
        let mut editable = Vec::new();
        for uid in &uids {
            let read = client.get(&format!("/api/dashboards/uid/{uid}")).await;
            if read.status == 200 {
                visible.push(uid.clone());
            }
            if read.body["meta"]["canSave"] == json!(true) {
                editable.push(uid.clone());
            }
        }
        visible.sort();
        editable.sort();
        assert_eq!(found(client, "type=dash-db").await, visible, "{role}");
        assert_eq!(found(client, "type=dash-db&permission=Edit").await, editable, "{role}");
        let mut paged = Vec::new();
        for page in 1.. {
            let hits = found(client, &format!("type=dash-db&limit=7&page={page}")).await;
            let is_last = hits.len() < 7;
            paged.extend(hits);
            if is_last {
                break;
            }
        }
        assert_eq!(paged, visible, "{role}");
        let tags = client.get("/api/dashboards/tags").await.expect(200).body;
        assert_eq!(tags[0]["count"].as_u64().unwrap_or_default(), visible.len() as u64, "{role}");
        check_folder_lists(client, role).await;
    }
    // The tree shows different objects to different readers.
    assert_eq!(found(&members[3].1, "type=dash-db").await.len(), uids.len());
    assert!(
        found(&members[0].1, "type=dash-db").await.len() < found(&members[1].1, "type=dash-db").await.len()
    );
}

async fn check_folder_lists(client: &Client, role: &str) {
    let mut visible = Vec::new();
    for number in 0..24 {
        let uid = format!("f{number:02}");
        if client.get(&format!("/api/folders/{uid}")).await.status == 200 {
            visible.push(uid);
        }
    }
    assert_eq!(found(client, "type=dash-folder").await, visible, "{role}");
    let root: Vec<_> = (0..24).step_by(3).map(|number| format!("f{number:02}")).collect();
    let root: Vec<_> = root.into_iter().filter(|uid| visible.contains(uid)).collect();
    let mut listed = Vec::new();
    for page in 1..=3 {
        let body = client.get(&format!("/api/folders?limit=3&page={page}")).await.expect(200).body;
        listed
            .extend(body.as_array().unwrap().iter().map(|folder| folder["uid"].as_str().unwrap().to_owned()));
    }
    assert_eq!(listed, root, "{role}");
}

#[tokio::test]
async fn orgs_with_the_same_uids_know_nothing_of_each_other() {
    let server = TestServer::start().await;
    let other = server.new_org("Other").await;
    let (here, there) = (server.admin(), server.admin().in_org(other));
    let (viewer, user) = server.new_member(1, "vic", "Viewer").await;
    let member = json!({"loginOrEmail": "vic", "role": "Viewer"});
    here.post(&format!("/api/orgs/{other}/users"), &member).await.expect(200);
    for admin in [&here, &there] {
        new_folder(admin, "ops", "").await;
        assert_eq!(save(admin, "cpu", "ops").await, 200);
        set_list(admin, "/api/folders/ops", &json!([])).await;
    }
    let viewer_there = viewer.clone().in_org(other);
    there
        .post(&format!("/api/access-control/folders/ops/users/{user}"), &json!({"permission": "Edit"}))
        .await
        .expect(200);
    for (client, level) in [(&viewer, 0), (&viewer_there, 2)] {
        check_folder(client, "ops", level, "ops").await;
        check_dashboard(client, "cpu", "ops", level, "cpu").await;
    }
    // A member of only this org sees nothing in the other, whatever is granted here.
    let (local, local_id) = server.new_member(1, "lea", "Viewer").await;
    here.post(&format!("/api/access-control/folders/ops/users/{local_id}"), &json!({"permission": "Admin"}))
        .await
        .expect(200);
    local.clone().in_org(other).get("/api/folders/ops").await.expect(401);
    there.get("/api/folders/ops").await.expect(200);
    there
        .post(&format!("/api/access-control/folders/ops/users/{local_id}"), &json!({"permission": "View"}))
        .await
        .expect_message(400, "user not found");
    let (outsider, _) = server.new_member(other, "olga", "Admin").await;
    here.post("/api/folders", &json!({"title": "only here", "uid": "only"})).await.expect(200);
    for path in ["/api/folders/only/permissions", "/api/access-control/folders/only"] {
        outsider.get(path).await.expect_message(404, "folder not found");
    }
}

#[tokio::test]
async fn of_folders_that_one_may_not_see_nothing_is_told() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (viewer, user) = server.new_member(1, "vic", "Viewer").await;
    new_folder(&admin, "secret", "").await;
    new_folder(&admin, "shared", "secret").await;
    assert_eq!(save(&admin, "cpu", "secret").await, 200);
    set_list(&admin, "/api/folders/secret", &json!([])).await;
    set_list(&admin, "/api/folders/shared", &json!([{"userId": user, "permission": 2}])).await;
    let read = viewer.get("/api/folders/shared").await.expect(200).body;
    assert_eq!(
        (&read["parents"][0]["uid"], &read["parents"][0]["title"]),
        (&json!("redacted"), &json!("redacted"))
    );
    assert_eq!(read["canSave"], true);
    viewer.get("/api/folders?parentUid=secret").await.expect(403);
    let id = admin.get("/api/folders/secret").await.expect(200).body["id"].clone();
    viewer.get(&format!("/api/folders/id/{id}")).await.expect(403);
    let denied = viewer.get("/api/dashboards/uid/cpu").await.expect(403);
    assert!(denied.body["message"].as_str().unwrap().contains("dashboards:read"), "{}", denied.text);
    // It can neither be moved into a folder without permission, nor out of it.
    viewer.post("/api/folders/shared/move", &json!({"parentUid": "secret"})).await.expect(200);
    viewer.post("/api/folders/shared/move", &json!({"parentUid": ""})).await.expect(403);
    assert_eq!(save(&viewer, "new", "secret").await, 403);
    // It cannot be a home dashboard either.
    let home = json!({"homeDashboardUID": "cpu"});
    viewer.put("/api/user/preferences", &home).await.expect_message(404, "Dashboard not found");
    admin.put("/api/org/preferences", &home).await.expect(200);
    assert_eq!(viewer.get("/api/dashboards/home").await.expect(200).body["redirectUri"], json!(null));
    assert!(admin.get("/api/dashboards/home").await.expect(200).body["redirectUri"].is_string());
}

#[tokio::test]
async fn a_server_admin_needs_a_role_to_see_what_an_org_has() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (root, id) = server.new_member(1, "root", "Viewer").await;
    let (boss, _) = server.new_member(server.new_org("Other").await, "boss", "Admin").await;
    for owner in [&admin, &boss] {
        new_folder(owner, "ops", "").await;
        set_list(owner, "/api/folders/ops", &json!([])).await;
    }
    root.get("/api/folders/ops").await.expect(403);
    let server_admin = json!({"isGrafanaAdmin": true});
    admin.put(&format!("/api/admin/users/{id}/permissions"), &server_admin).await.expect(200);
    check_folder(&root, "ops", 4, "as a member").await;
    let elsewhere = root.clone().in_org(2);
    check_folder(&elsewhere, "ops", 0, "elsewhere").await;
    assert_eq!(found(&elsewhere, "").await, Vec::<String>::new());
    elsewhere.get("/api/folders").await.expect(403);
    elsewhere.post("/api/folders", &json!({"title": "mine"})).await.expect(403);
}

#[tokio::test]
async fn levels_have_the_names_that_clients_know() {
    let server = TestServer::start().await;
    let admin = server.admin();
    new_folder(&admin, "ops", "").await;
    let (_, user) = server.new_member(1, "vic", "None").await;
    for level in LEVELS.into_iter().filter(|level| *level > 0) {
        let path = format!("/api/access-control/folders/ops/users/{user}");
        admin
            .post(&path, &json!({"permission": name(level)}))
            .await
            .expect_message(200, "Permission updated");
        let list = admin.get("/api/folders/ops/permissions").await.expect(200).body;
        let item = list.as_array().unwrap().iter().find(|item| item["userId"] == json!(user)).unwrap();
        assert_eq!((&item["permission"], &item["permissionName"]), (&json!(level), &json!(name(level))));
    }
}
