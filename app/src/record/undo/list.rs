//! Restoring access-control lists: those that the request changed, and those of objects that come back under a new
//! numeric id.

use std::collections::HashSet;

use kymograph_domain::rights::resource_permission::{
    Grantee, Grants, Resource, ResourcePermission, ResourcePermissionCommand, default_grants,
};
use kymograph_domain::{StreamId, UserId, registry};

use super::decide::Deciding;
use super::{Fate, LaterChanges, Object, UndoStep};
use crate::kernel::error::Result;
use crate::kernel::noun::Noun;
use crate::kernel::unit::Entity;

/// A folder or dashboard that was restored under a new numeric id.
pub(super) struct Reborn {
    /// Its old identity.
    pub(super) had: Resource,
    /// Its new identity.
    pub(super) now: Resource,
    /// Its stream.
    pub(super) stream: StreamId,
    /// Its first version in the request.
    pub(super) version: i64,
    /// Whether it is at the root, where it has rights without a list.
    pub(super) is_root: bool,
}

impl Deciding<'_, '_> {
    /// Restores the lists that the request changed, and those of restored objects.
    pub(super) async fn undo_lists(&mut self, objects: &[&Object]) -> Result<()> {
        let reborn = std::mem::take(&mut self.reborn);
        let old_ids: Vec<_> = reborn.iter().map(|reborn| reborn.had.id).collect();
        let old_ids: Vec<_> = old_ids.iter().collect();
        let old_lists = self.unit.load_many::<ResourcePermission>(&old_ids).await?;
        for (reborn, list) in reborn.iter().zip(old_lists) {
            let changed = objects.iter().find(|object| object.key == reborn.had.id.to_string());
            let grants = match changed {
                Some(object) => self.grants_before(object).await?,
                None => list.resource.is_some().then(|| list.grants.clone()),
            };
            let grants = match grants {
                None if reborn.is_root => self.default_of(reborn).await?,
                grants => grants,
            };
            if let Some(grants) = grants {
                let mut list = self.unit.load::<ResourcePermission>(&reborn.now.id).await?;
                let (grants, _) = self.still_valid(grants).await?;
                let resource = reborn.now.clone();
                list.tell(ResourcePermissionCommand::Replace { resource, grants }).await?;
                self.unit.record(list)?;
                self.must_fit()?;
            }
        }
        let is_reborn = |object: &&&Object| old_ids.iter().any(|id| object.key == id.to_string());
        for object in objects.iter().filter(|object| !is_reborn(object)) {
            let mut lists =
                self.unit.load_streams::<ResourcePermission>(std::slice::from_ref(&object.stream)).await?;
            if let Some(list) = lists.pop() {
                self.undo_list(object, list).await?;
            }
        }
        Ok(())
    }

    async fn undo_list(&mut self, object: &Object, mut list: Entity<ResourcePermission>) -> Result<()> {
        self.note(&object.stream, &list);
        let (had, granted) = self.past_list(object).await?;
        let resource = list.resource.clone().or_else(|| had.clone());
        let mut step = UndoStep {
            noun: object.noun.clone(),
            key: object.key.clone(),
            name: resource
                .as_ref()
                .map(|Resource { kind, uid, .. }| format!("{} {uid}", kind.as_str()))
                .unwrap_or_default(),
            fate: Fate::Unchanged,
            detail: String::new(),
            takes_later: false,
            later: LaterChanges::default(),
        };
        let Some(resource) = resource else { return self.push(step, None) };
        if self.resources.get(&(resource.kind, resource.uid.clone())) == Some(&None) {
            "it goes with what it is about".clone_into(&mut step.detail);
            return self.push(step, None);
        }
        if !self.exists(&resource).await? {
            "its object no longer exists".clone_into(&mut step.detail);
            step.fate = Fate::Impossible;
            return self.push(step, None);
        }
        if let Err(error) = ResourcePermission::require_undo(self.scope, &object.key, true) {
            return self.push(step, Some(error));
        }
        let command = match had {
            Some(_) => {
                let (grants, lost) = self.still_valid(granted).await?;
                if lost > 0 {
                    step.detail = format!(
                        "{lost} of its permissions are omitted, because their grantees have left the org"
                    );
                }
                ResourcePermissionCommand::Replace { resource, grants }
            }
            None => ResourcePermissionCommand::Reset,
        };
        let version = list.version();
        list.tell(command).await?;
        if list.version() > version {
            step.fate = Fate::Reverted;
            step.takes_later = true;
            self.unit.record(list)?;
        }
        self.push(step, None)
    }

