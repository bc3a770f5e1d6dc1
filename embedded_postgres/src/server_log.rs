//! The log file of Postgres.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::EmbeddedError;

/// A larger file is renamed at the next start of Postgres, replacing the one renamed before.
const LARGEST_BYTES: u64 = 32 << 20;

/// The number of log lines that explain a failed start.
const EXPLAINING_LINES: usize = 6;

/// The log of one run of Postgres.
#[derive(Debug)]
pub(crate) struct ServerLog {
    path: PathBuf,
    /// The offset at which this run begins.
    begin: u64,
}

impl ServerLog {
    /// Opens the log for a new run. We open it ourselves, so that the user of Postgres needs no rights in the data
    /// folder.
    pub(crate) fn open(path: &Path) -> Result<(Self, File), EmbeddedError> {
        let failed = |source| EmbeddedError::io("write", path)(source);
        if fs::metadata(path).is_ok_and(|log| log.len() > LARGEST_BYTES) {
            fs::rename(path, path.with_extension("log.1")).map_err(failed)?;
        }
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).map_err(failed)?;
        let begin = file.metadata().map_err(failed)?.len();
        Ok((Self { path: path.to_owned(), begin }, file))
    }

    /// The last lines of this run.
    pub(crate) fn last_lines(&self) -> String {
        let mut written = Vec::new();
        // An unreadable log must not hide the failure that it should explain.
        let _ = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.begin))?;
            file.take(LARGEST_BYTES).read_to_end(&mut written)
        });
        let written = String::from_utf8_lossy(&written);
        let lines: Vec<&str> = written.lines().collect();
        lines[lines.len().saturating_sub(EXPLAINING_LINES)..].join("\n")
    }
}
