//! Streamed responses end when their caller loses its rights.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};
use kymograph_app::{Error, ErrorKind};

use super::gate::Readmission;

/// The interval between checks of the rights of the caller of a streamed response.
const INTERVAL: Duration = Duration::from_secs(10);
/// The number of consecutive checks that may fail because the rights cannot be read: rights are never older than 30 s.
const MAX_FAILURES: u32 = 3;

/// A streamed body, which fails once its caller has lost its rights.
pub(super) struct WatchedBody {
    body: Body,
    /// Ends with the reason to abort the response.
    rights: BoxFuture<'static, Error>,
}

impl WatchedBody {
    /// The body of a response to the caller of this request.
    pub(super) fn around(body: Body, readmission: Readmission) -> Body {
        Body::new(Self { body, rights: Box::pin(until_revoked(readmission)) })
    }
}

/// Waits until the rights have ended, or cannot be checked for some time.
async fn until_revoked(readmission: Readmission) -> Error {
    let mut failures = 0;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Err(error) = readmission.check().await else {
            failures = 0;
            continue;
        };
        failures += 1;
        if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden)
            || failures == MAX_FAILURES
        {
            return error;
        }
    }
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(error) = self.rights.as_mut().poll(context) {
            tracing::info!(%error, "aborted a streamed response because the rights of its caller have ended");
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
