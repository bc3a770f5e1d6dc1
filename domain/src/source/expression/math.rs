//! Formulas over sets, like `$A / $B * 100`.

pub(super) mod operator;
mod parse;

use serde_json::Value;

use super::join::{Joined, Side, join};
use super::meter::Meter;
use super::model::{self, Members};
use super::reason::Reason;
use super::set::{Data, Item, Set, no_labels};
use operator::{Function, Operator};

pub use parse::{MAX_BYTES, MAX_DEPTH};

/// A formula, as steps of a stack machine. So neither its evaluation nor its drop is recursive, however long it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    steps: Vec<Step>,
    /// The names of its inputs, each once.
    inputs: Vec<String>,
}

/// A step of a formula.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// Puts a number on the stack.
    Number(Option<f64>),
    /// Puts an input on the stack.
    Input(usize),
    /// Replaces the last value by the result of a function.
    Call(Function),
    /// Replaces the last two values by the result of an operator.
    Combine(Operator),
}

impl Formula {
    /// Reads the members of an expression. It fails with an error message.
    pub fn try_read(members: &Members) -> Result<Self, String> {
        match members.get("expression") {
            Some(Value::Number(number)) => parse::formula(&number.to_string()),
            _ => parse::formula(model::text(members, "expression")?),
        }
    }

