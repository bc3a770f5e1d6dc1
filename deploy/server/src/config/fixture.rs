//! A working directory for tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Config, ConfigError, Sources};

/// A directory that is removed after the test.
pub(super) struct Directory {
    path: PathBuf,
    pub(super) config_file: Option<PathBuf>,
}

impl Directory {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("kymograph-config-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(path.join("conf")).unwrap();
        Self { path, config_file: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path.join(name), content).unwrap();
    }

    pub(super) fn sources(&self, env: &[(&str, &str)], overrides: &[&str]) -> Sources {
        Sources {
            config_file: self.config_file.clone(),
            env: env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            overrides: overrides.iter().map(|&argument| argument.to_owned()).collect(),
            working_dir: self.path.clone(),
        }
    }

    pub(super) fn load(&self, env: &[(&str, &str)], overrides: &[&str]) -> Result<Config, ConfigError> {
        Config::load(&self.sources(env, overrides))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A leftover directory must not fail a test.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
