//! The import of objects from the log of another application into an org: of objects that refer neither to users nor to
//! anything outside of themselves, with a history that their aggregates could have written.

mod place;

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate;

use crate::account::quota::QuotaTarget;
use crate::content::dashboard::{
    Dashboard, DashboardContent, DashboardEvent, MAX_TITLE_CHARACTERS, are_tags,
};
use crate::content::folder::{Folder, FolderEvent, GENERAL_UID};
use crate::kernel::aggregate::{Stream, StreamId};
use crate::kernel::event::StoredEvent;
use crate::kernel::json::{CanonicalJson, JsonDocument};
use crate::kernel::text::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, is_storable};
use crate::kernel::uid::Uid;
use crate::registry;

pub use place::Misplaced;

/// The types of aggregates that can be imported. All others refer to users, credentials or orgs of the server on which
/// they were made, whose ids belong to others here.
pub const TYPES: &[&str] = &[<Folder as Aggregate>::TYPE, <Dashboard as Aggregate>::TYPE];

/// An event of another log.
#[derive(Clone, Copy, Debug)]
pub struct ForeignEvent<'a> {
    /// The type of its aggregate.
    pub aggregate_type: &'a str,
    /// The identifier of the aggregate: its uid, with or without the type before it.
    pub aggregate_id: &'a str,
    /// Its place among the events of the aggregate, from 1.
    pub sequence: i64,
    /// Its stored name.
    pub event_type: &'a str,
    /// The version of its shape.
    pub schema_version: i32,
    /// Its payload as JSON text.
    pub payload: &'a str,
}

/// The reason why an event cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The aggregate type exists, but cannot be imported.
    #[error("an aggregate of type {0} refers to users or credentials of its server and cannot be imported")]
    NotImportable(String),
    /// The aggregate type does not exist.
    #[error("{0} is not an aggregate type")]
    UnknownAggregate(String),
    /// The event does not belong to its aggregate type.
    #[error("{0} is not an event of an aggregate of type {1}")]
    WrongType(String, String),
    /// The event cannot be read.
    #[error(transparent)]
    Decode(#[from] registry::DecodeError),
    /// A uid is invalid.
    #[error("the uid {0:?} is not valid: {1}")]
    Uid(String, crate::kernel::uid::UidError),
    /// The event refers to another object than the identifier of its aggregate.
    #[error("the event refers to {0:?}, but its aggregate is {1:?}")]
    OtherAggregate(String, String),
    /// Events before this one are missing.
    #[error("sequence {found} follows {last}: {} events are missing", found - last - 1)]
    Hole {
        /// The sequence that was found.
        found: i64,
        /// The last one before it.
        last: i64,
    },
    /// There was an earlier event with this sequence.
    #[error("duplicate sequence {0}")]
    Duplicate(i64),
    /// The aggregate could not have written it.
    #[error("{0} is not possible here: {1}")]
    Impossible(&'static str, &'static str),
    /// A title or description is too long or cannot be stored, or the document is no object.
    #[error("{0}")]
    Content(&'static str),
}

/// An imported event.
#[derive(Debug)]
pub struct Imported {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// The type of the aggregate.
    pub stream_type: &'static str,
    /// The event, with the numeric id that its object has here.
    pub event: Box<dyn StoredEvent>,
    /// The object it belongs to: its place among all objects, in the order of their first events, from 0.
    pub object: usize,
}

/// An imported object.
#[derive(Clone, Copy, Debug)]
pub struct ImportedObject<'a> {
    /// The stream it is kept in.
    pub stream: &'a StreamId,
    /// Its place among all objects, in the order of their first events, from 0.
    pub object: usize,
    /// The number of its last event.
    pub number: u64,
    /// The number of its events.
    pub events: i64,
    /// The number of numeric ids that it needs: one for each time that it was created.
    pub ids: i64,
    /// The rank, which is higher than that of the folder that it is in.
    pub rank: usize,
}

