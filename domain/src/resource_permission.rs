//! Who may do what with one folder or dashboard.
//!
//! Each has a list of its own only once somebody has set one; until then [`DEFAULT_GRANTS`] hold at the root, and
//! nothing inside a folder. What the folders around it grant holds inside as well. The stream is named by
//! the numeric id, so that what is created again under a uid begins with no list.

use std::collections::BTreeMap;
use std::fmt;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::aggregate::{Stream, decide};
use crate::domain_events;
use crate::id::{TeamId, UserId};
use crate::reason::{Reason, ReasonKind};
use crate::role::OrgRole;
use crate::uid::Uid;

/// How many grants a list may have. They are part of the state, which is written with each event.
pub const MAX_GRANTS: usize = 500;

/// What somebody may do with a folder or dashboard, and with all that is inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AccessLevel {
    /// Read it.
    View,
    /// Change, move and delete it, and create in it.
    Edit,
    /// Say who else may do something with it.
    Admin,
}

impl AccessLevel {
    /// All levels, from the lowest.
    pub const ALL: [Self; 3] = [Self::View, Self::Edit, Self::Admin];

    /// The name of the level.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "View",
            Self::Edit => "Edit",
            Self::Admin => "Admin",
        }
    }

    /// The number by which older operations name the level. A higher level has a higher number.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::View => 1,
            Self::Edit => 2,
            Self::Admin => 4,
        }
    }

    /// The level of that name, case-sensitively.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    /// The level of that number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|level| i64::from(level.number()) == number)
    }
}

/// To whom something is granted. Its text, like `user:5`, is how it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Grantee {
    /// A user or a service account, which are numbered together.
    User(UserId),
    /// The members of a team.
    Team(TeamId),
    /// The members of the org who have a role, or a higher one.
    Role(OrgRole),
}

/// The text does not name a grantee.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no grantee")]
pub struct GranteeError(String);

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Team(id) => write!(f, "team:{id}"),
            Self::Role(role) => write!(f, "role:{role}"),
        }
    }
}

impl From<Grantee> for String {
    fn from(grantee: Grantee) -> Self {
        grantee.to_string()
    }
}

impl TryFrom<String> for Grantee {
    type Error = GranteeError;

    fn try_from(text: String) -> Result<Self, GranteeError> {
        Self::try_parse(&text)
    }
}

impl Grantee {
    /// Reads the text of a grantee as it is stored.
    pub fn try_parse(text: &str) -> Result<Self, GranteeError> {
        let grantee = match text.split_once(':') {
            Some(("user", id)) => id.parse().ok().map(|id| Self::User(UserId(id))),
            Some(("team", id)) => id.parse().ok().map(|id| Self::Team(TeamId(id))),
            Some(("role", role)) => OrgRole::try_parse(role).ok().map(Self::Role),
            _ => None,
        };
        grantee.ok_or_else(|| GranteeError(text.to_owned()))
    }
}

/// What is granted to whom.
pub type Grants = BTreeMap<Grantee, AccessLevel>;

/// What holds by role for a folder or dashboard at the root while it has no list of its own. Its creator administers
/// it as well.
pub const DEFAULT_GRANTS: [(Grantee, AccessLevel); 2] = [
    (Grantee::Role(OrgRole::Viewer), AccessLevel::View),
    (Grantee::Role(OrgRole::Editor), AccessLevel::Edit),
];

/// The list that says what holds at the root without one.
#[must_use]
pub fn default_grants(creator: Option<UserId>) -> Grants {
    let creator = creator.map(|user| (Grantee::User(user), AccessLevel::Admin));
    DEFAULT_GRANTS.into_iter().chain(creator).collect()
}

/// What kind of thing has permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A folder.
    Folder,
    /// A dashboard.
    Dashboard,
}

impl ResourceKind {
    /// The name of the kind as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Dashboard => "dashboard",
        }
    }
}

/// A folder or dashboard of an org.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// What it is.
    pub kind: ResourceKind,
    /// Its uid.
    pub uid: Uid,
    /// Its numeric id, which no other folder or dashboard of the org has or had.
    pub id: i64,
}

/// The state that decisions about the permissions of a resource need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourcePermission {
    /// The resource, once it has a list.
    pub resource: Option<Resource>,
    /// The list.
    pub grants: Grants,
}

/// What the permissions of a resource can be told.
#[derive(Clone, Debug)]
pub enum ResourcePermissionCommand {
    /// Makes these the grants, and no others.
    Replace {
        /// The resource.
        resource: Resource,
        /// Its grants.
        grants: Grants,
    },
    /// Changes the level of some grantees, or takes theirs away for `None`.
    Change {
        /// The resource.
        resource: Resource,
        /// What holds as long as the resource has no list.
        defaults: Grants,
        /// The changes.
        changes: BTreeMap<Grantee, Option<AccessLevel>>,
    },
    /// Takes away what was granted to somebody who is no more.
    Drop(Grantee),
}

