//! Folders through HTTP.

use kymograph_domain::{OrgId, Uid};
use kymograph_projections::OnFailure;
use kymograph_projections::content::folder::still_is;
use kymograph_projections::kernel::statement::param;
use kymograph_tests::TestServer;
use serde_json::json;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;

#[tokio::test]
async fn nests_moves_counts_and_deletes_with_contents() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let mut parent = String::new();
    for uid in ["a", "b", "c", "d", "e"] {
        let folder = json!({"title": uid.to_uppercase(), "uid": uid, "parentUid": parent});
        let body = admin.post("/api/folders", &folder).await.expect(200).body;
        assert_eq!(body["parents"].as_array().map_or(0, Vec::len), usize::from(uid.as_bytes()[0] - b'a'));
        parent = uid.to_owned();
    }
    let too_deep = json!({"title": "F", "uid": "f", "parentUid": "e"});
    admin.post("/api/folders", &too_deep).await.expect(400);
    admin.post("/api/folders/a/move", &json!({"parentUid": "d"})).await.expect(400);
    admin.post("/api/folders/a/move", &json!({"parentUid": "a"})).await.expect(400);
    admin.post("/api/folders/c/move", &json!({"parentUid": "gone"})).await.expect(404);

    let dashboard = json!({"dashboard": {"title": "CPU", "uid": "cpu"}, "folderUid": "e"});
    admin.post("/api/dashboards/db", &dashboard).await.expect(200);
    let counts = admin.get("/api/folders/a/counts").await.expect(200).body;
    assert_eq!(counts, json!({"folder": 4, "dashboard": 1}));

    let moved = admin.post("/api/folders/c/move", &json!({"parentUid": ""})).await.expect(200).body;
    assert_eq!((&moved["parentUid"], &moved["version"]), (&json!(null), &json!(2)));
    assert_eq!(admin.get("/api/folders").await.expect(200).body.as_array().unwrap().len(), 2);

    admin.delete("/api/folders/c").await.expect_message(200, "Folder C deleted");
    for path in ["/api/folders/c", "/api/folders/e", "/api/dashboards/uid/cpu"] {
        admin.get(path).await.expect(404);
    }
    admin.get("/api/folders/b").await.expect(200);
}

#[tokio::test]
async fn a_stale_version_is_refused() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let created = admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(200).body;
    let changed = json!({"title": "Net", "version": 1});
    admin.put("/api/folders/ops", &changed).await.expect(200);
    let stale = admin.put("/api/folders/ops", &changed).await.expect(412);
    assert_eq!(stale.body["status"], "version-mismatch");
    assert_eq!(stale.body["message"], "the folder has been changed by someone else");
    let overwritten = json!({"title": "Nets", "overwrite": true});
    let body = admin.put("/api/folders/ops", &overwritten).await.expect(200).body;
    assert_eq!((&body["version"], &body["created"]), (&json!(3), &created["created"]));
    admin.post("/api/folders", &json!({"title": "Ops", "uid": "ops"})).await.expect(412);
}

#[tokio::test]
async fn bad_input_is_told_clearly() {
    let server = TestServer::start().await;
    let admin = server.admin();
    admin
        .post("/api/folders", &json!({"title": null}))
        .await
        .expect_message(400, "folder title cannot be empty");
    admin.post("/api/folders", &json!({"title": "x", "uid": "a/b"})).await.expect(400);
    admin.post("/api/folders", &json!({"title": "x", "uid": "x".repeat(41)})).await.expect(400);
    admin.post("/api/folders", &json!({"title": "x", "parentUid": "gone"})).await.expect(400);
    admin.post("/api/folders", &json!({"title": "x", "uid": "general"})).await.expect(400);
    admin.get("/api/folders/gone").await.expect_message(404, "folder not found");
}

#[tokio::test]
async fn the_root_can_be_read_like_a_folder() {
    let server = TestServer::start().await;
    let (viewer, _) = server.new_member(1, "viewer", "Viewer").await;
    let (editor, _) = server.new_member(1, "editor", "Editor").await;
    for path in ["/api/folders/general", "/api/folders/id/0"] {
        for (client, is_admin, is_editor) in
            [(server.admin(), true, true), (editor.clone(), false, true), (viewer.clone(), false, false)]
        {
            let root = client.get(path).await.expect(200).body;
            assert_eq!(
                (&root["id"], &root["uid"], &root["orgId"]),
                (&json!(0), &json!("general"), &json!(1))
            );
            assert_eq!((&root["canAdmin"], &root["canSave"]), (&json!(is_admin), &json!(is_editor)));
        }
    }
    server.admin().delete("/api/folders/general").await.expect(404);
    server.admin().put("/api/folders/general", &json!({"title": "x", "overwrite": true})).await.expect(404);
    server.admin().get("/api/folders/id/-1").await.expect(404);
}

#[tokio::test]
async fn a_commit_rests_on_the_folder_that_it_was_decided_on() {
    let server = TestServer::start().await;
    let folder = json!({"title": "Ops", "uid": "ops"});
    let id = server.admin().post("/api/folders", &folder).await.expect(200).body["id"].as_i64().unwrap();
    let client = server.database.connect().await;
    let uid = |uid| Uid::try_new(uid).unwrap();
    for (uid, id, holds) in [(uid("ops"), id, true), (uid("ops"), id + 1, false), (uid("other"), id, false)] {
        let check = still_is(OrgId(1), &uid, id);
        let params: Vec<_> = check.params.iter().cloned().map(param).collect();
        let params: Vec<_> = params.iter().map(|param| &**param as &(dyn ToSql + Sync)).collect();
        let checked = client.execute(check.sql, &params).await;
        let code = checked.err().and_then(|error| error.code().cloned());
        assert_eq!(code, (!holds).then_some(SqlState::DIVISION_BY_ZERO));
        assert_eq!(check.on_failure, OnFailure::Conflict);
    }
}

#[tokio::test]
async fn a_change_looks_at_no_more_folders_than_it_is_about() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let client = server.database.connect().await;
    let folders = "INSERT INTO folders (org_id, uid, id, title, slug, description, parent_uid, version, created, created_by,
            updated, updated_by, creator_id)
        SELECT 1, 'f' || n, 100000 + n, 'f', 'f', '', '', 1, now(), 'x', now(), 'x', 1 FROM generate_series(1, 4000) n;
        ANALYZE folders";
    client.batch_execute(folders).await.unwrap();
    let looked_at = async || {
        // A connection reports its reads at the latest after ten seconds of idling.
        tokio::time::sleep(std::time::Duration::from_secs(11)).await;
        let sql = "SELECT (seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_user_tables WHERE relname = 'folders'";
        server.database.scalar::<i64>(sql).await
    };
    let before = looked_at().await;
    admin.post("/api/folders", &json!({"uid": "top", "title": "Top"})).await.expect(200);
    // After several executions, a statement has a generic plan.
    for number in 0..20 {
        let form = json!({"uid": format!("in-{number}"), "title": "In", "parentUid": "top"});
        admin.post("/api/folders", &form).await.expect(200);
    }
    admin.delete("/api/folders/top").await.expect(200);
    let seen = looked_at().await - before;
    assert!(seen < 4000, "{seen} folders were looked at to create and delete 21");
}
