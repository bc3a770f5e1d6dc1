//! Members of teams that come back.

use std::any::Any;
use std::collections::HashSet;

use kymograph_domain::account::membership::Membership;
use kymograph_domain::account::team::{Team, TeamCommand, TeamPermission};
use kymograph_domain::rights::resource_permission::Grantee;
use kymograph_domain::{Stream, UserId};

use super::HistoryReader;
use crate::Scope;
use crate::kernel::error::Result;

/// Takes those out of commands for a team who have left the org since a position, unless they come back as well: their
/// rights ended then, even if they joined again. Returns how many they are.
pub(crate) async fn leave_out_ended<S: Any, C: Any>(
    reader: &dyn HistoryReader,
    scope: &Scope,
    team: &S,
    commands: &mut [C],
    position: i64,
    returned: &HashSet<Grantee>,
) -> Result<usize> {
    let Some(team) = (team as &dyn Any).downcast_ref::<Team>() else { return Ok(0) };
    let mut count = 0;
    // A member who has come back has what it was given since.
    for command in commands {
        let Some(TeamCommand::SetMembers(members)) = (command as &mut dyn Any).downcast_mut() else {
            continue;
        };
        let changes = |(user, permission): &(&UserId, &TeamPermission)| {
            team.members.get(user) != Some(permission) && !returned.contains(&Grantee::User(**user))
        };
        let streams: Vec<_> =
            members.iter().filter(changes).map(|(user, _)| Membership::stream_id(user)).collect();
        let ended = reader.find_ended(scope, &streams, position).await?;
        count += ended.len();
        members.retain(|user, permission| {
            if !ended.contains(&Membership::stream_id(user)) {
                return true;
            }
            team.members.get(user).map(|now| *permission = *now).is_some()
        });
    }
    Ok(count)
}
