//! A server on tables distributed by Citus responds exactly as on a single PostgreSQL.

use kymograph_domain::{OrgId, StoredEvent, Timestamp, UserId, registry};
use kymograph_projections::kernel::sql::Tables;
use kymograph_projections::{Recorded, Statements, projectors};
use kymograph_server::verify::verify_database;
use kymograph_tests::{Cluster, TestDatabase, TestServer};
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;

fn event(stored_type: &str, payload: &Value) -> Box<dyn StoredEvent> {
    registry::decode(stored_type, 1, &payload.to_string()).unwrap()
}

fn dashboard(kind: &str, number: i64, generation: i64, version: i64) -> Box<dyn StoredEvent> {
    let title = format!("{kind} \"{number}\" \\");
    let tags = json!(["a,b", "{c}", "\"", "\\", "é"]);
    let tags = if number % 2 == 0 { tags } else { json!([]) };
    let data = json!({"title": title, "tags": tags});
    let content = json!({"uid": format!("d{number}"), "title": title, "tags": tags, "folder_uid": null,
        "message": format!("version {version}"), "data": data});
    event(
        &format!("dashboard.{kind}"),
        &json!({"id": number + 100 * generation, "generation": generation, "version": version, "content": content}),
    )
}

fn folder(kind: &str, number: i64) -> Box<dyn StoredEvent> {
    let payload = json!({"id": number, "uid": format!("f{number}"), "title": format!("{kind} {number}"),
        "description": "", "parent_uid": null});
    event(&format!("folder.{kind}"), &payload)
}

/// The rows that result from events on such tables, and the statements that wrote them.
async fn projected(
    database: &TestDatabase,
    tables: Tables,
    runs: &[Vec<Box<dyn StoredEvent>>],
) -> (Vec<String>, Vec<&'static str>) {
    let mut client = database.connect().await;
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute("SET LOCAL app.org_id = '7'").await.unwrap();
    let (mut position, mut texts) = (0, Vec::new());
    for run in runs {
        let recorded: Vec<_> = run
            .iter()
            .map(|event| {
                position += 1;
                Recorded {
                    org: OrgId(7),
                    position,
                    recorded_at: Timestamp(position * 1000),
                    actor_id: UserId(1),
                    actor_login: "admin",
                    event: &**event,
                }
            })
            .collect();
        let mut statements = Statements::on(tables);
        projectors().iter().for_each(|projector| projector.project_many(&recorded, &mut statements));
        for statement in statements.into_vec().into_iter().filter(|statement| !statement.is_check) {
            let params: Vec<&(dyn ToSql + Sync)> =
                statement.params.iter().map(|param| &**param as _).collect();
            transaction.execute(statement.sql, &params).await.unwrap();
            texts.push(statement.sql);
        }
    }
    let rows = "SELECT to_jsonb(d)::text FROM dashboards d UNION ALL SELECT to_jsonb(v)::text FROM dashboard_versions v
        UNION ALL SELECT to_jsonb(l)::text FROM dashboard_lives l UNION ALL SELECT to_jsonb(f)::text FROM folders f
        UNION ALL SELECT to_jsonb(w)::text FROM title_words w ORDER BY 1";
    let rows = transaction.query(rows, &[]).await.unwrap();
    (rows.iter().map(|row| row.get(0)).collect(), texts)
}

#[tokio::test]
async fn rows_that_are_written_out_are_those_of_lists() {
    let database = Cluster::get().new_database().await;
    let runs = [
        (1..=87).map(|number| folder("created", number)).collect(),
        (1..=3).map(|number| folder("updated", number)).collect(),
        (1..=87).map(|number| dashboard("created", number, 1, 1)).collect(),
        (1..=5).map(|number| dashboard("updated", number, 1, 2)).collect(),
        (1..=2).map(|number| dashboard("created", number, 2, 1)).collect(),
    ];
    let (of_lists, lists) = projected(&database, Tables::Local, &runs).await;
    let (written_out, rows) = projected(&database, Tables::Distributed, &runs).await;
    assert_eq!(of_lists.len(), 87 * 2 + (87 + 5 + 2) + (87 + 2) + 2 * 2);
    assert_eq!(of_lists, written_out);
    assert!(lists.iter().any(|sql| sql.contains("unnest($2")));
    assert!(rows.iter().all(|sql| !sql.contains("FROM unnest")), "{rows:?}");
    // 87 rows are 64, 16, 4, 2 and 1.
    let inserts = rows.iter().filter(|sql| sql.starts_with("INSERT INTO folders"));
    assert_eq!(inserts.count(), 5);
}

#[tokio::test]
async fn both_ways_give_the_same_answers() {
    let mut database = Cluster::get().new_database().await;
    let local = TestServer::on_database(database.clone(), &[]).await;
    database.config = database.config.with_tables(Tables::Distributed);
    let distributed = TestServer::on_database(database.clone(), &[]).await;
    let admin = distributed.admin();
    let (ann, _) = distributed.new_member(1, "ann", "Viewer").await;
    for uid in ["ops", "net"] {
        admin.post("/api/folders", &json!({"title": uid, "uid": uid})).await.expect(200);
    }
    let saves = (0..40).map(async |number: usize| {
        let folder = ["", "ops", "net"][number % 3];
        let document = json!({"title": format!("Load {number}"), "uid": format!("d{number}"),
            "tags": if number.is_multiple_of(2) { json!(["even", "a,b"]) } else { json!([]) }});
        let save = json!({"dashboard": document, "folderUid": folder, "overwrite": true});
        admin.post("/api/dashboards/db", &save).await.expect(200);
        admin.post("/api/dashboards/db", &save).await.expect(200);
    });
    futures_util::future::join_all(saves).await;
    let viewers = json!({"permissions": [{"builtInRole": "Viewer", "permission": "View"}]});
    let path = "/api/access-control/folders/ops";
    admin.post(path, &viewers).await;
    for path in [
        "/api/search?query=load&limit=7",
        "/api/search?query=load&sort=alpha-asc&limit=7&page=2",
        "/api/search?query=load&tag=even&sort=alpha-desc",
        "/api/search?tag=even",
        "/api/search?folderUIDs=ops",
        "/api/folders",
        "/api/org/users",
        "/api/dashboards/tags",
        "/api/dashboards/uid/d4",
        "/api/teams/search",
        "/api/org/quotas",
    ] {
        for (one, other) in [
            (local.admin(), distributed.admin()),
            (local.client("ann", "secret"), distributed.client("ann", "secret")),
        ] {
            let (mut one, mut other) = (one.get(path).await, other.get(path).await);
            for answer in [&mut one, &mut other] {
                let members = answer.body.as_array_mut().into_iter().flatten();
                members.for_each(|member| {
                    *member.get_mut("lastSeenAtAge").unwrap_or(&mut Value::Null) = Value::Null;
                });
            }
            assert_eq!((one.status, &one.body), (other.status, &other.body), "{path}");
        }
    }
    ann.get("/api/search").await.expect(200);
    let report = verify_database(&database.config).await.unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
}

#[tokio::test]
async fn plain_postgresql_is_found_to_be_plain() {
    let database = Cluster::get().new_database().await;
    let found = database.config.with_tables(Tables::Distributed).with_tables_found().await.unwrap();
    assert_eq!(found.tables(), Tables::Local);
}
