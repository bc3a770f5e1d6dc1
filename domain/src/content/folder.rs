//! A folder: holds dashboards and other folders.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::effect::{Counted, Effects, Ending, QuotaTarget};
use crate::kernel::invariant::Invariant;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::text::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, is_storable};
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

mod birth;

pub use birth::{Birth, same_folder};

pub use crate::rights::resource_permission::MAX_DEPTH;

/// The uid by which clients name the root, which is no folder.
pub const GENERAL_UID: &str = "general";

/// The state that decisions about a folder need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Folder {
    /// The uid, empty before the first event.
    pub uid: Uid,
    /// The numeric id, unique among the org's folders and dashboards.
    pub id: i64,
    /// The title.
    pub title: String,
    /// The description.
    pub description: String,
    /// The folder it is in, `None` at the root.
    pub parent_uid: Option<Uid>,
    /// Counts the changes since it was created, from 1.
    pub version: i64,
    /// Whether it exists: created and not deleted since.
    pub exists: bool,
}

/// The commands of a folder.
#[derive(Clone, Debug)]
pub enum FolderCommand {
    /// Creates it.
    Create(FolderCreated),
    /// Changes the title or the description; `None` keeps the current value.
    Update {
        /// The new title.
        title: Option<String>,
        /// The new description.
        description: Option<String>,
        /// The version that the client has seen; `None` overwrites any version.
        expected_version: Option<i64>,
    },
    /// Puts it into another folder, or at the root.
    Move {
        /// The new parent.
        parent_uid: Option<Uid>,
    },
    /// Deletes it.
    Delete,
}

/// A folder was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FolderCreated {
    /// The numeric id.
    pub id: i64,
    /// The uid.
    pub uid: Uid,
    /// The title.
    pub title: String,
    /// The description.
    pub description: String,
    /// The folder it is in.
    pub parent_uid: Option<Uid>,
    /// The old numeric id of a folder that is restored, under a new one, from its history or by undoing its deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<i64>,
}

/// A folder's title or description was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FolderUpdated {
    /// The uid.
    pub uid: Uid,
    /// The title from now on.
    pub title: String,
    /// The description from now on.
    pub description: String,
}

/// A folder was put into another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FolderMoved {
    /// The uid.
    pub uid: Uid,
    /// The folder it is in from now on.
    pub parent_uid: Option<Uid>,
}

/// A folder was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FolderDeleted {
    /// The uid.
    pub uid: Uid,
}

domain_events! {
    /// The events of a folder.
    pub enum FolderEvent {
        /// It was created.
        Created(FolderCreated) = "folder.created", 1;
        /// Its title or description was changed.
        Updated(FolderUpdated) = "folder.updated", 1;
        /// It was put into another folder.
        Moved(FolderMoved) = "folder.moved", 1;
        /// It was deleted.
        Deleted(FolderDeleted) = "folder.deleted", 1;
    }
}

impl Effects for FolderEvent {
    fn ending(&self) -> Option<Ending<'_>> {
        match self {
            Self::Deleted(deleted) => Some(Ending::Folder(&deleted.uid)),
            _ => None,
        }
    }

    fn counted(&self) -> Option<Counted> {
        let change = match self {
            Self::Created(_) => 1,
            Self::Deleted(_) => -1,
            Self::Updated(_) | Self::Moved(_) => 0,
        };
        Some(Counted { target: QuotaTarget::Folder, change })
    }
}

/// The reason why a folder rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// It has no title.
    #[error("folder title cannot be empty")]
    TitleEmpty,
    /// The title or description is too long or cannot be stored.
    #[error("folder title or description is too long")]
    TextTooLong,
    /// The uid names the root.
    #[error("invalid uid for folder provided")]
    UidReserved,
    /// A folder with this uid already exists.
    #[error("the folder has been changed by someone else")]
    UidTaken,
    /// It does not exist.
    #[error("folder not found")]
    NotFound,
    /// It has changed since the client read it.
    #[error("the folder has been changed by someone else")]
    VersionMismatch,
    /// It would be its own ancestor.
    #[error("a folder cannot be moved into itself or one of its subfolders")]
    OwnAncestor,
    /// It would be too deep.
    #[error("folder depth exceeds the limit of 4 levels below the root folder")]
    TooDeep,
    /// The folder to put it into does not exist.
    #[error("parent folder not found")]
    ParentNotFound,
}

impl Reason for FolderError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::TitleEmpty | Self::TextTooLong | Self::UidReserved | Self::OwnAncestor | Self::TooDeep => {
                ReasonKind::Invalid
            }
            Self::UidTaken | Self::VersionMismatch => ReasonKind::Stale,
            Self::NotFound | Self::ParentNotFound => ReasonKind::Missing,
        }
    }

    fn code(&self) -> Option<&'static str> {
        matches!(self, Self::UidTaken | Self::VersionMismatch).then_some("version-mismatch")
    }
}

impl Folder {
    /// No folder is its own ancestor.
    pub const NOT_OWN_ANCESTOR: Invariant =
        Invariant::new("folder_not_own_ancestor", || FolderError::OwnAncestor.into());
    /// Folders nest at most [`MAX_DEPTH`] levels deep.
    pub const DEPTH_KEPT: Invariant = Invariant::new("folder_depth_kept", || FolderError::TooDeep.into());
}

