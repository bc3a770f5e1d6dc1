//! Classic conditions, as in dashboard alerts: each reduces the series of a query to a value and checks it, and
//! together they have one result.

use super::meter::Meter;
use super::model::{self, Members};
use super::reason::Reason;
use super::reduce::median;
use super::set::{Data, Points, Set};
use super::threshold::Evaluator;

/// The maximum number of conditions of an expression.
pub const MAX_CONDITIONS: usize = 100;
/// The cost of a point, in steps.
const STEPS: usize = 8;

/// Conditions that are joined from left to right, all with the same precedence.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassicConditions {
    conditions: Vec<Condition>,
    /// The names of its inputs, each once.
    inputs: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Condition {
    /// How it is joined to those before it.
    join: Join,
    /// The place of its input.
    input: usize,
    reducer: Reducer,
    check: Check,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Join {
    And,
    Or,
    /// If the conditions before it are true, they decide alone.
    LogicOr,
}

/// The check of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Check {
    /// There is no value.
    NoValue,
    /// The value matches.
    Evaluator(Evaluator),
}

/// The function that reduces the values of a series to one. Null and NaN are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reducer {
    Mean,
    Min,
    Max,
    Sum,
    /// The number of points, including those without a value.
    Count,
    Last,
    Median,
    Change(Change),
    CountNonNull,
}

/// The change from the oldest value to the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    is_percentage: bool,
    is_absolute: bool,
}

/// The result of conditions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Verdict {
    is_true: bool,
    is_no_data: bool,
}

impl ClassicConditions {
    /// Reads the members of an expression. It fails with an error message.
    pub fn try_read(members: &Members) -> Result<Self, String> {
        let (mut inputs, mut conditions) = (Vec::new(), Vec::new());
        for (place, members) in model::objects(members, "conditions", MAX_CONDITIONS)?.into_iter().enumerate()
        {
            let condition = Condition::try_read(members, place == 0, &mut inputs);
            conditions.push(condition.map_err(|fault| format!("condition {}: {fault}", place + 1))?);
        }
        Ok(Self { conditions, inputs })
    }

    /// The names of their inputs.
    #[must_use]
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// Evaluates them to one number, with the inputs in the order of their names: 1 if they are true, 0 if not, null
    /// without data.
    pub fn evaluate<'a>(&self, inputs: &[Set<'_>], meter: &mut Meter) -> Result<Set<'a>, Reason> {
        let mut all: Option<Verdict> = None;
        for condition in &self.conditions {
            if condition.join == Join::LogicOr && all.is_some_and(|all| all.is_true && !all.is_no_data) {
                break;
            }
            let verdict = condition.verdict(inputs.get(condition.input).unwrap_or(&Set::NoData), meter)?;
            all = Some(all.map_or(verdict, |all| condition.join.join(all, verdict)));
        }
        let Verdict { is_true, is_no_data } = all.unwrap_or_default();
        Ok(Set::of_number((!is_no_data).then_some(f64::from(is_true))))
    }
}

impl Condition {
    fn try_read(members: &Members, is_first: bool, inputs: &mut Vec<String>) -> Result<Self, String> {
        let needed = |name: &str| model::object(members, name)?.ok_or_else(|| format!("it has no `{name}`"));
        let query = model::list(needed("query")?, "params")?;
        let name = query.first().and_then(|name| name.as_str()).unwrap_or_default();
        let name = model::input(name)?;
        let reducer = model::text(needed("reducer")?, "type")?;
        let evaluator = needed("evaluator")?;
        let operator = model::object(members, "operator")?;
        let join = match operator.map_or(Ok(""), |operator| model::text(operator, "type"))? {
            "and" => Join::And,
            "or" => Join::Or,
            "logic-or" => Join::LogicOr,
            // The operator of the first condition has no effect.
            _ if is_first => Join::And,
            operator => {
                return Err(format!("there is no operator `{operator}`; there are and, or and logic-or"));
            }
        };
        let input = inputs.iter().position(|known| *known == name).unwrap_or_else(|| {
            inputs.push(name);
            inputs.len() - 1
        });
        Ok(Self {
            join,
            input,
            reducer: Reducer::named(reducer).ok_or_else(|| format!("there is no reducer `{reducer}`"))?,
            check: match model::text(evaluator, "type")? {
                "no_value" => Check::NoValue,
                _ => Check::Evaluator(Evaluator::try_read(evaluator)?),
            },
        })
    }

