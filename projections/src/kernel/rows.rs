//! Writing many rows with one statement.
//!
//! Rows are passed as one list per column, expanded by `unnest`: one statement text, whatever their number. Citus
//! cannot write the result of a function into tables with row level security, so for distributed tables each row is
//! written out.

use std::array;
use std::sync::OnceLock;

use time::OffsetDateTime;

use crate::kernel::sql::{Place, Tables, Values};
use crate::kernel::statement::{Param, Statements};

/// The possible numbers of written-out rows in a statement: few, because each has a text that each connection prepares.
const GROUPS: [usize; 5] = [64, 16, 4, 2, 1];

/// The value of a row in a column.
pub(crate) enum Cell {
    Int(i64),
    Text(String),
    Texts(Vec<String>),
    Time(OffsetDateTime),
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&[String]> for Cell {
    fn from(value: &[String]) -> Self {
        Self::Texts(value.to_vec())
    }
}

impl From<OffsetDateTime> for Cell {
    fn from(value: OffsetDateTime) -> Self {
        Self::Time(value)
    }
}

impl Cell {
    fn param(self) -> Param {
        match self {
            Self::Int(value) => Box::new(value),
            Self::Text(value) => Box::new(value),
            Self::Texts(value) => Box::new(value),
            Self::Time(value) => Box::new(value),
        }
    }
}

/// A column of rows. Lists of lists must be of equal length, so each inner list is written as a literal.
enum Column {
    Ints(Vec<i64>),
    Texts(Vec<String>),
    Times(Vec<OffsetDateTime>),
}

impl Column {
    fn of(cells: impl Iterator<Item = Cell>) -> Self {
        let mut cells = cells.peekable();
        match cells.peek() {
            Some(Cell::Int(_)) => Self::Ints(
                cells
                    .filter_map(|cell| if let Cell::Int(value) = cell { Some(value) } else { None })
                    .collect(),
            ),
            Some(Cell::Time(_)) => Self::Times(
                cells
                    .filter_map(|cell| if let Cell::Time(value) = cell { Some(value) } else { None })
                    .collect(),
            ),
            _ => Self::Texts(cells.filter_map(text).collect()),
        }
    }

