//! Formulas over sets, like `$A / $B * 100`.

pub(super) mod operator;
mod parse;

use serde_json::Value;

use super::join::{Side, join};
use super::meter::Meter;
use super::model::{self, Members};
use super::reason::Reason;
use super::set::{Data, Item, Set, no_labels};
use operator::{Function, Operator};

pub use parse::{MAX_BYTES, MAX_DEPTH};

/// A formula, as steps that take what they need from a stack. So neither working it out nor dropping it goes deep, however
/// long it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Math {
    steps: Vec<Step>,
    /// The names of its inputs, each once.
    pub(super) inputs: Vec<String>,
}

/// A step of a formula.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Puts a number on the stack.
    Number(Option<f64>),
    /// Puts an input there.
    Input(usize),
    /// Puts a value in the place of the last one.
    Call(Function),
    /// Puts a value in the place of the last two.
    Combine(Operator),
}

impl Math {
    /// Reads the members of an expression.
    pub(super) fn try_read(members: &Members) -> Result<Self, String> {
        match members.get("expression") {
            Some(Value::Number(number)) => parse::formula(&number.to_string()),
            _ => parse::formula(model::text(members, "expression")?),
        }
    }

    /// Works it out.
    pub(super) fn evaluate<'a>(&self, inputs: &[Set<'a>], meter: &mut Meter) -> Result<Set<'a>, Reason> {
        let mut stack = Vec::new();
        for step in &self.steps {
            let made = match *step {
                Step::Number(number) => Set::Scalar(number),
                Step::Input(place) => {
                    let set = inputs.get(place).cloned().unwrap_or(Set::NoData);
                    meter.hold(set.made())?;
                    set
                }
                Step::Call(function) => {
                    let operand = stack.pop().unwrap_or(Set::NoData);
                    operand.try_map(meter, |_, data, meter| function.apply(data, meter))?
                }
                Step::Combine(operator) => {
                    let right = stack.pop().unwrap_or(Set::NoData);
                    let left = stack.pop().unwrap_or(Set::NoData);
                    combine(operator, left, right, meter)?
                }
            };
            stack.push(made);
        }
        Ok(stack.pop().unwrap_or(Set::NoData))
    }
}

/// Applies an operator to those members of two sets that belong together.
fn combine<'a>(
    operator: Operator,
    left: Set<'a>,
    right: Set<'a>,
    meter: &mut Meter,
) -> Result<Set<'a>, Reason> {
    match (left, right) {
        (Set::NoData, other) | (other, Set::NoData) => {
            meter.release(other.made());
            Ok(Set::NoData)
        }
        (Set::Scalar(left), Set::Scalar(right)) => Ok(Set::Scalar(operator.apply(left, right))),
        (left, Set::Scalar(number)) => {
            left.try_map(meter, |_, data, meter| operator.combine(data, Data::Number(number), meter))
        }
        (Set::Scalar(number), right) => {
            right.try_map(meter, |_, data, meter| operator.combine(Data::Number(number), data, meter))
        }
        (Set::Items(left), Set::Items(right)) => combine_items(operator, left, right, meter),
    }
}

fn combine_items<'a>(
    operator: Operator,
    left: Vec<Item<'a>>,
    right: Vec<Item<'a>>,
    meter: &mut Meter,
) -> Result<Set<'a>, Reason> {
    let pairs = join(&left, &right, meter)?;
    let held: usize = left.iter().chain(&right).map(|item| item.data.made()).sum();
    let (mut left, mut right) = (Taken::new(left), Taken::new(right));
    for pair in &pairs {
        left.uses[pair.left] += 1;
        right.uses[pair.right] += 1;
    }
    let mut made = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let (Some(left), Some(right)) = (left.take(pair.left), right.take(pair.right)) else { continue };
        let data = operator.combine(left.data, right.data, meter)?;
        meter.hold(data.made())?;
        let labels = match pair.labels {
            Side::Left => left.labels,
            Side::Right => right.labels,
            Side::Neither => no_labels(),
        };
        made.push(Item { labels, data });
    }
    meter.release(held);
    Ok(Set::new(made))
}

