//! Tables as time series.

use kymograph_app::source::backend::TimeRange;
use kymograph_domain::source::frame::{Cells, Column, Field};

use super::epoch::as_times;
use super::fill::Fill;
use super::wide::{Long, resample};

/// The column with the times of rows.
const TIME: &str = "time";
/// The column with the end times of periods, as annotations have it.
const TIME_END: &str = "timeend";
/// The column that names series.
const METRIC: &str = "metric";

/// The options for time series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesOptions {
    /// The fill of missing points.
    pub(crate) fill: Option<Fill>,
    /// The time range of the query.
    pub(crate) range: TimeRange,
    /// The maximum size of the series, in bytes.
    pub(crate) max_bytes: usize,
}

/// The table with numeric times converted to times.
pub(crate) fn with_times(mut fields: Vec<Field>) -> Vec<Field> {
    for name in [TIME, TIME_END] {
        if let Some(field) = fields.iter_mut().find(|field| field.name == name) {
            let column = std::mem::replace(&mut field.column, Column::Bool(Cells::default()));
            field.column = as_times(column);
        }
    }
    fields
}

/// The table as time series: a column of times, and a numeric column for each series. Text columns name the series.
pub(crate) fn time_series(fields: Vec<Field>, options: SeriesOptions) -> Result<Vec<Field>, String> {
    let fields = with_times(fields);
    let count = fields.len();
    let (mut time, mut labels, mut values) = (None, Vec::new(), Vec::new());
    for field in fields {
        match field.column {
            Column::Time(cells) if field.name == TIME && time.is_none() => time = Some(cells),
            Column::Text(cells) if field.name != TIME || time.is_some() => labels.push((field.name, cells)),
            Column::Json(cells) => labels.push((field.name, cells)),
            column => match numbers(column) {
                Some(cells) => values.push((field.name, cells)),
                None => return Err(no_value(&field.name)),
            },
        }
    }
    let time = time.ok_or(
        "a time series needs a column named time with times or numbers of seconds or milliseconds since 1970",
    )?;
    let fields = if labels.is_empty() || values.is_empty() {
        plain(time, labels, values)
    } else {
        let mut fields = Long { time, labels, values }
            .into_wide(options.fill.map(|fill| fill.value), options.max_bytes)?;
        if count == 3 {
            fields.iter_mut().for_each(name_by_metric);
        }
        fields
    };
    match options.fill {
        Some(fill) if fields.iter().skip(1).all(|field| matches!(field.column, Column::Float64(_))) => {
            resample(fields, fill, options.range, options.max_bytes)
        }
        _ => Ok(fields),
    }
}

fn no_value(name: &str) -> String {
    if name == TIME {
        return "the column named time of a time series has neither times nor numbers".to_owned();
    }
    format!("the column {name} cannot be a value of a time series: it has no numbers")
}

fn plain(
    time: Cells<i64>,
    labels: Vec<(String, Cells<String>)>,
    values: Vec<(String, Cells<f64>)>,
) -> Vec<Field> {
    let labels = labels.into_iter().map(|(name, cells)| Field::new(name, Column::Text(cells)));
    let values = values.into_iter().map(|(name, cells)| Field::new(name, Column::Float64(cells)));
    std::iter::once(Field::new("Time", Column::Time(time))).chain(labels).chain(values).collect()
}

/// Names a series whose only label is the metric by that metric.
fn name_by_metric(field: &mut Field) {
    let metric = field.labels.as_mut().and_then(|labels| labels.remove(METRIC));
    if let Some(metric) = metric {
        field.name = metric;
        field.labels = None;
    }
}

