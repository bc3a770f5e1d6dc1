//! Merges the sources, before references in values are expanded.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::keys::{KEYS, Key, Kind};
use super::sources::VARIABLE_PREFIX;
use super::{ConfigError, Sources, ini_file};

/// The default configuration file.
const CUSTOM_FILE: &str = "conf/custom.ini";
const FILE_SUFFIX: &str = "__FILE";
const ARGUMENT_PREFIX: &str = "cfg:";
/// The prefix of arguments that replace built-in defaults only, so that files and variables have precedence. Grafana's
/// packages use it for their paths.
const DEFAULT_PREFIX: &str = "default.";

/// The effective text of a key.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) text: String,
    /// The source, for error messages.
    pub(super) origin: String,
    /// Whether the text is literal, without references.
    pub(super) literal: bool,
}

/// The names of unknown settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Unknown {
    pub(super) settings: Vec<String>,
    pub(super) variables: Vec<String>,
}

/// The merged sources.
pub(super) struct Layers {
    entries: BTreeMap<(&'static str, &'static str), Entry>,
    unknown: Unknown,
}

impl Layers {
    /// Merges the sources in the order of their precedence.
    pub(super) fn collect(sources: &Sources) -> Result<Self, ConfigError> {
        let mut layers = Self { entries: BTreeMap::new(), unknown: Unknown::default() };
        for key in KEYS {
            let origin = format!("built-in default of [{}] {}", key.section, key.name);
            layers.set(key, Entry { text: key.default.into(), origin, literal: false });
        }
        let (defaults, overrides) = arguments(&sources.overrides)?;
        layers.add_arguments(defaults);
        layers.add_file(sources)?;
        layers.add_environment(sources)?;
        layers.add_arguments(overrides);
        Ok(layers)
    }

    /// The effective text of a key.
    pub(super) fn entry(&self, key: &'static Key) -> Option<&Entry> {
        self.entries.get(&(key.section, key.name))
    }

    /// Unknown settings of a section, as they were set.
    pub(super) fn unknown_in(&self, section: &str) -> Option<&str> {
        let (setting, variable) = (format!("[{section}] "), format!("{VARIABLE_PREFIX}{section}_"));
        let variable = variable.replace('.', "_").to_uppercase();
        let Unknown { settings, variables } = &self.unknown;
        let mut all = settings
            .iter()
            .map(|name| (name, &setting))
            .chain(variables.iter().map(|name| (name, &variable)));
        all.find(|(name, prefix)| name.starts_with(prefix.as_str())).map(|(name, _)| name.as_str())
    }

    /// Unknown settings.
    pub(super) fn into_unknown(self) -> Unknown {
        self.unknown
    }

    fn set(&mut self, key: &'static Key, mut entry: Entry) {
        // An empty value in a file means the default, as in Grafana's own files. Secrets are the exception: if the
        // source of a password is empty, falling back to the well-known one would be a vulnerability.
        if entry.text.is_empty() && !entry.literal && key.kind != Kind::Secret {
            key.default.clone_into(&mut entry.text);
        }
        self.entries.insert((key.section, key.name), entry);
    }

    fn set_named(&mut self, section: &str, name: &str, entry: Entry) {
        if let Some(key) = Key::find(section, name) {
            self.set(key, entry);
            return;
        }
        let unknown = if section.is_empty() { name.to_owned() } else { format!("[{section}] {name}") };
        if !self.unknown.settings.contains(&unknown) {
            self.unknown.settings.push(unknown);
        }
    }

    fn add_file(&mut self, sources: &Sources) -> Result<(), ConfigError> {
        let path = sources.config_file.clone().unwrap_or_else(|| PathBuf::from(CUSTOM_FILE));
        let text = match sources.read(&path) {
            Ok(text) => text,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && sources.config_file.is_none() => {
                return Ok(());
            }
            Err(cause) => return Err(ConfigError::File { path, cause }),
        };
        for setting in ini_file::parse(&text, &path)? {
            let origin = format!("{}, [{}] {}", path.display(), setting.section, setting.name);
            let entry = Entry { text: setting.text, origin, literal: false };
            self.set_named(&setting.section, &setting.name, entry);
        }
        Ok(())
    }

