//! Folders and dashboards, with annotations, stars, preferences and searches.

pub mod annotation;
pub mod dashboard;
pub mod folder;
pub mod playlist;
pub mod preference;
pub mod search;
pub mod star;

use crate::Projector;
use crate::account::quota::Counter;

/// The counts of rows that the projectors of the area keep.
pub(crate) const COUNTERS: &[Counter] = &[star::count_stars];

/// The projectors of the area.
pub(crate) fn projectors() -> Vec<Box<dyn Projector>> {
    vec![
        Box::new(folder::FolderProjector),
        Box::new(dashboard::DashboardProjector),
        Box::new(annotation::AnnotationProjector),
        Box::new(playlist::PlaylistProjector),
        Box::new(preference::PreferenceProjector),
        Box::new(star::StarProjector),
    ]
}
