//! The port for queries to data sources. An adapter serves one type of source; its inputs do not depend on memory
//! shared with the server, so it can also run in another process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use kymograph_domain::source::data_source::DataSourceContent;
use kymograph_domain::source::expression::ExpressionFault;
use kymograph_domain::source::frame::Frame;
use kymograph_domain::{OrgId, OrgRole, Uid};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::kernel::error::{Error, ErrorKind};
use crate::source::room::AnswerShare;

/// Secrets of a source by name. They are overwritten when they are dropped, and never printed.
#[derive(Clone, Default)]
pub struct SourceSecrets(pub BTreeMap<String, Zeroizing<String>>);

impl SourceSecrets {
    /// A secret that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|secret| secret.as_str()).filter(|secret| !secret.is_empty())
    }
}

impl fmt::Debug for SourceSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A data source as its backend sees it.
#[derive(Clone, Debug)]
pub struct SourceSettings {
    /// The org.
    pub org: OrgId,
    /// The numeric id.
    pub id: i64,
    /// The uid.
    pub uid: Uid,
    /// Its settings.
    pub content: DataSourceContent,
    /// The secrets.
    pub secrets: SourceSecrets,
    /// Incremented with each change: a backend caches data of a source by uid and version.
    pub version: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

impl SourceSettings {
    /// The approximate size in memory, in bytes, for caches of settings and of objects made from them.
    #[must_use]
    pub fn weight(&self) -> u32 {
        let secrets =
            self.secrets.0.iter().map(|(name, secret)| name.len() + secret.len() + 64).sum::<usize>();
        // As a parsed document, `jsonData` takes several times the size of its text.
        let content = serde_json::to_string(&self.content).map_or(0, |text| text.len() * 4);
        u32::try_from(SETTINGS_BYTES + secrets + content).unwrap_or(u32::MAX)
    }
}

/// The size of settings in addition to their texts.
const SETTINGS_BYTES: usize = 1024;

/// The caller, as far as it may be disclosed to a source.
#[derive(Clone, Debug)]
pub struct SourceUser {
    /// The login.
    pub login: String,
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// The role in the org.
    pub role: OrgRole,
}

/// A header's name, in lower case, and its value.
pub type Header = (String, String);

/// The context of a request to a source.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// The source.
    pub source: Arc<SourceSettings>,
    /// The caller; `None` for the server itself.
    pub user: Option<SourceUser>,
    /// Headers of the request that may be forwarded: `authorization` and `x-id-token` of an OAuth session, `cookie`.
    pub headers: Vec<Header>,
    /// The maximum size of the source's response, in bytes.
    pub max_bytes: usize,
    /// The memory of the answer. It is reserved before data is read or converted.
    pub share: Arc<AnswerShare>,
}

/// A span of time, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The beginning.
    pub from_ms: i64,
    /// The end.
    pub to_ms: i64,
}

/// One query to a source.
#[derive(Clone, Debug)]
pub struct Query {
    /// The name of the query in its request.
    pub ref_id: String,
    /// The kind of query, specific to the type of source; often empty.
    pub query_type: String,
    /// The complete query as it was sent.
    pub model: Arc<Map<String, Value>>,
    /// The time range of the query.
    pub range: TimeRange,
    /// The time between points that fits the panel, in milliseconds.
    pub interval_ms: i64,
    /// The maximum number of points of a series that fit the panel.
    pub max_data_points: i64,
}

/// The origin of a query error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOrigin {
    /// The query, the settings or the backend.
    Plugin,
    /// The source.
    Downstream,
    /// The network: the source was not reached.
    Network,
    /// The source did not respond in time. It can be unreachable, or the query is a slow one.
    Timeout,
}

/// The error of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// The message for users.
    pub message: String,
    /// The HTTP status of this query.
    pub status: u16,
    /// The origin of the error.
    pub origin: ErrorOrigin,
}

impl QueryError {
    /// The query is invalid.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: 400, origin: ErrorOrigin::Plugin }
    }

    /// The requested object does not exist.
    pub fn missing(message: impl Into<String>) -> Self {
        Self { status: 404, ..Self::invalid(message) }
    }

    /// The source failed.
    pub fn downstream(status: u16, message: impl Into<String>) -> Self {
        Self { message: message.into(), status, origin: ErrorOrigin::Downstream }
    }

    /// The source cannot be reached.
    pub fn unreached(status: u16, message: impl Into<String>) -> Self {
        Self { origin: ErrorOrigin::Network, ..Self::downstream(status, message) }
    }

    /// The source does not respond in time.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self { origin: ErrorOrigin::Timeout, ..Self::downstream(504, message) }
    }
}

impl From<ExpressionFault> for QueryError {
    fn from(fault: ExpressionFault) -> Self {
        Self::invalid(fault.to_string())
    }
}

impl From<Error> for QueryError {
    /// An overload of the org or the server, or a limit that was exceeded.
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Overloaded => 429,
            ErrorKind::TooLarge => 413,
            _ => 500,
        };
        Self { status, ..Self::invalid(error.message()) }
    }
}

/// The result of a query.
pub type QueryResult = Result<Vec<Frame>, QueryError>;

/// The results of queries by their `ref_id`.
pub type QueryResults = BTreeMap<String, QueryResult>;

/// The same error for all queries.
#[must_use]
pub fn all_failed(queries: &[Query], error: &QueryError) -> QueryResults {
    queries.iter().map(|query| (query.ref_id.clone(), Err(error.clone()))).collect()
}

/// Whether a source works.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// True if it does.
    pub is_ok: bool,
    /// The message for users.
    pub message: String,
    /// Further details, specific to the type of source.
    pub details: Option<Value>,
}

impl Health {
    /// The source works.
    pub fn ok(message: impl Into<String>) -> Self {
        Self { is_ok: true, message: message.into(), details: None }
    }
}

impl From<QueryError> for Health {
    fn from(error: QueryError) -> Self {
        Self { is_ok: false, message: error.message, details: None }
    }
}

/// A request to a source other than a query.
#[derive(Clone, Debug)]
pub struct ResourceRequest {
    /// The HTTP method, in upper case.
    pub method: String,
    /// The path, percent-encoded and without a slash at its beginning.
    pub path: String,
    /// The query string as it came, without the question mark.
    pub query: String,
    /// The headers that are forwarded to the source.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Bytes,
}

/// The response to such a request, whose body is streamed.
pub struct ResourceResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers that are returned to the client.
    pub headers: Vec<Header>,
    /// The body.
    pub body: BoxStream<'static, std::io::Result<Bytes>>,
}

impl fmt::Debug for ResourceResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Queries sources of one type. When the caller goes away, the future is dropped, which also cancels the work at the
/// source.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Answers queries to one source, each by its `ref_id`.
    async fn query(&self, context: &SourceContext, queries: &[Query]) -> QueryResults;

    /// Whether a source works.
    async fn check_health(&self, context: &SourceContext) -> Health;

    /// Sends a request other than a query to a source.
    async fn call_resource(
        &self,
        context: &SourceContext,
        request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError>;
}

/// Forwards requests to sources unchanged, for clients that use a source's own API.
#[async_trait]
pub trait SourceProxy: Send + Sync {
    /// Forwards a request with the source's credentials, and streams the response.
    async fn forward(
        &self,
        context: &SourceContext,
        request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError>;
}
