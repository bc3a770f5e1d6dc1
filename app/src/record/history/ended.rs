//! Objects that come back to others which have ended since.

use std::collections::HashSet;

use kymograph_domain::{Stream, StreamId};

use super::HistoryReader;
use crate::Scope;
use crate::kernel::error::Result;

/// Takes out of commands for an object what they change of references to those that have ended since a position, even if they
/// began again: the rights of a member of a team end with its membership of the org. Returns how many they are. Those in
/// `returned` come back as well, and have what they were given since.
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
