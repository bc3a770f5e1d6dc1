//! Folders, dashboards, annotations, stars, playlists, preferences and searches.

pub mod annotation;
pub mod dashboard;
pub mod folder;
pub(crate) mod permission;
pub mod playlist;
pub mod preference;
pub mod search;
pub mod star;

use std::sync::Arc;

/// The use cases of the area.
pub struct ContentServices {
    /// Annotations.
    pub annotations: Arc<annotation::Annotations>,
    /// Dashboards.
    pub dashboards: Arc<dashboard::Dashboards>,
    /// Folders.
    pub folders: Arc<folder::Folders>,
    /// Playlists.
    pub playlists: Arc<playlist::Playlists>,
    /// Preferences.
    pub preferences: Arc<preference::Preferences>,
    /// Searching.
    pub searches: Arc<search::Searches>,
    /// Stars.
    pub stars: Arc<star::Stars>,
}
