//! What was changed from one document to another, as a list that people and programs can read.
//!
//! Unlike [`super::diff`], which compares in one pass to show all of two documents side by side, this knows the items of
//! a list again by what names them, wherever they are now: a panel that was moved is one change, not a hundred.

use std::collections::HashMap;
use std::fmt::Write;

use serde::{Serialize, Serializer};

use super::fingerprint::Fingerprints;
use super::{CanonicalJson, JsonValue};
use crate::kernel::text::shortened;

/// How many changes are listed.
pub const MAX_CHANGES: usize = 10_000;

/// How many characters of a name stand in a path.
pub const MAX_SEGMENT: usize = 200;

/// The members by which items of a list are known again, the first that all of them have.
const NAMES: [&str; 4] = ["id", "refId", "uid", "name"];

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// It is new.
    Add,
    /// It is gone.
    Remove,
    /// It has become another.
    Replace,
    /// It stands elsewhere in its list.
    Move,
}

/// One change.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// What became of the value.
    pub op: Op,
    /// Where it is: a JSON pointer into the new document, or into the old one for what is gone. Of a name that is too
    /// long it has the beginning and an ellipsis.
    pub path: String,
    /// Where it was in the old document, if that is elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it was. What only moved is not repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<CanonicalJson>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<CanonicalJson>,
}

/// What was changed.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The changes, in the order of the new document.
    pub list: Vec<Change>,
    /// Whether there are more than are listed, or values that are not told.
    pub is_cut: bool,
}

impl Serialize for Changes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

/// Lists what was changed from one canonical document to another, as far as there is room in so many bytes of JSON.
/// One half of them is for paths; values are left out once the other half is full.
#[must_use]
pub fn list_changes(before: JsonValue<'_>, after: JsonValue<'_>, max_bytes: usize) -> Changes {
    let mut lister = Lister {
        changes: Changes::default(),
        fingerprints: Fingerprints::of(before, after),
        left_for_paths: max_bytes / 2,
        left_for_values: Some(max_bytes / 2),
        is_full: false,
        old: String::new(),
        new: String::new(),
    };
    lister.compare(before, after);
    lister.changes
}

/// Whether two values of canonical documents are the same.
#[must_use]
pub fn is_same(before: JsonValue<'_>, after: JsonValue<'_>) -> bool {
    before.own() == after.own()
}

/// How many bytes a change has beside its paths and values.
const CHANGE_BYTES: usize = 64;

struct Lister {
    changes: Changes,
    fingerprints: Fingerprints,
    left_for_paths: usize,
    /// Nothing once a value did not fit.
    left_for_values: Option<usize>,
    /// Whether there is no room for a further change.
    is_full: bool,
    /// The pointers to what is being compared, in both documents.
    old: String,
    new: String,
}

impl Lister {
    fn push(&mut self, op: Op, before: Option<JsonValue<'_>>, after: Option<JsonValue<'_>>) {
        let path = if op == Op::Remove { &self.old } else { &self.new };
        let from = Some(&self.old).filter(|old| matches!(op, Op::Replace | Op::Move) && **old != self.new);
        let length = CHANGE_BYTES + written_length(path) + from.map_or(0, |from| written_length(from));
        if self.changes.list.len() == MAX_CHANGES || length > self.left_for_paths {
            (self.is_full, self.changes.is_cut) = (true, true);
            return;
        }
        self.left_for_paths -= length;
        let (path, from) = (path.clone(), from.cloned());
        let (before, after) = (self.text_of(before), self.text_of(after));
        self.changes.list.push(Change { op, path, from, before, after });
    }

    fn text_of(&mut self, value: Option<JsonValue<'_>>) -> Option<CanonicalJson> {
        let (value, left) = (value?, self.left_for_values?);
        if let Ok(text) = CanonicalJson::try_new(value, &[], left) {
            self.left_for_values = Some(left - text.as_str().len());
            return Some(text);
        }
        (self.left_for_values, self.changes.is_cut) = (None, true);
        None
    }

    fn compare(&mut self, before: JsonValue<'_>, after: JsonValue<'_>) {
        if self.is_full || self.fingerprints.is_same(before, after) {
        } else if before.is_object() && after.is_object() {
            self.compare_members(before, after);
        } else if before.is_list() && after.is_list() {
            self.compare_items(before, after);
        } else {
            self.push(Op::Replace, Some(before), Some(after));
        }
    }

