//! The operators and functions on numbers.
//!
//! The operator is matched once for a column; the loop over its numbers is compiled for each operator.

use super::super::meter::Meter;
use super::super::reason::Reason;
use super::super::set::{Data, Points, Shared, no_nulls};

/// The cost of an operator that the processor has no instruction for, in steps.
const SLOW: usize = 8;

/// An operator between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

/// A function of one value, or an operator before one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Negate,
    Not,
    Abs,
    Log,
    Round,
    Ceil,
    Floor,
    IsNan,
    IsInf,
    IsNull,
    IsNumber,
}

/// Evaluates an expression with the function of an operator.
macro_rules! with_operator {
    ($operator:expr, $function:ident => $work:expr) => {
        match $operator {
            Operator::Or => with_operator!($function = |a, b| f64::from(a != 0.0 || b != 0.0), $work),
            Operator::And => with_operator!($function = |a, b| f64::from(a != 0.0 && b != 0.0), $work),
            #[expect(clippy::float_cmp, reason = "this is what people ask for")]
            Operator::Equal => with_operator!($function = |a, b| f64::from(a == b), $work),
            #[expect(clippy::float_cmp, reason = "this is what people ask for")]
            Operator::NotEqual => with_operator!($function = |a, b| f64::from(a != b), $work),
            Operator::Less => with_operator!($function = |a, b| f64::from(a < b), $work),
            Operator::AtMost => with_operator!($function = |a, b| f64::from(a <= b), $work),
            Operator::Greater => with_operator!($function = |a, b| f64::from(a > b), $work),
            Operator::AtLeast => with_operator!($function = |a, b| f64::from(a >= b), $work),
            Operator::Add => with_operator!($function = |a, b| a + b, $work),
            Operator::Subtract => with_operator!($function = |a, b| a - b, $work),
            Operator::Multiply => with_operator!($function = |a, b| a * b, $work),
            Operator::Divide => with_operator!($function = |a, b| a / b, $work),
            Operator::Remainder => with_operator!($function = |a, b| a % b, $work),
            Operator::Power => with_operator!($function = f64::powf, $work),
        }
    };
    ($function:ident = |$a:ident, $b:ident| $body:expr, $work:expr) => {{
        let $function = |$a: f64, $b: f64| $body;
        $work
    }};
    ($function:ident = $body:expr, $work:expr) => {{
        let $function = $body;
        $work
    }};
}

impl Operator {
    /// Applies it to two values. The result is null if either is null.
    pub(super) fn apply(self, left: Option<f64>, right: Option<f64>) -> Option<f64> {
        let (left, right) = left.zip(right)?;
        Some(with_operator!(self, function => function(left, right)))
    }

    fn steps(self) -> usize {
        if matches!(self, Self::Remainder | Self::Power) { SLOW } else { 1 }
    }

    /// Applies it to each point, or to the points at times that both series have.
    pub(super) fn combine<'a>(
        self,
        left: Data<'a>,
        right: Data<'a>,
        meter: &mut Meter,
    ) -> Result<Data<'a>, Reason> {
        let points = match (left, right) {
            (Data::Number(left), Data::Number(right)) => {
                meter.work(self.steps())?;
                return Ok(Data::Number(self.apply(left, right)));
            }
            (Data::Series(points), Data::Number(None)) | (Data::Number(None), Data::Series(points)) => {
                meter.work(points.len())?;
                Points { nulls: vec![true; points.len()].into(), ..points }
            }
            (Data::Series(points), Data::Number(Some(number))) => {
                meter.work(points.len() * self.steps())?;
                let numbers =
                    with_operator!(self, function => map(points.numbers, |value| function(value, number)));
                Points { numbers, ..points }
            }
            (Data::Number(Some(number)), Data::Series(points)) => {
                meter.work(points.len() * self.steps())?;
                let numbers =
                    with_operator!(self, function => map(points.numbers, |value| function(number, value)));
                Points { numbers, ..points }
            }
            (Data::Series(left), Data::Series(right)) => {
                meter.work((left.len() + right.len()) * self.steps())?;
                let (left, right) = aligned(left, right);
                let numbers = with_operator!(self, function => zip(left.numbers, right.numbers, function));
                Points { times: left.times, numbers, nulls: either(left.nulls, right.nulls) }
            }
        };
        Ok(Data::Series(points))
    }
}

