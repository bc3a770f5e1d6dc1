//! What the caller may do, by Grafana's action names.

use std::collections::BTreeMap;

use kymograph_app::{Permission, Scope};

use crate::query::Query;

/// The part of a body that says which actions the caller may do, as Grafana shows it.
pub(crate) type AccessControl = BTreeMap<&'static str, bool>;

/// Those of some permissions that the caller has, if the query asks for them.
pub(crate) fn asked_access_control(
    query: &Query,
    scope: &Scope,
    permissions: &[Permission],
) -> Option<AccessControl> {
    is_access_control_asked(query).then(|| {
        let allowed = permissions.iter().filter(|permission| scope.allows(**permission));
        allowed.map(|permission| (permission.action(), true)).collect()
    })
}

/// Whether the query asks for what the caller may do.
pub(crate) fn is_access_control_asked(query: &Query) -> bool {
    query.text("accesscontrol") == Some("true")
}
