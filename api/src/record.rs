//! The audit log, histories, and undo.

pub mod audit;
pub mod history;
pub mod undo;

use kymograph_app::record::RecordServices;

use crate::kernel::routes::{HistoryRoutes, Routes};

/// The routes of the area, including the histories of all slices.
pub(crate) fn routes(services: &RecordServices, histories: Vec<HistoryRoutes>) -> Routes {
    Routes::default()
        .merge(audit::routes(services.audits.clone()))
        .merge(history::routes(&services.histories, histories))
        .merge(undo::routes(&services.undos))
}
