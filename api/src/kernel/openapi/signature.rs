//! The parts of a description derived from a handler's types: its body and its response. So these parts of the document
//! cannot differ from the code.

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::schema::Schemas;
use crate::kernel::body::{JsonBody, JsonText, RawBody};
use crate::kernel::error::ApiError;
use crate::kernel::layer::Caller;
use crate::kernel::query::{Path, Query};

/// Adds a type to the schemas of the document and refers to it.
pub(crate) type SchemaOf = fn(&mut Schemas) -> RefOr<Schema>;

/// The content of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    /// JSON of a type.
    Json(SchemaOf),
    /// Text of a media type.
    Text(&'static str),
}

/// The derived parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signature {
    /// Whether it reads a body.
    pub has_body: bool,
    /// The type of the parsed body, if any.
    pub(crate) body: Option<SchemaOf>,
    /// Whether it reads the query string.
    pub has_query: bool,
    /// The type of the response, if it is known.
    pub(crate) answer: Option<Content>,
    /// Whether it can fail.
    pub(crate) is_fallible: bool,
}

/// A handler whose types describe it.
pub trait Describe<T> {
    /// The derived parts.
    fn signature() -> Signature;
}

/// An argument of a handler.
pub trait Argument {
    /// Adds the parts derived from the argument.
    fn describe(_: &mut Signature) {}
}

/// The result of a handler.
pub trait Answer {
    /// Adds the parts derived from the result.
    fn describe(signature: &mut Signature);
}

macro_rules! describe_handlers {
    ($(($($argument:ident),*)),*) => {$(
        impl<H, F, A, $($argument),*> Describe<($($argument,)*)> for H
        where
            H: Fn($($argument),*) -> F,
            F: Future<Output = A>,
            A: Answer,
            $($argument: Argument,)*
        {
            fn signature() -> Signature {
                #[allow(unused_mut, reason = "a handler without arguments has nothing to add")]
                let mut signature = Signature::default();
                $($argument::describe(&mut signature);)*
                A::describe(&mut signature);
                signature
            }
        }
    )*};
}

describe_handlers!((), (A1), (A1, A2), (A1, A2, A3), (A1, A2, A3, A4), (A1, A2, A3, A4, A5));

impl<S> Argument for State<S> {}
impl<T> Argument for Extension<T> {}
impl<T> Argument for Path<T> {}
impl Argument for Caller {}
impl Argument for HeaderMap {}

impl Argument for Query {
    fn describe(signature: &mut Signature) {
        signature.has_query = true;
    }
}

impl<T: ToSchema> Argument for JsonBody<T> {
    fn describe(signature: &mut Signature) {
        signature.has_body = true;
        signature.body = Some(Schemas::refer::<T>);
    }
}

impl Argument for RawBody {}

impl Argument for JsonText {
    fn describe(signature: &mut Signature) {
        signature.has_body = true;
    }
}

impl<A: Answer> Answer for Result<A, ApiError> {
    fn describe(signature: &mut Signature) {
        A::describe(signature);
        signature.is_fallible = true;
    }
}

impl<T: ToSchema> Answer for Json<T> {
    fn describe(signature: &mut Signature) {
        signature.answer = Some(Content::Json(Schemas::refer::<T>));
    }
}

impl<A: Answer> Answer for (StatusCode, A) {
    fn describe(signature: &mut Signature) {
        A::describe(signature);
    }
}

impl<A: Answer> Answer for ([(HeaderName, &'static str); 1], A) {
    fn describe(signature: &mut Signature) {
        A::describe(signature);
    }
}

impl Answer for &'static str {
    fn describe(signature: &mut Signature) {
        signature.answer = Some(Content::Text("text/plain"));
    }
}

/// A response built by hand, declared in the description of its route.
impl Answer for Response {
    fn describe(_: &mut Signature) {}
}
