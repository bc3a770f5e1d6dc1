//! The merged and expanded text of every key, and reading it as a type.

use std::collections::BTreeMap;

use super::expand::expand;
use super::keys::{KEYS, Key, Kind};
use super::layers::Layers;
use super::secret::REDACTED;
use super::value::Parsed;
use super::{ConfigError, Sources};

struct Value {
    key: &'static Key,
    text: String,
    origin: String,
}

/// The text of every key.
pub(super) struct Values(Vec<Value>);

impl Values {
    /// Expands the effective texts. Overridden texts are never expanded, so an override also replaces a reference to a
    /// missing file.
    pub(super) fn resolve(layers: &Layers, sources: &Sources) -> Result<Self, ConfigError> {
        let mut values = Self(Vec::with_capacity(KEYS.len()));
        for key in KEYS {
            let Some(entry) = layers.entry(key).cloned() else { continue };
            let text = if entry.literal { entry.text } else { expand(&entry.text, &entry.origin, sources)? };
            values.0.push(Value { key, text, origin: entry.origin });
        }
        for at in 0..values.0.len() {
            if values.0[at].key.kind == Kind::Template {
                values.0[at].text = values.interpolate(&values.0[at])?;
            }
        }
        Ok(values)
    }

    /// Reads the value of a key.
    ///
    /// # Panics If the key is not in the table, which shows at the first start.
    pub(super) fn get<T>(
        &self,
        section: &str,
        name: &str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Result<T, ConfigError> {
        let Some(value) = self.find(section, name) else {
            unreachable!("[{section}] {name} has a field but no line in the table of keys");
        };
        parse(&value.text).map_err(|expected| ConfigError::Value { origin: value.origin.clone(), expected })
    }

    /// The text of every key by section, with secrets redacted. Clients of Grafana expect the unnamed section, which
    /// has no settings here.
    pub(super) fn redacted(self) -> BTreeMap<&'static str, BTreeMap<&'static str, String>> {
        let nameless = BTreeMap::from([("app_mode", "production".to_owned())]);
        let mut sections = BTreeMap::from([("DEFAULT", nameless)]);
        for Value { key, text, .. } in self.0 {
            let hidden = key.kind == Kind::Secret && !text.is_empty();
            let shown = if hidden { REDACTED.to_owned() } else { text };
            sections.entry(key.section).or_default().insert(key.name, shown);
        }
        sections
    }

    fn find(&self, section: &str, name: &str) -> Option<&Value> {
        self.0.iter().find(|value| value.key.section == section && value.key.name == name)
    }

    /// Replaces `%(name)s` by the value of the plain key of that name in the same section.
    fn interpolate(&self, template: &Value) -> Result<String, ConfigError> {
        let mut text = String::new();
        let mut rest = template.text.as_str();
        while let Some((before, after)) = rest.split_once("%(") {
            let plain = after.split_once(")s").and_then(|(name, tail)| {
                let value = self.find(template.key.section, name)?;
                (value.key.kind == Kind::Plain).then_some((value, tail))
            });
            let Some((value, tail)) = plain else {
                let expected = "%(name)s to name another key of its section";
                return Err(ConfigError::Value { origin: template.origin.clone(), expected });
            };
            text.push_str(before);
            text.push_str(&value.text);
            rest = tail;
        }
        text.push_str(rest);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;

    fn root_url(template: &str) -> Result<String, String> {
        let env =
            [("GF_SERVER_ROOT_URL", template), ("GF_SERVER_DOMAIN", "${NAME}"), ("NAME", "example.org")];
        let loaded = Directory::new().load(&env, &[]);
        loaded.map(|config| config.server.root_url).map_err(|error| error.to_string())
    }

    #[test]
    fn templates_take_the_keys_of_their_section() {
        assert_eq!(root_url("%(protocol)s://%(domain)s/g/").unwrap(), "http://example.org/g/");
        assert_eq!(root_url("https://100%/").unwrap(), "https://100%/");
        for broken in ["http://%(nobody)s/", "http://%(root_url)s/", "http://%(domain)/"] {
            let expected = "%(name)s to name another key of its section";
            let message = format!("environment variable GF_SERVER_ROOT_URL: expected {expected}");
            assert_eq!(root_url(broken).unwrap_err(), message);
        }
    }

    #[test]
    fn what_was_overridden_is_never_expanded() {
        let env = [("GF_SECURITY_ADMIN_PASSWORD", "$__file{missing}")];
        assert!(Directory::new().load(&env, &["cfg:security.admin_password=x"]).is_ok());
    }
}
