//! The layers of all requests: limits, ids and log context, authentication, and protection against cross-site requests.
//! No byte of a body is read before.
//!
//! Each request passes one middleware, [`open`] or [`guarded`], instead of a stack: each layer of a stack costs every
//! request a few allocations.

pub(crate) mod budget;
mod client_address;
mod context;
mod csrf;
mod gate;
mod idempotency;
mod trace;
mod watched_body;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use kymograph_app::kernel::answer::Answers;
use kymograph_app::{Commands, Scope};

use crate::kernel::body::{BodyRules, HeldCharges};
use crate::kernel::error::ApiError;
use crate::kernel::metrics::HttpMetrics;

pub use client_address::Network;
pub(crate) use context::{MAX_ID_LENGTH, request_context};
pub(crate) use gate::Readmission;
pub use gate::{Admitted, Asked, Caller, Gate, Sender};

pub(crate) use context::is_write;
use gate::refused;
use watched_body::WatchedBody;

/// The settings of all requests.
#[derive(Clone, Debug)]
pub struct LayerSettings {
    /// The size limit of a request body, in bytes.
    pub max_body_bytes: usize,
    /// The timeout of a request.
    pub request_timeout: Duration,
    /// Trusted origins of requests with a session cookie, besides the server's own, like `admin.example.org`.
    pub trusted_origins: Vec<String>,
    /// The reverse proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<Network>,
}

/// The parts for the context of a request.
pub struct Common {
    /// Its settings.
    pub settings: LayerSettings,
    /// The public path of the server, without a trailing slash.
    pub sub_path: Arc<str>,
    /// Counts requests.
    pub metrics: Option<HttpMetrics>,
}

/// The layers of all requests.
pub struct Layer {
    /// The parts for their context.
    pub common: Common,
    /// Knows idempotency keys.
    pub commands: Commands,
    /// Authenticates requests.
    pub gate: Arc<dyn Gate>,
}

/// One router of public and authenticated routes, each behind its layers.
pub fn protected(public: Router, private: Router, layer: Layer) -> Router {
    let max_body_bytes = layer.common.settings.max_body_bytes;
    let shared = Arc::new(Shared {
        layer,
        answers: Arc::default(),
        private_bodies: Arc::new(BodyRules::private(max_body_bytes)),
        public_bodies: Arc::new(BodyRules::public(max_body_bytes)),
    });
    let private = private.route_layer(from_fn_with_state(shared.clone(), guarded));
    let public = public.fallback(not_found).layer(from_fn_with_state(shared, open));
    public.merge(private).method_not_allowed_fallback(not_found)
}

/// The state shared by all requests.
struct Shared {
    layer: Layer,
    answers: Arc<Answers>,
    private_bodies: Arc<BodyRules>,
    public_bodies: Arc<BodyRules>,
}

async fn open(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    context::with_context(&shared.layer.common, request, async |mut request, context| {
        let asked = Asked::of(&request);
        let response = match csrf::check_public(&request, &shared.layer.common.settings.trusted_origins) {
            Ok(()) => {
                let held = HeldCharges::default();
                if is_write(request.method()) {
                    request.extensions_mut().insert(shared.public_bodies.clone());
                    request.extensions_mut().insert(held.clone());
                }
                request.extensions_mut().insert(context.clone());
                let response = next.run(request).await;
                drop(held);
                response
            }
            Err(error) => error.into_response(),
        };
        if let Some(reason) = refused(&response) {
            shared.layer.gate.denied(Sender::Unknown(&context), asked, &reason);
        }
        Ok(response)
    })
    .await
}

async fn guarded(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    shared.layer.gate.hide_credentials(&mut request);
    context::with_context(&shared.layer.common, request, async |mut request, context| {
        let Admitted { scope, cookie, credentials } = shared.layer.gate.admit(&mut request, context).await?;
        let (gate, credentials) = (shared.layer.gate.clone(), Arc::new(credentials));
        let readmission = Readmission { gate, credentials, scope: scope.clone() };
        request.extensions_mut().insert(scope.clone());
        let (asked, held) = (Asked::of(&request), HeldCharges::default());
        if is_write(request.method()) {
            request.extensions_mut().insert(shared.private_bodies.clone());
            request.extensions_mut().insert(held.clone());
            request.extensions_mut().insert(readmission.clone());
        }
        // After authentication, so that the log has the owner of the abused session.
        let mut response = match csrf::check_private(&request, &shared.layer.common.settings.trusted_origins)
        {
            Ok(()) if is_write(request.method()) => {
                Box::pin(idempotency::repeat(&shared.layer.commands, &scope, request, next)).await?
            }
            Ok(()) => read(&shared.answers, &scope, request, next).await,
            Err(error) => error.into_response(),
        };
        drop(held);
        if response.body().size_hint().exact().is_none() {
            response = response.map(|body| WatchedBody::around(body, readmission));
        }
        if let Some(reason) = refused(&response) {
            shared.layer.gate.denied(Sender::Known(&scope), asked, &reason);
        }
        response.headers_mut().extend(cookie.map(|cookie| (header::SET_COOKIE, cookie)));
        Ok(response)
    })
    .await
}

/// Admits a read, and holds the admission until the response is handed over to the connection. A streamed response does
/// not hold it: its pieces are admitted separately.
async fn read(answers: &Arc<Answers>, scope: &Scope, request: Request, next: Next) -> Response {
    let (response, turn) = answers.make(scope.org(), Box::pin(next.run(request))).await;
    match turn {
        Some(turn) if response.body().size_hint().exact().is_some() => {
            response.map(|body| HeldBody::around(body, turn))
        }
        _ => response,
    }
}

/// A body that holds something, such as its admission, until it is handed over to the connection.
pub(crate) struct HeldBody<H> {
    body: Body,
    _held: H,
}

impl<H: Send + Unpin + 'static> HeldBody<H> {
    /// The body with what it holds.
    pub(crate) fn around(body: Body, held: H) -> Body {
        Body::new(Self { body, _held: held })
    }
}

impl<H: Unpin> HttpBody for HeldBody<H> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Grafana answers an unsupported method like a missing path.
pub(crate) async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "Not found")
}