    fn add_environment(&mut self, sources: &Sources) -> Result<(), ConfigError> {
        // As in Grafana, an empty variable counts as not set.
        let ours = |(name, value): &&(String, String)| name.starts_with(VARIABLE_PREFIX) && !value.is_empty();
        for (name, value) in sources.env.iter().filter(ours) {
            let variable = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
            let Some(key) = Key::of_variable(variable) else {
                self.unknown.variables.push(name.clone());
                continue;
            };
            let origin = format!("environment variable {name}");
            if variable == name {
                self.set(key, Entry { text: value.clone(), origin, literal: false });
                continue;
            }
            if sources.variable(variable).is_some_and(|value| !value.is_empty()) {
                return Err(ConfigError::BothVariables { variable: variable.into() });
            }
            match sources.read(value) {
                Ok(text) => self.set(key, Entry { text: text.trim_end().into(), origin, literal: true }),
                Err(cause) => return Err(ConfigError::ValueFile { origin, cause }),
            }
        }
        Ok(())
    }

    fn add_arguments(&mut self, arguments: Vec<Argument<'_>>) {
        for Argument { path, section, name, text } in arguments {
            let origin = format!("argument {ARGUMENT_PREFIX}{path}");
            self.set_named(section, name, Entry { text: text.into(), origin, literal: false });
        }
    }
}

/// A `cfg:section.key=value` argument in its parts.
struct Argument<'a> {
    path: &'a str,
    section: &'a str,
    name: &'a str,
    text: &'a str,
}

/// The arguments that replace defaults, and those with precedence over everything.
fn arguments(overrides: &[String]) -> Result<(Vec<Argument<'_>>, Vec<Argument<'_>>), ConfigError> {
    let mut parsed = Vec::new();
    for (index, argument) in overrides.iter().enumerate() {
        parsed.push(parse_argument(argument).ok_or(ConfigError::Argument { position: index + 1 })?);
    }
    Ok(parsed.into_iter().partition(|argument| argument.path.starts_with(DEFAULT_PREFIX)))
}

