//! Parsing responses: large ones on the compute threads, in the org's turn, and within the memory available for the
//! result.

use std::sync::Arc;

use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{QueryError, SourceContext};
use kymograph_domain::source::frame::Frame;

use crate::json::{JsonError, Read};

/// The first budget for the result in addition to its points, as a fraction of the body: most of a body is points.
const FIRST_SHARE: usize = 4;
/// The minimum of the first budget.
const FIRST_BYTES: usize = 64 * 1024;

/// A parsed body.
pub(crate) trait Parsed: Send + 'static {
    /// Its approximate size in memory, in bytes.
    fn bytes(&self) -> usize;
}

impl Parsed for Vec<Frame> {
    fn bytes(&self) -> usize {
        self.iter().map(Frame::bytes).sum()
    }
}

/// The result of `read` on a body. Its second argument is the budget in addition to the points, in bytes.
pub(crate) async fn parsed<T: Parsed>(
    workers: &Workers,
    context: &SourceContext,
    body: Vec<u8>,
    read: impl Fn(&str, usize) -> Read<T> + Send + Sync + 'static,
) -> Result<Read<T>, QueryError> {
    let (body, read, share) = (Arc::new(body), Arc::new(read), &context.share);
    let bytes = body.len();
    // Points take no more memory than their text.
    share.take(bytes).await?;
    let mut budget = 0;
    let mut next = (bytes / FIRST_SHARE).max(FIRST_BYTES).min(context.max_bytes);
    let result = loop {
        share.take(next - budget).await?;
        budget = next;
        let (body, read) = (body.clone(), read.clone());
        let work = move || {
            let text =
                std::str::from_utf8(&body).map_err(|error| JsonError::Malformed(error.valid_up_to()))?;
            read(text, budget)
        };
        match workers.run(context.source.org, bytes, work).await? {
            Err(JsonError::TooMuch) if budget < context.max_bytes => next = context.max_bytes,
            result => break result,
        }
    };
    let kept = result.as_ref().map_or(0, Parsed::bytes);
    share.give_back((2 * bytes + budget).saturating_sub(kept));
    Ok(result)
}
