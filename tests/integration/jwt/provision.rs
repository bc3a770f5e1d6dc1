//! Provisioning from claims: users, names, roles, memberships, server admins.

use kymograph_server::verify::verify_database;
use kymograph_tests::TestServer;
use serde_json::{Value, json};

use super::signer::{Signer, claims};
use super::{events, me, refused, server_trusting, with_token};

/// A token of a user with further claims. All tokens differ, so that none is cached.
fn token(signer: &Signer, login: &str, more: Value) -> String {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let mut claims = claims(login);
    claims["jti"] = json!(NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    claims["groups"] = json!([]);
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    signer.sign(&claims)
}

/// The orgs of the user of a token, with the roles there, by id.
async fn orgs(server: &TestServer, token: &str) -> Vec<(i64, String)> {
    let list = with_token(server, token).get("/api/user/orgs").await.expect(200).body;
    let entry = |org: &Value| (org["orgId"].as_i64().unwrap(), org["role"].as_str().unwrap().to_owned());
    let mut orgs: Vec<_> = list.as_array().unwrap().iter().map(entry).collect();
    orgs.sort();
    orgs
}

fn expected(orgs: &[(i64, &str)]) -> Vec<(i64, String)> {
    orgs.iter().map(|(org, role)| (*org, (*role).to_owned())).collect()
}

#[tokio::test]
async fn who_is_not_there_is_created_if_that_is_allowed() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    let ann = token(&signer, "ann", json!({}));
    assert_eq!(orgs(&server, &ann).await, expected(&[(1, "Viewer")]));
    // Her password is unknown.
    for guess in ["", "ann", "admin"] {
        server.client("ann", guess).get("/api/user").await.expect(401);
    }
    server.admin().get("/api/users/lookup?loginOrEmail=ann@example.org").await.expect(200);

    let closed = server_trusting(&signer, &["auto_sign_up=false"]).await;
    let stranger =
        with_token(&closed, &ann).get("/api/user").await.expect_message(401, "Sign up is disabled");
    assert_eq!(stranger.body["messageId"], "user.sync.signup-disabled");
    closed.new_member(1, "ann", "Editor").await;
    assert_eq!(orgs(&closed, &ann).await, expected(&[(1, "Editor")]));
}

