//! The reduction of each series to one number.

use super::meter::Meter;
use super::model::{self, Members};
use super::reason::Reason;
use super::set::{Data, Points, Set};

/// The cost of sorting a value, in steps.
const SORT: usize = 8;

/// Reduces each series to one number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reduce {
    pub(super) input: String,
    reducer: Reducer,
    mode: Mode,
}

/// The function that reduces values to one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reducer {
    Sum,
    Mean,
    Min,
    Max,
    Count,
    Last,
    Median,
}

/// The treatment of values that are not finite numbers: null, NaN and the infinities.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    /// They are taken as they are, null as NaN.
    Strict,
    /// They are left out.
    Drop,
    /// They are replaced by this number.
    Replace(f64),
}

impl Reduce {
    /// Reads the members of an expression.
    pub(super) fn try_read(members: &Members) -> Result<Self, String> {
        let name = model::text(members, "reducer")?;
        let reducer = Reducer::named(name).ok_or_else(|| {
            let reducers = "there are sum, mean, min, max, count, last and median";
            match name {
                "" => format!("`reducer` is missing; {reducers}"),
                name => format!("there is no reducer `{name}`; {reducers}"),
            }
        })?;
        let settings = model::object(members, "settings")?;
        let mode = match settings.map_or(Ok(""), |settings| model::text(settings, "mode"))? {
            "" | "strict" => Mode::Strict,
            "dropNN" => Mode::Drop,
            "replaceNN" => {
                let value =
                    settings.map_or(Ok(None), |settings| model::number(settings, "replaceWithValue"))?;
                Mode::Replace(value.ok_or("the mode `replaceNN` needs a number `replaceWithValue`")?)
            }
            mode => return Err(format!("there is no mode `{mode}`; there are dropNN and replaceNN")),
        };
        Ok(Self { input: model::input(model::text(members, "expression")?)?, reducer, mode })
    }

    /// Reduces each series to one number. A number stays the same, apart from the mode.
    pub(super) fn evaluate<'a>(&self, input: Set<'a>, meter: &mut Meter) -> Result<Set<'a>, Reason> {
        input.try_map(meter, |_, data, meter| match data {
            Data::Number(number) => Ok(Data::Number(self.mode.of_number(number))),
            Data::Series(points) => {
                meter.work(1 + points.len() * self.reducer.steps())?;
                Ok(Data::Number(self.of_series(&points)))
            }
        })
    }

    fn of_series(&self, points: &Points<'_>) -> Option<f64> {
        let made = match self.mode {
            Mode::Strict => self.reducer.reduce(&points.or_nan()),
            Mode::Drop => {
                let numbers: Vec<_> = points.iter().flatten().filter(|value| value.is_finite()).collect();
                self.reducer.reduce(&numbers)
            }
            Mode::Replace(with) => {
                let number = |value: Option<f64>| value.filter(|value| value.is_finite()).unwrap_or(with);
                self.reducer.reduce(&points.iter().map(number).collect::<Vec<_>>())
            }
        };
        self.mode.of_result(made)
    }
}

impl Mode {
    fn of_number(self, number: Option<f64>) -> Option<f64> {
        match self {
            Self::Strict => number,
            Self::Drop => number.filter(|number| number.is_finite()),
            Self::Replace(with) => Some(number.filter(|number| number.is_finite()).unwrap_or(with)),
        }
    }

    /// The result for no points can be NaN, even if such values are left out or replaced.
    fn of_result(self, made: f64) -> Option<f64> {
        match self {
            Self::Drop => Some(made).filter(|made| !made.is_nan()),
            Self::Replace(with) if made.is_nan() => Some(with),
            Self::Replace(_) | Self::Strict => Some(made),
        }
    }
}

