//! The port through which data sources are asked. An adapter serves one type of source; what it is told does not hang on
//! memory that it shares with the server, so that it can also be another process.

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
    /// Moves with each change: what a backend keeps for a source is for one uid and version.
    pub version: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

impl SourceSettings {
    /// About how many bytes they take in memory, for caches of them and of what is made of them.
    #[must_use]
    pub fn weight(&self) -> u32 {
        let secrets =
            self.secrets.0.iter().map(|(name, secret)| name.len() + secret.len() + 64).sum::<usize>();
        // As a document `jsonData` takes some times as much as its text.
        let content = serde_json::to_string(&self.content).map_or(0, |text| text.len() * 4);
        u32::try_from(SETTINGS_BYTES + secrets + content).unwrap_or(u32::MAX)
    }
}

/// What settings take beside their texts.
const SETTINGS_BYTES: usize = 1024;

/// Who asks, as far as a source may know.
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

/// What is told to a source with each request.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// The source.
    pub source: Arc<SourceSettings>,
    /// Who asks; `None` for the server itself.
    pub user: Option<SourceUser>,
    /// Headers of the request that may be forwarded: `authorization` and `x-id-token` of an OAuth session, `cookie`.
    pub headers: Vec<Header>,
    /// The most bytes that the source may answer with.
    pub max_bytes: usize,
    /// The memory of the answer. What is read and what is made of it is taken from it before.
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
    /// What kind of query it is, which its type of source knows; often empty.
    pub query_type: String,
    /// The whole query as it came.
    pub model: Arc<Map<String, Value>>,
    /// The time it is about.
    pub range: TimeRange,
    /// The time between points that fits the panel, in milliseconds.
    pub interval_ms: i64,
    /// The most points of a series that fit the panel.
    pub max_data_points: i64,
}

/// Whose fault an error of a query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOrigin {
    /// The query, the settings or the backend.
    Plugin,
    /// The source.
    Downstream,
    /// The way to the source: it was not reached, or did not answer in time.
    Network,
}

/// Why a query has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// What people are told.
    pub message: String,
    /// The HTTP status of this query.
    pub status: u16,
    /// Whose fault it is.
    pub origin: ErrorOrigin,
}

impl QueryError {
    /// The query makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { message: message.into(), status: 400, origin: ErrorOrigin::Plugin }
    }

    /// There is nothing of the kind that is asked for.
    pub fn missing(message: impl Into<String>) -> Self {
        Self { status: 404, ..Self::invalid(message) }
    }

    /// The source failed.
    pub fn downstream(status: u16, message: impl Into<String>) -> Self {
        Self { message: message.into(), status, origin: ErrorOrigin::Downstream }
    }

    /// The source cannot be reached, or does not answer in time.
    pub fn unreached(status: u16, message: impl Into<String>) -> Self {
        Self { origin: ErrorOrigin::Network, ..Self::downstream(status, message) }
    }
}

impl From<ExpressionFault> for QueryError {
    fn from(fault: ExpressionFault) -> Self {
        Self::invalid(fault.to_string())
    }
}

impl From<Error> for QueryError {
    /// There is too much at once, of the org or of all, or more than there may be.
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Overloaded => 429,
            ErrorKind::TooLarge => 413,
            _ => 500,
        };
        Self { status, ..Self::invalid(error.message()) }
    }
}

/// What a query is answered with.
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
    /// What people are told.
    pub message: String,
    /// More of it, as its type says it.
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

/// A request to what a source offers beside queries.
#[derive(Clone, Debug)]
pub struct ResourceRequest {
    /// The HTTP method, in upper case.
    pub method: String,
    /// The path, percent-encoded and without a slash at its beginning.
    pub path: String,
    /// The query string as it came, without the question mark.
    pub query: String,
    /// The headers that go on to the source.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Bytes,
}

/// The answer to such a request, of which the body comes as it is read.
pub struct ResourceResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers that go back to the client.
    pub headers: Vec<Header>,
    /// The body.
    pub body: BoxStream<'static, std::io::Result<Bytes>>,
}

impl fmt::Debug for ResourceResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Asks sources of one type. Who asks no longer drops the future, which ends the work at the source as well.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Answers queries to one source, each by its `ref_id`.
    async fn query(&self, context: &SourceContext, queries: &[Query]) -> QueryResults;

    /// Whether a source works.
    async fn check_health(&self, context: &SourceContext) -> Health;

    /// Calls what a source offers beside queries.
    async fn call_resource(
        &self,
        context: &SourceContext,
        request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError>;
}

/// Passes requests on to sources as they are, for clients that speak a source's own API.
#[async_trait]
pub trait SourceProxy: Send + Sync {
    /// Forwards a request with the source's credentials, and streams the answer.
    async fn forward(
        &self,
        context: &SourceContext,
        request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError>;
}
