//! Request and response bodies.

use axum::RequestExt;
use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError};
use kymograph_domain::json::{JsonDocument, PADDING};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::error::ApiError;

/// How many bytes are made room for before they have come.
const MAX_RESERVED: usize = 1024 * 1024;

/// The text of a JSON request body. An empty body is read as an empty object, as Grafana's clients expect.
pub struct JsonText(Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for JsonText {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let content_type =
            request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or(""));
        if content_type.is_some_and(|content_type| !is_json(content_type)) {
            let message = "Content-Type must be application/json";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let mut text = read(request).await?;
        if text.is_empty() {
            text.extend_from_slice(b"{}");
        }
        Ok(Self(text))
    }
}

/// Reads a body into one text with room for the padding, so that a large one is copied once.
async fn read(request: Request) -> Result<Vec<u8>, ApiError> {
    let mut body = request.into_limited_body();
    let expected = usize::try_from(body.size_hint().exact().unwrap_or_default()).unwrap_or_default();
    // What a client says of the length is believed only so far.
    let mut text = Vec::with_capacity(expected.min(MAX_RESERVED) + PADDING);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(unreadable)?.into_data() {
            text.extend_from_slice(&data);
        }
    }
    Ok(text)
}

impl JsonText {
    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Parses the body as a document whose values are looked at one by one.
    pub fn document(&mut self) -> Result<JsonDocument<'_>, ApiError> {
        JsonDocument::try_parse(&mut self.0).map_err(|error| malformed(&error))
    }
}

fn malformed(error: &dyn std::error::Error) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, format!("bad request data: {error}"))
}

/// A JSON request body.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let text = JsonText::from_request(request, state).await?;
        serde_json::from_slice(&text.0).map(Self).map_err(|error| malformed(&error))
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
}

/// Says why a body could not be read.
fn unreadable(error: axum::Error) -> ApiError {
    if error.into_inner().is::<LengthLimitError>() {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request body is too large")
    } else {
        ApiError::new(StatusCode::BAD_REQUEST, "the request body could not be read")
    }
}

/// The answer of operations that have nothing but a message to say.
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
