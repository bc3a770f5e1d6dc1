//! What was done: the audit log, histories, and undoing.

pub mod audit;
pub mod history;
pub mod undo;

use kymograph_app::record::RecordServices;

use crate::kernel::routes::Routes;

/// The routes of the area.
pub(crate) fn routes(services: &RecordServices) -> Routes {
    Routes::default()
        .merge(audit::routes(services.audits.clone()))
        .merge(history::routes(&services.histories))
        .merge(undo::routes(&services.undos))
}
