//! The operating system user of Postgres, which refuses to run as root: a server started by root changes to this user.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::error::EmbeddedError;

/// The user that runs Postgres and owns its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    /// Whether we are root and must become this user first.
    step_down: bool,
}

impl Account {
    /// The named user; otherwise the owner of an existing cluster; otherwise `postgres` or `nobody`. Without the rights
    /// of root it can only be our own user.
    pub(crate) fn choose(run_as: Option<&str>, cluster: &Path) -> Result<Self, EmbeddedError> {
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let find =
            |name: &str| by_name(&users, name).ok_or_else(|| EmbeddedError::NoSuchUser(name.to_owned()));
        let me = rustix::process::geteuid();
        if !me.is_root() {
            let gid = rustix::process::getegid().as_raw();
            let ourselves = Self { step_down: false, ..by_uid(&users, me.as_raw(), gid) };
            return match run_as {
                Some(name) if find(name)?.uid != ourselves.uid => {
                    Err(EmbeddedError::CannotBecome(name.to_owned()))
                }
                _ => Ok(ourselves),
            };
        }
        if let Some(name) = run_as {
            return find(name);
        }
        match fs::metadata(cluster) {
            Ok(owned) if owned.uid() != 0 => Ok(by_uid(&users, owned.uid(), owned.gid())),
            _ => find("postgres").or_else(|absent| find("nobody").map_err(|_| absent)),
        }
    }

    /// Whether a file belongs to this user.
    pub(crate) fn owns(&self, file: &Metadata) -> bool {
        file.uid() == self.uid
    }

    /// Makes this user the owner of a file or folder that we created.
    pub(crate) fn take(&self, path: &Path) -> Result<(), EmbeddedError> {
        if self.step_down {
            lchown(path, Some(self.uid), Some(self.gid))
                .map_err(EmbeddedError::io("change the owner of", path))?;
        }
        Ok(())
    }

    /// Makes this user the owner of a cluster, which may have been restored from a backup by root, or moved
    /// from a system where the user had another number.
    pub(crate) fn take_cluster(&self, cluster: &Path) -> Result<(), EmbeddedError> {
        let found = fs::metadata(cluster).map_err(EmbeddedError::io("read", cluster))?;
        if self.owns(&found) {
            return Ok(());
        }
        if !self.step_down {
            return Err(EmbeddedError::NotOurs { cluster: cluster.to_owned(), uid: found.uid() });
        }
        self.take_tree(cluster)
    }

    fn take_tree(&self, folder: &Path) -> Result<(), EmbeddedError> {
        let failed = EmbeddedError::io("read", folder);
        let entries =
            fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
        for entry in entries {
            let path = entry.path();
            // The target of a link is left alone: it may be outside of the cluster.
            if entry.file_type().map_err(EmbeddedError::io("read", &path))?.is_dir() {
                self.take_tree(&path)?;
            } else {
                self.take(&path)?;
            }
        }
        // The folder itself comes last, so that an interrupted run is noticed and repeated.
        self.take(folder)
    }

    /// A command that runs as this user in a folder, without our environment, which may hold secrets and
    /// `PG*` variables that would redirect Postgres.
    pub(crate) fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env_clear().env("LC_ALL", "C");
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.step_down {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Explains why a command could not be started: most often the user may not enter a parent folder.
    pub(crate) fn why_not(&self, program: &Path, folder: &Path, source: io::Error) -> EmbeddedError {
        let barred = || self.barred(folder).or_else(|| self.barred(program.parent()?));
        if source.kind() == io::ErrorKind::PermissionDenied
            && let Some(folder) = barred()
        {
            return EmbeddedError::Unreachable { user: self.name.clone(), folder };
        }
        EmbeddedError::io("run", program)(source)
    }

    /// The first folder of the path that this user may not enter according to the mode bits. They are checked only
    /// after a failure, because access-control lists may grant more than the mode shows.
    fn barred(&self, folder: &Path) -> Option<PathBuf> {
        let mut way: Vec<&Path> = folder.ancestors().collect();
        way.reverse();
        way.into_iter()
            .find(|step| fs::metadata(step).is_ok_and(|found| !self.may_enter(&found)))
            .map(Path::to_owned)
    }

    fn may_enter(&self, folder: &Metadata) -> bool {
        let bit = match folder {
            mine if mine.uid() == self.uid => 0o100,
            group if group.gid() == self.gid => 0o010,
            _ => 0o001,
        };
        folder.mode() & bit != 0
    }
}

fn by_name(users: &str, name: &str) -> Option<Account> {
    users.lines().filter_map(parse).find(|user| user.name == name)
}

/// The user with this number, which need not have a name: containers often run under bare numbers.
fn by_uid(users: &str, uid: u32, gid: u32) -> Account {
    let unnamed = || Account { name: uid.to_string(), uid, gid, step_down: true };
    users.lines().filter_map(parse).find(|user| user.uid == uid).unwrap_or_else(unnamed)
}

/// One line of `/etc/passwd`: name, password, uid, gid, and fields that we do not need.
fn parse(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { name, uid, gid, step_down: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str =
        "root:x:0:0:root:/root:/bin/bash\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n+::\n";

    #[test]
    fn users_are_found_by_name_and_number() {
        let postgres = Account { name: "postgres".to_owned(), uid: 101, gid: 104, step_down: true };
        assert_eq!(by_name(USERS, "postgres"), Some(postgres.clone()));
        assert_eq!(by_name(USERS, "postg"), None);
        assert_eq!(by_uid(USERS, 101, 5), postgres);
        assert_eq!(by_uid(USERS, 7, 5).name, "7");
    }
}