/// A resource was given a list of its own, which is empty at first. What held by default holds no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourcePermissionCustomized {
    /// The resource.
    pub resource: Resource,
}

/// Somebody was granted a level, instead of the one granted before, if any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourcePermissionGranted {
    /// The resource.
    pub resource: Resource,
    /// To whom.
    pub grantee: Grantee,
    /// What.
    pub level: AccessLevel,
}

/// What was granted to somebody was taken away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourcePermissionRevoked {
    /// The resource.
    pub resource: Resource,
    /// From whom.
    pub grantee: Grantee,
}

domain_events! {
    /// What happens to the permissions of a resource.
    pub enum ResourcePermissionEvent {
        /// It was given a list of its own.
        Customized(ResourcePermissionCustomized) = "resource_permission.customized", 1;
        /// Somebody was granted a level.
        Granted(ResourcePermissionGranted) = "resource_permission.granted", 1;
        /// A grant was taken away.
        Revoked(ResourcePermissionRevoked) = "resource_permission.revoked", 1;
    }
}

/// Why the permissions of a resource refuse a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourcePermissionError {
    /// It would have too many grants.
    #[error("a folder or dashboard can have at most {MAX_GRANTS} permissions")]
    TooMany,
    /// A level is none of this kind of resource.
    #[error("Permission [{0}] is invalid for this resource type")]
    LevelInvalid(String),
    /// A grant names nobody, or more than one.
    #[error("a permission must have a user, a team or a role, and only one of them")]
    GranteeUnclear,
    /// There is no such user in the org.
    #[error("user not found")]
    UserNotFound,
    /// There is no such team.
    #[error("team not found")]
    TeamNotFound,
    /// There is no such role.
    #[error("built-in role [{0}] is not valid")]
    RoleInvalid(String),
    /// The role that stands for no rights cannot be given any.
    #[error("none role cannot receive permissions")]
    RoleNone,
}

impl Reason for ResourcePermissionError {
    // What a list names is part of the input, so that who is not there makes it wrong.
    fn kind(&self) -> ReasonKind {
        ReasonKind::Invalid
    }
}

impl Stream for ResourcePermission {
    type Key = i64;
}

impl Aggregate for ResourcePermission {
    const TYPE: &'static str = "resource_permission";
    type Command = ResourcePermissionCommand;
    type Event = ResourcePermissionEvent;
    type Error = ResourcePermissionError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ResourcePermissionCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ResourcePermissionError> {
        for event in self.decisions(command)? {
            decide(self, sink, event).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ResourcePermissionEvent) {
        match event {
            ResourcePermissionEvent::Customized(customized) => self.resource = Some(customized.resource),
            ResourcePermissionEvent::Granted(granted) => {
                self.grants.insert(granted.grantee, granted.level);
            }
            ResourcePermissionEvent::Revoked(revoked) => {
                self.grants.remove(&revoked.grantee);
            }
        }
    }
}

impl ResourcePermission {
    fn decisions(
        &self,
        command: ResourcePermissionCommand,
    ) -> Result<Vec<ResourcePermissionEvent>, ResourcePermissionError> {
        let has_list = self.resource.is_some();
        match command {
            ResourcePermissionCommand::Replace { resource, grants } => self.lead_to(&resource, &grants),
            ResourcePermissionCommand::Change { resource, defaults, changes } => {
                let before = if has_list { &self.grants } else { &defaults };
                let mut grants = before.clone();
                for (grantee, level) in changes {
                    match level {
                        Some(level) => grants.insert(grantee, level),
                        None => grants.remove(&grantee),
                    };
                }
                // What changes nothing leaves the defaults in force.
                if grants == *before { Ok(Vec::new()) } else { self.lead_to(&resource, &grants) }
            }
            ResourcePermissionCommand::Drop(grantee) => Ok(match &self.resource {
                Some(resource) if self.grants.contains_key(&grantee) => {
                    vec![ResourcePermissionRevoked { resource: resource.clone(), grantee }.into()]
                }
                _ => Vec::new(),
            }),
        }
    }

