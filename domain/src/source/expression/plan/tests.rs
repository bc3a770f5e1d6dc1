use serde_json::{Value, json};

use super::super::meter::MAX_VALUES;
use super::*;
use crate::source::frame::{Column, Field};

/// Queries by name. Those with a `type` are expressions.
fn parse(queries: &[(&str, Value)]) -> Result<Plan, ExpressionError> {
    let queries: Vec<_> = queries.iter().map(|(ref_id, model)| planned(ref_id, model)).collect();
    Plan::parse(&queries)
}

fn planned<'a>(ref_id: &'a str, model: &'a Value) -> PlannedQuery<'a> {
    let model = model.as_object().unwrap();
    PlannedQuery { ref_id, model, is_expression: model.contains_key("type"), from_ms: 0, to_ms: 20 }
}

fn math(formula: &str) -> Value {
    json!({ "type": "math", "expression": formula })
}

/// A frame with points at milliseconds.
fn frame(host: &str, points: &[(i64, f64)]) -> Frame {
    let times = points.iter().map(|(time, _)| Some(time * 1_000_000)).collect();
    let values = points.iter().map(|(_, value)| Some(*value)).collect();
    let labels = Some([("host".to_owned(), host.to_owned())].into());
    let value = Field { labels, ..Field::new("Value", Column::Float64(values)) };
    Frame { fields: vec![Field::new("Time", Column::Time(times)), value], ..Frame::default() }
}

#[derive(Debug, PartialEq)]
struct Fault(String);

impl From<ExpressionFault> for Fault {
    fn from(fault: ExpressionFault) -> Self {
        Self(fault.to_string())
    }
}

type Results = BTreeMap<String, Result<Vec<Frame>, Fault>>;

/// The results that a client receives.
fn answered(plan: &Plan, mut sources: Results) -> Results {
    let made = plan.evaluate(MAX_VALUES, |name| sources.get(name)?.as_deref().ok()).results;
    sources.retain(|ref_id, _| !plan.is_hidden(ref_id));
    sources.extend(made.into_iter().map(|(ref_id, made)| (ref_id, made.map_err(Fault::from))));
    sources
}

/// The numbers of all frames of a result, or its error.
fn shown(results: &Results, ref_id: &str) -> String {
    match results.get(ref_id) {
        None => "nothing".to_owned(),
        Some(Err(Fault(fault))) => fault.clone(),
        Some(Ok(frames)) => {
            let fields = frames.iter().filter_map(|frame| frame.fields.last());
            let columns = fields.map(|field| match &field.column {
                Column::Float64(cells) => {
                    let cells = cells.iter().map(|cell| cell.map_or("null".to_owned(), f64::to_string));
                    cells.collect::<Vec<_>>().join(" ")
                }
                _ => panic!(),
            });
            columns.collect::<Vec<_>>().join(", ")
        }
    }
}

fn sources() -> Results {
    let a = vec![frame("a", &[(1, 1.0), (2, 3.0)]), frame("b", &[(1, 5.0), (2, 7.0)])];
    BTreeMap::from([("A".to_owned(), Ok(a)), ("X".to_owned(), Err(Fault("it is down".to_owned())))])
}

#[test]
fn each_kind_is_worked_out() {
    let above = json!({ "type": "gt", "params": [3] });
    let plan = parse(&[
        ("A", json!({})),
        ("T", json!({ "type": "threshold", "expression": "R", "conditions": [{ "evaluator": above }] })),
        ("R", json!({ "type": "reduce", "expression": "M", "reducer": "mean" })),
        ("M", math("$A / 2")),
        (
            "S",
            json!({ "type": "resample", "expression": "$A", "window": "10ms", "downsampler": "max", "upsampler": "pad" }),
        ),
        (
            "C",
            json!({ "type": "classic_conditions", "conditions": [
            { "query": { "params": ["T"] }, "reducer": { "type": "last" }, "evaluator": { "type": "gt", "params": [0] } },
        ] }),
        ),
        ("Q", json!({ "type": "sql", "expression": "SELECT 1" })),
    ]);
    let plan = plan.unwrap();
    assert!(!plan.is_empty());
    assert_eq!(plan.sources().collect::<Vec<_>>(), ["A"]);
    let results = answered(&plan, sources());
    assert_eq!(shown(&results, "A"), "1 3, 5 7");
    assert_eq!(shown(&results, "M"), "0.5 1.5, 2.5 3.5");
    assert_eq!(
        (shown(&results, "R"), shown(&results, "T"), shown(&results, "C")),
        ("1, 3".into(), "0, 0".into(), "0".into())
    );
    assert_eq!(shown(&results, "S"), "null 3 3, null 7 7");
    assert_eq!(shown(&results, "Q"), "expression Q: SQL expressions are not supported");
    assert_eq!(shown(&results, "X"), "it is down");
}

