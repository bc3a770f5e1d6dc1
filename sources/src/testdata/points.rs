//! The times of the points of a series, and their limits.

use kymograph_app::source::backend::Query;
use kymograph_domain::source::frame::{Cells, Column, Field, Frame, Labels};

/// The maximum number of series of a query.
pub const MAX_SERIES: usize = 100;
/// The maximum number of points of a series.
pub const MAX_POINTS: usize = 10_000;
/// The maximum number of points of all series of a query.
pub const MAX_POINTS_OF_QUERY: usize = 200_000;

/// Refuses series that exceed the maximum number of points of a query.
pub(super) fn bounded(series: usize, points: usize) -> Result<(), String> {
    if series.saturating_mul(points) > MAX_POINTS_OF_QUERY {
        return Err(format!("{series} series of {points} points are more than {MAX_POINTS_OF_QUERY} points"));
    }
    Ok(())
}

/// The times of points from the beginning of the range to its end, in milliseconds: as many as fit the panel.
pub(super) fn times(query: &Query) -> Vec<i64> {
    let most = usize::try_from(query.max_data_points).unwrap_or(0).clamp(1, MAX_POINTS);
    let span = query.range.to_ms.saturating_sub(query.range.from_ms).max(0);
    let room = i64::try_from(most).unwrap_or(i64::MAX);
    let step = query.interval_ms.max(span / room + i64::from(span % room != 0)).max(1);
    every(query, query.range.from_ms, step).take(most).collect()
}

/// The times of points at whole multiples of a step since 1970, in milliseconds.
pub(super) fn aligned_times(query: &Query, step_ms: i64) -> Vec<i64> {
    let from = query.range.from_ms;
    let first = from.div_euclid(step_ms).saturating_add(i64::from(from.rem_euclid(step_ms) != 0));
    every(query, first.saturating_mul(step_ms), step_ms).take(MAX_POINTS).collect()
}

fn every(query: &Query, first: i64, step_ms: i64) -> impl Iterator<Item = i64> {
    let to = query.range.to_ms;
    std::iter::successors(Some(first), move |time| time.checked_add(step_ms))
        .take_while(move |time| *time < to)
}

/// A column of times.
pub(super) fn time_column(times: &[i64]) -> Column {
    Column::Time(Cells::new(times.iter().map(|time| time.saturating_mul(1_000_000)).collect()))
}

/// A frame with one series.
pub(super) fn series(name: String, labels: Option<Labels>, times: &[i64], values: Cells<f64>) -> Frame {
    let value = Field { labels, ..Field::new(name.clone(), Column::Float64(values)) };
    Frame { name, meta: None, fields: vec![Field::new("time", time_column(times)), value] }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kymograph_app::source::backend::TimeRange;

    use super::*;

    fn query(from_ms: i64, to_ms: i64, interval_ms: i64, max_data_points: i64) -> Query {
        Query {
            ref_id: "A".to_owned(),
            query_type: String::new(),
            model: Arc::default(),
            range: TimeRange { from_ms, to_ms },
            interval_ms,
            max_data_points,
        }
    }

    #[test]
    fn points_cover_the_range_and_are_bounded() {
        assert_eq!(times(&query(5, 25, 10, 100)), [5, 15]);
        assert_eq!(times(&query(0, 100, 1, 3)), [0, 34, 68]);
        assert_eq!(times(&query(0, i64::MAX, 0, i64::MAX)).len(), MAX_POINTS);
        assert!(times(&query(10, 10, 1, 10)).is_empty() && times(&query(10, 0, -1, -1)).is_empty());
        assert_eq!(aligned_times(&query(5, 31, 1, 1), 10), [10, 20, 30]);
        assert_eq!(aligned_times(&query(-15, 1, 1, 1), 10), [-10, 0]);
        assert_eq!(aligned_times(&query(0, i64::MAX, 1, 1), 1).len(), MAX_POINTS);
        assert!(bounded(MAX_SERIES, 2000).is_ok() && bounded(MAX_SERIES, 2001).is_err());
    }
}
