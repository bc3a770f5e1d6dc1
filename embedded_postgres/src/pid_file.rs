//! The state of a running cluster according to Postgres's `postmaster.pid` and `/proc`.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::error::EmbeddedError;
use crate::place::PORT;

/// A live postmaster of a cluster, as its `postmaster.pid` describes it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: i32,
    /// The folder of its socket; `None` while the file is still being written.
    pub(crate) socket: Option<PathBuf>,
    pub(crate) port: u16,
    /// Whether the file says that it accepts connections.
    pub(crate) is_ready: bool,
}

impl Running {
    /// The postmaster of this cluster, if one is alive.
    pub(crate) fn find(cluster: &Path) -> Result<Option<Self>, EmbeddedError> {
        let found = read(cluster)?.as_deref().and_then(Self::parse);
        Ok(found.filter(|running| is_postmaster(running.pid, cluster)))
    }

    /// The lines are: pid, folder, start time, port, socket folder, address, shared memory, state.
    fn parse(file: &str) -> Option<Self> {
        let lines: Vec<&str> = file.lines().collect();
        Some(Self {
            pid: lines.first()?.trim().parse().ok().filter(|pid| *pid > 0)?,
            socket: lines.get(4).filter(|line| !line.is_empty()).map(PathBuf::from),
            port: lines.get(3).and_then(|line| line.trim().parse().ok()).unwrap_or(PORT),
            is_ready: lines.get(7).is_some_and(|line| line.trim() == "ready"),
        })
    }
}

/// Whether a process is the postmaster of this cluster, and not another one that got its number later. A postmaster
/// keeps its command line, while its children replace theirs; that of a zombie is empty.
pub(crate) fn is_postmaster(pid: i32, cluster: &Path) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let words: Vec<&Path> =
        line.split(|byte| *byte == 0).map(|word| Path::new(OsStr::from_bytes(word))).collect();
    let is_postgres =
        words.first().and_then(|program| program.file_name()).is_some_and(|name| name == "postgres");
    let is_ours =
        |pair: &[&Path]| pair[0] == Path::new("-D") && pair[1].canonicalize().is_ok_and(|at| at == cluster);
    is_postgres && words.windows(2).any(is_ours)
}

/// Prepares a leftover `postmaster.pid` for a new start, if the cluster is not running.
///
/// Postgres overrides the file of a dead postmaster, but would respect it forever if another process of the same user
/// got the number. It also overrides a file that names its own parent, so we enter our own number there, and keep the
/// rest: Postgres uses it to find living children of the dead postmaster.
pub(crate) fn disown(cluster: &Path, socket: &Path, account: &Account) -> Result<(), EmbeddedError> {
    let Some(file) = read(cluster)? else { return Ok(()) };
    if Running::parse(&file).is_some_and(|left| !Path::new(&format!("/proc/{}", left.pid)).exists()) {
        return Ok(());
    }
    let path = path(cluster);
    let failed = |source| EmbeddedError::io("replace", &path)(source);
    if let Some((_, rest)) = file.split_once('\n') {
        let replacement = cluster.join("postmaster.pid.new");
        fs::write(&replacement, format!("{}\n{rest}", std::process::id())).map_err(failed)?;
        account.take(&replacement)?;
        fs::rename(&replacement, &path).map_err(failed)?;
    } else {
        // A crash of the machine can leave the file empty; PostgreSQL then refuses to start.
        fs::remove_file(&path).map_err(failed)?;
    }
    // The socket has a similar file, which protects nothing any more.
    let socket_lock = socket.join(format!(".s.PGSQL.{PORT}.lock"));
    match fs::remove_file(&socket_lock) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(EmbeddedError::io("remove", &socket_lock)(error))
        }
        _ => Ok(()),
    }
}

fn path(cluster: &Path) -> PathBuf {
    cluster.join("postmaster.pid")
}

fn read(cluster: &Path) -> Result<Option<String>, EmbeddedError> {
    match fs::read_to_string(path(cluster)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::io("read", &path(cluster))(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_read_while_it_grows() {
        let begun = Running::parse("42\n/data/postgres\n1750000000\n5432\n").unwrap();
        assert_eq!(begun, Running { pid: 42, socket: None, port: 5432, is_ready: false });
        let whole = "42\n/data/postgres\n1750000000\n5433\n/run/p\n\n  1 2\nready   \n";
        let socket = Some(PathBuf::from("/run/p"));
        assert_eq!(Running::parse(whole), Some(Running { pid: 42, socket, port: 5433, is_ready: true }));
        assert_eq!(Running::parse(""), None);
    }

    #[test]
    fn another_process_is_not_taken_for_the_postmaster() {
        let ourselves = i32::try_from(std::process::id()).unwrap();
        assert!(!is_postmaster(ourselves, Path::new("/")));
    }
}
