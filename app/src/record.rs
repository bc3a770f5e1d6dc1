//! What was done: the audit log, histories, and undoing.

pub mod audit;
pub mod history;
pub(crate) mod permission;
pub mod undo;

use std::sync::Arc;

/// The use cases of the area.
pub struct RecordServices {
    /// The audit log.
    pub audits: Arc<audit::Audits>,
    /// Histories of anything.
    pub histories: Arc<history::Histories>,
    /// Undoing what requests did.
    pub undos: Arc<undo::Undos>,
}
