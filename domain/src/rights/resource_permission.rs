//! The permissions on one folder, dashboard or data source.
//!
//! Each resource has an access-control list of its own only once one was set; until then [`DEFAULT_GRANTS`] apply at
//! the root, and nothing inside a folder. The grants of the folders around it apply as well. The stream is named by the
//! numeric id, so that a resource that is created again under a uid begins without a list.

mod grantee;

use std::collections::BTreeMap;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::effect::Effects;
use crate::kernel::id::UserId;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::role::OrgRole;
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

pub use crate::kernel::access_level::AccessLevel;
pub use grantee::{Grantee, GranteeError};

/// The maximum number of grants in a list. They are part of the state, which is written with each event.
pub const MAX_GRANTS: usize = 500;

/// The maximum depth of a folder, one at the root and four below it, and so the number of lists that decide on its
/// content.
pub const MAX_DEPTH: usize = 5;

/// The access level of each grantee.
pub type Grants = BTreeMap<Grantee, AccessLevel>;

/// The grants by role on a folder or dashboard at the root that has no list of its own. Its creator administers it as
/// well.
pub const DEFAULT_GRANTS: [(Grantee, AccessLevel); 2] = [
    (Grantee::Role(OrgRole::Viewer), AccessLevel::View),
    (Grantee::Role(OrgRole::Editor), AccessLevel::Edit),
];

/// The same for a data source: every viewer of an org may query it.
pub const DATA_SOURCE_GRANTS: [(Grantee, AccessLevel); 2] = [
    (Grantee::Role(OrgRole::Viewer), AccessLevel::View),
    (Grantee::Role(OrgRole::Editor), AccessLevel::View),
];

/// The default list of a data source, or of an object at the root, that has no list of its own.
#[must_use]
pub fn default_grants(kind: ResourceKind, creator: Option<UserId>) -> Grants {
    let creator = creator.map(|user| (Grantee::User(user), AccessLevel::Admin));
    kind.default_grants().into_iter().chain(creator).collect()
}

/// The kind of a resource with permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A folder.
    Folder,
    /// A dashboard.
    Dashboard,
    /// A data source, which is in no folder.
    DataSource,
}

impl ResourceKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Folder, Self::Dashboard, Self::DataSource];

    /// The default grants by role.
    #[must_use]
    pub fn default_grants(self) -> [(Grantee, AccessLevel); 2] {
        match self {
            Self::Folder | Self::Dashboard => DEFAULT_GRANTS,
            Self::DataSource => DATA_SOURCE_GRANTS,
        }
    }

    /// The kind of the objects of a noun.
    #[must_use]
    pub fn of_noun(noun: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == noun)
    }

    /// The name of the kind as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Dashboard => "dashboard",
            Self::DataSource => "data_source",
        }
    }
}

/// A folder, dashboard or data source of an org.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its kind.
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

/// The commands of the permissions of a resource.
#[derive(Clone, Debug)]
pub enum ResourcePermissionCommand {
    /// Replaces all grants by these.
    Replace {
        /// The resource.
        resource: Resource,
        /// Its grants.
        grants: Grants,
    },
    /// Changes the level of some grantees; `None` revokes their grant.
    Change {
        /// The resource.
        resource: Resource,
        /// The default grants, which apply as long as the resource has no list.
        defaults: Grants,
        /// The changes.
        changes: BTreeMap<Grantee, Option<AccessLevel>>,
    },
    /// Revokes the grant of a grantee that no longer exists.
    Drop(Grantee),
    /// Deletes the list, so that the default grants apply again.
    Reset,
}

/// A resource was given a list of its own, which is empty at first. The default grants no longer apply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourcePermissionCustomized {
    /// The resource.
    pub resource: Resource,
}

/// A grantee was granted a level, which replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourcePermissionGranted {
    /// The resource.
    pub resource: Resource,
    /// The grantee.
    pub grantee: Grantee,
    /// The level.
    pub level: AccessLevel,
}

/// The grant of a grantee was revoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourcePermissionRevoked {
    /// The resource.
    pub resource: Resource,
    /// The grantee.
    pub grantee: Grantee,
}

/// The list of a resource was deleted with all its grants. The default grants apply again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourcePermissionReset {
    /// The resource.
    pub resource: Resource,
}

domain_events! {
    /// The events of the permissions of a resource.
    pub enum ResourcePermissionEvent {
        /// It was given a list of its own.
        Customized(ResourcePermissionCustomized) = "resource_permission.customized", 1;
        /// A grantee was granted a level.
        Granted(ResourcePermissionGranted) = "resource_permission.granted", 1;
        /// A grant was revoked.
        Revoked(ResourcePermissionRevoked) = "resource_permission.revoked", 1;
        /// Its list was deleted.
        Reset(ResourcePermissionReset) = "resource_permission.reset", 1;
    }
}

impl Effects for ResourcePermissionEvent {}

/// The reason why the permissions of a resource reject a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourcePermissionError {
    /// It would have too many grants.
    #[error("a folder or dashboard can have at most {MAX_GRANTS} permissions")]
    TooMany,
    /// A level does not exist for this kind of resource.
    #[error("Permission [{0}] is invalid for this resource type")]
    LevelInvalid(String),
    /// A grant names no grantee, or more than one.
    #[error("a permission must have a user, a team or a role, and only one of them")]
    GranteeUnclear,
    /// The user does not exist in the org.
    #[error("user not found")]
    UserNotFound,
    /// The team does not exist.
    #[error("team not found")]
    TeamNotFound,
    /// The role does not exist.
    #[error("built-in role [{0}] is not valid")]
    RoleInvalid(String),
    /// The role that stands for no rights cannot be given any.
    #[error("none role cannot receive permissions")]
    RoleNone,
}

impl Reason for ResourcePermissionError {
    // The grantees of a list are part of the input, so an unknown one makes the input invalid.
    fn kind(&self) -> ReasonKind {
        ReasonKind::Invalid
    }
}

impl Stream for ResourcePermission {
    type Key = i64;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("resource_permission.customized", Undoing::Reverted),
        ("resource_permission.granted", Undoing::Reverted),
        ("resource_permission.revoked", Undoing::Reverted),
        ("resource_permission.reset", Undoing::Reverted),
    ];
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
            ResourcePermissionEvent::Reset(_) => *self = Self::default(),
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
                // A command that changes nothing leaves the defaults in force.
                if grants == *before { Ok(Vec::new()) } else { self.lead_to(&resource, &grants) }
            }
            ResourcePermissionCommand::Drop(grantee) => Ok(match &self.resource {
                Some(resource) if self.grants.contains_key(&grantee) => {
                    vec![ResourcePermissionRevoked { resource: resource.clone(), grantee }.into()]
                }
                _ => Vec::new(),
            }),
            ResourcePermissionCommand::Reset => {
                let reset =
                    |resource: &Resource| ResourcePermissionReset { resource: resource.clone() }.into();
                Ok(self.resource.iter().map(reset).collect())
            }
        }
    }

    /// The events that change the current list, or none, to the given one.
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
mod tests;
