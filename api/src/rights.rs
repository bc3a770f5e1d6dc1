//! Access-control lists of folders and dashboards.

pub(crate) mod access_control;
pub mod resource_permission;

use kymograph_app::rights::RightsServices;

use crate::kernel::routes::Routes;
use crate::rights::resource_permission::UrlOf;

/// The routes of the area.
pub(crate) fn routes(services: &RightsServices, url_of: UrlOf) -> Routes {
    resource_permission::routes(&services.resource_permissions, url_of)
}
