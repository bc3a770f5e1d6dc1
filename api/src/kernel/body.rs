//! Request and response bodies.

pub(crate) mod form;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use kymograph_app::kernel::budget::{Budget, Charge};
use kymograph_app::{Error, RequestContext, Scope};
use kymograph_domain::kernel::json::{self, JsonDocument, JsonValue, PADDING};
use kymograph_domain::kernel::text::shortened;
use memchr::memmem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::kernel::error::ApiError;
use crate::kernel::layer::budget::{self, Owner};
use crate::kernel::layer::{Readmission, is_write};

/// The size limit of a body on a public route.
pub(crate) const MAX_PUBLIC_BODY: usize = 64 * 1024;
/// The size limit of a small body.
pub(crate) const SMALL_BODY: usize = 64 * 1024;
/// The size limit of a body without a dashboard.
pub(crate) const MAX_FORM: usize = 1024 * 1024;
/// The most values and names of members of a body without a dashboard. Each can take thirty times the two bytes that it needs
/// in the text.
pub(crate) const MAX_FORM_NODES: usize = 20_000;
/// The timeout for receiving a body on a public route.
pub(crate) const PUBLIC_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The growth step of a body buffer. Each step copies the bytes, on a thread that serves other requests, so steps are
/// large.
const GROWTH: usize = 4;
/// The number of bytes of a body that are hashed before yielding to other requests.
const MAX_PIECE: usize = 256 * 1024;
/// How many characters of an error in a body the response contains.
const MAX_FAULT: usize = 300;
/// The magic bytes of gzip.
const GZIP: &[u8] = b"\x1F\x8B";

/// The limits for the request bodies of a group of routes.
#[derive(Clone, Debug)]
pub(crate) struct BodyRules {
    budget: Arc<Budget<Owner>>,
    /// The budget for bodies of up to [`SMALL_BODY`], which large ones must not starve.
    small: Arc<Budget<Owner>>,
    max_bytes: usize,
    timeout: Option<Duration>,
}

impl BodyRules {
    /// The limits behind authentication. The request timeout covers the time a body takes.
    pub(crate) fn private(max_bytes: usize) -> Self {
        let (budget, small) = (budget::of_orgs(max_bytes), budget::of_small());
        Self { budget, small, max_bytes, timeout: None }
    }

    /// The limits of public routes.
    pub(crate) fn public(max_bytes: usize) -> Self {
        let budget = budget::of_public();
        Self {
            small: budget.clone(),
            budget,
            max_bytes: max_bytes.min(MAX_PUBLIC_BODY),
            timeout: Some(PUBLIC_BODY_TIMEOUT),
        }
    }
}

/// A body with its reservation of the budget.
#[derive(Debug)]
struct ReadBody {
    text: Vec<u8>,
    charge: Charge<Owner>,
}

/// The reservations of bodies whose forms a handler has. They end with the request, because forms need memory as well.
#[derive(Clone, Default)]
pub(crate) struct HeldCharges(Arc<Mutex<Vec<Charge<Owner>>>>);

impl HeldCharges {
    fn hold(request: &Request, charge: Charge<Owner>) {
        if let Some(Self(held)) = request.extensions().get() {
            held.lock().unwrap_or_else(PoisonError::into_inner).push(charge);
        }
    }
}

/// A body that was read before the handler runs.
#[derive(Clone)]
struct Prefetched(Arc<Mutex<Option<ReadBody>>>);

/// Reads the body and visits it in pieces, before the handler runs.
pub(crate) async fn peek(request: &mut Request, mut look: impl FnMut(&[u8])) -> Result<(), ApiError> {
    let body = read(request, usize::MAX).await?;
    for piece in body.text.chunks(MAX_PIECE) {
        look(piece);
        // Yields to other requests between the pieces of a long body.
        tokio::task::yield_now().await;
    }
    request.extensions_mut().insert(Prefetched(Arc::new(Mutex::new(Some(body)))));
    Ok(())
}

/// Reads the body within the limits of its route.
async fn read(request: &mut Request, max_bytes: usize) -> Result<ReadBody, ApiError> {
    let extensions = request.extensions_mut();
    if let Some(Prefetched(read)) = extensions.remove() {
        let read = read.lock().unwrap_or_else(PoisonError::into_inner).take();
        let read = read.ok_or_else(|| Error::internal("a body was read twice"))?;
        return if read.text.len() > max_bytes { Err(too_large()) } else { Ok(read) };
    }
    let rules: &Arc<BodyRules> =
        extensions.get().ok_or_else(|| Error::internal("a request without rules for its body"))?;
    let owner = match (extensions.get::<Scope>(), extensions.get::<RequestContext>()) {
        (Some(scope), _) => Owner::Org(scope.org()),
        (None, context) => Owner::of_address(context.map_or("", |context| &context.ip)),
    };
    let charges = [&rules.small, &rules.budget].map(|budget| Charge::new(budget.clone(), owner));
    let (max_bytes, timeout) = (rules.max_bytes.min(max_bytes), rules.timeout);
    let body = read_within(std::mem::take(request.body_mut()), max_bytes, charges);
    let (body, has_waited) = match timeout {
        None => body.await?,
        Some(timeout) => {
            let too_slow = |_| ApiError::new(StatusCode::GATEWAY_TIMEOUT, "the request body took too long");
            tokio::time::timeout(timeout, body).await.map_err(too_slow)??
        }
    };
    if has_waited && let Some(readmission) = request.extensions().get::<Readmission>().cloned() {
        readmission.check().await?;
    }
    Ok(body)
}

