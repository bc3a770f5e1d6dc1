//! Data sources. No org has one yet; clients that look for them before they do something else are told so.

use axum::Json;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use kymograph_app::Permission;

use crate::kernel::error::ApiResult;
use crate::kernel::layer::Caller;
use crate::kernel::openapi::operation;
use crate::kernel::routes::Routes;

/// The routes of data sources.
pub fn routes() -> Routes {
    Routes::default()
        .group("datasources")
        .private(Method::GET, "/api/datasources", &(), get_data_sources)
        .describe(
            operation("getDataSources", "List the data sources of the org, of which there are none yet")
                .answers::<Vec<String>>(200, "No data source"),
        )
}

async fn get_data_sources(Caller(scope): Caller) -> ApiResult<Response> {
    scope.require(Permission::DATA_SOURCES_READ)?;
    Ok(Json(Vec::<String>::new()).into_response())
}
