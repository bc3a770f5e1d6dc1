//! Converts the frames of sources to sets, and sets to frames.
//!
//! A frame with a time column becomes series: one for each column of numbers (wide), or for each of them and each
//! combination of texts (long). A table without times becomes numbers: the only row of each column of numbers, or each
//! row, distinguished by its texts. Equal times of successive series are stored once.

use std::collections::{BTreeMap, HashSet};

use super::join::MAX_SERIES;
use super::meter::Meter;
use super::reason::Reason;
use super::set::{Data, Item, Points, Set, Shared, no_labels, no_nulls};
use crate::source::frame::{Cells, Column, Field, Frame, FrameMeta, Labels};

/// The number of bytes of labels that count as one value.
const BYTES_OF_VALUE: usize = 8;
/// The memory of a frame without its cells, in values.
const FRAME: usize = 50;
/// The cost of a cell of a table, in steps.
const LOOK: usize = 8;
/// The label that distinguishes series that have no labels.
const NAME: &str = "name";

/// Converts frames to sets. The sets of one converter share times.
#[derive(Debug, Default)]
pub struct Converter<'a> {
    /// The times of the last series, which those of the next one often equal.
    last_times: Option<Shared<'a, Vec<i64>>>,
}

/// The interpretation of the columns of a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Series,
    /// A table of which only one column has numbers.
    Table,
    /// A frame whose metadata says that it has numbers.
    Numbers,
}

impl<'a> Converter<'a> {
    /// Converts the frames of a source to a set.
    pub fn set_of(&mut self, frames: &'a [Frame], meter: &mut Meter) -> Result<Set<'a>, Reason> {
        let mut made = Members::default();
        for frame in frames.iter().filter(|frame| !frame.fields.is_empty()) {
            let rows = frame.fields[0].column.len();
            if frame.fields.iter().any(|field| field.column.len() != rows) {
                return Err(Reason::Uneven(shown(frame)));
            }
            let before = made.items.len();
            match shape_of(frame) {
                Shape::Series => self.add_series(frame, &mut made, meter)?,
                shape => add_numbers(frame, rows, shape, &mut made, meter)?,
            }
            let held: usize = made.items[before..].iter().map(|item| item.data.made()).sum();
            meter.work(frame.fields.len() + held)?;
            meter.hold(held)?;
        }
        made.tell_apart();
        Ok(Set::new(made.items))
    }

    fn add_series(
        &mut self,
        frame: &'a Frame,
        made: &mut Members<'a>,
        meter: &mut Meter,
    ) -> Result<(), Reason> {
        let times = frame.fields.iter().find_map(|field| match &field.column {
            Column::Time(times) => Some(times),
            _ => None,
        });
        let numbers = frame.fields.iter().filter_map(|field| Some((field, numbers_of(&field.column)?)));
        let numbers: Vec<_> = numbers.collect();
        let Some(times) = times.filter(|_| !numbers.is_empty()) else {
            return Err(Reason::NoNumbers(shown(frame)));
        };
        if frame.fields.iter().any(|field| matches!(field.column, Column::Text(_))) {
            return add_long(frame, times, &numbers, made, meter);
        }
        let (times, order) = self.times(times);
        for (field, (numbers, nulls)) in numbers {
            let (numbers, nulls) = match &order {
                None => (numbers, nulls),
                Some(order) => picked(&numbers, &nulls, order),
            };
            let labels = field.labels.as_ref().map_or_else(no_labels, Shared::Borrowed);
            made.add(frame, field, labels, Data::Series(Points { times: times.clone(), numbers, nulls }));
        }
        Ok(())
    }

    /// The times in order, with their places in the frame if those are different. Times that equal those of the last
    /// series are stored once.
    fn times(&mut self, times: &'a Cells<i64>) -> (Shared<'a, Vec<i64>>, Option<Vec<usize>>) {
        match &self.last_times {
            Some(last) if !times.nulls.contains(&true) && **last == times.values => {
                return (last.clone(), None);
            }
            _ => {}
        }
        let Some(order) = order_of(times) else {
            return (self.last_times.insert(Shared::Borrowed(&times.values)).clone(), None);
        };
        let times: Vec<_> = order.iter().map(|place| times.values[*place]).collect();
        (times.into(), Some(order))
    }
}

/// The members of a set that is being built.
#[derive(Default)]
struct Members<'a> {
    items: Vec<Item<'a>>,
    /// The names that the source gives each member: of the column, and of the frame.
    names: Vec<[&'a str; 2]>,
}

impl<'a> Members<'a> {
    fn add(&mut self, frame: &'a Frame, field: &'a Field, labels: Shared<'a, Labels>, data: Data<'a>) {
        let shown = field.config.as_ref().and_then(|config| config.display_name_from_ds.as_deref());
        self.items.push(Item { labels, data });
        self.names.push([shown.unwrap_or(&field.name), &frame.name]);
    }

