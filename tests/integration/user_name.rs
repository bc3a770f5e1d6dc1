//! Logins and e-mail addresses share one namespace, with one case folding.

use kymograph_app::account::password::PasswordHasher;
use kymograph_infra::migrate::migrate;
use kymograph_infra::password::Argon2Hasher;
use kymograph_server::verify::verify_database;
use kymograph_tests::{Client, TestServer, master_keys};
use serde_json::json;

/// Creates a user with an address, and returns its client and id.
async fn new_user(server: &TestServer, login: &str, email: &str) -> (Client, i64) {
    let user = json!({"login": login, "email": email, "password": "secret", "OrgId": 1});
    let created = server.admin().post("/api/admin/users", &user).await.expect(200);
    (server.client(login, "secret"), created.body["id"].as_i64().unwrap())
}

#[tokio::test]
async fn nobody_gets_a_name_of_another_user() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (vic, _) = new_user(&server, "vic", "vic@corp.test").await;
    let (eve, eve_id) = new_user(&server, "eve", "eve@corp.test").await;
    let path = format!("/api/users/{eve_id}");
    for own in [json!({"login": "vic@corp.test"}), json!({"login": "VIC@corp.test"})] {
        let refused = "A login with @ must be the user's own e-mail address";
        eve.put("/api/user", &own).await.expect_message(400, refused);
        admin.put(&path, &own).await.expect_message(400, refused);
    }
    // The other way round: the address becomes the login or address of another user.
    for taken in ["vic", " Vic ", "vic@corp.test", "Vic@Corp.test"] {
        for change in [json!({"email": taken}), json!({"login": taken, "email": taken})] {
            eve.put("/api/user", &change).await.expect(409);
            admin.put(&path, &change).await.expect(409);
        }
    }
    eve.put("/api/user", &json!({"login": "Vic"})).await.expect(409);
    for user in
        [json!({"login": "vic@corp.test"}), json!({"email": "VIC"}), json!({"login": "x", "email": "vic"})]
    {
        let mut user = user;
        user["password"] = json!("secret");
        admin.post("/api/admin/users", &user).await.expect(412);
    }
    assert_eq!(vic.get("/api/user").await.expect(200).body["login"], "vic");
    let by_address = server.client("vic@corp.test", "secret").get("/api/user").await.expect(200);
    assert_eq!(by_address.body["login"], "vic");
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_race_for_a_name_has_one_winner() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, eve_id) = new_user(&server, "eve", "eve@corp.test").await;
    let (bob, _) = new_user(&server, "bob", "bob@corp.test").await;
    for round in 0..5 {
        let name = format!("vic{round}@corp.test");
        let claim = json!({"login": name, "email": name});
        let user = json!({"login": name, "password": "secret"});
        let edit = json!({"email": name});
        let path = format!("/api/users/{eve_id}");
        let (one, other, created, edited) = tokio::join!(
            eve.put("/api/user", &claim),
            bob.put("/api/user", &claim),
            admin.post("/api/admin/users", &user),
            admin.put(&path, &edit),
        );
        // Eve may win twice: both are her own names.
        let winners = [other.status, created.status, one.status.min(edited.status)];
        assert_eq!(winners.iter().filter(|status| **status == 200).count(), 1, "{winners:?}");
        for (client, login) in [(&eve, "eve"), (&bob, "bob")] {
            let back = json!({"login": login, "email": format!("{login}@corp.test")});
            // A winner is found only by the new login.
            let client = if client.get("/api/user").await.status == 200 {
                client.clone()
            } else {
                server.client(&name, "secret")
            };
            client.put("/api/user", &back).await.expect(200);
        }
    }
    let shared: i64 = server
        .database
        .scalar("SELECT count(*) FROM (SELECT FROM user_names GROUP BY name HAVING count(*) > 1) AS shared")
        .await;
    assert_eq!(shared, 0);
}

#[tokio::test]
async fn history_does_not_bring_back_a_name_that_another_user_has_by_now() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, id) = new_user(&server, "eve", "eve@corp.test").await;
    eve.put("/api/user", &json!({"login": "eva", "email": "eva@corp.test"})).await.expect(200);
    new_user(&server, "vic", "eve@corp.test").await;
    let path = format!("/api/users/{id}/history/restore");
    admin.post(&path, &json!({"version": 1})).await.expect(409);
}

#[tokio::test]
async fn history_does_not_make_a_claimed_address_a_confirmed_one() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (eve, id) = new_user(&server, "eve", "eve@corp.test").await;
    for email in ["vic@corp.test", "eve@corp.test"] {
        eve.put("/api/user", &json!({"email": email})).await.expect(200);
    }
    let path = format!("/api/users/{id}/history/restore");
    admin.post(&path, &json!({"version": 2})).await.expect(200);
    assert_eq!(eve.get("/api/user").await.expect(200).body["email"], "vic@corp.test");
    let acme = server.new_org("Acme").await;
    let member = json!({"loginOrEmail": "vic@corp.test", "role": "Admin"});
    admin.in_org(acme).post("/api/org/users", &member).await.expect(400);
}

