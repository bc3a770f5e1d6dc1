//! The ends of pages of long lists, so that a deep page need not scan all entries before it again.
//!
//! A member who may see a fifth of an org scans five titles for each match. Reading a list page by page would repeat
//! this from the start for each page. So the first and last entry of each page are cached, for the last event that
//! could change the list: entries for an older event are ignored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kymograph_app::Result;
use kymograph_app::rights::authorization::ContentFilter;
use kymograph_domain::OrgId;
use kymograph_domain::content::dashboard::DashboardEvent;
use kymograph_domain::content::folder::FolderEvent;
use kymograph_domain::kernel::event::EventSet;
use moka::sync::Cache;

use crate::kernel::database::Database;
use crate::kernel::moment::last_event;
use crate::rights::resource_permission::allowed;

/// The maximum number of lists with cached places.
const MAX_LISTS: u64 = 500;
/// The maximum number of cached places of a list.
const MAX_PLACES: usize = 64;
/// The maximum length of the title of a cached place, in bytes.
const MAX_TITLE: usize = 256;

/// The events that change which folders and dashboards are in a list, and where.
fn events() -> Vec<&'static str> {
    let of_contents = DashboardEvent::TYPES.iter().chain(FolderEvent::TYPES).map(|(name, _)| *name);
    let mut events: Vec<_> = of_contents.chain(allowed::EVENTS).collect();
    events.sort_unstable();
    events.dedup();
    events
}

/// The kind of the entries of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Listed {
    Folders,
    Dashboards,
}

/// A list of all entries that pass a filter, as of an event of the org's log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct List {
    org: OrgId,
    filter: ContentFilter,
    version: i64,
}

/// The title and uid of an entry; before the first one they are empty.
pub(super) type Place = (String, String);

type Places = Arc<Mutex<BTreeMap<i64, Place>>>;

/// The ends of pages of lists.
pub(super) struct Anchors(Cache<(List, Listed), Places>);

impl Default for Anchors {
    fn default() -> Self {
        Self(Cache::new(MAX_LISTS))
    }
}

impl Anchors {
    /// The list as of now. It must be read before its entries.
    pub(super) async fn list(&self, database: &Database, org: OrgId, filter: &ContentFilter) -> Result<List> {
        let version = last_event(database, org, &events(), i64::MAX).await?.unwrap_or_default();
        Ok(List { org, filter: filter.clone(), version })
    }

    /// The number of entries of a list that can be skipped at once, at most `skipped`, and the place of the next one.
    pub(super) fn before(&self, list: Option<&List>, listed: Listed, skipped: i64) -> (i64, Place) {
        let places = list.and_then(|list| self.0.get(&(list.clone(), listed)));
        let nearest = places.and_then(|places| {
            let places = lock(&places);
            places.range(..=skipped).next_back().map(|(passed, place)| (*passed, place.clone()))
        });
        nearest.unwrap_or_default()
    }

    /// Caches the place of the entry that comes after `passed` others.
    pub(super) fn keep(&self, list: Option<&List>, listed: Listed, passed: i64, place: Place) {
        let Some(list) = list.filter(|_| place.0.len() <= MAX_TITLE) else { return };
        let places = self.0.get_with((list.clone(), listed), Places::default);
        let mut places = lock(&places);
        if places.len() < MAX_PLACES {
            places.insert(passed, place);
        }
    }
}

fn lock(places: &Mutex<BTreeMap<i64, Place>>) -> MutexGuard<'_, BTreeMap<i64, Place>> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use kymograph_domain::rights::resource_permission::ResourcePermissionEvent;

    use super::*;

    #[test]
    fn each_event_on_what_is_listed_changes_the_list() {
        let types = [DashboardEvent::TYPES, FolderEvent::TYPES, ResourcePermissionEvent::TYPES].concat();
        for (name, _) in types {
            assert!(events().contains(&name) || name == "resource_permission.dropped", "{name}");
        }
    }
}
