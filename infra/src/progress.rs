//! Progress of long-running work.

/// Receives the progress: the activity, the completed number, and the total, 0 if unknown.
type Tell<'a> = &'a (dyn Fn(&str, u64, u64) + Send + Sync);

/// Reports progress periodically.
#[derive(Clone, Copy)]
pub struct Report<'a>(Tell<'a>);

/// The number of steps between two reports.
const EVERY: u64 = 1_000;

impl<'a> Report<'a> {
    /// Reports to this function.
    #[must_use]
    pub fn new(tell: Tell<'a>) -> Self {
        Self(tell)
    }

    /// Reports a step.
    pub fn at(&self, what: &str, done: u64, of: u64) {
        if done.is_multiple_of(EVERY) || done == of {
            (self.0)(what, done, of);
        }
    }
}
