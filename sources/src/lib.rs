//! Clients of data sources: the adapters of the port in `kymograph_app::source::backend`.

mod interval;
pub mod limit;
pub mod policy;
pub mod postgres;
mod sql;
pub mod testdata;
mod text;
