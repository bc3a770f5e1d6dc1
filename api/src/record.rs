//! What was done: the audit log, histories, and undoing.

pub mod audit;
pub mod history;
pub mod undo;