    /// Does something one step further down in both documents.
    fn within(&mut self, old: &str, new: &str, work: impl FnOnce(&mut Self)) {
        let lengths = (self.old.len(), self.new.len());
        push_segment(&mut self.old, old);
        push_segment(&mut self.new, new);
        work(self);
        self.old.truncate(lengths.0);
        self.new.truncate(lengths.1);
    }

    fn compare_members(&mut self, before: JsonValue<'_>, after: JsonValue<'_>) {
        for (name, old, new) in before.members_beside(after) {
            if self.is_full {
                return;
            }
            self.within(name, name, |lister| match (old, new) {
                (Some(old), Some(new)) => lister.compare(old, new),
                (None, Some(_)) => lister.push(Op::Add, None, new),
                (old, None) => lister.push(Op::Remove, old, None),
            });
        }
    }

    fn compare_items(&mut self, before: JsonValue<'_>, after: JsonValue<'_>) {
        let (old, new): (Vec<_>, Vec<_>) = (before.items().collect(), after.items().collect());
        let names = NAMES.iter().find_map(|name| Some((names_of(&old, name)?, names_of(&new, name)?)));
        match names {
            Some((old_names, new_names)) => self.compare_named(&old, &old_names, &new, &new_names),
            None => self.compare_unnamed(&old, &new),
        }
    }

