//! How much happened when: the counts behind a chart.

use kymograph_domain::access::Outcome;
use kymograph_domain::{Timestamp, registry};

use super::{Audits, require};
use crate::Scope;
use crate::error::{Error, Result};

/// How many buckets there are at most.
const MAX_BUCKETS: i64 = 400;

/// The length of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Days of UTC.
    Day,
    /// Hours.
    Hour,
}

impl Interval {
    /// The interval of that name.
    pub fn try_parse(text: &str) -> Result<Self> {
        match text {
            "" | "day" => Ok(Self::Day),
            "hour" => Ok(Self::Hour),
            _ => Err(Error::invalid("interval is invalid: use day or hour")),
        }
    }

    fn seconds(self) -> i64 {
        match self {
            Self::Day => 24 * 3600,
            Self::Hour => 3600,
        }
    }
}

/// What happened in some days, by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The buckets, the oldest first. The last is the current one.
    pub buckets: Vec<ActivityBucket>,
}

/// What happened in a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivityBucket {
    /// When it begins.
    pub from: Timestamp,
    /// How many entries tell of something that was done.
    pub success: i64,
    /// How many tell of something that was denied.
    pub denied: i64,
    /// How many tell of credentials that were refused.
    pub failure: i64,
}

impl Audits {
    /// Counts entries of the last days, the current one included.
    ///
    /// Positions have no gaps, so what happened in a day is the distance between two positions; only refusals, which
    /// are few and indexed, are counted one by one.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn count_activity(&self, scope: &Scope, days: i64, interval: Interval) -> Result<Activity> {
        require(scope)?;
        let seconds = interval.seconds();
        let length = days.max(1).saturating_mul(24 * 3600 / seconds);
        if length > MAX_BUCKETS {
            return Err(Error::invalid(format!(
                "days is invalid: there can be at most {MAX_BUCKETS} intervals"
            )));
        }
        let now = self.clock.now().seconds();
        let current = now - now.rem_euclid(seconds);
        let starts: Vec<_> = (0..=length)
            .map(|index| Timestamp((current - (length - 1 - index) * seconds) * 1_000_000))
            .collect();
        let ends: Vec<_> = starts.iter().map(|start| Timestamp(start.0 - 1)).collect();
        let positions = self.log.positions_at(scope, &ends).await?;
        let refusals: Vec<_> = registry::event_types()
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| Outcome::of_event(name) != Outcome::Success)
            .collect();
        let mut buckets: Vec<_> = starts
            .iter()
            .zip(positions.windows(2))
            .map(|(from, pair)| ActivityBucket {
                from: *from,
                success: pair[1] - pair[0],
                denied: 0,
                failure: 0,
            })
            .collect();
        for (index, kind, count) in self.reader.count_between(scope, &positions, &refusals).await? {
            let (Some(bucket), Some(kind)) = (buckets.get_mut(index), refusals.get(kind)) else { continue };
            bucket.success -= count;
            match Outcome::of_event(kind) {
                Outcome::Denied => bucket.denied += count,
                _ => bucket.failure += count,
            }
        }
        Ok(Activity { buckets })
    }
}