    /// If no member has labels, distinguishes several members by their names.
    fn tell_apart(&mut self) {
        if self.items.len() < 2 || self.items.iter().any(|item| !item.labels.is_empty()) {
            return;
        }
        let are_different = |which: &usize| {
            self.names.iter().map(|names| names[*which]).collect::<HashSet<_>>().len() == self.names.len()
        };
        let Some(which) = [0, 1].into_iter().find(are_different) else { return };
        for (item, names) in self.items.iter_mut().zip(&self.names) {
            item.labels = Labels::from([(NAME.to_owned(), names[which].to_owned())]).into();
        }
    }
}

/// Adds the series of a frame whose rows belong to different series.
fn add_long<'a>(
    frame: &'a Frame,
    times: &Cells<i64>,
    numbers: &[(&'a Field, Numbers<'a>)],
    made: &mut Members<'a>,
    meter: &mut Meter,
) -> Result<(), Reason> {
    let texts = texts_of(frame);
    let mut series: BTreeMap<Vec<Option<&str>>, Vec<usize>> = BTreeMap::new();
    let order: Vec<_> = order_of(times).unwrap_or_else(|| (0..times.len()).collect());
    meter.work(order.len() * (texts.len() + numbers.len()) * LOOK)?;
    for place in order {
        let key = texts.iter().map(|(_, cells)| cells.get(place).map(String::as_str)).collect();
        series.entry(key).or_default().push(place);
    }
    if series.len().saturating_mul(numbers.len()) > MAX_SERIES {
        return Err(Reason::TooManySeries);
    }
    for (key, places) in series {
        let times: Shared<'a, Vec<i64>> =
            places.iter().map(|place| times.values[*place]).collect::<Vec<_>>().into();
        for (field, (values, nulls)) in numbers {
            let mut labels = labels_of(&texts, &key);
            labels.extend(field.labels.iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
            if numbers.len() > 1 {
                labels.entry(NAME.to_owned()).or_insert_with(|| field.name.clone());
            }
            let (numbers, nulls) = picked(values, nulls, &places);
            meter.hold(weight(&labels))?;
            let data = Data::Series(Points { times: times.clone(), numbers, nulls });
            made.add(frame, field, labels.into(), data);
        }
    }
    Ok(())
}

/// The name of a frame for error messages.
fn shown(frame: &Frame) -> String {
    const MAX: usize = 100;
    let name: String = frame.name.chars().take(MAX).collect();
    format!("`{name}`")
}

fn shape_of(frame: &Frame) -> Shape {
    let kind = frame.meta.as_ref().and_then(|meta| meta.kind).unwrap_or_default();
    let has_time = frame.fields.iter().any(|field| matches!(field.column, Column::Time(_)));
    match kind {
        kind if kind.starts_with("numeric-") => Shape::Numbers,
        _ if has_time => Shape::Series,
        _ => Shape::Table,
    }
}

/// The places of the times in ascending order, without those that are null; `None` if they are in order and not null.
fn order_of(times: &Cells<i64>) -> Option<Vec<usize>> {
    let has_nulls = times.nulls.contains(&true);
    if !has_nulls && times.values.is_sorted() {
        return None;
    }
    let mut order: Vec<_> = (0..times.len()).filter(|place| times.get(*place).is_some()).collect();
    order.sort_by_key(|place| times.values[*place]);
    Some(order)
}

/// Numbers, and which of them are null.
type Numbers<'a> = (Shared<'a, Vec<f64>>, Shared<'a, Vec<bool>>);

/// The numbers of a column, if it has numbers.
#[expect(clippy::cast_precision_loss, reason = "expressions work with floating point numbers")]
fn numbers_of(column: &Column) -> Option<Numbers<'_>> {
    fn made<T: Copy>(cells: &Cells<T>, number: fn(T) -> f64) -> Numbers<'_> {
        let numbers: Vec<_> = cells.values.iter().map(|value| number(*value)).collect();
        (numbers.into(), nulls_of(cells))
    }
    match column {
        Column::Float64(cells) => Some((Shared::Borrowed(&cells.values), nulls_of(cells))),
        Column::Float32(cells) => Some(made(cells, f64::from)),
        Column::Int64(cells) => Some(made(cells, |value| value as f64)),
        Column::Int32(cells) => Some(made(cells, f64::from)),
        Column::Int16(cells) => Some(made(cells, f64::from)),
        Column::Bool(cells) => Some(made(cells, f64::from)),
        Column::Time(_) | Column::Text(_) | Column::Json(_) => None,
    }
}

fn nulls_of<T>(cells: &Cells<T>) -> Shared<'_, Vec<bool>> {
    match cells.nulls.contains(&true) {
        false => no_nulls(),
        true if cells.nulls.len() == cells.len() => Shared::Borrowed(&cells.nulls),
        true => (0..cells.len()).map(|place| cells.get(place).is_none()).collect::<Vec<_>>().into(),
    }
}