    /// A list before the request: its resource and its grants.
    async fn past_list(&self, object: &Object) -> Result<(Option<Resource>, Grants)> {
        let past = self.past::<ResourcePermission>(object).await?;
        Ok((past.state.resource.clone(), past.state.grants.clone()))
    }

    async fn grants_before(&self, object: &Object) -> Result<Option<Grants>> {
        let (resource, grants) = self.past_list(object).await?;
        Ok(resource.map(|_| grants))
    }

    /// The default grants of an object at the root without a list, if it was created by another actor, who is omitted
    /// unless still a member: without them, the actor of the undo would count as the creator.
    async fn default_of(&self, reborn: &Reborn) -> Result<Option<Grants>> {
        let histories = &self.undos.ports.histories;
        let Some((noun, _)) = reborn.stream.as_str().split_once('-') else { return Ok(None) };
        let began = histories
            .find_last_of(self.scope, &reborn.stream, registry::beginnings(noun), reborn.version)
            .await?
            .unwrap_or(1);
        let entries = histories.list_entries(self.scope, &reborn.stream, began + 1, 1).await?;
        let is_other = |creator: &UserId| *creator != self.scope.actor().user_id && *creator > UserId::SERVER;
        let Some(entry) = entries.first().filter(|entry| is_other(&entry.actor_id)) else { return Ok(None) };
        // A creator who has left since has lost its rights on the object, even after coming back.
        let streams = self.undos.ports.grantees.streams_of(Grantee::User(entry.actor_id));
        let has_left = !histories.find_ended(self.scope, &streams, entry.position).await?.is_empty();
        Ok(Some(default_grants(reborn.now.kind, (!has_left).then_some(entry.actor_id))))
    }

    /// Whether a folder or dashboard exists under the same numeric id.
    async fn exists(&self, resource: &Resource) -> Result<bool> {
        let Resource { kind, uid, id } = resource;
        if let Some(now) = self.resources.get(&(*kind, uid.clone())) {
            return Ok(*now == Some(*id));
        }
        let loaded = self.undos.ports.kinds.of(*kind)?.load(&self.unit, uid).await?;
        Ok(loaded.is_some_and(|(now, _)| now == *id))
    }

    /// The grants without those to grantees who left, or came back, since the request, and the number of omitted ones.
    async fn still_valid(&mut self, grants: Grants) -> Result<(Grants, usize)> {
        let grantees = self.undos.ports.grantees.clone();
        let streams: Vec<_> = grants.keys().flat_map(|grantee| grantees.streams_of(*grantee)).collect();
        let since = self.task.request.events.first().map_or(0, |event| event.position);
        let ended = self.undos.ports.histories.find_ended(self.scope, &streams, since - 1).await?;
        let mut valid = Grants::new();
        let count = grants.len();
        for (grantee, level) in grants {
            let streams = grantees.streams_of(grantee);
            let is_any_in = |set: &HashSet<StreamId>| streams.iter().any(|stream| set.contains(stream));
            let is_valid =
                is_any_in(&self.returned) || !is_any_in(&ended) && self.is_grantee(grantee).await?;
            if is_valid {
                valid.insert(grantee, level);
            }
        }
        let lost = count - valid.len();
        Ok((valid, lost))
    }

    /// True if a grantee exists. Cached, because many folders have the same grantees.
    async fn is_grantee(&mut self, grantee: Grantee) -> Result<bool> {
        if let Some(is_there) = self.grantees.get(&grantee) {
            return Ok(*is_there);
        }
        let is_there = match grantee {
            Grantee::User(id) => self.undos.ports.grantees.has_user(&self.unit, id).await?,
            Grantee::Team(id) => self.undos.ports.grantees.has_team(&self.unit, id).await?,
            Grantee::Role(_) => true,
        };
        self.grantees.insert(grantee, is_there);
        Ok(is_there)
    }
}
