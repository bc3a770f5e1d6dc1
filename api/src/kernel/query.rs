//! Query strings and path parameters.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use kymograph_app::Page;
use kymograph_domain::{OrgId, UserId};
use serde::de::DeserializeOwned;

use crate::kernel::error::ApiError;

/// The parameters of a query string, which can repeat.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let text = parts.uri.query().unwrap_or_default();
        Ok(Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect()))
    }
}

impl Query {
    /// The first value of a parameter.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter that are not empty.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(key, value)| key == name && !value.is_empty())
            .map(|(_, v)| v.clone())
            .collect()
    }

    /// The first value of a parameter as a number. As in Grafana, an invalid number counts as absent.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// The first value of a parameter as a boolean.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }

    /// All values of a parameter that are numbers.
    #[must_use]
    pub fn numbers(&self, name: &str) -> Vec<i64> {
        self.0.iter().filter(|(key, _)| key == name).filter_map(|(_, value)| value.parse().ok()).collect()
    }

    /// The requested page, by `page` and a parameter for its size.
    #[must_use]
    pub fn page(&self, size: &str, default_size: i64) -> Page {
        Page::of(self.number("page"), self.number(size), default_size)
    }
}

/// The parameters of the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = axum::extract::Path::from_request_parts(parts, state).await;
        // The only possible error is invalid UTF-8.
        path.map(|axum::extract::Path(parameters)| Self(parameters))
            .map_err(|rejection| ApiError::new(StatusCode::BAD_REQUEST, rejection.body_text()))
    }
}

/// A numeric id in the path.
pub fn parse_id(name: &str, text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|_| ApiError::invalid_parameter(name))
}

/// An org's id in the path.
pub fn parse_org_id(text: &str) -> Result<OrgId, ApiError> {
    parse_id("orgId", text).map(OrgId)
}

/// A user's id in the path.
pub fn parse_user_id(text: &str) -> Result<UserId, ApiError> {
    parse_id("userId", text).map(UserId)
}
