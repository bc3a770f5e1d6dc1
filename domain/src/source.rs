//! Data sources, and what they answer with.

pub mod frame;
pub mod time_range;
