//! Helpers shared by the sources that speak SQL: macros in statements, and frames of rows.

pub(crate) mod epoch;
pub(crate) mod fill;
pub(crate) mod lexer;
pub(crate) mod macros;
pub(crate) mod time_series;
pub(crate) mod wide;

pub(crate) use macros::{MAX_MACRO_DEPTH, MAX_SQL_BYTES};