    /// The events that lead from the list there is, or from none, to the one there shall be.
    fn lead_to(
        &self,
        resource: &Resource,
        grants: &Grants,
    ) -> Result<Vec<ResourcePermissionEvent>, ResourcePermissionError> {
        if grants.len() > MAX_GRANTS {
            return Err(ResourcePermissionError::TooMany);
        }
        let mut events = Vec::new();
        if self.resource.is_none() {
            events.push(ResourcePermissionCustomized { resource: resource.clone() }.into());
        }
        for &grantee in self.grants.keys().filter(|grantee| !grants.contains_key(grantee)) {
            events.push(ResourcePermissionRevoked { resource: resource.clone(), grantee }.into());
        }
        for (&grantee, &level) in
            grants.iter().filter(|(grantee, level)| self.grants.get(grantee) != Some(level))
        {
            events.push(ResourcePermissionGranted { resource: resource.clone(), grantee, level }.into());
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    type Framework = TestFramework<ResourcePermission>;
    const VIEWERS: Grantee = Grantee::Role(OrgRole::Viewer);
    const EDITORS: Grantee = Grantee::Role(OrgRole::Editor);
    const ANN: Grantee = Grantee::User(UserId(5));

    fn resource() -> Resource {
        Resource { kind: ResourceKind::Folder, uid: Uid::try_new("ops").unwrap(), id: 7 }
    }

    fn customized() -> ResourcePermissionEvent {
        ResourcePermissionCustomized { resource: resource() }.into()
    }

    fn granted(grantee: Grantee, level: AccessLevel) -> ResourcePermissionEvent {
        ResourcePermissionGranted { resource: resource(), grantee, level }.into()
    }

    fn revoked(grantee: Grantee) -> ResourcePermissionEvent {
        ResourcePermissionRevoked { resource: resource(), grantee }.into()
    }

    fn change(grantee: Grantee, level: Option<AccessLevel>) -> ResourcePermissionCommand {
        let defaults = default_grants(None);
        ResourcePermissionCommand::Change {
            resource: resource(),
            defaults,
            changes: [(grantee, level)].into(),
        }
    }

    #[tokio::test]
    async fn the_first_change_starts_from_the_defaults() {
        Framework::with(())
            .given_no_previous_events()
            .when_async(change(VIEWERS, None))
            .await
            .then_expect_events(vec![customized(), granted(EDITORS, AccessLevel::Edit)]);
        Framework::with(())
            .given(vec![customized()])
            .when_async(change(ANN, Some(AccessLevel::View)))
            .await
            .then_expect_events(vec![granted(ANN, AccessLevel::View)]);
    }

    #[tokio::test]
    async fn what_changes_nothing_is_no_event() {
        for nothing in [change(ANN, None), change(VIEWERS, Some(AccessLevel::View))] {
            Framework::with(())
                .given_no_previous_events()
                .when_async(nothing)
                .await
                .then_expect_events(vec![]);
        }
    }

    #[tokio::test]
    async fn a_list_is_replaced_by_what_differs() {
        let grants = Grants::from([(ANN, AccessLevel::Admin), (EDITORS, AccessLevel::View)]);
        Framework::with(())
            .given(vec![
                customized(),
                granted(VIEWERS, AccessLevel::View),
                granted(EDITORS, AccessLevel::View),
            ])
            .when_async(ResourcePermissionCommand::Replace { resource: resource(), grants })
            .await
            .then_expect_events(vec![revoked(VIEWERS), granted(ANN, AccessLevel::Admin)]);
        Framework::with(())
            .given_no_previous_events()
            .when_async(ResourcePermissionCommand::Replace { resource: resource(), grants: Grants::new() })
            .await
            .then_expect_events(vec![customized()]);
    }

    #[tokio::test]
    async fn who_is_no_more_is_dropped_once() {
        Framework::with(())
            .given(vec![customized(), granted(ANN, AccessLevel::View)])
            .when_async(ResourcePermissionCommand::Drop(ANN))
            .await
            .then_expect_events(vec![revoked(ANN)]);
        Framework::with(())
            .given(vec![customized()])
            .when_async(ResourcePermissionCommand::Drop(ANN))
            .await
            .then_expect_events(vec![]);
    }

    #[tokio::test]
    async fn a_list_is_bounded() {
        let everybody = (1..=501).map(|user| (Grantee::User(UserId(user)), AccessLevel::View)).collect();
        Framework::with(())
            .given_no_previous_events()
            .when_async(ResourcePermissionCommand::Replace { resource: resource(), grants: everybody })
            .await
            .then_expect_error(ResourcePermissionError::TooMany);
    }

    #[test]
    fn the_state_can_be_kept_as_json() {
        let mut state = ResourcePermission::default();
        for event in [customized(), granted(ANN, AccessLevel::Edit), granted(EDITORS, AccessLevel::View)] {
            state.apply(event);
        }
        let kept = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<ResourcePermission>(&kept).unwrap(), state);
        assert!(Grantee::try_parse("user:x").is_err() && Grantee::try_parse("nobody").is_err());
    }

    #[test]
    fn a_higher_level_has_a_higher_number() {
        assert!(AccessLevel::ALL.is_sorted_by_key(|level| level.number()));
        assert_eq!(
            AccessLevel::ALL.map(|level| AccessLevel::parse(level.as_str())),
            AccessLevel::ALL.map(Some)
        );
        assert_eq!(AccessLevel::from_number(3), None);
    }
}
