//! A connection to a source: its incoming and outgoing messages.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures_util::FutureExt;
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Instant;

use super::cancel::Canceller;
use super::error::{Refusal, SourceError};
use super::share::Share;

/// The size of a read.
const READ_BYTES: usize = 64 * 1024;
/// The maximum size of a message other than a row, in bytes.
pub(super) const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// The tag and the length of a message.
pub(super) const HEADER_BYTES: usize = 5;
/// The tag of a row message.
pub(super) const ROW: u8 = b'D';

/// A byte stream to a source.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// A connection that runs one statement at a time.
pub(super) struct Session {
    socket: Box<dyn Socket>,
    received: BytesMut,
    /// Whether a request was sent whose response has not been read completely. Such a connection is not reused.
    is_busy: bool,
    /// Cancels the running statement; set once the login has succeeded.
    pub(super) canceller: Option<Canceller>,
    opened: Instant,
    /// Whether a transaction is open.
    has_transaction: bool,
    _share: Share,
}

impl Session {
    pub(super) fn new(socket: Box<dyn Socket>, share: Share) -> Self {
        let received = BytesMut::with_capacity(READ_BYTES);
        let opened = Instant::now();
        let (is_busy, has_transaction) = (false, false);
        Self { socket, received, is_busy, canceller: None, opened, has_transaction, _share: share }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    pub(super) fn has_transaction(&self) -> bool {
        self.has_transaction
    }

    pub(super) fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Sends messages whose response ends with the server being ready again.
    pub(super) async fn send(&mut self, out: &[u8]) -> Result<(), SourceError> {
        self.is_busy = true;
        self.socket.write_all(out).await?;
        Ok(self.socket.flush().await?)
    }

    /// Reads more bytes from the server.
    pub(super) async fn read(&mut self) -> Result<(), SourceError> {
        self.received.reserve(READ_BYTES);
        match self.socket.read_buf(&mut self.received).await? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => Ok(()),
        }
    }

    /// The tag and the total length of the next message, if it has been read completely. A message longer than `most`
    /// is refused before memory is reserved for it.
    pub(super) fn peek(&self, most: usize) -> Result<Option<(u8, usize)>, SourceError> {
        let [tag, length @ ..] = match self.received.first_chunk::<HEADER_BYTES>() {
            Some(header) => *header,
            None => return Ok(None),
        };
        let total = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX).saturating_add(1);
        if total < HEADER_BYTES {
            return Err(SourceError::Lost("it does not speak the protocol of PostgreSQL".to_owned()));
        }
        if total > most {
            return Err(SourceError::TooLarge(most));
        }
        Ok((self.received.len() >= total).then_some((tag, total)))
    }

    /// The total length of the next message, if its head has been read.
    pub(super) fn announced(&self) -> usize {
        let length =
            self.received.first_chunk::<HEADER_BYTES>().map(|[_, length @ ..]| u32::from_be_bytes(*length));
        length.and_then(|length| usize::try_from(length).ok()).unwrap_or_default()
    }

    /// The bytes of the next message, after a [`Self::peek`].
    pub(super) fn message(&self, total: usize) -> &[u8] {
        self.received.get(..total).unwrap_or_default()
    }

    /// Skips the next message, after a [`Self::peek`].
    pub(super) fn skip(&mut self, total: usize) {
        self.received.advance(total.min(self.received.len()));
    }

    /// Takes the next message, after a [`Self::peek`]. Once the server is ready again, the session is free.
    pub(super) fn take(&mut self) -> Result<Option<Message>, SourceError> {
        let message = Message::parse(&mut self.received)?;
        if let Some(Message::ReadyForQuery(body)) = &message {
            self.is_busy = false;
            self.has_transaction = body.status() != b'I';
        }
        Ok(message)
    }

    /// The next message that is not a row.
    pub(super) async fn receive(&mut self) -> Result<Message, SourceError> {
        loop {
            if self.peek(MAX_MESSAGE_BYTES)?.is_some()
                && let Some(message) = self.take()?
            {
                return Ok(message);
            }
            self.read().await?;
        }
    }

    /// Sends messages that end with a Sync, and passes the responses to `take` until the server is ready again. An
    /// error response becomes the result.
    pub(super) async fn converse(
        &mut self,
        out: &[u8],
        mut take: impl FnMut(&Message) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        self.send(out).await?;
        let mut refusal = None;
        loop {
            match self.receive().await? {
                Message::ReadyForQuery(_) => {
                    return refusal.map_or(Ok(()), |refusal| Err(SourceError::Refused(refusal)));
                }
                Message::ErrorResponse(body) => {
                    refusal.get_or_insert_with(|| Refusal::of(&body));
                }
                message => take(&message)?,
            }
        }
    }

    /// Runs a command of ours.
    pub(super) async fn command(&mut self, text: &str) -> Result<(), SourceError> {
        let mut out = BytesMut::new();
        frontend::query(text, &mut out)?;
        self.converse(&out, |_| Ok(())).await
    }

    /// Whether the server has closed the connection, or sent an unexpected message.
    pub(super) fn is_lost(&mut self) -> bool {
        !self.received.is_empty() || self.socket.read_buf(&mut self.received).now_or_never().is_some()
    }
}