/// Applies a function to each value, in place if the values are not shared.
pub(in super::super) fn map(
    mut values: Shared<'_, Vec<f64>>,
    function: impl Fn(f64) -> f64,
) -> Shared<'_, Vec<f64>> {
    match values.unique() {
        Some(values) => values.iter_mut().for_each(|value| *value = function(*value)),
        None => return values.iter().map(|value| function(*value)).collect::<Vec<_>>().into(),
    }
    values
}

/// Applies a function to pairs of values, in place if the values of one side are not shared.
fn zip<'a>(
    mut left: Shared<'a, Vec<f64>>,
    mut right: Shared<'a, Vec<f64>>,
    function: impl Fn(f64, f64) -> f64,
) -> Shared<'a, Vec<f64>> {
    if let Some(left) = left.unique() {
        left.iter_mut().zip(right.iter()).for_each(|(left, right)| *left = function(*left, *right));
    } else if let Some(right) = right.unique() {
        left.iter().zip(right).for_each(|(left, right)| *right = function(*left, *right));
    } else {
        let values = left.iter().zip(right.iter()).map(|(left, right)| function(*left, *right));
        return values.collect::<Vec<_>>().into();
    }
    if left.unique().is_some() { left } else { right }
}

/// The values that are null on either side.
fn either<'a>(left: Shared<'a, Vec<bool>>, right: Shared<'a, Vec<bool>>) -> Shared<'a, Vec<bool>> {
    match (left.is_empty(), right.is_empty()) {
        (true, _) => right,
        (false, true) => left,
        (false, false) => {
            left.iter().zip(right.iter()).map(|(left, right)| left | right).collect::<Vec<_>>().into()
        }
    }
}

/// The points of both series at times that both have.
fn aligned<'a>(left: Points<'a>, right: Points<'a>) -> (Points<'a>, Points<'a>) {
    if left.times.equals(&right.times) {
        return (left, right);
    }
    let (mut at_left, mut at_right) = (Vec::new(), Vec::new());
    let (mut l, mut r) = (0, 0);
    while let Some((left_time, right_time)) = left.times.get(l).zip(right.times.get(r)) {
        if left_time == right_time {
            at_left.push(l);
            at_right.push(r);
        }
        l += usize::from(left_time <= right_time);
        r += usize::from(right_time <= left_time);
    }
    (picked(&left, &at_left), picked(&right, &at_right))
}

/// Some points of a series.
fn picked<'a>(points: &Points<'_>, places: &[usize]) -> Points<'a> {
    let nulls = if points.nulls.is_empty() {
        no_nulls()
    } else {
        places.iter().map(|at| points.nulls[*at]).collect::<Vec<_>>().into()
    };
    Points {
        times: places.iter().map(|at| points.times[*at]).collect::<Vec<_>>().into(),
        numbers: places.iter().map(|at| points.numbers[*at]).collect::<Vec<_>>().into(),
        nulls,
    }
}