/// A numeric column; true counts as 1.
fn numbers(column: Column) -> Option<Cells<f64>> {
    fn mapped<T: Copy>(cells: &Cells<T>, number: impl Fn(T) -> f64) -> Cells<f64> {
        Cells {
            values: cells.values.iter().map(|value| number(*value)).collect(),
            is_nullable: cells.is_nullable,
            nulls: cells.nulls.clone(),
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "series have numbers of double precision")]
    match column {
        Column::Float64(cells) => Some(cells),
        Column::Float32(cells) => Some(mapped(&cells, f64::from)),
        Column::Int64(cells) => Some(mapped(&cells, |value| value as f64)),
        Column::Int32(cells) => Some(mapped(&cells, f64::from)),
        Column::Int16(cells) => Some(mapped(&cells, f64::from)),
        Column::Bool(cells) => Some(mapped(&cells, |value| f64::from(u8::from(value)))),
        Column::Time(_) | Column::Text(_) | Column::Json(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fill::FillValue;
    use super::*;

    const OPTIONS: SeriesOptions = SeriesOptions {
        fill: None,
        range: TimeRange { from_ms: 1_500_000_000_000, to_ms: 1_500_000_120_000 },
        max_bytes: 1 << 20,
    };

    fn time(seconds: &[i64]) -> Field {
        Field::new("time", Column::Int64(Cells::new(seconds.to_vec())))
    }

    fn text(name: &str, cells: &[&str]) -> Field {
        Field::new(name, Column::Text(Cells::new(cells.iter().map(|&text| text.to_owned()).collect())))
    }

    fn whole(name: &str, cells: &[i32]) -> Field {
        Field::new(name, Column::Int32(Cells::new(cells.to_vec())))
    }

    #[test]
    fn a_metric_names_its_series() {
        let fields = vec![
            time(&[1_500_000_000, 1_500_000_000, 1_500_000_060]),
            text("metric", &["b", "a", "a"]),
            whole("value", &[1, 2, 3]),
        ];
        let fields = time_series(fields, OPTIONS).unwrap();
        let names: Vec<_> =
            fields.iter().map(|field| (field.name.as_str(), field.labels.is_some())).collect();
        assert_eq!(names, [("Time", false), ("a", false), ("b", false)]);
        assert_eq!(fields[1].column, Column::Float64(Cells::nullable(vec![2.0, 3.0])));
        // With more columns the name is an ordinary label.
        let fields =
            vec![text("metric", &["a"]), whole("min", &[1]), whole("max", &[2]), time(&[1_500_000_000])];
        let fields = time_series(fields, OPTIONS).unwrap();
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["Time", "min", "max"]);
        assert_eq!(fields[2].labels.as_ref().unwrap()["metric"], "a");
    }

    #[test]
    fn other_texts_are_labels() {
        let fields = vec![time(&[1_500_000_000]), text("host", &["a"]), whole("value", &[1])];
        let fields = time_series(fields, OPTIONS).unwrap();
        assert_eq!(
            (fields[1].name.as_str(), fields[1].labels.as_ref().unwrap()["host"].as_str()),
            ("value", "a")
        );
    }

    #[test]
    fn without_texts_a_table_is_wide_already() {
        let flag = Field::new("up", Column::Bool(Cells::new(vec![true, false])));
        let fields = vec![whole("value", &[1, 2]), time(&[1_500_000_060, 1_500_000_000]), flag];
        let fields = time_series(fields, OPTIONS).unwrap();
        assert_eq!(fields[0].name, "Time");
        assert_eq!(fields[1].column, Column::Float64(Cells::new(vec![1.0, 2.0])));
        assert_eq!(fields[2].column, Column::Float64(Cells::new(vec![1.0, 0.0])));
        let fill = Some(Fill { interval_ms: 60_000, value: FillValue::Number(7.0) });
        let filled = time_series(
            vec![time(&[1_500_000_000]), whole("value", &[1])],
            SeriesOptions { fill, ..OPTIONS },
        );
        assert_eq!(filled.unwrap()[1].column, Column::Float64(Cells::nullable(vec![1.0, 7.0, 7.0])));
    }

    #[test]
    fn what_is_no_time_series_is_told() {
        let instant = Field::new("made", Column::Time(Cells::new(vec![0])));
        for (fields, told) in [
            (vec![whole("value", &[1])], "needs a column named time"),
            (vec![text("time", &["now"]), whole("value", &[1])], "neither times nor numbers"),
            (vec![time(&[1]), instant, whole("value", &[1])], "the column made cannot be a value"),
            (vec![], "needs a column named time"),
        ] {
            let error = time_series(fields, OPTIONS).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn numbers_in_time_columns_of_tables_are_times() {
        let fields =
            with_times(vec![time(&[1_500_000_000]), whole("timeend", &[1_500_000_000]), whole("n", &[1])]);
        let kinds: Vec<_> = fields.iter().map(|field| matches!(field.column, Column::Time(_))).collect();
        assert_eq!(kinds, [true, true, false]);
    }
}
