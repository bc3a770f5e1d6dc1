//! Maps the error vocabulary of the use cases to statuses and Grafana's error bodies: the only place where a kind of
//! error gets its status. Where Grafana's answer to an operation differs, the slice declares it with
//! [`ApiError::when`].

use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kymograph_app::{Error, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

/// The result of a handler.
pub type ApiResult<T> = Result<T, ApiError>;

/// The error of a response.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    error: Error,
}

/// The body of an error.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorBody<'a> {
    /// The message for people.
    message: &'a str,
    /// The identifier of the message in Grafana's newer errors, like `password-auth.failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<&'static str>,
    /// The same in Grafana's older errors, like `empty-name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    /// The title of the error, if a permission is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'static str>,
}

/// The body of an error with the status 412.
#[derive(Serialize, ToSchema)]
pub(crate) struct PreconditionErrorBody<'a> {
    /// The message for people.
    message: &'a str,
    /// The status code for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PreconditionStatus>)]
    status: Option<&'static str>,
}

/// A stale version, which clients expect as 412.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "what it describes is written as text")]
enum PreconditionStatus {
    VersionMismatch,
}

fn status_of(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden | ErrorKind::Exhausted | ErrorKind::Disabled => StatusCode::FORBIDDEN,
        ErrorKind::Missing => StatusCode::NOT_FOUND,
        ErrorKind::Taken => StatusCode::CONFLICT,
        ErrorKind::Stale => StatusCode::PRECONDITION_FAILED,
        ErrorKind::Contradictory => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::Overloaded => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl ApiError {
    /// An error of the transport, such as a body that is too large.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, error: Error::invalid(message) }
    }

    /// An invalid path parameter.
    #[must_use]
    pub fn invalid_parameter(name: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, format!("{name} is invalid"))
    }

    /// Overrides the answer to errors of one kind for an operation.
    #[must_use]
    pub fn when(self, kind: ErrorKind, status: StatusCode, message: &str) -> Self {
        if self.error.kind() != kind {
            return self;
        }
        let message = if message.is_empty() { self.error.message() } else { message };
        Self { status, error: Error::new(kind, message) }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self { status: status_of(&error), error }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, error } = self;
        let (message, code) = (error.message(), error.code());
        // Exceeded limits and disabled features do not depend on the caller.
        let is_about_rights = !matches!(error.kind(), ErrorKind::Exhausted | ErrorKind::Disabled);
        let is_denied = status == StatusCode::FORBIDDEN && is_about_rights;
        let mut response = if status == StatusCode::PRECONDITION_FAILED {
            (status, Json(PreconditionErrorBody { message, status: code })).into_response()
        } else {
            let title = is_denied.then_some("Access denied");
            // The identifiers of newer errors contain a dot.
            let (message_id, status_text) = match code {
                Some(code) if code.contains('.') => (Some(code), None),
                code => (None, code),
            };
            (status, Json(ErrorBody { message, message_id, status: status_text, title })).into_response()
        };
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Some(code) = code.filter(|_| status == StatusCode::TOO_MANY_REQUESTS) {
            response.extensions_mut().insert(Overload(code));
        }
        if is_denied {
            response.extensions_mut().insert(Refused(error.message().into()));
        }
        if let Some(detail) = error.internal_detail() {
            response.extensions_mut().insert(Failure(detail.into()));
        }
        response
    }
}

/// The log entry of a server error. It is logged where the request is known.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) Arc<str>);

/// The reason for denying a request. It is recorded where the sender is known.
#[derive(Clone, Debug)]
pub(crate) struct Refused(pub(crate) Arc<str>);

/// The exceeded limit, one of [`kymograph_app::kernel::error::overload`]. It is counted with the responses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overload(pub(crate) &'static str);
