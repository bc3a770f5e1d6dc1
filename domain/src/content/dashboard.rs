//! A dashboard: a JSON document with versions.

mod content;
mod effect;
mod error;
mod past;
pub mod resource;
pub mod summary;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::invariant::Invariant;
use crate::kernel::json::JsonValue;
use crate::kernel::past::Description;
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

pub(crate) use content::are_tags;
pub use content::{
    DashboardContent, MAX_MESSAGE_CHARACTERS, MAX_TAG_CHARACTERS, MAX_TAGS, MAX_TAGS_BYTES,
    MAX_TITLE_CHARACTERS,
};
pub use error::DashboardError;

/// The state that decisions about a dashboard need. The document itself is in the events only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dashboard {
    /// The uid, empty before the first event.
    pub uid: Uid,
    /// The numeric id, unique among the org's folders and dashboards.
    pub id: i64,
    /// The title.
    pub title: String,
    /// The folder it is in, `None` at the root.
    pub folder_uid: Option<Uid>,
    /// The current version, from 1.
    pub version: i64,
    /// How often a dashboard of this uid was created: each one after a deletion has a history of its own.
    pub generation: i64,
    /// Whether it exists: created and not deleted since.
    pub exists: bool,
    /// Whether it is in the trash: deleted, and not purged since. States of older servers do not have this, so it is
    /// left out where it is false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub in_trash: bool,
}

/// The commands of a dashboard.
#[derive(Clone, Debug)]
pub enum DashboardCommand {
    /// Creates it, or saves a new version of it.
    Save {
        /// The content to save.
        content: DashboardContent,
        /// The numeric id to use if it has to be created.
        new_id: i64,
        /// The version that the client has seen; `None` overwrites any version.
        expected_version: Option<i64>,
    },
    /// Saves the content of an older version as the newest one.
    RestoreVersion {
        /// The version to restore.
        from: i64,
        /// The content of that version.
        content: DashboardContent,
    },
    /// Moves it to the trash.
    Delete,
    /// Takes it out of the trash.
    RestoreDeleted {
        /// The folder to put it in.
        folder_uid: Option<Uid>,
    },
    /// Removes it from the trash for good.
    Purge,
}

/// A dashboard was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardCreated {
    /// The numeric id.
    pub id: i64,
    /// The generation: counts the dashboards that were created with this uid, from 1.
    pub generation: i64,
    /// Its first version.
    pub content: DashboardContent,
}

/// A new version of a dashboard was saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardUpdated {
    /// The generation: counts the dashboards that were created with this uid, from 1.
    pub generation: i64,
    /// The new version's number.
    pub version: i64,
    /// The new version.
    pub content: DashboardContent,
}

/// An older version of a dashboard was made its newest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardVersionRestored {
    /// The generation: counts the dashboards that were created with this uid, from 1.
    pub generation: i64,
    /// The new version's number.
    pub version: i64,
    /// The version it was taken from.
    pub restored_from: i64,
    /// The new version.
    pub content: DashboardContent,
}

/// A dashboard was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardDeleted {
    /// The uid.
    pub uid: Uid,
    /// Whether it was moved to the trash. Older servers had no trash and kept nothing of it.
    pub in_trash: bool,
}

/// A deleted dashboard was taken out of the trash, with its history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardRestored {
    /// The uid.
    pub uid: Uid,
    /// The folder it is in from now on.
    pub folder_uid: Option<Uid>,
}

/// A deleted dashboard was removed from the trash for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DashboardPurged {
    /// The uid.
    pub uid: Uid,
}

domain_events! {
    /// The events of a dashboard.
    pub enum DashboardEvent {
        /// It was created.
        Created(DashboardCreated) = "dashboard.created", 1;
        /// A new version was saved.
        Updated(DashboardUpdated) = "dashboard.updated", 1;
        /// An older version was made the newest.
        VersionRestored(DashboardVersionRestored) = "dashboard.version_restored", 1;
        /// It was deleted.
        Deleted(DashboardDeleted) = "dashboard.deleted", 2;
        /// It was taken out of the trash.
        Restored(DashboardRestored) = "dashboard.restored", 1;
        /// It was removed from the trash for good.
        Purged(DashboardPurged) = "dashboard.purged", 1;
    }
}

impl Dashboard {
    /// The folder that an object is put into exists.
    pub const FOLDER_EXISTS: Invariant =
        Invariant::new("folder_exists", || DashboardError::FolderNotFound.into());
}

impl Stream for Dashboard {
    type Key = Uid;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("dashboard.created", Undoing::Ended),
        ("dashboard.updated", Undoing::Reverted),
        ("dashboard.version_restored", Undoing::Reverted),
        ("dashboard.deleted", Undoing::Reverted),
        ("dashboard.restored", Undoing::Ended),
        (
            "dashboard.purged",
            Undoing::Impossible(
                "it was purged from the trash: restore a version of its history as a new dashboard",
            ),
        ),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    fn title(&self) -> Option<&str> {
        Some(&self.title)
    }

