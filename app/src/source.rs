//! Data sources, and queries to them.

pub mod backend;
pub mod data_source;
pub mod limit;
pub mod observer;
pub(crate) mod permission;
pub mod query;
pub mod room;

use std::sync::Arc;

/// The use cases of the area.
pub struct SourceServices {
    /// Data sources.
    pub data_sources: Arc<data_source::DataSources>,
    /// Queries to data sources.
    pub queries: Arc<query::Queries>,
}