    /// The names of its inputs.
    #[must_use]
    pub fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// Evaluates it with the inputs in the order of their names.
    ///
    /// If the members of the inputs match one to one, the whole formula is evaluated for one member after the other,
    /// whose values stay in the processor's cache. Otherwise each operator joins sets anew.
    pub fn evaluate<'a>(&self, inputs: &[Set<'a>], meter: &mut Meter) -> Result<Set<'a>, Reason> {
        if inputs.len() < self.inputs.len() || inputs.iter().any(|set| matches!(set, Set::NoData)) {
            return Ok(Set::NoData);
        }
        let sets: Vec<_> = inputs.iter().map(Set::items).collect();
        let data = |set: &Set<'a>, place: usize| match set {
            Set::Items(items) => items[place].data.clone(),
            Set::Scalar(number) => Data::Number(*number),
            Set::NoData => Data::Number(None),
        };
        let mut stack = Vec::new();
        let Some(items) = sets.iter().flatten().next() else {
            let made = self.of_members(|input| data(&inputs[input], 0), &mut stack, meter)?;
            return Ok(if let Data::Number(number) = made { Set::Scalar(number) } else { Set::NoData });
        };
        if !self.needs_no_join(items, &sets, meter)? {
            return self.of_sets(inputs, meter);
        }
        let mut made = Vec::with_capacity(items.len());
        for (place, Item { labels, .. }) in items.iter().enumerate() {
            let data = self.of_members(|input| data(&inputs[input], place), &mut stack, meter)?;
            made.push(Item { labels: labels.clone(), data });
        }
        Ok(Set::new(made))
    }

    /// Whether the members of all sets match those of the first set one to one.
    fn needs_no_join(
        &self,
        first: &[Item<'_>],
        sets: &[Option<&[Item<'_>]>],
        meter: &mut Meter,
    ) -> Result<bool, Reason> {
        let is_set = |step: &&Step| matches!(step, Step::Input(input) if sets[*input].is_some());
        if self.steps.iter().filter(is_set).count() < 2 {
            return Ok(true);
        }
        for other in sets.iter().flatten() {
            if join(first, other, meter)? != Joined::Alike {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Evaluates it for one member of each input. The stack, which is empty before and after, has values and the memory
    /// that is held for them; the memory of inputs is held already.
    fn of_members<'a>(
        &self,
        input: impl Fn(usize) -> Data<'a>,
        stack: &mut Vec<(Data<'a>, usize)>,
        meter: &mut Meter,
    ) -> Result<Data<'a>, Reason> {
        const NOTHING: (Data<'_>, usize) = (Data::Number(None), 0);
        for step in &self.steps {
            let (made, held) = match *step {
                Step::Number(number) => (Data::Number(number), 0),
                Step::Input(place) => {
                    stack.push((input(place), 0));
                    continue;
                }
                Step::Call(function) => {
                    let (operand, held) = stack.pop().unwrap_or(NOTHING);
                    (function.apply(operand, meter)?, held)
                }
                Step::Combine(operator) => {
                    let (right, right_held) = stack.pop().unwrap_or(NOTHING);
                    let (left, left_held) = stack.pop().unwrap_or(NOTHING);
                    (operator.combine(left, right, meter)?, left_held + right_held)
                }
            };
            meter.release(held);
            let held = made.made();
            meter.hold(held)?;
            stack.push((made, held));
        }
        let (made, held) = stack.pop().unwrap_or(NOTHING);
        // The formula can be just an input.
        meter.hold(made.made().saturating_sub(held))?;
        Ok(made)
    }

    /// Evaluates it one operator after the other, each for all members.
    fn of_sets<'a>(&self, inputs: &[Set<'a>], meter: &mut Meter) -> Result<Set<'a>, Reason> {
        let mut stack = Vec::new();
        for step in &self.steps {
            let made = match *step {
                Step::Number(number) => Set::Scalar(number),
                Step::Input(place) => {
                    let set = inputs[place].clone();
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

/// Applies an operator to the matching members of two sets.
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
    let joined = join(&left, &right, meter)?;
    let held: usize = left.iter().chain(&right).map(|item| item.data.made()).sum();
    let mut made = Vec::with_capacity(left.len().max(right.len()));
    let mut add = |left: Item<'a>, right: Item<'a>, labels: Side| {
        let data = operator.combine(left.data, right.data, meter)?;
        meter.hold(data.made())?;
        let labels = match labels {
            Side::Left => left.labels,
            Side::Right => right.labels,
            Side::Neither => no_labels(),
        };
        made.push(Item { labels, data });
        Ok(())
    };
    match joined {
        Joined::Alike => {
            left.into_iter().zip(right).try_for_each(|(left, right)| add(left, right, Side::Left))?;
        }
        Joined::Pairs(pairs) => {
            let (mut left, mut right) = (Taken::new(left), Taken::new(right));
            for pair in &pairs {
                left.uses[pair.left] += 1;
                right.uses[pair.right] += 1;
            }
            for pair in pairs {
                let taken = left.take(pair.left).zip(right.take(pair.right));
                taken.map_or(Ok(()), |(left, right)| add(left, right, pair.labels))?;
            }
        }
    }
    meter.release(held);
    Ok(Set::new(made))
}

/// Members of a set that are taken one by one. The last user of a member owns it alone, and can change its values in
/// place.
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

    /// The result of a formula on two sets.
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
        let read = |value| Formula::try_read(json!({ "expression": value }).as_object().unwrap());
        assert_eq!(read(json!(7)), parse::formula("7"));
        assert_eq!(read(json!("$A")).unwrap().inputs, ["A"]);
        assert!(read(json!(null)).is_err() && read(json!([])).is_err());
    }

    /// An evaluation releases all memory that it held, except for the result.
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
        let a = Set::new(vec![series("", &points)]);
        let evaluate = |formula: &str, mut meter: Meter| {
            let formula = parse::formula(formula).unwrap();
            formula.evaluate(std::slice::from_ref(&a), &mut meter)
        };
        let busy = |steps| {
            let mut meter = Meter::default();
            meter.work(MAX_WORK - steps).unwrap();
            meter
        };
        assert!(evaluate("$A * 2 + 1", busy(2_000)).is_ok());
        assert_eq!(evaluate("$A * 2 + 1", busy(1_999)).unwrap_err(), Reason::TooMuchWork);
        let full = || {
            let mut meter = Meter::default();
            meter.hold(MAX_VALUES - 7_000).unwrap();
            meter
        };
        assert!(evaluate("($A + 1) + (($A + 1) + ($A + 1))", full()).is_ok());
        let deep = evaluate("($A + 1) + (($A + 1) + (($A + 1) + ($A + 1)))", full());
        assert_eq!(deep.unwrap_err(), Reason::TooManyValues);
    }

    /// A formula has the same result whether it is evaluated member by member or set by set.
    #[test]
    fn both_ways_lead_to_the_same() {
        let points: Vec<_> = (0..9).map(|time| (time, Some(1.5).filter(|_| time % 4 != 1))).collect();
        let a = || Set::new(vec![series("h=a", &points), series("h=b", &points[3..]), number("h=c", 2.0)]);
        let b = || Set::new(vec![number("h=a", 0.5), series("h=b", &points[..6]), number("h=c", None)]);
        let (a, b) = ([a(), b()], [a(), Set::Scalar(Some(3.0))]);
        let formulas = [
            "$A + $B",
            "$B - $A",
            "-$A * $B / $A",
            "is_null($B) || $A",
            "($A + 1) ** ($B + 1)",
            "$A - $A",
            "abs($B) + $A",
        ];
        for (formula, inputs) in formulas.iter().flat_map(|formula| [(formula, &a), (formula, &b)]) {
            let formula = parse::formula(formula).unwrap();
            let inputs: Vec<_> =
                formula.inputs.iter().map(|name| inputs[usize::from(name == "B")].clone()).collect();
            let sets: Vec<_> = inputs.iter().map(Set::items).collect();
            let first = sets.iter().flatten().next().unwrap();
            assert!(formula.needs_no_join(first, &sets, &mut Meter::default()).unwrap());
            let one = formula.evaluate(&inputs, &mut Meter::default()).unwrap();
            let other = formula.of_sets(&inputs, &mut Meter::default()).unwrap();
            assert_eq!(show(&one, true), show(&other, true));
        }
    }

    #[test]
    fn members_go_one_by_one_only_if_they_belong_together() {
        let needs_no_join = |formula: &str, a: &Set<'_>, b: &Set<'_>| {
            let formula = parse::formula(formula).unwrap();
            let sets = [a.items(), b.items()];
            let sets = &sets[..formula.inputs.len()];
            let first = sets.iter().flatten().next().unwrap();
            formula.needs_no_join(first, sets, &mut Meter::default()).unwrap()
        };
        let a = Set::new(vec![number("h=a", 1.0), number("h=b", 1.0)]);
        let twice = Set::new(vec![number("h=a", 1.0), number("h=a", 2.0)]);
        let scalar = Set::Scalar(None);
        assert!(needs_no_join("$A + $B", &a, &a) && !needs_no_join("$A + $B", &a, &twice));
        assert!(needs_no_join("$A + 1", &twice, &a) && !needs_no_join("$A + $A", &twice, &a));
        assert!(needs_no_join("$A + $B", &twice, &scalar) && needs_no_join("$A + $B", &scalar, &twice));
        let made = parse::formula("$A + $A").unwrap().evaluate(&[twice], &mut Meter::default()).unwrap();
        assert_eq!(show(&made, false), ["h=a: 2", "h=a: 3", "h=a: 3", "h=a: 4"]);
    }

    #[test]
    fn too_few_inputs_are_no_data() {
        let formula = parse::formula("$A + $B").unwrap();
        let made = formula.evaluate(&[Set::Scalar(Some(1.0))], &mut Meter::default()).unwrap();
        assert_eq!(
            (show(&made, false), formula.inputs()),
            (vec!["no data".to_owned()], &["A".to_owned(), "B".to_owned()][..])
        );
    }
}
