//! Converts the rows of a server to columns.

use fallible_iterator::FallibleIterator;
use kymograph_domain::kernel::json::{MAX_DEPTH, depth_of_text};
use kymograph_domain::source::frame::{Cells, Column, Field};
use postgres_protocol::Oid;
use postgres_protocol::message::backend::RowDescriptionBody;
use serde::de::IgnoredAny;

use super::error::SourceError;
use super::numeric::number;

/// The maximum number of columns of a table, which is that of PostgreSQL.
pub const MAX_COLUMNS: usize = 1664;

/// The bytes of a cell in addition to what the server sends for it.
const TEXT_BYTES: usize = size_of::<String>() + 1;
const NUMBER_BYTES: usize = size_of::<f64>() + 1;

/// From 1970 to 2000, the epoch of PostgreSQL.
const EPOCH_DAYS: i64 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS * DAY_MICROS;
const DAY_MICROS: i64 = 86_400_000_000;

/// The types requested in PostgreSQL's binary format; all others are requested as text.
mod oid {
    pub(super) const BOOL: u32 = 16;
    pub(super) const INT8: u32 = 20;
    pub(super) const INT2: u32 = 21;
    pub(super) const INT4: u32 = 23;
    pub(super) const OID: u32 = 26;
    pub(super) const JSON: u32 = 114;
    pub(super) const FLOAT4: u32 = 700;
    pub(super) const FLOAT8: u32 = 701;
    pub(super) const DATE: u32 = 1082;
    pub(super) const TIMESTAMP: u32 = 1114;
    pub(super) const TIMESTAMPTZ: u32 = 1184;
    pub(super) const NUMERIC: u32 = 1700;
    pub(super) const JSONB: u32 = 3802;
}

/// A table that grows row by row.
pub(super) struct Table {
    columns: Vec<(String, Builder)>,
    rows: usize,
    /// The bytes of a row in addition to what the server sends for it.
    row_bytes: usize,
    /// The number of times that a frame cannot represent.
    lost_times: usize,
}

/// A column that grows cell by cell.
enum Builder {
    Bool(Cells<bool>),
    Int16(Cells<i16>),
    Int32(Cells<i32>),
    Int64(Cells<i64>),
    Oid(Cells<i64>),
    Float32(Cells<f32>),
    Float64(Cells<f64>),
    Numeric(Cells<f64>),
    Timestamp(Cells<i64>),
    Date(Cells<i64>),
    Text(Cells<String>),
    Json(Cells<String>),
}

impl Table {
    /// A table with the columns of a statement.
    pub(super) fn of(description: &RowDescriptionBody) -> Result<Self, SourceError> {
        let mut fields = description.fields();
        let mut columns = Vec::new();
        while let Some(field) = fields.next()? {
            if columns.len() == MAX_COLUMNS {
                return Err(SourceError::Lost(format!("the table has more than {MAX_COLUMNS} columns")));
            }
            columns.push((field.name().to_owned(), Builder::of(field.type_oid())));
        }
        let row_bytes = columns.iter().map(|(_, builder)| builder.cell_bytes()).sum();
        Ok(Self { columns, rows: 0, row_bytes, lost_times: 0 })
    }

    /// The format requested for each column: 1 is binary, 0 is text.
    pub(super) fn formats(&self) -> impl Iterator<Item = i16> {
        self.columns.iter().map(|(_, builder)| match builder {
            Builder::Text(_) | Builder::Json(_) => 0,
            _ => 1,
        })
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn lost_times(&self) -> usize {
        self.lost_times
    }

    /// The bytes of a row for which the server sends `sent` bytes.
    pub(super) fn cost(&self, sent: usize) -> usize {
        self.row_bytes + sent
    }

    /// Adds a row: the number of cells, and each with its length.
    pub(super) fn push(&mut self, row: &[u8]) -> Result<(), SourceError> {
        let (count, mut rest) = row.split_first_chunk::<2>().ok_or_else(broken)?;
        if usize::from(u16::from_be_bytes(*count)) != self.columns.len() {
            return Err(broken());
        }
        for (_, builder) in &mut self.columns {
            let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
            let cell;
            // The length of a null is negative.
            (cell, rest) = match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    let (cell, tail) = tail.split_at_checked(length).ok_or_else(broken)?;
                    (Some(cell), tail)
                }
                Err(_) => (None, tail),
            };
            self.lost_times += usize::from(!builder.push(cell)?);
        }
        self.rows += 1;
        if rest.is_empty() { Ok(()) } else { Err(broken()) }
    }

    /// The columns, each of which is nullable.
    pub(super) fn into_fields(self) -> Vec<Field> {
        self.columns.into_iter().map(|(name, builder)| Field::new(name, builder.into_column())).collect()
    }
}

fn not_utf8() -> SourceError {
    SourceError::Lost("it sent text that is not UTF-8".to_owned())
}

