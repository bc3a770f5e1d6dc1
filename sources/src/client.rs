//! HTTP clients for data sources, one for each source, built from its settings.

mod body;
mod connect;
mod failure;
mod header;
mod path;
mod settings;
mod tls;
mod trace;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self as name, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kymograph_app::source::backend::{
    QueryError, ResourceRequest, ResourceResponse, SourceContext, SourceSettings,
};
use kymograph_domain::{OrgId, Uid};
use moka::sync::Cache;
use tokio::time::timeout;
use tracing::Instrument;
use url::Url;

use crate::policy::Egress;
use body::{BodyError, Encoding};
use connect::Connector;
use tls::Tls;

pub(crate) use body::LIFETIME;
pub(crate) use failure::{named, refused, unusable};
pub(crate) use header::value as header_value;
pub use settings::{ClientSettings, ForwardProxy};
pub(crate) use settings::{MAX_TIMEOUT, json_number, json_text};

/// The memory of all clients of sources, and the minimum counted for one client with its connection, in bytes.
pub(crate) const MAX_CLIENT_BYTES: usize = 32 * 1024 * 1024;
const CLIENT_BYTES: u32 = 32 * 1024;

/// How long an unused client is kept.
const IDLE_CLIENT: Duration = Duration::from_secs(600);

/// The `User-Agent` of requests to sources.
const USER_AGENT: &str = concat!("Kymograph/", env!("CARGO_PKG_VERSION"));

/// The header that names the calling user to a source.
const USER_HEADER: HeaderName = HeaderName::from_static("x-grafana-user");

/// The clients of all sources. No two sources share a connection, so that none sees the data of another.
pub struct HttpClients {
    egress: Egress,
    settings: Arc<ClientSettings>,
    clients: Cache<(OrgId, Uid), Arc<SourceClient>>,
}

impl HttpClients {
    /// Clients that connect through `egress`.
    #[must_use]
    pub fn new(egress: Egress, settings: ClientSettings) -> Self {
        let clients = Cache::builder()
            .max_capacity(MAX_CLIENT_BYTES as u64)
            .weigher(|_, client: &Arc<SourceClient>| client.weight)
            .time_to_idle(IDLE_CLIENT)
            .build();
        Self { egress, settings: Arc::new(settings), clients }
    }

    /// The client of the current version of a source. The client of another version is dropped, with its connections.
    pub(crate) fn of(&self, source: &SourceSettings) -> Result<Arc<SourceClient>, QueryError> {
        let key = (source.org, source.uid.clone());
        let edition = Edition::of(source);
        if let Some(client) = self.clients.get(&key).filter(|client| client.edition == edition) {
            return Ok(client);
        }
        let client = Arc::new(SourceClient::try_new(source, self.egress.clone(), self.settings.clone())?);
        self.clients.insert(key, client.clone());
        Ok(client)
    }
}

/// Distinguishes a source from an earlier one with the same uid, and from its own earlier versions.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Edition {
    id: i64,
    version: i64,
    updated_ms: i64,
}

impl Edition {
    fn of(source: &SourceSettings) -> Self {
        Self { id: source.id, version: source.version, updated_ms: source.updated_ms }
    }
}

/// The client of one source.
pub(crate) struct SourceClient {
    http: Client<Connector, Full<Bytes>>,
    base: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
    kept_cookies: Vec<String>,
    forwards_oauth: bool,
    timeout: Duration,
    settings: Arc<ClientSettings>,
    edition: Edition,
    /// Its weight in the cache, in bytes.
    weight: u32,
}

/// A request to a source that originates from this server.
pub(crate) struct Call<'a> {
    /// The method.
    pub(crate) method: Method,
    /// The path below the source's address.
    pub(crate) path: &'a str,
    /// The parameters, sent in the URL or in the body of a `POST`.
    pub(crate) parameters: String,
    /// Further headers.
    pub(crate) headers: &'a [(&'static str, &'static str)],
}

/// A complete response.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, decompressed.
    pub(crate) body: Vec<u8>,
}