impl Function {
    /// The function of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "abs" => Self::Abs,
            "log" => Self::Log,
            "round" => Self::Round,
            "ceil" => Self::Ceil,
            "floor" => Self::Floor,
            "is_nan" => Self::IsNan,
            "is_inf" => Self::IsInf,
            "is_null" => Self::IsNull,
            "is_number" => Self::IsNumber,
            _ => return None,
        })
    }

    /// The result for null. Operators leave it null; functions treat it as NaN, as Grafana's do.
    fn of_null(self) -> Option<f64> {
        match self {
            Self::Negate | Self::Not => None,
            Self::Abs | Self::Log | Self::Round | Self::Ceil | Self::Floor => Some(f64::NAN),
            Self::IsNan | Self::IsInf | Self::IsNumber => Some(0.0),
            Self::IsNull => Some(1.0),
        }
    }

    fn steps(self) -> usize {
        if self == Self::Log { SLOW } else { 1 }
    }

    /// Applies it to values of which none is null.
    fn apply_all(self, values: Shared<'_, Vec<f64>>) -> Shared<'_, Vec<f64>> {
        match self {
            Self::Negate => map(values, |value| -value),
            Self::Not => map(values, |value| f64::from(value == 0.0)),
            Self::Abs => map(values, f64::abs),
            Self::Log => map(values, f64::ln),
            Self::Round => map(values, f64::round),
            Self::Ceil => map(values, f64::ceil),
            Self::Floor => map(values, f64::floor),
            Self::IsNan => map(values, |value| f64::from(value.is_nan())),
            Self::IsInf => map(values, |value| f64::from(value.is_infinite())),
            Self::IsNull => map(values, |_| 0.0),
            Self::IsNumber => map(values, |value| f64::from(value.is_finite())),
        }
    }

    /// Applies it to a number or to each point.
    pub(super) fn apply<'a>(self, data: Data<'a>, meter: &mut Meter) -> Result<Data<'a>, Reason> {
        let points = match data {
            Data::Number(number) => {
                meter.work(self.steps())?;
                let apply = |number| self.apply_all(vec![number].into()).first().copied();
                return Ok(Data::Number(number.map_or(self.of_null(), apply)));
            }
            Data::Series(points) => points,
        };
        meter.work(points.len() * self.steps())?;
        let mut numbers = self.apply_all(points.numbers);
        let (Some(of_null), Some(made)) = (self.of_null(), numbers.unique()) else {
            return Ok(Data::Series(Points { numbers, ..points }));
        };
        let nulls = points.nulls.iter().zip(made).filter(|(is_null, _)| **is_null);
        nulls.for_each(|(_, number)| *number = of_null);
        Ok(Data::Series(Points { times: points.times, numbers, nulls: no_nulls() }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::set::Set;
    use super::super::super::set::examples::{series, show};
    use super::*;

    const ALL: [Operator; 14] = [
        Operator::Or,
        Operator::And,
        Operator::Equal,
        Operator::NotEqual,
        Operator::Less,
        Operator::AtMost,
        Operator::Greater,
        Operator::AtLeast,
        Operator::Add,
        Operator::Subtract,
        Operator::Multiply,
        Operator::Divide,
        Operator::Remainder,
        Operator::Power,
    ];

    #[test]
    fn operators_of_numbers() {
        let results = |left, right| ALL.map(|operator| operator.apply(Some(left), Some(right)).unwrap());
        let expected = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 9.0, 5.0, 14.0, 3.5, 1.0, 49.0];
        assert_eq!(results(7.0, 2.0).map(Some), expected.map(Some));
        let expected = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 3.0, -3.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(results(0.0, 3.0).map(Some), expected.map(Some));
        assert_eq!(results(2.0, 2.0)[2..8], [1.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
        assert_eq!((results(0.0, 0.0)[0], results(1.0, 0.0)[1]), (0.0, 0.0));
        assert_eq!(
            (Operator::Remainder.apply(Some(-7.0), Some(2.0)), results(1.0, 0.0)[11]),
            (Some(-1.0), f64::INFINITY)
        );
        for operator in ALL {
            assert_eq!(operator.apply(None, Some(1.0)), None);
            assert_eq!(operator.apply(Some(1.0), None), None);
        }
    }

    /// The result of an operator on two values, in each form that they may have.
    #[test]
    fn columns_say_what_numbers_say() {
        let values = [Some(7.0), Some(0.0), Some(-2.5), None, Some(f64::NAN), Some(f64::INFINITY)];
        let points: Vec<_> = (0..).zip(values).collect();
        let data = || series("", &points).data;
        let shown = |data: Data<'_>| match data {
            Data::Series(points) => points.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>(),
            Data::Number(_) => panic!(),
        };
        let meter = &mut Meter::default();
        for operator in ALL {
            for other in values {
                let expected = |apply: &dyn Fn(Option<f64>) -> Option<f64>| {
                    values.map(|value| format!("{:?}", apply(value))).to_vec()
                };
                let right = operator.combine(data(), Data::Number(other), meter).unwrap();
                assert_eq!(
                    shown(right),
                    expected(&|value| operator.apply(value, other)),
                    "{operator:?} {other:?}"
                );
                let left = operator.combine(Data::Number(other), data(), meter).unwrap();
                assert_eq!(
                    shown(left),
                    expected(&|value| operator.apply(other, value)),
                    "{operator:?} {other:?}"
                );
            }
            let squares = values.map(|value| format!("{:?}", operator.apply(value, value)));
            // Both sides made, one side shared with another set, and both.
            assert_eq!(shown(operator.combine(data(), data(), meter).unwrap()), squares);
            let (left, right) = (data(), data());
            assert_eq!(shown(operator.combine(left.clone(), data(), meter).unwrap()), squares);
            assert_eq!(shown(operator.combine(data(), right.clone(), meter).unwrap()), squares);
            assert_eq!(shown(operator.combine(left.clone(), right.clone(), meter).unwrap()), squares);
        }
    }

    #[test]
    fn only_times_that_both_have_are_left() {
        let left = series("", &[(1, Some(1.0)), (2, Some(2.0)), (4, None), (6, Some(6.0))]).data;
        let right = series(
            "",
            &[(0, Some(9.0)), (2, Some(20.0)), (4, Some(40.0)), (5, Some(9.0)), (6, None), (7, None)],
        )
        .data;
        let item = |data| {
            vec![super::super::super::set::Item { labels: crate::source::frame::Labels::new().into(), data }]
        };
        let meter = &mut Meter::default();
        let sum = Operator::Add.combine(left.clone(), right, meter).unwrap();
        assert_eq!(show(&Set::Items(item(sum)), true), [": [2=22 4=null 6=null]"]);
        let without_nulls = series("", &[(2, Some(1.0)), (6, Some(1.0))]).data;
        let sum = Operator::Subtract.combine(left.clone(), without_nulls, meter).unwrap();
        assert_eq!(show(&Set::Items(item(sum)), true), [": [2=1 6=5]"]);
        let none = Operator::Add.combine(left, series("", &[(3, Some(1.0))]).data, meter).unwrap();
        assert_eq!(show(&Set::Items(item(none)), true), [": []"]);
    }

    #[test]
    fn functions() {
        let values = [Some(-1.5), Some(0.0), Some(2.5), None, Some(f64::NAN), Some(f64::NEG_INFINITY)];
        let cases = [
            (Function::Negate, "1.5 -0 -2.5 null NaN inf"),
            (Function::Not, "0 1 0 null 0 0"),
            (Function::Abs, "1.5 0 2.5 NaN NaN inf"),
            (Function::Log, "NaN -inf 0.9162907318741551 NaN NaN NaN"),
            (Function::Round, "-2 0 3 NaN NaN -inf"),
            (Function::Ceil, "-1 0 3 NaN NaN -inf"),
            (Function::Floor, "-2 0 2 NaN NaN -inf"),
            (Function::IsNan, "0 0 0 0 1 0"),
            (Function::IsInf, "0 0 0 0 0 1"),
            (Function::IsNull, "0 0 0 1 0 0"),
            (Function::IsNumber, "1 1 1 0 0 0"),
        ];
        let meter = &mut Meter::default();
        for (function, expected) in cases {
            let points: Vec<_> = (0..).zip(values).collect();
            let Data::Series(made) = function.apply(series("", &points).data, meter).unwrap() else {
                panic!()
            };
            let show = |value: Option<f64>| value.map_or("null".to_owned(), |value| value.to_string());
            let shown: Vec<_> = made.iter().map(show).collect();
            assert_eq!(shown.join(" "), expected, "{function:?}");
            let numbers = values.map(|value| match function.apply(Data::Number(value), meter).unwrap() {
                Data::Number(value) => show(value),
                Data::Series(_) => panic!(),
            });
            assert_eq!(numbers.join(" "), expected, "{function:?}");
        }
    }

    #[test]
    fn slow_operators_are_more_work() {
        use super::super::super::meter::MAX_WORK;
        let points: Vec<_> = (0..100).map(|time| (time, Some(1.0))).collect();
        let data = || series("", &points).data;
        let works = |steps: usize, work: &dyn Fn(&mut Meter) -> bool| {
            let (mut enough, mut little) = (Meter::default(), Meter::default());
            enough.work(MAX_WORK - steps).unwrap();
            little.work(MAX_WORK - steps + 1).unwrap();
            assert!(work(&mut enough) && !work(&mut little), "{steps}");
        };
        let number = || Data::Number(Some(1.0));
        works(100, &|meter| Operator::Add.combine(data(), number(), meter).is_ok());
        works(100, &|meter| Operator::Add.combine(data(), Data::Number(None), meter).is_ok());
        works(800, &|meter| Operator::Power.combine(number(), data(), meter).is_ok());
        works(800, &|meter| Operator::Remainder.combine(data(), number(), meter).is_ok());
        works(1600, &|meter| Operator::Remainder.combine(data(), data(), meter).is_ok());
        works(8, &|meter| Operator::Power.combine(number(), number(), meter).is_ok());
        works(800, &|meter| Function::Log.apply(data(), meter).is_ok());
        works(100, &|meter| Function::Abs.apply(data(), meter).is_ok());
        works(1, &|meter| Function::Abs.apply(number(), meter).is_ok());
    }
}
