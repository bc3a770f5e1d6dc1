//! Sources for tests: settings, and HTTP servers with scripted responses.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{
    Query, ResourceRequest, ResourceResponse, SourceContext, SourceSecrets, SourceSettings, TimeRange,
};
use kymograph_app::source::room::AnswerShare;
use kymograph_domain::OrgId;
use kymograph_domain::source::data_source::DataSourceContent;
use kymograph_infra::compute::ComputeThreads;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::client::{ClientSettings, HttpClients};
use crate::policy::{Egress, EgressPolicy};

/// A source at an address.
pub(crate) fn source(url: &str) -> SourceSettings {
    SourceSettings {
        org: OrgId(1),
        id: 1,
        uid: "test".parse().unwrap(),
        content: DataSourceContent {
            name: "Test".to_owned(),
            kind: "prometheus".to_owned(),
            url: url.to_owned(),
            ..DataSourceContent::default()
        },
        secrets: SourceSecrets::default(),
        version: 1,
        updated_ms: 0,
    }
}

/// The context of a request to a source whose response may have 16 MiB.
pub(crate) fn context(source: SourceSettings) -> SourceContext {
    SourceContext {
        source: Arc::new(source),
        user: None,
        headers: Vec::new(),
        max_bytes: 16 << 20,
        share: Arc::new(AnswerShare::alone(OrgId(1))),
    }
}

/// A query over an hour.
pub(crate) fn query(model: Value) -> Query {
    let Value::Object(model) = model else { panic!("a model is an object") };
    Query {
        ref_id: "A".to_owned(),
        query_type: String::new(),
        model: Arc::new(model),
        range: TimeRange { from_ms: 1_700_000_000_000, to_ms: 1_700_003_600_000 },
        interval_ms: 15_000,
        max_data_points: 1_000,
    }
}

/// A request for a resource.
pub(crate) fn resource(method: &str, path: &str, query: &str) -> ResourceRequest {
    ResourceRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: Vec::new(),
        body: Bytes::new(),
    }
}

/// The complete body of a response.
pub(crate) async fn collected(response: ResourceResponse) -> std::io::Result<Vec<u8>> {
    response
        .body
        .try_fold(Vec::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        })
        .await
}

/// Workers with their own threads.
pub(crate) fn workers() -> Workers {
    Workers::on(ComputeThreads::start("source-test", Workers::turns()).unwrap())
}

/// An egress that allows the machine itself.
pub(crate) fn local_egress() -> Egress {
    Egress::new(EgressPolicy { allows_loopback: true, ..EgressPolicy::default() })
}

/// A request as the server received it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// The response of a server.
pub(crate) struct Reply {
    /// The head and the beginning of the body.
    pub(crate) bytes: Vec<u8>,
    /// The part that is repeated forever.
    pub(crate) repeated: Option<(Vec<u8>, Duration)>,
    /// Whether the connection stays open.
    pub(crate) is_open: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n", body.len()).into_bytes();
        for (name, value) in headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Self { bytes, repeated: None, is_open: true }
    }

    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::new(status, &[("content-type", "application/json")], body.as_bytes())
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::new(status, &[("content-type", "text/plain")], body.as_bytes())
    }

    /// Exactly these bytes, after which the connection is closed.
    pub(crate) fn raw(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), repeated: None, is_open: false }
    }

    /// No response, ever.
    pub(crate) fn silence() -> Self {
        Self { bytes: Vec::new(), repeated: None, is_open: true }
    }

    /// An endless body in chunks.
    pub(crate) fn endless(chunk: &[u8], pause: Duration) -> Self {
        let mut framed = format!("{:x}\r\n", chunk.len()).into_bytes();
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
        let bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        Self { bytes, repeated: Some((framed, pause)), is_open: true }
    }
}

/// A server that stands in for a source.
pub(crate) struct StandIn {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StandIn {
    /// Starts a server that answers each request with the result of `answer`.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (answer, counted, finished) = (Arc::new(answer), connections.clone(), ended.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (answer, finished) = (answer.clone(), finished.clone());
                tokio::spawn(async move {
                    serve(stream, &*answer).await;
                    finished.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, connections, ended, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The number of closed connections.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// Clients that may connect to it.
    #[expect(clippy::unused_self, reason = "it is asked of the server that the clients are for")]
    pub(crate) fn clients(&self) -> Arc<HttpClients> {
        Arc::new(HttpClients::new(local_egress(), ClientSettings::default()))
    }
}

async fn serve(stream: TcpStream, answer: &(dyn Fn(&Seen) -> Reply + Send + Sync)) {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = read_request(&mut stream).await {
        let reply = answer(&seen);
        if stream.get_mut().write_all(&reply.bytes).await.is_err() {
            return;
        }
        if let Some((chunk, pause)) = reply.repeated {
            while stream.get_mut().write_all(&chunk).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
            return;
        }
        if !reply.is_open {
            return;
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut seen = Seen { method, path: path.to_owned(), query: query.to_owned(), ..Seen::default() };
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        seen.headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = seen.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    seen.body = String::from_utf8(body).unwrap();
    Some(seen)
}