/// The state of an import: the objects read so far, each with the number of its last event and its sequence.
#[derive(Debug)]
pub struct Import {
    objects: BTreeMap<StreamId, Object>,
    last_id: i64,
    max_document_bytes: usize,
}

#[derive(Debug)]
struct Object {
    place: usize,
    number: u64,
    sequence: i64,
    ids: i64,
    state: State,
}

#[derive(Debug)]
enum State {
    Folder(Folder),
    Dashboard(Box<Dashboard>),
}

impl Import {
    /// An import that assigns the numeric ids after `last_id`, and accepts documents of at most `max_document_bytes`
    /// bytes.
    #[must_use]
    pub fn new(last_id: i64, max_document_bytes: usize) -> Self {
        Self { objects: BTreeMap::new(), last_id, max_document_bytes }
    }

    /// The last numeric id that was given to an object.
    #[must_use]
    pub fn last_id(&self) -> i64 {
        self.last_id
    }

    /// The objects.
    pub fn objects(&self) -> impl Iterator<Item = ImportedObject<'_>> {
        self.objects.iter().map(|(stream, object)| ImportedObject {
            stream,
            object: object.place,
            number: object.number,
            events: object.sequence,
            ids: object.ids,
            rank: self.rank(&object.state),
        })
    }

    /// Leaves out objects that the org has from an earlier import of the same events.
    pub fn leave_out(&mut self, streams: &BTreeSet<StreamId>) {
        self.objects.retain(|stream, _| !streams.contains(stream));
    }

    /// The number of objects that the import adds, by quota.
    #[must_use]
    pub fn added(&self) -> BTreeMap<QuotaTarget, i64> {
        let mut added = BTreeMap::new();
        for object in self.objects.values() {
            let target = match &object.state {
                State::Folder(folder) if folder.exists => QuotaTarget::Folder,
                State::Dashboard(dashboard) if dashboard.exists => QuotaTarget::Dashboard,
                _ => continue,
            };
            *added.entry(target).or_default() += 1;
        }
        added
    }

    /// The folded state of an object, as JSON text.
    pub fn state(&self, stream: &StreamId) -> Result<String, serde_json::Error> {
        match self.objects.get(stream).map(|object| &object.state) {
            Some(State::Folder(folder)) => serde_json::to_string(folder),
            Some(State::Dashboard(dashboard)) => serde_json::to_string(dashboard),
            None => Ok(String::new()),
        }
    }

    /// Imports the next event, which has this number.
    pub fn take(&mut self, number: u64, foreign: &ForeignEvent<'_>) -> Result<Imported, ImportError> {
        let kind = foreign.aggregate_type;
        let Some(stream_type) = TYPES.iter().copied().find(|importable| *importable == kind) else {
            let is_known = registry::TYPES.contains(&kind);
            let error = if is_known { ImportError::NotImportable } else { ImportError::UnknownAggregate };
            return Err(error(kind.to_owned()));
        };
        if registry::aggregate_type_of(foreign.event_type) != kind {
            return Err(ImportError::WrongType(foreign.event_type.to_owned(), kind.to_owned()));
        }
        let event = registry::decode(foreign.event_type, foreign.schema_version, foreign.payload)?;
        let (stream, object, event) = if let Some(event) = event.of::<FolderEvent>() {
            let stream = Folder::stream_id(named(folder_uid(event), foreign)?);
            let (object, event) =
                self.take_folder(number, foreign.sequence, stream.clone(), event.clone())?;
            (stream, object, event)
        } else if let Some(event) = event.of::<DashboardEvent>() {
            let stream = Dashboard::stream_id(named(dashboard_uid(event), foreign)?);
            let (object, event) =
                self.take_dashboard(number, foreign.sequence, stream.clone(), event.clone())?;
            (stream, object, event)
        } else {
            return Err(ImportError::WrongType(foreign.event_type.to_owned(), kind.to_owned()));
        };
        Ok(Imported { stream, stream_type, event, object })
    }

    /// The object of a stream. Fails if the event is not the next one of it.
    fn object(
        &mut self,
        number: u64,
        sequence: i64,
        stream: StreamId,
        new: fn() -> State,
    ) -> Result<&mut Object, ImportError> {
        let place = self.objects.len();
        let object = self.objects.entry(stream).or_insert_with(|| Object {
            place,
            number,
            sequence: 0,
            ids: 0,
            state: new(),
        });
        let last = object.sequence;
        if sequence <= last {
            return Err(ImportError::Duplicate(sequence));
        }
        if sequence != last + 1 {
            return Err(ImportError::Hole { found: sequence, last });
        }
        (object.number, object.sequence) = (number, sequence);
        Ok(object)
    }

    fn take_folder(
        &mut self,
        number: u64,
        sequence: i64,
        stream: StreamId,
        mut event: FolderEvent,
    ) -> Result<(usize, Box<dyn StoredEvent>), ImportError> {
        let next_id = self.last_id + 1;
        let object = self.object(number, sequence, stream, || State::Folder(Folder::default()))?;
        let State::Folder(folder) = &mut object.state else {
            return Err(impossible(&event, "the aggregate is not a folder"));
        };
        match &event {
            FolderEvent::Created(created) => check_text(&created.title, &created.description)?,
            FolderEvent::Updated(updated) => check_text(&updated.title, &updated.description)?,
            FolderEvent::Moved(_) | FolderEvent::Deleted(_) => {}
        }
        match &mut event {
            FolderEvent::Created(_) if folder.exists => {
                return Err(impossible(&event, "the folder is there already"));
            }
            FolderEvent::Created(created) if created.uid.as_str() == GENERAL_UID => {
                return Err(ImportError::Content("the uid of a folder names the root"));
            }
            // The numeric ids of restored folders are those of the other server.
            FolderEvent::Created(created) => (created.id, created.restores) = (next_id, None),
            _ if !folder.exists => return Err(impossible(&event, "the folder does not exist")),
            _ => {}
        }
        folder.apply(event.clone());
        let place = object.place;
        if matches!(event, FolderEvent::Created(_)) {
            object.ids += 1;
            self.last_id = next_id;
        }
        Ok((place, Box::new(event)))
    }

    fn take_dashboard(
        &mut self,
        number: u64,
        sequence: i64,
        stream: StreamId,
        mut event: DashboardEvent,
    ) -> Result<(usize, Box<dyn StoredEvent>), ImportError> {
        let (next_id, max_bytes) = (self.last_id + 1, self.max_document_bytes);
        let object = self.object(number, sequence, stream, || State::Dashboard(Box::default()))?;
        let State::Dashboard(dashboard) = &mut object.state else {
            return Err(impossible(&event, "the aggregate is not a dashboard"));
        };
        if let Some(why) = why_not(dashboard, &event) {
            return Err(impossible(&event, why));
        }
        match &mut event {
            DashboardEvent::Created(created) => {
                created.id = next_id;
                make_canonical(&mut created.content, max_bytes)?;
            }
            DashboardEvent::Updated(updated) => make_canonical(&mut updated.content, max_bytes)?,
            DashboardEvent::VersionRestored(restored) => make_canonical(&mut restored.content, max_bytes)?,
            DashboardEvent::Deleted(_) | DashboardEvent::Restored(_) | DashboardEvent::Purged(_) => {}
        }
        dashboard.apply(event.clone());
        let place = object.place;
        if matches!(event, DashboardEvent::Created(_)) {
            object.ids += 1;
            self.last_id = next_id;
        }
        Ok((place, Box::new(event)))
    }
}

