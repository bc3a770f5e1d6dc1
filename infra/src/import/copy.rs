//! Copies a source that cannot be read twice to an anonymous temporary file.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use kymograph_app::kernel::foreign_log::{ForeignLog, ForeignRow};
use kymograph_app::{Error, Result};

use crate::progress::Report;

/// Copies a stream of bytes.
pub(super) fn copy_file(mut from: impl Read) -> Result<File> {
    let mut file = tempfile::tempfile().map_err(Error::internal)?;
    io::copy(&mut from, &mut file).map_err(Error::internal)?;
    Ok(file)
}

/// Copies a log, one event per line, and returns the places of its events for error messages.
pub(super) async fn copy_log(log: &dyn ForeignLog, report: Report<'_>) -> Result<(File, Vec<String>)> {
    let mut file = BufWriter::new(tempfile::tempfile().map_err(Error::internal)?);
    let mut places = Vec::new();
    let mut take = |row: ForeignRow, total| {
        let ForeignRow { aggregate_type, aggregate_id, sequence, .. } = &row;
        places.push(format!("{aggregate_type} {aggregate_id}, sequence {sequence}"));
        let mut line = serde_json::to_vec(&row).map_err(Error::internal)?;
        line.push(b'\n');
        file.write_all(&line).map_err(Error::internal)?;
        report.at("reading", places.len() as u64, total);
        Ok(())
    };
    log.read(&mut take).await?;
    let file = file.into_inner().map_err(|error| Error::internal(error.into_error()))?;
    Ok((file, places))
}
