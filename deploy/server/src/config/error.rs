//! Errors of the configuration.

use std::io;
use std::path::PathBuf;

/// An invalid configuration. The messages contain the source and the expectation, but never a value: any value may be a
/// secret in the wrong place.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
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
        /// The number of the argument, from 1.
        position: usize,
    },
    /// A value is invalid for its key.
    #[error("{origin}: expected {expected}")]
    Value {
        /// The file and key, the variable or the argument that set the value.
        origin: String,
        /// The expected value.
        expected: &'static str,
    },
    /// The file of a value cannot be read.
    #[error("{origin}: cannot read the file it names: {cause}")]
    ValueFile {
        /// The file and key, the variable or the argument that names the file.
        origin: String,
        /// The error of the operating system.
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
    /// The working directory is missing or inaccessible.
    #[error("cannot find the working directory: {cause}")]
    WorkingDirectory {
        /// The error of the operating system.
        cause: io::Error,
    },
}
