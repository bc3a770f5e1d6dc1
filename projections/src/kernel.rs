//! The basis of every projection: the database, projectors and statements.

pub mod database;
pub mod moment;
pub mod projector;
pub(crate) mod rows;
pub mod sql;
pub mod statement;
pub(crate) mod text;
