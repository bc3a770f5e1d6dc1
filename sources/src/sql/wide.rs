//! Converts rows that name their series to a column for each series.

use std::collections::HashMap;

use kymograph_app::source::backend::TimeRange;
use kymograph_domain::source::frame::{Cells, Column, Field, Labels};

use super::fill::{Fill, FillValue};

/// The bytes of a cell while a table is converted: a number, and whether it is null and was present.
const CELL_BYTES: usize = 10;
/// The bytes of a label in addition to its texts.
const LABEL_BYTES: usize = 64;

/// A table whose text columns say which series a row belongs to.
pub(crate) struct Long {
    /// The times of the rows, in nanoseconds.
    pub(crate) time: Cells<i64>,
    /// The columns that name series.
    pub(crate) labels: Vec<(String, Cells<String>)>,
    /// The columns of values.
    pub(crate) values: Vec<(String, Cells<f64>)>,
}

/// One value column of one series.
struct Series {
    values: Vec<f64>,
    nulls: Vec<bool>,
    /// Which rows were present: a missing row is filled, a null that was present is not.
    seen: Vec<bool>,
}

impl Long {
    /// The table with a row for each time and columns for each series, sorted by column and labels. It fails if the
    /// result would exceed `max_bytes`.
    pub(crate) fn into_wide(self, fill: Option<FillValue>, max_bytes: usize) -> Result<Vec<Field>, String> {
        let (times, rows) = self.times()?;
        let (names, series_of_row) = self.series();
        let bytes = times.len().saturating_mul(CELL_BYTES).saturating_mul(names.len());
        let bytes = bytes.saturating_add(names.iter().map(size).sum()).saturating_mul(self.values.len());
        if bytes > max_bytes {
            return Err(format!(
                "{} series at {} times are more than an answer may hold: group by longer intervals, or select fewer series",
                names.len(),
                times.len()
            ));
        }
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by(|left, right| names[*left].cmp(&names[*right]));
        let mut fields = vec![Field::new("Time", Column::Time(Cells::new(times.clone())))];
        for (name, values) in &self.values {
            let mut columns: Vec<Series> = names.iter().map(|_| Series::of(times.len())).collect();
            for (row, series) in series_of_row.iter().enumerate() {
                columns[*series].set(rows[row], values.get(row).copied());
            }
            let mut columns: Vec<Option<Series>> = columns.into_iter().map(Some).collect();
            for index in &order {
                let Some(series) = columns[*index].take() else { continue };
                fields.push(Field {
                    labels: Some(names[*index].clone()),
                    ..Field::new(name.clone(), Column::Float64(series.into_cells(fill)))
                });
            }
        }
        Ok(fields)
    }

    /// The distinct times, and for each row the index of its time.
    fn times(&self) -> Result<(Vec<i64>, Vec<usize>), String> {
        let mut times: Vec<i64> = Vec::new();
        let mut rows = Vec::with_capacity(self.time.len());
        for (row, time) in self.time.iter().enumerate() {
            let time = *time.ok_or_else(|| format!("row {} has no time", row + 1))?;
            match times.last() {
                Some(last) if time < *last => {
                    return Err(
                        "the rows of a time series have to be sorted by time: add ORDER BY".to_owned()
                    );
                }
                Some(last) if time == *last => {}
                _ => times.push(time),
            }
            rows.push(times.len() - 1);
        }
        Ok((times, rows))
    }

    /// The labels of each series, and for each row the index of its series.
    fn series(&self) -> (Vec<Labels>, Vec<usize>) {
        let (mut names, mut known) = (Vec::new(), HashMap::<String, usize>::new());
        let mut of_row = Vec::with_capacity(self.time.len());
        let mut key = String::new();
        for row in 0..self.time.len() {
            key.clear();
            for (_, cells) in &self.labels {
                let text = cells.get(row).map(String::as_str).unwrap_or_default();
                // The length before each text makes the key unambiguous.
                key.push_str(&text.len().to_string());
                key.push(':');
                key.push_str(text);
            }
            let series = known.get(&key).copied().unwrap_or_else(|| {
                let label = |(name, cells): &(String, Cells<String>)| {
                    (name.clone(), cells.get(row).cloned().unwrap_or_default())
                };
                names.push(self.labels.iter().map(label).collect::<Labels>());
                known.insert(key.clone(), names.len() - 1);
                names.len() - 1
            });
            of_row.push(series);
        }
        (names, of_row)
    }
}

