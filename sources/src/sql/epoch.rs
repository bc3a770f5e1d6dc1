//! Times that a source returns as numbers.

use kymograph_domain::source::frame::{Cells, Column};

const SECONDS: std::ops::Range<f64> = 1e9..1e10;
const NANOSECONDS: std::ops::Range<f64> = 1e18..1e19;

/// A column of numbers as times; other columns unchanged. Numbers of ten digits are seconds since 1970, numbers of
/// nineteen digits nanoseconds, and all others milliseconds. Times that a frame cannot represent are null.
pub(crate) fn as_times(column: Column) -> Column {
    match column {
        Column::Int64(cells) => Column::Time(mapped(&cells, |value| from_whole(*value))),
        Column::Int32(cells) => Column::Time(mapped(&cells, |value| from_whole(i64::from(*value)))),
        Column::Int16(cells) => Column::Time(mapped(&cells, |value| from_whole(i64::from(*value)))),
        Column::Float64(cells) => Column::Time(mapped(&cells, |value| from_number(*value))),
        Column::Float32(cells) => Column::Time(mapped(&cells, |value| from_number(f64::from(*value)))),
        other => other,
    }
}

fn mapped<T>(cells: &Cells<T>, time: impl Fn(&T) -> Option<i64>) -> Cells<i64> {
    cells.iter().map(|cell| cell.and_then(&time)).collect()
}

fn from_whole(value: i64) -> Option<i64> {
    match value.unsigned_abs() {
        1_000_000_000..=9_999_999_999 => value.checked_mul(1_000_000_000),
        1_000_000_000_000_000_000.. => Some(value),
        _ => value.checked_mul(1_000_000),
    }
}

fn from_number(value: f64) -> Option<i64> {
    let magnitude = value.abs();
    // The digits of such a number beyond microseconds are noise.
    let (unit, micros_of_unit) = match magnitude {
        _ if SECONDS.contains(&magnitude) => (1_000_000_000, 1e6),
        _ if NANOSECONDS.contains(&magnitude) => (1, 0.0),
        _ => (1_000_000, 1e3),
    };
    if !value.is_finite() || magnitude >= 9.2e18 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "both are within the range, which is checked")]
    let (whole, micros) = (value.trunc() as i64, (value.fract() * micros_of_unit).round() as i64);
    whole.checked_mul(unit)?.checked_add(micros * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        let times = |column| match as_times(column) {
            Column::Time(cells) => cells.iter().map(Option::<&i64>::cloned).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let whole = Cells::from_iter([
            Some(1_500_000_000),
            Some(1_500_000_000_123),
            Some(1_500_000_000_123_456_789),
            Some(0),
            Some(-1_500_000_000),
            None,
            Some(99_999_999_999_999),
        ]);
        assert_eq!(
            times(Column::Int64(whole)),
            [
                Some(1_500_000_000_000_000_000),
                Some(1_500_000_000_123_000_000),
                Some(1_500_000_000_123_456_789),
                Some(0),
                Some(-1_500_000_000_000_000_000),
                None,
                None
            ]
        );
        let numbers = Cells::from_iter([
            Some(1_500_000_000.123_456),
            Some(1_500_000_000_123.5),
            Some(1.5e18),
            Some(f64::NAN),
            Some(f64::INFINITY),
            Some(1e17),
        ]);
        assert_eq!(
            times(Column::Float64(numbers)),
            [
                Some(1_500_000_000_123_456_000),
                Some(1_500_000_000_123_500_000),
                Some(1_500_000_000_000_000_000),
                None,
                None,
                None
            ]
        );
        assert_eq!(times(Column::Int32(Cells::new(vec![1_500_000_000]))), [Some(1_500_000_000_000_000_000)]);
        let text = Column::Text(Cells::new(vec!["x".to_owned()]));
        assert_eq!(as_times(text.clone()), text);
    }
}
