//! Folders, dashboards, and what people make of them: stars, preferences and searches.

pub mod dashboard;
pub mod folder;
pub mod preference;
pub mod search;
pub mod star;