#[tokio::test]
async fn a_claimed_address_gives_nobody_rights() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let admin = server.admin().in_org(acme);
    let (eve, id) = new_user(&server, "eve", "eve@corp.test").await;
    eve.put("/api/user", &json!({"email": "vic@corp.test"})).await.expect(200);
    let refused = "The user has not confirmed this e-mail address: use the login instead";
    let member = json!({"loginOrEmail": "Vic@corp.test", "role": "Admin"});
    admin.post("/api/org/users", &member).await.expect_message(400, refused);
    admin.post(&format!("/api/orgs/{acme}/users"), &member).await.expect_message(400, refused);
    admin.post("/api/org/invites", &member).await.expect_message(400, refused);
    let orgs = server.admin().get(&format!("/api/users/{id}/orgs")).await.expect(200).body;
    assert_eq!(orgs.as_array().unwrap().len(), 1);

    // In the same org, for a team.
    let team =
        server.admin().post("/api/teams", &json!({"name": "SRE"})).await.expect(200).body["teamId"].clone();
    let members = json!({"members": ["vic@corp.test"], "admins": []});
    server.admin().put(&format!("/api/teams/{team}/members"), &members).await.expect(404);

    // A login chosen by the user cannot be invited: the intended person may have no account yet.
    eve.put("/api/user", &json!({"login": "victor"})).await.expect(200);
    let chosen = "The user chose this login: add it to the organization instead of inviting it";
    let invited = json!({"loginOrEmail": "victor", "role": "Admin"});
    admin.post("/api/org/invites", &invited).await.expect_message(400, chosen);
    server.client("victor", "secret").put("/api/user", &json!({"login": "eve"})).await.expect(200);

    // A login refers to its user, and a server admin vouches for an address.
    admin.post("/api/org/users", &json!({"loginOrEmail": "eve", "role": "Viewer"})).await.expect(200);
    admin.delete(&format!("/api/orgs/{acme}/users/{id}")).await.expect(200);
    let vouched = json!({"email": "eve@new.test"});
    server.admin().put(&format!("/api/users/{id}"), &vouched).await.expect(200);
    let member = json!({"loginOrEmail": "eve@new.test", "role": "Viewer"});
    admin.post("/api/org/users", &member).await.expect(200);
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_login_that_is_the_address_follows_it() {
    let server = TestServer::start().await;
    let (ann, _) = new_user(&server, "ann@old.test", "ann@old.test").await;
    ann.put("/api/user", &json!({"email": "ann@new.test"})).await.expect(200);
    let user = server.client("ann@new.test", "secret").get("/api/user").await.expect(200).body;
    assert_eq!((&user["login"], &user["email"]), (&json!("ann@new.test"), &json!("ann@new.test")));
    // The cached credential ends with the name.
    ann.get("/api/user").await.expect(401);
}

#[tokio::test]
async fn names_are_folded_in_one_way() {
    let server = TestServer::start().await;
    for (login, typed) in [
        ("ΝΙΚΟΣ", ["ΝΙΚΟΣ", "νικος", "νικοσ"]),
        ("İrem", ["İrem", "i\u{307}rem", " İREM"]),
        (" spacy ", ["spacy", " spacy ", "SPACY"]),
        ("straße", ["STRASSE", "Straße", "strasse"]),
    ] {
        let (client, _) = new_user(&server, login, "").await;
        let stored = client.get("/api/user").await.expect(200).body["login"].clone();
        assert_eq!(stored, login.trim());
        for typed in typed {
            server.client(typed, "secret").get("/api/user").await.expect(200);
            let user = json!({"login": typed, "password": "secret"});
            server.admin().post("/api/admin/users", &user).await.expect(412);
        }
        let found = format!("/api/users/lookup?loginOrEmail={}", typed[1]);
        assert_eq!(server.admin().get(&found).await.expect(200).body["login"], stored);
        let audited = format!("/api/audit/events?actor={}", typed[1]);
        server.admin().get(&audited).await.expect(200);
    }
}

