//! The changes from one document to another, as a list that people and programs can read.
//!
//! Unlike [`super::diff`], which compares in one pass to show all of two documents side by side, this identifies the
//! items of a list by their names, wherever they are now: a panel that was moved is one change, not a hundred.

use std::collections::HashMap;
use std::fmt::Write;

use serde::{Serialize, Serializer};

use super::fingerprint::Fingerprints;
use super::{CanonicalJson, JsonValue};
use crate::kernel::text::shortened;

/// The maximum number of listed changes.
pub const MAX_CHANGES: usize = 10_000;

/// The maximum number of characters of a name in a path.
pub const MAX_SEGMENT: usize = 200;

/// The members that can identify the items of a list: the first one that all items have is used.
const NAMES: [&str; 4] = ["id", "refId", "uid", "name"];

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// The value was added.
    Add,
    /// The value was removed.
    Remove,
    /// The value was replaced by another one.
    Replace,
    /// The value was moved within its list.
    Move,
}

/// One change.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// The kind of the change.
    pub op: Op,
    /// The path of the value: a JSON pointer into the new document, or into the old one for a removed value. A name
    /// that is too long is cut and ends with an ellipsis.
    pub path: String,
    /// Its path in the old document, if it is different.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The old value. A value that was only moved is not repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<CanonicalJson>,
    /// The new value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<CanonicalJson>,
}

/// The changes from one document to another.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The changes, in the order of the new document.
    pub list: Vec<Change>,
    /// Whether changes or values were left out.
    pub is_cut: bool,
}

impl Serialize for Changes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.list.serialize(serializer)
    }
}

/// Lists the changes from one canonical document to another, in at most `max_bytes` bytes of JSON. One half of them is
/// for paths; values are left out once the other half is full.
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

/// The number of bytes of a change in addition to its paths and values.
const CHANGE_BYTES: usize = 64;

struct Lister {
    changes: Changes,
    fingerprints: Fingerprints,
    left_for_paths: usize,
    /// `None` once a value did not fit.
    left_for_values: Option<usize>,
    /// Whether there is no room for a further change.
    is_full: bool,
    /// The pointers to the values that are being compared, in both documents.
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

    /// Runs `work` one level deeper in both documents.
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

    /// Compares items by their places, between the first and the last ones that differ.
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

/// The names of the items of a list, if all of them are objects with that member, and no two have the same name.
fn names_of(items: &[JsonValue<'_>], member: &str) -> Option<Vec<String>> {
    let mut seen = std::collections::HashSet::new();
    let name_of = |item: &JsonValue<'_>| {
        let value = item.get(member)?;
        let mut name = String::new();
        match (value.as_str(), value.as_i64()) {
            // A number and a text of the same digits are different names.
            (Some(text), _) => write!(name, "\"{text}").ok()?,
            (None, Some(number)) => write!(name, "{number}").ok()?,
            (None, None) => return None,
        }
        seen.insert(name.clone()).then_some(name)
    };
    items.iter().map(name_of).collect()
}

/// Whether each item has moved, given its old place, if it had one: all but the longest sequence of items that are
/// still in their old order.
fn moved(places: &[Option<usize>]) -> Vec<bool> {
    // The ends of the best ascending sequences by length, and the predecessor of each item in its sequence.
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
mod tests;
