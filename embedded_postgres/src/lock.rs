//! The lock on a data folder, held for the life of a server.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use crate::error::EmbeddedError;
use crate::place::Place;

/// The right to run the database of a data folder. The kernel releases it with the process, however that ends, so the
/// file is never removed and never stale.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

impl DataLock {
    /// Takes the lock; the error names its holder.
    pub(crate) fn take(place: &Place) -> Result<Self, EmbeddedError> {
        let failed = |source| EmbeddedError::io("lock", &place.lock)(source);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&place.lock);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {
                // Overwritten instead of truncated first, so that concurrent readers always find a number.
                let pid = format!("{}\n", std::process::id());
                file.write_all_at(pid.as_bytes(), 0).map_err(failed)?;
                file.set_len(pid.len() as u64).map_err(failed)?;
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(&place.lock).unwrap_or_default();
                let pid = holder.lines().next().filter(|pid| !pid.is_empty()).unwrap_or("unknown").to_owned();
                Err(EmbeddedError::InUse { data: place.data.clone(), pid })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}