/// Members of a set that are taken one by one. The last who takes one has it alone, and can work on its values in place.
struct Taken<'a> {
    items: Vec<Option<Item<'a>>>,
    uses: Vec<u32>,
}

impl<'a> Taken<'a> {
    fn new(items: Vec<Item<'a>>) -> Self {
        Self { uses: vec![0; items.len()], items: items.into_iter().map(Some).collect() }
    }

    fn take(&mut self, place: usize) -> Option<Item<'a>> {
        self.uses[place] -= 1;
        let item = &mut self.items[place];
        if self.uses[place] == 0 { item.take() } else { item.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::meter::{MAX_VALUES, MAX_WORK};
    use super::super::set::examples::{number, series, show};
    use super::*;

    /// What a formula makes of two sets.
    fn results(formula: &str, a: &Set<'_>, b: &Set<'_>) -> Vec<String> {
        let math = parse::formula(formula).unwrap();
        let inputs: Vec<_> =
            math.inputs.iter().map(|name| if name == "A" { a.clone() } else { b.clone() }).collect();
        show(&math.evaluate(&inputs, &mut Meter::default()).unwrap(), true)
    }

    fn result(formula: &str) -> String {
        results(formula, &Set::NoData, &Set::NoData).concat()
    }

    #[test]
    fn constants() {
        let cases = [
            ("1 + 2 * 3", "7"),
            ("(1 + 2) * 3", "9"),
            ("10 - 4 - 3", "3"),
            ("2 ** 3 ** 2", "64"),
            ("-2 ** 2", "4"),
            ("7 % 4 / 2", "1.5"),
            ("1 < 2 == 1", "1"),
            ("1 || 0 && 0", "1"),
            ("!0 + 1", "2"),
            ("!(1 > 2)", "1"),
            ("--3", "3"),
            ("abs(-3) + floor(1.5)", "4"),
            ("null() + 1", "null"),
            ("is_null(null())", "1"),
            ("nan() == nan()", "0"),
            ("infn() < -inf() + 1", "0"),
            ("is_inf(infn())", "1"),
            ("0x10 + 010 + 1e2", "124"),
        ];
        for (formula, expected) in cases {
            assert_eq!(result(formula), expected, "{formula}");
        }
    }

    #[test]
    fn numbers_and_series() {
        let a = Set::new(vec![series("h=a", &[(1, Some(1.0)), (2, None)]), series("h=b", &[(1, Some(3.0))])]);
        let b = Set::new(vec![number("h=a,z=1", 10.0), number("h=b", None)]);
        assert_eq!(results("$A * 2", &a, &b), ["h=a: [1=2 2=null]", "h=b: [1=6]"]);
        assert_eq!(results("2 - $A", &a, &b), ["h=a: [1=1 2=null]", "h=b: [1=-1]"]);
        assert_eq!(results("$A + $B", &a, &b), ["h=a,z=1: [1=11 2=null]", "h=b: [1=null]"]);
        assert_eq!(results("$B - $A", &a, &b), ["h=a,z=1: [1=9 2=null]", "h=b: [1=null]"]);
        assert_eq!(results("$B / 4", &a, &b), ["h=a,z=1: 2.5", "h=b: null"]);
        assert_eq!(results("${A} + $A", &a, &b), ["h=a: [1=2 2=null]", "h=b: [1=6]"]);
        assert_eq!(results("is_null($A)", &a, &b), ["h=a: [1=0 2=1]", "h=b: [1=0]"]);
        assert_eq!(results("-$B", &a, &b), ["h=a,z=1: -10", "h=b: null"]);
        assert_eq!(results("$A", &a, &b), ["h=a: [1=1 2=null]", "h=b: [1=3]"]);
    }

    #[test]
    fn no_data_makes_no_data() {
        let b = Set::new(vec![number("", 1.0)]);
        for formula in ["$A", "$A + $B", "$B + $A", "$A + 1", "1 + $A", "-$A", "abs($A)", "is_null($A)"] {
            assert_eq!(results(formula, &Set::NoData, &b), ["no data"], "{formula}");
        }
        let (one, two) = (vec![number("a=1", 1.0)], vec![number("b=1", 1.0), number("b=2", 1.0)]);
        assert_eq!(results("$A + $B", &Set::new(one), &Set::new(two)), ["no data"]);
    }

    #[test]
    fn a_member_can_belong_to_many() {
        let a = Set::new(vec![number("h=a", 1.0), number("h=b", 2.0)]);
        let b = Set::new(vec![series("", &[(1, Some(10.0))])]);
        assert_eq!(results("$A + $B", &a, &b), ["h=a: [1=11]", "h=b: [1=12]"]);
        assert_eq!(results("($B + 1) - $A", &a, &b), ["h=a: [1=10]", "h=b: [1=9]"]);
        let a = Set::new(vec![number("x=1", 1.0)]);
        let b = Set::new(vec![number("y=1", 2.0)]);
        assert_eq!(results("$A + $B", &a, &b), [": 3"]);
    }

    #[test]
    fn a_formula_can_be_sent_as_a_number() {
        let read = |value| Math::try_read(json!({ "expression": value }).as_object().unwrap());
        assert_eq!(read(json!(7)), parse::formula("7"));
        assert_eq!(read(json!("$A")).unwrap().inputs, ["A"]);
        assert!(read(json!(null)).is_err() && read(json!([])).is_err());
    }

    /// An evaluation gives back what it held but the result.
    #[test]
    fn what_is_no_longer_needed_is_given_back() {
        let points: Vec<_> = (0..10).map(|time| (time, Some(1.0))).collect();
        let other: Vec<_> = (5..15).map(|time| (time, Some(1.0))).collect();
        let a = Set::new(vec![series("h=a", &points), series("h=b", &points)]);
        let b = Set::new(vec![series("", &other)]);
        for formula in
            ["$A", "$A + 1", "1 + $A * 2", "$A + $A", "$A + $B", "abs($B) * $A - 1", "(-$A) && !$B"]
        {
            let math = parse::formula(formula).unwrap();
            let inputs: Vec<_> =
                math.inputs.iter().map(|name| if name == "A" { a.clone() } else { b.clone() }).collect();
            let mut meter = Meter::default();
            let made = math.evaluate(&inputs, &mut meter).unwrap().made();
            assert!(made > 0);
            meter.hold(MAX_VALUES - made).unwrap();
            assert_eq!(meter.hold(1), Err(Reason::TooManyValues), "{formula}");
        }
        let (math, mut meter) = (parse::formula("$A + $C").unwrap(), Meter::default());
        math.evaluate(&[a, Set::NoData], &mut meter).unwrap();
        meter.hold(MAX_VALUES).unwrap();
    }

    #[test]
    fn formulas_are_bounded_work() {
        let points: Vec<_> = (0..1_000).map(|time| (time, Some(1.0))).collect();
        let a = Set::new((0..1_000).map(|at| series(&format!("h={at}"), &points)).collect());
        let math = parse::formula(&vec!["$A"; MAX_WORK / 1_000_000].join("+")).unwrap();
        assert_eq!(
            math.evaluate(std::slice::from_ref(&a), &mut Meter::default()).unwrap_err(),
            Reason::TooMuchWork
        );
        let math = parse::formula(&format!("{}1{}", "($A + 1) + (".repeat(9), ")".repeat(9))).unwrap();
        assert_eq!(math.evaluate(&[a], &mut Meter::default()).unwrap_err(), Reason::TooManyValues);
    }
}
