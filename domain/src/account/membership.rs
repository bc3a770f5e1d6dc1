//! The membership of a user in an org, with the role the user has there.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::effect::{Effects, Ending};
use crate::kernel::id::UserId;
use crate::kernel::invariant::Invariant;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::role::OrgRole;
use crate::kernel::undo::Undoing;

/// The state that decisions about a membership need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    /// The user.
    pub user_id: UserId,
    /// The role, `None` (the variant) while the user is no member.
    pub role: OrgRole,
    /// Whether the user is a member.
    pub exists: bool,
}

/// The commands of a membership.
#[derive(Clone, Copy, Debug)]
pub enum MembershipCommand {
    /// Makes the user a member.
    Add {
        /// The user.
        user_id: UserId,
        /// The role.
        role: OrgRole,
    },
    /// Gives the member another role.
    ChangeRole(OrgRole),
    /// Ends the membership.
    Remove,
}

/// A user was made a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MembershipAdded {
    /// The user.
    pub user_id: UserId,
    /// The role.
    pub role: OrgRole,
}

/// A member was given another role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MembershipRoleChanged {
    /// The user.
    pub user_id: UserId,
    /// The role from now on.
    pub role: OrgRole,
}

/// A membership was ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MembershipRemoved {
    /// The user.
    pub user_id: UserId,
}

domain_events! {
    /// The events of a membership.
    pub enum MembershipEvent {
        /// The user was made a member.
        Added(MembershipAdded) = "membership.added", 1;
        /// The member was given another role.
        RoleChanged(MembershipRoleChanged) = "membership.role_changed", 1;
        /// The membership was ended.
        Removed(MembershipRemoved) = "membership.removed", 1;
    }
}

impl Effects for MembershipEvent {
    fn ending(&self) -> Option<Ending<'_>> {
        match self {
            Self::Removed(removed) => Some(Ending::Member(removed.user_id)),
            _ => None,
        }
    }
}

/// The reason why a membership rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// The user is a member already.
    #[error("User is already member of this organization")]
    AlreadyMember,
    /// The user is no member.
    #[error("cannot change role for user that is not a member")]
    NotMember,
    /// The org would be left without an admin.
    #[error("Cannot remove last organization admin")]
    LastAdmin,
}

impl Reason for MembershipError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::AlreadyMember => ReasonKind::Taken,
            Self::NotMember => ReasonKind::Missing,
            Self::LastAdmin => ReasonKind::Invalid,
        }
    }
}

impl Membership {
    /// An org that has had an admin keeps one.
    pub const ADMIN_KEPT: Invariant = Invariant::new("org_admin_kept", || MembershipError::LastAdmin.into());
}

impl Stream for Membership {
    type Key = UserId;

    const ENDINGS: &'static [&'static str] = &["membership.removed"];
    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        (
            "membership.added",
            Undoing::Impossible("remove the member, which also removes the member's grants"),
        ),
        ("membership.role_changed", Undoing::Reverted),
        ("membership.removed", Undoing::Reverted),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    /// Restores the role. A former member becomes a member again only if the removal itself is undone.
    fn restoration(&self, past: &Self, _: &[MembershipEvent], _: i64) -> Option<Vec<MembershipCommand>> {
        self.exists.then(|| vec![MembershipCommand::ChangeRole(past.role)])
    }

    fn reversal(
        &self,
        past: &Self,
        events: &[MembershipEvent],
        new_id: i64,
    ) -> Option<Vec<MembershipCommand>> {
        let Self { user_id, role, .. } = *past;
        let add = past.exists.then_some(MembershipCommand::Add { user_id, role });
        if self.exists { self.restoration(past, events, new_id) } else { add.map(|add| vec![add]) }
    }
}

impl Aggregate for Membership {
    const TYPE: &'static str = "membership";
    type Command = MembershipCommand;
    type Event = MembershipEvent;
    type Error = MembershipError;
    type Services = ();

    async fn handle(
        &mut self,
        command: MembershipCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), MembershipError> {
        let user_id = self.user_id;
        let event: MembershipEvent = match command {
            MembershipCommand::Add { .. } if self.exists => return Err(MembershipError::AlreadyMember),
            MembershipCommand::Add { user_id, role } => MembershipAdded { user_id, role }.into(),
            _ if !self.exists => return Err(MembershipError::NotMember),
            MembershipCommand::ChangeRole(role) if role == self.role => return Ok(()),
            MembershipCommand::ChangeRole(role) => MembershipRoleChanged { user_id, role }.into(),
            MembershipCommand::Remove => MembershipRemoved { user_id }.into(),
        };
        decide(self, sink, event).await;
        Ok(())
    }

