//! A team: a group of users in an org. Users who are not members of the org are ignored until they become members.

mod reference;

use std::collections::{BTreeMap, HashSet};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, StreamId, decide};
use crate::kernel::effect::{Effects, Ending};
use crate::kernel::id::{TeamId, UserId};
use crate::kernel::invariant::Invariant;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::text::{MAX_NAME_BYTES, has_hidden_characters, is_storable};
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

/// The maximum number of members of a team. They are part of the state, which is written with each event.
pub const MAX_MEMBERS: usize = 5000;

/// The permission of a member on its team.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TeamPermission {
    /// An ordinary member.
    #[default]
    Member,
    /// An administrator of the team.
    Admin,
}

/// The members of a team with their permissions on it.
pub type TeamMembers = BTreeMap<UserId, TeamPermission>;

/// The state that decisions about a team need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Team {
    /// The id.
    pub id: TeamId,
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// The members.
    pub members: TeamMembers,
    /// Whether it exists: created and not deleted since.
    pub exists: bool,
}

/// The commands of a team.
#[derive(Clone, Debug)]
pub enum TeamCommand {
    /// Creates it.
    Create(TeamCreated),
    /// Changes the name or the e-mail address; `None` keeps the current value.
    Update {
        /// The new name.
        name: Option<String>,
        /// The new e-mail address.
        email: Option<String>,
    },
    /// Makes a user a member.
    AddMember {
        /// The user.
        user_id: UserId,
        /// The permission of the user on the team.
        permission: TeamPermission,
    },
    /// Gives a member another permission.
    ChangePermission {
        /// The member.
        user_id: UserId,
        /// The permission from now on.
        permission: TeamPermission,
    },
    /// Removes a member.
    RemoveMember(UserId),
    /// Replaces all members by these users.
    SetMembers(TeamMembers),
    /// Deletes it.
    Delete,
}

/// A team was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamCreated {
    /// The id, unique in the org.
    pub id: TeamId,
    /// The uid.
    pub uid: Uid,
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

/// A team's name or e-mail address was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamUpdated {
    /// The team.
    pub id: TeamId,
    /// The name from now on.
    pub name: String,
    /// The e-mail address from now on.
    pub email: String,
}

/// A user was made a member of a team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamMemberAdded {
    /// The team.
    pub id: TeamId,
    /// The user.
    pub user_id: UserId,
    /// The permission of the user on the team.
    pub permission: TeamPermission,
}

/// A member of a team was given another permission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamPermissionChanged {
    /// The team.
    pub id: TeamId,
    /// The member.
    pub user_id: UserId,
    /// The permission from now on.
    pub permission: TeamPermission,
}

/// A user was removed from a team.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamMemberRemoved {
    /// The team.
    pub id: TeamId,
    /// The user.
    pub user_id: UserId,
}

/// A team was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeamDeleted {
    /// The team.
    pub id: TeamId,
}

domain_events! {
    /// The events of a team.
    pub enum TeamEvent {
        /// It was created.
        Created(TeamCreated) = "team.created", 1;
        /// Its name or e-mail address was changed.
        Updated(TeamUpdated) = "team.updated", 1;
        /// A user was made a member.
        MemberAdded(TeamMemberAdded) = "team.member_added", 1;
        /// A member was given another permission.
        PermissionChanged(TeamPermissionChanged) = "team.permission_changed", 1;
        /// A user was removed.
        MemberRemoved(TeamMemberRemoved) = "team.member_removed", 1;
        /// It was deleted.
        Deleted(TeamDeleted) = "team.deleted", 1;
    }
}

impl Effects for TeamEvent {
    fn ending(&self) -> Option<Ending<'_>> {
        match self {
            Self::Deleted(deleted) => Some(Ending::Team(deleted.id)),
            _ => None,
        }
    }
}

/// The reason why a team rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TeamError {
    /// It has no name.
    #[error("team name cannot be empty")]
    NameEmpty,
    /// The name or e-mail address is too long or cannot be stored.
    #[error("team name or email is too long")]
    TextTooLong,
    /// The name or e-mail address has control or invisible characters.
    #[error("team name or email has control or invisible characters")]
    TextHidden,
    /// Another team of the org has the name.
    #[error("Team name taken")]
    NameTaken,
    /// It does not exist.
    #[error("Team not found")]
    NotFound,
    /// The user is a member already.
    #[error("User is already added to this team")]
    AlreadyMember,
    /// The user is no member of the team.
    #[error("Team member not found")]
    NotMember,
    /// The user does not exist, or the org has no user of that name.
    #[error("User not found")]
    UserNotFound,
    /// It would have too many members.
    #[error("a team can have at most {MAX_MEMBERS} members")]
    TooManyMembers,
}

impl Reason for TeamError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::NameEmpty
            | Self::TextTooLong
            | Self::TextHidden
            | Self::AlreadyMember
            | Self::TooManyMembers => ReasonKind::Invalid,
            Self::NameTaken => ReasonKind::Taken,
            Self::NotFound | Self::NotMember | Self::UserNotFound => ReasonKind::Missing,
        }
    }
}

impl Team {
    /// The names of the teams of an org are unique.
    pub const NAME_UNIQUE: Invariant = Invariant::new("team_name_unique", || TeamError::NameTaken.into());
}

impl Stream for Team {
    type Key = TeamId;

