//! Clients of data sources: the adapters of the port in `kymograph_app::source::backend`.

pub mod alertmanager;
mod backend;
pub mod client;
mod interval;
mod json;
pub mod limit;
pub mod loki;
mod parse;
pub mod policy;
pub mod prometheus;
pub mod proxy;
mod series;
mod template;
mod text;

#[cfg(test)]
mod fixture;