#[test]
fn a_fault_is_told_to_those_that_need_it() {
    let plan = parse(&[
        ("A", json!({})),
        ("X", json!({})),
        ("L", json!({})),
        ("none", json!({})),
        ("B", math("$X + $A")),
        ("C", math("$B + 1")),
        ("D", math("$A + 1")),
        ("E", math("$L + 1")),
        ("F", math("$none")),
        ("G", math("$E || $A")),
    ]);
    let mut sources = sources();
    let lines = Field::new("Line", Column::Text([Some("x".to_owned())].into_iter().collect()));
    sources
        .insert("L".into(), Ok(vec![Frame { name: "logs".into(), fields: vec![lines], ..Frame::default() }]));
    let results = answered(&plan.unwrap(), sources);
    assert_eq!(shown(&results, "B"), "expression B: its input X failed");
    assert_eq!(shown(&results, "C"), "expression C: its input B failed");
    assert_eq!(shown(&results, "D"), "2 4, 6 8");
    let unusable = "expression E: its input L cannot be used: frame `logs` has no column of numbers, and is neither a time \
                    series nor a table of numbers";
    assert_eq!(shown(&results, "E"), unusable);
    assert_eq!(shown(&results, "F"), "expression F: its input none failed");
    assert_eq!(shown(&results, "G"), "expression G: its input E failed");
    assert!(results["L"].is_ok());
}

#[test]
fn what_is_hidden_is_left_out() {
    let hidden = |mut model: Value| {
        model["hide"] = true.into();
        model
    };
    let plan = parse(&[
        ("A", hidden(json!({}))),
        ("X", hidden(json!({}))),
        ("B", hidden(math("$A + 1"))),
        ("C", math("$B * 2")),
        ("D", hidden(math("$X"))),
        ("E", json!({ "type": "math", "expression": "$D", "hide": "yes" })),
    ]);
    let results = answered(&plan.unwrap(), sources());
    assert_eq!(results.keys().collect::<Vec<_>>(), ["C", "E"]);
    assert_eq!(shown(&results, "C"), "4 8, 12 16");
    assert_eq!(shown(&results, "E"), "expression E: its input D failed");
}

#[test]
fn what_has_passed_a_threshold_recovers_at_another() {
    let condition = json!({
        "evaluator": { "type": "gt", "params": [10] }, "unloadEvaluator": { "type": "lt", "params": [5] },
    });
    let mut plan = parse(&[
        ("A", json!({})),
        ("R", json!({ "type": "reduce", "expression": "A", "reducer": "last" })),
        ("T", json!({ "type": "threshold", "expression": "R", "conditions": [condition] })),
    ])
    .unwrap();
    assert_eq!(shown(&answered(&plan, sources()), "T"), "0, 0");
    let passed = |host: &str| BTreeSet::from([Labels::from([("host".to_owned(), host.to_owned())])]);
    assert!(plan.set_passed("T", passed("b")));
    assert_eq!(shown(&answered(&plan, sources()), "T"), "0, 1");
    assert!(plan.set_passed("T", passed("a")));
    assert_eq!(shown(&answered(&plan, sources()), "T"), "0, 0");
    assert!(!plan.set_passed("R", passed("a")) && !plan.set_passed("A", passed("a")));
    let without = json!({ "type": "threshold", "expression": "A", "conditions": [{ "evaluator": { "type": "gt", "params": [1] } }] });
    let mut plan = parse(&[("A", json!({})), ("T", without)]).unwrap();
    assert!(!plan.set_passed("T", passed("a")));
}