/// Reads a body into one buffer with room for the padding, and returns whether it had to wait for the client. The
/// buffer grows as bytes arrive, because sending a `Content-Length` costs a client nothing.
async fn read_within(
    mut body: Body,
    max_bytes: usize,
    [mut charge, large]: [Charge<Owner>; 2],
) -> Result<(ReadBody, bool), ApiError> {
    let mut large = Some(large);
    let expected = body.size_hint();
    if expected.lower() > max_bytes as u64 {
        return Err(too_large());
    }
    let most = expected.upper().and_then(|upper| usize::try_from(upper).ok()).unwrap_or(max_bytes);
    let most = most.min(max_bytes);
    let (mut text, mut has_waited) = (Vec::new(), false);
    loop {
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => {
                has_waited = true;
                body.frame().await
            }
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(unreadable)?.into_data() else { continue };
        let length = text.len() + data.len();
        if length > max_bytes {
            return Err(too_large());
        }
        if length + PADDING > text.capacity() {
            let room = (GROWTH * length).min(most).max(length) + PADDING;
            if room > SMALL_BODY + PADDING
                && let Some(large) = large.take()
            {
                charge = large;
            }
            budget::grow_to(&mut charge, room)?;
            text.reserve_exact(room - text.len());
        }
        text.extend_from_slice(&data);
    }
    Ok((ReadBody { text, charge }, has_waited))
}

fn too_large() -> ApiError {
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request body is too large")
}

fn unreadable(_: axum::Error) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "the request body could not be read")
}

/// Rejects a body with a content type other than JSON.
fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("an unknown one"));
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(compressed());
    }
    match text(header::CONTENT_TYPE) {
        Some(content_type) if !is_json(content_type) => {
            Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json"))
        }
        _ => Ok(()),
    }
}

fn compressed() -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "compressed request bodies are not read: send it without Content-Encoding",
    )
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
}

/// The text of a JSON request body. An empty body is treated as an empty object, as Grafana's clients expect.
pub struct JsonText(ReadBody);

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, ApiError> {
        check_content_type(request.headers())?;
        let mut body = read(&mut request, usize::MAX).await?;
        if body.text.is_empty() {
            body.text.extend_from_slice(b"{}");
        }
        Ok(Self(body))
    }
}

impl JsonText {
    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.text.len()
    }

    /// The number of bytes to process if the body is a dashboard whose inputs are filled in.
    #[must_use]
    pub fn bytes_filled_in(&self, max_document_bytes: usize) -> usize {
        let has_inputs = memmem::find(&self.0.text, b"${").is_some();
        if has_inputs { max_document_bytes.max(self.bytes()) } else { self.bytes() }
    }

    /// Reads the body as a form, value by value.
    pub fn read<T>(
        &mut self,
        read: impl FnOnce(JsonValue<'_>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        parse(&mut self.0.text, |form| {
            if form.is_object() { read(form) } else { Err(malformed("it must be an object")) }
        })
    }
}

/// A body of any media type, with the head of its request.
pub struct RawBody {
    /// The head of the request.
    pub parts: Parts,
    /// The body.
    pub bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, ApiError> {
        let bytes = if is_write(request.method()) {
            let ReadBody { text, charge } = read(&mut request, MAX_FORM).await?;
            HeldCharges::hold(&request, charge);
            text.into()
        } else {
            // Such a request has no body that means anything.
            Bytes::new()
        };
        let (parts, _) = request.into_parts();
        Ok(Self { parts, bytes })
    }
}

/// Parses a body and reads what it has.
fn parse<T>(
    text: &mut Vec<u8>,
    read: impl FnOnce(JsonValue<'_>) -> Result<T, ApiError>,
) -> Result<T, ApiError> {
    let length = text.len();
    let error = match JsonDocument::try_parse(text) {
        Ok(document) => return read(document.root()),
        Err(error) => error,
    };
    text.truncate(length);
    Err(if text.starts_with(GZIP) { compressed() } else { malformed(error.explained(text)) })
}

fn malformed(fault: impl std::fmt::Display) -> ApiError {
    let message = shortened(&format!("bad request data: {fault}"), MAX_FAULT);
    ApiError::new(StatusCode::BAD_REQUEST, message)
}

impl From<form::Fault> for ApiError {
    fn from(fault: form::Fault) -> Self {
        malformed(fault)
    }
}

/// A JSON request body.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, ApiError> {
        check_content_type(request.headers())?;
        let ReadBody { mut text, charge } = read(&mut request, MAX_FORM).await?;
        HeldCharges::hold(&request, charge);
        if text.is_empty() {
            text.extend_from_slice(b"{}");
        }
        if json::has_more_nodes(&text, MAX_FORM_NODES) {
            return Err(malformed(format_args!("more than {MAX_FORM_NODES} values and names of members")));
        }
        parse(&mut text, |form| Ok(Self(form::read(form)?)))
    }
}

/// An answer with a message only.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Message {
    /// The message.
    pub message: String,
}

impl Message {
    /// An answer with this message.
    pub fn json(message: impl Into<String>) -> axum::Json<Self> {
        axum::Json(Self { message: message.into() })
    }
}
