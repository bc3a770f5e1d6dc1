//! `[auth.jwt]`: log-ins with JWTs.

use std::path::PathBuf;

use axum::http::HeaderName;
use kymograph_app::account::identity::{Attribute, Expected, JwtSettings, OrgMapping};
use kymograph_app::account::user::DefaultMembership;
use kymograph_infra::jwt::{JwksEndpoint, KeySource};

use super::ConfigError;
use super::layers::Layers;
use super::value::{self, Parsed};
use super::values::Values;

const SECTION: &str = "auth.jwt";

/// The claim of the user's name.
const NAME_CLAIM: &str = "name";

/// Log-ins with JWTs.
#[derive(Clone, Debug)]
pub struct JwtConfig {
    /// The header of the token.
    pub header_name: HeaderName,
    /// Whether the token can be in the URL.
    pub url_login: bool,
    /// The source of the keys.
    pub keys: KeySource,
    /// The required claims.
    pub expected: Expected,
    username: Option<Attribute>,
    email: Option<Attribute>,
    name: Attribute,
    role: Option<Attribute>,
    orgs: Option<Attribute>,
    org_mapping: Vec<OrgMapping>,
    role_strict: bool,
    auto_sign_up: bool,
    allow_assign_grafana_admin: bool,
    skip_org_role_sync: bool,
}

impl JwtConfig {
    /// Reads the section if it is enabled. An unknown key may be a missing check, so it is an error.
    pub(super) fn read(values: &Values, layers: &Layers) -> Result<Option<Self>, ConfigError> {
        if !values.get(SECTION, "enabled", value::flag)? {
            return Ok(None);
        }
        if let Some(unknown) = layers.unknown_in(SECTION) {
            let expected = "a key of [auth.jwt] that conf/sample.ini lists";
            return Err(ConfigError::Value { origin: unknown.to_owned(), expected });
        }
        values.get(SECTION, "tls_skip_verify_insecure", |text| {
            let skips = value::flag(text)?;
            let expected = "false: name the authorities in tls_client_ca instead";
            if skips { Err(expected) } else { Ok(()) }
        })?;
        values.get(SECTION, "groups_attribute_path", |text| {
            if text.is_empty() { Ok(()) } else { Err("no value, as teams cannot follow groups yet") }
        })?;
        let username = attribute(values, "username_claim", "username_attribute_path")?;
        let email = attribute(values, "email_claim", "email_attribute_path")?;
        if username.is_none() && email.is_none() {
            let expected =
                "a claim, unless username_attribute_path, email_claim or email_attribute_path says who it is";
            values.get(SECTION, "username_claim", |_| Parsed::<()>::Err(expected))?;
        }
        Ok(Some(Self {
            header_name: values.get(SECTION, "header_name", header_name)?,
            url_login: values.get(SECTION, "url_login", value::flag)?,
            keys: key_source(values)?,
            expected: values.get(SECTION, "expect_claims", expected)?,
            username,
            email,
            name: path(values, "name_attribute_path")?
                .unwrap_or_else(|| Attribute::Claim(NAME_CLAIM.to_owned())),
            role: path(values, "role_attribute_path")?,
            orgs: path(values, "org_attribute_path")?,
            org_mapping: values.get(SECTION, "org_mapping", org_mapping)?,
            role_strict: values.get(SECTION, "role_attribute_strict", value::flag)?,
            auto_sign_up: values.get(SECTION, "auto_sign_up", value::flag)?,
            allow_assign_grafana_admin: values.get(SECTION, "allow_assign_grafana_admin", value::flag)?,
            skip_org_role_sync: values.get(SECTION, "skip_org_role_sync", value::flag)?,
        }))
    }

    /// The settings of log-ins, with the default membership of new users.
    #[must_use]
    pub fn settings(&self, default_membership: DefaultMembership) -> JwtSettings {
        JwtSettings {
            username: self.username.clone(),
            email: self.email.clone(),
            name: self.name.clone(),
            role: self.role.clone(),
            orgs: self.orgs.clone(),
            expected: self.expected.clone(),
            is_role_strict: self.role_strict,
            org_mapping: self.org_mapping.clone(),
            signs_up: self.auto_sign_up,
            assigns_server_admin: self.allow_assign_grafana_admin,
            syncs_org_roles: !self.skip_org_role_sync,
            default_membership,
        }
    }
}

