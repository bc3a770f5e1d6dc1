//! Service accounts and their tokens through HTTP.

use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

async fn new_account(client: &Client, name: &str, role: &str) -> (String, Value) {
    let account = json!({"name": name, "role": role});
    let body = client.post("/api/serviceaccounts", &account).await.expect(201).body;
    (format!("/api/serviceaccounts/{}", body["id"]), body)
}

async fn new_token(client: &Client, account: &str, name: &str) -> (i64, String) {
    let answer = client.post(&format!("{account}/tokens"), &json!({"name": name})).await.expect(200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    (answer.body["id"].as_i64().unwrap(), answer.body["key"].as_str().unwrap().to_owned())
}

fn bearer(server: &TestServer, token: &str) -> Client {
    server.anonymous().with_header("Authorization", &format!("Bearer {token}"))
}

#[tokio::test]
async fn is_created_changed_found_and_deleted() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (path, body) = new_account(&admin, "CI runner", "Editor").await;
    assert_eq!((&body["login"], &body["orgId"]), (&json!("sa-1-ci-runner"), &json!(1)));
    assert_eq!(
        (&body["role"], &body["isDisabled"], &body["tokens"]),
        (&json!("Editor"), &json!(false), &json!(0))
    );
    let again = admin.post("/api/serviceaccounts", &json!({"name": "ci runner"})).await;
    again.expect_message(400, "service account already exists");
    let (_, user) = server.new_member(1, "ann", "Viewer").await;
    assert_ne!(body["id"], json!(user));

    let changed = json!({"name": "CI", "role": "Viewer", "isDisabled": true});
    let answer = admin.patch(&path, &changed).await.expect_message(200, "Service account updated").body;
    assert_eq!((&answer["name"], &answer["serviceaccount"]["role"]), (&json!("CI"), &json!("Viewer")));
    admin.patch(&path, &json!({"role": null})).await.expect(200);
    let read = admin.get(&path).await.expect(200).body;
    assert_eq!(
        (&read["name"], &read["isDisabled"], &read["login"]),
        (&json!("CI"), &json!(true), &body["login"])
    );

    new_account(&admin, "CD", "None").await;
    let found = admin.get("/api/serviceaccounts/search?query=c&perpage=1&page=2").await.expect(200).body;
    assert_eq!((&found["totalCount"], &found["page"], &found["perPage"]), (&json!(2), &json!(2), &json!(1)));
    assert_eq!(found["serviceAccounts"][0]["name"], "CI");
    let disabled = admin.get("/api/serviceaccounts/search?disabled=true").await.expect(200).body;
    assert_eq!(disabled["totalCount"], 1);

    admin.delete(&path).await.expect_message(200, "Service account deleted");
    for answer in [admin.get(&path).await, admin.delete(&path).await, admin.patch(&path, &changed).await] {
        answer.expect_message(404, "service account not found");
    }
    new_account(&admin, "CI runner", "Editor").await;
}

#[tokio::test]
async fn a_token_acts_for_its_account() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (account, body) = new_account(&admin, "ci", "Editor").await;
    let (token_id, token) = new_token(&admin, &account, "first").await;
    let client = bearer(&server, &token);
    client.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200);
    client.get("/api/org/users").await.expect(403);
    server.client("api_key", &token).get("/api/folders/ops").await.expect(200);
    assert_eq!(client.get("/api/folders/ops").await.expect(200).body["createdBy"], body["login"]);

    let row = server.database.connect().await;
    let sql = "SELECT actor_id, actor_login, meta::jsonb ->> 'auth_method', meta::jsonb ->> 'token_id'
        FROM events WHERE type = 'folder.created'";
    let row = row.query_one(sql, &[]).await.unwrap();
    assert_eq!(
        (json!(row.get::<_, i64>(0)), json!(row.get::<_, &str>(1))),
        (body["id"].clone(), body["login"].clone())
    );
    assert_eq!((row.get::<_, &str>(2), row.get::<_, &str>(3)), ("token", token_id.to_string().as_str()));

    let listed = admin.get(&format!("{account}/tokens")).await.expect(200).body;
    assert_eq!((&listed[0]["name"], &listed[0]["hasExpired"]), (&json!("first"), &json!(false)));
    assert!(listed[0]["lastUsedAt"].is_string() && listed[0]["expiration"].is_null(), "{listed}");
    assert_eq!(admin.get(&account).await.expect(200).body["tokens"], 1);
}

