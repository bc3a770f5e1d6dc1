//! The evaluation order of expressions, and the propagation of errors of their inputs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::classic::ClassicConditions;
use super::convert::Converter;
use super::math::Formula;
use super::meter::Meter;
use super::model::{self, Members};
use super::reason::{ExpressionError, ExpressionFault, Reason};
use super::reduce::Reduce;
use super::resample::Resample;
use super::set::Set;
use super::threshold::Threshold;
use super::{MAX_EXPRESSIONS, MAX_REF_ID_BYTES};
use crate::source::frame::{Frame, Labels};

/// A query of a request: a query to a data source, or an expression.
#[derive(Clone, Copy, Debug)]
pub struct PlannedQuery<'a> {
    /// Its name in the request.
    pub ref_id: &'a str,
    /// The query as it was received.
    pub model: &'a Members,
    /// Whether it is an expression; see [`is_expression`](super::is_expression).
    pub is_expression: bool,
    /// The beginning of its time range, in milliseconds since 1970.
    pub from_ms: i64,
    /// The end of its time range, in milliseconds since 1970.
    pub to_ms: i64,
}

/// The evaluation plan of the expressions of a request.
#[derive(Debug)]
pub struct Plan {
    /// The expressions, each after its inputs.
    expressions: Vec<Expression>,
    /// The queries whose results are hidden.
    hidden: BTreeSet<String>,
    /// The members that have passed thresholds before, by the name of the expression.
    passed: HashMap<String, BTreeSet<Labels>>,
}

#[derive(Debug)]
struct Expression {
    ref_id: String,
    command: Command,
}

#[derive(Debug)]
enum Command {
    Math(Formula),
    Reduce(Reduce),
    Resample(Resample),
    Threshold(Threshold),
    Classic(ClassicConditions),
    Sql,
}

impl Command {
    fn try_read(query: &PlannedQuery<'_>) -> Result<Self, String> {
        let members = query.model;
        match model::text(members, "type")? {
            "math" => Formula::try_read(members).map(Self::Math),
            "reduce" => Reduce::try_read(members).map(Self::Reduce),
            "resample" => Resample::try_read(members, query.from_ms, query.to_ms).map(Self::Resample),
            "threshold" => Threshold::try_read(members).map(Self::Threshold),
            "classic_conditions" => ClassicConditions::try_read(members).map(Self::Classic),
            "sql" => Ok(Self::Sql),
            "" => Err("it has no `type`".to_owned()),
            kind => Err(format!("there is no type of expression `{kind}`")),
        }
    }

    fn inputs(&self) -> &[String] {
        match self {
            Self::Math(formula) => formula.inputs(),
            Self::Reduce(reduce) => std::slice::from_ref(&reduce.input),
            Self::Resample(resample) => std::slice::from_ref(&resample.input),
            Self::Threshold(threshold) => std::slice::from_ref(&threshold.input),
            Self::Classic(conditions) => conditions.inputs(),
            Self::Sql => &[],
        }
    }
}

/// The results of expressions.
#[derive(Debug)]
pub struct Evaluation {
    /// The results by name, without hidden ones.
    pub results: BTreeMap<String, Result<Vec<Frame>, ExpressionFault>>,
    /// Whether some failed because they would have made more values than were allowed.
    pub ran_out_of_values: bool,
}

/// The frames of expressions by name, or the reasons why they have none.
type Made<'p> = Vec<(&'p str, Result<Vec<Frame>, Reason>)>;

/// The sets of queries by name, or the reason why expressions that need them fail.
type Sets<'s, 'r> = HashMap<&'s str, Result<Set<'r>, Reason>>;

