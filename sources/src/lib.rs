//! Clients of data sources: the adapters of the port in `kymograph_app::source::backend`.

pub mod alertmanager;
mod backend;
mod certificate;
pub mod client;
mod interval;
mod json;
pub mod limit;
pub mod loki;
mod parse;
pub mod policy;
pub mod postgres;
pub mod prometheus;
pub mod proxy;
mod series;
mod sql;
mod template;
pub mod testdata;
mod text;

#[cfg(test)]
mod fixture;