    /// It is true if it is true for at least one member of the set. There is no data if no member has a value.
    fn verdict(&self, input: &Set<'_>, meter: &mut Meter) -> Result<Verdict, Reason> {
        let items = match input {
            Set::NoData => return Ok(self.of_value(None)),
            Set::Scalar(number) => return Ok(self.of_value(*number)),
            Set::Items(items) => items,
        };
        let mut all = Verdict { is_true: false, is_no_data: true };
        for item in items {
            let value = match &item.data {
                Data::Number(number) => *number,
                Data::Series(points) => {
                    meter.work(points.len() * STEPS)?;
                    self.reducer.reduce(points)
                }
            };
            meter.work(1)?;
            let one = self.of_value(value);
            all = Verdict { is_true: all.is_true | one.is_true, is_no_data: all.is_no_data & one.is_no_data };
        }
        Ok(all)
    }

    fn of_value(&self, value: Option<f64>) -> Verdict {
        let value = value.filter(|value| !value.is_nan());
        match self.check {
            Check::NoValue => Verdict { is_true: value.is_none(), is_no_data: false },
            Check::Evaluator(evaluator) => Verdict {
                is_true: value.is_some_and(|value| evaluator.matches(value)),
                is_no_data: value.is_none(),
            },
        }
    }
}

impl Join {
    fn join(self, before: Verdict, verdict: Verdict) -> Verdict {
        match self {
            Self::And => Verdict {
                is_true: before.is_true && verdict.is_true,
                is_no_data: before.is_no_data && verdict.is_no_data,
            },
            Self::Or | Self::LogicOr => Verdict {
                is_true: before.is_true || verdict.is_true,
                is_no_data: before.is_no_data || verdict.is_no_data,
            },
        }
    }
}

impl Reducer {
    fn named(name: &str) -> Option<Self> {
        let change = |is_percentage, is_absolute| Self::Change(Change { is_percentage, is_absolute });
        Some(match name {
            "avg" => Self::Mean,
            "min" => Self::Min,
            "max" => Self::Max,
            "sum" => Self::Sum,
            "count" => Self::Count,
            "last" => Self::Last,
            "median" => Self::Median,
            "diff" => change(false, false),
            "diff_abs" => change(false, true),
            "percent_diff" => change(true, false),
            "percent_diff_abs" => change(true, true),
            "count_non_null" => Self::CountNonNull,
            _ => return None,
        })
    }

    #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
    fn reduce(self, points: &Points<'_>) -> Option<f64> {
        let values = || points.iter().flatten().filter(|value| !value.is_nan());
        match self {
            Self::Mean => {
                let (sum, count) =
                    values().fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
                (count > 0.0).then(|| sum / count)
            }
            Self::Min => values().reduce(f64::min),
            Self::Max => values().reduce(f64::max),
            Self::Sum => values().reduce(|sum, value| sum + value),
            Self::Count => Some(points.len() as f64),
            Self::Last => values().next_back(),
            Self::Median => Some(median(values().collect())),
            Self::Change(change) => change.of(points),
            Self::CountNonNull => Some(values().count()).filter(|count| *count > 0).map(|count| count as f64),
        }
    }
}

