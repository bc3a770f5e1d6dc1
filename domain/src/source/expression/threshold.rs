//! Whether values pass a threshold.

use super::math::operator::map;
use super::meter::Meter;
use super::model::{self, Members};
use super::reason::Reason;
use super::set::{Data, Points, Set, Shared};
use crate::source::frame::Labels;

/// The comparison of a value with a limit or a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Evaluator {
    Above(f64),
    Below(f64),
    Equal(f64),
    NotEqual(f64),
    AtLeast(f64),
    AtMost(f64),
    Within(f64, f64),
    Outside(f64, f64),
    WithinIncluded(f64, f64),
    OutsideIncluded(f64, f64),
}

/// Evaluates an expression with the test of an evaluator, which is matched once for a column.
macro_rules! with_evaluator {
    ($evaluator:expr, $matches:ident => $work:expr) => {
        match $evaluator {
            Evaluator::Above(limit) => with_evaluator!($matches, value, value > limit, $work),
            Evaluator::Below(limit) => with_evaluator!($matches, value, value < limit, $work),
            #[expect(clippy::float_cmp, reason = "this is what people ask for")]
            Evaluator::Equal(limit) => with_evaluator!($matches, value, value == limit, $work),
            #[expect(clippy::float_cmp, reason = "this is what people ask for")]
            Evaluator::NotEqual(limit) => with_evaluator!($matches, value, value != limit, $work),
            Evaluator::AtLeast(limit) => with_evaluator!($matches, value, value >= limit, $work),
            Evaluator::AtMost(limit) => with_evaluator!($matches, value, value <= limit, $work),
            Evaluator::Within(low, high) => {
                with_evaluator!($matches, value, value > low && value < high, $work)
            }
            Evaluator::Outside(low, high) => {
                with_evaluator!($matches, value, value < low || value > high, $work)
            }
            Evaluator::WithinIncluded(low, high) => {
                with_evaluator!($matches, value, value >= low && value <= high, $work)
            }
            Evaluator::OutsideIncluded(low, high) => {
                with_evaluator!($matches, value, value <= low || value >= high, $work)
            }
        }
    };
    ($matches:ident, $value:ident, $test:expr, $work:expr) => {{
        let $matches = |$value: f64| $test;
        $work
    }};
}

impl Evaluator {
    /// Reads the members of an evaluator. The ends of a range can come in either order.
    pub(super) fn try_read(members: &Members) -> Result<Self, String> {
        let params = model::list(members, "params")?;
        let param = |place: usize| {
            let param = params.get(place).and_then(model::as_number);
            param.ok_or_else(|| format!("an evaluator needs a number as item {} of `params`", place + 1))
        };
        let range = || {
            let (one, other) = (param(0)?, param(1)?);
            Ok::<_, String>((one.min(other), one.max(other)))
        };
        let of_range = |make: fn(f64, f64) -> Self| range().map(|(low, high)| make(low, high));
        match model::text(members, "type")? {
            "gt" => param(0).map(Self::Above),
            "lt" => param(0).map(Self::Below),
            "eq" => param(0).map(Self::Equal),
            "ne" => param(0).map(Self::NotEqual),
            "gte" => param(0).map(Self::AtLeast),
            "lte" => param(0).map(Self::AtMost),
            "within_range" => of_range(Self::Within),
            "outside_range" => of_range(Self::Outside),
            "within_range_included" => of_range(Self::WithinIncluded),
            "outside_range_included" => of_range(Self::OutsideIncluded),
            kind => Err(format!("there is no evaluator `{kind}`")),
        }
    }

    /// Whether a value matches.
    pub(super) fn matches(self, value: f64) -> bool {
        with_evaluator!(self, matches => matches(value))
    }

    /// Makes 1 of values that match and 0 of others, or the other way round.
    fn mark(self, values: Shared<'_, Vec<f64>>, of_match: bool) -> Shared<'_, Vec<f64>> {
        with_evaluator!(self, matches => map(values, |value| f64::from(matches(value) == of_match)))
    }
}

/// Computes for each number or point whether it passes a threshold: 1 if it does, 0 if not, null for null.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    pub(super) input: String,
    evaluator: Evaluator,
    /// The threshold for the recovery of members that have passed before.
    recovery: Option<Evaluator>,
}