fn broken() -> SourceError {
    SourceError::Lost("a row is not what was announced".to_owned())
}

fn fixed<const N: usize>(cell: &[u8]) -> Result<[u8; N], SourceError> {
    cell.try_into().map_err(|_| broken())
}

impl Builder {
    fn of(kind: Oid) -> Self {
        fn empty<T>() -> Cells<T> {
            Cells::nullable(Vec::new())
        }
        match kind {
            oid::BOOL => Self::Bool(empty()),
            oid::INT2 => Self::Int16(empty()),
            oid::INT4 => Self::Int32(empty()),
            oid::INT8 => Self::Int64(empty()),
            oid::OID => Self::Oid(empty()),
            oid::FLOAT4 => Self::Float32(empty()),
            oid::FLOAT8 => Self::Float64(empty()),
            oid::NUMERIC => Self::Numeric(empty()),
            oid::TIMESTAMP | oid::TIMESTAMPTZ => Self::Timestamp(empty()),
            oid::DATE => Self::Date(empty()),
            oid::JSON | oid::JSONB => Self::Json(empty()),
            _ => Self::Text(empty()),
        }
    }

    fn cell_bytes(&self) -> usize {
        match self {
            Self::Text(_) | Self::Json(_) => TEXT_BYTES,
            _ => NUMBER_BYTES,
        }
    }

    /// Adds a cell. False if it is a time that a frame cannot represent, which becomes null.
    fn push(&mut self, cell: Option<&[u8]>) -> Result<bool, SourceError> {
        fn decoded<T, const N: usize>(
            cell: Option<&[u8]>,
            value: impl Fn([u8; N]) -> T,
        ) -> Result<Option<T>, SourceError> {
            cell.map(|cell| fixed(cell).map(value)).transpose()
        }
        let mut is_kept = true;
        let mut time = |cells: &mut Cells<i64>, time: Option<Option<i64>>| {
            is_kept = time != Some(None);
            cells.push(time.flatten());
        };
        match self {
            Self::Bool(cells) => cells.push(decoded(cell, |[byte]| byte != 0)?),
            Self::Int16(cells) => cells.push(decoded(cell, i16::from_be_bytes)?),
            Self::Int32(cells) => cells.push(decoded(cell, i32::from_be_bytes)?),
            Self::Int64(cells) => cells.push(decoded(cell, i64::from_be_bytes)?),
            Self::Oid(cells) => cells.push(decoded(cell, u32::from_be_bytes)?.map(i64::from)),
            Self::Float32(cells) => cells.push(decoded(cell, f32::from_be_bytes)?),
            Self::Float64(cells) => cells.push(decoded(cell, f64::from_be_bytes)?),
            Self::Numeric(cells) => cells.push(cell.map(|cell| number(cell).ok_or_else(broken)).transpose()?),
            Self::Timestamp(cells) => time(cells, decoded(cell, i64::from_be_bytes)?.map(instant)),
            Self::Date(cells) => time(cells, decoded(cell, i32::from_be_bytes)?.map(midnight)),
            Self::Text(cells) => {
                let text = |cell: &[u8]| std::str::from_utf8(cell).map(str::to_owned).map_err(|_| not_utf8());
                cells.push(cell.map(text).transpose()?);
            }
            Self::Json(cells) => cells.push(cell.map(json).transpose()?),
        }
        Ok(is_kept)
    }

    fn into_column(self) -> Column {
        match self {
            Self::Bool(cells) => Column::Bool(cells),
            Self::Int16(cells) => Column::Int16(cells),
            Self::Int32(cells) => Column::Int32(cells),
            Self::Int64(cells) | Self::Oid(cells) => Column::Int64(cells),
            Self::Float32(cells) => Column::Float32(cells),
            Self::Float64(cells) | Self::Numeric(cells) => Column::Float64(cells),
            Self::Timestamp(cells) | Self::Date(cells) => Column::Time(cells),
            Self::Text(cells) => Column::Text(cells),
            Self::Json(cells) => Column::Json(cells),
        }
    }
}

/// Microseconds since 2000 as nanoseconds since 1970; `None` for infinity and for values beyond 64 bits.
fn instant(micros: i64) -> Option<i64> {
    micros.checked_add(EPOCH_MICROS)?.checked_mul(1000)
}

/// Days since 2000 as nanoseconds since 1970.
fn midnight(days: i32) -> Option<i64> {
    (i64::from(days) + EPOCH_DAYS).checked_mul(DAY_MICROS)?.checked_mul(1000)
}

/// The maximum length of a JSON text that becomes a string, which can take six times as much.
const MAX_DEEP_BYTES: usize = 64 * 1024;

