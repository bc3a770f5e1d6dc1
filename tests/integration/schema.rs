//! The schema keeps the rules of tenancy and of scale-out.

use kymograph_tests::{Cluster, TestServer};
use serde_json::json;
use tokio_postgres::Client;

/// Tables without a tenant, with the reason for each.
const WITHOUT_TENANT: &[(&str, &str)] = &[
    ("users", "belong to the server; a reference table on Citus"),
    ("user_names", "lead from a login or address to its user; a reference table on Citus"),
    ("sent_mails", "are counted by user and by address; local to the coordinator on Citus"),
    ("orgs", "the list of tenants; a reference table on Citus"),
    ("jobs", "are looked for in all orgs at once by when they are due; local to the coordinator on Citus"),
    ("quotas", "numbers that are added up over all orgs; distributed by org on Citus"),
    ("user_quotas", "belong to a user; distributed by user on Citus"),
    ("user_orgs", "belong to a user; distributed by user on Citus"),
    ("sessions", "belong to a user; distributed by user on Citus"),
    ("user_seen", "belongs to a user; distributed by user on Citus"),
    ("token_hashes", "lead from a token to its org; a reference table on Citus"),
    ("login_attempts", "come before anybody is known; distributed by account on Citus"),
    ("actor_logins", "lead from a login to a user or service account; a reference table on Citus"),
    ("schema_migrations", "belong to the schema"),
];

async fn names(client: &Client, sql: &str) -> Vec<String> {
    client.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

const TENANT_TABLES: &str = "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND a.attname = 'org_id'";

#[tokio::test]
async fn every_table_belongs_to_tenants_or_is_a_known_exception() {
    let client = Cluster::get().new_database().await.connect().await;
    let tenant = names(&client, TENANT_TABLES).await;
    let all = "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace";
    let all = names(&client, all).await;
    for table in &all {
        let is_exception = WITHOUT_TENANT.iter().any(|(name, _)| name == table);
        assert!(
            tenant.contains(table) != is_exception,
            "{table} should have org_id, or be a known exception"
        );
    }
    assert!(WITHOUT_TENANT.iter().all(|(name, _)| all.contains(&(*name).to_owned())));
}

#[tokio::test]
async fn keys_of_tenant_tables_begin_with_the_tenant() {
    let client = Cluster::get().new_database().await.connect().await;
    let sql = format!(
        "SELECT i.indexrelid::regclass::text FROM pg_index i
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid::regclass::text IN ({TENANT_TABLES}) AND i.indisunique AND a.attname <> 'org_id'"
    );
    assert_eq!(names(&client, &sql).await, Vec::<String>::new());
    let without_key = format!(
        "SELECT t FROM ({TENANT_TABLES}) AS tables (t)
        WHERE NOT EXISTS (SELECT FROM pg_index WHERE indrelid = t::regclass AND indisprimary)"
    );
    assert_eq!(names(&client, &without_key).await, Vec::<String>::new());
}

#[tokio::test]
async fn tenant_tables_are_behind_row_level_security_that_is_forced() {
    let client = Cluster::get().new_database().await.connect().await;
    let sql = format!(
        "SELECT relname::text FROM pg_class WHERE relname IN ({TENANT_TABLES})
            AND NOT (relrowsecurity AND relforcerowsecurity
                AND EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND polname = 'tenant'))"
    );
    assert_eq!(names(&client, &sql).await, Vec::<String>::new());
}

