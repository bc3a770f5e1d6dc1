//! A correlation: a link from a field of the responses of one data source to a query of another, or to a web page.

mod content;

use std::collections::HashSet;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, StreamId, decide};
use crate::kernel::effect::Effects;
use crate::kernel::invariant::Invariant;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::text::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES};
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;
use crate::source::data_source::{DataSource, DataSourceError};

pub use content::{
    CorrelationChange, CorrelationConfig, CorrelationContent, CorrelationKind, MAX_CONFIG_BYTES,
    Transformation, TransformationKind,
};

/// The maximum number of correlations of a data source, as their source or target: they are deleted with it, in one
/// commit.
pub const MAX_CORRELATIONS: usize = 1000;
/// The maximum length of the contents of these correlations together, in bytes. It is half of what a command may load.
pub const MAX_CONTENTS_BYTES: usize = 4 * 1024 * 1024;

/// The state that decisions about a correlation need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// The uid.
    pub uid: Uid,
    /// The uid of the data source that it starts from.
    pub source_uid: Uid,
    /// The uid of the data source that it leads to.
    pub target_uid: Option<Uid>,
    /// The content.
    pub content: CorrelationContent,
    /// Whether it was created, and not deleted since.
    pub exists: bool,
}

/// The commands of a correlation.
#[derive(Clone, Debug)]
pub enum CorrelationCommand {
    /// Creates it.
    Create(CorrelationCreated),
    /// Creates it again as it was.
    Restore {
        /// The correlation.
        created: CorrelationCreated,
        /// Whether one of its data sources has ended since.
        has_lost_source: bool,
    },
    /// Changes parts of its content.
    Change(CorrelationChange),
    /// Replaces its content.
    Replace(CorrelationContent),
    /// Deletes it.
    Delete,
}

/// A correlation was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrelationCreated {
    /// The uid.
    pub uid: Uid,
    /// The uid of the data source that it starts from.
    pub source_uid: Uid,
    /// The uid of the data source that it leads to.
    pub target_uid: Option<Uid>,
    /// The content.
    pub content: CorrelationContent,
}

/// A correlation was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrelationChanged {
    /// The uid.
    pub uid: Uid,
    /// The uid of the data source that it starts from.
    pub source_uid: Uid,
    /// The uid of the data source that it leads to.
    pub target_uid: Option<Uid>,
    /// The new content.
    pub content: CorrelationContent,
}

/// A correlation was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrelationDeleted {
    /// The uid.
    pub uid: Uid,
}

domain_events! {
    /// The events of a correlation.
    pub enum CorrelationEvent {
        /// It was created.
        Created(CorrelationCreated) = "correlation.created", 1;
        /// It was changed.
        Changed(CorrelationChanged) = "correlation.changed", 1;
        /// It was deleted.
        Deleted(CorrelationDeleted) = "correlation.deleted", 1;
    }
}

impl Effects for CorrelationEvent {}

/// The reason why a correlation rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CorrelationError {
    /// The correlation does not exist.
    #[error("Correlation not found")]
    NotFound,
    /// The data source that it starts from does not exist.
    #[error("Source data source not found")]
    SourceNotFound,
    /// The data source that it starts from may not be changed here.
    #[error("Data source is read only")]
    SourceReadOnly,
    /// A data source that it started from or led to was deleted.
    #[error("a data source of this correlation was deleted since")]
    SourceLost,
    /// A correlation with its uid already exists.
    #[error("a correlation with this uid already exists")]
    Exists,
    /// A change that names nothing.
    #[error("At least one of label, description or config is required")]
    NothingToChange,
    /// It leads to a query, but to no data source.
    #[error("a correlation of the type query must have a targetUID")]
    NoTarget,
    /// It leads to a web page without an address.
    #[error("a correlation of the type external must have a url in config.target")]
    NoUrl,
    /// It has no field.
    #[error("config.field is missing")]
    NoField,
    /// The label or the field is too long, or cannot be stored.
    #[error("{0} has more than {MAX_NAME_BYTES} bytes, or a NUL character")]
    InvalidText(&'static str),
    /// The description is too long, or cannot be stored.
    #[error("description has more than {MAX_DESCRIPTION_BYTES} bytes, or a NUL character")]
    InvalidDescription,
    /// The target is not an object.
    #[error("config.target must be an object without NUL characters")]
    InvalidTarget,
    /// A regular expression is missing.
    #[error("regex transformations require expression")]
    NoExpression,
    /// The config is too long.
    #[error("config has more than {MAX_CONFIG_BYTES} bytes, or a transformation with a NUL character")]
    InvalidConfig,
    /// A data source has too many correlations, or too long ones.
    #[error(
        "a data source can have at most {MAX_CORRELATIONS} correlations, as source or target, and of at most \
        {MAX_CONTENTS_BYTES} bytes together"
    )]
    TooMany,
}

impl Reason for CorrelationError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::NotFound | Self::SourceNotFound => ReasonKind::Missing,
            Self::SourceReadOnly => ReasonKind::Forbidden,
            Self::Exists => ReasonKind::Taken,
            Self::SourceLost
            | Self::NothingToChange
            | Self::NoTarget
            | Self::NoUrl
            | Self::NoField
            | Self::InvalidText(_)
            | Self::InvalidDescription
            | Self::InvalidTarget
            | Self::NoExpression
            | Self::InvalidConfig
            | Self::TooMany => ReasonKind::Invalid,
        }
    }
}