fn impossible(event: &dyn StoredEvent, why: &'static str) -> ImportError {
    ImportError::Impossible(event.stored_type(), why)
}

/// The reason why a dashboard could not have written an event; `None` if it could.
fn why_not(dashboard: &Dashboard, event: &DashboardEvent) -> Option<&'static str> {
    let wrong_version = |generation: i64, version: i64| {
        let is_next = generation == dashboard.generation && version == dashboard.version + 1;
        (!is_next).then_some("it does not have the next version of the dashboard")
    };
    match event {
        DashboardEvent::Created(_) if dashboard.exists => Some("the dashboard is there already"),
        DashboardEvent::Created(created) if created.generation != dashboard.generation + 1 => {
            Some("it does not have the next generation of the dashboard")
        }
        DashboardEvent::Created(_) => None,
        DashboardEvent::Restored(_) | DashboardEvent::Purged(_) => {
            (!dashboard.in_trash).then_some("the dashboard is not in the trash")
        }
        _ if !dashboard.exists => Some("the dashboard does not exist"),
        DashboardEvent::Updated(updated) => wrong_version(updated.generation, updated.version),
        DashboardEvent::VersionRestored(restored) => wrong_version(restored.generation, restored.version),
        DashboardEvent::Deleted(_) => None,
    }
}

