//! The number of events over time, for a chart.

use kymograph_domain::Timestamp;
use kymograph_domain::account::access::Outcome;

use super::filter::all_types;
use super::{AuditQuery, AuditSelect, Audits, require};
use crate::Scope;
use crate::kernel::error::{Error, Result};

/// The maximum number of buckets.
const MAX_BUCKETS: i64 = 400;

/// The length of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Days in UTC.
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

/// The number of events in a time range, by bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// The buckets, the oldest first.
    pub buckets: Vec<ActivityBucket>,
}

/// The number of events in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActivityBucket {
    /// When it begins.
    pub from: Timestamp,
    /// The number of successful actions.
    pub success: i64,
    /// The number of denied actions.
    pub denied: i64,
    /// The number of failed authentications.
    pub failure: i64,
}

impl ActivityBucket {
    fn add(&mut self, outcome: Outcome, count: i64) {
        match outcome {
            Outcome::Success => self.success += count,
            Outcome::Denied => self.denied += count,
            Outcome::Failure => self.failure += count,
        }
    }
}

/// The start of each bucket, and the times between which its events are counted.
struct Stretch {
    starts: Vec<Timestamp>,
    /// The last time before the first bucket, and the last time of each bucket.
    ends: Vec<Timestamp>,
}

impl Stretch {
    /// From one time to another, both inclusive; or a number of days up to a time, by default now.
    fn try_new(
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        days: i64,
        interval: Interval,
        now: Timestamp,
    ) -> Result<Self> {
        let seconds = interval.seconds();
        let start_of = |time: Timestamp| time.seconds() - time.seconds().rem_euclid(seconds);
        let last = start_of(to.unwrap_or_else(|| from.unwrap_or(now).max(now)));
        let length = match from {
            Some(from) => (last - start_of(from)) / seconds + 1,
            None => days.max(1).saturating_mul(24 * 3600 / seconds),
        };
        if length > MAX_BUCKETS {
            let what = if from.is_some() { "from and to are too far apart" } else { "days is invalid" };
            return Err(Error::invalid(format!("{what}: there can be at most {MAX_BUCKETS} intervals")));
        }
        let mut starts: Vec<_> = (0..=length)
            .map(|index| Timestamp((last - (length - 1 - index) * seconds) * 1_000_000))
            .collect();
        let mut ends: Vec<_> = starts.iter().map(|start| Timestamp(start.0 - 1)).collect();
        starts.pop();
        // The first and the last bucket can be partial.
        if let (Some(from), Some(first)) = (from, ends.first_mut()) {
            *first = Timestamp(from.0 - 1);
        }
        if let (Some(to), Some(last)) = (to, ends.last_mut()) {
            *last = to;
        }
        Ok(Self { starts, ends })
    }
}

/// The buckets that are counted, and the positions between them.
struct Counting<'a> {
    audits: &'a Audits,
    scope: &'a Scope,
    positions: Vec<i64>,
    buckets: Vec<ActivityBucket>,
}

impl Counting<'_> {
    /// Adds the entries of a selection to the buckets, multiplied by `times`.
    async fn add(&mut self, select: &AuditSelect, times: i64) -> Result<()> {
        let types = select.type_names();
        let counts = self.audits.reader.count_between(self.scope, &self.positions, select).await?;
        for (index, kind, count) in counts {
            if let (Some(bucket), Some(kind)) = (self.buckets.get_mut(index), types.get(kind)) {
                bucket.add(Outcome::of_event(kind), times * count);
            }
        }
        Ok(())
    }

    /// Adds the entries of these types.
    ///
    /// Positions have no gaps, so the number of all events of a day is the distance between two positions. If most
    /// types are wanted, only the other types are counted individually, and refusals, which are few.
    async fn add_types(&mut self, wanted: Option<&[&'static str]>) -> Result<()> {
        let is_wanted = |name: &&'static str| wanted.is_none_or(|wanted| wanted.contains(name));
        let (wanted, others): (Vec<_>, Vec<_>) = all_types().partition(is_wanted);
        let of = |types| AuditSelect { types: Some(types), ..AuditSelect::default() };
        if wanted.len() <= others.len() {
            return if wanted.is_empty() { Ok(()) } else { self.add(&of(wanted), 1).await };
        }
        for (bucket, pair) in self.buckets.iter_mut().zip(self.positions.windows(2)) {
            bucket.success += pair[1] - pair[0];
        }
        let is_refusal = |name: &&str| Outcome::of_event(name) != Outcome::Success;
        let refusals: Vec<_> = wanted.into_iter().filter(is_refusal).collect();
        let counted = [refusals.as_slice(), &others].concat();
        let counts = self.audits.reader.count_between(self.scope, &self.positions, &of(counted)).await?;
        for (index, kind, count) in counts {
            let Some(bucket) = self.buckets.get_mut(index) else { continue };
            bucket.success -= count;
            if let Some(kind) = refusals.get(kind) {
                bucket.add(Outcome::of_event(kind), count);
            }
        }
        Ok(())
    }
}

impl Audits {
    /// Counts the entries that match a query, whatever page it asks for, in its time range or else of the last days
    /// including the current one.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn count_activity(
        &self,
        scope: &Scope,
        query: &AuditQuery,
        days: i64,
        interval: Interval,
    ) -> Result<Activity> {
        require(scope)?;
        let Stretch { starts, ends } = Stretch::try_new(query.times()?, days, interval, self.clock.now())?;
        let mut select = self.select_at_any_time(scope, query).await?;
        let positions = self.log.positions_at(scope, &ends).await?;
        let empty = |from: &Timestamp| ActivityBucket { from: *from, success: 0, denied: 0, failure: 0 };
        let buckets = starts.iter().map(empty).collect();
        let mut counting = Counting { audits: self, scope, positions, buckets };
        if select.is_empty() {
            return Ok(Activity { buckets: counting.buckets });
        }
        if select.actors.is_some() || select.streams.is_some() || select.trace_id.is_some() {
            counting.add(&select, 1).await?;
        } else {
            counting.add_types(select.types.as_deref()).await?;
            // An index finds the events by given actors, but not the events by all other actors.
            if !select.excluded_actors.is_empty() {
                select.actors = Some(std::mem::take(&mut select.excluded_actors));
                counting.add(&select, -1).await?;
            }
        }
        Ok(Activity { buckets: counting.buckets })
    }
}