#[tokio::test]
async fn a_change_is_felt_by_the_next_request() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (account, _) = new_account(&admin, "ci", "Viewer").await;
    let (token_id, token) = new_token(&admin, &account, "first").await;
    let (_, other) = new_token(&admin, &account, "second").await;
    let (client, other) = (bearer(&server, &token), bearer(&server, &other));
    let folder = json!({"title": "Ops"});
    client.post("/api/folders", &folder).await.expect(403);
    admin.patch(&account, &json!({"role": "Editor"})).await.expect(200);
    client.post("/api/folders", &folder).await.expect(200);
    admin.patch(&account, &json!({"isDisabled": true})).await.expect(200);
    client.get("/api/folders").await.expect_message(401, "Invalid API key");
    admin.patch(&account, &json!({"isDisabled": false})).await.expect(200);
    client.get("/api/folders").await.expect(200);

    let path = format!("{account}/tokens/{token_id}");
    admin.delete(&path).await.expect_message(200, "Service account token deleted");
    client.get("/api/folders").await.expect_message(401, "Invalid API key");
    admin.delete(&path).await.expect_message(404, "service account token not found");
    other.get("/api/folders").await.expect(200);
    admin.delete(&account).await.expect(200);
    other.get("/api/folders").await.expect_message(401, "Invalid API key");
    assert_eq!(server.database.scalar::<i64>("SELECT count(*) FROM token_hashes").await, 0);
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_with_its_org() {
    let server = TestServer::start().await;
    let org = server.new_org("Other").await;
    let (boss, _) = server.new_member(org, "boss", "Admin").await;
    let (account, _) = new_account(&boss, "ci", "Admin").await;
    let tokens = format!("{account}/tokens");
    let short = json!({"name": "short", "secondsToLive": 1});
    let key = boss.post(&tokens, &short).await.expect(200).body["key"].as_str().unwrap().to_owned();
    let (_, token) = new_token(&boss, &account, "long").await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    bearer(&server, &key).get("/api/folders").await.expect_message(401, "Invalid API key");
    assert_eq!(boss.get(&tokens).await.expect(200).body[0]["hasExpired"], true);
    let expired = boss.get("/api/serviceaccounts/search?expiredTokens=true").await.expect(200).body;
    assert_eq!(expired["totalCount"], 1);

    let client = bearer(&server, &token);
    client.get("/api/folders").await.expect(200);
    client.clone().in_org(org).get("/api/folders").await.expect(200);
    client.clone().in_org(1).get("/api/folders").await.expect(401);
    server.admin().get(&account).await.expect(404);
    assert_eq!(server.admin().get(&tokens).await.expect(200).body, json!([]));
    server.admin().delete(&format!("/api/orgs/{org}")).await.expect(200);
    client.get("/api/folders").await.expect_message(401, "Invalid API key");
}

#[tokio::test]
async fn a_token_is_kept_nowhere() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (account, _) = new_account(&admin, "ci", "Viewer").await;
    let keyed = admin.clone().with_header("Idempotency-Key", "k");
    let (_, token) = new_token(&keyed, &account, "t").await;
    let again = keyed.post(&format!("{account}/tokens"), &json!({"name": "t"})).await.expect(409);
    assert!(again.body["message"].as_str().unwrap().contains("shown once"), "{}", again.text);
    let database = server.database.connect().await;
    let tables =
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    for table in database.query(tables, &[]).await.unwrap() {
        let table: &str = table.get(0);
        let sql = format!("SELECT count(*) FROM {table} AS t WHERE to_jsonb(t)::text LIKE '%' || $1 || '%'");
        let rows: i64 = database.query_one(&sql, &[&&token[5..37]]).await.unwrap().get(0);
        assert_eq!(rows, 0, "{table} has the token");
    }
    bearer(&server, &token).get("/api/folders").await.expect(200);
}

