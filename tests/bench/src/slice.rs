//! The measurements of one side of a comparison during one slice of time.

use std::time::Duration;

/// Operations with their durations and processor time.
#[derive(Default)]
pub(crate) struct Slice {
    /// The number of completed operations.
    pub(crate) count: u32,
    /// The elapsed time.
    pub(crate) elapsed: Duration,
    /// The time of each operation, in no order.
    pub(crate) latencies: Vec<Duration>,
    /// Processor time of the process that responds.
    pub(crate) server_cpu: Option<Duration>,
    /// Processor time of Postgres.
    pub(crate) postgres_cpu: Option<Duration>,
}

impl Slice {
    /// Operations per second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.count) / self.elapsed.as_secs_f64()
    }

    /// Processor time per operation, on both sides of the connection; `None` if no operation completed or nothing was
    /// metered.
    pub(crate) fn cpu(&self) -> Option<Duration> {
        let both = self.server_cpu?.saturating_add(self.postgres_cpu?);
        both.checked_div(self.count).filter(|time| !time.is_zero())
    }

    /// Adds the measurements of another slice.
    pub(crate) fn merge(&mut self, other: Self) {
        let sum = |one: Option<Duration>, other: Option<Duration>| match (one, other) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
        self.count += other.count;
        self.elapsed += other.elapsed;
        self.latencies.extend(other.latencies);
        self.server_cpu = sum(self.server_cpu, other.server_cpu);
        self.postgres_cpu = sum(self.postgres_cpu, other.postgres_cpu);
    }

    /// The latency that the given share of all operations does not exceed.
    pub(crate) fn percentile(&mut self, percent: usize) -> Option<Duration> {
        let last = self.latencies.len().checked_sub(1)?;
        let (_, at, _) = self.latencies.select_nth_unstable(last * percent / 100);
        Some(*at)
    }
}

/// The median; `None` if there are no values.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn percentiles() {
        let latencies = (1..=101).rev().map(Duration::from_millis).collect();
        let mut slice = Slice { latencies, ..Slice::default() };
        assert_eq!(slice.percentile(50), Some(Duration::from_millis(51)));
        assert_eq!(slice.percentile(99), Some(Duration::from_millis(100)));
        assert_eq!(Slice::default().percentile(50), None);
    }
}
