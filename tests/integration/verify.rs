//! `kymograph verify` finds damage in every table.

use kymograph_server::verify::verify_database;
use kymograph_tests::TestServer;
use serde_json::json;
use tokio_postgres::Client;

use crate::route_examples::Objects;

/// Damage to one row of each table, as someone with access to the database could cause.
const DAMAGES: &[(&str, &str)] = &[
    (
        "events",
        "UPDATE events SET payload = replace(payload, 'zebra', 'horse') WHERE type = 'dashboard.created'",
    ),
    ("events", "DELETE FROM events WHERE org_id = 2 AND pos = 3"),
    (
        "events",
        "UPDATE events SET pos = 99 WHERE org_id = 2 AND pos = (SELECT max(pos) FROM events WHERE org_id = 2)",
    ),
    ("events", "UPDATE events SET version = version + 1 WHERE org_id = 2 AND type = 'dashboard.updated'"),
    ("events", "UPDATE events SET type = 'folder.deleted' WHERE org_id = 2 AND type = 'dashboard.updated'"),
    (
        "events",
        "UPDATE events SET recorded_at = recorded_at - interval '1 year' WHERE org_id = 2 AND pos = 3",
    ),
    ("events", "UPDATE events SET actor_login = 'nobody' WHERE org_id = 2 AND type = 'folder.created'"),
    ("events", "UPDATE events SET trace_id = 'forged' WHERE org_id = 2 AND type = 'folder.created'"),
    (
        "streams",
        "UPDATE streams SET state = replace(state, 'zebra', 'horse') WHERE stream_id = 'folder-zebra-folder'",
    ),
    ("streams", "UPDATE streams SET version = version + 1 WHERE stream_id = 'folder-zebra-folder'"),
    ("streams", "DELETE FROM streams WHERE stream_id = 'folder-zebra-folder'"),
    ("heads", "UPDATE heads SET pos = pos + 1 WHERE org_id = 2"),
    ("heads", "DELETE FROM heads WHERE org_id = 2"),
    ("users", "UPDATE users SET is_server_admin = true WHERE login = 'zebra-user'"),
    ("actor_logins", "DELETE FROM actor_logins WHERE login = 'zebra-user'"),
    ("orgs", "UPDATE orgs SET name = 'horse org' WHERE id = 2"),
    ("memberships", "UPDATE memberships SET role = 'Admin' WHERE role = 'Editor'"),
    ("user_orgs", "UPDATE user_orgs SET role = 'Admin' WHERE role = 'Editor'"),
    ("quotas", "UPDATE quotas SET used = used - 1 WHERE owner_org_id = 2 AND target = 'dashboard'"),
    ("quotas", "UPDATE quotas SET max = 5 WHERE owner_org_id = 2 AND target = 'dashboard'"),
    ("user_quotas", "UPDATE user_quotas SET max = max + 1"),
    ("quotas", "DELETE FROM quotas WHERE owner_org_id = 0 AND target = 'org'"),
    ("folders", "DELETE FROM folders"),
    ("dashboards", "UPDATE dashboards SET version = 7"),
    ("dashboard_versions", "UPDATE dashboard_versions SET message = 'forged' WHERE version = 2"),
    ("resource_permissions", "DELETE FROM resource_permissions"),
    ("resource_grants", "UPDATE resource_grants SET level = 4 WHERE level = 1"),
    ("dashboard_versions", "UPDATE dashboard_versions SET folder_uid = 'forged'"),
    ("dashboard_lives", "UPDATE dashboard_lives SET to_pos = 7"),
    ("title_words", "DELETE FROM title_words WHERE beginning <> ''"),
    ("teams", "UPDATE teams SET name = 'horse team'"),
    ("team_members", "DELETE FROM team_members"),
    ("service_accounts", "UPDATE service_accounts SET role = 'Admin'"),
    ("service_account_tokens", "UPDATE service_account_tokens SET expires = NULL"),
    ("service_account_token_seen", "UPDATE service_account_token_seen SET token_id = 99"),
    ("token_hashes", "UPDATE token_hashes SET token_id = 99"),
    (
        "token_hashes",
        "INSERT INTO token_hashes SELECT sha256('mine'), owner_org_id, service_account_id, token_id FROM token_hashes",
    ),
    ("counters", "UPDATE counters SET value = 0 WHERE name = 'object'"),
    ("secrets", "UPDATE secrets SET key = 'user/99/password' WHERE key = 'user/2/password'"),
    ("secrets", "INSERT INTO secrets VALUES (2, 'invite/99/code', 'x')"),
    ("idempotency", "UPDATE idempotency SET request_hash = ''"),
    ("sessions", "UPDATE sessions SET user_id = 99"),
    ("user_seen", "UPDATE user_seen SET user_id = 99 WHERE user_id = 2"),
    ("preferences", "UPDATE preferences SET theme = 'dark'"),
    ("data_sources", "UPDATE data_sources SET is_default = NOT is_default"),
    ("data_sources", "UPDATE data_sources SET content = '{}'"),
    ("secret_keys", "UPDATE secret_keys SET wrapped = 'x'"),
    ("secrets", "UPDATE secrets SET sealed = 'x' WHERE key LIKE 'data_source/%'"),
    ("secrets", "UPDATE secrets SET key = 'data_source/99/token' WHERE key LIKE 'data_source/%'"),
    ("correlations", "UPDATE correlations SET target_uid = ''"),
    ("playlists", "UPDATE playlists SET name = 'forged'"),
    ("annotations", "UPDATE annotations SET text = 'forged'"),
    ("annotation_terms", "UPDATE annotation_terms SET term = 'forged' WHERE term = 'ops'"),
    ("annotation_tag_counts", "UPDATE annotation_tag_counts SET used = 100"),
    ("stars", "DELETE FROM stars"),
    ("user_names", "UPDATE user_names SET name = 'vic@corp.test' WHERE user_id = 2"),
    ("user_names", "UPDATE user_names SET is_email = NOT is_email"),
    ("jobs", "UPDATE jobs SET owner_org_id = 99"),
    ("invites", "UPDATE invites SET role = 'Admin'"),
];

