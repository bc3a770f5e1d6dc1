//! The socket and the bodies of a connection. They report progress to its [`Connection`].

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;

use super::connection::{Connection, Phase};
use super::discard::{PART, Rest};

/// The socket of a connection.
pub(super) struct Stream {
    socket: Take<TcpStream>,
    connection: Arc<Connection>,
    /// The rest of the request, discarded after the response.
    rest: Option<Rest>,
}

impl Stream {
    pub(super) fn new(socket: TcpStream, connection: Arc<Connection>) -> Self {
        Self { socket: socket.take(0), connection, rest: None }
    }

    fn inner(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.socket.get_mut())
    }

    fn poll_discard(&mut self, rest: &mut Rest, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [MaybeUninit::uninit(); PART];
        while ready!(rest.poll_more(context, || self.connection.may_discard())) {
            let mut buffer = ReadBuf::uninit(&mut bytes);
            ready!(self.inner().poll_read(context, &mut buffer))?;
            rest.discarded(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.connection.blocked(),
            Poll::Ready(Ok(bytes)) => self.connection.wrote(*bytes),
            Poll::Ready(Err(_)) => {}
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // The free capacity of `hyper`'s buffer.
        this.connection.has_room(buffer.capacity())?;
        this.socket.set_limit(this.connection.read_limit() as u64);
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(context, buffer))?;
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            this.connection.received(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner().poll_write(context, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner().poll_write_vectored(context, parts);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.inner().poll_flush(context))?;
        self.connection.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut rest = match this.rest.take() {
            Some(rest) => rest,
            None => {
                ready!(this.inner().poll_shutdown(context))?;
                if !this.connection.has_unread() {
                    return Poll::Ready(Ok(()));
                }
                this.connection.enter(Phase::Closing);
                Rest::new()
            }
        };
        let done = this.poll_discard(&mut rest, context);
        this.rest = Some(rest);
        done
    }
}

/// The body of a request.
pub(super) struct Arrival {
    body: Incoming,
    connection: Arc<Connection>,
    is_done: bool,
}

impl Arrival {
    pub(super) fn new(body: Incoming, connection: Arc<Connection>) -> Self {
        Self { is_done: body.is_end_stream(), body, connection }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if !self.is_done && !self.body.is_end_stream() {
            self.connection.leave_unread();
        }
        self.connection.go_on(0);
    }
}

impl HttpBody for Arrival {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            self.connection.wait_for_body();
            return Poll::Pending;
        };
        self.is_done = frame.is_none();
        let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
        if self.connection.go_on(data.map_or(0, Bytes::len)) {
            Poll::Ready(frame)
        } else {
            // Its task is aborted already.
            Poll::Pending
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer.
pub(super) struct Answer {
    body: Body,
    connection: Arc<Connection>,
    /// Whether it is streamed, so that it is counted by chunk.
    is_made_on_the_way: bool,
}

impl Answer {
    pub(super) fn new(body: Body, connection: Arc<Connection>) -> Self {
        let size = body.size_hint();
        connection.begin_answer(size.lower());
        Self { body, connection, is_made_on_the_way: size.exact().is_none() }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.end_answer();
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if self.is_made_on_the_way
            && let Some(Ok(frame)) = &frame
        {
            // The next chunk is polled when the previous one is almost written.
            self.connection.hold_answer(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