impl Change {
    /// `None` if no point has a value, or only the first one.
    fn of(self, points: &Points<'_>) -> Option<f64> {
        let mut values = points.iter().enumerate().filter_map(|(place, value)| Some((place, value?)));
        let mut values = values.by_ref().filter(|(_, value)| !value.is_nan());
        let (first, oldest) = values.next()?;
        let (last, newest) = values.next_back().unwrap_or((first, oldest));
        let change = newest - oldest;
        let change = if self.is_percentage { change / oldest.abs() * 100.0 } else { change };
        (last > 0).then(|| if self.is_absolute { change.abs() } else { change })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::meter::MAX_WORK;
    use super::super::set::examples::{number, series, show};
    use super::*;

    fn condition(join: &str, input: &str, reducer: &str, evaluator: Value) -> Value {
        json!({
            "type": "query", "evaluator": evaluator, "operator": { "type": join }, "query": { "params": [input] },
            "reducer": { "type": reducer, "params": [] },
        })
    }

    fn above(join: &str, input: &str, limit: f64) -> Value {
        condition(join, input, "last", json!({ "type": "gt", "params": [limit] }))
    }

    fn read(conditions: Vec<Value>) -> Result<ClassicConditions, String> {
        ClassicConditions::try_read(json!({ "conditions": conditions }).as_object().unwrap())
    }

    /// The result of conditions on A, which is 10, B, which is 0, and other inputs, which have no data.
    fn verdict(conditions: Vec<Value>) -> String {
        let conditions = read(conditions).unwrap();
        let inputs = conditions.inputs.iter().map(|name| match name.as_str() {
            "A" => Set::new(vec![number("h=a", 10.0)]),
            "B" => Set::new(vec![number("h=a", 0.0)]),
            _ => Set::NoData,
        });
        let inputs: Vec<_> = inputs.collect();
        show(&conditions.evaluate(&inputs, &mut Meter::default()).unwrap(), false).concat()
    }

    #[test]
    fn conditions_are_joined_from_left_to_right() {
        let (t, f) = (|join| above(join, "A", 5.0), |join| above(join, "B", 5.0));
        let cases = [
            (vec![t("")], ": 1"),
            (vec![f("and")], ": 0"),
            (vec![t("and"), t("and")], ": 1"),
            (vec![t("and"), f("and")], ": 0"),
            (vec![f("and"), t("and")], ": 0"),
            (vec![f("and"), t("or")], ": 1"),
            (vec![f("and"), f("or")], ": 0"),
            (vec![t("and"), t("or"), f("and")], ": 0"),
            (vec![f("and"), f("and"), t("or")], ": 1"),
            (vec![t("and"), t("and"), f("logic-or"), f("and")], ": 1"),
            (vec![f("and"), t("logic-or"), f("and")], ": 0"),
            (vec![f("and"), t("logic-or")], ": 1"),
        ];
        for (conditions, expected) in cases {
            assert_eq!(verdict(conditions.clone()), expected, "{conditions:?}");
        }
    }

    #[test]
    fn no_data_is_joined_as_well() {
        let (t, none) = (|join| above(join, "A", 5.0), |join| above(join, "C", 5.0));
        let no_value = |join, input| condition(join, input, "last", json!({ "type": "no_value" }));
        let cases = [
            (vec![none("and")], ": null"),
            (vec![none("and"), t("and")], ": 0"),
            (vec![t("and"), none("and")], ": 0"),
            (vec![none("and"), none("and")], ": null"),
            (vec![none("and"), t("or")], ": null"),
            (vec![t("and"), none("or")], ": null"),
            (vec![t("and"), none("logic-or")], ": 1"),
            (vec![none("and"), t("logic-or")], ": null"),
            (vec![none("and"), t("or"), t("logic-or")], ": null"),
            (vec![no_value("and", "C")], ": 1"),
            (vec![no_value("and", "A")], ": 0"),
            (vec![t("and"), no_value("and", "C")], ": 1"),
        ];
        for (conditions, expected) in cases {
            assert_eq!(verdict(conditions.clone()), expected, "{conditions:?}");
        }
    }

    #[test]
    fn one_member_is_enough() {
        let evaluate = |set: Set<'_>, evaluator| {
            let conditions = read(vec![condition("and", "A", "last", evaluator)]).unwrap();
            show(&conditions.evaluate(&[set], &mut Meter::default()).unwrap(), false).concat()
        };
        let set = |values: &[Option<f64>]| Set::new(values.iter().map(|value| number("", *value)).collect());
        let above = json!({ "type": "gt", "params": [5] });
        for (values, expected) in [
            (&[Some(1.0), Some(9.0)][..], ": 1"),
            (&[Some(9.0), Some(1.0)], ": 1"),
            (&[Some(1.0), Some(1.0)], ": 0"),
            (&[None, Some(1.0)], ": 0"),
            (&[None, Some(9.0)], ": 1"),
            (&[None, Some(f64::NAN)], ": null"),
        ] {
            assert_eq!(evaluate(set(values), above.clone()), expected, "{values:?}");
        }
        assert_eq!(evaluate(Set::Scalar(Some(6.0)), above.clone()), ": 1");
        let points = Set::new(vec![series("", &[(1, Some(9.0)), (2, Some(1.0)), (3, None)])]);
        assert_eq!(evaluate(points, above.clone()), ": 0");
        assert_eq!(evaluate(Set::new(vec![series("", &[(1, None)])]), above), ": null");
        assert_eq!(evaluate(set(&[Some(1.0), None]), json!({ "type": "no_value" })), ": 1");
    }

