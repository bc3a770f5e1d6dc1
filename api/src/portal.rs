//! The portal: the files of a web application on the public API.
//!
//! Its routes are not operations of the API, so they are not among [`crate::kernel::routes::Routes`]. The files are
//! compressed at build time and sent unchanged.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use kymograph_app::kernel::random::hex;
use sha2::{Digest, Sha256};

use crate::account::session::session_token;
use crate::kernel::url::sub_path;

/// The Content-Security-Policy of the portal: pages load their own files and access their own server, and nothing else.
/// There is no exception for inline scripts and styles, nor for other hosts.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

/// The base URL in the built page, which the server replaces.
const BUILT_BASE: &str = r#"<base href="/portal/" />"#;

/// The page of a server that was built without the portal.
const NOT_BUILT: &str = "This server was built without its portal. `make run` builds both.\n";

/// A file of the portal.
#[derive(Clone, Copy, Debug)]
pub struct PortalFile {
    /// Its path under `/portal/`.
    pub path: &'static str,
    /// Its content, compressed with Brotli.
    pub brotli: &'static [u8],
    /// Its content, compressed with gzip.
    pub gzip: &'static [u8],
}

/// The built portal. Without an index it was not built.
#[derive(Clone, Copy, Debug, Default)]
pub struct PortalFiles {
    /// The index page.
    pub index: Option<&'static str>,
    /// The other files, sorted by path.
    pub files: &'static [PortalFile],
}

struct Portal {
    index: Option<Index>,
    files: &'static [PortalFile],
    home: String,
    sub_path: String,
    cookie_name: String,
}

struct Index {
    html: Bytes,
    etag: HeaderValue,
}

/// The routes of the portal. `root_url` is the public URL of the server; `cookie_name` is the session cookie.
pub fn router(files: PortalFiles, root_url: &str, cookie_name: &str) -> Router {
    let sub_path = sub_path(root_url).to_owned();
    let home = format!("{sub_path}/portal");
    let index = files.index.and_then(|html| {
        let html = html.replace(BUILT_BASE, &format!(r#"<base href="{}/" />"#, escaped(&home)));
        let hash = hex(&Sha256::digest(&html)[..16]);
        let etag = HeaderValue::try_from(format!("\"{hash}\"")).ok()?;
        Some(Index { html: html.into(), etag })
    });
    let portal =
        Arc::new(Portal { index, files: files.files, home, sub_path, cookie_name: cookie_name.to_owned() });
    Router::new()
        .route("/", get(redirect))
        .route("/login", get(open_login))
        .route("/d/{uid}", get(open_dashboard))
        .route("/d/{uid}/{slug}", get(open_titled_dashboard))
        .route("/dashboards", get(open_dashboards))
        .route("/dashboards/f/{uid}", get(open_folder))
        .route("/dashboards/f/{uid}/{slug}", get(open_titled_folder))
        .route("/invite/{code}", get(open_invite))
        .route("/user/email/update", get(open_email_link))
        .route("/portal", get(serve_index))
        .route("/portal/{*path}", get(serve_path))
        .with_state(portal)
}

/// Escapes a text for an attribute. A sub-path is configured, which is no reason to trust it.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, character| {
        match character {
            '"' | '&' | '<' | '>' => {
                // Writing to a text cannot fail.
                let _ = write!(out, "&#{};", u32::from(character));
            }
            _ => out.push(character),
        }
        out
    })
}

async fn redirect(State(portal): State<Arc<Portal>>) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, portal.home.clone())]).into_response()
}

/// Clients check here that log-ins are possible, and do not follow redirects.
async fn open_login(State(portal): State<Arc<Portal>>) -> Response {
    let login = escaped(&format!("{}/login", portal.home));
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Log in to Kymograph</title>\
        <meta http-equiv=\"refresh\" content=\"0; url={login}\"></head>\
        <body><a href=\"{login}\">Log in to Kymograph</a></body></html>\n"
    );
    let headers = [
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, page).into_response()
}

async fn open_dashboard(State(portal): State<Arc<Portal>>, Path(uid): Path<String>) -> Response {
    portal.open("dashboards/", &uid)
}

async fn open_titled_dashboard(
    State(portal): State<Arc<Portal>>,
    Path((uid, _)): Path<(String, String)>,
) -> Response {
    portal.open("dashboards/", &uid)
}

async fn open_dashboards(State(portal): State<Arc<Portal>>) -> Response {
    portal.open("dashboards", "")
}

async fn open_folder(State(portal): State<Arc<Portal>>, Path(uid): Path<String>) -> Response {
    portal.open("dashboards?folder=", &uid)
}

async fn open_titled_folder(
    State(portal): State<Arc<Portal>>,
    Path((uid, _)): Path<(String, String)>,
) -> Response {
    portal.open("dashboards?folder=", &uid)
}

/// The link of an invite. It must not be leaked by `Referer`: the URL contains the code.
async fn open_invite(State(portal): State<Arc<Portal>>, Path(code): Path<String>) -> Response {
    portal.open("invite/", &code)
}

/// The link of a verification mail. Without a session it redirects to the log-in, since the operation would fail.
async fn open_email_link(State(portal): State<Arc<Portal>>, uri: Uri, headers: HeaderMap) -> Response {
    let location = if session_token(&headers, &portal.cookie_name).is_some() {
        format!("{}/api/user/email/update?{}", portal.sub_path, uri.query().unwrap_or_default())
    } else {
        format!("{}/profile?email=log-in", portal.home)
    };
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::FOUND, headers).into_response()
}

async fn serve_index(State(portal): State<Arc<Portal>>, headers: HeaderMap) -> Response {
    portal.respond_index(&headers)
}