    fn param(self) -> Param {
        match self {
            Self::Ints(values) => Box::new(values),
            Self::Texts(values) => Box::new(values),
            Self::Times(values) => Box::new(values),
        }
    }
}

fn text(cell: Cell) -> Option<String> {
    match cell {
        Cell::Text(value) => Some(value),
        Cell::Texts(values) => Some(list_literal(&values)),
        Cell::Int(_) | Cell::Time(_) => None,
    }
}

/// A list of texts as a PostgreSQL literal.
fn list_literal(texts: &[String]) -> String {
    let quoted = texts.iter().map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

/// The parameters of a statement on lists.
fn lists<const N: usize>(org: i64, rows: Vec<[Cell; N]>) -> Vec<Param> {
    let mut rows: Vec<array::IntoIter<Cell, N>> = rows.into_iter().map(IntoIterator::into_iter).collect();
    let columns = (0..N).map(|_| Column::of(rows.iter_mut().filter_map(Iterator::next)).param());
    std::iter::once(Box::new(org) as Param).chain(columns).collect()
}

/// A statement that writes rows of an org, `$1`.
pub(crate) struct ManyRows {
    /// The text before the rows.
    pub(crate) before: &'static str,
    /// The rows, taken from lists.
    pub(crate) of_lists: &'static str,
    /// The text with the rows written out, with `{rows}` as their placeholder.
    pub(crate) written: &'static str,
    /// The text of one row, in which `?` is a parameter.
    pub(crate) row: &'static str,
    /// The text after the rows.
    pub(crate) after: &'static str,
    /// The complete texts, made at first use.
    pub(crate) texts: Texts,
}

/// The text with lists, and the texts with the numbers of rows in [`GROUPS`].
pub(crate) struct Texts {
    of_lists: OnceLock<String>,
    written: [OnceLock<String>; GROUPS.len()],
}

impl Texts {
    pub(crate) const fn new() -> Self {
        Self { of_lists: OnceLock::new(), written: [const { OnceLock::new() }; GROUPS.len()] }
    }
}

impl ManyRows {
    /// Adds the statements that write the rows.
    pub(crate) fn write<const N: usize>(
        &'static self,
        org: i64,
        rows: Vec<[Cell; N]>,
        statements: &mut Statements,
    ) {
        match statements.tables() {
            Tables::Local => {
                let params = lists(org, rows);
                let text = || [self.before, self.of_lists, self.after].concat();
                statements.write(self.texts.of_lists.get_or_init(text), params);
            }
            Tables::Distributed => {
                let mut rows = rows.into_iter();
                while rows.len() > 0 {
                    let fits = |size: &usize| *size <= rows.len();
                    let place = GROUPS.iter().position(fits).unwrap_or(GROUPS.len() - 1);
                    let mut values: Values<Param> = Values::default();
                    values.push(Box::new(org));
                    for row in rows.by_ref().take(GROUPS[place]) {
                        values.push_all(row.map(Cell::param));
                    }
                    let text = || self.with_rows(GROUPS[place]);
                    statements.write(self.texts.written[place].get_or_init(text), values.into_vec());
                }
            }
        }
    }

    /// The text with `count` rows.
    fn with_rows(&self, count: usize) -> String {
        let mut places = (2..).map(Place);
        let mut row = || {
            let mut parts = self.row.split('?');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.zip(&mut places).fold(first, |text, (part, place)| format!("{text}{place}{part}"))
        };
        let rows: Vec<_> = (0..count).map(|_| row()).collect();
        [self.before, &self.written.replace("{rows}", &rows.join(", ")), self.after].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static ROWS: ManyRows = ManyRows {
        before: "INSERT INTO t (org_id, id, tags) ",
        of_lists: "SELECT $1, id, tags::text[] FROM unnest($2::bigint[], $3::text[]) AS new (id, tags)",
        written: "VALUES {rows}",
        row: "($1, ?, ?::text[])",
        after: " ON CONFLICT DO NOTHING",
        texts: Texts::new(),
    };

    fn texts(tables: Tables, count: i64) -> Vec<(&'static str, usize)> {
        let mut statements = Statements::on(tables);
        let rows = (0..count).map(|id| [id.into(), Cell::Texts(vec!["a".to_owned()])]).collect();
        ROWS.write(7, rows, &mut statements);
        statements.into_vec().iter().map(|statement| (statement.sql, statement.params.len())).collect()
    }

    #[test]
    fn rows_are_lists_or_written_out() {
        let lists = "INSERT INTO t (org_id, id, tags) SELECT $1, id, tags::text[] FROM unnest($2::bigint[], \
            $3::text[]) AS new (id, tags) ON CONFLICT DO NOTHING";
        assert_eq!(texts(Tables::Local, 3), [(lists, 3)]);
        let two = "INSERT INTO t (org_id, id, tags) VALUES ($1, $2, $3::text[]), ($1, $4, $5::text[]) \
            ON CONFLICT DO NOTHING";
        let one = "INSERT INTO t (org_id, id, tags) VALUES ($1, $2, $3::text[]) ON CONFLICT DO NOTHING";
        assert_eq!(texts(Tables::Distributed, 3), [(two, 5), (one, 3)]);
    }

    #[test]
    fn few_texts_write_any_number_of_rows() {
        let params =
            texts(Tables::Distributed, 151).iter().map(|(_, params)| (params - 1) / 2).collect::<Vec<_>>();
        assert_eq!(params, [64, 64, 16, 4, 2, 1]);
    }

    #[test]
    fn a_list_of_texts_is_quoted() {
        let texts = ["a,b", "\"", "\\", "{}"].map(str::to_owned);
        assert_eq!(list_literal(&texts), r#"{"a,b","\"","\\","{}"}"#);
    }
}