    #[test]
    fn reducers() {
        let values = [None, Some(-4.0), Some(f64::NAN), Some(2.0), Some(8.0), Some(4.0), None];
        let one = [Some(3.0), None];
        let cases = [
            ("avg", Some(2.5), Some(3.0), None),
            ("min", Some(-4.0), Some(3.0), None),
            ("max", Some(8.0), Some(3.0), None),
            ("sum", Some(10.0), Some(3.0), None),
            ("count", Some(7.0), Some(2.0), Some(1.0)),
            ("last", Some(4.0), Some(3.0), None),
            ("median", Some(3.0), Some(3.0), None),
            ("diff", Some(8.0), None, None),
            ("diff_abs", Some(8.0), None, None),
            ("percent_diff", Some(200.0), None, None),
            ("percent_diff_abs", Some(200.0), None, None),
            ("count_non_null", Some(4.0), Some(1.0), None),
        ];
        let reduce = |name: &str, values: &[Option<f64>]| {
            let points: Vec<_> = (0..).zip(values.iter().copied()).collect();
            let Data::Series(points) = series("", &points).data else { panic!() };
            Reducer::named(name).unwrap().reduce(&points).filter(|value| !value.is_nan())
        };
        for (name, of_values, of_one, of_none) in cases {
            assert_eq!(reduce(name, &values), of_values, "{name}");
            assert_eq!(reduce(name, &one), of_one, "{name}");
            assert_eq!(reduce(name, &[None]), of_none, "{name}");
        }
        let falling = [Some(5.0), Some(4.0)];
        let changes =
            ["diff", "diff_abs", "percent_diff", "percent_diff_abs"].map(|name| reduce(name, &falling));
        assert_eq!(changes, [Some(-1.0), Some(1.0), Some(-20.0), Some(20.0)]);
        assert_eq!(reduce("diff", &[None, Some(5.0)]), Some(0.0));
        assert_eq!(reduce("count", &[]), Some(0.0));
    }

    #[test]
    fn faults_are_named() {
        let without = |name: &str| {
            let mut condition = above("and", "A", 1.0);
            condition.as_object_mut().unwrap().remove(name);
            condition
        };
        let cases = [
            (without("query"), "condition 1: it has no `query`"),
            (without("reducer"), "condition 1: it has no `reducer`"),
            (without("evaluator"), "condition 1: it has no `evaluator`"),
            (above("and", "", 1.0), "condition 1: it names no input"),
            (condition("and", "A", "mean", json!({})), "condition 1: there is no reducer `mean`"),
            (condition("and", "A", "avg", json!({})), "condition 1: there is no evaluator ``"),
        ];
        for (condition, fault) in cases {
            assert_eq!(read(vec![condition]), Err(fault.to_owned()));
        }
        let second = read(vec![above("x", "A", 1.0), above("x", "A", 1.0)]).unwrap_err();
        assert_eq!(second, "condition 2: there is no operator `x`; there are and, or and logic-or");
        assert!(read(vec![above("and", "A", 1.0); MAX_CONDITIONS]).is_ok());
        for count in [0, MAX_CONDITIONS + 1] {
            let fault = read(vec![above("and", "A", 1.0); count]).unwrap_err();
            assert_eq!(fault, "`conditions` must be a list of 1 to 100 objects");
        }
    }

    #[test]
    fn inputs_are_named_once_and_looking_is_work() {
        let conditions =
            read(vec![above("and", "A", 1.0), above("and", "B", 1.0), above("and", "$A", 1.0)]).unwrap();
        assert_eq!(conditions.inputs, ["A", "B"]);
        let conditions = read(vec![above("and", "A", 1.0)]).unwrap();
        let set = [Set::new(vec![series("", &[(1, None), (2, None)])])];
        let mut meter = Meter::default();
        meter.work(MAX_WORK - 17).unwrap();
        conditions.evaluate(&set, &mut meter).unwrap();
        assert_eq!(conditions.evaluate(&set, &mut meter).unwrap_err(), Reason::TooMuchWork);
    }
}
