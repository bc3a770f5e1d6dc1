//! A data source, which dashboards and rules get their data from. Its secrets are not in the log, only their names are.

mod content;

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::effect::{Counted, Effects, Ending, QuotaTarget};
use crate::kernel::invariant::Invariant;
use crate::kernel::past::{NOTHING, members_of};
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

pub use content::{
    DataSourceContent, MAX_JSON_DATA_BYTES, MAX_SECRET_BYTES, MAX_SECRETS, MAX_SECRETS_BYTES, MAX_TEXT_BYTES,
    MAX_URL_BYTES, check_secrets,
};

/// Who sends the requests to a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum DataSourceAccess {
    /// The server.
    #[default]
    Proxy,
    /// The browser.
    Direct,
}

/// The state that decisions about a data source need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataSource {
    /// The numeric id.
    pub id: i64,
    /// The uid.
    pub uid: Uid,
    /// Its settings.
    #[serde(flatten)]
    pub content: DataSourceContent,
    /// The names of the secrets that are set.
    pub secrets: BTreeSet<String>,
    /// The number of changes, including its creation.
    pub version: i64,
    /// Whether it is read-only here and can be changed only at its origin.
    pub read_only: bool,
    /// Whether it was created, and not deleted since.
    pub exists: bool,
}

/// A change of secrets by name: the secrets that are set, and those that are removed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SecretChange {
    /// Set.
    pub set: BTreeSet<String>,
    /// Removed.
    pub removed: BTreeSet<String>,
}

impl SecretChange {
    /// The change to these values: an empty value or `None` removes a secret.
    #[must_use]
    pub fn of(values: &BTreeMap<String, Option<String>>) -> Self {
        let is_set = |value: &Option<String>| value.as_deref().is_some_and(|value| !value.is_empty());
        let names = |wanted| {
            let named = values.iter().filter(move |(_, value)| is_set(value) == wanted);
            named.map(|(name, _)| name.clone()).collect()
        };
        Self { set: names(true), removed: names(false) }
    }
}

/// The commands of a data source.
#[derive(Clone, Debug)]
pub enum DataSourceCommand {
    /// Creates it.
    Create(DataSourceCreated),
    /// Changes its settings and secrets.
    Change {
        /// The settings.
        content: DataSourceContent,
        /// The secrets that change.
        secrets: SecretChange,
        /// The version that the client has seen; `None` overwrites any version.
        expected_version: Option<i64>,
    },
    /// Clears its default flag, because another data source is the default.
    ClearDefault,
    /// Deletes it.
    Delete,
}

/// A data source was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSourceCreated {
    /// The uid.
    pub uid: Uid,
    /// The numeric id, unique in the org.
    pub id: i64,
    /// Its settings.
    #[serde(flatten)]
    pub content: DataSourceContent,
    /// The names of the secrets that are set.
    pub secrets: BTreeSet<String>,
    /// Whether it is read-only here and can be changed only at its origin.
    #[serde(default)]
    pub read_only: bool,
}

/// The settings or secrets of a data source were changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSourceChanged {
    /// The numeric id.
    pub id: i64,
    /// Its settings from now on.
    #[serde(flatten)]
    pub content: DataSourceContent,
    /// The names of the secrets that have new values.
    pub secrets_set: BTreeSet<String>,
    /// The names of the secrets that were removed.
    pub secrets_removed: BTreeSet<String>,
}

/// A data source is no longer the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSourceDefaultCleared {
    /// The numeric id.
    pub id: i64,
}

/// A data source was deleted, with its secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSourceDeleted {
    /// The uid.
    pub uid: Uid,
    /// The numeric id.
    pub id: i64,
}

domain_events! {
    /// The events of a data source.
    pub enum DataSourceEvent {
        /// It was created.
        Created(DataSourceCreated) = "data_source.created", 1;
        /// Its settings or secrets were changed.
        Changed(DataSourceChanged) = "data_source.changed", 1;
        /// It is no longer the default.
        DefaultCleared(DataSourceDefaultCleared) = "data_source.default_cleared", 1;
        /// It was deleted.
        Deleted(DataSourceDeleted) = "data_source.deleted", 1;
    }
}

impl Effects for DataSourceEvent {
    fn ending(&self) -> Option<Ending<'_>> {
        match self {
            Self::Deleted(deleted) => Some(Ending::DataSource(&deleted.uid)),
            _ => None,
        }
    }

    fn counted(&self) -> Option<Counted> {
        let change = match self {
            Self::Created(_) => 1,
            Self::Deleted(_) => -1,
            Self::Changed(_) | Self::DefaultCleared(_) => 0,
        };
        Some(Counted { target: QuotaTarget::DataSource, change })
    }
}