impl Reducer {
    /// The reducer of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Sum,
            "mean" => Self::Mean,
            "min" => Self::Min,
            "max" => Self::Max,
            "count" => Self::Count,
            "last" => Self::Last,
            "median" => Self::Median,
            _ => return None,
        })
    }

    fn steps(self) -> usize {
        if self == Self::Median { SORT } else { 1 }
    }

    /// Reduces values to one. The result is NaN if one of them is, except for the count and the last value.
    #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
    pub(super) fn reduce(self, values: &[f64]) -> f64 {
        let count = values.len() as f64;
        let sum = || values.iter().fold(0.0, |sum, value| sum + value);
        let extreme = |is_better: fn(f64, f64) -> bool| {
            let better =
                |best: f64, value: f64| if value.is_nan() || is_better(value, best) { value } else { best };
            values.iter().copied().reduce(better).unwrap_or(f64::NAN)
        };
        match self {
            Self::Count => count,
            Self::Last => values.last().copied().unwrap_or(f64::NAN),
            Self::Sum => sum(),
            Self::Mean => sum() / count,
            Self::Min => extreme(|value, best| value < best),
            Self::Max => extreme(|value, best| value > best),
            Self::Median => median(values.to_vec()),
        }
    }
}

/// The value in the middle, or halfway between the two there; NaN without values, or if one is NaN.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let (middle, is_even) = (values.len() / 2, values.len().is_multiple_of(2));
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = below.iter().copied().max_by(f64::total_cmp);
    lower.filter(|_| is_even).map_or(*upper, |lower| f64::midpoint(lower, *upper))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::meter::{MAX_VALUES, MAX_WORK};
    use super::super::set::ITEM;
    use super::super::set::examples::{number, series, show};
    use super::*;

    fn read(model: Value) -> Result<Reduce, String> {
        Reduce::try_read(model.as_object().unwrap())
    }

    fn reduce(reducer: &str, mode: Value, values: &[Option<f64>]) -> String {
        let reduce = read(json!({ "expression": "$A", "reducer": reducer, "settings": mode })).unwrap();
        assert_eq!(reduce.input, "A");
        let points: Vec<_> = (0..).zip(values.iter().copied()).collect();
        let set = Set::new(vec![series("h=a", &points)]);
        let shown = show(&reduce.evaluate(set, &mut Meter::default()).unwrap(), false).concat();
        shown.strip_prefix("h=a: ").unwrap().to_owned()
    }

    #[test]
    fn reducers() {
        let values = [Some(4.0), Some(-1.0), Some(2.0), Some(2.5)];
        let nan = [Some(4.0), Some(f64::NAN), Some(2.0)];
        let cases = [
            ("sum", "7.5", "NaN", "0"),
            ("mean", "1.875", "NaN", "NaN"),
            ("min", "-1", "NaN", "NaN"),
            ("max", "4", "NaN", "NaN"),
            ("count", "4", "3", "0"),
            ("last", "2.5", "2", "NaN"),
            ("median", "2.25", "NaN", "NaN"),
        ];
        for (reducer, of_values, of_nan, of_none) in cases {
            assert_eq!(reduce(reducer, json!({}), &values), of_values, "{reducer}");
            assert_eq!(reduce(reducer, json!({ "mode": "strict" }), &nan), of_nan, "{reducer}");
            assert_eq!(reduce(reducer, json!(null), &[]), of_none, "{reducer}");
        }
        assert_eq!(reduce("median", json!(null), &[Some(3.0), Some(9.0), Some(1.0)]), "3");
        assert_eq!(reduce("min", json!(null), &[Some(f64::NAN), Some(1.0)]), "NaN");
        assert_eq!(reduce("max", json!(null), &[Some(1.0), Some(f64::NAN), Some(2.0)]), "NaN");
    }

    #[test]
    fn modes_say_what_becomes_of_values_that_are_no_numbers() {
        let values =
            [Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY), Some(3.0), Some(f64::NEG_INFINITY)];
        let replace = json!({ "mode": "replaceNN", "replaceWithValue": 10 });
        for (mode, sum, count, last) in [
            (json!({ "mode": "" }), "NaN", "6", "-inf"),
            (json!({ "mode": "dropNN" }), "4", "2", "3"),
            (replace.clone(), "44", "6", "10"),
        ] {
            assert_eq!(reduce("sum", mode.clone(), &values), sum);
            assert_eq!(reduce("count", mode.clone(), &values), count);
            assert_eq!(reduce("last", mode, &values), last);
        }
        for (mode, mean, sum) in [(json!({ "mode": "dropNN" }), "null", "0"), (replace, "10", "0")] {
            assert_eq!(reduce("mean", mode.clone(), &[]), mean);
            assert_eq!(reduce("sum", mode, &[]), sum);
        }
        assert_eq!(reduce("last", json!({ "mode": "dropNN" }), &[None]), "null");
        assert_eq!(reduce("last", json!({}), &[Some(1.0), None]), "NaN");
    }

    #[test]
    fn numbers_stay_numbers() {
        let set = || {
            let numbers = [Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY)];
            Set::new(numbers.iter().map(|value| number("", *value)).collect())
        };
        let shown = |settings: Value| {
            let reduce = read(json!({ "expression": "A", "reducer": "sum", "settings": settings })).unwrap();
            show(&reduce.evaluate(set(), &mut Meter::default()).unwrap(), false).join("").replace(": ", " ")
        };
        assert_eq!(shown(json!({})), " 1 null NaN inf");
        assert_eq!(shown(json!({ "mode": "dropNN" })), " 1 null null null");
        assert_eq!(shown(json!({ "mode": "replaceNN", "replaceWithValue": 0 })), " 1 0 0 0");
        let reduce = read(json!({ "expression": "A", "reducer": "sum" })).unwrap();
        let evaluate = |set| show(&reduce.evaluate(set, &mut Meter::default()).unwrap(), false);
        assert_eq!(
            (evaluate(Set::NoData), evaluate(Set::Scalar(Some(2.0)))),
            (vec!["no data".into()], vec!["2".into()])
        );
    }

    #[test]
    fn faults_are_named() {
        let cases = [
            (
                json!({ "expression": "A" }),
                "`reducer` is missing; there are sum, mean, min, max, count, last and median",
            ),
            (json!({ "expression": "A", "reducer": 1 }), "`reducer` must be a text"),
            (json!({ "reducer": "sum" }), "it names no input"),
            (
                json!({ "expression": "A", "reducer": "sum", "settings": { "mode": "x" } }),
                "there is no mode `x`; there are dropNN and replaceNN",
            ),
            (
                json!({ "expression": "A", "reducer": "sum", "settings": { "mode": "replaceNN" } }),
                "the mode `replaceNN` needs a number `replaceWithValue`",
            ),
            (json!({ "expression": "A", "reducer": "sum", "settings": [] }), "`settings` must be an object"),
        ];
        for (model, fault) in cases {
            assert_eq!(read(model), Err(fault.to_owned()));
        }
    }

    #[test]
    fn reducing_is_work_and_gives_back_what_it_reduced() {
        let set = || Set::new(vec![series("", &[(1, Some(1.0)), (2, Some(1.0))])]);
        for (reducer, steps) in [("sum", 3), ("median", 17)] {
            let reduce = read(json!({ "expression": "A", "reducer": reducer })).unwrap();
            let mut meter = Meter::default();
            meter.work(MAX_WORK - steps).unwrap();
            assert!(reduce.evaluate(set(), &mut meter).is_ok());
            assert_eq!(reduce.evaluate(set(), &mut meter).unwrap_err(), Reason::TooMuchWork);
        }
        let mut meter = Meter::default();
        meter.hold(set().made()).unwrap();
        let reduce = read(json!({ "expression": "A", "reducer": "sum" })).unwrap();
        reduce.evaluate(set(), &mut meter).unwrap();
        meter.hold(MAX_VALUES - ITEM).unwrap();
        assert_eq!(meter.hold(1), Err(Reason::TooManyValues));
    }
}
