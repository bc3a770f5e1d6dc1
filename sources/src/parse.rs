//! Where answers are read: large ones off the threads that serve requests.

use kymograph_app::source::backend::QueryError;

use crate::json::{JsonError, Read};

/// From how many bytes on reading an answer takes so long that others would wait for the thread.
const LARGE: usize = 512 * 1024;

/// What `read` makes of a body.
pub(crate) async fn parsed<T: Send + 'static>(
    body: Vec<u8>,
    read: impl FnOnce(&str) -> Read<T> + Send + 'static,
) -> Result<Read<T>, QueryError> {
    let is_large = body.len() >= LARGE;
    let work = move || {
        let text = std::str::from_utf8(&body).map_err(|error| JsonError::Malformed(error.valid_up_to()))?;
        read(text)
    };
    if !is_large {
        return Ok(work());
    }
    // The thread ends only with the server, or if reading panics.
    let stopped = |_| QueryError { status: 503, ..QueryError::invalid("the server is about to stop") };
    tokio::task::spawn_blocking(work).await.map_err(stopped)
}