impl Series {
    fn of(length: usize) -> Self {
        Self { values: vec![0.0; length], nulls: vec![true; length], seen: vec![false; length] }
    }

    fn set(&mut self, row: usize, value: Option<f64>) {
        self.values[row] = value.unwrap_or_default();
        self.nulls[row] = value.is_none();
        self.seen[row] = true;
    }

    fn into_cells(mut self, fill: Option<FillValue>) -> Cells<f64> {
        if let Some(fill) = fill {
            let mut previous = None;
            for row in 0..self.values.len() {
                if !self.seen[row] {
                    self.set(row, fill.after(previous));
                }
                previous = (!self.nulls[row]).then_some(self.values[row]);
            }
        }
        let has_nulls = self.nulls.contains(&true);
        Cells {
            values: self.values,
            is_nullable: true,
            nulls: if has_nulls { self.nulls } else { Vec::new() },
        }
    }
}

/// The bytes that labels take.
fn size(labels: &Labels) -> usize {
    labels.iter().map(|(name, value)| LABEL_BYTES + name.len() + value.len()).sum()
}

/// Resamples to rows at each interval of a range, and fills missing ones.
pub(crate) fn resample(
    fields: Vec<Field>,
    fill: Fill,
    range: TimeRange,
    max_bytes: usize,
) -> Result<Vec<Field>, String> {
    let start = range.from_ms.saturating_sub(range.from_ms.rem_euclid(fill.interval_ms));
    let gaps = range.to_ms.saturating_sub(start).div_euclid(fill.interval_ms);
    let length = usize::try_from(gaps.saturating_add(1)).unwrap_or(0);
    if length.saturating_mul(fields.len()).saturating_mul(CELL_BYTES) > max_bytes {
        return Err(format!("{length} points are more than an answer may hold: fill with longer intervals"));
    }
    let slots: Vec<Option<usize>> = fields.iter().find_map(times_of).map_or_else(Vec::new, |times| {
        let slot = |time: i64| {
            let offset = time.div_euclid(1_000_000).checked_sub(start)?.div_euclid(fill.interval_ms);
            usize::try_from(offset).ok().filter(|slot| *slot < length)
        };
        times.iter().map(|time| time.and_then(|time| slot(*time))).collect()
    });
    let times = (start..=range.to_ms).step_by(usize::try_from(fill.interval_ms).unwrap_or(usize::MAX));
    let times: Vec<i64> = times.map(|time| time.saturating_mul(1_000_000)).collect();
    let resampled = |field: Field| {
        let column = match &field.column {
            Column::Float64(cells) => {
                let mut series = Series::of(length);
                for (row, slot) in slots.iter().enumerate() {
                    if let Some(slot) = slot {
                        series.set(*slot, cells.get(row).copied());
                    }
                }
                Column::Float64(series.into_cells(Some(fill.value)))
            }
            _ => Column::Time(Cells::new(times.clone())),
        };
        Field { column, ..field }
    };
    Ok(fields.into_iter().map(resampled).collect())
}

