//! Invites through HTTP.

use kymograph_server::verify::verify_database;
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

async fn invite(client: &Client, email: &str) -> Value {
    let form = json!({"loginOrEmail": email, "name": "Ann", "role": "Editor", "sendEmail": true});
    let message = format!("Created invite for {email}");
    client.post("/api/org/invites", &form).await.expect_message(200, &message);
    let invites = client.get("/api/org/invites").await.expect(200).body;
    invites.as_array().unwrap().iter().find(|invite| invite["email"] == email).unwrap().clone()
}

fn completed(code: &str, login: &str) -> Value {
    json!({
        "inviteCode": code, "email": null, "name": "Ann", "username": login,
        "password": "secret", "confirmPassword": "secret",
    })
}

/// The path of the invite with a code, which needs no credentials.
fn info(code: &str) -> String {
    format!("/api/user/invite/{code}")
}

#[tokio::test]
async fn a_guest_becomes_a_member_once() {
    let server = TestServer::start().await;
    let (admin, anonymous) = (server.admin(), server.anonymous());
    let pending = invite(&admin, "ann@example.org").await;
    let code = pending["code"].as_str().unwrap();
    assert_eq!((&pending["role"], &pending["status"]), (&json!("Editor"), &json!("InvitePending")));
    assert_eq!((&pending["orgId"], &pending["invitedByLogin"]), (&json!(1), &json!("admin")));
    assert!(pending["url"].as_str().unwrap().ends_with(&format!("/invite/{code}")), "{pending}");

    let shown = anonymous.get(&info(code)).await.expect(200).body;
    let expected = json!({
        "email": "ann@example.org", "name": "Ann", "username": "ann@example.org", "invitedBy": "admin"
    });
    assert_eq!(shown, expected);
    let path = "/api/user/invite/complete";
    anonymous.post(path, &completed(code, "admin")).await.expect(412);
    let answer = anonymous.post(path, &completed(code, "ann")).await;
    let answer = answer.expect_message(200, "User created and logged in");
    assert!(answer.headers.contains_key("set-cookie"));

    let ann = server.client("ann", "secret");
    let user = ann.get("/api/user").await.expect(200).body;
    assert_eq!((&user["id"], &user["orgId"]), (&answer.body["id"], &json!(1)));
    assert_eq!(ann.get("/api/user/orgs").await.expect(200).body[0]["role"], "Editor");

    anonymous.post(path, &completed(code, "eve")).await.expect_message(404, "Invite not found");
    anonymous.get(&info(code)).await.expect(404);
    assert_eq!(admin.get("/api/org/invites").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn a_revoked_or_expired_invite_is_gone() {
    let server = TestServer::start().await;
    let (admin, anonymous) = (server.admin(), server.anonymous());
    let revoked = invite(&admin, "ann@example.org").await["code"].as_str().unwrap().to_owned();
    let path = format!("/api/org/invites/{revoked}/revoke");
    admin.delete(&path).await.expect_message(200, "Invite revoked");
    admin.delete(&path).await.expect_message(404, "Invite not found");
    let expired = invite(&admin, "bob@example.org").await["code"].as_str().unwrap().to_owned();
    let sql = "UPDATE invites SET expires_at = now() - interval '1 second'";
    server.database.connect().await.batch_execute(sql).await.unwrap();
    assert_eq!(admin.get("/api/org/invites").await.expect(200).body, json!([]));
    for code in [revoked, expired] {
        anonymous.get(&info(&code)).await.expect_message(404, "Invite not found");
        anonymous.post("/api/user/invite/complete", &completed(&code, "eve")).await.expect(404);
    }
}

#[tokio::test]
async fn who_has_an_account_becomes_a_member_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let acme = server.new_org("Acme").await;
    let (_, id) = server.new_member(1, "ann", "Viewer").await;
    let form = json!({"loginOrEmail": "ann", "role": "Editor"});
    let admin_of_acme = admin.clone().in_org(acme);
    let added = admin_of_acme.post("/api/org/invites", &form).await;
    let added = added.expect_message(200, "Existing Grafana user ann added to org Acme");
    assert_eq!(added.body["userId"], id);
    let again = admin_of_acme.post("/api/org/invites", &form).await;
    again.expect_message(412, "User ann is already added to organization");
    assert_eq!(admin_of_acme.get("/api/org/invites").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn a_code_is_a_secret_of_its_org() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let code = invite(&admin, "ann@example.org").await["code"].as_str().unwrap().to_owned();
    let other = server.new_org("Other").await;
    let (stranger, _) = server.new_member(other, "olga", "Admin").await;
    assert_eq!(stranger.get("/api/org/invites").await.expect(200).body, json!([]));
    stranger.delete(&format!("/api/org/invites/{code}/revoke")).await.expect(404);
    let (viewer, _) = server.new_member(1, "vic", "Viewer").await;
    viewer.get("/api/org/invites").await.expect(403);
    viewer.delete(&format!("/api/org/invites/{code}/revoke")).await.expect(403);

    let (place, random) = code.rsplit_once('-').unwrap();
    for wrong in [format!("{place}-"), format!("{place}-{}", "0".repeat(32)), format!("{other}-1-{random}")] {
        server.anonymous().get(&info(&wrong)).await.expect_message(404, "Invite not found");
    }
    let told: i64 = server
        .database
        .scalar(&format!("SELECT count(*) FROM events WHERE payload || meta LIKE '%{random}%'"))
        .await;
    assert_eq!(told, 0);
}

#[tokio::test]
async fn bad_input_is_told_clearly() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for form in [
        json!({"loginOrEmail": "ann@example.org", "role": "Boss"}),
        json!({"loginOrEmail": " ", "role": "Viewer"}),
        json!({"loginOrEmail": "x".repeat(1000), "role": "Viewer"}),
    ] {
        admin.post("/api/org/invites", &form).await.expect(400);
    }
    let form = json!({"loginOrEmail": "ann@example.org", "role": "Viewer"});
    admin.clone().in_org(999).post("/api/org/invites", &form).await.expect(404);
    let code = invite(&admin, "ann@example.org").await["code"].as_str().unwrap().to_owned();
    let complete = async |change: Value| {
        let mut form = completed(&code, "ann");
        form.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        server.anonymous().post("/api/user/invite/complete", &form).await
    };
    complete(json!({"confirmPassword": "other"})).await.expect_message(400, "Passwords do not match");
    complete(json!({"password": "x", "confirmPassword": null})).await.expect(400);
    complete(json!({"inviteCode": null})).await.expect_message(404, "Invite not found");
    // The invited e-mail address replaces omitted members.
    complete(json!({"username": null, "email": null}))
        .await
        .expect_message(200, "User created and logged in");
    server.client("ann@example.org", "secret").get("/api/user").await.expect(200);
}

#[tokio::test]
async fn an_invite_is_for_its_address() {
    let server = TestServer::start().await;
    let code = invite(&server.admin(), "ann@example.org").await["code"].as_str().unwrap().to_owned();
    let path = "/api/user/invite/complete";
    let mut form = completed(&code, "eve");
    for (login, email, status) in [
        ("eve", "eve@example.org", 400),
        ("eve", "admin@localhost", 400),
        ("vic@example.org", "ann@example.org", 400),
        ("admin@localhost", "ann@example.org", 412),
        ("ann", " Ann@Example.org ", 200),
    ] {
        form["username"] = json!(login);
        form["email"] = json!(email);
        server.anonymous().post(path, &form).await.expect(status);
    }
    let ann = server.client("ann@example.org", "secret").get("/api/user").await.expect(200).body;
    assert_eq!((&ann["login"], &ann["email"]), (&json!("ann"), &json!("ann@example.org")));
}

#[tokio::test]
async fn an_invite_ends_when_its_maker_may_not_invite_any_more() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (boss, boss_id) = server.new_member(1, "boss", "Admin").await;
    let member = format!("/api/orgs/1/users/{boss_id}");
    let complete = async |code: &str, status: u16| {
        server.anonymous().post("/api/user/invite/complete", &completed(code, "guest")).await.expect(status)
    };
    let code_of = async |email: &str| invite(&boss, email).await["code"].as_str().unwrap().to_owned();

    let code = code_of("one@example.org").await;
    admin.patch(&member, &json!({"role": "Editor"})).await.expect(200);
    assert_eq!(admin.get("/api/org/invites").await.expect(200).body, json!([]));
    server.anonymous().get(&info(&code)).await.expect(404);
    // It does not become valid again with the role.
    admin.patch(&member, &json!({"role": "Admin"})).await.expect(200);
    complete(&code, 404).await;

    let code = code_of("disabled@example.org").await;
    admin.post(&format!("/api/admin/users/{boss_id}/disable"), &json!({})).await.expect(200);
    complete(&code, 404).await;
    server.tidy().await;
    let left: i64 = server.database.scalar("SELECT count(*) FROM invites").await;
    assert_eq!(left, 0);
    admin.post(&format!("/api/admin/users/{boss_id}/enable"), &json!({})).await.expect(200);

    let code = code_of("two@example.org").await;
    admin.delete(&member).await.expect(200);
    complete(&code, 404).await;

    // A server admin may invite into any org, a service account into its own.
    let acme = server.new_org("Acme").await;
    let code = invite(&admin.clone().in_org(acme), "three@example.org").await["code"].clone();
    complete(code.as_str().unwrap(), 200).await;
    let account = json!({"name": "ci", "role": "Admin"});
    let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
    let tokens = format!("/api/serviceaccounts/{account}/tokens");
    let key = admin.post(&tokens, &json!({"name": "ci"})).await.expect(200).body["key"].clone();
    let robot = server.client("api_key", key.as_str().unwrap());
    let code = invite(&robot, "four@example.org").await["code"].as_str().unwrap().to_owned();
    let path = format!("/api/serviceaccounts/{account}");
    admin.patch(&path, &json!({"isDisabled": true})).await.expect(200);
    complete(&code, 404).await;
}

