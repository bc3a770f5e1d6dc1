//! `[security]`, `[auth]` and `[auth.basic]`: log-ins, sessions and cookies.

use std::path::PathBuf;
use std::time::Duration;

use super::value::{self, Parsed};
use super::values::Values;
use super::{ConfigError, Secret};

/// The first administrator, cookies and protections.
#[derive(Clone, Debug)]
pub struct SecurityConfig {
    /// The login of the administrator created at the first start.
    pub admin_user: String,
    /// The password of that administrator.
    pub admin_password: Secret,
    /// The e-mail address of that administrator.
    pub admin_email: String,
    /// The texts that the master keys for secrets are derived from: the current one, and earlier ones.
    pub secret_keys: Vec<Secret>,
    /// The file with the master keys, if no key is derived from a text and the file is not in its default place.
    pub secret_key_file: Option<PathBuf>,
    /// Whether cookies are for https only.
    pub cookie_secure: bool,
    /// The `SameSite` attribute of cookies.
    pub cookie_samesite: CookieSameSite,
    /// The hosts whose cross-site requests with cookies are accepted.
    pub csrf_trusted_origins: Vec<String>,
    /// Whether the limit of failed log-ins is disabled.
    pub disable_brute_force_login_protection: bool,
    /// The number of failed log-ins after which a user is locked.
    pub brute_force_login_protection_max_attempts: u32,
}

impl SecurityConfig {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        let disable_protection =
            values.get("security", "disable_brute_force_login_protection", value::flag)?;
        let attempts =
            values.get("security", "brute_force_login_protection_max_attempts", value::positive)?;
        Ok(Self {
            admin_user: values.get("security", "admin_user", value::non_empty)?,
            admin_password: values.get("security", "admin_password", value::non_empty).map(Secret::new)?,
            admin_email: values.get("security", "admin_email", value::non_empty)?,
            secret_keys: secret_keys(values)?,
            secret_key_file: Some(values.get("security", "secret_key_file", value::text)?)
                .filter(|file| !file.is_empty())
                .map(PathBuf::from),
            cookie_secure: values.get("security", "cookie_secure", value::flag)?,
            cookie_samesite: values.get("security", "cookie_samesite", CookieSameSite::parse)?,
            csrf_trusted_origins: values.get("security", "csrf_trusted_origins", value::list)?,
            disable_brute_force_login_protection: disable_protection,
            brute_force_login_protection_max_attempts: attempts,
        })
    }
}

/// The minimum length of the text of a master key, in bytes.
const MIN_SECRET_KEY_BYTES: usize = 16;
/// Grafana's default, which is public.
const WELL_KNOWN_KEY: &str = "SW2YcwTIb9zpOOhoPsMm";

fn secret_keys(values: &Values) -> Result<Vec<Secret>, ConfigError> {
    let current = values.get("security", "secret_key", secret_key)?;
    let previous = values.get("security", "previous_secret_keys", |text| {
        text.split_whitespace().filter_map(|key| secret_key(key).transpose()).collect()
    })?;
    Ok(current.into_iter().chain::<Vec<_>>(previous).collect())
}

fn secret_key(text: &str) -> Parsed<Option<Secret>> {
    match text {
        "" => Ok(None),
        WELL_KNOWN_KEY => Err("another text than Grafana's default, which everybody knows"),
        text if text.len() < MIN_SECRET_KEY_BYTES || text.contains(char::is_whitespace) => {
            Err("16 or more characters without spaces")
        }
        text => Ok(Some(Secret::new(text))),
    }
}

/// The `SameSite` attribute of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieSameSite {
    /// Sent on navigation from other sites.
    Lax,
    /// Never sent from other sites.
    Strict,
    /// Always sent; browsers require a secure cookie.
    None,
    /// The attribute is left out.
    Disabled,
}

impl CookieSameSite {
    fn parse(text: &str) -> Parsed<Self> {
        match text.to_ascii_lowercase().as_str() {
            "lax" => Ok(Self::Lax),
            "strict" => Ok(Self::Strict),
            "none" => Ok(Self::None),
            "disabled" => Ok(Self::Disabled),
            _ => Err("lax, strict, none or disabled"),
        }
    }
}

/// Sessions and the ways to log in.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// The name of the session cookie.
    pub login_cookie_name: String,
    /// The lifetime of an unused session.
    pub login_maximum_inactive_lifetime: Duration,
    /// The maximum lifetime of a session.
    pub login_maximum_lifetime: Duration,
    /// The interval of token rotation.
    pub token_rotation_interval: Duration,
    /// Whether basic authentication is accepted.
    pub basic_enabled: bool,
}

impl AuthConfig {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        let inactive = "login_maximum_inactive_lifetime_duration";
        let lifetime = "login_maximum_lifetime_duration";
        Ok(Self {
            login_cookie_name: values.get("auth", "login_cookie_name", cookie_name)?,
            login_maximum_inactive_lifetime: values.get("auth", inactive, value::positive_duration)?,
            login_maximum_lifetime: values.get("auth", lifetime, value::positive_duration)?,
            token_rotation_interval: values.get("auth", "token_rotation_interval_minutes", rotation)?,
            basic_enabled: values.get("auth.basic", "enabled", value::flag)?,
        })
    }
}

/// A name that is valid in a `Set-Cookie` header (a token of RFC 9110).
fn cookie_name(text: &str) -> Parsed<String> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if text.is_empty() || !text.chars().all(is_token) {
        return Err("a cookie name of letters, digits, `_` and `-`");
    }
    Ok(text.to_owned())
}

/// The minimum is two minutes, as in Grafana: requests in flight still have the previous token.
fn rotation(text: &str) -> Parsed<Duration> {
    const SHORTEST: u32 = 2;
    let minutes: u32 = value::count(text)?;
    Ok(Duration::from_secs(60) * minutes.max(SHORTEST))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::Directory;
    use super::CookieSameSite;

    #[test]
    fn sessions_and_protections_are_typed() {
        let env = [
            ("GF_SECURITY_COOKIE_SAMESITE", "Strict"),
            ("GF_SECURITY_CSRF_TRUSTED_ORIGINS", "a.example, b.example"),
            ("GF_AUTH_LOGIN_MAXIMUM_LIFETIME_DURATION", "2d"),
            ("GF_AUTH_TOKEN_ROTATION_INTERVAL_MINUTES", "0"),
        ];
        let config = Directory::new().load(&env, &[]).unwrap();
        assert_eq!(config.security.cookie_samesite, CookieSameSite::Strict);
        assert_eq!(config.security.csrf_trusted_origins, ["a.example", "b.example"]);
        assert_eq!(config.auth.login_maximum_lifetime, Duration::from_secs(2 * 86_400));
        assert_eq!(config.auth.token_rotation_interval, Duration::from_secs(120));
    }

    #[test]
    fn values_that_would_not_work_are_refused() {
        let refused = [
            "cfg:security.cookie_samesite=sometimes",
            "cfg:security.brute_force_login_protection_max_attempts=0",
            "cfg:auth.login_cookie_name=a b",
            "cfg:auth.login_maximum_lifetime_duration=0",
            "cfg:auth.basic.enabled=perhaps",
        ];
        for argument in refused {
            let message = Directory::new().load(&[], &[argument]).unwrap_err().to_string();
            let (origin, _) = argument.split_once('=').unwrap();
            assert!(message.starts_with(&format!("argument {origin}: expected ")), "{message}");
        }
    }
}
