//! The paths of the embedded database.

use std::fmt::Write;
use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::error::EmbeddedError;

/// The maximum length of the path of a Unix socket, as the kernel limits it.
const LONGEST_SOCKET_PATH: usize = 107;

/// The port is part of the name of the socket; nothing listens on the network.
pub(crate) const PORT: u16 = 5432;

/// The folders and files of one data folder.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) data: PathBuf,
    pub(crate) cluster: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) lock: PathBuf,
}

impl Place {
    /// Creates the data folder if it is missing. Its path is made canonical, so that every server finds the same socket
    /// and recognizes the same processes.
    pub(crate) fn open(data: &Path) -> Result<Self, EmbeddedError> {
        fs::create_dir_all(data).map_err(EmbeddedError::io("create the data folder", data))?;
        let data = data.canonicalize().map_err(EmbeddedError::io("find the data folder", data))?;
        // Postgres writes its paths into text files, one per line.
        if data.to_str().is_none_or(|path| path.contains('\n')) {
            let reason = io::Error::new(io::ErrorKind::InvalidInput, "its path is not one line of UTF-8");
            return Err(EmbeddedError::io("use the data folder", &data)(reason));
        }
        Ok(Self {
            cluster: data.join("postgres"),
            log: data.join("postgres.log"),
            lock: data.join("kymograph.lock"),
            data,
        })
    }

    /// The folder of the socket: in the data folder, unless the path would be too long for a socket.
    pub(crate) fn socket_folder(&self) -> PathBuf {
        let mut short = String::from("kymograph-");
        for byte in &Sha256::digest(self.data.as_os_str().as_bytes())[..8] {
            // Writing into a string cannot fail.
            let _ = write!(short, "{byte:02x}");
        }
        let choices = [self.data.join("postgres-socket"), std::env::temp_dir().join(&short)];
        choices.into_iter().find(|folder| fits(folder)).unwrap_or_else(|| Path::new("/tmp").join(short))
    }

    /// Creates the socket's folder, which only its owner may enter: every client of the socket is a superuser. A folder
    /// that another user created before, which is possible in the system's temporary folder, is refused.
    pub(crate) fn make_socket_folder(&self, folder: &Path, account: &Account) -> Result<(), EmbeddedError> {
        let is_trusted = |found: &Metadata| {
            found.is_dir() && (account.owns(found) || found.uid() == rustix::process::geteuid().as_raw())
        };
        let look = || fs::symlink_metadata(folder).map_err(EmbeddedError::io("read", folder));
        // Within the data folder it can only be our own, from a time when another user ran Postgres.
        if folder.starts_with(&self.data) && look().is_ok_and(|found| !is_trusted(&found)) {
            fs::remove_dir_all(folder).map_err(EmbeddedError::io("remove", folder))?;
        }
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(EmbeddedError::io("create", folder)(error));
            }
            _ => {}
        }
        if !is_trusted(&look()?) {
            return Err(EmbeddedError::SocketFolderTaken(folder.to_owned()));
        }
        fs::set_permissions(folder, Permissions::from_mode(0o700))
            .map_err(EmbeddedError::io("protect", folder))?;
        account.take(folder)
    }
}

fn fits(folder: &Path) -> bool {
    folder.is_absolute() && folder.join(format!(".s.PGSQL.{PORT}")).as_os_str().len() <= LONGEST_SOCKET_PATH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_moves_to_the_temporary_folder_when_its_path_is_too_long() {
        let at = |data: &str| Place {
            data: PathBuf::from(data),
            cluster: PathBuf::new(),
            log: PathBuf::new(),
            lock: PathBuf::new(),
        };
        assert_eq!(at("/data").socket_folder(), Path::new("/data/postgres-socket"));
        let (long, longer) = (format!("/{}", "d".repeat(100)), format!("/{}", "d".repeat(101)));
        assert!(fits(&at(&long).socket_folder()));
        assert_ne!(at(&long).socket_folder(), at(&longer).socket_folder());
    }
}