impl Plan {
    /// Plans the expressions among the queries of a request.
    pub fn parse(queries: &[PlannedQuery<'_>]) -> Result<Self, ExpressionError> {
        let mut places = HashMap::with_capacity(queries.len());
        let mut hidden = BTreeSet::new();
        let mut expressions = Vec::new();
        for query in queries {
            if query.ref_id.is_empty() || query.ref_id.len() > MAX_REF_ID_BYTES {
                return Err(ExpressionError::RefId);
            }
            let place = query.is_expression.then_some(expressions.len());
            if places.insert(query.ref_id, place).is_some() {
                return Err(ExpressionError::Duplicate(query.ref_id.to_owned()));
            }
            if query.model.get("hide").and_then(serde_json::Value::as_bool).unwrap_or_default() {
                hidden.insert(query.ref_id.to_owned());
            }
            if query.is_expression {
                if expressions.len() == MAX_EXPRESSIONS {
                    return Err(ExpressionError::TooMany);
                }
                let ref_id = query.ref_id.to_owned();
                match Command::try_read(query) {
                    Ok(command) => expressions.push(Expression { ref_id, command }),
                    Err(fault) => return Err(ExpressionError::Invalid { ref_id, fault }),
                }
            }
        }
        let expressions = in_order(expressions, &places)?;
        Ok(Self { expressions, hidden, passed: HashMap::new() })
    }

    /// Whether there are no expressions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expressions.is_empty()
    }

    /// The names of the queries to data sources that expressions need.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        let inputs: BTreeSet<_> =
            self.expressions.iter().flat_map(|expression| expression.command.inputs()).collect();
        let is_made = |name: &str| self.expressions.iter().any(|expression| expression.ref_id == name);
        inputs.into_iter().map(String::as_str).filter(move |name| !is_made(name))
    }

    /// Sets the members that have passed a threshold before, so that they recover at another one. Returns whether the
    /// expression is a threshold that has one for recovery.
    pub fn set_passed(&mut self, ref_id: &str, passed: BTreeSet<Labels>) -> bool {
        let has_recovery = self.expressions.iter().any(|expression| {
            let Command::Threshold(threshold) = &expression.command else { return false };
            expression.ref_id == ref_id && threshold.has_recovery()
        });
        if has_recovery {
            self.passed.insert(ref_id.to_owned(), passed);
        }
        has_recovery
    }

    /// Whether the result of a query is left out of the response.
    #[must_use]
    pub fn is_hidden(&self, ref_id: &str) -> bool {
        self.hidden.contains(ref_id)
    }

    /// The results of the expressions that are not hidden, computed from the results of the sources. An expression with
    /// an input that failed, or that has no result at all, fails as well.
    #[must_use]
    pub fn evaluate<'r>(
        &self,
        max_values: usize,
        source: impl Fn(&str) -> Option<&'r [Frame]>,
    ) -> Evaluation {
        let (made, ran_out_of_values) = self.work_out(max_values, source);
        let made = made.into_iter().map(|(ref_id, frames)| {
            let ref_id = ref_id.to_owned();
            let frames = frames.map_err(|reason| ExpressionFault { ref_id: ref_id.clone(), reason });
            (ref_id, frames)
        });
        Evaluation { results: made.collect(), ran_out_of_values }
    }

    /// The frames of the expressions that are not hidden.
    fn work_out<'r>(
        &self,
        max_values: usize,
        source: impl Fn(&str) -> Option<&'r [Frame]>,
    ) -> (Made<'_>, bool) {
        let (mut meter, mut converter) = (Meter::within(max_values), Converter::default());
        let mut sets: Sets<'_, 'r> = HashMap::new();
        for name in self.sources() {
            let set = match source(name) {
                None => Err(Reason::InputFailed(name.to_owned())),
                Some(frames) => meter
                    .run(|meter| converter.set_of(frames, meter))
                    .map_err(|reason| Reason::Unusable { input: name.to_owned(), reason: Box::new(reason) }),
            };
            sets.insert(name, set);
        }
        let mut made = Vec::with_capacity(self.expressions.len());
        for expression in &self.expressions {
            let ref_id = expression.ref_id.as_str();
            let (set, fault) = match meter.run(|meter| self.set_of(expression, &sets, meter)) {
                Ok(set) => (Ok(set), Ok(())),
                Err(reason) => (Err(Reason::InputFailed(ref_id.to_owned())), Err(reason)),
            };
            sets.insert(ref_id, set);
            made.push((ref_id, fault));
        }
        made.retain(|(ref_id, _)| !self.hidden.contains(*ref_id));
        let frames = made.into_iter().map(|(ref_id, made)| {
            let set = sets.remove(ref_id).unwrap_or(Ok(Set::NoData));
            let set = made.and(set);
            (ref_id, set.and_then(|set| meter.run(|meter| set.into_frames(ref_id, meter))))
        });
        let frames = frames.collect();
        (frames, meter.ran_out_of_values())
    }

    fn set_of<'r>(
        &self,
        expression: &Expression,
        sets: &Sets<'_, 'r>,
        meter: &mut Meter,
    ) -> Result<Set<'r>, Reason> {
        let set = |name: &String| sets.get(name.as_str()).cloned().unwrap_or(Ok(Set::NoData));
        let mut inputs = expression.command.inputs().iter().map(set).collect::<Result<Vec<_>, _>>()?;
        let held = |inputs: &mut Vec<Set<'r>>, meter: &mut Meter| {
            let set = inputs.pop().unwrap_or(Set::NoData);
            meter.hold(set.made()).map(|()| set)
        };
        match &expression.command {
            Command::Math(formula) => formula.evaluate(&inputs, meter),
            Command::Reduce(reduce) => reduce.evaluate(held(&mut inputs, meter)?, meter),
            Command::Resample(resample) => resample.evaluate(held(&mut inputs, meter)?, meter),
            Command::Threshold(threshold) => {
                let passed = self.passed.get(&expression.ref_id);
                let has_passed = |labels: &Labels| passed.is_some_and(|passed| passed.contains(labels));
                threshold.evaluate(held(&mut inputs, meter)?, &has_passed, meter)
            }
            Command::Classic(conditions) => conditions.evaluate(&inputs, meter),
            Command::Sql => Err(Reason::NoSql),
        }
    }
}