#[tokio::test]
async fn a_user_is_created_once_whoever_comes_first() {
    let signer = Signer::p256("a");
    let server = std::sync::Arc::new(server_trusting(&signer, &[]).await);
    let tokens: Vec<_> = (0..12).map(|_| token(&signer, "ann", json!({}))).collect();
    let requests: Vec<_> = tokens
        .into_iter()
        .map(|token| {
            let server = server.clone();
            tokio::spawn(async move { me(&server, &token).await["id"].as_i64().unwrap() })
        })
        .collect();
    let mut ids = Vec::new();
    for request in requests {
        ids.push(request.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn users_are_found_by_login_and_address_and_follow_the_token() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    let (_, id) = server.new_member(1, "ann", "Viewer").await;
    let update = json!({"login": "ann", "email": "old@example.org", "name": "Ann"});
    server.admin().put(&format!("/api/users/{id}"), &update).await.expect(200);
    // Matched by the login; the address and the name are updated.
    let user = me(&server, &token(&signer, "ann", json!({}))).await;
    assert_eq!(
        (&user["id"], &user["email"], &user["name"]),
        (&json!(id), &json!("ann@example.org"), &json!("ann Example"))
    );
    // Matched by the address; the login is updated.
    let renamed = json!({"email": "ANN@example.org"});
    let user = me(&server, &token(&signer, "anna", renamed)).await;
    assert_eq!((&user["id"], &user["login"]), (&json!(id), &json!("anna")));
    // A token that changes nothing writes no event.
    let before = events(&server).await;
    me(&server, &token(&signer, "anna", json!({"email": "ANN@example.org"}))).await;
    assert_eq!(events(&server).await, before);
}

#[tokio::test]
async fn claims_of_two_users_are_refused_and_no_text_passes_for_an_address() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    me(&server, &token(&signer, "ann", json!({}))).await;
    me(&server, &token(&signer, "ben", json!({}))).await;
    let both = token(&signer, "ann", json!({"email": "ben@example.org"}));
    refused(with_token(&server, &both).get("/api/user").await);
    // The address `admin` would be the login of the server admin.
    let admin = token(&signer, "eve", json!({"email": "admin"}));
    assert_eq!(me(&server, &admin).await["login"], "eve");
    let unverified = token(&signer, "eve", json!({"email": "ben@example.org", "email_verified": false}));
    assert_eq!(me(&server, &unverified).await["email"], "eve");
}

#[tokio::test]
async fn roles_follow_the_token_and_the_last_admin_stays() {
    let signer = Signer::p256("a");
    let path = "role_attribute_path=contains(groups[*], 'admins') && 'Admin' || role";
    let server = server_trusting(&signer, &[path]).await;
    let second = server.new_org("Second").await;
    let token = |role: Value| token(&signer, "ann", role);
    assert_eq!(orgs(&server, &token(json!({"role": "Editor"}))).await, expected(&[(1, "Editor")]));
    assert_eq!(orgs(&server, &token(json!({"groups": ["admins"]}))).await, expected(&[(1, "Admin")]));
    // Without a valid role the default one applies.
    for role in ["admin", "", "Boss"] {
        assert_eq!(orgs(&server, &token(json!({"role": role}))).await, expected(&[(1, "Viewer")]), "{role}");
    }
    assert_eq!(orgs(&server, &token(json!({"role": "None"}))).await, expected(&[(1, "None")]));
    // A membership that the token does not contain ends.
    let member = json!({"loginOrEmail": "ann", "role": "Editor"});
    server.admin().post(&format!("/api/orgs/{second}/users"), &member).await.expect(200);
    assert_eq!(orgs(&server, &token(json!({"role": "Viewer"}))).await, expected(&[(1, "Viewer")]));
    // Except for that of the last admin, who remains one and can log in.
    let admin = |role: &str| {
        super::provision::token(&signer, "admin", json!({"role": role, "email": "admin@localhost"}))
    };
    assert_eq!(orgs(&server, &admin("Viewer")).await, expected(&[(1, "Admin"), (second, "Admin")]));
    // A manual change applies at once, until the next token.
    let viewer = token(json!({"role": "Editor"}));
    let id = me(&server, &viewer).await["id"].clone();
    server.admin().patch(&format!("/api/org/users/{id}"), &json!({"role": "Viewer"})).await.expect(200);
    with_token(&server, &viewer).post("/api/folders", &json!({"title": "A"})).await.expect(403);
    with_token(&server, &token(json!({"role": "Editor"})))
        .post("/api/folders", &json!({"title": "A"}))
        .await
        .expect(200);
}

#[tokio::test]
async fn strict_roles_refuse_whoever_has_none() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &["role_attribute_path=role", "role_attribute_strict=true"]).await;
    let nobody =
        with_token(&server, &token(&signer, "ann", json!({"role": "Boss"}))).get("/api/folders").await;
    assert_eq!(nobody.expect_message(403, "Invalid Role in claim").body["messageId"], "jwt.invalid_role");
    let found: i64 = server.database.scalar("SELECT count(*) FROM users WHERE login = 'ann'").await;
    assert_eq!(found, 0);
    assert_eq!(
        orgs(&server, &token(&signer, "ann", json!({"role": "Viewer"}))).await,
        expected(&[(1, "Viewer")])
    );
}

#[tokio::test]
async fn roles_are_left_alone_where_nothing_says_otherwise() {
    let signer = Signer::p256("a");
    for settings in [&[][..], &["role_attribute_path=role", "skip_org_role_sync=true"]] {
        let server = server_trusting(&signer, settings).await;
        server.new_member(1, "ann", "Editor").await;
        let second = server.new_org("Second").await;
        let member = json!({"loginOrEmail": "ann", "role": "Admin"});
        server.admin().post(&format!("/api/orgs/{second}/users"), &member).await.expect(200);
        let token = token(&signer, "ann", json!({"role": "Viewer"}));
        assert_eq!(orgs(&server, &token).await, expected(&[(1, "Editor"), (second, "Admin")]));
    }
}