/// A JSON text. One that is nested too deeply cannot be part of a response, and becomes a JSON string.
fn json(cell: &[u8]) -> Result<String, SourceError> {
    let text = std::str::from_utf8(cell).map_err(|_| not_utf8())?;
    // The depth is checked first: a text that is too deep cannot be parsed here.
    if depth_of_text(text) <= MAX_DEPTH {
        let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
        return if is_json { Ok(text.to_owned()) } else { Err(broken()) };
    }
    if text.len() <= MAX_DEEP_BYTES {
        return Ok(serde_json::Value::from(text).to_string());
    }
    Err(SourceError::Lost("a cell has JSON that is nested too deeply".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[Option<&[u8]>]) -> Vec<u8> {
        let mut row = u16::try_from(cells.len()).unwrap().to_be_bytes().to_vec();
        for cell in cells {
            match cell {
                Some(bytes) => {
                    row.extend(i32::try_from(bytes.len()).unwrap().to_be_bytes());
                    row.extend(*bytes);
                }
                None => row.extend((-1_i32).to_be_bytes()),
            }
        }
        row
    }

    fn table(kinds: &[Oid]) -> Table {
        let columns: Vec<_> = kinds.iter().map(|kind| ("c".to_owned(), Builder::of(*kind))).collect();
        Table { columns, rows: 0, row_bytes: 0, lost_times: 0 }
    }

    #[test]
    fn cells_come_by_type() {
        let mut table =
            table(&[oid::BOOL, oid::INT8, oid::FLOAT4, oid::TIMESTAMPTZ, oid::DATE, 25, oid::JSONB]);
        assert_eq!(table.formats().collect::<Vec<_>>(), [1, 1, 1, 1, 1, 0, 0]);
        let full: [Option<&[u8]>; 7] = [
            Some(&[1]),
            Some(&7_i64.to_be_bytes()),
            Some(&1.5_f32.to_be_bytes()),
            Some(&1_i64.to_be_bytes()),
            Some(&(-10_957_i32).to_be_bytes()),
            Some(b"ab\xc3\xa9"),
            Some(b"{\"a\": 1}"),
        ];
        table.push(&row(&full)).unwrap();
        table.push(&row(&[None; 7])).unwrap();
        let columns: Vec<_> = table.into_fields().into_iter().map(|field| field.column).collect();
        assert_eq!(columns[0], Column::Bool(Cells::from_iter([Some(true), None])));
        assert_eq!(columns[1], Column::Int64(Cells::from_iter([Some(7), None])));
        assert_eq!(columns[2], Column::Float32(Cells::from_iter([Some(1.5), None])));
        assert_eq!(columns[3], Column::Time(Cells::from_iter([Some(946_684_800_000_001_000), None])));
        assert_eq!(columns[4], Column::Time(Cells::from_iter([Some(0), None])));
        assert_eq!(columns[5], Column::Text(Cells::from_iter([Some("ab\u{e9}".to_owned()), None])));
        assert_eq!(columns[6], Column::Json(Cells::from_iter([Some("{\"a\": 1}".to_owned()), None])));
    }

    #[test]
    fn times_beyond_a_frame_are_null_and_counted() {
        let mut table = table(&[oid::TIMESTAMP, oid::DATE]);
        for (micros, days) in
            [(i64::MAX, i32::MAX), (i64::MIN, i32::MIN), (9_000_000_000_000_000_000, 200_000)]
        {
            table.push(&row(&[Some(&micros.to_be_bytes()), Some(&days.to_be_bytes())])).unwrap();
        }
        assert_eq!((table.lost_times(), table.rows()), (6, 3));
        assert!(table.into_fields().iter().all(|field| match &field.column {
            Column::Time(cells) => cells.iter().all(|cell| cell.is_none()),
            _ => false,
        }));
    }

    #[test]
    fn a_row_that_is_not_as_announced_is_refused() {
        let good = row(&[Some(&1_i32.to_be_bytes())]);
        for broken in [
            &[][..],
            &[0],
            &[0, 2],
            &good[..good.len() - 1],
            &[good.as_slice(), &[0]].concat(),
            &row(&[Some(&[1])]),
            &[0, 1, 0x7f, 0xff, 0xff, 0xff, 1],
        ] {
            assert!(table(&[oid::INT4]).push(broken).is_err(), "{broken:?}");
        }
        assert!(table(&[oid::INT4]).push(&good).is_ok());
    }

    #[test]
    fn what_is_no_json_is_refused_and_what_is_too_deep_becomes_a_text() {
        assert_eq!(json(b"[1, 2]").unwrap(), "[1, 2]");
        for broken in [&b"],\"evil\":["[..], b"\"\xff\"", b"\x01"] {
            assert!(json(broken).is_err(), "{broken:?}");
        }
        let deep = |depth| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(json(&deep(1000)).unwrap().starts_with('"'));
        assert!(json(&deep(MAX_DEEP_BYTES)).is_err());
    }
}
