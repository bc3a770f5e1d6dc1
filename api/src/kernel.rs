//! The basis of every route: layers, bodies, errors and the description of the API.

pub mod body;
pub mod error;
pub mod frontend;
pub mod health;
pub mod layer;
pub mod metrics;
pub mod openapi;
pub(crate) mod panic;
pub mod portal;
pub mod query;
pub mod routes;
pub(crate) mod url;
