//! `kymograph projections`: read models are rebuilt from the log while a server is running.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kymograph_domain::{OrgId, Timestamp, registry};
use kymograph_infra::progress::Report;
use kymograph_infra::rebuild::rebuild;
use kymograph_projections::{Recorded, Statements, projectors};
use kymograph_tests::{Client, Cluster, ServerProcess, TestServer};
use serde_json::json;

fn run(server: &ServerProcess, args: &[&str]) -> (bool, String) {
    let output = server.command(args).stderr(Stdio::piped()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

fn verify(server: &ServerProcess) -> bool {
    run(server, &["verify"]).0
}

#[test]
fn projectors_say_which_events_they_listen_to() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("event_samples");
    for (event_type, version) in registry::event_types() {
        let sample = std::fs::read_to_string(folder.join(format!("{event_type}.v{version}.json"))).unwrap();
        let event = registry::decode(event_type, version, sample.trim()).unwrap();
        let recorded = Recorded {
            org: OrgId(1),
            position: 1,
            recorded_at: Timestamp(0),
            actor_id: kymograph_domain::UserId(1),
            actor_login: "admin",
            event: &*event,
        };
        for projector in projectors() {
            let mut statements = Statements::default();
            projector.project(&recorded, &mut statements);
            let aggregate = event_type.split('.').next().unwrap();
            let writes = statements.into_vec().iter().any(|statement| !statement.is_check);
            let listens = projector.listens_to().contains(&aggregate);
            assert!(listens || !writes, "{} does not listen to {aggregate}", projector.name());
        }
    }
}

/// A log with each event, each in its own org, so that none depends on an earlier one.
async fn log_of_every_event(client: &tokio_postgres::Client) -> i64 {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("event_samples");
    let mut samples: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.sort();
    let mut org = 0;
    for sample in samples {
        let name = sample.file_stem().unwrap().to_str().unwrap();
        let (event_type, version) = name.rsplit_once(".v").unwrap();
        let kind = event_type.split('.').next().unwrap();
        let payload = std::fs::read_to_string(&sample).unwrap();
        org += 1;
        let event = "INSERT INTO events (org_id, pos, stream_id, stream_type, version, type, schema_version, recorded_at,
                actor_id, actor_login, causation_id, correlation_id, meta, payload, checksum)
            VALUES ($1, 1, $2 || '-x', $2, 1, $3, $4, now(), 1, 'admin', '', '', '{}', $5, 0)";
        let version: i32 = version.parse().unwrap();
        client.execute(event, &[&org, &kind, &event_type, &version, &payload.trim()]).await.unwrap();
        let head = "INSERT INTO heads (org_id, pos, last_at) VALUES ($1, 1, now())";
        client.execute(head, &[&org]).await.unwrap();
    }
    let counter = "INSERT INTO counters (org_id, name, value) VALUES (0, 'org', $1)
        ON CONFLICT (org_id, name) DO UPDATE SET value = excluded.value";
    client.execute(counter, &[&org]).await.unwrap();
    org
}

#[tokio::test]
async fn every_projection_is_rebuilt_from_a_log_with_every_event() {
    let database = Cluster::get().new_database().await;
    let client = database.connect().await;
    let events = log_of_every_event(&client).await;
    assert!(events > 50, "{events}");
    for projector in projectors() {
        let rebuilt = rebuild(&database.config, Some(projector.name()), Report::new(&|_, _, _| {}), |_| {});
        rebuilt.await.unwrap_or_else(|error| panic!("{}: {error}", projector.name()));
    }
}

