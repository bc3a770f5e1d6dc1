//! Sets of series and numbers, which expressions work on.
//!
//! A set borrows the data of frames and shares computed data: a copy of a set copies pointers. Values are in columns,
//! so that an operation is one loop over numbers.

use std::ops::Deref;
use std::sync::Arc;

use super::convert::frames_of;
use super::meter::Meter;
use super::reason::Reason;
use crate::source::frame::{Frame, Labels};

/// Data that is borrowed from a frame, or shared by sets.
#[derive(Debug)]
pub enum Shared<'a, T> {
    /// It is part of a frame.
    Borrowed(&'a T),
    /// It was computed.
    Made(Arc<T>),
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        match self {
            Self::Borrowed(value) => Self::Borrowed(value),
            Self::Made(value) => Self::Made(value.clone()),
        }
    }
}

impl<T> Deref for Shared<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Borrowed(value) => value,
            Self::Made(value) => value,
        }
    }
}

impl<T> From<T> for Shared<'_, T> {
    fn from(value: T) -> Self {
        Self::Made(Arc::new(value))
    }
}

impl<T> Shared<'_, T> {
    /// The value for changes; `None` if it is shared or borrowed.
    pub(super) fn unique(&mut self) -> Option<&mut T> {
        match self {
            Self::Made(value) => Arc::get_mut(value),
            Self::Borrowed(_) => None,
        }
    }
}

impl<T: PartialEq> Shared<'_, T> {
    /// Whether both are the same value, or equal ones.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let (one, other): (&T, &T) = (self, other);
        std::ptr::eq(one, other) || one == other
    }
}

impl<T: Clone> Shared<'_, T> {
    /// The value, which is copied if it is shared or borrowed.
    pub(super) fn into_owned(self) -> T {
        match self {
            Self::Made(value) => Arc::unwrap_or_clone(value),
            Self::Borrowed(value) => value.clone(),
        }
    }
}

impl<T> Shared<'_, Vec<T>> {
    /// The number of values that were allocated for it.
    fn made(&self) -> usize {
        match self {
            Self::Borrowed(_) => 0,
            Self::Made(values) => values.len(),
        }
    }
}

static NO_LABELS: Labels = Labels::new();
static NO_NULLS: Vec<bool> = Vec::new();

/// No labels.
pub(super) fn no_labels<'a>() -> Shared<'a, Labels> {
    Shared::Borrowed(&NO_LABELS)
}

/// The null marks of values of which none is null.
pub(super) fn no_nulls<'a>() -> Shared<'a, Vec<bool>> {
    Shared::Borrowed(&NO_NULLS)
}

/// The points of a series.
#[derive(Clone, Debug)]
pub struct Points<'a> {
    /// Their times, in nanoseconds since 1970, in ascending order.
    pub times: Shared<'a, Vec<i64>>,
    /// Their values. The value of a null point is meaningless.
    pub numbers: Shared<'a, Vec<f64>>,
    /// Which of them are null: empty if none is, else as long as the values.
    pub nulls: Shared<'a, Vec<bool>>,
}

impl Points<'_> {
    /// The number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// True without points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The values, null ones as `None`.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Option<f64>> + ExactSizeIterator {
        let nulls = &*self.nulls;
        let is_null = move |index| nulls.get(index).copied().unwrap_or_default();
        self.numbers.iter().enumerate().map(move |(index, number)| (!is_null(index)).then_some(*number))
    }

    /// The values, with NaN for those that are null.
    pub(super) fn or_nan(&self) -> Shared<'_, Vec<f64>> {
        if self.nulls.is_empty() {
            return Shared::Borrowed(&self.numbers);
        }
        self.iter().map(|value| value.unwrap_or(f64::NAN)).collect::<Vec<_>>().into()
    }
}

/// The data of a member of a set.
#[derive(Clone, Debug)]
pub enum Data<'a> {
    /// A number, which can be null.
    Number(Option<f64>),
    /// A series.
    Series(Points<'a>),
}

/// The memory of a member of a set without its points, in values.
pub(super) const ITEM: usize = 12;

impl Data<'_> {
    /// The memory that was allocated for it, in values.
    pub(super) fn made(&self) -> usize {
        match self {
            Self::Number(_) => ITEM,
            Self::Series(points) => ITEM + points.times.made() + points.numbers.made(),
        }
    }
}

/// A member of a set.
#[derive(Clone, Debug)]
pub struct Item<'a> {
    /// The labels that distinguish it from others.
    pub labels: Shared<'a, Labels>,
    /// Its data.
    pub data: Data<'a>,
}

/// The input and the result of an expression.
#[derive(Clone, Debug)]
pub enum Set<'a> {
    /// A source has returned no data.
    NoData,
    /// A number that belongs to nothing, like a constant.
    Scalar(Option<f64>),
    /// Series or numbers, at least one.
    Items(Vec<Item<'a>>),
}

impl<'a> Set<'a> {
    /// A frame for each member, whose numbers have the name of an expression.
    pub fn into_frames(self, ref_id: &str, meter: &mut Meter) -> Result<Vec<Frame>, Reason> {
        frames_of(self, ref_id, meter)
    }

    /// A set of items, of which there may be none.
    #[must_use]
    pub fn new(items: Vec<Item<'a>>) -> Self {
        if items.is_empty() { Self::NoData } else { Self::Items(items) }
    }

