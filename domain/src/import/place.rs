//! The places of objects, in folders that are imported with them or that the org has.

use std::collections::{BTreeMap, BTreeSet};

use super::{Import, State};
use crate::content::folder::{Folder, MAX_DEPTH};
use crate::kernel::aggregate::{Stream, StreamId};
use crate::kernel::uid::Uid;

/// An object in a folder that does not exist, or that is too deep or inside itself.
#[derive(Debug, thiserror::Error)]
#[error("{stream} is in the folder {folder}, {why}")]
pub struct Misplaced {
    /// The number of the object's last event.
    pub number: u64,
    /// The object.
    pub stream: StreamId,
    /// The folder it is in.
    pub folder: Uid,
    /// The fault of the folder.
    pub why: &'static str,
}

const NOT_THERE: &str = "which does not exist";
const TOO_DEEP: &str = "which is too deep, or inside itself";

impl Import {
    /// The folders that are not imported, but contain imported objects.
    #[must_use]
    pub fn folders_elsewhere(&self) -> BTreeSet<&Uid> {
        let parents = self.objects.values().filter_map(|object| parent(&object.state));
        parents.filter(|uid| self.folder(uid).is_none()).collect()
    }

    /// Checks that every object that exists in the end is in a valid place: in folders that are imported as well, or in
    /// folders that exist already, given with their depth, which is 1 at the root. No folder may be its own ancestor or
    /// too deep.
    pub fn check_places(&self, elsewhere: &BTreeMap<Uid, usize>) -> Result<(), Misplaced> {
        for (stream, object) in &self.objects {
            let misplaced = |folder: &Uid, why| Misplaced {
                number: object.number,
                stream: stream.clone(),
                folder: folder.clone(),
                why,
            };
            let mut depth = usize::from(matches!(object.state, State::Folder(_)));
            let mut next = parent(&object.state);
            while let Some(uid) = next {
                let folder = self.folder(uid);
                depth += match (folder, elsewhere.get(uid)) {
                    (Some(_), _) => 1,
                    (None, Some(depth)) => *depth,
                    (None, None) => return Err(misplaced(uid, NOT_THERE)),
                };
                if depth > MAX_DEPTH {
                    return Err(misplaced(uid, TOO_DEEP));
                }
                next = folder.and_then(|folder| folder.parent_uid.as_ref());
            }
        }
        Ok(())
    }

    /// The number of imported folders that a folder is in. All other objects rank after folders, as do deleted ones.
    pub(super) fn rank(&self, state: &State) -> usize {
        if !matches!(state, State::Folder(folder) if folder.exists) {
            return MAX_DEPTH;
        }
        let ancestors = std::iter::successors(parent(state).and_then(|uid| self.folder(uid)), |folder| {
            folder.parent_uid.as_ref().and_then(|uid| self.folder(uid))
        });
        ancestors.take(MAX_DEPTH).count()
    }

    fn folder(&self, uid: &Uid) -> Option<&Folder> {
        match &self.objects.get(&Folder::stream_id(uid))?.state {
            State::Folder(folder) if folder.exists => Some(folder),
            _ => None,
        }
    }
}

/// The folder that an object is in; `None` if the object does not exist or is in none.
fn parent(state: &State) -> Option<&Uid> {
    match state {
        State::Folder(folder) if folder.exists => folder.parent_uid.as_ref(),
        State::Dashboard(dashboard) if dashboard.exists => dashboard.folder_uid.as_ref(),
        _ => None,
    }
}
