//! Permissions on folders, dashboards and data sources.

pub mod resource_permission;

use crate::limit::{Amount, Limit};

/// The bounds on the data that the nouns of the area store.
pub(crate) const LIMITS: &[Limit] = &[Limit {
    what: "Grants",
    at: "A folder or dashboard",
    most: Amount::Count(resource_permission::MAX_GRANTS as u64),
    answer: "400",
}];
