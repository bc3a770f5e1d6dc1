//! Restoring objects that refer to others which have ended since.

use std::collections::HashSet;

use kymograph_domain::{Stream, StreamId};

use super::HistoryReader;
use crate::Scope;
use crate::kernel::error::Result;

/// Removes from commands for an object the changes of references to objects that have ended since a position, even if
/// they began again: for example, the rights of a team member end with the membership of the org. Returns the number of
/// ended objects. Those in `returned` are restored as well, and keep what they were granted since.
pub(crate) async fn without_ended<A: Stream>(
    reader: &dyn HistoryReader,
    scope: &Scope,
    object: &A,
    commands: &mut [A::Command],
    position: i64,
    returned: &HashSet<StreamId>,
) -> Result<usize> {
    let mut streams = object.changed_references(commands);
    streams.retain(|stream| !returned.contains(stream));
    if streams.is_empty() {
        return Ok(0);
    }
    let ended = reader.find_ended(scope, &streams, position).await?;
    object.leave_out(commands, &ended);
    Ok(ended.len())
}
