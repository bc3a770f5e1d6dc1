//! Fuzzes expressions. Every test run does a little of it, always the same; a longer run is started by
//!
//! `FUZZ_SECONDS=3600 cargo test --release -p kymograph-domain fuzz_for_long -- --ignored`

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{MAX_VALUES, Plan, PlannedQuery};
use crate::source::frame::{Cells, Column, Field, Frame, FrameMeta, Labels};

/// The names of the queries, of which the first two go to data sources.
const NAMES: [&str; 6] = ["A", "B", "C", "D", "E", "F"];

/// Pseudorandom numbers that are always the same (`SplitMix64`, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn is_one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    fn number(&mut self) -> f64 {
        const SPECIAL: [f64; 8] =
            [0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE];
        if self.is_one_in(4) {
            self.of(&SPECIAL)
        } else {
            f64::from(u32::try_from(self.below(2_000)).unwrap()) / 8.0 - 100.0
        }
    }

    fn time(&mut self) -> i64 {
        let time = i64::try_from(self.below(40)).unwrap() * 1_000_000;
        if self.is_one_in(50) { self.of(&[i64::MIN, i64::MAX, -1, time]) } else { time }
    }

    fn nulls(&mut self, rows: usize) -> Vec<bool> {
        if self.is_one_in(2) { Vec::new() } else { (0..rows).map(|_| self.is_one_in(5)).collect() }
    }

    fn cells<T>(&mut self, rows: usize, mut value: impl FnMut(&mut Self) -> T) -> Cells<T> {
        let values = (0..rows).map(|_| value(self)).collect();
        Cells { values, is_nullable: true, nulls: self.nulls(rows) }
    }

    fn text(&mut self) -> String {
        self.of(&["a", "b", "c", ""]).to_owned()
    }

    fn labels(&mut self) -> Labels {
        (0..self.below(4)).map(|_| (self.text(), self.text())).collect()
    }

    fn column(&mut self, rows: usize) -> Column {
        match self.below(12) {
            0 => Column::Int64(self.cells(rows, |random| random.next().cast_signed())),
            1 => Column::Bool(self.cells(rows, |random| random.is_one_in(2))),
            2 => Column::Text(self.cells(rows, Self::text)),
            3 => Column::Time(self.cells(rows, Self::time)),
            _ => Column::Float64(self.cells(rows, Self::number)),
        }
    }

    fn frame(&mut self) -> Frame {
        let rows = self.below(6);
        let mut fields = Vec::new();
        if !self.is_one_in(4) {
            let mut times = self.cells(rows, Self::time);
            if !self.is_one_in(4) {
                times = Cells::new((0_i64..).take(rows).map(|at| at * 1_000_000).collect());
            }
            fields.push(Field::new("Time", Column::Time(times)));
        }
        for _ in 0..self.below(4) {
            let rows = if self.is_one_in(40) { rows + 1 } else { rows };
            let labels = if self.is_one_in(3) { None } else { Some(self.labels()) };
            fields.push(Field { labels, ..Field::new(self.text(), self.column(rows)) });
        }
        let kinds = [
            None,
            None,
            Some("timeseries-multi"),
            Some("numeric-multi"),
            Some("numeric-long"),
            Some("log-lines"),
        ];
        let kind = self.of(&kinds);
        Frame { name: self.text(), meta: Some(Box::new(FrameMeta { kind, ..FrameMeta::default() })), fields }
    }

    /// The name of a query before that at `place`. A few are other names, which make cycles.
    fn input(&mut self, place: usize) -> &'static str {
        let known = if self.is_one_in(50) { NAMES.len() } else { place };
        NAMES[self.below(known)]
    }

    /// A formula, valid in most cases.
    fn formula(&mut self, depth: usize, place: usize) -> String {
        const OPERATORS: [&str; 16] =
            ["+", "-", "*", "/", "%", "**", "==", "!=", "<", "<=", ">", ">=", "&&", "||", " + ", "\n- "];
        const CALLS: [&str; 11] =
            ["abs", "log", "round", "ceil", "floor", "is_nan", "is_inf", "is_null", "is_number", "", "-"];
        const VALUES: [&str; 7] = ["1", "0x1f", "017", "2.5e1", "null()", "nan()", "infn()"];
        match if depth == 0 { self.below(2) } else { 2 + self.below(4) } {
            0 => self.of(&VALUES).to_owned(),
            1 => format!("${{{}}}", self.input(place)),
            2 => format!("${}", self.input(place)),
            3 => format!("{}({})", self.of(&CALLS), self.formula(depth - 1, place)),
            4 => format!("!{}", self.formula(depth - 1, place)),
            _ => {
                let (left, right) = (self.formula(depth - 1, place), self.formula(depth - 1, place));
                format!("{left}{}{right}", self.of(&OPERATORS))
            }
        }
    }

    /// A text with a random change.
    fn damaged(&mut self, text: &str) -> String {
        const PIECES: [&str; 20] = [
            "(",
            ")",
            "$",
            "{",
            "}",
            "-",
            "!",
            "*",
            "=",
            "&",
            "|",
            "0",
            "x",
            "e",
            ".",
            "ä",
            "\0",
            "((((((((",
            "--------",
            "\u{1F4A9}",
        ];
        let mut characters: Vec<_> = text.chars().map(String::from).collect();
        for _ in 0..=self.below(3) {
            let at = self.below(characters.len() + 1);
            match self.below(3) {
                0 if at < characters.len() => drop(characters.remove(at)),
                1 if at < characters.len() => characters[at] = self.of(&PIECES).to_owned(),
                _ => characters.insert(at, self.of(&PIECES).to_owned()),
            }
        }
        characters.concat()
    }

    fn evaluator(&mut self) -> Value {
        const KINDS: [&str; 11] = [
            "gt",
            "lt",
            "eq",
            "ne",
            "gte",
            "lte",
            "within_range",
            "outside_range",
            "within_range_included",
            "outside_range_included",
            "no_value",
        ];
        json!({ "type": self.of(&KINDS), "params": [self.number(), self.number()] })
    }

    fn expression(&mut self, place: usize) -> Value {
        let input = self.input(place);
        match self.below(10) {
            0 => {
                let reducer = self.of(&["sum", "mean", "min", "max", "count", "last", "median"]);
                let settings =
                    json!({ "mode": self.of(&["", "dropNN", "replaceNN"]), "replaceWithValue": 1 });
                json!({ "type": "reduce", "expression": input, "reducer": reducer, "settings": settings })
            }
            1 => json!({
                "type": "resample", "expression": input, "window": self.of(&["1ms", "3ms", "1ns", "1h"]),
                "downsampler": self.of(&["sum", "mean", "min", "max", "last"]),
                "upsampler": self.of(&["pad", "backfilling", "fillna"]),
            }),
            2 => json!({
                "type": "threshold", "expression": input,
                "conditions": [{ "evaluator": self.evaluator(), "unloadEvaluator": self.evaluator() }],
            }),
            3 => {
                let condition = |random: &mut Self| {
                    json!({
                        "query": { "params": [random.input(place)] },
                        "reducer": { "type": random.of(&["avg", "median", "diff", "percent_diff_abs", "count", "last"]) },
                        "operator": { "type": random.of(&["and", "or", "logic-or"]) },
                        "evaluator": random.evaluator(),
                    })
                };
                let conditions: Vec<_> = (0..=self.below(4)).map(|_| condition(self)).collect();
                json!({ "type": "classic_conditions", "conditions": conditions })
            }
            4 => json!({ "type": "sql", "hide": true }),
            _ => {
                let formula = self.formula(4, place);
                let formula = if self.is_one_in(8) { self.damaged(&formula) } else { formula };
                json!({ "type": "math", "expression": formula })
            }
        }
    }
}

