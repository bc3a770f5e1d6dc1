//! The log under concurrency, dropped requests and several servers.

use std::time::Duration;

use kymograph_server::verify::verify_database;
use kymograph_tests::{Cluster, TestDatabase, TestServer};
use serde_json::json;

#[tokio::test]
async fn concurrent_commands_of_one_org_share_transactions_and_leave_no_gap() {
    let server = TestServer::start().await;
    let writers = (0..32).map(|writer| {
        let admin = server.admin();
        tokio::spawn(async move {
            for _ in 0..10 {
                let save = json!({"dashboard": {"title": format!("d{writer}"), "uid": format!("d{writer}")}, "overwrite": true});
                admin.post("/api/dashboards/db", &save).await.expect(200);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let saves = "SELECT count(*) FROM events WHERE org_id = 1 AND stream_type = 'dashboard'";
    assert_eq!(server.database.scalar::<i64>(saves).await, 320);
    // Events of one transaction share its id, which the system column shows.
    let flights =
        "SELECT count(DISTINCT xmin::text) FROM events WHERE org_id = 1 AND stream_type = 'dashboard'";
    let flights: i64 = server.database.scalar(flights).await;
    assert!(flights < 300, "320 commands took {flights} transactions");
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_folder_deleted_while_it_is_filled_leaves_nothing_behind() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for round in 0..5 {
        let uid = format!("f{round}");
        admin.post("/api/folders", &json!({"title": "Ops", "uid": uid})).await.expect(200);
        let fillers = (0..8).map(|number| {
            let (admin, uid) = (server.admin(), uid.clone());
            tokio::spawn(async move {
                let save = json!({"dashboard": {"title": format!("d{number}")}, "folderUid": uid, "overwrite": true});
                admin.post("/api/dashboards/db", &save).await.status
            })
        });
        let fillers = fillers.collect::<Vec<_>>();
        admin.delete(&format!("/api/folders/{uid}")).await.expect(200);
        for filler in fillers {
            assert!([200, 400].contains(&filler.await.unwrap()));
        }
        let left: i64 = server
            .database
            .scalar(&format!(
                "SELECT count(*) FROM dashboards WHERE folder_uid = '{uid}' AND deleted IS NULL"
            ))
            .await;
        assert_eq!(left, 0);
    }
}

#[tokio::test]
async fn folders_moved_into_each_other_at_once_make_no_circle() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for uid in ["a", "b"] {
        admin.post("/api/folders", &json!({"title": uid, "uid": uid})).await.expect(200);
    }
    let (one, two) = (server.admin(), server.admin());
    let (into_b, into_a) = (json!({"parentUid": "b"}), json!({"parentUid": "a"}));
    let (first, second) =
        tokio::join!(one.post("/api/folders/a/move", &into_b), two.post("/api/folders/b/move", &into_a));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
}

#[tokio::test]
async fn two_servers_on_one_database_agree() {
    let database = Cluster::get().new_database().await;
    let same = TestDatabase { config: database.config.clone() };
    let one = TestServer::on_database(database, &[]).await;
    let two = TestServer::on_database(same, &[]).await;
    let writers = (0..16).map(|writer| {
        let admin = if writer % 2 == 0 { one.admin() } else { two.admin() };
        tokio::spawn(async move {
            for _ in 0..5 {
                let save = json!({"dashboard": {"title": "x", "uid": format!("d{}", writer / 2)}, "overwrite": true});
                admin.post("/api/dashboards/db", &save).await.expect(200);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(verify_database(&one.database.config).await.unwrap().faults, Vec::<String>::new());

    // One server invalidates its cached values when the other announces a change.
    two.admin().get("/api/dashboards/uid/d0").await.expect(200);
    let save = json!({"dashboard": {"title": "told", "uid": "d0"}, "overwrite": true});
    one.admin().post("/api/dashboards/db", &save).await.expect(200);
    for attempt in 0.. {
        let read = two.admin().get("/api/dashboards/uid/d0").await.expect(200).body;
        if read["dashboard"]["title"] == "told" {
            break;
        }
        assert!(attempt < 100, "the other server was never told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn dropped_requests_leave_neither_a_tenant_nor_a_stuck_connection() {
    let server = TestServer::with_settings(&["database.max_open_conn=4"]).await;
    let acme = server.new_org("Acme").await;
    let dashboard = json!({"dashboard": {"title": "CPU", "uid": "cpu"}, "overwrite": true});
    for org in [1, acme] {
        server.admin().in_org(org).post("/api/dashboards/db", &dashboard).await.expect(200);
    }
    let droppers = (0..400_u64).map(|number| {
        let admin = server.admin().in_org(if number % 2 == 0 { 1 } else { acme });
        let dashboard = dashboard.clone();
        tokio::spawn(async move {
            let request = async {
                match number % 4 {
                    0 | 1 => admin.post("/api/dashboards/db", &dashboard).await,
                    2 => admin.get("/api/search?query=cpu").await,
                    _ => admin.get("/api/dashboards/uid/cpu/versions").await,
                }
            };
            // Dropped at any moment after the first byte.
            let _ = tokio::time::timeout(Duration::from_micros(200 + number * 61 % 9000), request).await;
        })
    });
    for dropper in droppers.collect::<Vec<_>>() {
        dropper.await.unwrap();
    }
    for _ in 0..20 {
        for org in [1, acme] {
            let hits = server.admin().in_org(org).get("/api/search").await.expect(200).body;
            assert!(hits.as_array().unwrap().iter().all(|hit| hit["orgId"] == org), "{hits}");
        }
    }
    let stuck = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    assert_eq!(server.database.scalar::<i64>(stuck).await, 0);
    assert_eq!(verify_database(&server.database.config).await.unwrap().faults, Vec::<String>::new());
}