/// Sorts expressions after their inputs. `places` has all queries, of which those to data sources have no place.
fn in_order(
    expressions: Vec<Expression>,
    places: &HashMap<&str, Option<usize>>,
) -> Result<Vec<Expression>, ExpressionError> {
    let mut needs: Vec<Vec<usize>> = Vec::with_capacity(expressions.len());
    for (at, Expression { ref_id, command }) in expressions.iter().enumerate() {
        let mut needed = Vec::new();
        for input in command.inputs() {
            match places.get(input.as_str()) {
                None => {
                    let (ref_id, input) = (ref_id.clone(), input.clone());
                    return Err(ExpressionError::UnknownInput { ref_id, input });
                }
                Some(Some(place)) if *place == at => return Err(ExpressionError::OwnInput(ref_id.clone())),
                Some(place) => needed.extend(*place),
            }
        }
        needs.push(needed);
    }
    let mut order = Vec::with_capacity(expressions.len());
    let mut left: BTreeSet<_> = (0..expressions.len()).collect();
    while !left.is_empty() {
        let ready = left.iter().copied().find(|at| needs[*at].iter().all(|needed| !left.contains(needed)));
        let Some(ready) = ready else { return Err(circle(&expressions, &needs, &left)) };
        left.remove(&ready);
        order.push(ready);
    }
    let mut expressions: Vec<_> = expressions.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| expressions[at].take()).collect())
}

/// Finds a cycle among expressions that each have another of them as input.
fn circle(expressions: &[Expression], needs: &[Vec<usize>], left: &BTreeSet<usize>) -> ExpressionError {
    let mut path: Vec<usize> = Vec::new();
    let mut next = left.first().copied();
    while let Some(at) = next {
        let seen = path.iter().position(|seen| *seen == at);
        path.push(at);
        if let Some(seen) = seen {
            path.drain(..seen);
            break;
        }
        next = needs[at].iter().copied().find(|needed| left.contains(needed));
    }
    ExpressionError::Circle(path.into_iter().map(|at| expressions[at].ref_id.clone()).collect())
}

#[cfg(test)]
mod tests;
