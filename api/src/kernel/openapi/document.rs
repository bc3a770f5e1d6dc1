//! The whole document, generated from the routes.

use axum::http::Method;
use serde_json::Value;
use utoipa::openapi::path::{HttpMethod, Parameter};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, Paths, RefOr, Server, Tag,
};

use super::operation::complete;
use super::parameter::{self, matching, number};
use super::schema::Schemas;
use super::simplify::simplify;
use super::status;
use crate::ApiSettings;
use crate::kernel::layer::MAX_ID_LENGTH;
use crate::kernel::routes::{Group, Route};

const INTRODUCTION: &str = "The HTTP API of Kymograph, which is Grafana's where Grafana has the operation.\n\n\
    **Credentials** are a session cookie (`POST /login`), a login and password with each request, or the token of a \
    service account. A token can also be the password of the login `api_key`.\n\n\
    **Orgs.** A request acts in the org that its caller works in, or in the one that `X-Grafana-Org-Id` names, or \
    the query parameter `targetOrgId` of any operation. What is another org's looks like what is not there.\n\n\
    **Repeating.** A write with an `Idempotency-Key` is carried out once: the same request with the same key gets the \
    first answer again.\n\n\
    **Errors** have a `message` for people. Numbers in query strings that are no numbers count as absent.";

/// The document of these routes, as JSON.
pub(super) fn document(routes: &[Route], settings: &ApiSettings) -> serde_json::Result<Value> {
    let mut schemas = Schemas::default();
    let mut paths = Paths::new();
    for route in routes {
        let methods = vec![http_method(&route.method)];
        paths.add_path_operation(route.path.replace("{*", "{"), methods, complete(route, &mut schemas));
    }
    let mut groups: Vec<_> = routes.iter().map(|route| route.group).collect();
    groups.sort_by_key(|group| group.name);
    groups.dedup();
    let tag = |group: &Group| {
        let mut tag = Tag::new(group.name);
        tag.description = Some(group.about.to_owned());
        tag
    };
    let version = env!("CARGO_PKG_VERSION");
    let info = InfoBuilder::new()
        .title("Kymograph")
        .version(version)
        .description(Some(INTRODUCTION))
        .license(Some(License::new("Apache-2.0")));
    let root = if settings.sub_path.is_empty() { "/" } else { &settings.sub_path };
    let document: OpenApi = OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new(root)]))
        .paths(paths)
        .tags(Some(groups.into_iter().map(tag)))
        .components(Some(components(schemas, &settings.cookie.name)))
        .build();
    let mut document = serde_json::to_value(document)?;
    simplify(&mut document);
    Ok(document)
}

fn http_method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::PATCH => HttpMethod::Patch,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn components(mut schemas: Schemas, cookie: &str) -> Components {
    let responses = status::failures(&mut schemas);
    let mut session = ApiKeyValue::new(cookie);
    session.description = Some("The cookie that `POST /login` sets".to_owned());
    let mut components = ComponentsBuilder::new()
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session)))
        .security_scheme("basic", http_scheme(HttpAuthScheme::Basic, "A login and password"))
        .security_scheme("bearer", http_scheme(HttpAuthScheme::Bearer, "The token of a service account"))
        .build();
    components.schemas = schemas.named;
    components.responses = responses;
    components.parameters = [("OrgId", org_header()), ("IdempotencyKey", idempotency_header())]
        .map(|(name, parameter)| (name.to_owned(), RefOr::T(parameter)))
        .into();
    components
}

fn http_scheme(scheme: HttpAuthScheme, description: &str) -> SecurityScheme {
    let mut http = Http::new(scheme);
    http.description = Some(description.to_owned());
    SecurityScheme::Http(http)
}

fn org_header() -> Parameter {
    let description = "The org of the request, by default the caller's current org";
    parameter::header("X-Grafana-Org-Id", number(0), description)
}

fn idempotency_header() -> Parameter {
    let pattern = format!("^[!-~]{{1,{MAX_ID_LENGTH}}}$");
    let description =
        "A unique key of your choice. A request that is repeated with the same key is not executed again";
    parameter::header("Idempotency-Key", matching(&pattern), description)
}
