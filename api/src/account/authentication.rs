//! Authentication: from the credentials of a request to the scope for handlers. JWTs are in [`jwt`].

mod jwt;

use std::sync::Arc;

use async_trait::async_trait;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kymograph_app::account::access::AccessLog;
use kymograph_app::account::identity::{Authenticated, Identity};
use kymograph_app::kernel::credential::Credentials;
use kymograph_app::{Error, RequestContext, Scope};
use kymograph_domain::OrgId;

use crate::account::access::Nouns;
use crate::account::session::{CookieSettings, session_token};
use crate::kernel::error::ApiError;
use crate::kernel::layer::{Admitted, Asked, Gate, Sender};

pub use jwt::JwtTransport;
pub(crate) use jwt::{UrlLogIn, log_in_by_url, without_url_token};

/// The header that selects the org of a request.
const ORG_ID: HeaderName = HeaderName::from_static("x-grafana-org-id");

/// The login of requests whose password is a token.
const TOKEN_LOGIN: &str = "api_key";

/// Authenticates requests.
pub struct Authentication {
    /// Resolves credentials to identities.
    pub identity: Arc<Identity>,
    /// Records denied requests.
    pub access: AccessLog,
    /// Resolves the targets of denied requests.
    pub nouns: Nouns,
    /// The session cookie.
    pub cookie: Arc<CookieSettings>,
    /// Whether basic authentication is accepted.
    pub is_basic_enabled: bool,
    /// Where a JWT is sent, if JWTs are accepted.
    pub jwt: Option<JwtTransport>,
}

#[async_trait]
impl Gate for Authentication {
    fn hide_credentials(&self, request: &mut Request) {
        if let Some(jwt) = &self.jwt {
            jwt.take_url_token(request);
        }
    }

    async fn admit(&self, request: &mut Request, context: RequestContext) -> Result<Admitted, ApiError> {
        let wanted_org = wanted_org(request.headers(), request.uri().query())?;
        let credentials = self.credentials(request)?;
        let Authenticated { scope, new_token } =
            self.identity.authenticate(&credentials, wanted_org, context).await?;
        let span = tracing::Span::current();
        if !span.is_disabled() {
            span.record("org", scope.org().0).record("actor", scope.actor().login.as_str());
        }
        let cookie = new_token.and_then(|token| self.cookie.value(&token));
        Ok(Admitted { scope, cookie, credentials })
    }

    async fn readmit(&self, credentials: &Credentials, scope: &Scope) -> Result<(), Error> {
        self.identity.reauthenticate(credentials, scope).await
    }

    fn denied(&self, sender: Sender<'_>, asked: Asked, reason: &str) {
        let denied = self.nouns.denied_request(asked, reason);
        match sender {
            Sender::Known(scope) => self.access.denied(scope, denied),
            Sender::Unknown(context) => self.access.denied_to_nobody(context, denied),
        }
    }
}

impl Authentication {
    fn credentials(&self, request: &Request) -> Result<Credentials, Error> {
        if let Some(token) = self.jwt.as_ref().and_then(|jwt| jwt.token(request)) {
            return Ok(Credentials::Jwt(token));
        }
        let headers = request.headers();
        if let Some(authorization) = headers.get(header::AUTHORIZATION) {
            return match bearer(authorization).or_else(|| basic(authorization)) {
                Some(Credentials::Basic { .. }) if !self.is_basic_enabled => None,
                credentials => credentials,
            }
            .ok_or_else(|| Error::unauthenticated("Unauthorized"));
        }
        let token = session_token(headers, &self.cookie.name)
            .ok_or_else(|| Error::unauthenticated("Unauthorized"))?;
        Ok(Credentials::Session(token.to_owned()))
    }
}

fn bearer(authorization: &HeaderValue) -> Option<Credentials> {
    let (scheme, token) = authorization.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Credentials::Token(token.trim().to_owned()))
}

/// A login and password, or a token in place of the password if the login is `api_key`.
fn basic(authorization: &HeaderValue) -> Option<Credentials> {
    let (scheme, encoded) = authorization.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (login, password) = decoded.split_once(':')?;
    let (login, password) = (login.to_owned(), password.to_owned());
    Some(if login == TOKEN_LOGIN {
        Credentials::Token(password)
    } else {
        Credentials::Basic { login, password }
    })
}

/// The requested org: from the query parameter `targetOrgId`, the header, or the query parameter `orgId`.
fn wanted_org(headers: &HeaderMap, query: Option<&str>) -> Result<Option<OrgId>, ApiError> {
    let parameter = |name: &str| {
        let mut pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(named, value)| (named == name).then_some(value))
    };
    let header = || headers.get(&ORG_ID).map(|value| value.to_str().unwrap_or("?"));
    let text = parameter("targetOrgId").or_else(header).or_else(|| parameter("orgId"));
    match text.map(str::trim) {
        None | Some("" | "0") => Ok(None),
        Some(text) => {
            text.parse().map(|id| Some(OrgId(id))).map_err(|_| ApiError::invalid_parameter("orgId"))
        }
    }
}
