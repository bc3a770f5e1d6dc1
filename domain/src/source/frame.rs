//! Frames: tables in columns, which are the results of data sources and the inputs of expressions.

use std::collections::BTreeMap;

use serde_json::Value;

/// The labels that distinguish the series of a frame.
pub type Labels = BTreeMap<String, String>;

/// A table in columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    /// The name, often empty.
    pub name: String,
    /// The metadata.
    pub meta: Option<Box<FrameMeta>>,
    /// The columns, all of the same length.
    pub fields: Vec<Field>,
}

impl Frame {
    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let cells = self.fields.iter().map(|field| field.column.bytes()).sum::<usize>();
        self.bytes_without_cells() + cells
    }

    /// The same without its cells: names, labels and metadata.
    #[must_use]
    pub fn bytes_without_cells(&self) -> usize {
        let fields = self.fields.iter().map(Field::bytes_without_cells).sum::<usize>();
        FRAME_BYTES + self.name.len() + self.meta.as_ref().map_or(0, |meta| meta.bytes()) + fields
    }
}

/// The memory of a frame, a column or a label in addition to its texts and cells, in bytes.
const FRAME_BYTES: usize = 128;
const FIELD_BYTES: usize = 256;
const LABEL_BYTES: usize = 64;

impl FrameMeta {
    fn bytes(&self) -> usize {
        let notices =
            self.notices.iter().map(|notice| notice.text.len() + size_of::<Notice>()).sum::<usize>();
        size_of::<Self>() + self.executed_query.as_ref().map_or(0, String::len) + notices
    }
}

/// The metadata of a frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameMeta {
    /// The kind of the frame, like `timeseries-multi`.
    pub kind: Option<&'static str>,
    /// The version of the kind.
    pub kind_version: [u16; 2],
    /// The query as it was sent.
    pub executed_query: Option<String>,
    /// How to show it, like `logs`.
    pub preferred_visualisation: Option<&'static str>,
    /// The notices for users.
    pub notices: Vec<Notice>,
    /// Metadata specific to this kind of source.
    pub custom: Option<Value>,
}

/// A notice for users about a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// `info`, `warning` or `error`.
    pub severity: &'static str,
    /// The text.
    pub text: String,
}

/// A column of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The name.
    pub name: String,
    /// The labels that distinguish it from other columns of its name; `None` if it has none.
    pub labels: Option<Labels>,
    /// How to show it.
    pub config: Option<Box<FieldConfig>>,
    /// The cells.
    pub column: Column,
}

/// How to show a column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldConfig {
    /// The name that the source gives it.
    pub display_name_from_ds: Option<String>,
    /// The time between points, in milliseconds.
    pub interval_ms: Option<f64>,
    /// The unit, by Grafana's id of it.
    pub unit: Option<String>,
    /// Whether people can filter by its cells.
    pub is_filterable: Option<bool>,
    /// Links from its cells, as Grafana writes them.
    pub links: Option<Value>,
}

/// The cells of a column, by type.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Points in time, in nanoseconds since 1970.
    Time(Cells<i64>),
    /// Numbers.
    Float64(Cells<f64>),
    /// Numbers of single precision.
    Float32(Cells<f32>),
    /// Whole numbers.
    Int64(Cells<i64>),
    /// Whole numbers of 32 bits.
    Int32(Cells<i32>),
    /// Whole numbers of 16 bits.
    Int16(Cells<i16>),
    /// Yes or no.
    Bool(Cells<bool>),
    /// Texts.
    Text(Cells<String>),
    /// JSON texts.
    Json(Cells<String>),
}

/// Cells of one type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cells<T> {
    /// The values. The value of a null cell is meaningless.
    pub values: Vec<T>,
    /// Whether a cell can be null.
    pub is_nullable: bool,
    /// Which cells are null: empty if none is, else as long as the values.
    pub nulls: Vec<bool>,
}

impl<T> Cells<T> {
    /// Cells that cannot be null.
    #[must_use]
    pub fn new(values: Vec<T>) -> Self {
        Self { values, is_nullable: false, nulls: Vec::new() }
    }

