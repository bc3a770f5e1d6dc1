//! Joins of the members of two sets by their labels.
//!
//! Two members match if the labels of one are all among those of the other. If no members match and both sets have one
//! member, these two match. Members are grouped by the names of their labels, so that the members of two groups can be
//! sorted by the names that both have and matched in one pass.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::meter::Meter;
use super::reason::Reason;
use super::set::Item;
use crate::source::frame::Labels;

/// The maximum number of members of the result of a join.
pub const MAX_SERIES: usize = 20_000;

/// The cost of comparing two values of labels, in steps.
const COMPARE: usize = 8;

/// Two members that match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    /// The place in the left set.
    pub(super) left: usize,
    /// The place in the right set.
    pub(super) right: usize,
    /// The side whose labels the result has.
    pub(super) labels: Side,
}

/// A side of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Left,
    Right,
    Neither,
}

/// The matching members of two sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// Each member of the left set matches the one at its place in the right set, which has the same labels.
    Alike,
    /// These pairs match, in the order of the left set.
    Pairs(Vec<Pair>),
}

/// The matching members of two sets.
pub(super) fn join(left: &[Item<'_>], right: &[Item<'_>], meter: &mut Meter) -> Result<Joined, Reason> {
    meter.work((left.len() + right.len()) * COMPARE)?;
    if are_alike(left, right) {
        return Ok(Joined::Alike);
    }
    let (left_groups, right_groups) = (groups(left), groups(right));
    let mut pairs = Vec::new();
    for left_group in &left_groups {
        meter.work(right_groups.len() * COMPARE)?;
        for right_group in &right_groups {
            match_groups(
                Half { items: left, group: left_group },
                Half { items: right, group: right_group },
                &mut pairs,
                meter,
            )?;
        }
    }
    if pairs.is_empty() && left.len() == 1 && right.len() == 1 {
        pairs.push(Pair { left: 0, right: 0, labels: Side::Neither });
    }
    pairs.sort_unstable();
    Ok(Joined::Pairs(pairs))
}

/// Whether both sets have the same labels in the same order, all with the same names and none twice. This is the usual
/// result of two similar queries to a source, and the check reads each member once.
fn are_alike(left: &[Item<'_>], right: &[Item<'_>]) -> bool {
    let ascends = |pair: &[Item<'_>]| order(&pair[0].labels, &pair[1].labels) == Some(Ordering::Less);
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| left.labels.equals(&right.labels))
        && left.windows(2).all(ascends)
}

/// The order of labels by their values; `None` if they do not have the same names.
fn order(left: &Labels, right: &Labels) -> Option<Ordering> {
    if left.len() != right.len() {
        return None;
    }
    let mut order = Ordering::Equal;
    for ((left_name, left_value), (right_name, right_value)) in left.iter().zip(right) {
        if left_name != right_name {
            return None;
        }
        order = order.then_with(|| left_value.cmp(right_value));
    }
    Some(order)
}

/// Members of a set whose labels have the same names.
struct Group<'s> {
    names: Vec<&'s str>,
    places: Vec<usize>,
}

fn groups<'s>(items: &'s [Item<'_>]) -> Vec<Group<'s>> {
    let mut known: HashMap<Vec<&str>, usize> = HashMap::new();
    let mut groups: Vec<Group<'s>> = Vec::new();
    let mut last = 0;
    for (place, item) in items.iter().enumerate() {
        let names = || item.labels.keys().map(String::as_str);
        if !groups.get(last).is_some_and(|group| names().eq(group.names.iter().copied())) {
            let names: Vec<_> = names().collect();
            last = *known.entry(names.clone()).or_insert(groups.len());
            if last == groups.len() {
                groups.push(Group { names, places: Vec::new() });
            }
        }
        groups[last].places.push(place);
    }
    groups
}

/// One side of two groups that are matched.
#[derive(Clone, Copy)]
struct Half<'s, 'a> {
    items: &'s [Item<'a>],
    group: &'s Group<'s>,
}

