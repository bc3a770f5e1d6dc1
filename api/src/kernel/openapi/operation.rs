//! The description of a route, in the words of the document. What the code says itself, see [`super::signature`] and
//! [`super::status`], is not said here again.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use utoipa::ToSchema;
use utoipa::openapi::path::{self, OperationBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Content, Ref, Required, ResponseBuilder};

use super::parameter::{self, Kind};
use super::schema::Schemas;
use super::signature::{self, Signature};
use super::status;
use crate::kernel::routes::Route;

impl Route {
    /// Says more than fits in a sentence.
    pub(crate) fn details(mut self, details: &'static str) -> Self {
        self.details = Some(details);
        self
    }

    /// Adds a parameter of the query string.
    pub(crate) fn query(mut self, name: &str, kind: Kind, description: &str) -> Self {
        self.query.push(parameter::query(name, kind, description));
        self
    }

    /// Adds a parameter of the query string without which the request makes no sense.
    pub(crate) fn required_query(mut self, name: &str, kind: Kind, description: &str) -> Self {
        self.query.push(parameter::required_query(name, kind, description));
        self
    }

    /// Adds the parameters of a list with pages: `page`, and one of this name for their size.
    pub(crate) fn pages(mut self, size: &str, default_size: i64) -> Self {
        self.query.extend(parameter::page(size, default_size, 1));
        self
    }

    /// The same for a list that counts its pages from 0.
    pub(crate) fn pages_from_zero(mut self, size: &str, default_size: i64) -> Self {
        self.query.extend(parameter::page(size, default_size, 0));
        self
    }

    /// Adds the parameter that bounds a list without pages.
    pub(crate) fn limit(mut self, name: &str, default: i64) -> Self {
        self.query.push(parameter::size(name, default));
        self
    }

    /// Adds the parameter that asks for an answer as of a time, which can be one that there never was.
    pub(crate) fn at(self) -> Self {
        let kind = parameter::text();
        self.query("at", kind, "Answer as of this time (RFC 3339 or milliseconds since 1970) or log position")
            .fails(&[400])
    }

    /// Says what a parameter of the path is, where it is something else than in other paths.
    pub(crate) fn path(mut self, name: &'static str, kind: Kind, description: &'static str) -> Self {
        self.path_parameters.push((name, kind, description));
        self
    }

    /// Says what the body is, where the handler's type does not.
    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some(Schemas::refer::<T>);
        self
    }

    /// Says that success has another status than 200.
    pub(crate) fn succeeds_with(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds an answer in JSON, where the handler's type does not say it.
    pub(crate) fn answers<T: ToSchema>(mut self, status: u16, description: &'static str) -> Self {
        self.answers.push((status, description, Some(signature::Content::Json(Schemas::refer::<T>))));
        self
    }

    /// Adds an answer of another media type.
    pub(crate) fn answers_text(
        mut self,
        status: u16,
        description: &'static str,
        media_type: &'static str,
    ) -> Self {
        self.answers.push((status, description, Some(signature::Content::Text(media_type))));
        self
    }

    /// Adds an answer without a body.
    pub(crate) fn answers_nothing(mut self, status: u16, description: &'static str) -> Self {
        self.answers.push((status, description, None));
        self
    }

    /// Adds statuses with which the operation itself can fail.
    pub(crate) fn fails(mut self, statuses: &[u16]) -> Self {
        self.failures.extend(statuses.iter().map(|status| (*status, None)));
        self
    }

    /// Adds a status of a failure that means here what it means nowhere else.
    pub(crate) fn fails_when(mut self, status: u16, description: &'static str) -> Self {
        self.failures.push((status, Some(status::OwnFailure { description, message: None })));
        self
    }

    /// Says what is missing, and in which words, where Grafana's answer is the status of a fault.
    pub(crate) fn fails_like_a_fault(mut self, description: &'static str, message: &'static str) -> Self {
        self.failures.push((500, Some(status::OwnFailure { description, message: Some(message) })));
        self
    }

    /// Says that whoever is logged in may do it.
    pub(crate) fn for_everybody(mut self) -> Self {
        self.needs_permission = false;
        self
    }
}

/// The description of a route, complete with what the code says of it.
pub(super) fn complete(route: &Route, schemas: &mut Schemas) -> path::Operation {
    let signature = (route.signature)();
    let mut builder = OperationBuilder::new()
        .operation_id(Some(route.id))
        .summary(Some(route.summary))
        .description(route.details)
        .tag(route.group.name);
    if !route.is_public {
        let schemes = ["session", "basic", "bearer"];
        let schemes = schemes.map(|scheme| SecurityRequirement::new(scheme, [""; 0]));
        builder = builder.securities(Some(schemes));
    }
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    for name in names {
        let own = route.path_parameters.iter().find(|(own, ..)| *own == name);
        builder = builder.parameter(parameter::path(name, own));
    }
    builder = route.query.iter().cloned().fold(builder, OperationBuilder::parameter);
    if !route.is_public {
        builder = builder.parameter_ref(Ref::new("#/components/parameters/OrgId"));
        if route.method != Method::GET {
            builder = builder.parameter_ref(Ref::new("#/components/parameters/IdempotencyKey"));
        }
    }
    if let Some(schema) = route.body.or(signature.body) {
        let schema = schema(schemas);
        // No body is read as an empty object.
        let required = if schemas.requires_members(&schema) { Required::True } else { Required::False };
        let content = Content::new(Some(schema));
        let body = RequestBodyBuilder::new().content("application/json", content);
        builder = builder.request_body(Some(body.required(Some(required)).build()));
    }
    responses(builder, route, &signature, schemas)
}

fn responses(
    mut builder: OperationBuilder,
    route: &Route,
    signature: &Signature,
    schemas: &mut Schemas,
) -> path::Operation {
    let derived = status::derived(route, signature);
    let foreign = status::foreign_read(route);
    let derived = derived.into_iter().map(|status| (status, None)).chain(foreign);
    let statuses = derived.chain(route.failures.iter().copied());
    for (status, own) in statuses {
        if let Some(own) = own {
            builder = builder.response(status.to_string(), status::own_failure(schemas, status, own));
        } else if let Some(failure) = status::failure(status) {
            builder = builder.response(status.to_string(), failure);
        }
    }
    let (status, told) = (route.status.as_u16(), route.status.canonical_reason().unwrap_or_default());
    let typed = signature.answer.map(|content| (status, told, Some(content)));
    let mut answers = BTreeMap::new();
    for (status, description, content) in route.answers.iter().copied().chain(typed) {
        let answer = answers.entry(status).or_insert_with(|| ResponseBuilder::new().description(description));
        *answer = with_content(std::mem::take(answer), schemas, content);
    }
    for (status, answer) in answers {
        builder = builder.response(status.to_string(), answer);
    }
    builder.build()
}

/// An answer of one status can have a body of more than one media type.
fn with_content(
    response: ResponseBuilder,
    schemas: &mut Schemas,
    content: Option<signature::Content>,
) -> ResponseBuilder {
    match content {
        Some(signature::Content::Json(schema)) => {
            response.content("application/json", Content::new(Some(schema(schemas))))
        }
        Some(signature::Content::Text(media_type)) => {
            response.content(media_type, Content::new(Some(schemas.refer::<String>())))
        }
        None => response,
    }
}
