//! Who may do what with folders and dashboards.

pub mod resource_permission;

use crate::limit::{Amount, Limit};

/// The bounds on what the nouns of the area keep.
pub(crate) const LIMITS: &[Limit] = &[Limit {
    what: "Grants",
    at: "A folder or dashboard",
    most: Amount::Count(resource_permission::MAX_GRANTS as u64),
    answer: "400",
}];
