//! What data sources answer, as clients read it.

pub mod frame;
