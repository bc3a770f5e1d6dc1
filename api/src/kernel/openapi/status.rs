//! The derived statuses of an operation: they follow from the layers of its requests, so they are derived here and
//! declared nowhere else.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use kymograph_app::kernel::error::FAULT;
use utoipa::openapi::header::Header;
use utoipa::openapi::{AllOfBuilder, Content, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Type};

use super::schema::Schemas;
use super::signature::Signature;
use crate::kernel::error::{ErrorBody, PreconditionErrorBody};
use crate::kernel::routes::Route;

/// The meaning of each status of a failure. The names are those of the document's components.
const FAILURES: [(u16, &str, &str); 14] = [
    (400, "BadRequest", "The request is malformed or breaks a rule"),
    (401, "Unauthorized", "The credentials are missing, invalid, or not valid for the requested org"),
    (403, "Forbidden", "The caller lacks the permission, or the request is cross-site"),
    (404, "NotFound", "The object does not exist, or is not visible to the caller"),
    (409, "Conflict", "The request conflicts with another object, such as by a name that must be unique"),
    (410, "Gone", "The object existed before"),
    (
        412,
        "PreconditionFailed",
        "The object has changed since it was read (an optimistic concurrency conflict), or another object is in conflict",
    ),
    (413, "TooLarge", "The request body or the answer exceeds a limit"),
    (415, "UnsupportedMediaType", "The body is not JSON"),
    (422, "Contradictory", "The `Idempotency-Key` was used for another request"),
    (429, "TooManyRequests", "Too many concurrent requests, try again shortly"),
    (500, "Internal", "An internal error"),
    (503, "Unavailable", "The database is unavailable, try again shortly"),
    (504, "Timeout", "The request timed out"),
];

/// The statuses of the layers of a route.
pub(super) fn derived(route: &Route, signature: &Signature) -> Vec<u16> {
    let is_write = !matches!(route.method, Method::GET | Method::HEAD);
    let is_private = !route.is_public;
    let mut statuses = Vec::new();
    let mut add = |condition: bool, more: &[u16]| statuses.extend(more.iter().filter(|_| condition));
    // A parameter that is not UTF-8.
    add(route.path.contains('{'), &[400]);
    // The body and its type, and the memory budget of bodies.
    add(signature.has_body, &[400, 413, 415, 429]);
    // A malformed `Idempotency-Key`, a cross-site request, and a body that is read to hash the request.
    add(is_write, &[400, 403, 413]);
    // A malformed org id, credentials, and too many concurrent password checks or commands.
    add(is_private, &[400, 401, 429]);
    add(is_private && route.needs_permission, &[403]);
    // A list that exceeds the limit, which any read can return.
    add(is_private && !is_write, &[413]);
    // An idempotency key of another request.
    add(is_private && is_write, &[422]);
    add(is_private || signature.is_fallible, &[500, 503, 504]);
    statuses
}

/// The only 403 of a read without permissions.
pub(super) fn foreign_read(route: &Route) -> Option<(u16, Option<OwnFailure>)> {
    let is_read = !route.is_public && !route.needs_permission && route.method == Method::GET;
    let description = "The request is cross-site";
    is_read.then_some((403, Some(OwnFailure { description, message: None })))
}

/// A reference to the common meaning of a status.
pub(super) fn failure(status: u16) -> Option<RefOr<Response>> {
    let (_, name, _) = FAILURES.iter().find(|(known, ..)| *known == status)?;
    Some(Ref::from_response_name(*name).into())
}

/// The special meaning of a failure.
#[derive(Clone, Copy)]
pub(crate) struct OwnFailure {
    pub(super) description: &'static str,
    /// The message, if it distinguishes it from an internal error.
    pub(super) message: Option<&'static str>,
}

/// A failure with a special meaning.
pub(super) fn own_failure(schemas: &mut Schemas, status: u16, own: OwnFailure) -> Response {
    let body = if status == StatusCode::PRECONDITION_FAILED.as_u16() {
        schemas.refer::<PreconditionErrorBody>()
    } else {
        schemas.refer::<ErrorBody>()
    };
    let schema = match own.message {
        Some(message) => {
            let message = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([message, FAULT]));
            let said = ObjectBuilder::new().schema_type(Type::Object).property("message", message);
            AllOfBuilder::new().item(body).item(said).into()
        }
        None => body,
    };
    ResponseBuilder::new()
        .description(own.description)
        .content("application/json", Content::new(Some(schema)))
        .build()
}

/// All failures that operations refer to.
pub(super) fn failures(schemas: &mut Schemas) -> BTreeMap<String, RefOr<Response>> {
    let described = FAILURES.iter().map(|(status, name, description)| {
        let mut response = own_failure(schemas, *status, OwnFailure { description, message: None });
        if matches!(status, 429 | 503) {
            let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
            let mut header = Header::new(seconds);
            header.description = Some("The delay before a retry, in seconds".to_owned());
            response.headers.insert("Retry-After".to_owned(), header.into());
        }
        ((*name).to_owned(), response.into())
    });
    described.collect()
}
