//! What the caller may do, by Grafana's action names.

use std::collections::BTreeMap;

use kymograph_app::{Permission, Scope};
use serde::Serialize;
use utoipa::ToSchema;

use crate::query::Query;

/// The part of a body that says which actions the caller may do, as Grafana shows it.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct AccessControl(BTreeMap<&'static str, bool>);

/// Those of some permissions that the caller has, if the query asks for them.
pub(crate) fn asked_access_control(
    query: &Query,
    scope: &Scope,
    permissions: &[Permission],
) -> Option<AccessControl> {
    let is_asked = query.text("accesscontrol") == Some("true");
    is_asked.then(|| {
        let allowed = permissions.iter().filter(|permission| scope.allows(**permission));
        AccessControl(allowed.map(|permission| (permission.action(), true)).collect())
    })
}
