//! Data sources, correlations between them, and queries to them.

pub mod backend;
pub mod correlation;
pub mod data_source;
pub mod limit;
pub mod observer;
pub(crate) mod permission;
pub mod query;
pub mod room;

use std::sync::Arc;

/// The use cases of the area.
pub struct SourceServices {
    /// Correlations.
    pub correlations: Arc<correlation::Correlations>,
    /// Data sources.
    pub data_sources: Arc<data_source::DataSources>,
    /// Queries to data sources.
    pub queries: Arc<query::Queries>,
}
