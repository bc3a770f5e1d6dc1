//! An organization, which is the tenant: everything but users and server settings belongs to one.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide, is_default};
use crate::kernel::effect::{Effects, Ending};
use crate::kernel::id::OrgId;
use crate::kernel::invariant::Invariant;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::text::{MAX_NAME_BYTES, has_hidden_characters, is_storable};
use crate::kernel::undo::Undoing;

/// The state that decisions about an org need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Org {
    /// The id.
    pub id: OrgId,
    /// The name.
    pub name: String,
    /// The postal address.
    pub address: Address,
    /// The audit settings.
    #[serde(default, skip_serializing_if = "is_default")]
    pub audit: AuditSettings,
    /// Whether it exists: created and not deleted since.
    pub exists: bool,
}

/// The audit settings of an org: the records of its audit log besides changes, refusals and log-ins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditSettings {
    /// Queries to data sources, without their results.
    pub queries: bool,
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Address {
    /// First line.
    pub address1: String,
    /// Second line.
    pub address2: String,
    /// City.
    pub city: String,
    /// Post code.
    pub zip_code: String,
    /// State or province.
    pub state: String,
    /// Country.
    pub country: String,
}

/// The commands of an org.
#[derive(Clone, Debug)]
pub enum OrgCommand {
    /// Creates it.
    Create(OrgCreated),
    /// Gives it another name.
    Rename(String),
    /// Gives it another address.
    ChangeAddress(Address),
    /// Changes its audit settings.
    SetAudit(AuditSettings),
    /// Deletes it with all it owns.
    Delete,
}

/// An org was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrgCreated {
    /// The id.
    pub id: OrgId,
    /// The name.
    pub name: String,
}

/// An org was given another name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrgRenamed {
    /// The name from now on.
    pub name: String,
}

/// An org was given another address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrgAddressChanged {
    /// The address from now on.
    pub address: Address,
}

/// The audit settings of an org were changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrgAuditChanged {
    /// The settings from now on.
    pub audit: AuditSettings,
}

/// An org was deleted with all it owned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrgDeleted {
    /// The id.
    pub id: OrgId,
}

domain_events! {
    /// The events of an org.
    pub enum OrgEvent {
        /// It was created.
        Created(OrgCreated) = "org.created", 1;
        /// It was given another name.
        Renamed(OrgRenamed) = "org.renamed", 1;
        /// It was given another address.
        AddressChanged(OrgAddressChanged) = "org.address_changed", 1;
        /// Its audit settings were changed.
        AuditChanged(OrgAuditChanged) = "org.audit_changed", 1;
        /// It was deleted.
        Deleted(OrgDeleted) = "org.deleted", 1;
    }
}

impl Effects for OrgEvent {
    fn ending(&self) -> Option<Ending<'_>> {
        match self {
            Self::Deleted(_) => Some(Ending::Org),
            _ => None,
        }
    }
}

/// The reason why an org rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrgError {
    /// It has no name.
    #[error("Organization name cannot be empty")]
    NameEmpty,
    /// A text is too long or cannot be stored.
    #[error("Organization name or address is too long")]
    TextTooLong,
    /// The name has control or invisible characters.
    #[error("Organization name has control or invisible characters")]
    NameHidden,
    /// Another org has the name.
    #[error("Organization name taken")]
    NameTaken,
    /// It does not exist.
    #[error("Organization not found")]
    NotFound,
}

impl Reason for OrgError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::NameEmpty | Self::TextTooLong | Self::NameHidden => ReasonKind::Invalid,
            Self::NameTaken => ReasonKind::Taken,
            Self::NotFound => ReasonKind::Missing,
        }
    }
}

impl Org {
    /// The names of orgs are unique.
    pub const NAME_UNIQUE: Invariant = Invariant::new("org_name_unique", || OrgError::NameTaken.into());
}

impl Stream for Org {
    type Key = OrgId;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("org.created", Undoing::Impossible("delete the organization")),
        ("org.renamed", Undoing::Reverted),
        ("org.address_changed", Undoing::Reverted),
        ("org.audit_changed", Undoing::Reverted),
        (
            "org.deleted",
            Undoing::Impossible(
                "the data of the organization was deleted: import its exported dashboards into a new one",
            ),
        ),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    fn title(&self) -> Option<&str> {
        Some(&self.name)
    }

    /// A deleted org cannot be restored.
    fn restoration(&self, past: &Self, _: &[OrgEvent], _: i64) -> Option<Vec<OrgCommand>> {
        if !self.exists {
            return None;
        }
        let mut commands = Vec::new();
        if past.name != self.name {
            commands.push(OrgCommand::Rename(past.name.clone()));
        }
        if past.address != self.address {
            commands.push(OrgCommand::ChangeAddress(past.address.clone()));
        }
        if past.audit != self.audit {
            commands.push(OrgCommand::SetAudit(past.audit));
        }
        Some(commands)
    }
}

impl Aggregate for Org {
    const TYPE: &'static str = "org";
    type Command = OrgCommand;
    type Event = OrgEvent;
    type Error = OrgError;
    type Services = ();

    async fn handle(&mut self, command: OrgCommand, (): &(), sink: &EventSink<Self>) -> Result<(), OrgError> {
        if !self.exists && !matches!(command, OrgCommand::Create(_)) {
            return Err(OrgError::NotFound);
        }
        let event: OrgEvent = match command {
            OrgCommand::Create(created) => {
                if self.exists {
                    return Err(OrgError::NameTaken);
                }
                check_name(&created.name)?;
                created.into()
            }
            OrgCommand::Rename(name) => {
                check_name(&name)?;
                OrgRenamed { name }.into()
            }
            OrgCommand::ChangeAddress(address) => {
                address.check()?;
                OrgAddressChanged { address }.into()
            }
            OrgCommand::SetAudit(audit) if audit == self.audit => return Ok(()),
            OrgCommand::SetAudit(audit) => OrgAuditChanged { audit }.into(),
            OrgCommand::Delete => OrgDeleted { id: self.id }.into(),
        };
        decide(self, sink, event).await;
        Ok(())
    }

    fn apply(&mut self, event: OrgEvent) {
        match event {
            OrgEvent::Created(created) => {
                *self = Self { id: created.id, name: created.name, exists: true, ..Self::default() };
            }
            OrgEvent::Renamed(renamed) => self.name = renamed.name,
            OrgEvent::AddressChanged(changed) => self.address = changed.address,
            OrgEvent::AuditChanged(changed) => self.audit = changed.audit,
            OrgEvent::Deleted(_) => self.exists = false,
        }
    }
}

fn check_name(name: &str) -> Result<(), OrgError> {
    if name.trim().is_empty() {
        return Err(OrgError::NameEmpty);
    }
    if has_hidden_characters(name) {
        return Err(OrgError::NameHidden);
    }
    if is_storable(name, MAX_NAME_BYTES) { Ok(()) } else { Err(OrgError::TextTooLong) }
}

impl Address {
    fn check(&self) -> Result<(), OrgError> {
        let lines = [&self.address1, &self.address2, &self.city, &self.zip_code, &self.state, &self.country];
        if lines.iter().all(|line| is_storable(line, MAX_NAME_BYTES)) {
            Ok(())
        } else {
            Err(OrgError::TextTooLong)
        }
    }
}

#[cfg(test)]
mod tests;