fn parse_argument(argument: &str) -> Option<Argument<'_>> {
    let (path, text) = argument.strip_prefix(ARGUMENT_PREFIX)?.split_once('=')?;
    // Names of sections contain dots, names of keys do not.
    let (section, name) = path.strip_prefix(DEFAULT_PREFIX).unwrap_or(path).rsplit_once('.')?;
    Some(Argument { path, section, name, text })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;

    fn port(directory: &Directory, env: &[(&str, &str)], overrides: &[&str]) -> u16 {
        directory.load(env, overrides).unwrap().server.http_port
    }

    fn refusal(env: &[(&str, &str)], overrides: &[&str]) -> String {
        Directory::new().load(env, overrides).unwrap_err().to_string()
    }

    #[test]
    fn later_sources_win() {
        let directory = Directory::new();
        let (env, argument) = ([("GF_SERVER_HTTP_PORT", "3")], "cfg:server.http_port=4");
        let default = "cfg:default.server.http_port=1";
        assert_eq!(port(&directory, &[], &[]), 3000);
        assert_eq!(port(&directory, &[], &[default]), 1);
        directory.write("conf/custom.ini", "[server]\nhttp_port = 2\n");
        assert_eq!(port(&directory, &[], &[default]), 2);
        assert_eq!(port(&directory, &env, &[default]), 3);
        assert_eq!(port(&directory, &env, &[argument, default]), 4);
        assert_eq!(port(&directory, &env, &[argument, "cfg:server.http_port=5"]), 5);
    }

    #[test]
    fn a_named_file_replaces_the_custom_one_and_must_exist() {
        let mut directory = Directory::new();
        directory.write("conf/custom.ini", "[server]\nhttp_port = 1\n[paths]\ndata = custom\n");
        directory.write("other.ini", "[server]\nhttp_port = 2\n");
        directory.config_file = Some("other.ini".into());
        let config = directory.load(&[], &[]).unwrap();
        assert_eq!((config.server.http_port, config.paths.data), (2, directory.path().join("data")));

        directory.config_file = Some("missing.ini".into());
        let message = directory.load(&[], &[]).unwrap_err().to_string();
        assert!(message.starts_with("cannot read the configuration file missing.ini: "), "{message}");
    }

    #[test]
    fn sections_with_dots_are_reached_from_everywhere() {
        let directory = Directory::new();
        let enabled = |env: &[_], overrides: &[_]| directory.load(env, overrides).unwrap().auth.basic_enabled;
        assert!(!enabled(&[("GF_AUTH_BASIC_ENABLED", "false")], &[]));
        assert!(!enabled(&[], &["cfg:auth.basic.enabled=false"]));
        assert!(!enabled(&[], &["cfg:default.auth.basic.enabled=false"]));
        directory.write("conf/custom.ini", "[auth.basic]\nenabled = false\n");
        assert!(!enabled(&[], &[]));
    }

    #[test]
    fn a_file_may_hold_the_value_of_a_variable() {
        let directory = Directory::new();
        directory.write("password", " $hunter2 ${HOME}\n\n");
        let config = directory.load(&[("GF_SECURITY_ADMIN_PASSWORD__FILE", "password")], &[]).unwrap();
        assert_eq!(config.security.admin_password.expose(), " $hunter2 ${HOME}");

        let both = [("GF_SECURITY_ADMIN_PASSWORD__FILE", "x"), ("GF_SECURITY_ADMIN_PASSWORD", "hunter2")];
        let expected = "environment variables GF_SECURITY_ADMIN_PASSWORD and \
                        GF_SECURITY_ADMIN_PASSWORD__FILE: expected only one of them";
        assert_eq!(refusal(&both, &[]), expected);

        let message = refusal(&[("GF_SECURITY_ADMIN_PASSWORD__FILE", "hunter2")], &[]);
        let expected =
            "environment variable GF_SECURITY_ADMIN_PASSWORD__FILE: cannot read the file it names: ";
        assert!(message.starts_with(expected) && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn an_empty_value_means_the_default_but_never_the_default_secret() {
        let directory = Directory::new();
        assert_eq!(port(&directory, &[("GF_SERVER_HTTP_PORT", "")], &["cfg:server.http_port="]), 3000);
        let config = directory.load(&[("GF_SECURITY_ADMIN_PASSWORD", "")], &[]).unwrap();
        assert_eq!(config.security.admin_password.expose(), "admin");

        directory.write("conf/custom.ini", "[security]\nadmin_password =\n");
        let message = directory.load(&[], &[]).unwrap_err().to_string();
        assert_eq!(message, "conf/custom.ini, [security] admin_password: expected a text that is not empty");
        directory.write("empty", "\n");
        assert!(directory.load(&[("GF_SECURITY_ADMIN_PASSWORD__FILE", "empty")], &[]).is_err());
    }

    #[test]
    fn what_is_unknown_is_noted_once_and_ignored() {
        let directory = Directory::new();
        directory.write("conf/custom.ini", "app_mode = production\n[ldap]\npassword = hunter2\nhost = x\n");
        let config = directory.load(&[("GF_LDAP_HOST", "x"), ("HOME", "/")], &["cfg:ldap.host=x"]).unwrap();
        assert_eq!(config.unknown.settings, ["app_mode", "[ldap] password", "[ldap] host"]);
        assert_eq!(config.unknown.variables, ["GF_LDAP_HOST"]);
    }

    #[test]
    fn malformed_arguments_are_refused_by_position() {
        for argument in ["hunter2", "cfg:hunter2", "cfg:hunter2=x", "security.admin_password=hunter2"] {
            let message = refusal(&[], &["cfg:paths.data=x", argument]);
            assert_eq!(message, "configuration argument 2: expected cfg:section.key=value");
        }
    }

    #[test]
    fn errors_name_the_source() {
        let expected = "expected a port number from 0 to 65535";
        let variable = refusal(&[("GF_SERVER_HTTP_PORT", "http")], &[]);
        assert_eq!(variable, format!("environment variable GF_SERVER_HTTP_PORT: {expected}"));
        let argument = refusal(&[], &["cfg:server.http_port=70000"]);
        assert_eq!(argument, format!("argument cfg:server.http_port: {expected}"));
    }
}
