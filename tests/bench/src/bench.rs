//! The settings shared by all rows of a run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Result;

/// The paths and durations of a run.
pub(crate) struct Bench {
    /// The folder of build results, which contains this program.
    pub(crate) target: PathBuf,
    /// The programs of the workspace.
    pub(crate) programs: PathBuf,
    /// The duration of a slice of a measurement.
    pub(crate) slice: Duration,
}

impl Bench {
    /// A run with slices of this many seconds.
    pub(crate) fn try_new(seconds: u64) -> Result<Self> {
        let program = std::env::current_exe()?;
        let programs = program.parent().ok_or("this program is in no folder")?.to_owned();
        let target = programs.parent().ok_or("this program is not in a folder of a build")?.to_owned();
        Ok(Self { target, programs, slice: Duration::from_secs(seconds) })
    }

    /// A new, empty folder for a row, without data of earlier runs.
    pub(crate) fn folder(&self, row: &str) -> Result<PathBuf> {
        self.clear(row)?;
        let folder = self.place(row);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The folder of a row whose data take long to create. It keeps the data of earlier runs.
    pub(crate) fn kept_folder(&self, row: &str) -> Result<PathBuf> {
        let folder = self.target.join("bench-data").join(row);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Removes the data of a row, which can be gigabytes.
    ///
    /// A killed run could not stop the processes that it had started; removing the files of a running Postgres would
    /// only produce confusing numbers.
    pub(crate) fn clear(&self, row: &str) -> Result<()> {
        let folder = self.place(row);
        if !folder.exists() {
            return Ok(());
        }
        if let Ok(left) = fs::read_to_string(folder.join("data/postgres/postmaster.pid")) {
            let pid = left.lines().next().unwrap_or_default().trim();
            if Path::new("/proc").join(pid).exists() {
                let folder = folder.display();
                return Err(format!("an earlier PostgreSQL (pid {pid}) still runs in {folder}").into());
            }
        }
        Ok(fs::remove_dir_all(folder)?)
    }

    fn place(&self, row: &str) -> PathBuf {
        self.target.join("bench").join(row)
    }
}
