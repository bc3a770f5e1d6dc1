//! The health of data sources, their resources, and the proxy to their own APIs.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kymograph_app::source::backend::{Header, Health, QueryError, ResourceRequest, ResourceResponse};
use kymograph_app::source::data_source::DataSourceKey;
use kymograph_app::source::query::{AskError, Queries};
use kymograph_app::{Error, ErrorKind, Scope};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::data_source::DATA_SOURCES;
use crate::account::session::CookieSettings;
use crate::kernel::body::RawBody;
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::layer::Caller;
use crate::kernel::query::{Path, parse_id};
use crate::kernel::routes::{Route, Routes, delete, get, patch, post, put};

/// What requests to data sources need.
#[derive(Clone)]
pub(super) struct SourceState {
    pub(super) queries: Arc<Queries>,
    pub(super) cookie: Arc<CookieSettings>,
    /// The header of a JWT for this server, if one is accepted.
    pub(super) jwt_header: Option<HeaderName>,
}

impl SourceState {
    /// The cookies of a request, of which data sources may be sent some. The session cookie of this server is none of them.
    pub(super) fn cookies(&self, headers: &HeaderMap) -> Vec<Header> {
        let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let is_own =
            |cookie: &&str| cookie.trim().split_once('=').is_some_and(|(name, _)| name == self.cookie.name);
        let cookies = texts.flat_map(|text| text.split(';')).filter(|cookie| !is_own(cookie));
        let cookies = cookies.map(str::trim).collect::<Vec<_>>().join("; ");
        if cookies.is_empty() { Vec::new() } else { vec![("cookie".to_owned(), cookies)] }
    }

    /// The headers of a request that may go on. The credentials for this server do not.
    fn headers(&self, headers: &HeaderMap) -> Vec<Header> {
        let is_own = |name: &HeaderName| {
            [header::AUTHORIZATION, header::COOKIE].contains(name) || self.jwt_header.as_ref() == Some(name)
        };
        let others = headers.iter().filter(|(name, _)| !is_own(name));
        let others =
            others.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        others.chain(self.cookies(headers)).collect()
    }
}

/// The functions that make a route of each method.
const METHODS: [fn(&'static str, &'static str, &'static str) -> Route; 5] = [get, post, put, patch, delete];

const PROXY_SUMMARY: &str = "Send a request to the API of a data source";

/// The routes of health, resources and the proxy.
pub(super) fn routes(state: &SourceState) -> Routes {
    let routes = Routes::of(&DATA_SOURCES).add(
        get(
            "/api/datasources/uid/{data_source_uid}/health",
            "checkDatasourceHealthWithUID",
            "Check whether a data source works",
        )
        .fails(&[404])
        .answers::<DataSourceHealthBody>(200, "It works")
        .answers::<DataSourceHealthBody>(400, "It does not work")
        .to(state, check_datasource_health),
    );
    let resources = passed_on(
        "/api/datasources/uid/{data_source_uid}/resources/{*source_path}",
        RESOURCES,
        "Call a resource of a data source",
    );
    let by_uid =
        passed_on("/api/datasources/proxy/uid/{data_source_uid}/{*source_path}", PROXIES, PROXY_SUMMARY);
    let by_id =
        passed_on("/api/datasources/proxy/{data_source_id}/{*source_path}", PROXIES_BY_ID, PROXY_SUMMARY);
    let routes =
        resources.fold(routes, |routes, route| routes.add(route.to(state, call_datasource_resource)));
    let routes = by_uid.fold(routes, |routes, route| routes.add(route.to(state, datasource_proxy_by_uid)));
    by_id.fold(routes, |routes, route| routes.add(route.to(state, datasource_proxy_by_id)))
}

/// The routes of a path whose requests a data source answers, one for each method.
fn passed_on(
    path: &'static str,
    ids: [&'static str; 5],
    summary: &'static str,
) -> impl Iterator<Item = Route> {
    METHODS.into_iter().zip(ids).map(move |(make, id)| {
        make(path, id, summary)
            .details("The status, the headers and the body are those of the data source.")
            .fails(&[404, 502])
            .answers::<AnyBody>(200, "The response of the data source")
    })
}

const RESOURCES: [&str; 5] = [
    "callDatasourceResourceWithUID",
    "callDatasourceResourceWithUIDPOST",
    "callDatasourceResourceWithUIDPUT",
    "callDatasourceResourceWithUIDPATCH",
    "callDatasourceResourceWithUIDDELETE",
];
const PROXIES: [&str; 5] = [
    "datasourceProxyGETByUIDcalls",
    "datasourceProxyPOSTByUIDcalls",
    "datasourceProxyPUTByUIDcalls",
    "datasourceProxyPATCHByUIDcalls",
    "datasourceProxyDELETEByUIDcalls",
];
const PROXIES_BY_ID: [&str; 5] = [
    "datasourceProxyGETcalls",
    "datasourceProxyPOSTcalls",
    "datasourceProxyPUTcalls",
    "datasourceProxyPATCHcalls",
    "datasourceProxyDELETEcalls",
];

/// Any JSON value.
#[derive(ToSchema)]
#[schema(value_type = Value)]
#[expect(dead_code, reason = "the body is the data source's")]
struct AnyBody(Value);

#[derive(Serialize, ToSchema)]
struct DataSourceHealthBody {
    /// `OK` or `ERROR`.
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    details: Option<Value>,
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Refused(error) => error.into(),
            // A refusal by the server or the source itself applies to everybody: it is no missing permission.
            AskError::Failed(QueryError { status: 403, message, .. }) => {
                Error::new(ErrorKind::Disabled, message).into()
            }
            AskError::Failed(QueryError { status, message, .. }) => Self::new(status_of(status), message),
        }
    }
}

/// The status that a data source names, which may be none of HTTP.
fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
}