    const ENDINGS: &'static [&'static str] = &["team.deleted"];
    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("team.created", Undoing::Impossible("delete the team")),
        ("team.updated", Undoing::Reverted),
        ("team.member_added", Undoing::Reverted),
        ("team.permission_changed", Undoing::Reverted),
        ("team.member_removed", Undoing::Reverted),
        ("team.deleted", Undoing::Reverted),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    fn title(&self) -> Option<&str> {
        Some(&self.name)
    }

    fn restoration(&self, past: &Self, events: &[TeamEvent], _: i64) -> Option<Vec<TeamCommand>> {
        let (name, email) = (past.name.clone(), past.email.clone());
        let first = if self.exists {
            TeamCommand::Update { name: Some(name), email: Some(email) }
        } else {
            let TeamEvent::Created(created) = events.first()? else { return None };
            TeamCommand::Create(TeamCreated { name, email, ..created.clone() })
        };
        Some(vec![first, TeamCommand::SetMembers(past.members.clone())])
    }

    fn references(&self) -> Vec<StreamId> {
        reference::all(self)
    }

    fn changed_references(&self, commands: &[TeamCommand]) -> Vec<StreamId> {
        reference::changed(self, commands)
    }

    fn leave_out(&self, commands: &mut [TeamCommand], streams: &HashSet<StreamId>) {
        reference::leave_out(self, commands, streams);
    }
}

impl Aggregate for Team {
    const TYPE: &'static str = "team";
    type Command = TeamCommand;
    type Event = TeamEvent;
    type Error = TeamError;
    type Services = ();

    async fn handle(
        &mut self,
        command: TeamCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), TeamError> {
        for event in self.decisions(command)? {
            decide(self, sink, event).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: TeamEvent) {
        match event {
            TeamEvent::Created(created) => {
                *self = Self {
                    id: created.id,
                    name: created.name,
                    email: created.email,
                    members: BTreeMap::new(),
                    exists: true,
                };
            }
            TeamEvent::Updated(updated) => {
                self.name = updated.name;
                self.email = updated.email;
            }
            TeamEvent::MemberAdded(added) => {
                self.members.insert(added.user_id, added.permission);
            }
            TeamEvent::PermissionChanged(changed) => {
                self.members.insert(changed.user_id, changed.permission);
            }
            TeamEvent::MemberRemoved(removed) => {
                self.members.remove(&removed.user_id);
            }
            TeamEvent::Deleted(_) => {
                self.members.clear();
                self.exists = false;
            }
        }
    }
}

impl Team {
    fn decisions(&self, command: TeamCommand) -> Result<Vec<TeamEvent>, TeamError> {
        let id = self.id;
        if !self.exists && !matches!(command, TeamCommand::Create(_)) {
            return Err(TeamError::NotFound);
        }
        Ok(vec![match command {
            // Each id is assigned only once, so only a bug can lead to an existing team here.
            TeamCommand::Create(_) if self.exists => return Err(TeamError::NameTaken),
            TeamCommand::Create(created) => {
                check_texts(&created.name, &created.email)?;
                created.into()
            }
            TeamCommand::Update { name, email } => {
                let name = name.unwrap_or_else(|| self.name.clone());
                let email = email.unwrap_or_else(|| self.email.clone());
                check_texts(&name, &email)?;
                if name == self.name && email == self.email {
                    return Ok(Vec::new());
                }
                TeamUpdated { id, name, email }.into()
            }
            TeamCommand::AddMember { user_id, .. } if self.members.contains_key(&user_id) => {
                return Err(TeamError::AlreadyMember);
            }
            TeamCommand::AddMember { .. } if self.members.len() >= MAX_MEMBERS => {
                return Err(TeamError::TooManyMembers);
            }
            TeamCommand::AddMember { user_id, permission } => {
                TeamMemberAdded { id, user_id, permission }.into()
            }
            TeamCommand::ChangePermission { user_id, permission } => match self.members.get(&user_id) {
                None => return Err(TeamError::NotMember),
                Some(current) if *current == permission => return Ok(Vec::new()),
                Some(_) => TeamPermissionChanged { id, user_id, permission }.into(),
            },
            TeamCommand::RemoveMember(user_id) if !self.members.contains_key(&user_id) => {
                return Err(TeamError::NotMember);
            }
            TeamCommand::RemoveMember(user_id) => TeamMemberRemoved { id, user_id }.into(),
            TeamCommand::SetMembers(members) => return self.set_members(&members),
            TeamCommand::Delete => TeamDeleted { id }.into(),
        }])
    }

    /// The events that change the current members to the given ones.
    fn set_members(&self, members: &TeamMembers) -> Result<Vec<TeamEvent>, TeamError> {
        if members.len() > MAX_MEMBERS {
            return Err(TeamError::TooManyMembers);
        }
        let id = self.id;
        let gone = self.members.keys().filter(|user_id| !members.contains_key(user_id));
        let mut events: Vec<_> =
            gone.map(|user_id| TeamMemberRemoved { id, user_id: *user_id }.into()).collect();
        for (&user_id, &permission) in members {
            match self.members.get(&user_id) {
                None => events.push(TeamMemberAdded { id, user_id, permission }.into()),
                Some(current) if *current == permission => {}
                Some(_) => events.push(TeamPermissionChanged { id, user_id, permission }.into()),
            }
        }
        Ok(events)
    }
}

fn check_texts(name: &str, email: &str) -> Result<(), TeamError> {
    if name.trim().is_empty() {
        return Err(TeamError::NameEmpty);
    }
    if has_hidden_characters(name) || has_hidden_characters(email) {
        return Err(TeamError::TextHidden);
    }
    if is_storable(name, MAX_NAME_BYTES) && is_storable(email, MAX_NAME_BYTES) {
        Ok(())
    } else {
        Err(TeamError::TextTooLong)
    }
}

#[cfg(test)]
mod tests;
