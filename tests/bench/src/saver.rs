//! A client that saves dashboards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::document::MARK;
use crate::load::Client;

/// Sends its requests in turn, each time with different content.
pub(crate) struct Saver {
    requests: Vec<Vec<u8>>,
    /// The offset of the revision number in each request.
    marks: Vec<usize>,
    next: usize,
    revision: Arc<AtomicU64>,
}

impl Saver {
    /// A client with requests that save, and the next revision number, which it shares with other clients.
    pub(crate) fn new(requests: Vec<Vec<u8>>, revision: Arc<AtomicU64>) -> Self {
        let marks = requests.iter().map(|request| find(request, MARK.as_bytes())).collect();
        Self { requests, marks, next: 0, revision }
    }
}

impl Client for Saver {
    fn request(&mut self) -> &[u8] {
        let at = self.next % self.requests.len();
        self.next += 1;
        let revision = format!("{:010}", self.revision.fetch_add(1, Ordering::Relaxed));
        let (request, mark) = (&mut self.requests[at], self.marks[at]);
        request[mark..mark + MARK.len()].copy_from_slice(revision.as_bytes());
        request
    }
}

fn find(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).position(|window| window == part).unwrap_or_default()
}