    fn holds_key(&self) -> bool {
        self.exists || self.in_trash
    }

    fn guarded(&self) -> Option<(&Uid, i64)> {
        Some((&self.uid, self.id))
    }

    fn place(&self) -> Option<Option<&Uid>> {
        Some(self.folder_uid.as_ref())
    }

    const COMPLETE: &'static [&'static str] =
        &["dashboard.created", "dashboard.updated", "dashboard.version_restored"];
    const BEGINNINGS: &'static [&'static str] = &["dashboard.created"];

    fn image(&self, events: &[DashboardEvent]) -> Result<String, serde_json::Error> {
        past::image(events)
    }

    fn restoration(&self, _: &Self, events: &[DashboardEvent], new_id: i64) -> Option<Vec<DashboardCommand>> {
        past::restoration(self, events, new_id, false)
    }

    /// Undoing a move moves it back.
    fn reversal(&self, _: &Self, events: &[DashboardEvent], new_id: i64) -> Option<Vec<DashboardCommand>> {
        past::restoration(self, events, new_id, true)
    }

    fn undeletion(&self, _: i64) -> Option<Vec<DashboardCommand>> {
        let folder_uid = self.folder_uid.clone();
        self.in_trash.then(|| vec![DashboardCommand::RestoreDeleted { folder_uid }])
    }

    fn ending(&self) -> Option<DashboardCommand> {
        self.exists.then_some(DashboardCommand::Delete)
    }

    fn describe(before: JsonValue<'_>, after: JsonValue<'_>) -> Description {
        summary::summarize(before, after)
    }
}

impl Aggregate for Dashboard {
    const TYPE: &'static str = "dashboard";
    type Command = DashboardCommand;
    type Event = DashboardEvent;
    type Error = DashboardError;
    type Services = ();

    async fn handle(
        &mut self,
        command: DashboardCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), DashboardError> {
        let event = match command {
            DashboardCommand::Save { content, new_id, expected_version } => {
                self.save(content, new_id, expected_version)?
            }
            DashboardCommand::RestoreVersion { from, content } => {
                self.must_exist()?;
                content.check()?;
                DashboardVersionRestored {
                    generation: self.generation,
                    version: self.version + 1,
                    restored_from: from,
                    content,
                }
                .into()
            }
            DashboardCommand::Delete => {
                self.must_exist()?;
                DashboardDeleted { uid: self.uid.clone(), in_trash: true }.into()
            }
            DashboardCommand::RestoreDeleted { folder_uid } => {
                self.must_be_in_trash()?;
                DashboardRestored { uid: self.uid.clone(), folder_uid }.into()
            }
            DashboardCommand::Purge => {
                self.must_be_in_trash()?;
                DashboardPurged { uid: self.uid.clone() }.into()
            }
        };
        decide(self, sink, event).await;
        Ok(())
    }

    fn apply(&mut self, event: DashboardEvent) {
        match event {
            DashboardEvent::Created(created) => {
                self.id = created.id;
                self.generation = created.generation;
                self.exists = true;
                self.in_trash = false;
                self.take(1, created.content);
            }
            DashboardEvent::Updated(updated) => self.take(updated.version, updated.content),
            DashboardEvent::VersionRestored(restored) => self.take(restored.version, restored.content),
            DashboardEvent::Deleted(deleted) => {
                self.exists = false;
                self.in_trash = deleted.in_trash;
            }
            DashboardEvent::Restored(restored) => {
                self.exists = true;
                self.in_trash = false;
                self.folder_uid = restored.folder_uid;
            }
            DashboardEvent::Purged(_) => self.in_trash = false,
        }
    }
}

impl Dashboard {
    fn must_exist(&self) -> Result<(), DashboardError> {
        if self.exists { Ok(()) } else { Err(DashboardError::NotFound) }
    }

    fn must_be_in_trash(&self) -> Result<(), DashboardError> {
        if self.in_trash { Ok(()) } else { Err(DashboardError::NotFound) }
    }

    fn save(
        &self,
        content: DashboardContent,
        new_id: i64,
        expected_version: Option<i64>,
    ) -> Result<DashboardEvent, DashboardError> {
        content.check()?;
        if !self.exists {
            return Ok(DashboardCreated { id: new_id, generation: self.generation + 1, content }.into());
        }
        if expected_version.is_some_and(|expected| expected != self.version) {
            return Err(DashboardError::VersionMismatch);
        }
        Ok(DashboardUpdated { generation: self.generation, version: self.version + 1, content }.into())
    }

    fn take(&mut self, version: i64, content: DashboardContent) {
        self.version = version;
        self.uid = content.uid;
        self.title = content.title;
        self.folder_uid = content.folder_uid;
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "this is how serde asks")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests;
