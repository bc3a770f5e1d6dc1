//! The logs that are read through `postgres-es`: Kymograph's own, folded a second time to verify the first fold, and
//! those of other applications, to import them.
//!
//! It is a crate of its own because nothing else needs `postgres-es` and the `sqlx` under it. See
//! `docs/adr/0002-postgres-es.md`.

mod fold;
mod log;

pub use fold::PostgresEsFold;
pub use log::PostgresEsLog;
