//! Restoring access-control lists: those that the request changed, and those of objects that come back under a new
//! numeric id.

use std::collections::{HashMap, HashSet};

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
        let streams: Vec<_> = objects.iter().map(|object| object.stream.clone()).collect();
        let lists = self.unit.load_streams::<ResourcePermission>(&streams).await?;
        self.read_pasts::<ResourcePermission>(objects).await?;
        let reborn = std::mem::take(&mut self.reborn);
        self.undo_lists_of(&reborn, objects).await?;
        let old_keys: HashSet<_> = reborn.iter().map(|reborn| reborn.had.id.to_string()).collect();
        for (object, list) in objects.iter().zip(lists) {
            if !old_keys.contains(&object.key) {
                self.undo_list(object, list).await?;
            }
        }
        Ok(())
    }

    /// Gives restored objects the lists that they had under their old ids.
    async fn undo_lists_of(&mut self, reborn: &[Reborn], objects: &[&Object]) -> Result<()> {
        let changed: HashMap<_, _> = objects.iter().map(|object| (object.key.as_str(), *object)).collect();
        let (old_ids, new_ids): (Vec<_>, Vec<_>) =
            reborn.iter().map(|reborn| (&reborn.had.id, &reborn.now.id)).unzip();
        let old_lists = self.unit.load_many::<ResourcePermission>(&old_ids).await?;
        let mut restored = Vec::new();
        for (reborn, list) in reborn.iter().zip(old_lists) {
            let grants = match changed.get(reborn.had.id.to_string().as_str()) {
                Some(object) => self.grants_before(object).await?,
                None => list.resource.is_some().then(|| list.grants.clone()),
            };
            restored.push(match grants {
                None if reborn.is_root => self.default_of(reborn).await?,
                grants => grants,
            });
        }
        self.find_ended(restored.iter().flatten()).await?;
        let new_lists = self.unit.load_many::<ResourcePermission>(&new_ids).await?;
        for ((reborn, grants), mut list) in reborn.iter().zip(restored).zip(new_lists) {
            let Some(grants) = grants else { continue };
            let (grants, _) = self.still_valid(grants).await?;
            let resource = reborn.now.clone();
            list.tell(ResourcePermissionCommand::Replace { resource, grants }).await?;
            self.unit.record(list)?;
            self.must_fit()?;
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

    /// Looks up, at once, which grantees of lists left, or came back, since the request.
    async fn find_ended(&mut self, lists: impl Iterator<Item = &Grants>) -> Result<()> {
        let grantees: HashSet<_> = lists.flat_map(|grants| grants.keys().copied()).collect();
        let streams = grantees.into_iter().flat_map(|grantee| self.undos.ports.grantees.streams_of(grantee));
        let unknown: Vec<_> = streams.filter(|stream| !self.ended.contains_key(stream)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let since = self.task.request.events.first().map_or(0, |event| event.position);
        let ended = self.undos.ports.histories.find_ended(self.scope, &unknown, since - 1).await?;
        self.ended.extend(unknown.into_iter().map(|stream| {
            let has_ended = ended.contains(&stream);
            (stream, has_ended)
        }));
        Ok(())
    }

    /// The grants without those to grantees who left, or came back, since the request, and the number of omitted ones.
    async fn still_valid(&mut self, grants: Grants) -> Result<(Grants, usize)> {
        self.find_ended(std::iter::once(&grants)).await?;
        let grantees = self.undos.ports.grantees.clone();
        let mut valid = Grants::new();
        let count = grants.len();
        for (grantee, level) in grants {
            let streams = grantees.streams_of(grantee);
            let has_returned = streams.iter().any(|stream| self.returned.contains(stream));
            let has_ended = streams.iter().any(|stream| self.ended.get(stream) == Some(&true));
            if has_returned || !has_ended && self.is_grantee(grantee).await? {
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