    /// Its members, if it has some.
    pub(super) fn items(&self) -> Option<&[Item<'a>]> {
        if let Self::Items(items) = self { Some(items) } else { None }
    }

    /// A set of one number without labels.
    pub(super) fn of_number(number: Option<f64>) -> Self {
        Self::Items(vec![Item { labels: no_labels(), data: Data::Number(number) }])
    }

    /// Replaces the data of each item. The memory of the old data is no longer held.
    pub(super) fn try_map(
        self,
        meter: &mut Meter,
        mut change: impl FnMut(&Labels, Data<'a>, &mut Meter) -> Result<Data<'a>, Reason>,
    ) -> Result<Self, Reason> {
        let made = match self {
            Self::NoData => return Ok(Self::NoData),
            Self::Scalar(number) => {
                return match change(&NO_LABELS, Data::Number(number), meter)? {
                    Data::Number(number) => Ok(Self::Scalar(number)),
                    data @ Data::Series(_) => Ok(Self::Items(vec![Item { labels: no_labels(), data }])),
                };
            }
            Self::Items(items) => items.into_iter().map(|Item { labels, data }| {
                let held = data.made();
                let data = change(&labels, data, meter)?;
                meter.hold(data.made())?;
                meter.release(held);
                Ok(Item { labels, data })
            }),
        };
        made.collect::<Result<_, _>>().map(Self::Items)
    }

    /// The memory that was allocated for it, in values.
    pub(super) fn made(&self) -> usize {
        match self {
            Self::NoData | Self::Scalar(_) => 0,
            Self::Items(items) => items.iter().map(|item| item.data.made()).sum(),
        }
    }
}

#[cfg(test)]
pub(super) mod examples {
    use super::*;

    /// Labels, like `host=a,zone=b`.
    pub(crate) fn labels(text: &str) -> Labels {
        let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// A number of a set.
    pub(crate) fn number(text: &str, number: impl Into<Option<f64>>) -> Item<'static> {
        Item { labels: labels(text).into(), data: Data::Number(number.into()) }
    }

    /// A series of a set.
    pub(crate) fn series(text: &str, points: &[(i64, Option<f64>)]) -> Item<'static> {
        let nulls: Vec<_> = points.iter().map(|(_, value)| value.is_none()).collect();
        let points = Points {
            times: points.iter().map(|(time, _)| *time).collect::<Vec<_>>().into(),
            numbers: points.iter().map(|(_, value)| value.unwrap_or(-99.0)).collect::<Vec<_>>().into(),
            nulls: if nulls.contains(&true) { nulls.into() } else { no_nulls() },
        };
        Item { labels: labels(text).into(), data: Data::Series(points) }
    }

    /// A set as a text that is easily compared: `host=a: 1 2 null`, with the times if `with_times` is true.
    pub(crate) fn show(set: &Set<'_>, with_times: bool) -> Vec<String> {
        let value = |value: Option<f64>| value.map_or("null".to_owned(), |value| value.to_string());
        match set {
            Set::NoData => vec!["no data".to_owned()],
            Set::Scalar(number) => vec![value(*number)],
            Set::Items(items) => items
                .iter()
                .map(|item| {
                    let labels: Vec<_> =
                        item.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    let values = match &item.data {
                        Data::Number(number) => value(*number),
                        Data::Series(points) => {
                            assert_eq!(points.times.len(), points.numbers.len());
                            let shown = points.iter().zip(points.times.iter()).map(|(number, time)| {
                                let number = value(number);
                                if with_times { format!("{time}={number}") } else { number }
                            });
                            format!("[{}]", shown.collect::<Vec<_>>().join(" "))
                        }
                    };
                    format!("{}: {values}", labels.join(","))
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::examples::{number, series};
    use super::*;

    #[test]
    fn values_know_which_are_null() {
        let Data::Series(points) = series("", &[(1, Some(1.0)), (2, None)]).data else { panic!() };
        assert_eq!(points.iter().collect::<Vec<_>>(), [Some(1.0), None]);
        assert!(points.or_nan()[1].is_nan());
        assert_eq!((points.len(), points.is_empty()), (2, false));
    }

    #[test]
    fn what_was_made_is_counted() {
        let made = series("", &[(1, Some(1.0)), (2, None)]);
        assert_eq!(made.data.made(), ITEM + 4);
        let set = Set::new(vec![made, number("a=1", 2.0)]);
        assert_eq!(set.made(), 2 * ITEM + 4);
        let (times, numbers) = (vec![1], vec![1.0]);
        let points = Points {
            times: Shared::Borrowed(&times),
            numbers: Shared::Borrowed(&numbers),
            nulls: no_nulls(),
        };
        assert_eq!(Data::Series(points).made(), ITEM);
        assert_eq!(Set::Scalar(None).made(), 0);
        assert!(matches!(Set::new(Vec::new()), Set::NoData));
    }

    #[test]
    fn what_nobody_else_has_is_not_copied() {
        let mut made: Shared<'_, Vec<f64>> = vec![1.0].into();
        let place = made.as_ptr();
        let other = made.clone();
        assert!(made.unique().is_none());
        drop(other);
        assert!(made.unique().is_some());
        let owned = made.into_owned();
        assert_eq!(owned.as_ptr(), place);
    }
}
