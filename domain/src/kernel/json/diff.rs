//! The differences between two documents.

use super::JsonValue;
use super::fingerprint::Fingerprints;

/// How a value of one document differs from the one in its place in another.
#[derive(Clone, Debug)]
pub enum Difference<'a> {
    /// The values are the same.
    Same(JsonValue<'a>),
    /// The value was added.
    Added(JsonValue<'a>),
    /// The value was removed.
    Removed(JsonValue<'a>),
    /// The value was replaced by another one.
    Replaced(JsonValue<'a>, JsonValue<'a>),
    /// Both are objects, and some of their members differ. All members are here, by name.
    Object(Vec<(&'a str, Difference<'a>)>),
    /// Both are lists, and some of their items differ. All items are here, in order.
    List(Vec<Difference<'a>>),
}

impl Difference<'_> {
    /// Whether there is no difference.
    #[must_use]
    pub fn is_same(&self) -> bool {
        matches!(self, Self::Same(_))
    }
}

/// Compares two canonical documents. It takes one pass, so items of lists are compared with those in the same place from
/// the first that differs to the last.
#[must_use]
pub fn compare<'a>(old: JsonValue<'a>, new: JsonValue<'a>) -> Difference<'a> {
    Comparer(Fingerprints::of(old, new)).compare(old, new)
}

struct Comparer(Fingerprints);

impl Comparer {
    fn compare<'a>(&self, old: JsonValue<'a>, new: JsonValue<'a>) -> Difference<'a> {
        if self.0.is_same(old, new) {
            Difference::Same(new)
        } else if old.is_object() && new.is_object() {
            Difference::Object(self.compare_members(old, new))
        } else if old.is_list() && new.is_list() {
            Difference::List(self.compare_items(old, new))
        } else {
            Difference::Replaced(old, new)
        }
    }

    fn compare_members<'a>(&self, old: JsonValue<'a>, new: JsonValue<'a>) -> Vec<(&'a str, Difference<'a>)> {
        let compare = |(name, old, new)| {
            let difference = match (old, new) {
                (Some(old), Some(new)) => self.compare(old, new),
                (Some(old), None) => Difference::Removed(old),
                (None, new) => Difference::Added(new?),
            };
            Some((name, difference))
        };
        old.members_beside(new).filter_map(compare).collect()
    }

    fn compare_items<'a>(&self, old: JsonValue<'a>, new: JsonValue<'a>) -> Vec<Difference<'a>> {
        let (old, new): (Vec<_>, Vec<_>) = (old.items().collect(), new.items().collect());
        let same = |(old, new): &(&JsonValue<'a>, &JsonValue<'a>)| self.0.is_same(**old, **new);
        let before = old.iter().zip(&new).take_while(same).count();
        let (head, new) = new.split_at(before);
        let old = &old[before..];
        let after = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
        let (new, tail) = new.split_at(new.len() - after);
        let old = &old[..old.len() - after];
        let paired = old.len().min(new.len());

        let mut items = Vec::with_capacity(head.len() + old.len().max(new.len()) + tail.len());
        items.extend(head.iter().map(|item| Difference::Same(*item)));
        items.extend(old.iter().zip(new).map(|(old, new)| self.compare(*old, *new)));
        items.extend(old[paired..].iter().map(|item| Difference::Removed(*item)));
        items.extend(new[paired..].iter().map(|item| Difference::Added(*item)));
        items.extend(tail.iter().map(|item| Difference::Same(*item)));
        items
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::compared;
    use super::*;

    /// The differences, one per line, as `path sign`.
    fn walk(path: &str, difference: &Difference<'_>, lines: &mut Vec<String>) {
        let sign = match difference {
            Difference::Same(_) => return,
            Difference::Added(_) => "+",
            Difference::Removed(_) => "-",
            Difference::Replaced(..) => "~",
            Difference::Object(members) => {
                members.iter().for_each(|(name, member)| walk(&format!("{path}.{name}"), member, lines));
                return;
            }
            Difference::List(items) => {
                items.iter().enumerate().for_each(|(at, item)| walk(&format!("{path}[{at}]"), item, lines));
                return;
            }
        };
        lines.push(format!("{path} {sign}"));
    }

    fn differences(old: &str, new: &str) -> Vec<String> {
        let mut lines = Vec::new();
        compared(old, new, |old, new| walk("", &compare(old, new), &mut lines));
        lines
    }

    #[test]
    fn members_are_found_by_name() {
        let found = differences(r#"{"a":1,"b":{"x":1,"y":2},"d":[]}"#, r#"{"c":1,"b":{"y":3,"x":1},"d":[]}"#);
        assert_eq!(found, [".a -", ".b.y ~", ".c +"]);
        assert_eq!(differences(r#"{"a":{"b":1}}"#, r#"{"a":[1]}"#), [".a ~"]);
        assert_eq!(
            differences(r#"{"b":1,"a":[1.5,null]}"#, r#"{"a":[1.5,null],"b":1}"#),
            Vec::<String>::new()
        );
    }

    #[test]
    fn items_keep_their_place_before_and_after_what_differs() {
        assert_eq!(differences("[1,2,3]", "[1,9,2,3]"), ["[1] +"]);
        assert_eq!(differences("[1,2,3,4]", "[1,4]"), ["[1] -", "[2] -"]);
        assert_eq!(differences(r#"[{"a":1},{"a":2}]"#, r#"[{"a":1},{"a":3}]"#), ["[1].a ~"]);
        assert_eq!(differences("[1,1]", "[1,1,1]"), ["[2] +"]);
        assert_eq!(differences("[]", "[[]]"), ["[0] +"]);
    }

    #[test]
    fn only_what_is_the_same_is_said_to_be() {
        compared(r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#, |old, new| {
            let Difference::Object(members) = compare(old, new) else { panic!() };
            let same: Vec<_> = members.iter().map(|(name, member)| (*name, member.is_same())).collect();
            assert_eq!(same, [("a", true), ("b", false)]);
            assert!(!compare(old, new).is_same() && compare(old, old).is_same());
        });
    }

    #[test]
    fn of_a_list_all_items_are_there() {
        let count = |old: &str, new: &str| {
            compared(old, new, |old, new| match compare(old, new) {
                Difference::List(items) => items.len(),
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(count("[1,2,3]", "[1,3]"), 3);
        assert_eq!(count("[1,3]", "[1,2,4,3]"), 4);
        assert_eq!(count("[1,2,3]", "[4]"), 3);
    }
}
