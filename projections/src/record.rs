//! The record of all changes: the audit log, histories, and undoing.

pub mod audit;
pub mod history;
pub mod undo;

use crate::Projector;

/// The projectors of the area.
pub(crate) fn projectors() -> Vec<Box<dyn Projector>> {
    vec![Box::new(audit::ActorProjector)]
}
