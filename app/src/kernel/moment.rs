//! Points in the history of an org, for reads of its state at that time.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::kernel::timestamp::FIRST_MILLISECONDS;
use kymograph_domain::{StreamId, Timestamp};

use crate::Scope;
use crate::kernel::clock::Clock;
use crate::kernel::error::{Error, Result};

/// Reads the position of an org's log, and the versions of its streams, at points in time.
#[async_trait]
pub trait LogReader: Send + Sync {
    /// The position of the last event of the org.
    async fn last_position(&self, scope: &Scope) -> Result<i64>;
    /// For each time, the position of the last event that was recorded by then, 0 if there was none.
    async fn positions_at(&self, scope: &Scope, times: &[Timestamp]) -> Result<Vec<i64>>;
    /// The version of a stream at a position, 0 if it had no event.
    async fn version_at(&self, scope: &Scope, stream: &StreamId, position: i64) -> Result<i64>;
}

/// The state of an object at a point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then<T> {
    /// It existed.
    There(T),
    /// It did not exist yet.
    NotYet,
    /// It had been deleted.
    Gone,
}

impl<T> Then<T> {
    /// The object, or an error that says why it did not exist.
    pub fn there(self, what: &str) -> Result<T> {
        match self {
            Self::There(found) => Ok(found),
            Self::NotYet => {
                Err(Error::missing(format!("{what} not found: it did not exist yet at that time")))
            }
            Self::Gone => Err(Error::missing(format!("{what} not found: it was deleted at that time"))),
        }
    }
}

/// Resolves points in time.
pub struct Moments {
    log: Arc<dyn LogReader>,
    clock: Arc<dyn Clock>,
}

impl Moments {
    /// Resolves points in time on this log.
    #[must_use]
    pub fn new(log: Arc<dyn LogReader>, clock: Arc<dyn Clock>) -> Self {
        Self { log, clock }
    }

    /// The position that a text of a client stands for: RFC 3339, milliseconds since 1970, or a position. A number that
    /// would be a time before 1973 is a position: no org has that many events.
    pub async fn resolve(&self, scope: &Scope, text: &str) -> Result<i64> {
        let future = || Error::invalid("at is in the future");
        if let Some(position) = text.parse().ok().filter(|number| (0..FIRST_MILLISECONDS).contains(number)) {
            let last = self.log.last_position(scope).await?;
            return if position > last { Err(future()) } else { Ok(position) };
        }
        let time = Timestamp::parse(text).ok_or_else(|| {
            Error::invalid("at is invalid: use RFC 3339, milliseconds since 1970, or a position of the log")
        })?;
        if time > self.clock.now() {
            return Err(future());
        }
        let positions = self.log.positions_at(scope, &[time]).await?;
        positions.first().copied().ok_or_else(|| Error::internal("no log position found for a time"))
    }
}