impl<'s> Half<'s, '_> {
    /// The values of its members for some names, with their places, sorted.
    fn sorted(self, names: &[&str], meter: &mut Meter) -> Result<Vec<(Vec<&'s str>, usize)>, Reason> {
        let (members, all) = (self.group.places.len(), self.group.names.len() + 1);
        let rounds = members.checked_ilog2().unwrap_or_default() as usize + 1;
        meter.work(members.saturating_mul(all).saturating_mul(rounds).saturating_mul(COMPARE))?;
        let values = |place: usize| -> Vec<&'s str> {
            let labels = self.items[place].labels.iter();
            labels
                .filter(|(name, _)| names.binary_search(&name.as_str()).is_ok())
                .map(|(_, value)| value.as_str())
                .collect()
        };
        let mut members: Vec<_> = self.group.places.iter().map(|place| (values(*place), *place)).collect();
        members.sort();
        Ok(members)
    }
}

/// Adds the pairs of two groups, if the names of one are all among those of the other.
fn match_groups(
    left: Half<'_, '_>,
    right: Half<'_, '_>,
    pairs: &mut Vec<Pair>,
    meter: &mut Meter,
) -> Result<(), Reason> {
    let (left_names, right_names) = (&left.group.names, &right.group.names);
    let (fewer, more, labels) = if left_names.len() >= right_names.len() {
        (right_names, left_names, Side::Left)
    } else {
        (left_names, right_names, Side::Right)
    };
    if !fewer.iter().all(|name| more.binary_search(name).is_ok()) {
        return Ok(());
    }
    let (lefts, rights) = (left.sorted(fewer, meter)?, right.sorted(fewer, meter)?);
    let mut rest = rights.as_slice();
    for run in lefts.chunk_by(|one, next| one.0 == next.0) {
        let values = &run[0].0;
        rest = &rest[rest.partition_point(|(other, _)| other < values)..];
        let same = rest.partition_point(|(other, _)| other <= values);
        if pairs.len().saturating_add(run.len().saturating_mul(same)) > MAX_SERIES {
            return Err(Reason::TooManySeries);
        }
        for (_, left) in run {
            pairs.extend(rest[..same].iter().map(|(_, right)| Pair { left: *left, right: *right, labels }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::meter::MAX_WORK;
    use super::super::set::examples::{labels, number};
    use super::*;

    fn items(labels: &[&str]) -> Vec<Item<'static>> {
        labels.iter().map(|labels| number(labels, 1.0)).collect()
    }

    /// The pairs, like `0=1l` for the first on the left and the second on the right with the labels of the left.
    fn pairs(left: &[&str], right: &[&str]) -> String {
        let pairs = match join(&items(left), &items(right), &mut Meter::default()).unwrap() {
            Joined::Pairs(pairs) => pairs,
            Joined::Alike => return "alike".to_owned(),
        };
        let side = |side| match side {
            Side::Left => "l",
            Side::Right => "r",
            Side::Neither => "-",
        };
        let shown = pairs.iter().map(|pair| format!("{}={}{}", pair.left, pair.right, side(pair.labels)));
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn equal_labels_belong_together() {
        assert_eq!(pairs(&["a=1", "a=2"], &["a=1", "a=2"]), "alike");
        assert_eq!(pairs(&["a=2", "a=1"], &["a=2", "a=1"]), "0=0l 1=1l");
        assert_eq!(pairs(&["a=2", "a=1", "a=3"], &["a=1", "a=2"]), "0=1l 1=0l");
        assert_eq!(pairs(&["a=1,b=1", "a=1,b=2"], &["a=1,b=2", "a=2,b=1"]), "1=0l");
        assert_eq!(pairs(&["a=1", "a=2"], &["a=3", "a=4"]), "");
        assert_eq!(pairs(&["a=1", "a=2"], &["b=1", "b=2"]), "");
    }

    #[test]
    fn more_labels_belong_to_fewer() {
        assert_eq!(pairs(&["a=1,b=1", "a=1,b=2", "a=2,b=1"], &["a=1"]), "0=0l 1=0l");
        assert_eq!(pairs(&["b=1"], &["a=1,b=1", "a=2,b=2", "a=3,b=1"]), "0=0r 0=2r");
        assert_eq!(pairs(&["a=1", "a=1,b=1"], &["a=1", "a=1,b=1"]), "0=0l 0=1r 1=0l 1=1l");
        assert_eq!(pairs(&["a=1,b=1"], &["a=1,c=1", "a=2,c=2"]), "");
        assert_eq!(pairs(&["a=1,c=1"], &["b=1", "c=1"]), "0=1l");
    }

    #[test]
    fn no_labels_belong_to_everything() {
        assert_eq!(pairs(&[""], &["a=1", "b=2"]), "0=0r 0=1r");
        assert_eq!(pairs(&["a=1", "b=2"], &[""]), "0=0l 1=0l");
        assert_eq!(pairs(&["", ""], &["", ""]), "0=0l 0=1l 1=0l 1=1l");
    }

    #[test]
    fn what_is_there_twice_belongs_twice() {
        assert_eq!(pairs(&["a=1", "a=1"], &["a=1", "a=1"]), "0=0l 0=1l 1=0l 1=1l");
        assert_eq!(pairs(&["a=1", "a=1", "a=2"], &["a=2", "a=1"]), "0=1l 1=1l 2=0l");
    }

    #[test]
    fn two_that_are_alone_belong_together() {
        assert_eq!(pairs(&["a=1"], &["b=1"]), "0=0-");
        assert_eq!(pairs(&["a=1"], &["a=2"]), "0=0-");
        assert_eq!(pairs(&["a=1"], &["a=1"]), "alike");
        assert_eq!(pairs(&["a=1"], &["b=1", "b=2"]), "");
        assert_eq!(pairs(&[], &[]), "alike");
    }

    #[test]
    fn the_way_for_like_sets_finds_what_the_other_finds() {
        let names: Vec<_> = (0..50).map(|at| format!("a={:02},b={}", at / 5, at % 5)).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let set = items(&names);
        assert!(are_alike(&set, &set));
        let alike: Vec<_> =
            (0..set.len()).map(|at| Pair { left: at, right: at, labels: Side::Left }).collect();
        let groups = groups(&set);
        let half = Half { items: &set, group: &groups[0] };
        let mut pairs = Vec::new();
        match_groups(half, half, &mut pairs, &mut Meter::default()).unwrap();
        pairs.sort_unstable();
        assert_eq!((pairs, groups.len()), (alike, 1));
        for unlike in [&["a=1", "a=1"][..], &["a=2", "a=1"], &["a=1", "a=1,b=1"], &["a=1", "b=2"]] {
            assert!(!are_alike(&items(unlike), &items(unlike)), "{unlike:?}");
        }
        assert!(!are_alike(&items(&["a=1"]), &items(&["a=2"])));
        assert!(!are_alike(&items(&["a=1"]), &items(&["a=1", "a=2"])));
    }

    #[test]
    fn a_product_is_bounded() {
        let many = |count: usize| items(&vec![""; count]);
        let join = |left, right| join(&many(left), &many(right), &mut Meter::default());
        let Ok(Joined::Pairs(pairs)) = join(100, MAX_SERIES / 100) else { panic!() };
        assert_eq!(pairs.len(), MAX_SERIES);
        assert_eq!(join(100, MAX_SERIES / 100 + 1), Err(Reason::TooManySeries));
    }

    #[test]
    fn groups_of_names_are_bounded_work() {
        let different =
            |prefix: &str| (0..9_000).map(|at| number(&format!("{prefix}{at}=1"), 1.0)).collect::<Vec<_>>();
        let joined = join(&different("a"), &different("b"), &mut Meter::default());
        assert_eq!(joined, Err(Reason::TooMuchWork));
        let mut meter = Meter::default();
        meter.work(MAX_WORK - COMPARE).unwrap();
        assert_eq!(join(&items(&["a=1"]), &items(&["a=1"]), &mut meter), Err(Reason::TooMuchWork));
    }

    #[test]
    fn labels_have_an_order_if_their_names_are_the_same() {
        let order = |left: &str, right: &str| order(&labels(left), &labels(right));
        assert_eq!(order("a=1,b=2", "a=1,b=3"), Some(Ordering::Less));
        assert_eq!(order("a=2,b=1", "a=1,b=3"), Some(Ordering::Greater));
        assert_eq!(order("a=1", "a=1"), Some(Ordering::Equal));
        assert_eq!(
            (order("a=1", "b=1"), order("a=1", "a=1,b=1"), order("a=1,c=1", "a=2,b=1")),
            (None, None, None)
        );
    }
}
