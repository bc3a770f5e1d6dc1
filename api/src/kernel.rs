//! The basis of every route: layers, bodies, errors and the OpenAPI document.

pub mod body;
pub mod error;
pub mod health;
pub mod layer;
pub mod metrics;
pub mod openapi;
pub(crate) mod panic;
pub mod query;
pub mod routes;
pub mod setting;
pub(crate) mod url;