fn header_name(text: &str) -> Parsed<HeaderName> {
    let name = HeaderName::try_from(text).ok();
    name.ok_or("the name of the header that has the token, such as X-JWT-Assertion or Authorization")
}

fn expected(text: &str) -> Parsed<Expected> {
    Expected::parse(text)
        .ok_or(r#"a JSON object such as {"iss": "https://idp.example.org", "aud": ["kymograph"]}"#)
}

/// A claim by name, or by an expression.
fn attribute(values: &Values, claim: &str, expression: &str) -> Result<Option<Attribute>, ConfigError> {
    match values.get(SECTION, claim, value::text)? {
        name if name.is_empty() => path(values, expression),
        name => Ok(Some(Attribute::Claim(name))),
    }
}

fn path(values: &Values, name: &str) -> Result<Option<Attribute>, ConfigError> {
    values.get(SECTION, name, |text| {
        if text.is_empty() {
            return Ok(None);
        }
        Attribute::path(text).map(Some).ok_or("a JMESPath expression")
    })
}

/// The one source of keys.
fn key_source(values: &Values) -> Result<KeySource, ConfigError> {
    const ONE: &str = "one of key_file, jwk_set_file and jwk_set_url, and only one";
    let file = |name| {
        let path = |text: &str| Ok(Some(PathBuf::from(text)).filter(|path| !path.as_os_str().is_empty()));
        values.get(SECTION, name, path)
    };
    let set = (file("key_file")?, file("jwk_set_file")?, values.get(SECTION, "jwk_set_url", value::text)?);
    let refused = |name| values.get(SECTION, name, |_| Err(ONE));
    match set {
        (Some(path), None, url) if url.is_empty() => {
            Ok(KeySource::Pem { path, id: values.get(SECTION, "key_id", value::text)? })
        }
        (None, Some(path), url) if url.is_empty() => Ok(KeySource::Jwks(path)),
        (None, None, url) if !url.is_empty() => Ok(KeySource::Endpoint(JwksEndpoint {
            url: values.get(SECTION, "jwk_set_url", |text| {
                JwksEndpoint::parse_url(text)
                    .ok_or("an https:// URL, or an http:// one of the machine itself")
            })?,
            lifetime: values.get(SECTION, "cache_ttl", value::positive_duration)?,
            ca_file: file("tls_client_ca")?,
            bearer_token_file: file("jwk_set_bearer_token_file")?,
        })),
        (_, _, url) if !url.is_empty() => refused("jwk_set_url"),
        (_, Some(_), _) => refused("jwk_set_file"),
        _ => refused("key_file"),
    }
}

fn org_mapping(text: &str) -> Parsed<Vec<OrgMapping>> {
    const EXPECTED: &str = "a list of <group>:<name or id of an organization>:<role>";
    let entries = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|_| EXPECTED)?
    } else {
        quoted_list(text).ok_or(EXPECTED)?
    };
    entries.iter().map(|entry| OrgMapping::parse(entry).ok_or(EXPECTED)).collect()
}

