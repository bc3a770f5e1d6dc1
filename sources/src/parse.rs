//! Reading answers: large ones on the threads for work that takes long, in the org's turn.

use kymograph_app::kernel::work::Workers;
use kymograph_app::source::backend::{QueryError, SourceContext};

use crate::json::{JsonError, Read};

/// The result of `read` on a body.
pub(crate) async fn parsed<T: Send + 'static>(
    workers: &Workers,
    context: &SourceContext,
    body: Vec<u8>,
    read: impl FnOnce(&str) -> Read<T> + Send + 'static,
) -> Result<Read<T>, QueryError> {
    let bytes = body.len();
    let work = move || {
        let text = std::str::from_utf8(&body).map_err(|error| JsonError::Malformed(error.valid_up_to()))?;
        read(text)
    };
    Ok(workers.run(context.source.org, bytes, work).await?)
}
