//! The OpenAPI document, generated from routes, handlers and bodies.

mod document;
mod operation;
mod page;
pub(crate) mod parameter;
mod schema;
pub(super) mod signature;
mod simplify;
pub(super) mod status;
pub(crate) mod text;

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use kymograph_app::Error;
use kymograph_app::kernel::random::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ApiSettings;
use crate::kernel::error::ApiResult;
use crate::kernel::routes::{Group, Route, Routes, get};

pub use signature::{Describe, Signature};

/// The document of a server, generated lazily.
pub struct Document {
    settings: ApiSettings,
    routes: OnceLock<Vec<Route>>,
    json: OnceLock<Served>,
    page: OnceLock<Served>,
}

/// Immutable bytes.
struct Served {
    bytes: Bytes,
    etag: HeaderValue,
}

impl Document {
    /// The document of a server with these settings, without routes yet.
    pub(crate) fn new(settings: &ApiSettings) -> Arc<Self> {
        Arc::new(Self {
            settings: settings.clone(),
            routes: OnceLock::new(),
            json: OnceLock::new(),
            page: OnceLock::new(),
        })
    }

    /// Sets the routes, which include those of the document itself.
    pub(crate) fn set_routes(&self, routes: Vec<Route>) {
        // The router is built once, and so are its routes.
        let _ = self.routes.set(routes);
    }

    /// The document.
    pub fn json(&self) -> kymograph_app::Result<Value> {
        let routes = self.routes.get().map(Vec::as_slice).unwrap_or_default();
        document::document(routes, &self.settings).map_err(Error::internal)
    }
}

impl Served {
    fn new(bytes: Vec<u8>) -> ApiResult<Self> {
        let hash = Sha256::digest(&bytes);
        let etag = HeaderValue::try_from(format!("\"{}\"", hex(&hash[..16]))).map_err(Error::internal)?;
        Ok(Self { bytes: bytes.into(), etag })
    }

    fn respond(&self, headers: &HeaderMap, content_type: &'static str) -> Response {
        let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let is_known = known.is_some_and(|known| {
            known.split(',').any(|etag| {
                let etag = etag.trim();
                etag == "*" || etag.strip_prefix("W/").unwrap_or(etag) == self.etag
            })
        });
        // It is the same for all clients, so it can be cached, and is revalidated.
        let etag = [
            (header::ETAG, self.etag.clone()),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ];
        if is_known {
            return (StatusCode::NOT_MODIFIED, etag).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
        (etag, content_type, self.bytes.clone()).into_response()
    }
}

/// The description of 304.
const NOT_MODIFIED: &str = "Not modified: the `ETag` of the client is current";

const GROUP: Group = Group::new("openapi", "The OpenAPI document");

/// The routes of the document.
pub(crate) fn routes(document: &Arc<Document>) -> Routes {
    Routes::of(&GROUP)
        .add(
            get("/api/openapi.json", "getOpenapi", "Read the OpenAPI document")
                .answers::<Value>(200, "The document")
                .answers_nothing(304, NOT_MODIFIED)
                .public()
                .to(document, get_openapi),
        )
        .add(
            get("/api/docs", "getDocs", "Browse the API reference")
                .answers_text(200, "A page", "text/html")
                .answers_nothing(304, NOT_MODIFIED)
                .public()
                .to(document, get_docs),
        )
}

async fn get_openapi(State(document): State<Arc<Document>>, headers: HeaderMap) -> ApiResult<Response> {
    let json = served(&document.json, || {
        let json = serde_json::to_vec(&document.json()?).map_err(Error::internal)?;
        Served::new(json)
    })?;
    Ok(json.respond(&headers, "application/json"))
}

async fn get_docs(State(document): State<Arc<Document>>, headers: HeaderMap) -> ApiResult<Response> {
    let page = served(&document.page, || Served::new(page::page(&document.json()?).into_bytes()))?;
    let mut response = page.respond(&headers, "text/html; charset=utf-8");
    let policy = HeaderValue::try_from(content_security_policy()).map_err(Error::internal)?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// The served bytes, generated lazily.
fn served(kept: &OnceLock<Served>, make: impl FnOnce() -> ApiResult<Served>) -> ApiResult<&Served> {
    match kept.get() {
        Some(served) => Ok(served),
        None => {
            let served = make()?;
            Ok(kept.get_or_init(|| served))
        }
    }
}

/// The page may use its own style and nothing else.
fn content_security_policy() -> String {
    let style = STANDARD.encode(Sha256::digest(page::STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