fn times_of(field: &Field) -> Option<&Cells<i64>> {
    match &field.column {
        Column::Time(cells) => Some(cells),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;
    const PLENTY: usize = 1 << 20;

    fn texts(cells: &[&str]) -> Cells<String> {
        Cells::new(cells.iter().map(|&text| text.to_owned()).collect())
    }

    fn long() -> Long {
        Long {
            time: Cells::new(vec![0, 0, MINUTE, 2 * MINUTE, 2 * MINUTE]),
            labels: vec![("host".to_owned(), texts(&["b", "a", "a", "a", "b"]))],
            values: vec![
                ("cpu".to_owned(), Cells::from_iter([Some(1.0), Some(2.0), None, Some(4.0), Some(5.0)])),
                ("mem".to_owned(), Cells::new(vec![10.0, 20.0, 30.0, 40.0, 50.0])),
            ],
        }
    }

    fn numbers(field: &Field) -> Vec<Option<f64>> {
        match &field.column {
            Column::Float64(cells) => cells.iter().map(Option::<&f64>::cloned).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn label(field: &Field) -> &str {
        field.labels.as_ref().unwrap()["host"].as_str()
    }

    #[test]
    fn each_series_gets_its_columns() {
        let fields = long().into_wide(None, PLENTY).unwrap();
        assert_eq!(fields[0].column, Column::Time(Cells::new(vec![0, MINUTE, 2 * MINUTE])));
        let names: Vec<_> = fields[1..].iter().map(|field| (field.name.as_str(), label(field))).collect();
        assert_eq!(names, [("cpu", "a"), ("cpu", "b"), ("mem", "a"), ("mem", "b")]);
        assert_eq!(numbers(&fields[1]), [Some(2.0), None, Some(4.0)]);
        assert_eq!(numbers(&fields[2]), [Some(1.0), None, Some(5.0)]);
        assert_eq!(numbers(&fields[4]), [Some(10.0), None, Some(50.0)]);
        // A null that was present is kept, a missing value is filled.
        let fields = long().into_wide(Some(FillValue::Previous), PLENTY).unwrap();
        assert_eq!(numbers(&fields[1]), [Some(2.0), None, Some(4.0)]);
        assert_eq!(numbers(&fields[2]), [Some(1.0), Some(1.0), Some(5.0)]);
        let fields = long().into_wide(Some(FillValue::Number(-1.0)), PLENTY).unwrap();
        assert_eq!(numbers(&fields[4]), [Some(10.0), Some(-1.0), Some(50.0)]);
    }

    #[test]
    fn texts_do_not_run_together() {
        let long = Long {
            time: Cells::new(vec![0, 0]),
            labels: vec![("a".to_owned(), texts(&["x", "x1:"])), ("b".to_owned(), texts(&["1:", ""]))],
            values: vec![("v".to_owned(), Cells::new(vec![1.0, 2.0]))],
        };
        assert_eq!(long.into_wide(None, PLENTY).unwrap().len(), 3);
    }

    #[test]
    fn rows_need_sorted_times_and_room() {
        let mut unsorted = long();
        unsorted.time = Cells::new(vec![0, 0, 2 * MINUTE, MINUTE, MINUTE]);
        assert!(unsorted.into_wide(None, PLENTY).unwrap_err().contains("ORDER BY"));
        let mut timeless = long();
        timeless.time = Cells::from_iter([Some(0), None, Some(1), Some(2), Some(3)]);
        assert_eq!(timeless.into_wide(None, PLENTY).unwrap_err(), "row 2 has no time");
        // Three times, two series with a label of five bytes each, and two columns.
        let bytes = 2 * (3 * 2 * CELL_BYTES + 2 * (LABEL_BYTES + 5));
        assert!(long().into_wide(None, bytes).is_ok());
        assert!(long().into_wide(None, bytes - 1).unwrap_err().contains("2 series at 3 times"));
    }

    #[test]
    fn missing_points_are_made() {
        let fields = || {
            vec![
                Field::new("Time", Column::Time(Cells::new(vec![MINUTE, 4 * MINUTE, 90 * MINUTE]))),
                Field::new("v", Column::Float64(Cells::from_iter([Some(1.0), Some(4.0), Some(9.0)]))),
            ]
        };
        let range = TimeRange { from_ms: 30_000, to_ms: 330_000 };
        for (value, expected) in [
            (FillValue::Null, [None, Some(1.0), None, None, Some(4.0), None]),
            (FillValue::Previous, [None, Some(1.0), Some(1.0), Some(1.0), Some(4.0), Some(4.0)]),
            (FillValue::Number(0.0), [Some(0.0), Some(1.0), Some(0.0), Some(0.0), Some(4.0), Some(0.0)]),
        ] {
            let fill = Fill { interval_ms: 60_000, value };
            let made = resample(fields(), fill, range, PLENTY).unwrap();
            let times = Cells::new((0..6).map(|minute| minute * MINUTE).collect());
            assert_eq!(made[0].column, Column::Time(times));
            assert_eq!(numbers(&made[1]), expected);
        }
        let fill = Fill { interval_ms: 1, value: FillValue::Null };
        let years = TimeRange { from_ms: 0, to_ms: i64::MAX };
        assert!(
            resample(fields(), fill, years, PLENTY).unwrap_err().contains("more than an answer may hold")
        );
        // A range that ends before it begins has no points.
        let reversed = TimeRange { from_ms: 600_000, to_ms: 0 };
        let made = resample(fields(), Fill { interval_ms: 60_000, ..fill }, reversed, PLENTY).unwrap();
        assert!(made.iter().all(|field| field.column.is_empty()));
    }
}