#[test]
fn queries_that_make_no_plan() {
    let fault = |queries: &[(&str, Value)]| parse(queries).unwrap_err().to_string();
    assert_eq!(fault(&[("A", math("$A + 1"))]), "expression A cannot have itself as input");
    assert_eq!(fault(&[("B", math("$A"))]), "expression B has A as input, and there is no such query");
    assert_eq!(fault(&[("A", json!({})), ("A", math("1"))]), "refId A is used by more than one query");
    let circle =
        [("A", math("$D")), ("B", math("$C")), ("C", math("1 + $D")), ("D", math("$B")), ("E", math("2"))];
    assert_eq!(fault(&circle), "expressions have each other as input: D <- B <- C <- D");
    assert_eq!(
        fault(&[("A", math("$B")), ("B", math("$A"))]),
        "expressions have each other as input: A <- B <- A"
    );
    assert_eq!(fault(&[("A", math("1 +* 2"))])[..16], *"expression A: a ");
    assert_eq!(
        fault(&[("A", json!({ "type": "magic" }))]),
        "expression A: there is no type of expression `magic`"
    );
    assert_eq!(fault(&[("A", json!({ "type": "" }))]), "expression A: it has no `type`");
    assert_eq!(fault(&[("A", json!({ "type": 1 }))]), "expression A: `type` must be a text");
    let long = "A".repeat(MAX_REF_ID_BYTES + 1);
    for ref_id in ["", &long] {
        assert_eq!(fault(&[(ref_id, json!({}))]), "every query needs a refId of at most 190 bytes");
    }
    assert!(parse(&[(&long[1..], json!({}))]).is_ok_and(|plan| plan.is_empty()));
}

#[test]
fn expressions_are_a_bounded_number() {
    let names: Vec<_> = (0..=MAX_EXPRESSIONS).map(|at| format!("E{at}")).collect();
    let formulas: Vec<_> = (0..=MAX_EXPRESSIONS)
        .map(|at| if at == 0 { math("1") } else { math(&format!("$E{} + 1", at - 1)) })
        .collect();
    let queries = |count: usize| -> Vec<(&str, Value)> {
        // The last one comes first, so that the order has to be found.
        let queries = names.iter().map(String::as_str).zip(formulas.iter().cloned()).take(count);
        queries.rev().collect()
    };
    let plan = parse(&queries(MAX_EXPRESSIONS)).unwrap();
    let results = answered(&plan, Results::new());
    assert_eq!(shown(&results, &names[MAX_EXPRESSIONS - 1]), MAX_EXPRESSIONS.to_string());
    assert_eq!(parse(&queries(MAX_EXPRESSIONS + 1)).unwrap_err(), ExpressionError::TooMany);
    let mut with_sources = queries(MAX_EXPRESSIONS);
    with_sources.push(("A", json!({})));
    assert!(parse(&with_sources).is_ok());
}

/// An expression that exceeds the memory limit has no result, and the others have theirs.
#[test]
fn who_makes_too_much_fails_alone() {
    let points: Vec<_> = (0..1_000_000).map(|time| (time, 1.0)).collect();
    let frames = [("A", frame("a", &points)), ("N", frame("a", &[(1, 1.0)]))];
    let sources = frames.map(|(name, frame)| (name.to_owned(), Ok(vec![frame]))).into();
    let too_much = math(&format!("{}1{}", "($A + 1) + (".repeat(9), ")".repeat(9)));
    let plan = parse(&[
        ("A", json!({})),
        ("N", json!({})),
        ("B", too_much),
        ("C", math("$A + 1")),
        ("D", math("$N + 1")),
    ]);
    let results = answered(&plan.unwrap(), sources);
    assert!(shown(&results, "B").starts_with("expression B: the expressions of the request make more than"));
    assert_eq!(results["C"].as_ref().unwrap()[0].fields[1].column.len(), points.len());
    assert_eq!(shown(&results, "D"), "2");
}

#[test]
fn with_too_few_values_it_says_that_it_ran_out_of_them() {
    let plan = parse(&[("A", json!({})), ("B", math("$A + 1"))]).unwrap();
    let sources = sources();
    let evaluate = |max_values| plan.evaluate(max_values, |name| sources.get(name)?.as_deref().ok());
    let few = evaluate(10);
    assert!(few.ran_out_of_values && few.results["B"].is_err());
    let enough = evaluate(MAX_VALUES);
    assert!(!enough.ran_out_of_values && enough.results["B"].is_ok());
}