#[tokio::test]
async fn groups_are_members_of_the_orgs_that_they_are_mapped_to() {
    let signer = Signer::p256("a");
    let mapping =
        r#"org_mapping="ops:Second Org:Editor", ops:1:Viewer, guests:1, *:3:None, ops:No such org:Admin"#;
    let paths = [
        "org_attribute_path=realm.groups",
        "role_attribute_path=role",
        &mapping.replace("ops:No such org:Admin", r#""ops:No such org:Admin""#),
    ];
    let server = server_trusting(&signer, &paths).await;
    assert_eq!((server.new_org("Second Org").await, server.new_org("Third").await), (2, 3));
    let token = |more: Value| token(&signer, "ann", more);
    let groups = |groups: &[&str]| json!({"realm": {"groups": groups}});
    assert_eq!(
        orgs(&server, &token(groups(&["ops"]))).await,
        expected(&[(1, "Viewer"), (2, "Editor"), (3, "None")])
    );
    assert_eq!(
        orgs(&server, &token(groups(&["guests", "x"]))).await,
        expected(&[(1, "Viewer"), (3, "None")])
    );
    assert_eq!(orgs(&server, &token(groups(&[]))).await, expected(&[(3, "None")]));
    // A role in the token raises all of them.
    let editor = json!({"realm": {"groups": ["ops"]}, "role": "Editor"});
    assert_eq!(orgs(&server, &token(editor)).await, expected(&[(1, "Editor"), (2, "Editor"), (3, "Editor")]));
}

#[tokio::test]
async fn all_orgs_are_a_hundred_at_most() {
    let signer = Signer::p256("a");
    let settings = ["org_attribute_path=groups", "org_mapping=ops:*:Viewer"];
    let server = server_trusting(&signer, &settings).await;
    for number in 2..=100 {
        server.new_org(&format!("Org {number}")).await;
    }
    let ops = || token(&signer, "ann", json!({"groups": ["ops"]}));
    assert_eq!(orgs(&server, &ops()).await.len(), 100);
    server.new_org("Org 101").await;
    assert_eq!(orgs(&server, &ops()).await.len(), 100, "what is too much is left alone");
}

#[tokio::test]
async fn server_admins_are_made_by_tokens_only_where_that_is_allowed() {
    let signer = Signer::p256("a");
    let role = "role_attribute_path=role";
    let is_admin = async |server: &TestServer, login: &str, role: &str| {
        let token = token(&signer, login, json!({"role": role}));
        me(server, &token).await["isGrafanaAdmin"].as_bool().unwrap()
    };
    let server = server_trusting(&signer, &[role]).await;
    assert!(!is_admin(&server, "ann", "GrafanaAdmin").await);
    let ann = token(&signer, "ann", json!({"role": "GrafanaAdmin"}));
    assert_eq!(orgs(&server, &ann).await, expected(&[(1, "Admin")]));
    let server = server_trusting(&signer, &[role, "allow_assign_grafana_admin=true"]).await;
    assert!(!is_admin(&server, "ann", "Admin").await);
    assert!(is_admin(&server, "ann", "GrafanaAdmin").await);
    assert!(is_admin(&server, "ben", "GrafanaAdmin").await);
    assert!(!is_admin(&server, "ann", "Admin").await);
    // The last one remains.
    server.admin().put("/api/admin/users/1/permissions", &json!({"isGrafanaAdmin": false})).await.expect(200);
    assert!(is_admin(&server, "ben", "Viewer").await);
}

#[tokio::test]
async fn a_login_that_is_an_address_must_be_the_address_that_the_provider_vouches_for() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    let vic = json!({"login": "vic", "email": "vic@corp.test", "password": "secret"});
    server.admin().post("/api/admin/users", &vic).await.expect(200);
    for login in ["admin@localhost", "vic@corp.test", "vic\u{FF20}corp.test", "vic\u{FE6B}corp.test"] {
        for verified in [json!(false), json!("False"), json!(0), json!("no"), json!(null)] {
            let more = json!({"email": "eve@evil.test", "email_verified": verified});
            with_token(&server, &token(&signer, login, more)).get("/api/user").await.expect(401);
        }
        let user = me(&server, &token(&signer, login, json!({"email": "eve@evil.test"}))).await;
        assert_eq!(user["login"], "eve@evil.test");
    }
    server.admin().get("/api/user").await.expect(200);

    // A login used as the address must be verified, too.
    let server = server_trusting(&signer, &["email_claim="]).await;
    let unverified = json!({"email_verified": false});
    with_token(&server, &token(&signer, "admin@localhost", unverified)).get("/api/user").await.expect(401);
    let own = me(&server, &token(&signer, "ann@corp.test", json!({}))).await;
    assert_eq!((&own["login"], &own["email"]), (&json!("ann@corp.test"), &json!("ann@corp.test")));
}

/// Whether a user is not a server admin.
async fn is_ordinary(server: &TestServer, id: i64) -> bool {
    server.admin().get(&format!("/api/users/{id}")).await.expect(200).body["isGrafanaAdmin"] == json!(false)
}

