//! The description of a route in the document. The parts derived from the code, see [`super::signature`] and
//! [`super::status`], are not repeated here.

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
    /// Adds details to the summary.
    pub(crate) fn details(mut self, details: &'static str) -> Self {
        self.details = Some(details);
        self
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, kind: Kind, description: &str) -> Self {
        self.query.push(parameter::query(name, kind, description));
        self
    }

    /// Adds a required query parameter.
    pub(crate) fn required_query(mut self, name: &str, kind: Kind, description: &str) -> Self {
        self.query.push(parameter::required_query(name, kind, description));
        self
    }

    /// Adds the parameters of a list with pages: `page`, and the page size under this name.
    pub(crate) fn pages(mut self, size: &str, default_size: i64) -> Self {
        self.query.extend(parameter::page(size, default_size, 1));
        self
    }

    /// The same for a list whose first page is 0.
    pub(crate) fn pages_from_zero(mut self, size: &str, default_size: i64) -> Self {
        self.query.extend(parameter::page(size, default_size, 0));
        self
    }

    /// Adds the limit of a list without pages.
    pub(crate) fn limit(mut self, name: &str, default: i64) -> Self {
        self.query.push(parameter::size(name, default));
        self
    }

    /// Adds the parameter for reads as of a time, which can be invalid.
    pub(crate) fn at(self) -> Self {
        let kind = parameter::text();
        self.query("at", kind, "Answer as of this time (RFC 3339 or milliseconds since 1970) or log position")
            .fails(&[400])
    }

    /// Describes a path parameter that differs from others of its name.
    pub(crate) fn path(mut self, name: &'static str, kind: Kind, description: &'static str) -> Self {
        self.path_parameters.push((name, kind, description));
        self
    }

    /// Declares the body, if the handler's type does not.
    pub(crate) fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some(Schemas::refer::<T>);
        self
    }

    /// Declares a status of success other than 200.
    pub(crate) fn succeeds_with(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds a JSON response, if the handler's type does not declare it.
    pub(crate) fn answers<T: ToSchema>(mut self, status: u16, description: &'static str) -> Self {
        self.answers.push((status, description, Some(signature::Content::Json(Schemas::refer::<T>))));
        self
    }

    /// Adds a response of another media type.
    pub(crate) fn answers_text(
        mut self,
        status: u16,
        description: &'static str,
        media_type: &'static str,
    ) -> Self {
        self.answers.push((status, description, Some(signature::Content::Text(media_type))));
        self
    }

    /// Adds a response without a body.
    pub(crate) fn answers_nothing(mut self, status: u16, description: &'static str) -> Self {
        self.answers.push((status, description, None));
        self
    }

    /// Adds statuses of failures of the operation itself.
    pub(crate) fn fails(mut self, statuses: &[u16]) -> Self {
        self.failures.extend(statuses.iter().map(|status| (*status, None)));
        self
    }

    /// Adds a status of a failure with a special meaning.
    pub(crate) fn fails_when(mut self, status: u16, description: &'static str) -> Self {
        self.failures.push((status, Some(status::OwnFailure { description, message: None })));
        self
    }

    /// Declares an error for which Grafana answers with 500, and its message.
    pub(crate) fn fails_like_a_fault(mut self, description: &'static str, message: &'static str) -> Self {
        self.failures.push((500, Some(status::OwnFailure { description, message: Some(message) })));
        self
    }

    /// Declares that no permission is required.
    pub(crate) fn for_everybody(mut self) -> Self {
        self.needs_permission = false;
        self
    }
}

/// The complete description of a route, including the derived parts.
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
    let names = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'));
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
        // A missing body is treated as an empty object.
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

/// The responses of one status can have several media types.
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
