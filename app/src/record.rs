//! The audit log, histories and undo.

pub mod audit;
pub mod history;
pub(crate) mod permission;
pub mod undo;

use std::sync::Arc;

/// The use cases of the area.
pub struct RecordServices {
    /// The audit log.
    pub audits: Arc<audit::Audits>,
    /// Histories of objects.
    pub histories: Arc<history::Histories>,
    /// Undo of requests.
    pub undos: Arc<undo::Undos>,
}
