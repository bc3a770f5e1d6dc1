//! The basis of every noun: aggregates, events, typed values and JSON.

pub mod access_level;
pub mod aggregate;
pub mod effect;
pub mod event;
pub mod id;
pub mod invariant;
pub mod json;
pub mod past;
pub mod reason;
pub mod role;
pub mod slug;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
pub mod timestamp;
pub mod uid;
pub mod undo;
pub mod upcast;
