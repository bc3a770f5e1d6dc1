//! Small conversions between values and columns.

use kymograph_app::kernel::text::searched_text;
use kymograph_app::{Error, Result};
use kymograph_domain::{OrgRole, Timestamp, Uid};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use crate::kernel::database::database_error;

/// The `LIKE` pattern that finds the significant part of a text anywhere in a column, with wildcards taken literally.
pub(crate) fn contains_pattern(text: &str) -> String {
    format!("%{}%", escaped(searched_text(text)))
}

/// The `LIKE` pattern for a text in which `*` stands for any text, with other wildcards taken literally.
pub(crate) fn wildcard_pattern(text: &str) -> String {
    escaped(text).replace('*', "%")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// A column whose value or null depends on stored data: an unexpected one is an error, not a panic.
pub(crate) fn stored<'a, T: FromSql<'a>>(row: &'a Row, column: &str) -> Result<T> {
    row.try_get(column).map_err(|error| database_error(&error))
}

/// A uid column. Stored values were validated before.
pub(crate) fn uid_column(row: &Row, column: &str) -> Result<Uid> {
    Uid::try_new(stored(row, column)?).map_err(Error::internal)
}

/// A uid column in which the empty text stands for `None`.
pub(crate) fn optional_uid_column(row: &Row, column: &str) -> Result<Option<Uid>> {
    match stored(row, column)? {
        "" => Ok(None),
        uid => Uid::try_new(uid).map(Some).map_err(Error::internal),
    }
}

/// The text of a uid, empty for `None`.
pub(crate) fn uid_or_empty(uid: Option<&Uid>) -> String {
    uid.map(Uid::to_string).unwrap_or_default()
}

/// A timestamp column.
pub(crate) fn timestamp_column(row: &Row, column: &str) -> Timestamp {
    Timestamp::from_date(row.get(column))
}

/// A timestamp column that may be null.
pub(crate) fn optional_timestamp_column(row: &Row, column: &str) -> Option<Timestamp> {
    row.get::<_, Option<_>>(column).map(Timestamp::from_date)
}

/// A role column.
pub(crate) fn role_column(row: &Row, column: &str) -> Result<OrgRole> {
    OrgRole::try_parse(stored(row, column)?).map_err(Error::internal)
}