impl Correlation {
    /// The data sources of a correlation exist.
    pub const DATA_SOURCES_EXIST: Invariant =
        Invariant::of_existence("correlated_data_sources_exist", || DataSourceError::NotFound.into());
    /// A data source has a limited number of correlations, of limited length.
    pub const FEW_OF_SOURCE: Invariant =
        Invariant::new("correlations_of_data_source", || CorrelationError::TooMany.into());

    /// Fails unless the correlations of a data source may be changed here.
    pub fn check_source(source: &DataSource) -> Result<(), CorrelationError> {
        match source {
            DataSource { exists: false, .. } => Err(CorrelationError::SourceNotFound),
            DataSource { read_only: true, .. } => Err(CorrelationError::SourceReadOnly),
            _ => Ok(()),
        }
    }

    /// Whether it exists, and starts from this data source or leads to it.
    #[must_use]
    pub fn is_of(&self, data_source: &Uid) -> bool {
        self.exists && (self.source_uid == *data_source || self.target_uid.as_ref() == Some(data_source))
    }

    fn decide(&self, command: CorrelationCommand) -> Result<Option<CorrelationEvent>, CorrelationError> {
        match command {
            CorrelationCommand::Create(_) | CorrelationCommand::Restore { .. } if self.exists => {
                Err(CorrelationError::Exists)
            }
            CorrelationCommand::Restore { has_lost_source: true, .. } => Err(CorrelationError::SourceLost),
            CorrelationCommand::Create(created) | CorrelationCommand::Restore { created, .. } => {
                created.content.check(created.target_uid.is_some())?;
                Ok(Some(created.into()))
            }
            _ if !self.exists => Err(CorrelationError::NotFound),
            CorrelationCommand::Change(change) if change == CorrelationChange::default() => {
                Err(CorrelationError::NothingToChange)
            }
            CorrelationCommand::Change(change) => self.replace(self.content.changed(change)),
            CorrelationCommand::Replace(content) => self.replace(content),
            CorrelationCommand::Delete => Ok(Some(CorrelationDeleted { uid: self.uid.clone() }.into())),
        }
    }

    fn replace(&self, content: CorrelationContent) -> Result<Option<CorrelationEvent>, CorrelationError> {
        content.check(self.target_uid.is_some())?;
        if content == self.content {
            return Ok(None);
        }
        let Self { uid, source_uid, target_uid, .. } = self.clone();
        Ok(Some(CorrelationChanged { uid, source_uid, target_uid, content }.into()))
    }

    fn restored(&self, content: CorrelationContent) -> CorrelationCommand {
        let Self { uid, source_uid, target_uid, .. } = self.clone();
        let created = CorrelationCreated { uid, source_uid, target_uid, content };
        CorrelationCommand::Restore { created, has_lost_source: false }
    }
}

/// The streams of the data sources of a correlation.
fn streams_of(source: &Uid, target: Option<&Uid>) -> Vec<StreamId> {
    let mut streams: Vec<_> = std::iter::once(source).chain(target).map(DataSource::stream_id).collect();
    streams.dedup();
    streams
}

impl Stream for Correlation {
    type Key = Uid;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("correlation.created", Undoing::Ended),
        ("correlation.changed", Undoing::Reverted),
        ("correlation.deleted", Undoing::Reverted),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    fn title(&self) -> Option<&str> {
        Some(&self.content.label)
    }

    fn restoration(&self, past: &Self, _: &[CorrelationEvent], _: i64) -> Option<Vec<CorrelationCommand>> {
        let content = past.content.clone();
        let command = if self.exists { CorrelationCommand::Replace(content) } else { self.restored(content) };
        Some(vec![command])
    }

    fn undeletion(&self, _: i64) -> Option<Vec<CorrelationCommand>> {
        Some(vec![self.restored(self.content.clone())])
    }

    fn ending(&self) -> Option<CorrelationCommand> {
        self.exists.then_some(CorrelationCommand::Delete)
    }

    fn references(&self) -> Vec<StreamId> {
        if self.exists { streams_of(&self.source_uid, self.target_uid.as_ref()) } else { Vec::new() }
    }

    /// A data source with the uid of a deleted one is another: a restored correlation would show content of the old one
    /// to readers of the new one.
    fn changed_references(&self, commands: &[CorrelationCommand]) -> Vec<StreamId> {
        let restored = commands.iter().filter_map(|command| match command {
            CorrelationCommand::Restore { created, .. } => Some(created),
            _ => None,
        });
        restored.flat_map(|created| streams_of(&created.source_uid, created.target_uid.as_ref())).collect()
    }

    fn leave_out(&self, commands: &mut [CorrelationCommand], streams: &HashSet<StreamId>) {
        for command in commands {
            if let CorrelationCommand::Restore { has_lost_source, .. } = command {
                *has_lost_source |= !streams.is_empty();
            }
        }
    }
}

impl Aggregate for Correlation {
    const TYPE: &'static str = "correlation";
    type Command = CorrelationCommand;
    type Event = CorrelationEvent;
    type Error = CorrelationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: CorrelationCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), CorrelationError> {
        if let Some(event) = self.decide(command)? {
            decide(self, sink, event).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: CorrelationEvent) {
        match event {
            CorrelationEvent::Created(CorrelationCreated { uid, source_uid, target_uid, content }) => {
                *self = Self { uid, source_uid, target_uid, content, exists: true };
            }
            CorrelationEvent::Changed(changed) => self.content = changed.content,
            CorrelationEvent::Deleted(_) => self.exists = false,
        }
    }
}

#[cfg(test)]
mod tests;