/// The reason why a data source rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataSourceError {
    /// The data source does not exist.
    #[error("Data source not found")]
    NotFound,
    /// A data source with its uid already exists.
    #[error("data source with the same uid already exists")]
    UidTaken,
    /// A data source with its name already exists.
    #[error("data source with the same name already exists")]
    NameTaken,
    /// It has changed since the client read it.
    #[error("Datasource has already been updated by someone else. Please reload and try again")]
    Stale,
    /// It may not be changed here.
    #[error("Cannot update read-only data source")]
    ReadOnly,
    /// It may not be deleted here.
    #[error("Cannot delete read-only data source")]
    ReadOnlyDeletion,
    /// Its uid cannot be changed.
    #[error("the uid of a data source cannot be changed: create another one")]
    UidFixed,
    /// It has no name.
    #[error("name is missing")]
    NameMissing,
    /// It has no type.
    #[error("type is missing, the id of a plugin like prometheus")]
    TypeMissing,
    /// A text is too long, or cannot be stored.
    #[error("{0} has more than {MAX_TEXT_BYTES} bytes, or a NUL character")]
    InvalidText(&'static str),
    /// Its address is too long or invalid.
    #[error(
        "Validation error, invalid URL: at most {MAX_URL_BYTES} bytes without control characters or spaces"
    )]
    InvalidUrl,
    /// Its address has a password, which everybody with read access would see.
    #[error("the url has a password: set basicAuthUser and secureJsonData.basicAuthPassword instead")]
    PasswordInUrl,
    /// Its `jsonData` is too long.
    #[error("jsonData may have at most {MAX_JSON_DATA_BYTES} bytes")]
    JsonDataTooLong,
    /// A secret has no name, has an invalid one, or is too long, or there are too many secrets.
    #[error(
        "secureJsonData may have at most {MAX_SECRETS} secrets with names of letters, digits, `_`, `-` and `.`, \
        each of at most {MAX_SECRET_BYTES} bytes, and together of {MAX_SECRETS_BYTES} bytes"
    )]
    InvalidSecrets,
}

impl Reason for DataSourceError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::NotFound => ReasonKind::Missing,
            Self::UidTaken | Self::NameTaken | Self::Stale => ReasonKind::Taken,
            Self::ReadOnly | Self::ReadOnlyDeletion => ReasonKind::Forbidden,
            Self::UidFixed
            | Self::NameMissing
            | Self::TypeMissing
            | Self::InvalidText(_)
            | Self::InvalidUrl
            | Self::PasswordInUrl
            | Self::JsonDataTooLong
            | Self::InvalidSecrets => ReasonKind::Invalid,
        }
    }
}

impl DataSource {
    /// The names of the data sources of an org are unique.
    pub const NAME_UNIQUE: Invariant =
        Invariant::new("data_source_name_unique", || DataSourceError::NameTaken.into());

    fn decide(&self, command: DataSourceCommand) -> Result<Option<DataSourceEvent>, DataSourceError> {
        let id = self.id;
        match command {
            DataSourceCommand::Create(_) if self.exists => Err(DataSourceError::UidTaken),
            DataSourceCommand::Create(created) => {
                created.content.check()?;
                if created.secrets.len() > MAX_SECRETS {
                    return Err(DataSourceError::InvalidSecrets);
                }
                Ok(Some(created.into()))
            }
            _ if !self.exists => Err(DataSourceError::NotFound),
            DataSourceCommand::Change { .. } if self.read_only => Err(DataSourceError::ReadOnly),
            DataSourceCommand::Delete if self.read_only => Err(DataSourceError::ReadOnlyDeletion),
            DataSourceCommand::Change { content, secrets, expected_version } => {
                self.change(content, secrets, expected_version)
            }
            DataSourceCommand::ClearDefault => {
                Ok(self.content.is_default.then(|| DataSourceDefaultCleared { id }.into()))
            }
            DataSourceCommand::Delete => Ok(Some(DataSourceDeleted { uid: self.uid.clone(), id }.into())),
        }
    }