impl Threshold {
    /// Reads the members of an expression. It fails with an error message.
    pub fn try_read(members: &Members) -> Result<Self, String> {
        let conditions = model::objects(members, "conditions", 1)?;
        let evaluator = |name| -> Result<Option<Evaluator>, String> {
            let evaluators = conditions.iter().map(|condition| model::object(condition, name));
            let evaluator = evaluators.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().next();
            evaluator.map(Evaluator::try_read).transpose()
        };
        Ok(Self {
            input: model::input(model::text(members, "expression")?)?,
            evaluator: evaluator("evaluator")?.ok_or("the condition has no `evaluator`")?,
            recovery: evaluator("unloadEvaluator")?,
        })
    }

    /// Whether members that have passed the threshold have to pass another one to recover.
    #[must_use]
    pub fn has_recovery(&self) -> bool {
        self.recovery.is_some()
    }

    /// Computes which members pass. A member that has passed before, identified by its labels, still does until it
    /// passes the threshold of recovery, if there is one.
    pub fn evaluate<'a>(
        &self,
        input: Set<'a>,
        has_passed: &dyn Fn(&Labels) -> bool,
        meter: &mut Meter,
    ) -> Result<Set<'a>, Reason> {
        input.try_map(meter, |labels, data, meter| {
            let (evaluator, of_match) = match self.recovery {
                Some(recovery) if has_passed(labels) => (recovery, false),
                _ => (self.evaluator, true),
            };
            match data {
                Data::Number(number) => {
                    meter.work(1)?;
                    Ok(Data::Number(number.map(|value| f64::from(evaluator.matches(value) == of_match))))
                }
                Data::Series(points) => {
                    meter.work(points.len())?;
                    let numbers = evaluator.mark(points.numbers, of_match);
                    Ok(Data::Series(Points { numbers, ..points }))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::meter::MAX_WORK;
    use super::super::set::examples::{labels, number, series, show};
    use super::*;

    fn evaluator(kind: &str, params: Value) -> Result<Evaluator, String> {
        Evaluator::try_read(json!({ "type": kind, "params": params }).as_object().unwrap())
    }

    fn read(condition: Value) -> Result<Threshold, String> {
        let model = json!({ "type": "threshold", "expression": "A", "conditions": [condition] });
        Threshold::try_read(model.as_object().unwrap())
    }

    #[test]
    fn evaluators() {
        // The matches among 1 to 5 and NaN.
        let cases = [
            ("gt", json!([3]), "000110"),
            ("lt", json!([3]), "110000"),
            ("eq", json!([3]), "001000"),
            ("ne", json!([3]), "110111"),
            ("gte", json!(["3"]), "001110"),
            ("lte", json!([3]), "111000"),
            ("within_range", json!([2, 4]), "001000"),
            ("within_range", json!([4, 2]), "001000"),
            ("outside_range", json!([2, 4]), "100010"),
            ("outside_range", json!([4, 2]), "100010"),
            ("within_range_included", json!([2, 4]), "011100"),
            ("outside_range_included", json!([2, 4]), "110110"),
        ];
        for (kind, params, expected) in cases {
            let values = vec![1.0, 2.0, 3.0, 4.0, 5.0, f64::NAN];
            let evaluator = evaluator(kind, params).unwrap();
            let shown: String =
                values.iter().map(|value| if evaluator.matches(*value) { '1' } else { '0' }).collect();
            assert_eq!(shown, expected, "{kind}");
            let marks = |of_match| {
                evaluator.mark(values.clone().into(), of_match).iter().map(f64::to_string).collect::<String>()
            };
            assert_eq!(marks(true), expected, "{kind}");
            assert_eq!(
                marks(false),
                expected.replace('1', "x").replace('0', "1").replace('x', "0"),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_threshold_tells_of_each_number_and_point() {
        let set = Set::new(vec![
            series("h=a", &[(1, Some(1.0)), (2, None), (3, Some(9.0))]),
            number("h=b", 9.0),
            number("h=c", 1.0),
            number("h=d", None),
        ]);
        let threshold = read(json!({ "evaluator": { "type": "gt", "params": [5] } })).unwrap();
        assert!(!threshold.has_recovery());
        let made = threshold.evaluate(set, &|_| true, &mut Meter::default()).unwrap();
        assert_eq!(show(&made, false), ["h=a: [0 null 1]", "h=b: 1", "h=c: 0", "h=d: null"]);
        let none = threshold.evaluate(Set::NoData, &|_| true, &mut Meter::default()).unwrap();
        assert!(matches!(none, Set::NoData));
        let scalar = threshold.evaluate(Set::Scalar(Some(6.0)), &|_| true, &mut Meter::default()).unwrap();
        assert_eq!(show(&scalar, false), ["1"]);
    }

    #[test]
    fn what_has_passed_recovers_at_another_threshold() {
        let condition = json!({
            "evaluator": { "type": "gt", "params": [100] },
            "unloadEvaluator": { "type": "lt", "params": [90] },
        });
        let threshold = read(condition).unwrap();
        assert!(threshold.has_recovery());
        let passed = labels("h=a");
        for (value, of_passed, of_other) in
            [(101.0, "1", "1"), (95.0, "1", "0"), (90.0, "1", "0"), (89.0, "0", "0")]
        {
            let set = Set::new(vec![
                number("h=a", value),
                number("h=b", value),
                number("h=a", None),
                series("h=a", &[(1, Some(value))]),
            ]);
            let made = threshold.evaluate(set, &|labels| *labels == passed, &mut Meter::default()).unwrap();
            let expected = [
                format!("h=a: {of_passed}"),
                format!("h=b: {of_other}"),
                "h=a: null".to_owned(),
                format!("h=a: [{of_passed}]"),
            ];
            assert_eq!(show(&made, false), expected);
        }
    }

    #[test]
    fn faults_are_named() {
        let above = json!({ "type": "gt", "params": [1] });
        let cases = [
            (json!({}), "the condition has no `evaluator`"),
            (json!({ "evaluator": {} }), "there is no evaluator ``"),
            (
                json!({ "evaluator": { "type": "no_value", "params": [] } }),
                "there is no evaluator `no_value`",
            ),
            (json!({ "evaluator": { "type": "gt" } }), "an evaluator needs a number as item 1 of `params`"),
            (
                json!({ "evaluator": { "type": "gt", "params": ["x"] } }),
                "an evaluator needs a number as item 1 of `params`",
            ),
            (
                json!({ "evaluator": { "type": "within_range", "params": [1] } }),
                "an evaluator needs a number as item 2 of `params`",
            ),
            (json!({ "evaluator": above, "unloadEvaluator": { "type": "x" } }), "there is no evaluator `x`"),
            (json!({ "evaluator": above, "unloadEvaluator": 1 }), "`unloadEvaluator` must be an object"),
        ];
        for (condition, fault) in cases {
            assert_eq!(read(condition), Err(fault.to_owned()));
        }
        let read = |model: Value| Threshold::try_read(model.as_object().unwrap()).unwrap_err();
        assert_eq!(read(json!({})), "`conditions` must be a list of 1 to 1 objects");
        assert_eq!(read(json!({ "conditions": [{}, {}] })), "`conditions` must be a list of 1 to 1 objects");
        assert_eq!(read(json!({ "conditions": [{ "evaluator": above }] })), "it names no input");
    }

    #[test]
    fn thresholds_are_bounded_work() {
        let threshold = read(json!({ "evaluator": { "type": "gt", "params": [5] } })).unwrap();
        let mut meter = Meter::default();
        meter.work(MAX_WORK - 3).unwrap();
        let set = |item| Set::new(vec![item]);
        let two = series("", &[(1, Some(1.0)), (2, Some(1.0))]);
        threshold.evaluate(set(two.clone()), &|_| false, &mut meter).unwrap();
        threshold.evaluate(set(number("", 1.0)), &|_| false, &mut meter).unwrap();
        for item in [two, number("", 1.0)] {
            assert_eq!(
                threshold.evaluate(set(item), &|_| false, &mut meter).unwrap_err(),
                Reason::TooMuchWork
            );
        }
    }
}
