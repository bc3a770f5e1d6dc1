//! The caller's permitted actions, by Grafana's names.

use std::collections::BTreeMap;

use kymograph_app::{Permission, Scope};
use serde::Serialize;
use utoipa::ToSchema;

use crate::kernel::query::Query;

/// The caller's permitted actions on an object, in Grafana's form.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct AccessControl(BTreeMap<&'static str, bool>);

/// The caller's permissions among these, if the query requests them.
pub(crate) fn asked_access_control(
    query: &Query,
    scope: &Scope,
    permissions: &[Permission],
) -> Option<AccessControl> {
    let allowed = || permissions.iter().copied().filter(|permission| scope.allows(*permission));
    is_access_control_asked(query).then(|| access_control(allowed()))
}

/// Builds the member of permitted actions.
pub(crate) fn access_control(permissions: impl Iterator<Item = Permission>) -> AccessControl {
    AccessControl(permissions.map(|permission| (permission.action(), true)).collect())
}

/// Whether the query requests the caller's permissions.
pub(crate) fn is_access_control_asked(query: &Query) -> bool {
    query.text("accesscontrol") == Some("true")
}