fn folder_uid(event: &FolderEvent) -> &Uid {
    match event {
        FolderEvent::Created(created) => &created.uid,
        FolderEvent::Updated(updated) => &updated.uid,
        FolderEvent::Moved(moved) => &moved.uid,
        FolderEvent::Deleted(deleted) => &deleted.uid,
    }
}

fn dashboard_uid(event: &DashboardEvent) -> &Uid {
    match event {
        DashboardEvent::Created(created) => &created.content.uid,
        DashboardEvent::Updated(updated) => &updated.content.uid,
        DashboardEvent::VersionRestored(restored) => &restored.content.uid,
        DashboardEvent::Deleted(deleted) => &deleted.uid,
        DashboardEvent::Restored(restored) => &restored.uid,
        DashboardEvent::Purged(purged) => &purged.uid,
    }
}

/// The uid. Fails if it is invalid, or if the aggregate is not named after it.
fn named<'a>(uid: &'a Uid, foreign: &ForeignEvent<'_>) -> Result<&'a Uid, ImportError> {
    Uid::try_new(uid.as_str()).map_err(|error| ImportError::Uid(uid.to_string(), error))?;
    let (id, kind) = (foreign.aggregate_id, foreign.aggregate_type);
    let with_type = id.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-'));
    if id == uid.as_str() || with_type == Some(uid.as_str()) {
        return Ok(uid);
    }
    Err(ImportError::OtherAggregate(uid.to_string(), id.to_owned()))
}

fn check_text(title: &str, description: &str) -> Result<(), ImportError> {
    if title.is_empty() {
        return Err(ImportError::Content("the title is empty"));
    }
    if is_storable(title, MAX_NAME_BYTES) && is_storable(description, MAX_DESCRIPTION_BYTES) {
        return Ok(());
    }
    Err(ImportError::Content("a text is too long, or has a character that cannot be stored"))
}

/// Checks the content of a version, and makes its document canonical.
fn make_canonical(content: &mut DashboardContent, max_bytes: usize) -> Result<(), ImportError> {
    check_text(content.listed_title(), &content.message)?;
    if content.title.chars().nth(MAX_TITLE_CHARACTERS).is_some() || content.title.contains('\0') {
        return Err(ImportError::Content("the title is too long, or has a character that cannot be stored"));
    }
    if !are_tags(&content.tags) {
        let message = "there are too many tags, or one is too long or has a character that cannot be stored";
        return Err(ImportError::Content(message));
    }
    let no_object = ImportError::Content("the document is not a JSON object, too long, or nested too deeply");
    let mut text = content.data.as_str().as_bytes().to_vec();
    let Ok(document) = JsonDocument::try_parse(&mut text) else { return Err(no_object) };
    if !document.root().is_object() {
        return Err(no_object);
    }
    content.data = CanonicalJson::try_new(document.root(), &["id", "uid", "version"], max_bytes)
        .map_err(|_| no_object)?;
    Ok(())
}

#[cfg(test)]
mod tests;