    fn change(
        &self,
        content: DataSourceContent,
        secrets: SecretChange,
        expected_version: Option<i64>,
    ) -> Result<Option<DataSourceEvent>, DataSourceError> {
        if expected_version.is_some_and(|version| version != self.version) {
            return Err(DataSourceError::Stale);
        }
        content.check()?;
        let SecretChange { set, removed } = secrets;
        let removed: BTreeSet<_> = removed.intersection(&self.secrets).cloned().collect();
        if self.secrets.union(&set).count() - removed.len() > MAX_SECRETS {
            return Err(DataSourceError::InvalidSecrets);
        }
        if content == self.content && set.is_empty() && removed.is_empty() {
            return Ok(None);
        }
        let changed = DataSourceChanged { id: self.id, content, secrets_set: set, secrets_removed: removed };
        Ok(Some(changed.into()))
    }
}

impl Stream for DataSource {
    type Key = Uid;

    const BEGINNINGS: &'static [&'static str] = &["data_source.created"];
    const ENDINGS: &'static [&'static str] = &["data_source.deleted"];

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("data_source.created", Undoing::Ended),
        ("data_source.changed", Undoing::Reverted),
        ("data_source.default_cleared", Undoing::Reverted),
        ("data_source.deleted", Undoing::Reverted),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    fn title(&self) -> Option<&str> {
        Some(&self.content.name)
    }

    fn guarded(&self) -> Option<(&Uid, i64)> {
        Some((&self.uid, self.id))
    }

    /// The image includes the version that set each secret, so that a new value of a secret is visible.
    fn image(&self, events: &[DataSourceEvent]) -> Result<String, serde_json::Error> {
        if !self.exists {
            return Ok(NOTHING.to_owned());
        }
        let mut image = members_of(self)?;
        image.insert("secrets".to_owned(), serde_json::to_value(set_in(events))?);
        serde_json::to_string(&image)
    }

    const NOT_RESTORED: Option<&'static str> =
        Some("secrets are not restored, and neither is which data source is the default");

    /// Restores settings, but not secrets, whose old values are not stored. The default data source stays the same.
    fn restoration(
        &self,
        past: &Self,
        events: &[DataSourceEvent],
        new_id: i64,
    ) -> Option<Vec<DataSourceCommand>> {
        let is_default = self.exists && self.content.is_default;
        let content = DataSourceContent { is_default, ..past.content.clone() };
        if self.exists {
            let secrets = SecretChange::default();
            return Some(vec![DataSourceCommand::Change { content, secrets, expected_version: None }]);
        }
        events.iter().any(|event| matches!(event, DataSourceEvent::Created(_))).then(|| {
            let (uid, secrets, read_only) = (past.uid.clone(), BTreeSet::new(), past.read_only);
            vec![DataSourceCommand::Create(DataSourceCreated {
                uid,
                id: new_id,
                content,
                secrets,
                read_only,
            })]
        })
    }

    fn ending(&self) -> Option<DataSourceCommand> {
        self.exists.then_some(DataSourceCommand::Delete)
    }
}

impl Aggregate for DataSource {
    const TYPE: &'static str = "data_source";
    type Command = DataSourceCommand;
    type Event = DataSourceEvent;
    type Error = DataSourceError;
    type Services = ();

    async fn handle(
        &mut self,
        command: DataSourceCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), DataSourceError> {
        if let Some(event) = self.decide(command)? {
            decide(self, sink, event).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: DataSourceEvent) {
        match event {
            DataSourceEvent::Created(DataSourceCreated { uid, id, content, secrets, read_only }) => {
                *self = Self { id, uid, content, secrets, version: 1, read_only, exists: true };
            }
            DataSourceEvent::Changed(changed) => {
                self.content = changed.content;
                self.secrets.extend(changed.secrets_set);
                self.secrets.retain(|name| !changed.secrets_removed.contains(name));
                self.version += 1;
            }
            DataSourceEvent::DefaultCleared(_) => self.content.is_default = false,
            DataSourceEvent::Deleted(_) => {
                self.exists = false;
                self.secrets.clear();
            }
        }
    }
}

/// The version of a data source in which each secret was set, by the secret's name.
fn set_in(events: &[DataSourceEvent]) -> BTreeMap<&str, i64> {
    let (mut set, mut version) = (BTreeMap::new(), 0);
    for event in events {
        match event {
            DataSourceEvent::Created(created) => {
                version = 1;
                set = created.secrets.iter().map(|name| (name.as_str(), version)).collect();
            }
            DataSourceEvent::Changed(changed) => {
                version += 1;
                set.extend(changed.secrets_set.iter().map(|name| (name.as_str(), version)));
                set.retain(|name, _| !changed.secrets_removed.contains(*name));
            }
            DataSourceEvent::DefaultCleared(_) => {}
            DataSourceEvent::Deleted(_) => set.clear(),
        }
    }
    set
}

#[cfg(test)]
mod tests;
