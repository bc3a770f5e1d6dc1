//! Why a configuration was refused.

use std::io;
use std::path::PathBuf;

/// Why a configuration was refused. The messages name the source and what was expected of it, but never
/// repeat a value: any value may be a secret that ended up in the wrong place.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A line of the configuration file is neither a section nor a setting.
    #[error("{}, line {line}: expected `[section]`, `key = value` or a comment", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An argument is not an override.
    #[error("configuration argument {position}: expected cfg:section.key=value")]
    Argument {
        /// Which of the configuration arguments, counted from 1.
        position: usize,
    },
    /// A value is not what its key takes.
    #[error("{origin}: expected {expected}")]
    Value {
        /// The file and key, the variable or the argument that set the value.
        origin: String,
        /// What the key takes.
        expected: &'static str,
    },
    /// A value is to come from a file that cannot be read.
    #[error("{origin}: cannot read the file it names: {cause}")]
    ValueFile {
        /// The file and key, the variable or the argument that names the file.
        origin: String,
        /// What the operating system said.
        cause: io::Error,
    },
    /// A value is given both directly and by file.
    #[error("environment variables {variable} and {variable}__FILE: expected only one of them")]
    BothVariables {
        /// The variable without its suffix.
        variable: String,
    },
    /// An environment variable is not text.
    #[error("environment variable {variable}: expected UTF-8 text")]
    NotUnicode {
        /// The variable.
        variable: String,
    },
    /// The working directory is gone or out of reach.
    #[error("cannot find the working directory: {cause}")]
    WorkingDirectory {
        /// What the operating system said.
        cause: io::Error,
    },
}
