//! The gate of authenticated requests: it authenticates them, and records denied ones.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Uri};
use axum::response::Response;
use kymograph_app::kernel::credential::Credentials;
use kymograph_app::{Error, RequestContext, Scope};

use crate::kernel::error::{ApiError, Refused};

/// Authenticates requests.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Removes credentials from the URL, so that nothing after this sees them.
    fn hide_credentials(&self, request: &mut Request);

    /// Authenticates a request and determines its rights.
    async fn admit(&self, request: &mut Request, context: RequestContext) -> Result<Admitted, ApiError>;

    /// Checks the rights of a request again, after it waited for its body or while its response is streamed.
    async fn readmit(&self, credentials: &Credentials, scope: &Scope) -> Result<(), Error>;

    /// Records a denied request with the reason.
    fn denied(&self, sender: Sender<'_>, asked: Asked, reason: &str);
}

/// The sender of a request.
#[derive(Clone, Copy, Debug)]
pub enum Sender<'a> {
    /// An authenticated sender.
    Known(&'a Scope),
    /// Anybody.
    Unknown(&'a RequestContext),
}

/// An authenticated request.
pub struct Admitted {
    /// Its scope.
    pub scope: Scope,
    /// The cookie of the response, if there is a new one.
    pub cookie: Option<HeaderValue>,
    /// The credentials that it was authenticated with.
    pub credentials: Credentials,
}

/// Checks the rights of a request again.
#[derive(Clone)]
pub(crate) struct Readmission {
    pub(super) gate: Arc<dyn Gate>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) scope: Scope,
}

impl Readmission {
    /// Fails if the credentials or the rights have been revoked.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        self.gate.readmit(&self.credentials, &self.scope).await
    }
}

/// The scope of an authenticated request. Only routes behind the gate can extract it.
pub struct Caller(pub Scope);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let scope = parts.extensions.get::<Scope>().cloned();
        scope.map(Self).ok_or_else(|| Error::unauthenticated("Unauthorized").into())
    }
}

/// The target of a request, recorded before the handler consumes it.
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The URL.
    pub uri: Uri,
    /// The route that it matched.
    pub route: Option<MatchedPath>,
}

impl Asked {
    /// The target of this request. Copies nothing, because most requests are not denied.
    pub(super) fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: request.extensions().get().cloned(),
        }
    }
}

/// The reason if a response denies its request. Not every 403 does: an exceeded quota does not.
pub(super) fn refused(response: &Response) -> Option<String> {
    response.extensions().get().map(|Refused(reason)| reason.to_string())
}
