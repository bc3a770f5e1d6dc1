//! Data sources, correlations between them, and queries to them.

pub mod correlation;
pub mod data_source;
pub mod frame;
pub mod query;
pub mod resource;

use std::sync::Arc;

use kymograph_app::source::SourceServices;

use crate::account::authentication::JwtTransport;
use crate::account::session::CookieSettings;
use crate::kernel::routes::Routes;

/// The routes of the area.
pub(crate) fn routes(
    services: &SourceServices,
    cookie: &Arc<CookieSettings>,
    jwt: Option<&JwtTransport>,
) -> Routes {
    let state = &resource::SourceState {
        queries: services.queries.clone(),
        cookie: cookie.clone(),
        jwt_header: jwt.map(|jwt| jwt.header.clone()),
    };
    data_source::routes(&services.data_sources)
        .merge(correlation::routes(&services.correlations))
        .merge(query::routes(state))
        .merge(resource::routes(state))
}
