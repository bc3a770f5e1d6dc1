//! Data sources, and queries to them.

pub mod data_source;
pub mod frame;

use kymograph_app::source::SourceServices;

use crate::kernel::routes::Routes;

/// The routes of the area.
pub(crate) fn routes(services: SourceServices) -> Routes {
    data_source::routes(&services.data_sources)
}
