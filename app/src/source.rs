//! Data sources, and asking them.

pub mod backend;
