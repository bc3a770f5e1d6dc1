//! The settings of a data source, and their limits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{DataSourceAccess, DataSourceError};
use crate::kernel::text::is_storable;

/// The maximum length of a name, user, database or type, in bytes.
pub const MAX_TEXT_BYTES: usize = 760;
/// The maximum length of an address, in bytes.
pub const MAX_URL_BYTES: usize = 2048;
/// The maximum length of `jsonData`, in bytes, so that the state stays small.
pub const MAX_JSON_DATA_BYTES: usize = 64 * 1024;
/// The maximum number of secrets.
pub const MAX_SECRETS: usize = 64;
/// The maximum length of a secret, in bytes.
pub const MAX_SECRET_BYTES: usize = 64 * 1024;
/// The maximum length of all secrets that are set at once, in bytes.
pub const MAX_SECRETS_BYTES: usize = 256 * 1024;

/// The settings of a data source without its secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataSourceContent {
    /// The name, unique in the org.
    pub name: String,
    /// The type, which is the id of its plugin.
    #[serde(rename = "type")]
    pub kind: String,
    /// The sender of requests to it.
    pub access: DataSourceAccess,
    /// The address.
    pub url: String,
    /// The user, for a database.
    pub user: String,
    /// The database.
    pub database: String,
    /// Whether it uses basic authentication.
    pub basic_auth: bool,
    /// The user of basic authentication.
    pub basic_auth_user: String,
    /// Whether cookies are sent.
    pub with_credentials: bool,
    /// Whether it is the default, which is queried where no data source is named; an org has at most one.
    pub is_default: bool,
    /// Settings specific to the type.
    pub json_data: Map<String, Value>,
}

impl DataSourceContent {
    pub(super) fn check(&self) -> Result<(), DataSourceError> {
        let Self { name, kind, user, database, basic_auth_user, .. } = self;
        if name.trim().is_empty() {
            return Err(DataSourceError::NameMissing);
        }
        if kind.trim().is_empty() {
            return Err(DataSourceError::TypeMissing);
        }
        let texts = [
            ("name", name),
            ("type", kind),
            ("user", user),
            ("database", database),
            ("basicAuthUser", basic_auth_user),
        ];
        if let Some((member, _)) = texts.iter().find(|(_, text)| !is_storable(text, MAX_TEXT_BYTES)) {
            return Err(DataSourceError::InvalidText(member));
        }
        let is_no_url = |character: char| character.is_control() || character.is_whitespace();
        if self.url.len() > MAX_URL_BYTES || self.url.contains(is_no_url) {
            return Err(DataSourceError::InvalidUrl);
        }
        if has_password(&self.url) {
            return Err(DataSourceError::PasswordInUrl);
        }
        let json_data = serde_json::to_string(&self.json_data).unwrap_or_default();
        let is_json_data_storable = json_data.len() <= MAX_JSON_DATA_BYTES && !json_data.contains("\\u0000");
        if is_json_data_storable { Ok(()) } else { Err(DataSourceError::JsonDataTooLong) }
    }
}

/// Whether an address has a password before its host, in any spelling that a URL parser takes.
fn has_password(url: &str) -> bool {
    let url = url.split(['?', '#']).next().unwrap_or_default().replace('\\', "/");
    // Any number of slashes can follow the scheme.
    let rest = url.split_once(":/").map_or(url.as_str(), |(_, rest)| rest).trim_start_matches('/');
    let authority = rest.split('/').next().unwrap_or_default();
    let user = authority.rsplit_once(['@', '\u{ff20}']).map(|(user, _)| user);
    user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty())
}

/// Fails if secrets cannot be stored. Their names become parts of other names.
pub fn check_secrets(values: &BTreeMap<String, Option<String>>) -> Result<(), DataSourceError> {
    let is_character = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    let is_name = |name: &str| (1..=MAX_TEXT_BYTES).contains(&name.len()) && name.chars().all(is_character);
    let is_short =
        |value: &Option<String>| value.as_ref().is_none_or(|value| value.len() <= MAX_SECRET_BYTES);
    let are_valid = values.iter().all(|(name, value)| is_name(name) && is_short(value));
    let bytes = values.values().flatten().map(String::len).sum::<usize>();
    if are_valid && values.len() <= MAX_SECRETS && bytes <= MAX_SECRETS_BYTES {
        Ok(())
    } else {
        Err(DataSourceError::InvalidSecrets)
    }
}