impl Stream for Folder {
    type Key = Uid;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("folder.created", Undoing::Ended),
        ("folder.updated", Undoing::Reverted),
        ("folder.moved", Undoing::Reverted),
        ("folder.deleted", Undoing::Reverted),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    fn title(&self) -> Option<&str> {
        Some(&self.title)
    }

    fn guarded(&self) -> Option<(&Uid, i64)> {
        Some((&self.uid, self.id))
    }

    fn place(&self) -> Option<Option<&Uid>> {
        Some(self.parent_uid.as_ref())
    }

    const BEGINNINGS: &'static [&'static str] = &["folder.created"];

    /// The contents of a deleted folder are not part of it: they are restored when the request that deleted them is
    /// undone.
    fn restoration(&self, past: &Self, _: &[FolderEvent], new_id: i64) -> Option<Vec<FolderCommand>> {
        if !self.exists {
            return Some(vec![FolderCommand::Create(FolderCreated {
                id: new_id,
                uid: self.uid.clone(),
                title: past.title.clone(),
                description: past.description.clone(),
                parent_uid: past.parent_uid.clone(),
                restores: Some(past.id),
            })]);
        }
        let mut commands = Vec::new();
        if (&past.title, &past.description) != (&self.title, &self.description) {
            commands.push(FolderCommand::Update {
                title: Some(past.title.clone()),
                description: Some(past.description.clone()),
                expected_version: None,
            });
        }
        commands.push(FolderCommand::Move { parent_uid: past.parent_uid.clone() });
        Some(commands)
    }

    fn undeletion(&self, new_id: i64) -> Option<Vec<FolderCommand>> {
        if self.exists { None } else { self.restoration(self, &[], new_id) }
    }

    fn ending(&self) -> Option<FolderCommand> {
        self.exists.then_some(FolderCommand::Delete)
    }

    fn is_move(command: &FolderCommand) -> bool {
        matches!(command, FolderCommand::Move { .. })
    }
}

impl Aggregate for Folder {
    const TYPE: &'static str = "folder";
    type Command = FolderCommand;
    type Event = FolderEvent;
    type Error = FolderError;
    type Services = ();

    async fn handle(
        &mut self,
        command: FolderCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), FolderError> {
        let event = match command {
            FolderCommand::Create(created) => self.create(created)?,
            FolderCommand::Update { title, description, expected_version } => {
                self.update(title, description, expected_version)?
            }
            FolderCommand::Move { parent_uid } => {
                self.must_exist()?;
                if parent_uid.as_ref() == Some(&self.uid) {
                    return Err(FolderError::OwnAncestor);
                }
                if parent_uid == self.parent_uid {
                    return Ok(());
                }
                FolderMoved { uid: self.uid.clone(), parent_uid }.into()
            }
            FolderCommand::Delete => {
                self.must_exist()?;
                FolderDeleted { uid: self.uid.clone() }.into()
            }
        };
        decide(self, sink, event).await;
        Ok(())
    }

    fn apply(&mut self, event: FolderEvent) {
        match event {
            FolderEvent::Created(created) => {
                *self = Self {
                    uid: created.uid,
                    id: created.id,
                    title: created.title,
                    description: created.description,
                    parent_uid: created.parent_uid,
                    version: 1,
                    exists: true,
                };
            }
            FolderEvent::Updated(updated) => {
                self.title = updated.title;
                self.description = updated.description;
                self.version += 1;
            }
            FolderEvent::Moved(moved) => {
                self.parent_uid = moved.parent_uid;
                self.version += 1;
            }
            FolderEvent::Deleted(_) => self.exists = false,
        }
    }
}

impl Folder {
    fn must_exist(&self) -> Result<(), FolderError> {
        if self.exists { Ok(()) } else { Err(FolderError::NotFound) }
    }

    fn create(&self, created: FolderCreated) -> Result<FolderEvent, FolderError> {
        if self.exists {
            return Err(FolderError::UidTaken);
        }
        if created.uid.as_str() == GENERAL_UID {
            return Err(FolderError::UidReserved);
        }
        if created.parent_uid.as_ref() == Some(&created.uid) {
            return Err(FolderError::OwnAncestor);
        }
        check_texts(&created.title, &created.description)?;
        Ok(created.into())
    }

    fn update(
        &self,
        title: Option<String>,
        description: Option<String>,
        expected_version: Option<i64>,
    ) -> Result<FolderEvent, FolderError> {
        self.must_exist()?;
        if expected_version.is_some_and(|expected| expected != self.version) {
            return Err(FolderError::VersionMismatch);
        }
        let title = title.unwrap_or_else(|| self.title.clone());
        let description = description.unwrap_or_else(|| self.description.clone());
        check_texts(&title, &description)?;
        Ok(FolderUpdated { uid: self.uid.clone(), title, description }.into())
    }
}

fn check_texts(title: &str, description: &str) -> Result<(), FolderError> {
    if title.trim().is_empty() {
        return Err(FolderError::TitleEmpty);
    }
    if !is_storable(title, MAX_NAME_BYTES) || !is_storable(description, MAX_DESCRIPTION_BYTES) {
        return Err(FolderError::TextTooLong);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
