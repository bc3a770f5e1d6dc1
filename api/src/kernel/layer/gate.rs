//! The gate of requests that need credentials: it finds out who sends one, and records those that are denied.

use async_trait::async_trait;
use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Uri};
use axum::response::Response;
use kymograph_app::{Error, RequestContext, Scope};

use crate::kernel::error::{ApiError, Refused};

/// Knows who sends requests.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Takes credentials out of the address, so that nothing that sees the address later sees them.
    fn hide_credentials(&self, request: &mut Request);

    /// Finds out who sent a request and what it may do.
    async fn admit(&self, request: &mut Request, context: RequestContext) -> Result<Admitted, ApiError>;

    /// Checks again that a request may do what its scope says, after it was waited for its body.
    async fn readmit(&self, request: &mut Request, scope: &Scope) -> Result<(), ApiError>;

    /// Records a request that was denied, and why.
    fn denied(&self, sender: Sender<'_>, asked: Asked, reason: &str);
}

/// The sender of a request.
#[derive(Clone, Copy, Debug)]
pub enum Sender<'a> {
    /// Somebody who was admitted.
    Known(&'a Scope),
    /// Anybody.
    Unknown(&'a RequestContext),
}

/// A request that may pass.
pub struct Admitted {
    /// What it may do.
    pub scope: Scope,
    /// The cookie that the client gets with the answer, if there is a new one.
    pub cookie: Option<HeaderValue>,
}

/// The scope of an admitted request. Only routes behind the gate can take it.
pub struct Caller(pub Scope);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let scope = parts.extensions.get::<Scope>().cloned();
        scope.map(Self).ok_or_else(|| Error::unauthenticated("Unauthorized").into())
    }
}

/// What a request asks for, noted before a handler takes the request.
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The address.
    pub uri: Uri,
    /// The route that it matched.
    pub route: Option<MatchedPath>,
}

impl Asked {
    /// What this request asks for. Copies nothing, because most requests are not denied.
    pub(super) fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: request.extensions().get().cloned(),
        }
    }
}

/// The reason if a response denies its request. Not every 403 does: a quota that is reached denies nobody anything.
pub(super) fn refused(response: &Response) -> Option<String> {
    response.extensions().get().map(|Refused(reason)| reason.to_string())
}