#[tokio::test]
async fn nobody_waits_for_a_token_under_a_name_of_their_own_choice() {
    let signer = Signer::p256("a");
    let server =
        server_trusting(&signer, &["role_attribute_path=role", "allow_assign_grafana_admin=true"]).await;
    let plants = [
        vec![json!({"login": "boss"})],
        vec![json!({"login": "boss", "email": "boss"})],
        vec![json!({"email": "boss"}), json!({"login": "boss"}), json!({"email": "me@evil.test"})],
        vec![json!({"email": "boss@corp.test"})],
        vec![json!({"login": "boss", "email": "boss@corp.test"})],
    ];
    for (number, plant) in plants.into_iter().enumerate() {
        let text = |value: &Value| value.to_string().replace("boss", &format!("boss{number}"));
        let (mut mallory, id) = server.new_member(1, &format!("mallory{number}"), "Viewer").await;
        for change in &plant {
            let change: Value = serde_json::from_str(&text(change)).unwrap();
            mallory.put("/api/user", &change).await.expect(200);
            if let Some(login) = change["login"].as_str() {
                mallory = server.client(login, "secret");
            }
        }
        let boss = json!({"email": format!("boss{number}@corp.test"), "role": "GrafanaAdmin"});
        let boss = me(&server, &token(&signer, &format!("boss{number}"), boss)).await;
        assert_ne!(boss["id"], id, "{plant:?}");
        assert_eq!(boss["login"], format!("boss{number}"));
        assert_eq!(boss["email"], format!("boss{number}@corp.test"));
        assert_eq!(boss["isGrafanaAdmin"], true);
        assert!(is_ordinary(&server, id).await, "{plant:?}");
        server.client(&format!("boss{number}"), "secret").get("/api/user").await.expect(401);
    }
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn no_guest_waits_for_a_token() {
    let signer = Signer::p256("a");
    let server =
        server_trusting(&signer, &["role_attribute_path=role", "allow_assign_grafana_admin=true"]).await;
    for (invited, chosen) in [("guest@evil.test", "chief"), ("coo", "coo")] {
        let invite = json!({"loginOrEmail": invited, "role": "Viewer"});
        server.admin().post("/api/org/invites", &invite).await.expect(200);
        let code = server.admin().get("/api/org/invites").await.expect(200).body[0]["code"].clone();
        let form = json!({"inviteCode": code, "username": chosen, "password": "secret"});
        let guest = server.anonymous().post("/api/user/invite/complete", &form).await.expect(200).body;
        let guest = guest["id"].as_i64().unwrap();
        for (login, email) in [(chosen, format!("{chosen}@corp.test")), ("other", invited.to_owned())] {
            let token = token(&signer, login, json!({"email": email, "role": "GrafanaAdmin"}));
            assert_ne!(me(&server, &token).await["id"], guest);
        }
        assert!(is_ordinary(&server, guest).await);
    }
}

#[tokio::test]
async fn nobody_is_locked_out_by_a_claim() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    let (_, chief) = server.new_member(1, "chief", "Viewer").await;
    let org = server.new_org("Other").await;
    let (mallory, id) = server.new_member(org, "mallory", "Viewer").await;
    mallory.put("/api/user", &json!({"email": "chief@example.org"})).await.expect(200);
    let user = me(&server, &token(&signer, "chief", json!({}))).await;
    assert_eq!((&user["id"], &user["email"]), (&json!(chief), &json!("chief@example.org")));
    let mallory = server.admin().get(&format!("/api/users/{id}")).await.expect(200).body;
    assert_eq!(mallory["login"], "mallory");
    assert_ne!(mallory["email"], "chief@example.org");
    // Nor by two: the replacement of a claimed name cannot be taken in advance.
    let (eve, _) = server.new_member(org, "eve", "Viewer").await;
    eve.put("/api/user", &json!({"login": mallory["uid"]})).await.expect(200);
    server
        .client("mallory", "secret")
        .put("/api/user", &json!({"email": "new@example.org"}))
        .await
        .expect(200);
    let user = me(&server, &token(&signer, "chief", json!({"email": "new@example.org"}))).await;
    assert_eq!((&user["id"], &user["email"]), (&json!(chief), &json!("new@example.org")));
    // An address assigned by an admin stays with its user.
    let (_, other) = server.new_member(1, "other", "Viewer").await;
    let given = json!({"email": "given@example.org"});
    server.admin().put(&format!("/api/users/{other}"), &given).await.expect(200);
    refused(
        with_token(&server, &token(&signer, "chief", json!({"email": "given@example.org"})))
            .get("/api/user")
            .await,
    );
}

#[tokio::test]
async fn a_name_that_cannot_be_kept_keeps_nobody_out() {
    let signer = Signer::p256("a");
    let server = server_trusting(&signer, &[]).await;
    for name in ["\u{202E}Ann".to_owned(), "n".repeat(1000)] {
        let user = me(&server, &token(&signer, "ann", json!({"name": name}))).await;
        assert_eq!(user["name"], "");
    }
}