async fn check_datasource_health(
    State(state): State<SourceState>,
    Caller(scope): Caller,
    Path(uid): Path<String>,
    headers: HeaderMap,
) -> ApiResult<(StatusCode, Json<DataSourceHealthBody>)> {
    let key = DataSourceKey::Uid(&uid);
    let health = match state.queries.check_health(&scope, key, state.cookies(&headers)).await {
        Err(AskError::Failed(error)) => error.into(),
        checked => checked?,
    };
    let Health { is_ok, message, details } = health;
    let (code, status) = if is_ok { (StatusCode::OK, "OK") } else { (StatusCode::BAD_REQUEST, "ERROR") };
    Ok((code, Json(DataSourceHealthBody { status, message, details })))
}

async fn call_datasource_resource(
    State(state): State<SourceState>,
    Caller(scope): Caller,
    Path((uid, _)): Path<(String, String)>,
    body: RawBody,
) -> ApiResult<Response> {
    let request = resource_request(&state, body, "/api/datasources/uid/", 2);
    Ok(passed_back(state.queries.call_resource(&scope, DataSourceKey::Uid(&uid), request).await?))
}

async fn datasource_proxy_by_uid(
    State(state): State<SourceState>,
    Caller(scope): Caller,
    Path((uid, _)): Path<(String, String)>,
    body: RawBody,
) -> ApiResult<Response> {
    forward(&state, &scope, DataSourceKey::Uid(&uid), body, "/api/datasources/proxy/uid/").await
}

async fn datasource_proxy_by_id(
    State(state): State<SourceState>,
    Caller(scope): Caller,
    Path((id, _)): Path<(String, String)>,
    body: RawBody,
) -> ApiResult<Response> {
    let key = DataSourceKey::Id(parse_id("id", &id)?);
    forward(&state, &scope, key, body, "/api/datasources/proxy/").await
}

async fn forward(
    state: &SourceState,
    scope: &Scope,
    key: DataSourceKey<'_>,
    body: RawBody,
    after: &str,
) -> ApiResult<Response> {
    let request = resource_request(state, body, after, 1);
    Ok(passed_back(state.queries.forward(scope, key, request).await?))
}

/// The request to a data source: its path is what comes some segments after a part of the path, percent-encoded as it came.
fn resource_request(state: &SourceState, body: RawBody, after: &str, segments: usize) -> ResourceRequest {
    let RawBody { parts, bytes } = body;
    let rest = parts.uri.path().split_once(after).map(|(_, rest)| rest).unwrap_or_default();
    let path = rest.splitn(segments + 1, '/').nth(segments).unwrap_or_default();
    ResourceRequest {
        method: parts.method.to_string(),
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: state.headers(&parts.headers),
        body: bytes,
    }
}

fn passed_back(ResourceResponse { status, headers, body }: ResourceResponse) -> Response {
    let mut response = (status_of(status), Body::from_stream(body)).into_response();
    for (name, value) in headers {
        // Invalid headers are left out.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    // It passes through without being kept for an `Idempotency-Key`, however large it is.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