/// The numbers at some places.
fn picked<'a>(numbers: &[f64], nulls: &[bool], places: &[usize]) -> Numbers<'a> {
    let numbers: Vec<_> = places.iter().map(|place| numbers[*place]).collect();
    let nulls: Vec<_> = places.iter().map(|place| nulls.get(*place).copied().unwrap_or_default()).collect();
    (numbers.into(), if nulls.contains(&true) { nulls.into() } else { no_nulls() })
}

/// The columns of texts with their names.
fn texts_of(frame: &Frame) -> Vec<(&str, &Cells<String>)> {
    let texts = frame.fields.iter().filter_map(|field| match &field.column {
        Column::Text(cells) => Some((field.name.as_str(), cells)),
        _ => None,
    });
    texts.collect()
}

/// Labels of the texts of a row.
fn labels_of(texts: &[(&str, &Cells<String>)], values: &[Option<&str>]) -> Labels {
    let labels = texts.iter().zip(values).filter_map(|((name, _), value)| Some((*name, (*value)?)));
    labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Adds the numbers of a table.
fn add_numbers<'a>(
    frame: &'a Frame,
    rows: usize,
    shape: Shape,
    made: &mut Members<'a>,
    meter: &mut Meter,
) -> Result<(), Reason> {
    let numbers: Vec<_> =
        frame.fields.iter().filter_map(|field| Some((field, numbers_of(&field.column)?))).collect();
    let texts = texts_of(frame);
    match (shape, numbers.len()) {
        (_, 0) => return Err(Reason::NoNumbers(shown(frame))),
        (Shape::Table, 2..) if !texts.is_empty() => return Err(Reason::ManyNumbers(shown(frame))),
        _ => {}
    }
    if rows.saturating_mul(numbers.len()) > MAX_SERIES {
        return Err(Reason::TooManySeries);
    }
    meter.work(rows.saturating_mul(texts.len() + numbers.len()).saturating_mul(LOOK))?;
    let mut known = HashSet::new();
    for row in 0..rows {
        let key: Vec<_> = texts.iter().map(|(_, cells)| cells.get(row).map(String::as_str)).collect();
        for (field, (values, nulls)) in &numbers {
            let is_null = nulls.get(row).copied().unwrap_or_default();
            let data = Data::Number((!is_null).then(|| values[row]));
            let labels = match (texts.is_empty(), &field.labels) {
                (true, None) => no_labels(),
                (true, Some(labels)) => Shared::Borrowed(labels),
                (false, own) => {
                    let mut labels = labels_of(&texts, &key);
                    labels.extend(own.iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
                    if numbers.len() > 1 {
                        labels.entry(NAME.to_owned()).or_insert_with(|| field.name.clone());
                    }
                    meter.hold(weight(&labels))?;
                    labels.into()
                }
            };
            made.add(frame, field, labels, data);
        }
        if !known.insert(key) {
            return Err(Reason::SameLabels(shown(frame)));
        }
    }
    Ok(())
}

/// The memory of labels, in values.
fn weight(labels: &Labels) -> usize {
    let bytes = labels.iter().map(|(name, value)| name.len() + value.len() + size_of::<[String; 2]>());
    bytes.sum::<usize>() / BYTES_OF_VALUE
}

/// Frames of a set, one for each member, whose numbers have the name of their expression.
pub(super) fn frames_of(set: Set<'_>, ref_id: &str, meter: &mut Meter) -> Result<Vec<Frame>, Reason> {
    let frame = |kind, fields| {
        let meta = FrameMeta { kind: Some(kind), kind_version: [0, 1], ..FrameMeta::default() };
        Frame { name: String::new(), meta: Some(Box::new(meta)), fields }
    };
    let number = |number: Option<f64>, labels: Option<Labels>| {
        let column = Column::Float64(std::iter::once(number).collect());
        frame("numeric-multi", vec![Field { labels, ..Field::new(ref_id, column) }])
    };
    let items = match set {
        Set::NoData => return Ok(vec![Frame { name: "no data".to_owned(), ..Frame::default() }]),
        Set::Scalar(scalar) => return Ok(vec![number(scalar, None)]),
        Set::Items(items) => items,
    };
    let frames = items.into_iter().map(|Item { labels, data }| {
        meter.release(data.made());
        let points = if let Data::Series(points) = &data { points.times.len() + points.len() } else { 1 };
        meter.hold(FRAME + weight(&labels) + points)?;
        let labels = (!labels.is_empty()).then(|| labels.into_owned());
        Ok(match data {
            Data::Number(value) => number(value, labels),
            Data::Series(Points { times, numbers, nulls }) => {
                // Shared times are copied, and so is all borrowed data.
                let times = Column::Time(Cells::new(times.into_owned()));
                let values = numbers.into_owned();
                let numbers = Column::Float64(Cells { values, is_nullable: true, nulls: nulls.into_owned() });
                let numbers = Field { labels, ..Field::new(ref_id, numbers) };
                frame("timeseries-multi", vec![Field::new("Time", times), numbers])
            }
        })
    });
    frames.collect()
}

#[cfg(test)]
mod tests;