#[tokio::test]
async fn hidden_characters_are_refused_in_names() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (ann, id) = new_user(&server, "ann", "").await;
    for hidden in ["a\u{200B}b", "a\u{202E}b", "a\u{7}b", "a\nb", "\u{FEFF}a", "a\u{2066}b", "a\u{200D}b"] {
        let login = json!({"login": hidden, "password": "secret"});
        let requests = [
            ("/api/admin/users", login),
            ("/api/admin/users", json!({"login": "x", "name": hidden, "password": "secret"})),
            ("/api/orgs", json!({"name": hidden})),
            ("/api/teams", json!({"name": hidden})),
            ("/api/serviceaccounts", json!({"name": hidden})),
            ("/api/org/invites", json!({"loginOrEmail": hidden, "role": "Viewer"})),
        ];
        for (path, body) in requests {
            admin.post(path, &body).await.expect(400);
        }
        for own in [json!({"login": hidden}), json!({"email": hidden}), json!({"name": hidden})] {
            ann.put("/api/user", &own).await.expect(400);
            admin.put(&format!("/api/users/{id}"), &own).await.expect(400);
        }
        admin.put("/api/org", &json!({"name": hidden})).await.expect(400);
    }
    let shown = json!({"name": "\u{2601}\u{FE0F} Cloud"});
    admin.post("/api/teams", &shown).await.expect(200);
}

/// Reverts the database to the version before `user_names`.
const BEFORE_NAMES: &str = "
    DROP TABLE jobs, playlists, data_sources, correlations, annotations, annotation_terms, annotation_tag_counts,
        title_words;
    DROP INDEX service_accounts_org_id_uid_idx, events_by_correlation, dashboards_by_title, dashboards_by_folder,
        folders_by_title;
    DROP INDEX IF EXISTS dashboards_by_tag;
    DROP FUNCTION find_dashboards, find_by_common_word;
    ALTER TABLE orgs DROP COLUMN audits_queries;
    CREATE INDEX ON dashboards (org_id, lower_title, uid);
    CREATE INDEX ON dashboards (org_id, folder_uid, title);
    CREATE INDEX ON folders (org_id, lower_title, uid);
    DROP TABLE user_names, sent_mails;
    CREATE UNIQUE INDEX users_login ON users (lower(login));
    CREATE UNIQUE INDEX users_email ON users (lower(email));
    ALTER TABLE users DROP COLUMN email_is_claimed, DROP COLUMN email_vouched_org_id,
        DROP COLUMN login_is_claimed;
    DROP INDEX login_attempts_at_idx;
    ALTER TABLE login_attempts RENAME COLUMN account TO login;
    UPDATE actor_logins SET login = 'νικος' WHERE login = 'νικοσ';
    DROP TABLE secret_keys, secrets;
    CREATE TABLE secrets (org_id bigint, key text, value text NOT NULL, PRIMARY KEY (org_id, key));
    ALTER TABLE secrets OWNER TO kymograph_owner;
    INSERT INTO secrets SELECT 0, 'user/' || id || '/password', CASE login WHEN 'admin' THEN '{admin}' ELSE '{secret}' END
        FROM users;
    DELETE FROM schema_migrations WHERE version >= 19";

#[tokio::test]
async fn users_from_before_the_namespace_get_their_names() {
    let server = TestServer::start().await;
    new_user(&server, "Ann", "ann@corp.test").await;
    let (_, bob_id) = new_user(&server, "bob", "bob@corp.test").await;
    new_user(&server, "ΝΙΚΟΣ", "").await;
    let client = server.database.connect().await;
    let hasher = Argon2Hasher::start().unwrap();
    let (admin, secret) = (hasher.hash("admin", "").await.unwrap(), hasher.hash("secret", "").await.unwrap());
    let before = BEFORE_NAMES.replace("{admin}", &admin).replace("{secret}", &secret);
    client.batch_execute(&before).await.unwrap();
    // Bob has the address of ann as his login, which was possible then.
    let legacy = format!("UPDATE users SET login = 'ann@corp.test' WHERE id = {bob_id}");
    client.batch_execute(&legacy).await.unwrap();
    migrate(&server.database.config, &master_keys()).await.unwrap();
    let plain = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'secrets' AND column_name = 'value'";
    assert_eq!(server.database.scalar::<i64>(plain).await, 0);
    let server = TestServer::on_database(server.database.clone(), &[]).await;

    for login in ["ann", "ANN@corp.test"] {
        let user = server.client(login, "secret").get("/api/user").await.expect(200).body;
        assert_eq!(user["login"], "Ann");
    }
    server.client("νικοσ", "secret").get("/api/user").await.expect(200);
    server.client("bob@corp.test", "secret").get("/api/user").await.expect(200);
    let audited = server.admin().get("/api/audit/events?actor=νικος").await.expect(200);
    assert!(audited.body["events"].is_array());
    client
        .batch_execute(&format!(
            "UPDATE users SET login = 'bob' WHERE id = {bob_id};
        UPDATE user_names SET name = 'bob' WHERE user_id = {bob_id} AND is_login"
        ))
        .await
        .unwrap();
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}