impl SourceClient {
    fn try_new(
        source: &SourceSettings,
        egress: Egress,
        settings: Arc<ClientSettings>,
    ) -> Result<Self, QueryError> {
        let mut headers = settings::own_headers(source)?;
        let base = base(source, &mut headers)?;
        let connector = Connector::new(egress, settings.clone(), Tls::of(source)?);
        let http = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.max_idle)
            .build(connector);
        Ok(Self {
            http,
            base,
            headers,
            kept_cookies: settings::kept_cookies(source),
            forwards_oauth: settings::json_flag(source, "oauthPassThru"),
            timeout: settings::timeout(source, &settings),
            settings,
            edition: Edition::of(source),
            weight: CLIENT_BYTES.saturating_add(source.weight()),
        })
    }

    /// Sends a request and reads the complete response within the source's timeout. A redirect is an error: it could
    /// lead anywhere, with the source's credentials.
    pub(crate) async fn fetch(&self, context: &SourceContext, call: Call<'_>) -> Result<Answer, QueryError> {
        let source = &context.source;
        let mut headers = HeaderMap::new();
        for (name, value) in call.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers.insert(name::ACCEPT_ENCODING, HeaderValue::from_static(self.accepted_encoding()));
        let (query, body) = if call.method == Method::POST {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(name::CONTENT_TYPE, form);
            ("", Bytes::from(call.parameters))
        } else {
            (call.parameters.as_str(), Bytes::new())
        };
        let request = self.request(context, call.method, (call.path, query), headers, body)?;
        let exchange = async {
            let response = self.send(source, request).await?;
            let status = response.status();
            if status.is_redirection() {
                let why = format!("answered {}, a redirect, which is not followed", status.as_u16());
                return Err(unusable(source, why));
            }
            let encoding =
                response.headers().get(name::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
            let encoding = Encoding::parse(encoding).map_err(|error| unusable(source, error))?;
            let body = body::read(response.into_body(), encoding, context.max_bytes, &context.share).await;
            let body = body.map_err(|error| match error {
                BodyError::NoRoom(error) => error.into(),
                error => unusable(source, error),
            })?;
            Ok(Answer { status: status.as_u16(), body })
        };
        timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(failure::timed_out(source, self.timeout)))
    }

    /// Forwards a client's request. The response must begin within the source's timeout, and is streamed as it arrives.
    pub(crate) async fn open(
        &self,
        context: &SourceContext,
        request: ResourceRequest,
        authorization: Option<&str>,
    ) -> Result<ResourceResponse, QueryError> {
        let source = &context.source;
        let method = Method::from_bytes(request.method.as_bytes())
            .ok()
            .filter(|method| method != Method::CONNECT)
            .ok_or_else(|| QueryError::invalid("the method is not one that is passed on"))?;
        let mut headers = header::of_request(&request.headers);
        // Only encodings that the client accepts are requested, because the body is forwarded unchanged.
        headers.entry(name::ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
        let place = (request.path.as_str(), request.query.as_str());
        let mut request = self.request(context, method, place, headers, request.body)?;
        if let Some(value) = authorization {
            let value = settings::secret(value)
                .ok_or_else(|| QueryError::invalid("X-DS-Authorization has a value that cannot be sent"))?;
            request.headers_mut().insert(name::AUTHORIZATION, value);
        }
        let response = timeout(self.timeout, self.send(source, request)).await;
        let response = response.unwrap_or_else(|_| Err(failure::timed_out(source, self.timeout)))?;
        Ok(ResourceResponse {
            status: response.status().as_u16(),
            headers: header::of_answer(response.headers()),
            body: body::stream(response.into_body(), self.settings.max_streamed_bytes, self.timeout),
        })
    }

    async fn send(
        &self,
        source: &SourceSettings,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<hyper::body::Incoming>, QueryError> {
        let span = trace::start(source, request.method());
        trace::propagate(&span, request.headers_mut());
        let response = self.http.request(request).instrument(span.clone()).await;
        trace::finish(&span, response.as_ref().ok().map(Response::status));
        let response = response.map_err(|error| failure::failed(source, &error))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(unusable(source, "wants another protocol than HTTP"));
        }
        Ok(response)
    }

    fn request(
        &self,
        context: &SourceContext,
        method: Method,
        (path, query): (&str, &str),
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, QueryError> {
        let url = path::below(&self.base, path, query)
            .ok_or_else(|| QueryError::invalid("the path does not lead below the data source's address"))?;
        headers.insert(name::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        self.add_caller(context, &mut headers);
        if let Some(value) = self.settings.proxy.as_ref().and_then(|proxy| proxy.authorization.clone())
            && url.scheme() == "http"
        {
            headers.insert(name::PROXY_AUTHORIZATION, value);
        }
        let mut request =
            Request::builder().method(method).uri(url.as_str()).body(Full::new(body)).map_err(|_| {
                QueryError::invalid("the request is too long for an address; POST has no such limit")
            })?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Adds the headers that identify the caller to the source.
    fn add_caller(&self, context: &SourceContext, headers: &mut HeaderMap) {
        if self.forwards_oauth {
            for name in ["authorization", "x-id-token"] {
                if let Some(value) = header::value(&context.headers, name).and_then(settings::secret) {
                    headers.insert(HeaderName::from_static(name), value);
                }
            }
        }
        if let Some(cookies) = header::cookies(&context.headers, &self.kept_cookies)
            && let Some(value) = settings::secret(&cookies)
        {
            headers.insert(name::COOKIE, value);
        }
        if self.settings.sends_user
            && let Some(user) = &context.user
            && let Ok(login) = HeaderValue::from_str(&user.login)
        {
            headers.insert(USER_HEADER, login);
        }
    }

    /// Requests compression only over TLS: between hosts of one network, which speak plain HTTP, it costs more than it
    /// saves.
    fn accepted_encoding(&self) -> &'static str {
        if self.base.scheme() == "https" { "gzip" } else { "identity" }
    }
}

/// The base URL of a source. Credentials in it become an authorization header, unless there is one already.
fn base(source: &SourceSettings, headers: &mut Vec<(HeaderName, HeaderValue)>) -> Result<Url, QueryError> {
    let invalid = |why| failure::misconfigured(source, why);
    let text = source.content.url.trim();
    if text.is_empty() {
        return Err(invalid("it has no address"));
    }
    let mut url = Url::parse(text).map_err(|_| invalid("its address is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(invalid("its address is not one of http or https"));
    }
    let (user, password) = (url.username().to_owned(), url.password().unwrap_or_default().to_owned());
    if !user.is_empty() || !password.is_empty() {
        let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let value = settings::basic(&decode(&user), &decode(&password))
            .ok_or_else(|| invalid("its address has a user that cannot be sent"))?;
        if !headers.iter().any(|(name, _)| name == name::AUTHORIZATION) {
            headers.push((name::AUTHORIZATION, value));
        }
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| invalid("its address is no URL"))?;
    }
    url.set_fragment(None);
    Ok(url)
}
