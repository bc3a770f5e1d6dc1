//! Finds the installed programs of Postgres.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::EmbeddedError;

/// The supported major versions, the preferred one first.
const VERSIONS: [&str; 4] = ["18", "17", "16", "15"];

/// The folder of the programs of one Postgres.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// The programs that an existing cluster needs, or the newest ones for a new cluster.
    pub(crate) fn find(cluster: &Path) -> Result<Self, EmbeddedError> {
        match fs::read_to_string(cluster.join("PG_VERSION")) {
            Ok(version) => {
                let version = version.trim();
                let missing = || EmbeddedError::VersionNotInstalled {
                    cluster: cluster.to_owned(),
                    version: version.to_owned(),
                };
                Self::of(&[version]).ok_or_else(missing)
            }
            Err(_) => Self::of(&VERSIONS).ok_or(EmbeddedError::NotInstalled),
        }
    }

    fn of(wanted: &[&str]) -> Option<Self> {
        let supported = wanted.iter().filter(|version| VERSIONS.contains(version));
        supported
            .map(|version| Path::new("/usr/lib/postgresql").join(version).join("bin"))
            .find(|folder| is_complete(folder))
            .or_else(|| on_path(wanted))
            .map(|folder| Self { folder })
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }
}

/// Packages with client tools only have a folder without the server.
fn is_complete(folder: &Path) -> bool {
    folder.join("postgres").is_file() && folder.join("initdb").is_file()
}

/// The first `postgres` on PATH, if its version is supported. A link is followed, because only the link may be on PATH
/// while `initdb` is next to the program itself.
fn on_path(wanted: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let program =
        std::env::split_paths(&path).map(|folder| folder.join("postgres")).find(|file| file.is_file())?;
    let program = program.canonicalize().ok()?;
    let told = Command::new(&program).arg("--version").output().ok()?;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let version = major(&told)?;
    let folder = program.parent()?;
    (wanted.contains(&version) && VERSIONS.contains(&version) && is_complete(folder))
        .then(|| folder.to_owned())
}

/// The major version in the output of `postgres --version`, like `postgres (Postgres) 15.14 (Debian …)`.
fn major(told: &str) -> Option<&str> {
    let version = told.split_whitespace().nth(2)?;
    version.split(|c: char| !c.is_ascii_digit()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_tells() {
        assert_eq!(major("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some("15"));
        assert_eq!(major("postgres (PostgreSQL) 18beta1\n"), Some("18"));
        assert_eq!(major("bash"), None);
    }

    #[test]
    fn a_version_that_is_not_installed_is_not_replaced_by_another() {
        assert!(Binaries::of(&["9.6"]).is_none());
    }
}