/// A list separated by spaces and commas outside of quotes.
fn quoted_list(text: &str) -> Option<Vec<String>> {
    let (mut list, mut word, mut is_quoted) = (Vec::new(), String::new(), false);
    for character in text.chars() {
        match character {
            '"' => is_quoted = !is_quoted,
            ' ' | ',' | '\t' | '\n' if !is_quoted => list.push(std::mem::take(&mut word)),
            _ => word.push(character),
        }
    }
    list.push(word);
    list.retain(|word| !word.is_empty());
    (!is_quoted).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;
    use super::*;

    const ENABLED: [&str; 4] = [
        "cfg:auth.jwt.enabled=true",
        "cfg:auth.jwt.header_name=X-JWT-Assertion",
        "cfg:auth.jwt.username_claim=sub",
        "cfg:auth.jwt.key_file=/etc/key.pem",
    ];

    fn load(more: &[&str]) -> Result<JwtConfig, String> {
        let arguments = [&ENABLED, more].concat();
        let config = Directory::new().load(&[], &arguments).map_err(|error| error.to_string())?;
        Ok(config.jwt.unwrap())
    }

    fn refusal(more: &[&str]) -> String {
        load(more).unwrap_err()
    }

    #[test]
    fn the_section_means_nothing_unless_it_is_enabled() {
        let arguments = ["cfg:auth.jwt.key_file=/nowhere", "cfg:auth.jwt.expected_claims=x"];
        assert!(Directory::new().load(&[], &arguments).unwrap().jwt.is_none());
    }

    #[test]
    fn there_is_one_source_of_keys() {
        assert!(matches!(load(&[]).unwrap().keys, KeySource::Pem { .. }));
        let one = "expected one of key_file, jwk_set_file and jwk_set_url, and only one";
        let url = "cfg:auth.jwt.jwk_set_url=https://idp.example.org/jwks";
        assert_eq!(refusal(&[url]), format!("argument cfg:auth.jwt.jwk_set_url: {one}"));
        assert_eq!(
            refusal(&["cfg:auth.jwt.jwk_set_file=/etc/jwks.json"]),
            format!("argument cfg:auth.jwt.jwk_set_file: {one}")
        );
        let none = Directory::new().load(&[], &ENABLED[..3]).unwrap_err().to_string();
        assert_eq!(none, format!("built-in default of [auth.jwt] key_file: {one}"));
        let only_url = Directory::new().load(&[], &[&ENABLED[..3], &[url]].concat()).unwrap();
        let KeySource::Endpoint(endpoint) = only_url.jwt.unwrap().keys else { panic!("no address") };
        assert_eq!(endpoint.lifetime.as_secs(), 3600);
    }

    #[test]
    fn what_would_not_work_or_check_less_than_it_seems_is_refused() {
        for refused in [
            "header_name=",
            "header_name=a b",
            "expect_claims=aud",
            "expect_claims={\"aud\": 1}",
            "role_attribute_path=[",
            "org_mapping=ops",
            "org_mapping=[\"ops:1:Boss\"]",
            "org_mapping=\"ops:1",
            "tls_skip_verify_insecure=true",
            "groups_attribute_path=groups",
            "auto_sign_up=maybe",
        ] {
            let argument = format!("cfg:auth.jwt.{refused}");
            let (name, _) = refused.split_once('=').unwrap();
            let message = refusal(&[&argument]);
            assert!(message.contains(name) && message.contains(": expected "), "{refused}: {message}");
        }
        let nobody = ["cfg:auth.jwt.username_claim="];
        assert!(refusal(&nobody).contains("auth.jwt.username_claim: expected a claim, unless "));
    }

    #[test]
    fn a_key_that_nobody_knows_is_refused() {
        let expected = "expected a key of [auth.jwt] that conf/sample.ini lists";
        let typo = refusal(&["cfg:auth.jwt.expected_claims={}"]);
        assert_eq!(typo, format!("[auth.jwt] expected_claims: {expected}"));
        let env = [("GF_AUTH_JWT_EXPECTED_CLAIMS", "{}")];
        let typo = Directory::new().load(&env, &ENABLED).unwrap_err().to_string();
        assert_eq!(typo, format!("GF_AUTH_JWT_EXPECTED_CLAIMS: {expected}"));
    }

    #[test]
    fn mappings_are_lists_in_quotes_or_json() {
        let mapping = |text| org_mapping(text).unwrap();
        let expected = mapping(r#"["a:Main Org.:Editor", "*:2"]"#);
        assert_eq!(expected.len(), 2);
        assert_eq!(mapping(r#""a:Main Org.:Editor", *:2"#), expected);
        assert_eq!(mapping("\"a:Main Org.:Editor\"\n*:2\n"), expected);
        assert!(mapping("").is_empty());
    }
}
