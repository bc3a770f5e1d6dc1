//! What the caller may do, by Grafana's action names.

use std::collections::BTreeMap;

use kymograph_app::{Permission, Scope};
use serde::Serialize;
use utoipa::ToSchema;

use crate::kernel::query::Query;

/// The caller's permitted actions on an object, in Grafana's form.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct AccessControl(BTreeMap<&'static str, bool>);

/// Those of some permissions that the caller has, if the query asks for them.
pub(crate) fn asked_access_control(
    query: &Query,
    scope: &Scope,
    permissions: &[Permission],
) -> Option<AccessControl> {
    let allowed = || permissions.iter().copied().filter(|permission| scope.allows(*permission));
    is_access_control_asked(query).then(|| access_control(allowed()))
}

/// How it looks that the caller has some permissions.
pub(crate) fn access_control(permissions: impl Iterator<Item = Permission>) -> AccessControl {
    AccessControl(permissions.map(|permission| (permission.action(), true)).collect())
}

/// Whether the query asks for what the caller may do.
pub(crate) fn is_access_control_asked(query: &Query) -> bool {
    query.text("accesscontrol") == Some("true")
}