/// Statements that hide the log from a rebuild, and show it again.
const HIDDEN: &[(&str, &str)] = &[
    (
        "ALTER POLICY tenant ON events USING (false)",
        "ALTER POLICY tenant ON events USING (org_id = app_org_id())",
    ),
    (
        "ALTER POLICY tenant ON heads USING (false)",
        "ALTER POLICY tenant ON heads USING (org_id = app_org_id())",
    ),
    (
        "ALTER POLICY tenant ON heads USING (false); ALTER POLICY tenant ON events USING (false);
            ALTER POLICY tenant ON counters USING (false)",
        "ALTER POLICY tenant ON heads USING (org_id = app_org_id()); ALTER POLICY tenant ON counters
            USING (org_id = app_org_id()); ALTER POLICY tenant ON events USING (org_id = app_org_id())",
    ),
    (
        "ALTER POLICY tenant ON heads USING (org_id = 0 AND app_org_id() = 0)",
        "ALTER POLICY tenant ON heads USING (org_id = app_org_id())",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_read_empties_nothing() {
    let server = TestServer::start().await;
    server.admin().post("/api/folders", &json!({"title": "Ops"})).await.expect(200);
    let database = &server.database;
    let client = database.connect().await;
    for (hide, show) in HIDDEN {
        client.batch_execute(hide).await.unwrap();
        for projector in projectors() {
            let report = Report::new(&|_, _, _| {});
            let rebuilt = rebuild(&database.config, Some(projector.name()), report, |_| {}).await;
            let error = rebuilt.expect_err(projector.name()).to_string();
            assert!(error.contains("the old tables were kept"), "{hide}: {error}");
        }
        client.batch_execute(show).await.unwrap();
    }
    for table in ["users", "memberships", "folders", "quotas"] {
        assert!(database.scalar::<i64>(&format!("SELECT count(*) FROM {table}")).await > 0, "{table}");
    }
    let citus =
        "SET allow_system_table_mods = on; CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass);
        INSERT INTO pg_catalog.pg_dist_partition VALUES ('public.folders')";
    client.batch_execute(citus).await.unwrap();
    let rebuilt = rebuild(&database.config, Some("folders"), Report::new(&|_, _, _| {}), |_| {}).await;
    let error = rebuilt.unwrap_err().to_string();
    assert!(error.contains("the table folders is distributed"), "{error}");
    rebuild(&database.config, Some("stars"), Report::new(&|_, _, _| {}), |_| {}).await.unwrap();
}

#[tokio::test]
async fn an_admin_is_made_for_an_empty_log_and_not_for_an_empty_table() {
    let server = TestServer::start().await;
    server
        .admin()
        .put("/api/user/password", &json!({"oldPassword": "admin", "newPassword": "secret"}))
        .await
        .expect(200);
    server.database.connect().await.batch_execute("TRUNCATE users; TRUNCATE user_names").await.unwrap();
    let again = TestServer::on_database(server.database.clone(), &[]).await;
    again.admin().get("/api/user").await.expect(401);
    let made = "SELECT count(*) FROM events WHERE type IN ('user.created', 'org.created')";
    assert_eq!(server.database.scalar::<i64>(made).await, 2);

    // A hidden log does not count as an empty one.
    let server = TestServer::start().await;
    server
        .database
        .connect()
        .await
        .batch_execute("ALTER POLICY tenant ON heads USING (false)")
        .await
        .unwrap();
    TestServer::on_database(server.database.clone(), &[]).await;
    assert_eq!(server.database.scalar::<i64>(made).await, 2);
}

/// With quotas, every table gets rows.
const QUOTAS: &[(&str, &str)] = &[("GF_QUOTA_ENABLED", "true")];

/// Writes rows to every table.
async fn fill(server: &ServerProcess) {
    let admin = server.admin();
    let org = admin.post("/api/orgs", &json!({"name": "Acme"})).await.expect(200).body["orgId"].clone();
    let gone = admin.post("/api/orgs", &json!({"name": "Gone"})).await.expect(200).body["orgId"].clone();
    for org in [org.as_i64().unwrap(), gone.as_i64().unwrap(), 1] {
        let admin = admin.clone().in_org(org);
        let user = json!({"login": format!("ann{org}"), "password": "secret", "OrgId": org});
        let user = admin.post("/api/admin/users", &user).await.expect(200).body["id"].clone();
        admin.post("/api/folders", &json!({"uid": "ops", "title": "Ops"})).await.expect(200);
        admin.post("/api/folders", &json!({"uid": "old", "title": "Old"})).await.expect(200);
        admin.delete("/api/folders/old").await.expect(200);
        for (uid, title) in [("a", "A"), ("b", "B"), ("a", "A “two”"), ("c", "C"), ("a", "A3"), ("d", "D")]
        {
            let save = json!({"dashboard": {"uid": uid, "title": title, "tags": [title, "x\\\"y, {z}", ""]},
                "folderUid": "ops", "overwrite": true, "message": title});
            admin.post("/api/dashboards/db", &save).await.expect(200);
        }
        admin.post("/api/user/stars/dashboard/uid/a", &json!({})).await.expect(200);
        admin.post("/api/user/stars/dashboard/uid/c", &json!({})).await.expect(200);
        admin.delete("/api/dashboards/uid/c").await.expect(200);
        let again = json!({"dashboard": {"uid": "c", "title": "C again"}, "overwrite": true});
        admin.post("/api/dashboards/db", &again).await.expect(200);
        admin.post("/api/dashboards/uid/a/restore", &json!({"version": 1})).await.expect(200);
        admin.delete("/api/dashboards/uid/d").await.expect(200);
        let team =
            admin.post("/api/teams", &json!({"name": "Team"})).await.expect(200).body["teamId"].clone();
        admin.post(&format!("/api/teams/{team}/members"), &json!({"userId": user})).await.expect(200);
        let account = json!({"name": "robot", "role": "Viewer"});
        let account = admin.post("/api/serviceaccounts", &account).await.expect(201).body["id"].clone();
        for name in ["one", "two"] {
            let path = format!("/api/serviceaccounts/{account}/tokens");
            admin.post(&path, &json!({"name": name})).await.expect(200);
        }
        admin.put("/api/org/preferences", &json!({"theme": "dark"})).await.expect(200);
        admin.post("/api/playlists", &json!({"name": "TV"})).await.expect(200);
        for name in ["P", "Q", "R"] {
            let source = json!({"name": name, "uid": name, "type": "loki", "isDefault": true,
                "secureJsonData": {"token": "x"}});
            admin.post("/api/datasources", &source).await.expect(200);
        }
        correlate(&admin).await;
        annotate(&admin).await;
        let list = json!({"items": [{"role": "Viewer", "permission": 1}, {"userId": user, "permission": 2}]});
        admin.post("/api/folders/ops/permissions", &list).await.expect(200);
        let quota = format!("/api/admin/users/{user}/quotas/org");
        admin.put(&quota, &json!({"limit": 7})).await.expect(200);
        let invite =
            json!({"loginOrEmail": format!("bob{org}@example.org"), "role": "Viewer", "sendEmail": false});
        admin.post("/api/org/invites", &invite).await.expect(200);
    }
    // An org takes the former name of another one.
    for (org, name) in [(&org, "Acme GmbH"), (&json!(1), "Acme")] {
        admin.put(&format!("/api/orgs/{org}"), &json!({"name": name})).await.expect(200);
    }
    admin.delete(&format!("/api/orgs/{gone}")).await.expect(200);
}

/// Correlations that were created, changed, and deleted with a data source.
async fn correlate(admin: &Client) {
    for (source, target) in [("P", "Q"), ("Q", "R"), ("R", "P")] {
        let path = format!("/api/datasources/uid/{source}/correlations");
        let form =
            json!({"targetUID": target, "label": "“two”", "config": {"field": "x", "target": {"a": [1.5]}}});
        let uid = admin.post(&path, &form).await.expect(200).body["result"]["uid"].clone();
        let one = format!("{path}/{}", uid.as_str().unwrap());
        admin.patch(&one, &json!({"description": "changed"})).await.expect(200);
    }
    admin.delete("/api/datasources/uid/R").await.expect(200);
}

/// Annotations that were created, changed and deleted.
async fn annotate(admin: &Client) {
    let annotations = [
        json!({"text": "deployed “two”", "tags": ["ops", "x\\\"y, {z}", "team:web"], "time": 1000}),
        json!({"text": "region", "dashboardUID": "a", "panelId": 2, "tags": ["ops", "team:db"], "time": 1000, "timeEnd": 5000}),
        json!({"text": "plain", "dashboardUID": "a", "data": {"by": ["ci"]}}),
        json!({"text": "gone", "dashboardUID": "b", "tags": ["ops", "gone"]}),
    ];
    let mut ids = Vec::new();
    for annotation in &annotations {
        ids.push(admin.post("/api/annotations", annotation).await.expect(200).body["id"].clone());
    }
    let change = json!({"tags": ["ops", "team:db:eu"], "time": 2000, "timeEnd": 7000});
    admin.patch(&format!("/api/annotations/{}", ids[1]), &change).await.expect(200);
    admin.delete(&format!("/api/annotations/{}", ids[3])).await.expect(200);
}

/// The schema of all tables, except for the ids of its objects.
const SCHEMA: &str = "SELECT string_agg(fact, E'\n' ORDER BY fact) FROM (
    SELECT format('table %s %s %s %s %s %s', relname, relrowsecurity, relforcerowsecurity, reloptions,
        pg_get_userbyid(relowner), relacl) AS fact
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    UNION ALL SELECT format('column %s %s %s %s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod),
        attnotnull, attgenerated, attcollation::regcollation, attcompression)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT format('policy %s %s %s %s %s %s', tablename, policyname, roles, cmd, qual, with_check)
        FROM pg_policies
    UNION ALL SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT format('function %s %s %s', pg_get_functiondef(oid), pg_get_userbyid(proowner), proacl)
        FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prolang <>
            (SELECT oid FROM pg_language WHERE lanname = 'c')
    UNION ALL SELECT format('schema %s %s', nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_'
    ) AS facts";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_damaged_projection_is_rebuilt() {
    let server = ServerProcess::start_with("rebuild", QUOTAS).await;
    fill(&server).await;
    let database = server.database().await;
    let schema: String = database.query_one(SCHEMA, &[]).await.unwrap().get(0);
    assert!(verify(&server));
    for projector in projectors() {
        for table in projector.tables() {
            let sql = format!("DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} LIMIT 1)");
            assert_eq!(database.execute(&sql, &[]).await.unwrap(), 1, "{table} is empty");
        }
    }
    assert!(!verify(&server));
    let (is_ok, said) = run(&server, &["projections", "rebuild"]);
    assert!(is_ok, "{said}");
    assert_eq!(said.matches(" events into ").count(), projectors().len(), "{said}");
    let (is_ok, said) = run(&server, &["verify"]);
    assert!(is_ok, "{said}");
    assert_eq!(database.query_one(SCHEMA, &[]).await.unwrap().get::<_, String>(0), schema);

    for projector in projectors() {
        for table in projector.tables() {
            database.batch_execute(&format!("TRUNCATE {table}")).await.unwrap();
        }
        let (is_ok, said) = run(&server, &["projections", "rebuild", projector.name()]);
        assert!(is_ok, "{said}");
        assert!(said.contains(" events into "), "{said}");
    }
    let (is_ok, said) = run(&server, &["verify"]);
    assert!(is_ok, "{said}");
    assert_eq!(database.query_one(SCHEMA, &[]).await.unwrap().get::<_, String>(0), schema);

    let (is_ok, said) = run(&server, &["projections", "list"]);
    assert!(is_ok && said.contains("dashboard_versions"), "{said}");
    assert!(projectors().iter().all(|projector| said.contains(projector.name())), "{said}");
    let (is_ok, said) = run(&server, &["projections", "rebuild", "comets"]);
    assert!(!is_ok && said.contains("unknown projection: use quotas, orgs"), "{said}");
    server.admin().get("/api/dashboards/uid/a").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_serves_while_projections_are_rebuilt() {
    let server = Arc::new(ServerProcess::start_with("rebuild-busy", QUOTAS).await);
    let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    fill(&server).await;
    let clients = (0..8).map(|number| {
        let (client, stop, requests) = (server.admin(), stop.clone(), requests.clone());
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let round = requests.fetch_add(1, Ordering::Relaxed);
                read_and_write(&client, number, round).await;
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    for round in 0..3 {
        let before = requests.load(Ordering::Relaxed);
        let rebuilding = server.clone();
        let rebuilt = tokio::task::spawn_blocking(move || run(&rebuilding, &["projections", "rebuild"]));
        let (is_ok, said) = rebuilt.await.unwrap();
        assert!(is_ok, "{said}");
        assert!(requests.load(Ordering::Relaxed) > before, "round {round}: nobody got on");
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let (is_ok, said) = run(&server, &["verify"]);
    assert!(is_ok, "{said}");
}

async fn read_and_write(client: &Client, number: i32, round: u64) {
    let uid = format!("w{number}");
    let title = format!("{uid} {round}");
    let save = json!({"dashboard": {"uid": uid, "title": title}, "overwrite": true, "message": title});
    client.post("/api/dashboards/db", &save).await.expect(200);
    let read = client.get(&format!("/api/dashboards/uid/{uid}")).await.expect(200).body;
    assert_eq!(read["dashboard"]["title"], title.as_str());
    let found = client.get(&format!("/api/search?query={uid}")).await.expect(200).body;
    assert!(found.as_array().unwrap().iter().any(|hit| hit["title"] == title.as_str()), "{found}");
    client.get(&format!("/api/dashboards/uid/{uid}/versions")).await.expect(200);
    let folder = json!({"uid": format!("f{number}-{round}"), "title": title});
    client.post("/api/folders", &folder).await.expect(200);
    client.get("/api/folders").await.expect(200);
    client.get("/api/org/users").await.expect(200);
    client.post(&format!("/api/user/stars/dashboard/uid/{uid}"), &json!({})).await.expect(200);
    client.delete(&format!("/api/user/stars/dashboard/uid/{uid}")).await.expect(200);
}

/// Imports this many folders into org 1.
fn import_folders(server: &ServerProcess, count: usize) {
    let lines = (0..count).map(|number| {
        let uid = format!("f{number}");
        let created = json!({"id": 1, "uid": uid, "title": uid, "description": "", "parent_uid": null});
        json!({"aggregate_type": "folder", "aggregate_id": uid, "sequence": 1, "event_type": "folder.created",
            "event_version": "1", "payload": {"folder.created": created}, "metadata": {}})
        .to_string()
    });
    let path = std::env::temp_dir().join(format!("kymograph-rebuild-{}.ndjson", std::process::id()));
    std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let (is_ok, said) = run(server, &["import", "--org", "1", "--from", path.to_str().unwrap()]);
    std::fs::remove_file(path).unwrap();
    assert!(is_ok, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_killed_leaves_the_old_tables_and_the_next_starts_clean() {
    let server = ServerProcess::start_with("rebuild-killed", QUOTAS).await;
    import_folders(&server, 10_000);
    let database = server.database().await;
    // The lock that prevents the switch of the tables also prevents the rebuild from ending before it is killed.
    let holder = server.database().await;
    holder.batch_execute("BEGIN; LOCK TABLE folders IN ACCESS SHARE MODE").await.unwrap();
    let mut child = server.command(&["projections", "rebuild", "folders"]).spawn().unwrap();
    let is_begun = "SELECT to_regclass('rebuild.folders') IS NOT NULL";
    for attempt in 0.. {
        if database.query_one(is_begun, &[]).await.unwrap().get(0) {
            break;
        }
        assert!(attempt < 500, "the rebuild did not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (is_ok, said) = run(&server, &["projections", "list"]);
    assert!(is_ok && said.contains("being rebuilt"), "{said}");
    // Only one rebuild at a time, and none during a verification.
    let (is_ok, said) = run(&server, &["projections", "rebuild", "stars"]);
    assert!(!is_ok && said.contains("a rebuild or a verification is running"), "{said}");
    let (is_ok, said) = run(&server, &["verify"]);
    assert!(!is_ok && said.contains("a projection is being rebuilt"), "{said}");
    child.kill().unwrap();
    child.wait().unwrap();
    holder.batch_execute("COMMIT").await.unwrap();

    let admin = server.admin();
    admin.get("/api/folders/f9999").await.expect(200);
    admin.post("/api/folders", &json!({"uid": "late", "title": "Late"})).await.expect(200);
    for attempt in 0.. {
        let (is_ok, said) = run(&server, &["projections", "list"]);
        assert!(is_ok, "{said}");
        if said.contains("a rebuild was aborted") {
            break;
        }
        assert!(attempt < 100, "{said}");
    }
    let (is_ok, said) = run(&server, &["verify"]);
    assert!(is_ok, "{said}");
    let (is_ok, said) = run(&server, &["projections", "rebuild", "folders"]);
    assert!(is_ok && said.contains("folders: "), "{said}");
    let (is_ok, said) = run(&server, &["verify"]);
    assert!(is_ok, "{said}");
    assert!(!database.query_one(is_begun, &[]).await.unwrap().get::<_, bool>(0));
    admin.get("/api/folders/late").await.expect(200);
}
