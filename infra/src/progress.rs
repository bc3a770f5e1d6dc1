//! How far long work is, told to whoever shows it.

/// Is told how far work is: what is done, how much of it is done, and how much there is in all, 0 if nobody knows.
type Tell<'a> = &'a (dyn Fn(&str, u64, u64) + Send + Sync);

/// Tells how far work is, now and then.
#[derive(Clone, Copy)]
pub struct Report<'a>(Tell<'a>);

/// After how many steps work tells how far it is.
const EVERY: u64 = 1_000;

impl<'a> Report<'a> {
    /// Tells this function.
    #[must_use]
    pub fn new(tell: Tell<'a>) -> Self {
        Self(tell)
    }

    /// The work is at this step.
    pub fn at(&self, what: &str, done: u64, of: u64) {
        if done.is_multiple_of(EVERY) || done == of {
            (self.0)(what, done, of);
        }
    }
}
