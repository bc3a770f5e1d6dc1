//! Housekeeping deletes expired rows, and those that remain of a deleted org.

use kymograph_server::verify::verify_database;
use kymograph_tests::TestServer;
use serde_json::json;

use crate::route_examples::Objects;

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

async fn must_verify(server: &TestServer) {
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn invites_end_when_their_time_is_over() {
    let server = TestServer::start().await;
    let acme = server.new_org("Acme").await;
    let invites = "SELECT count(*) FROM invites";
    let codes = "SELECT count(*) FROM secrets WHERE key LIKE 'invite/%'";
    let ended = "SELECT count(*) FROM events WHERE type = 'invite.expired' AND actor_login = 'server'";
    let count = async |sql: &str| server.database.scalar::<i64>(sql).await;
    for (org, guest) in [(1, "ann"), (acme, "bob")] {
        let invite = json!({"loginOrEmail": format!("{guest}@example.org"), "role": "Viewer"});
        server.admin().in_org(org).post("/api/org/invites", &invite).await.expect(200);
    }
    server.clock.advance(DAY - HOUR);
    let late = json!({"loginOrEmail": "carl@example.org", "role": "Viewer"});
    server.admin().post("/api/org/invites", &late).await.expect(200);
    server.tidy().await;
    assert_eq!((count(invites).await, count(codes).await, count(ended).await), (3, 3, 0));
    server.clock.advance(HOUR);
    server.tidy().await;
    assert_eq!((count(invites).await, count(codes).await, count(ended).await), (1, 1, 2));
    let left = server.admin().get("/api/org/invites").await.expect(200).body;
    assert_eq!((&left[0]["email"], left.as_array().unwrap().len()), (&json!("carl@example.org"), 1));
    must_verify(&server).await;
}

#[tokio::test]
async fn sessions_and_kept_answers_end_when_their_time_is_over() {
    let server = TestServer::start().await;
    let login = json!({"user": "admin", "password": "admin"});
    server.anonymous().post("/login", &login).await.expect(200);
    let keyed = server.admin().with_header("Idempotency-Key", "k");
    keyed.post("/api/folders", &json!({"title": "Ops"})).await.expect(200);
    let rows =
        async |table: &str| -> i64 { server.database.scalar(&format!("SELECT count(*) FROM {table}")).await };
    server.tidy().await;
    assert_eq!((rows("sessions").await, rows("idempotency").await), (1, 1));
    server.clock.advance(DAY + HOUR);
    server.tidy().await;
    assert_eq!((rows("sessions").await, rows("idempotency").await), (1, 0));
    server.clock.advance(7 * DAY);
    server.tidy().await;
    assert_eq!(rows("sessions").await, 0);
}

#[tokio::test]
async fn a_deleted_org_leaves_its_log_and_nothing_else() {
    let server = TestServer::with_settings(&["quota.enabled=true"]).await;
    let zebra = Objects::make(&server, "zebra").await;
    let keyed = |key: &str| server.admin().with_header("Idempotency-Key", key);
    let folder = json!({"title": "Other"});
    keyed("made").in_org(zebra.org).post("/api/folders", &folder).await.expect(200);
    keyed("led")
        .put(&format!("/api/orgs/{}/quotas/folder", zebra.org), &json!({"limit": 9}))
        .await
        .expect(200);
    let path = format!("/api/orgs/{}", zebra.org);
    keyed("deleted").delete(&path).await.expect_message(200, "Organization deleted");

    let client = server.database.connect().await;
    let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns
        WHERE table_schema = 'public' AND column_name IN ('org_id', 'owner_org_id', 'member_org_id')
            AND table_name NOT IN ('events', 'streams', 'heads', 'counters', 'postgres_es_events')";
    let tables = client.query(sql, &[]).await.unwrap();
    assert!(tables.len() > 15, "{} tables were looked at", tables.len());
    for row in tables {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} = {}", zebra.org);
        assert_eq!(server.database.scalar::<i64>(&sql).await, 0, "{table} remembers the org");
    }
    must_verify(&server).await;

    // As if the server had died before it could respond: the org is deleted, and the outcome is stored elsewhere.
    let forget = "UPDATE idempotency SET status = NULL, response = NULL";
    client.batch_execute(forget).await.unwrap();
    keyed("deleted").delete(&path).await.expect_message(200, "Organization deleted");
    server.admin().delete(&path).await.expect(404);
}
