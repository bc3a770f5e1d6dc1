//! Data sources, and correlations between them.

pub mod correlation;
pub mod data_source;

use crate::kernel::projector::Projector;

/// The projectors of the area.
pub(crate) fn projectors() -> Vec<Box<dyn Projector>> {
    vec![Box::new(data_source::DataSourceProjector), Box::new(correlation::CorrelationProjector)]
}