#[tokio::test]
async fn nothing_that_citus_cannot_distribute() {
    let client = Cluster::get().new_database().await.connect().await;
    let found = "SELECT 'trigger ' || tgname FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL SELECT 'sequence ' || relname FROM pg_class WHERE relkind = 'S'
        UNION ALL SELECT 'foreign key ' || conname FROM pg_constraint
            WHERE contype = 'f' AND connamespace = 'public'::regnamespace";
    assert_eq!(names(&client, found).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_application_role_can_neither_rewrite_the_log_nor_pass_row_level_security() {
    let server = TestServer::start().await;
    server.admin().post("/api/dashboards/db", &json!({"dashboard": {"title": "CPU"}})).await.expect(200);
    let client = server.database.connect().await;
    let row = client
        .query_one(
            "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcanlogin FROM pg_roles WHERE rolname = 'kymograph_app'",
            &[],
        )
        .await
        .unwrap();
    assert!(!row.get::<_, bool>(0));
    let sql = "SELECT count(*) FROM pg_class WHERE relowner = 'kymograph_search'::regrole";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0);
    let sql = "SELECT string_agg(DISTINCT table_name || ' ' || privilege_type, ', ')
        FROM information_schema.role_table_grants WHERE grantee = 'kymograph_search'";
    assert_eq!(
        client.query_one(sql, &[]).await.unwrap().get::<_, &str>(0),
        "dashboards SELECT, resource_permissions SELECT, title_words SELECT"
    );
    client.batch_execute("SET ROLE kymograph_app").await.unwrap();
    for forbidden in [
        "UPDATE events SET payload = '{}'",
        "DELETE FROM events",
        "TRUNCATE events",
        "DELETE FROM streams",
        "DELETE FROM heads",
        "ALTER TABLE events DISABLE ROW LEVEL SECURITY",
        "CREATE TABLE mine (id int)",
    ] {
        let error = client.batch_execute(forbidden).await.expect_err(forbidden);
        assert_eq!(error.code().unwrap().code(), "42501", "{forbidden}: {error}");
    }
    for table in names(&client, TENANT_TABLES).await {
        let rows: i64 = client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0);
        assert_eq!(rows, 0, "{table} shows rows without a tenant");
    }
    client.batch_execute("SET app.org_id = '1'").await.unwrap();
    let rows: i64 = client.query_one("SELECT count(*) FROM events", &[]).await.unwrap().get(0);
    assert!(rows > 0);
    let words =
        |org: i64| format!("SELECT count(*) FROM match_dashboards({org}, '{{%}}', NULL, NULL, false)");
    client.batch_execute("SET app.org_id = '2'").await.unwrap();
    let rows: i64 = client.query_one(&words(1), &[]).await.unwrap().get(0);
    assert_eq!(rows, 0, "the words of another tenant were searched");
    client.batch_execute("SET app.org_id = '1'").await.unwrap();
    let rows: i64 = client.query_one(&words(1), &[]).await.unwrap().get(0);
    assert_eq!(rows, 1);
    let page = |org: i64| {
        format!("SELECT count(*) FROM find_dashboards({org}, '{{}}', NULL, '{{}}', '{{}}', false, NULL, NULL, 1::smallint,
            0::smallint, 0, NULL, 10, 0, false)")
    };
    for (org, expected) in [(1, 1), (2, 0)] {
        let rows: i64 = client.query_one(&page(org), &[]).await.unwrap().get(0);
        assert_eq!(rows, expected, "the dashboards of another tenant were searched");
    }
    let common = |org: i64| {
        format!("SELECT count(*) FROM find_by_common_word({org}, '{{%cpu%}}', '%cpu%', NULL, NULL, 1::smallint, 0::smallint, 0,
            NULL, 10, 0)")
    };
    for (org, expected) in [(1, 1), (2, 0)] {
        let rows: i64 = client.query_one(&common(org), &[]).await.unwrap().get(0);
        assert_eq!(rows, expected, "the words of another tenant were searched");
    }
    // This function sets its tenant itself, and only for its own duration.
    let found = "SELECT count(*) FROM find_by_words(2, '%', '%', true, true, 10)";
    let rows: i64 = client.query_one(found, &[]).await.unwrap().get(0);
    assert_eq!(rows, 0, "the words of another tenant were searched");
    let tenant: String = client.query_one("SHOW app.org_id", &[]).await.unwrap().get(0);
    assert_eq!(tenant, "1");
    let foreign = "INSERT INTO folders SELECT 2, 'x', 1, 'x', 'x', '', '', 1, now(), '', now(), '', 1";
    assert!(client.batch_execute(foreign).await.is_err(), "a row of another tenant was written");
}