    /// Cells that can be null, of which none is.
    #[must_use]
    pub fn nullable(values: Vec<T>) -> Self {
        Self { is_nullable: true, ..Self::new(values) }
    }

    /// The number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True without cells.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many bytes the cells take, without what they point to.
    fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<T>() + self.nulls.capacity()
    }

    /// A cell; `None` if it is null or does not exist.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        let is_null = self.nulls.get(index).copied().unwrap_or_default();
        self.values.get(index).filter(|_| !is_null)
    }

    /// All cells, null ones as `None`.
    pub fn iter(&self) -> impl Iterator<Item = Option<&T>> {
        self.values
            .iter()
            .enumerate()
            .map(|(index, value)| if self.nulls.get(index) == Some(&true) { None } else { Some(value) })
    }
}

impl<T: Default> Cells<T> {
    /// Adds a cell. One without a value makes the column nullable.
    pub fn push(&mut self, value: Option<T>) {
        if value.is_none() {
            self.is_nullable = true;
            self.nulls.resize(self.values.len(), false);
        }
        if value.is_none() || !self.nulls.is_empty() {
            self.nulls.push(value.is_none());
        }
        self.values.push(value.unwrap_or_default());
    }
}

impl<T: Default> FromIterator<Option<T>> for Cells<T> {
    fn from_iter<I: IntoIterator<Item = Option<T>>>(cells: I) -> Self {
        let mut made = Self { values: Vec::new(), is_nullable: true, nulls: Vec::new() };
        cells.into_iter().for_each(|cell| made.push(cell));
        made
    }
}

impl Column {
    /// The number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Time(cells) | Self::Int64(cells) => cells.len(),
            Self::Float64(cells) => cells.len(),
            Self::Float32(cells) => cells.len(),
            Self::Int32(cells) => cells.len(),
            Self::Int16(cells) => cells.len(),
            Self::Bool(cells) => cells.len(),
            Self::Text(cells) | Self::Json(cells) => cells.len(),
        }
    }

    /// True without cells.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes the cells take in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Time(cells) | Self::Int64(cells) => cells.bytes(),
            Self::Float64(cells) => cells.bytes(),
            Self::Float32(cells) => cells.bytes(),
            Self::Int32(cells) => cells.bytes(),
            Self::Int16(cells) => cells.bytes(),
            Self::Bool(cells) => cells.bytes(),
            Self::Text(cells) | Self::Json(cells) => {
                cells.bytes() + cells.values.iter().map(String::capacity).sum::<usize>()
            }
        }
    }
}

impl Field {
    /// A column with neither labels nor configuration.
    pub fn new(name: impl Into<String>, column: Column) -> Self {
        Self { name: name.into(), labels: None, config: None, column }
    }

    fn bytes_without_cells(&self) -> usize {
        let label = |(name, value): (&String, &String)| LABEL_BYTES + name.len() + value.len();
        let labels = self.labels.iter().flatten().map(label).sum::<usize>();
        let shown = self.config.as_ref().and_then(|config| config.display_name_from_ds.as_ref());
        FIELD_BYTES + self.name.len() + labels + shown.map_or(0, String::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_know_which_are_null() {
        let mut cells = Cells::new(vec![1.5, 2.5]);
        assert_eq!((cells.get(1), cells.get(2), cells.is_nullable), (Some(&2.5), None, false));
        cells.push(None);
        cells.push(Some(4.5));
        assert_eq!(cells.iter().collect::<Vec<_>>(), [Some(&1.5), Some(&2.5), None, Some(&4.5)]);
        assert_eq!((cells.nulls.len(), cells.is_nullable, cells.len()), (4, true, 4));
        let full: Cells<i64> = [Some(1), Some(2)].into_iter().collect();
        assert_eq!((full.nulls.is_empty(), full.is_nullable, full.is_empty()), (true, true, false));
        assert_eq!(Column::Int64(full).len(), 2);
    }
}
