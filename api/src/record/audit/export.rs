//! An export as a streamed body.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use http_body::Frame;
use kymograph_app::kernel::log_limit::LogLimit;
use kymograph_app::record::audit::{AuditBatch, AuditExport, AuditRecord};
use kymograph_app::{Error, Result};
use tokio::sync::mpsc;

use super::{csv, entry};

/// How many chunks of an export are queued for the client.
const MAX_WAITING: usize = 1;
/// How many batches are encoded while the next one is read.
const MAX_WRITING: usize = 2;
/// The initial capacity for an encoded batch. Most need less, and growing copies.
const PIECE_BYTES: usize = 1024 * 1024;
/// The timeout for the client to read the next chunk.
const PATIENCE: Duration = Duration::from_secs(60);

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// One JSON object per line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv {
        /// Whether there is a column for the changes.
        with_changes: bool,
    },
}

impl Format {
    /// The format of that name.
    pub(super) fn try_parse(text: &str, with_changes: bool) -> Result<Self> {
        match text {
            "" | "ndjson" => Ok(Self::Ndjson),
            "csv" => Ok(Self::Csv { with_changes }),
            _ => Err(Error::invalid("format is invalid: use ndjson or csv")),
        }
    }

    fn headers(self) -> (&'static str, &'static str) {
        match self {
            Self::Ndjson => ("application/x-ndjson", "attachment; filename=\"audit.ndjson\""),
            Self::Csv { .. } => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
        }
    }

    fn write_batch(self, batch: &dyn AuditBatch) -> Result<Bytes> {
        let (mut out, mut written) = (Vec::with_capacity(PIECE_BYTES), Ok(()));
        batch.emit(false, &mut |record| {
            if written.is_ok() {
                written = self.write(&mut out, record);
            }
        });
        written.map(|()| Bytes::from(out))
    }

    fn write(self, out: &mut Vec<u8>, record: &AuditRecord<'_>) -> Result<()> {
        match self {
            Self::Ndjson => entry::write_line(out, record).map_err(Error::internal),
            Self::Csv { with_changes } => {
                csv::write_line(out, record, with_changes);
                Ok(())
            }
        }
    }
}

/// The response with an export.
pub(super) fn response(export: AuditExport, format: Format) -> Response {
    static LIMIT: LogLimit = LogLimit::new();
    let (pieces, body) = mpsc::channel(MAX_WAITING);
    tokio::spawn(async move {
        let end = produce(export, format, &pieces).await;
        if let Err(error) = &end
            && let Some(suppressed) = LIMIT.admit()
        {
            tracing::warn!(%error, suppressed, "an export was aborted");
        }
        // The end is distinct from a dropped producer: a client must not take a part for the whole.
        let _ = pieces.send(end.map(|()| None)).await;
    });
    let mut response = Response::new(Body::new(Pieces { body, is_done: false }));
    let (content_type, disposition) = format.headers();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    response
}

/// A chunk of an export; `None` is its end.
type Piece = Result<Option<Bytes>>;

/// Reads batches and encodes some of them concurrently: encoding takes longer than reading.
async fn produce(mut export: AuditExport, format: Format, pieces: &mpsc::Sender<Piece>) -> Result<()> {
    if let Format::Csv { with_changes } = format {
        send(pieces, Bytes::from(csv::header(with_changes))).await?;
    }
    let mut writing = VecDeque::new();
    while let Some(batch) = export.next_batch().await? {
        writing.push_back(tokio::task::spawn_blocking(move || format.write_batch(&*batch)));
        if writing.len() >= MAX_WRITING
            && let Some(written) = writing.pop_front()
        {
            send(pieces, written.await.map_err(Error::internal)??).await?;
        }
    }
    for written in writing {
        send(pieces, written.await.map_err(Error::internal)??).await?;
    }
    Ok(())
}

async fn send(pieces: &mpsc::Sender<Piece>, piece: Bytes) -> Result<()> {
    match tokio::time::timeout(PATIENCE, pieces.send(Ok(Some(piece)))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Error::invalid("the client went away")),
        Err(_) => Err(Error::invalid("the client did not read")),
    }
}

struct Pieces {
    body: mpsc::Receiver<Piece>,
    is_done: bool,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        self.body.poll_recv(context).map(|piece| {
            self.is_done = !matches!(piece, Some(Ok(Some(_))));
            match piece {
                Some(Ok(Some(piece))) => Some(Ok(Frame::data(piece))),
                Some(Ok(None)) => None,
                Some(Err(error)) => Some(Err(error)),
                None => Some(Err(Error::internal("an export ended without an end"))),
            }
        })
    }
}