#[tokio::test]
async fn no_guest_comes_in_beside_the_removal_of_who_invited() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (boss, boss_id) = server.new_member(1, "boss", "Admin").await;
    let member = format!("/api/orgs/1/users/{boss_id}");
    for round in 0..5 {
        let email = format!("guest{round}@example.org");
        let code = invite(&boss, &email).await["code"].as_str().unwrap().to_owned();
        let form = completed(&code, &format!("guest{round}"));
        let (anonymous, demoted) = (server.anonymous(), json!({"role": "Viewer"}));
        let (accepted, _) =
            tokio::join!(anonymous.post("/api/user/invite/complete", &form), admin.patch(&member, &demoted),);
        assert!([200, 404].contains(&accepted.status), "{}", accepted.text);
        let order = "SELECT (SELECT max(pos) FROM events WHERE org_id = 1 AND type = 'invite.accepted')
            < (SELECT max(pos) FROM events WHERE org_id = 1 AND type = 'membership.role_changed')";
        if accepted.status == 200 {
            assert!(server.database.scalar::<bool>(order).await, "a guest came in after the demotion");
        }
        admin.patch(&member, &json!({"role": "Admin"})).await.expect(200);
    }
}

#[tokio::test]
async fn an_address_that_one_org_invited_gives_no_rights_in_another() {
    let server = TestServer::start().await;
    let (one, two) = (server.new_org("One").await, server.new_org("Two").await);
    let (ada, _) = server.new_member(one, "ada", "Admin").await;
    let (bea, _) = server.new_member(two, "bea", "Admin").await;
    let code = invite(&ada, "ceo@two.test").await["code"].as_str().unwrap().to_owned();
    let form = completed(&code, "puppet");
    server.anonymous().post("/api/user/invite/complete", &form).await.expect(200);
    let member = json!({"loginOrEmail": "ceo@two.test", "role": "Admin"});
    bea.post("/api/org/invites", &member).await.expect(400);
    bea.post("/api/org/users", &member).await.expect(400);
    // In the inviting org, the address is known.
    let team = ada.post("/api/teams", &json!({"name": "SRE"})).await.expect(200).body["teamId"].clone();
    let members = json!({"members": ["ceo@two.test"], "admins": []});
    ada.put(&format!("/api/teams/{team}/members"), &members).await.expect(200);
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn is_revoked_as_grafanas_pages_do_it() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let pending = invite(&admin, "ann@example.org").await;
    let revoke = format!("/api/org/invites/{}/revoke", pending["code"].as_str().unwrap());
    let (editor, _) = server.new_member(1, "editor", "Editor").await;
    editor.patch(&revoke, &json!({})).await.expect(403);
    admin.patch(&revoke, &json!({})).await.expect_message(200, "Invite revoked");
    admin.patch(&revoke, &json!({})).await.expect(404);
    assert_eq!(admin.get("/api/org/invites").await.expect(200).body, json!([]));
}

#[tokio::test]
async fn an_org_has_so_many_open_invites_and_no_more() {
    let server = TestServer::start().await;
    let admin = server.admin();
    invite(&admin, "ann@example.org").await;
    let copies = "INSERT INTO invites SELECT (i).* FROM (SELECT jsonb_populate_record(invites,
        jsonb_build_object('id', id + 10000 + n)) AS i FROM invites, generate_series(1, 998) AS n) AS copies";
    server.database.connect().await.batch_execute(copies).await.unwrap();
    invite(&admin, "bob@example.org").await;
    let form = json!({"loginOrEmail": "eve@example.org", "role": "Editor", "sendEmail": false});
    let refused = "an organization can have at most 1000 open invites: revoke some";
    admin.post("/api/org/invites", &form).await.expect_message(403, refused);
}
