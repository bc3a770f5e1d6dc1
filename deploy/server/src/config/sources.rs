//! The sources of settings.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::ConfigError;

/// The prefix of variables that set keys.
pub(super) const VARIABLE_PREFIX: &str = "GF_";

/// The sources of settings. It has no debug output, because the environment holds secrets.
pub struct Sources {
    /// The file of `--config`. Without it, `conf/custom.ini` is read if it is there.
    pub config_file: Option<PathBuf>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// The `cfg:section.key=value` arguments.
    pub overrides: Vec<String>,
    /// The directory of relative paths.
    pub working_dir: PathBuf,
}

impl Sources {
    /// The sources of this process: its environment, working directory and arguments.
    pub fn from_process(config_file: Option<PathBuf>, overrides: Vec<String>) -> Result<Self, ConfigError> {
        let working_dir = std::env::current_dir().map_err(|cause| ConfigError::WorkingDirectory { cause })?;
        Ok(Self { config_file, env: readable(std::env::vars_os())?, overrides, working_dir })
    }

    /// The value of an environment variable.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    /// Reads a file, from the working directory if its path is relative.
    pub(super) fn read(&self, path: impl AsRef<Path>) -> std::io::Result<String> {
        std::fs::read_to_string(self.working_dir.join(path))
    }
}

/// The variables that are UTF-8. Others are skipped, unless they have our prefix.
fn readable(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut env = Vec::new();
    for (name, value) in variables {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => env.push((name, value)),
            (Ok(name), Err(_)) if name.starts_with(VARIABLE_PREFIX) => {
                return Err(ConfigError::NotUnicode { variable: name });
            }
            _ => {}
        }
    }
    Ok(env)
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::readable;

    #[test]
    fn only_our_own_variables_must_be_text() {
        let garbled = || OsString::from_vec(vec![0xff]);
        let foreign = [("LANG".into(), garbled()), ("GF_PATHS_DATA".into(), "d".into())];
        assert_eq!(readable(foreign.into_iter()).unwrap(), [("GF_PATHS_DATA".into(), "d".into())]);

        let error = readable([("GF_PATHS_DATA".into(), garbled())].into_iter()).unwrap_err();
        assert_eq!(error.to_string(), "environment variable GF_PATHS_DATA: expected UTF-8 text");
    }
}