    fn compare_named(
        &mut self,
        old: &[JsonValue<'_>],
        old_names: &[String],
        new: &[JsonValue<'_>],
        new_names: &[String],
    ) {
        let by_name: HashMap<_, _> =
            old_names.iter().enumerate().map(|(index, name)| (name, index)).collect();
        let places: Vec<_> = new_names.iter().map(|name| by_name.get(name).copied()).collect();
        let mut is_kept = vec![false; old.len()];
        places.iter().flatten().for_each(|index| is_kept[*index] = true);
        for (index, item) in old.iter().enumerate().filter(|(index, _)| !is_kept[*index]) {
            self.within(&index.to_string(), "", |lister| lister.push(Op::Remove, Some(*item), None));
        }
        let moved = moved(&places);
        for (index, item) in new.iter().enumerate() {
            if self.is_full {
                return;
            }
            let place = index.to_string();
            match places[index] {
                None => self.within("", &place, |lister| lister.push(Op::Add, None, Some(*item))),
                Some(was) => self.within(&was.to_string(), &place, |lister| {
                    if moved[index] {
                        lister.push(Op::Move, None, None);
                    }
                    lister.compare(old[was], *item);
                }),
            }
        }
    }

    /// Items without names keep their places before the first and after the last that differ.
    fn compare_unnamed(&mut self, old: &[JsonValue<'_>], new: &[JsonValue<'_>]) {
        let fingerprints = &self.fingerprints;
        let same = |(old, new): &(&JsonValue<'_>, &JsonValue<'_>)| fingerprints.is_same(**old, **new);
        let first = old.iter().zip(new).take_while(same).count();
        let last = old[first..].iter().rev().zip(new[first..].iter().rev()).take_while(same).count();
        let (old, new) = (&old[first..old.len() - last], &new[first..new.len() - last]);
        let place = |index: usize| (first + index).to_string();
        for index in 0..old.len().max(new.len()) {
            if self.is_full {
                return;
            }
            self.within(&place(index), &place(index), |lister| match (old.get(index), new.get(index)) {
                (Some(old), Some(new)) => lister.compare(*old, *new),
                (Some(old), None) => lister.push(Op::Remove, Some(*old), None),
                (None, new) => lister.push(Op::Add, None, new.copied()),
            });
        }
    }
}

/// How many bytes a path has in JSON.
fn written_length(path: &str) -> usize {
    let length = |byte: u8| match byte {
        0..0x20 => r"\u0000".len(),
        b'"' | b'\\' => 2,
        _ => 1,
    };
    path.bytes().map(length).sum()
}

/// Adds a step to a JSON pointer.
fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for character in shortened(segment, MAX_SEGMENT).chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// What the items of a list are called, if all of them are objects with that member, and no two are called the same.
fn names_of(items: &[JsonValue<'_>], member: &str) -> Option<Vec<String>> {
    let mut seen = std::collections::HashSet::new();
    let name_of = |item: &JsonValue<'_>| {
        let value = item.get(member)?;
        let mut name = String::new();
        match (value.as_str(), value.as_i64()) {
            // A number and a text of the same digits are two names.
            (Some(text), _) => write!(name, "\"{text}").ok()?,
            (None, Some(number)) => write!(name, "{number}").ok()?,
            (None, None) => return None,
        }
        seen.insert(name.clone()).then_some(name)
    };
    items.iter().map(name_of).collect()
}

/// Which items have moved, given where each was, if it was there: all but the longest list of them that are still in
/// the order in which they were.
fn moved(places: &[Option<usize>]) -> Vec<bool> {
    // The ends of the best ascending lists by length, and what comes before each item in its list.
    let mut ends: Vec<(usize, usize)> = Vec::new();
    let mut before = vec![None; places.len()];
    for (index, place) in places.iter().enumerate() {
        let Some(place) = *place else { continue };
        let length = ends.partition_point(|(end, _)| *end < place);
        before[index] = length.checked_sub(1).and_then(|shorter| ends.get(shorter)).map(|(_, item)| *item);
        if length == ends.len() {
            ends.push((place, index));
        } else {
            ends[length] = (place, index);
        }
    }
    let mut moved: Vec<_> = places.iter().map(Option::is_some).collect();
    let mut next = ends.last().map(|(_, index)| *index);
    while let Some(index) = next {
        moved[index] = false;
        next = before[index];
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::super::tests::compared;
    use super::*;

    const ENOUGH: usize = 16 * 1024 * 1024;

    /// The changes one a line: `op path`, `op from>path`, and what it became.
    fn changes(before: &str, after: &str) -> Vec<String> {
        let line = |change: &Change| {
            let from = change.from.as_ref().map(|from| format!("{from}>")).unwrap_or_default();
            let text = |value: &Option<CanonicalJson>| {
                value.as_ref().map_or(String::new(), |text| text.as_str().into())
            };
            let (before, after) = (text(&change.before), text(&change.after));
            format!("{:?} {from}{} {before}>{after}", change.op, change.path)
                .trim_end_matches(" >")
                .to_owned()
        };
        compared(before, after, |before, after| {
            list_changes(before, after, ENOUGH).list.iter().map(line).collect()
        })
    }

    #[test]
    fn members_are_added_removed_and_replaced() {
        assert_eq!(
            changes(r#"{"a":1,"b":{"x":[],"y":2},"d/e~":0}"#, r#"{"b":{"y":"2","x":[]},"c":null,"d/e~":1}"#),
            ["Remove /a 1>", "Replace /b/y 2>\"2\"", "Add /c >null", "Replace /d~1e~0 0>1"]
        );
        assert_eq!(changes(r#"{"b":1,"a":1.5}"#, r#"{"a":1.5,"b":1}"#), Vec::<String>::new());
        assert_eq!(changes("1", "{}"), ["Replace  1>{}"]);
    }

    #[test]
    fn named_items_are_known_again_wherever_they_are() {
        let before = r#"[{"id":1,"t":"a"},{"id":2,"t":"b"},{"id":3,"t":"c"}]"#;
        assert_eq!(
            changes(before, r#"[{"id":3,"t":"c"},{"id":1,"t":"a"},{"id":2,"t":"B"}]"#),
            ["Move /2>/0", "Replace /1>/2/t \"b\">\"B\""].map(|line| line.replace("/1>/2/t", "/1/t>/2/t"))
        );
        assert_eq!(
            changes(before, r#"[{"id":4},{"id":1,"t":"a"},{"id":3,"t":"c"}]"#),
            [r#"Remove /1 {"id":2,"t":"b"}>"#, r#"Add /0 >{"id":4}"#]
        );
        assert_eq!(
            changes(r#"[{"refId":"A","q":1}]"#, r#"[{"refId":"B"},{"refId":"A","q":2}]"#),
            [r#"Add /0 >{"refId":"B"}"#, "Replace /0/q>/1/q 1>2"]
        );
        assert_eq!(changes("[]", r#"[{"id":1}]"#), [r#"Add /0 >{"id":1}"#]);
    }

    #[test]
    fn items_without_names_keep_their_places() {
        assert_eq!(changes("[1,2,3]", "[1,9,2,3]"), ["Add /1 >9"]);
        assert_eq!(changes("[1,2,3,4]", "[1,4]"), ["Remove /1 2>", "Remove /2 3>"]);
        assert_eq!(changes(r#"["a","b"]"#, r#"["b"]"#), ["Remove /0 \"a\">"]);
        // Two of the same name are none.
        assert_eq!(changes(r#"[{"id":1},{"id":1}]"#, r#"[{"id":1},{"id":2}]"#), ["Replace /1/id 1>2"]);
        assert_eq!(changes("[[1]]", "[[2]]"), ["Replace /0/0 1>2"]);
    }

    #[test]
    fn the_fewest_are_said_to_have_moved() {
        let list = |ids: &[i32]| {
            let items: Vec<_> = ids.iter().map(|id| format!("{{\"id\":{id}}}")).collect();
            format!("[{}]", items.join(","))
        };
        assert_eq!(changes(&list(&[1, 2, 3, 4, 5]), &list(&[2, 3, 4, 5, 1])), ["Move /0>/4"]);
        assert_eq!(changes(&list(&[1, 2, 3, 4, 5]), &list(&[5, 1, 2, 3, 4])), ["Move /4>/0"]);
        assert_eq!(changes(&list(&[1, 2, 3]), &list(&[3, 2, 1])).len(), 2);
    }

    #[test]
    fn the_list_is_bounded() {
        let list = |first: usize| {
            let items: Vec<_> = (first..first + 20_000).map(|number| number.to_string()).collect();
            format!("[{}]", items.join(","))
        };
        compared(&list(0), &list(30_000), |before, after| {
            let changes = list_changes(before, after, ENOUGH);
            assert_eq!((changes.list.len(), changes.is_cut), (MAX_CHANGES, true));
        });
    }

    /// What a comparison comes to as JSON, whether it is cut, and how many changes have values.
    fn listed(before: &str, after: &str, max_bytes: usize) -> (String, bool, usize) {
        compared(before, after, |before, after| {
            let changes = list_changes(before, after, max_bytes);
            let told = changes.list.iter().filter(|change| change.after.is_some()).count();
            (serde_json::to_string(&changes).unwrap(), changes.is_cut, told)
        })
    }

    #[test]
    fn a_long_name_is_not_repeated_with_each_change() {
        let document = |value: u8| {
            let members: Vec<_> = (0..10_000).map(|member| format!("\"{member}\":{value}")).collect();
            format!(r#"{{"{}":{{{}}}}}"#, "n".repeat(40_000), members.join(","))
        };
        let (text, is_cut, _) = listed(&document(0), &document(1), ENOUGH);
        assert!(!is_cut && text.len() < 10_000 * (MAX_SEGMENT + 100), "{}", text.len());
        let name = |length: usize| format!(r#"{{"{}":1}}"#, "é".repeat(length));
        let path = |length: usize| format!("\"/{}", "é".repeat(length));
        assert!(listed("{}", &name(MAX_SEGMENT), ENOUGH).0.contains(&format!("{}\"", path(MAX_SEGMENT))));
        assert!(
            listed("{}", &name(MAX_SEGMENT + 1), ENOUGH).0.contains(&format!("{}…\"", path(MAX_SEGMENT)))
        );
    }

    #[test]
    fn the_text_is_bounded() {
        let document = |text: &str| {
            let members: Vec<_> = (0..1000).map(|member| format!("\"{member}\\u0001\":\"{text}\"")).collect();
            format!("{{{}}}", members.join(","))
        };
        let (before, after) = (document("a"), document(&"b".repeat(100)));
        let (whole, is_cut, told) = listed(&before, &after, ENOUGH);
        assert!(!is_cut && told == 1000, "{told}");
        for max_bytes in [100, 1000, 10_000, 100_000, whole.len()] {
            let (text, is_cut, told) = listed(&before, &after, max_bytes);
            assert!(is_cut && told < 1000 && text.len() <= max_bytes, "{max_bytes}: {}", text.len());
        }
        // Without room for values the change itself is still listed.
        let (text, is_cut, told) = listed("null", &after, 10_000);
        assert_eq!((text.as_str(), is_cut, told), (r#"[{"op":"replace","path":"","before":null}]"#, true, 0));
    }

    /// Each list and object around a value would have it compared once more: with as many as may be, for minutes.
    #[test]
    fn what_is_deep_is_compared_once() {
        let nested = |last: u8| {
            let depth = super::super::MAX_DEPTH - 2;
            let wide = "0,".repeat(super::super::MAX_NODES - 2 * depth - 10);
            format!("{}[{wide}{last}]{}", "[[],".repeat(depth), "]".repeat(depth))
        };
        let found = changes(&nested(1), &nested(2));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("Replace /1/1/") && found[0].ends_with(" 1>2"), "{}", found[0]);
    }
}
