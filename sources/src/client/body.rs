//! Response bodies, limited in size both compressed and decompressed.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, try_unfold};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use kymograph_app::source::room::{AnswerShare, MIN_BYTES_PER_SECOND, Pace};
use tokio::time::{Instant, timeout_at};

/// The maximum time to forward a response.
pub(crate) const LIFETIME: Duration = Duration::from_secs(600);

/// How many compressed bytes are decompressed at a time: gzip expands them at most a thousandfold.
const COMPRESSED_PART: usize = 1024;

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// It is too large.
    #[error("answered with more than {0} bytes")]
    TooLarge(usize),
    /// It contradicts its encoding, or ends prematurely.
    #[error("broke off its answer")]
    Broken(#[from] hyper::Error),
    /// Its gzip is invalid.
    #[error("answered with gzip that cannot be read")]
    Gzip,
    /// Its encoding was not requested.
    #[error("answered with an encoding that was not asked for")]
    Encoding,
    /// It arrives too slowly to be kept in memory.
    #[error("sends its answer at less than {} KiB per second, too slowly for its size", MIN_BYTES_PER_SECOND / 1024)]
    Slow,
    /// The memory budget for it is exhausted.
    #[error("{}", .0.message())]
    NoRoom(kymograph_app::Error),
}

/// The encoding of a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    /// Parses the header `Content-Encoding`.
    pub(super) fn parse(header: Option<&str>) -> Result<Self, BodyError> {
        match header.map(str::trim) {
            None | Some("" | "identity") => Ok(Self::Identity),
            Some(name) if name.eq_ignore_ascii_case("gzip") || name == "x-gzip" => Ok(Self::Gzip),
            Some(_) => Err(BodyError::Encoding),
        }
    }
}

/// A buffer with a size limit.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    is_exceeded: bool,
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.len() > self.limit - self.bytes.len() {
            self.is_exceeded = true;
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a complete body. The limit applies to the announced and to the decompressed size; the memory is taken from
/// `share`.
pub(super) async fn read(
    mut body: Incoming,
    encoding: Encoding,
    limit: usize,
    share: &AnswerShare,
) -> Result<Vec<u8>, BodyError> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(BodyError::TooLarge(limit));
    }
    let capacity =
        if encoding == Encoding::Identity { usize::try_from(announced).unwrap_or_default() } else { 0 };
    let mut plain = Bounded { bytes: Vec::with_capacity(capacity), limit, is_exceeded: false };
    let mut pace = Pace::default();
    if encoding == Encoding::Identity {
        while let Some(frame) = next(&mut body, pace.deadline(plain.bytes.len())).await? {
            let Ok(data) = frame.into_data() else { continue };
            pace.take(share, data.len()).await.map_err(BodyError::NoRoom)?;
            plain.write_all(&data).map_err(|_| BodyError::TooLarge(limit))?;
        }
        return Ok(plain.bytes);
    }
    let mut decoder = MultiGzDecoder::new(plain);
    while let Some(frame) = next(&mut body, pace.deadline(decoder.get_ref().bytes.len())).await? {
        let Ok(data) = frame.into_data() else { continue };
        for part in data.chunks(COMPRESSED_PART) {
            let before = decoder.get_ref().bytes.len();
            if decoder.write_all(part).is_err() {
                let is_exceeded = decoder.get_ref().is_exceeded;
                return Err(if is_exceeded { BodyError::TooLarge(limit) } else { BodyError::Gzip });
            }
            let more = decoder.get_ref().bytes.len() - before;
            pace.take(share, more).await.map_err(BodyError::NoRoom)?;
        }
    }
    decoder.finish().map(|plain| plain.bytes).map_err(|_| BodyError::Gzip)
}

/// The next frame of a body, which must arrive in time.
async fn next(
    body: &mut Incoming,
    deadline: Option<std::time::Instant>,
) -> Result<Option<hyper::body::Frame<Bytes>>, BodyError> {
    let frame = match deadline {
        Some(deadline) => timeout_at(deadline.into(), body.frame()).await.map_err(|_| BodyError::Slow)?,
        None => body.frame().await,
    };
    Ok(frame.transpose()?)
}

/// A body as a stream with a timeout for each part. It fails once it exceeds the limit.
pub(super) fn stream(
    body: Incoming,
    limit: Option<usize>,
    patience: Duration,
) -> BoxStream<'static, io::Result<Bytes>> {
    let end = Instant::now() + LIFETIME;
    let limit = limit.unwrap_or(usize::MAX);
    let parts = try_unfold((body, limit), move |(mut body, left)| async move {
        loop {
            let until = (Instant::now() + patience).min(end);
            let frame = match timeout_at(until, body.frame()).await {
                Ok(Some(frame)) => frame.map_err(io::Error::other)?,
                Ok(None) => return Ok(None),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            };
            let Ok(data) = frame.into_data() else { continue };
            let Some(left) = left.checked_sub(data.len()) else {
                return Err(io::Error::other(BodyError::TooLarge(limit)));
            };
            return Ok(Some((data, (body, left))));
        }
    });
    parts.boxed()
}
