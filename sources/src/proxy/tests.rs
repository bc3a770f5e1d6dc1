//! The proxy, against a server on this machine.

use std::sync::Mutex;

use bytes::Bytes;

use super::*;
use crate::fixture::{Reply, Seen, StandIn, collected, context, resource, source};

async fn noting(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (StandIn, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let server = StandIn::start(move |request| {
        noted.lock().unwrap().push(request.clone());
        reply()
    })
    .await;
    (server, seen)
}

#[tokio::test]
async fn requests_go_on_with_the_credentials_of_the_source() {
    let answer = || {
        let headers =
            [("set-cookie", "grafana_session=stolen"), ("x-told", "yes"), ("connection", "keep-alive")];
        Reply::new(201, &headers, b"made")
    };
    let (server, seen) = noting(answer).await;
    let proxy = HttpProxy::new(server.clients());
    let mut source = source(&format!("{}/base", server.url()));
    source.content.kind = "loki".to_owned();
    source.content.basic_auth = true;
    source.content.basic_auth_user = "ann".to_owned();
    source.secrets.0.insert("basicAuthPassword".to_owned(), "secret".to_owned().into());
    let context = context(source);
    let mut request = resource("POST", "api/v1/push%20it", "a=1&b=%2F");
    request.body = Bytes::from_static(b"{\"a\":1}");
    request.headers = [
        ("content-type", "application/json"),
        ("authorization", "Bearer glsa_of_the_caller"),
        ("cookie", "grafana_session=x"),
        ("origin", "http://evil.example"),
        ("referer", "http://evil.example"),
        ("x-grafana-user", "root"),
        ("accept-encoding", "gzip"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let response = proxy.forward(&context, request.clone()).await.unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(header_value(&response.headers, "x-told"), Some("yes"));
    assert_eq!(header_value(&response.headers, "set-cookie"), None);
    assert_eq!(header_value(&response.headers, "content-security-policy"), Some("sandbox"));
    assert_eq!(collected(response).await.unwrap(), b"made");
    let sent = seen.lock().unwrap().pop().unwrap();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/base/api/v1/push%20it"));
    assert_eq!((sent.query.as_str(), sent.body.as_str()), ("a=1&b=%2F", "{\"a\":1}"));
    assert_eq!(sent.headers["authorization"], "Basic YW5uOnNlY3JldA==");
    assert_eq!(sent.headers["content-type"], "application/json");
    assert_eq!(sent.headers["accept-encoding"], "gzip");
    for stopped in ["cookie", "origin", "referer", "x-grafana-user"] {
        assert!(!sent.headers.contains_key(stopped), "{stopped}");
    }

    request.headers.push(("X-DS-Authorization".to_owned(), "Bearer for-the-source".to_owned()));
    proxy.forward(&context, request).await.unwrap();
    let sent = seen.lock().unwrap().pop().unwrap();
    assert_eq!(sent.headers["authorization"], "Bearer for-the-source");
    assert!(!sent.headers.contains_key("x-ds-authorization"));
}

#[tokio::test]
async fn a_caller_is_not_logged_out_by_a_source() {
    let (server, _) = noting(|| Reply::new(401, &[("www-authenticate", "Basic")], b"who?")).await;
    let proxy = HttpProxy::new(server.clients());
    let response = proxy.forward(&context(source(&server.url())), resource("GET", "x", "")).await.unwrap();
    assert_eq!((response.status, header_value(&response.headers, "www-authenticate")), (400, None));
}

#[tokio::test]
async fn nothing_leads_out_of_the_address() {
    let (server, seen) = noting(|| Reply::text(200, "ok")).await;
    let proxy = HttpProxy::new(server.clients());
    let context = context(source(&format!("{}/base", server.url())));
    for path in ["../admin", "%2e%2e/admin", "a/..%2f..%2fadmin", "..%5cadmin", "%252e%252e/x"] {
        let error = proxy.forward(&context, resource("GET", path, "")).await.unwrap_err();
        assert_eq!(error.status, 400, "{path}");
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn prometheus_is_only_asked() {
    let (server, seen) = noting(|| Reply::text(200, "ok")).await;
    let proxy = HttpProxy::new(server.clients());
    let context = context(source(&server.url()));
    for (method, path, is_allowed) in [
        ("GET", "api/v1/status/config", true),
        ("POST", "api/v1/query", true),
        ("POST", "api/v1/query_range", true),
        ("POST", "api/v1/series", true),
        ("POST", "api/v1/query_evil", false),
        ("POST", "api/v1/admin/tsdb/delete_series", false),
        ("PUT", "api/v1/query", false),
        ("PATCH", "api/v1/query", false),
        ("DELETE", "api/v1/series", false),
        ("POST", "-/reload", false),
        ("POST", "api/v1/query/../../../-/quit", false),
    ] {
        let answer = proxy.forward(&context, resource(method, path, "")).await;
        assert_eq!(
            answer.map_or_else(|error| error.status, |answer| answer.status),
            if is_allowed { 200 } else { 403 },
            "{method} {path}"
        );
    }
    assert_eq!(seen.lock().unwrap().len(), 4);
    let error = proxy.forward(&context, resource("CONNECT", "x", "")).await.unwrap_err();
    assert_eq!(error.status, 403);
}