    fn apply(&mut self, event: MembershipEvent) {
        match event {
            MembershipEvent::Added(added) => {
                *self = Self { user_id: added.user_id, role: added.role, exists: true };
            }
            MembershipEvent::RoleChanged(changed) => self.role = changed.role,
            MembershipEvent::Removed(_) => {
                self.role = OrgRole::None;
                self.exists = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::kernel::testing::{decided, folded};

    type Framework = TestFramework<Membership>;
    const USER: UserId = UserId(9);

    fn added(role: OrgRole) -> MembershipEvent {
        MembershipAdded { user_id: USER, role }.into()
    }

    #[tokio::test]
    async fn a_member_is_added_once() {
        let add = MembershipCommand::Add { user_id: USER, role: OrgRole::Viewer };
        Framework::with(())
            .given_no_previous_events()
            .when_async(add)
            .await
            .then_expect_events(vec![added(OrgRole::Viewer)]);
        Framework::with(())
            .given(vec![added(OrgRole::Viewer)])
            .when_async(add)
            .await
            .then_expect_error(MembershipError::AlreadyMember);
    }

    #[tokio::test]
    async fn the_same_role_again_is_no_event() {
        Framework::with(())
            .given(vec![added(OrgRole::Viewer)])
            .when_async(MembershipCommand::ChangeRole(OrgRole::Viewer))
            .await
            .then_expect_events(vec![]);
    }

    #[tokio::test]
    async fn who_is_no_member_has_no_role_to_change() {
        Framework::with(())
            .given(vec![added(OrgRole::Viewer), MembershipRemoved { user_id: USER }.into()])
            .when_async(MembershipCommand::ChangeRole(OrgRole::Admin))
            .await
            .then_expect_error(MembershipError::NotMember);
    }

    fn removed() -> MembershipEvent {
        MembershipRemoved { user_id: USER }.into()
    }

    fn role_changed(role: OrgRole) -> MembershipEvent {
        MembershipRoleChanged { user_id: USER, role }.into()
    }

    #[tokio::test]
    async fn another_role_or_none_is_an_event() {
        let given = [added(OrgRole::Viewer)];
        for (command, event) in [
            (MembershipCommand::ChangeRole(OrgRole::Admin), role_changed(OrgRole::Admin)),
            (MembershipCommand::Remove, removed()),
        ] {
            assert_eq!(decided::<Membership>(&given, vec![command]).await, Ok(vec![event]));
        }
        let again = MembershipCommand::Add { user_id: USER, role: OrgRole::Editor };
        let back = decided::<Membership>(&[added(OrgRole::Viewer), removed()], vec![again]).await;
        assert_eq!(back, Ok(vec![added(OrgRole::Editor)]));
    }

    #[test]
    fn who_has_left_has_no_role() {
        let member: Membership = folded(&[added(OrgRole::Viewer), role_changed(OrgRole::Admin)]);
        assert_eq!(member, Membership { user_id: USER, role: OrgRole::Admin, exists: true });
        let gone: Membership = folded(&[added(OrgRole::Admin), removed()]);
        assert_eq!(gone, Membership { user_id: USER, role: OrgRole::None, exists: false });
    }

    #[test]
    fn only_with_its_removal_a_membership_ends() {
        assert_eq!(removed().ending(), Some(Ending::Member(USER)));
        assert_eq!((added(OrgRole::Admin).ending(), role_changed(OrgRole::Admin).ending()), (None, None));
    }

    #[tokio::test]
    async fn a_role_comes_back_and_who_left_only_if_the_removal_is_undone() {
        let events = [added(OrgRole::Viewer), role_changed(OrgRole::Admin), removed()];
        let [never, past, now, gone] = [0, 1, 2, 3].map(|count| folded::<Membership>(&events[..count]));
        for commands in [now.restoration(&past, &events[..1], 1), now.reversal(&past, &events[..1], 1)] {
            let back = decided::<Membership>(&events[..2], commands.unwrap()).await;
            assert_eq!(back, Ok(vec![role_changed(OrgRole::Viewer)]));
        }
        assert!(gone.restoration(&now, &events[..2], 1).is_none());
        let commands = gone.reversal(&now, &events[..2], 1).unwrap();
        assert_eq!(decided::<Membership>(&events, commands).await, Ok(vec![added(OrgRole::Admin)]));
        assert!(gone.reversal(&never, &[], 1).is_none());
    }
}
