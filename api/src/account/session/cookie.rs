//! The cookie that carries the token of a session.

use axum::http::{HeaderMap, HeaderValue, header};

/// The settings of the cookie.
#[derive(Clone, Debug)]
pub struct CookieSettings {
    /// Its name.
    pub name: String,
    /// The path it is sent to.
    pub path: String,
    /// Whether it is only sent over HTTPS.
    pub is_secure: bool,
    /// The `SameSite` attribute, `None` to leave it out.
    pub same_site: Option<&'static str>,
    /// Its lifetime in the browser, in seconds.
    pub max_age_seconds: i64,
}

impl CookieSettings {
    /// Sets the cookie.
    pub fn set(&self, headers: &mut HeaderMap, token: &str) {
        headers.extend(self.value(token).map(|cookie| (header::SET_COOKIE, cookie)));
    }

    /// Removes the cookie.
    pub fn clear(&self, headers: &mut HeaderMap) {
        headers.extend(self.value_for("", 0).map(|cookie| (header::SET_COOKIE, cookie)));
    }

    /// The cookie with a token.
    pub(crate) fn value(&self, token: &str) -> Option<HeaderValue> {
        self.value_for(token, self.max_age_seconds)
    }

    fn value_for(&self, value: &str, max_age: i64) -> Option<HeaderValue> {
        let Self { name, path, .. } = self;
        let secure = if self.is_secure { "; Secure" } else { "" };
        let same_site = self.same_site.map(|value| format!("; SameSite={value}")).unwrap_or_default();
        let cookie = format!("{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly{secure}{same_site}");
        // The configuration rejects names that are invalid in a header.
        HeaderValue::from_str(&cookie).ok()
    }
}

/// The token in the cookies of a request.
#[must_use]
pub fn session_token<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(cookie, value)| *cookie == name && !value.is_empty())
        .map(|(_, value)| value)
}