/// Plans and evaluates random queries, and checks the results. Returns whether there was a plan.
fn fuzz(seed: u64) -> bool {
    let mut random = Random(seed);
    let model = |place| if place < 2 { json!({}) } else { random.expression(place) };
    let models: Vec<_> = (0..NAMES.len()).map(model).collect();
    let queries = NAMES.iter().zip(&models).map(|(ref_id, model)| PlannedQuery {
        ref_id,
        model: model.as_object().unwrap(),
        is_expression: *ref_id >= "C",
        from_ms: 0,
        to_ms: 30,
    });
    // Expressions are planned one by one too, so that the errors of some do not hide those of others.
    let queries: Vec<_> = queries.collect();
    for query in &queries {
        let _ = Plan::parse(&[*query]);
    }
    let Ok(mut plan) = Plan::parse(&queries) else { return false };
    plan.set_passed("C", BTreeSet::from([random.labels()]));
    let mut results: BTreeMap<&str, Option<Vec<Frame>>> = BTreeMap::new();
    for name in ["A", "B"] {
        let frames = (0..random.below(5)).map(|_| random.frame()).collect();
        results.insert(name, (!random.is_one_in(20)).then_some(frames));
    }
    for (ref_id, frames) in plan.evaluate(MAX_VALUES, |name| results.get(name)?.as_deref()).results {
        let frames = frames.inspect_err(|fault| assert!(!fault.to_string().is_empty()));
        for Frame { fields, .. } in frames.unwrap_or_default() {
            for Field { name, column, .. } in &fields {
                assert_eq!(column.len(), fields[0].column.len(), "seed {seed}");
                match column {
                    Column::Float64(cells) => {
                        assert!(
                            *name == ref_id && [0, cells.len()].contains(&cells.nulls.len()),
                            "seed {seed}"
                        );
                    }
                    Column::Time(cells) => {
                        assert!(cells.values.is_sorted() && cells.nulls.is_empty(), "seed {seed}");
                    }
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
        }
    }
    true
}

#[test]
fn nonsense_does_no_harm() {
    let planned = (0..3_000).filter(|seed| fuzz(*seed)).count();
    assert!(planned > 1_000, "{planned}");
}

#[test]
#[ignore = "takes as long as FUZZ_SECONDS says"]
fn fuzz_for_long() {
    let seconds =
        std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(3_600);
    let (begun, mut seed) = (Instant::now(), 1 << 32);
    while begun.elapsed() < Duration::from_secs(seconds) {
        fuzz(seed);
        seed += 1;
    }
}