#[tokio::test]
async fn bad_input_is_told_clearly() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (editor, _) = server.new_member(1, "editor", "Editor").await;
    editor.get("/api/serviceaccounts/search").await.expect(403);
    editor.post("/api/serviceaccounts", &json!({"name": "x"})).await.expect(403);
    admin.post("/api/serviceaccounts", &json!({"name": null})).await.expect(400);
    admin.post("/api/serviceaccounts", &json!({"name": "x", "role": "King"})).await.expect(400);
    admin.get("/api/serviceaccounts/x").await.expect(404);
    admin.get("/api/serviceaccounts/x/tokens").await.expect(400);
    let (account, _) = new_account(&admin, "ci", "Viewer").await;
    let (other, _) = new_account(&admin, "cd", "Viewer").await;
    let tokens = format!("{account}/tokens");
    admin.post(&tokens, &json!({"name": " "})).await.expect(400);
    let wrong = json!({"name": "t", "secondsToLive": -1});
    admin.post(&tokens, &wrong).await.expect_message(400, "invalid SecondsToLive value");
    admin.post("/api/serviceaccounts/9999/tokens", &json!({"name": "t"})).await.expect(404);
    let (token_id, token) = new_token(&admin, &account, "t").await;
    let taken = "service account token with given name already exists in the organization";
    admin.post(&format!("{other}/tokens"), &json!({"name": "t"})).await.expect_message(400, taken);
    admin.delete(&format!("{other}/tokens/{token_id}")).await.expect(404);
    for wrong in ["", "glsa_x", &token[..45], "eyJhbGciOiJub25lIn0.e30."] {
        bearer(&server, wrong).get("/api/folders").await.expect(401);
    }
    let foreign = format!("glsa_{}_", "A".repeat(32));
    bearer(&server, &foreign).get("/api/folders").await.expect_message(401, "Invalid API key");
}

#[tokio::test]
async fn is_named_by_its_uid_as_well() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let created = admin.post("/api/serviceaccounts", &json!({"name": "ci"})).await.expect(201).body;
    let by_uid = format!("/api/serviceaccounts/{}", created["uid"].as_str().unwrap());
    assert_eq!(admin.get(&by_uid).await.expect(200).body["id"], created["id"]);
    admin.patch(&by_uid, &json!({"name": "cd"})).await.expect(200);
    let tokens = format!("{by_uid}/tokens");
    let token = admin.post(&tokens, &json!({"name": "t"})).await.expect(200).body;
    assert_eq!(admin.get(&tokens).await.expect(200).body[0]["name"], "t");
    admin.delete(&format!("{tokens}/{}", token["id"])).await.expect(200);
    // It is not valid in another org.
    let org = server.new_org("Other").await;
    server.admin().in_org(org).get(&by_uid).await.expect(404);
    admin.delete(&by_uid).await.expect(200);
    admin.get(&by_uid).await.expect(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_used_first_while_it_is_deleted_leaves_nothing_behind() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (account, body) = new_account(&admin, "robot", "Viewer").await;
    let (token, _) = new_token(&admin, &account, "t").await;
    let user = server.database.connect().await;
    // Like recording the first use of a token.
    let note = format!(
        "BEGIN; SELECT FROM service_account_tokens WHERE org_id = 1 AND id = {token} FOR KEY SHARE;
        INSERT INTO service_account_token_seen (org_id, service_account_id, token_id, seen)
            VALUES (1, {}, {token}, now())",
        body["id"]
    );
    user.batch_execute(&note).await.unwrap();
    let deleting = tokio::spawn(async move { admin.delete(&format!("{account}/tokens/{token}")).await });
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while server.database.scalar::<i64>(waiting).await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    user.batch_execute("COMMIT").await.unwrap();
    deleting.await.unwrap().expect(200);
    let left = "SELECT count(*) FROM service_account_token_seen";
    assert_eq!(server.database.scalar::<i64>(left).await, 0);
}
