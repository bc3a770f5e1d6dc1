//! Request bodies, which are parsed as clients of Grafana expect.

use axum::http::{Method, StatusCode};
use kymograph_tests::{Client, TestServer};
use serde_json::{Value, json};

use crate::route_examples::Objects;

/// Sends a raw body, and returns the response. The document of the API does not describe such bodies.
async fn send(client: &Client, method: Method, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = client.request(method, path).header("content-type", "application/json").body(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn post(client: &Client, path: &str, body: &str) -> (u16, Value) {
    send(client, Method::POST, path, body.to_owned()).await
}

#[tokio::test]
async fn a_member_of_another_type_is_refused_and_named() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let save = |members: &str| format!(r#"{{"dashboard":{{"title":"CPU"}},{members}}}"#);
    let document = |members: &str| format!(r#"{{"dashboard":{{"title":"CPU",{members}}}}}"#);
    for (path, body, fault) in [
        ("/api/dashboards/db", save(r#""folderId":"245""#), "folderId: "),
        ("/api/dashboards/db", save(r#""folderUid":5"#), "folderUid: "),
        ("/api/dashboards/db", save(r#""overwrite":"true""#), "overwrite: "),
        ("/api/dashboards/db", save(r#""OVERWRITE":1"#), "overwrite: "),
        ("/api/dashboards/db", save(r#""message":["m"]"#), "message: "),
        ("/api/dashboards/db", document(r#""version":"1""#), "dashboard version must be a whole number"),
        ("/api/dashboards/db", document(r#""version":1.5"#), "dashboard version must be a whole number"),
        ("/api/dashboards/db", document(r#""id":"39""#), "dashboard id must be a whole number"),
        ("/api/dashboards/db", document(r#""uid":5"#), "dashboard uid must be a text"),
        ("/api/dashboards/db", document(r#""tags":"a""#), "dashboard tags must be a list of texts"),
        ("/api/dashboards/db", document(r#""tags":[1]"#), "dashboard tags must be a list of texts"),
        ("/api/dashboards/db", r#"{"dashboard":{"title":5}}"#.to_owned(), "dashboard title must be a text"),
        ("/api/dashboards/db", r#"["dashboard"]"#.to_owned(), "it must be an object"),
        ("/api/dashboards/import", save(r#""inputs":{"name":"a"}"#), "inputs: "),
        ("/api/dashboards/import", save(r#""inputs":[{"name":5}]"#), "inputs: item 0: name: "),
        ("/api/folders", r#"["u","T"]"#.to_owned(), "sequence, expected an object"),
        ("/api/folders", r#"{"title":["T"]}"#.to_owned(), "title: "),
        ("/api/folders", r#"{"title":"T","parentUid":5}"#.to_owned(), "parentUid: "),
        ("/api/folders", "{\"title\":\"a\\u0000b\"}".to_owned(), "title: a text cannot have NUL characters"),
    ] {
        let (status, answer) = post(&admin, path, &body).await;
        let message = answer["message"].as_str().unwrap();
        assert!(status == 400 && message.contains(fault), "{body}: {status} {message}");
    }
    let hits = admin.get("/api/search").await.expect(200).body;
    assert_eq!(hits, json!([]), "something was saved of a form that was refused");
}

#[tokio::test]
async fn names_of_members_are_read_in_any_case() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let (status, folder) = post(&admin, "/api/folders", r#"{"TITLE":"Ops","Uid":"ops"}"#).await;
    assert_eq!((status, &folder["uid"]), (200, &json!("ops")));
    let body = r#"{"Dashboard":{"title":"CPU","uid":"cpu"},"folderUID":"ops"}"#;
    let (status, saved) = post(&admin, "/api/dashboards/db", body).await;
    assert_eq!((status, &saved["folderUid"]), (200, &json!("ops")));
    // Of a duplicate name the last value counts, and `null` counts as absent.
    let body =
        r#"{"dashboard":{"title":"CPU","uid":"cpu"},"overwrite":false,"OverWrite":true,"folderUid":null}"#;
    let (status, saved) = post(&admin, "/api/dashboards/db", body).await;
    assert_eq!((status, &saved["folderUid"]), (200, &json!("")));
    let permissions = r#"{"Items":[{"Role":"Viewer","Permission":1}]}"#;
    assert_eq!(post(&admin, "/api/folders/ops/permissions", permissions).await.0, 200);
    let permissions = admin.get("/api/folders/ops/permissions").await.expect(200).body;
    assert_eq!((permissions.as_array().unwrap().len(), &permissions[0]["role"]), (1, &json!("Viewer")));
}

#[tokio::test]
async fn whole_numbers_are_read_however_they_are_written() {
    let server = TestServer::start().await;
    let admin = server.admin();
    let saved = admin.post("/api/dashboards/db", &json!({"dashboard": {"title": "CPU"}})).await.expect(200);
    let body = format!(r#"{{"dashboard":{{"title":"CPU 2","id":{}.0,"version":1.0}}}}"#, saved.body["id"]);
    let (status, again) = post(&admin, "/api/dashboards/db", &body).await;
    assert_eq!((status, &again["uid"], &again["version"]), (200, &saved.body["uid"], &json!(2)));
}

/// Invalid bodies, with the expected status and message.
const NO_FORMS: [(&[u8], u16, &str); 7] = [
    (b"\xEF\xBB\xBF{\"title\":\"T\"}", 400, "byte order mark"),
    (b"\xFF\xFE{\0}\0", 400, "UTF-16"),
    (b"{\"title\":NaN}", 400, "NaN at byte 10"),
    (b"{\"title\":\"a\0b\"}", 400, "NUL character at byte 12"),
    (b"{\"title\":\"T\"", 400, "ends too early"),
    (b"{\"title\":\"\xFF\"}", 400, "not UTF-8 at byte 11"),
    (b"\x1F\x8B\x08\0\0\0\0\0", 415, "compressed"),
];

#[tokio::test]
async fn what_is_no_json_is_told_where_its_fault_is() {
    let server = TestServer::start().await;
    let admin = server.admin();
    for path in ["/api/folders", "/api/dashboards/db"] {
        for (body, status, fault) in NO_FORMS {
            let (answered, answer) = send(&admin, Method::POST, path, body).await;
            let message = answer["message"].as_str().unwrap();
            assert!(answered == status && message.contains(fault), "{path}: {answered} {message}");
        }
        let gzip = admin.request(Method::POST, path).header("content-encoding", "gzip").json(&json!({}));
        assert_eq!(gzip.send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let long = format!(r#"{{"title":"T","version":"{}"}}"#, "x".repeat(100_000));
    admin.post("/api/folders", &json!({"title": "T", "uid": "t"})).await.expect(200);
    let (status, answer) = send(&admin, Method::PUT, "/api/folders/t", long).await;
    let message = answer["message"].as_str().unwrap();
    assert!(status == 400 && message.ends_with("expected i64"), "{message}");
    assert!(message.len() < 301, "{message}");
}

#[tokio::test]
async fn no_route_takes_a_list_for_a_form_or_an_object_for_a_member() {
    let server = TestServer::with_settings(&["quota.enabled=true"]).await;
    let objects = Objects::make(&server, "forms").await;
    let admin = server.admin().in_org(objects.org);
    let mut members = 0;
    for route in server.routes.iter().filter(|route| (route.signature)().has_body) {
        let (method, path) = (route.method.clone(), objects.path(route));
        let client = if route.is_public { server.anonymous() } else { admin.clone() };
        for body in ["[]", "\"x\"", "5", r#"[{"a":1}]"#] {
            let (status, answer) = send(&client, method.clone(), &path, body).await;
            assert_eq!(status, 400, "{method} {path} took {body}: {answer}");
        }
        let example = objects.body(route, 1);
        for name in example.as_object().unwrap().keys() {
            members += 1;
            // The dashboard to interpolate can be any object.
            let is_any_object = route.path == "/api/dashboards/interpolate" && name == "dashboard";
            let object = (!is_any_object).then(|| json!({"a": {"b": 1}}));
            for wrong in [json!([[1]])].into_iter().chain(object) {
                let mut body = example.clone();
                body[name] = wrong;
                let (status, answer) = send(&client, method.clone(), &path, body.to_string()).await;
                assert!(matches!(status, 400 | 422), "{method} {path} took {body}: {status} {answer}");
            }
        }
    }
    assert!(members > 30, "only {members} members were tried");
}