/// A file, or else the page, which handles all paths below `/portal/`.
async fn serve_path(
    State(portal): State<Arc<Portal>>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response {
    match portal.files.binary_search_by_key(&path.as_str(), |file| file.path) {
        Ok(found) => portal.files.get(found).map_or_else(not_found, |file| respond_file(file, &headers)),
        // A page of an older server must get 404 for a removed file, not the page.
        Err(_) if path.starts_with("assets/") => not_found(),
        Err(_) => portal.respond_index(&headers),
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-store")], "Not found").into_response()
}

impl Portal {
    /// Redirects a URL of responses to the page of its object.
    fn open(&self, page: &str, name: &str) -> Response {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) {
            return not_found();
        }
        let headers = [
            (header::LOCATION, format!("{}/{page}{name}", self.home)),
            (header::CACHE_CONTROL, "no-store".to_owned()),
            (header::REFERRER_POLICY, "no-referrer".to_owned()),
        ];
        (StatusCode::FOUND, headers).into_response()
    }

    fn respond_index(&self, headers: &HeaderMap) -> Response {
        let Some(Index { html, etag }) = &self.index else {
            let headers = [(header::CACHE_CONTROL, "no-store")];
            return (StatusCode::NOT_FOUND, headers, NOT_BUILT).into_response();
        };
        let known = headers.get(header::IF_NONE_MATCH);
        let mut response = if known == Some(etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.clone()).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

/// A file in the best encoding that the client accepts. Without `Accept-Encoding` any is accepted.
fn respond_file(file: &PortalFile, headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let takes_brotli = accepted.is_some_and(|accepted| {
        accepted.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next() == Some("br") && parts.next() != Some("q=0")
        })
    });
    let (encoding, content) = if takes_brotli { ("br", file.brotli) } else { ("gzip", file.gzip) };
    // File names contain a hash, except those with a fixed name.
    let caching = if file.path.starts_with("assets/") {
        "public, max-age=31536000, immutable"
    } else {
        "public, max-age=3600"
    };
    let headers = [
        (header::CONTENT_TYPE, content_type(file.path)),
        (header::CONTENT_ENCODING, encoding),
        (header::VARY, "Accept-Encoding"),
        (header::CACHE_CONTROL, caching),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, Bytes::from_static(content)).into_response()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    const INDEX: &str = r#"<html><base href="/portal/" /></html>"#;
    const FILES: &[PortalFile] = &[PortalFile { path: "assets/a-1.js", brotli: b"B", gzip: b"G" }];

    async fn get(root_url: &str, path: &str, headers: &[(&str, &str)]) -> (Response, String) {
        let router = router(PortalFiles { index: Some(INDEX), files: FILES }, root_url, "session");
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let body = to_bytes(std::mem::take(response.body_mut()), 1 << 20).await.unwrap();
        (response, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_path_is_the_page_and_the_page_knows_where_it_is() {
        for path in ["/portal", "/portal/dashboards/a/versions"] {
            let (response, body) = get("http://example.org/k/", path, &[]).await;
            assert_eq!(response.status(), 200);
            assert!(body.contains(r#"<base href="/k/portal/" />"#), "{body}");
            assert_eq!(response.headers()["cache-control"], "no-cache");
            let etag = response.headers()["etag"].to_str().unwrap();
            let (again, _) = get("http://example.org/k/", path, &[("if-none-match", etag)]).await;
            assert_eq!(again.status(), 304);
        }
        let (response, _) = get("http://example.org/", "/", &[]).await;
        assert_eq!(response.headers()["location"], "/portal");
    }

    #[tokio::test]
    async fn addresses_that_answers_tell_lead_to_pages() {
        for (asked, page) in [
            ("/d/a-1", "dashboards/a-1"),
            ("/d/a-1/cpu", "dashboards/a-1"),
            ("/dashboards", "dashboards"),
            ("/dashboards/f/ops/ops-team", "dashboards?folder=ops"),
            ("/dashboards/f/ops", "dashboards?folder=ops"),
            ("/invite/1-2-abc", "invite/1-2-abc"),
        ] {
            let (response, _) = get("http://example.org/k/", asked, &[]).await;
            assert_eq!(response.status(), 302, "{asked}");
            assert_eq!(response.headers()["location"], format!("/k/portal/{page}"));
        }
        for hostile in ["/d/a%2F..%2F..", "/invite/%0d%0aSet-Cookie:a", "/dashboards/f/a&at=1"] {
            assert_eq!(get("http://a/", hostile, &[]).await.0.status(), 404, "{hostile}");
        }
        let (response, body) = get("http://example.org/k/", "/login", &[]).await;
        assert_eq!(response.status(), 200);
        assert!(body.contains(r#"content="0; url=/k/portal/login""#), "{body}");
    }

    #[tokio::test]
    async fn files_are_sent_compressed_and_kept_for_ever() {
        let (response, body) =
            get("http://a/", "/portal/assets/a-1.js", &[("accept-encoding", "gzip, br")]).await;
        assert_eq!((response.headers()["content-encoding"].to_str().unwrap(), body.as_str()), ("br", "B"));
        assert!(response.headers()["cache-control"].to_str().unwrap().contains("immutable"));
        let (response, body) =
            get("http://a/", "/portal/assets/a-1.js", &[("accept-encoding", "gzip, br;q=0")]).await;
        assert_eq!((response.headers()["content-encoding"].to_str().unwrap(), body.as_str()), ("gzip", "G"));
        let (response, _) = get("http://a/", "/portal/assets/gone.js", &[]).await;
        assert_eq!(response.status(), 404);
    }

    #[tokio::test]
    async fn a_sub_path_cannot_break_out_of_the_page() {
        let (_, body) = get("http://a/\"><script>/", "/portal", &[]).await;
        assert!(!body.contains("<script>"), "{body}");
    }
}