/// Damages a table, after copying it.
pub(crate) async fn damage_table(client: &Client, table: &str, damage: &str) {
    client.batch_execute("CREATE SCHEMA backup").await.unwrap();
    client.batch_execute(&format!("CREATE TABLE backup.copy AS TABLE {table}")).await.unwrap();
    assert!(client.execute(damage, &[]).await.unwrap() > 0, "{damage} damaged nothing");
}

/// Restores a table to its state before the damage.
pub(crate) async fn restore_table(client: &mut Client, table: &str) {
    let columns = "SELECT string_agg(attname, ', ') FROM pg_attribute
        WHERE attrelid = $1::text::regclass AND attnum > 0 AND attgenerated = '' AND NOT attisdropped";
    let columns: String = client.query_one(columns, &[&table]).await.unwrap().get(0);
    let transaction = client.transaction().await.unwrap();
    let restore = format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM backup.copy");
    transaction.batch_execute(&format!("DELETE FROM {table}; {restore}")).await.unwrap();
    transaction.batch_execute("DROP SCHEMA backup CASCADE").await.unwrap();
    transaction.commit().await.unwrap();
}

/// Tables whose content cannot be derived from the log.
const WITHOUT_TRUTH: &[&str] = &["login_attempts", "schema_migrations", "sent_mails"];

#[tokio::test]
async fn finds_damage_in_every_table() {
    let server = TestServer::with_settings(&["quota.enabled=true"]).await;
    let zebra = Objects::make(&server, "zebra").await;
    let quota = format!("/api/admin/users/{}/quotas/org", zebra.user);
    server.admin().put(&quota, &json!({"limit": 9})).await.expect(200);
    let keyed = server.admin().in_org(zebra.org).with_header("Idempotency-Key", "k");
    keyed.post("/api/folders", &json!({"title": "Other"})).await.expect(200);
    server.client("zebra-user", "secret").post("/api/teams", &json!({"name": "x"})).await.expect(403);
    let permissions = format!("/api/access-control/datasources/zebra-source/users/{}", zebra.user);
    let admin = server.admin().in_org(zebra.org);
    admin.post(&permissions, &json!({"permission": "Query"})).await.expect(200);
    server.access.flush().await;
    let config = &server.database.config;
    let report = verify_database(config).await.unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
    assert_eq!(report.streams, report.streams_by_reference);
    assert!(report.tables.values().all(|rows| *rows > 0), "{:?}", report.tables);

    let mut client = server.database.connect().await;
    for (table, damage) in DAMAGES {
        damage_table(&client, table, damage).await;
        // A log that cannot be projected ends the verification with an error, which counts as found.
        let found = verify_database(config).await.map_or(1, |report| report.fault_count);
        assert!(found > 0, "not found: {damage}");
        restore_table(&mut client, table).await;
    }
    assert_eq!(verify_database(config).await.unwrap().fault_count, 0);

    let sql =
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    for row in client.query(sql, &[]).await.unwrap() {
        let table: &str = row.get(0);
        let is_known = DAMAGES.iter().any(|(damaged, _)| *damaged == table) || WITHOUT_TRUTH.contains(&table);
        assert!(is_known, "{table} was not damaged");
    }
}

#[tokio::test]
async fn a_deleted_org_and_user_verify() {
    let server = TestServer::start().await;
    let zebra = Objects::make(&server, "zebra").await;
    let admin = server.admin();
    admin.delete(&format!("/api/orgs/{}", zebra.org)).await.expect(200);
    admin.delete(&format!("/api/admin/users/{}", zebra.user)).await.expect(200);
    let report = verify_database(&server.database.config).await.unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
    assert_eq!(report.logs, 3);
}

#[tokio::test]
async fn an_org_that_took_the_former_name_of_another_verifies() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (first, second) = (server.new_org("Beta").await, server.new_org("Gamma").await);
    for (org, name) in [(first, "Beta GmbH"), (second, "Beta"), (first, "Gamma")] {
        admin.put(&format!("/api/orgs/{org}"), &json!({"name": name})).await.expect(200);
    }
    let report = verify_database(&server.database.config).await.unwrap();
    assert_eq!(report.faults, Vec::<String>::new());
}
