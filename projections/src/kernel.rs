//! The basis of every projection: the database, projectors and statements.

pub mod database;
pub mod moment;
pub mod projector;
pub mod statement;
pub(crate) mod text;
