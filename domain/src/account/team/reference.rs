//! The memberships that a team refers to: its members are members of the org, or are to become members.

use std::collections::HashSet;

use super::{Team, TeamCommand, TeamPermission};
use crate::account::membership::Membership;
use crate::kernel::aggregate::{Stream, StreamId};
use crate::kernel::id::UserId;

/// The memberships of all members.
pub(super) fn all(team: &Team) -> Vec<StreamId> {
    team.members.keys().map(Membership::stream_id).collect()
}

/// The memberships of users whom commands would add or give another permission.
pub(super) fn changed(team: &Team, commands: &[TeamCommand]) -> Vec<StreamId> {
    let members = commands.iter().filter_map(|command| match command {
        TeamCommand::SetMembers(members) => Some(members),
        _ => None,
    });
    let has_changed =
        |(user, permission): &(&UserId, &TeamPermission)| team.members.get(user) != Some(permission);
    members.flatten().filter(has_changed).map(|(user, _)| Membership::stream_id(user)).collect()
}

/// Changes commands so that users with these memberships keep their permission, or are not added.
pub(super) fn leave_out(team: &Team, commands: &mut [TeamCommand], streams: &HashSet<StreamId>) {
    for command in commands {
        let TeamCommand::SetMembers(members) = command else { continue };
        members.retain(|user, permission| {
            if !streams.contains(&Membership::stream_id(user)) {
                return true;
            }
            team.members.get(user).map(|now| *permission = *now).is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stays_as_it_is() {
        let of = |members: &[(i64, TeamPermission)]| -> std::collections::BTreeMap<_, _> {
            members.iter().map(|(id, permission)| (UserId(*id), *permission)).collect()
        };
        let (member, admin) = (TeamPermission::Member, TeamPermission::Admin);
        let team = Team { members: of(&[(1, member), (2, member)]), ..Team::default() };
        assert_eq!(all(&team), [1, 2].map(|id| Membership::stream_id(&UserId(id))));
        let mut commands = [TeamCommand::SetMembers(of(&[(1, member), (2, admin), (3, admin), (4, member)]))];
        let changed = changed(&team, &commands);
        assert_eq!(changed, [2, 3, 4].map(|id| Membership::stream_id(&UserId(id))));
        let ended = changed.into_iter().take(2).collect();
        leave_out(&team, &mut commands, &ended);
        let [TeamCommand::SetMembers(left)] = &commands else { panic!() };
        assert_eq!(*left, of(&[(1, member), (2, member), (4, member)]));
    }
}
