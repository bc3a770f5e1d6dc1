//! Resolves the query of a client to the columns by which the log is indexed.

use kymograph_domain::account::access::Outcome;
use kymograph_domain::{Timestamp, UserId, registry};

use super::{AuditSelect, Audits};
use crate::kernel::error::{Error, Result};
use crate::kernel::scope::Scope;

/// The maximum number of values of a filter.
pub(crate) const MAX_FILTER_VALUES: usize = 100;
/// The maximum number of actors that a filter matches.
pub(crate) const MAX_FILTER_ACTORS: i64 = 100;
/// The longest value of a filter, in bytes.
pub(crate) const MAX_FILTER_BYTES: usize = 1000;

/// A client's query as it was sent.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Logins, ids, or prefixes of logins that end in `*`; any of them.
    pub actors: Vec<String>,
    /// Actions, or prefixes of actions that end in `*`; any of them.
    pub actions: Vec<String>,
    /// The type of the object.
    pub target_type: Option<String>,
    /// The uid of the object, or the id of an object without a uid.
    pub target_uid: Option<String>,
    /// `success`, `denied` or `failure`.
    pub outcome: Option<String>,
    /// Not before this time.
    pub from: Option<String>,
    /// Not after this time.
    pub to: Option<String>,
    /// The trace.
    pub trace_id: Option<String>,
    /// `newest` or `oldest` first.
    pub order: Option<String>,
    /// The maximum number of entries.
    pub limit: Option<i64>,
    /// The cursor.
    pub cursor: Option<String>,
    /// Whether to include the changes of each entry.
    pub with_changes: bool,
    /// Exclusions, which take precedence.
    pub excluded: Excluded,
}

/// Exclusions from a query, in the same notation as its filters.
#[derive(Clone, Debug, Default)]
pub struct Excluded {
    /// Logins, ids, or prefixes of logins that end in `*`.
    pub actors: Vec<String>,
    /// Actions, or prefixes of actions that end in `*`.
    pub actions: Vec<String>,
    /// Outcomes.
    pub outcomes: Vec<String>,
    /// Types of objects.
    pub target_types: Vec<String>,
}

impl Excluded {
    fn lists(&self) -> [&Vec<String>; 4] {
        [&self.actors, &self.actions, &self.outcomes, &self.target_types]
    }

    /// The event types that are excluded.
    fn types(&self) -> Result<Vec<&'static str>> {
        let mut types = matching_types("excludeAction", &self.actions)?;
        for outcome in &self.outcomes {
            let outcome = parse_outcome("excludeOutcome", outcome)?;
            types.extend(all_types().filter(|name| Outcome::of_event(name) == outcome));
        }
        for kind in &self.target_types {
            let kind = parse_target_type("excludeTargetType", kind)?;
            types.extend(all_types().filter(|name| is_of(kind, name)));
        }
        Ok(types)
    }
}

/// The actors that a filter matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorFilter {
    /// Actors who have or had the login, ignoring case.
    Login(String),
    /// Actors who have or had a login with this prefix, ignoring case.
    Prefix(String),
}

impl AuditQuery {
    /// Whether the newest come first.
    pub(super) fn newest_first(&self, default: bool) -> Result<bool> {
        match self.order.as_deref() {
            None | Some("") => Ok(default),
            Some("newest") => Ok(true),
            Some("oldest") => Ok(false),
            Some(_) => Err(Error::invalid("order is invalid: use newest or oldest")),
        }
    }

    /// A text that distinguishes the list from others. The page size is not part of it, because it may change between
    /// pages.
    pub(super) fn identity(&self) -> String {
        let Self { actors, actions, target_type, target_uid, outcome, trace_id, order, excluded, .. } = self;
        let (from, to) = (&self.from, &self.to);
        format!(
            "{actors:?}{actions:?}{target_type:?}{target_uid:?}{outcome:?}{from:?}{to:?}{trace_id:?}{order:?}\
                {excluded:?}"
        )
    }

    fn check(&self) -> Result<()> {
        let lists = [&self.actors, &self.actions].into_iter().chain(self.excluded.lists());
        if lists.clone().any(|values| values.len() > MAX_FILTER_VALUES) {
            return Err(Error::invalid(format!("a filter can have at most {MAX_FILTER_VALUES} values")));
        }
        let single = [&self.target_type, &self.target_uid, &self.trace_id].into_iter().flatten();
        let all = lists.flatten().chain(single);
        if all.into_iter().any(|value| value.len() > MAX_FILTER_BYTES || value.contains('\0')) {
            return Err(Error::invalid("a filter is too long or contains a character that cannot be stored"));
        }
        Ok(())
    }

    /// The start and end of the time range, both inclusive.
    pub(super) fn times(&self) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
        let from = Self::time("from", self.from.as_ref())?;
        let to = Self::time("to", self.to.as_ref())?;
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(Error::invalid("from is after to"));
        }
        Ok((from, to))
    }

    /// The event types that are wanted; `None` for all.
    fn types(&self) -> Result<Option<Vec<&'static str>>> {
        let mut types: Option<Vec<_>> = None;
        if !self.actions.is_empty() {
            types = Some(matching_types("action", &self.actions)?);
        }
        if let Some(outcome) = non_empty(self.outcome.as_ref()) {
            let outcome = parse_outcome("outcome", outcome)?;
            types
                .get_or_insert_with(|| all_types().collect())
                .retain(|name| Outcome::of_event(name) == outcome);
        }
        if let Some(kind) = self.target_type()?.filter(|_| non_empty(self.target_uid.as_ref()).is_none()) {
            types.get_or_insert_with(|| all_types().collect()).retain(|name| is_of(kind, name));
        }
        let excluded = self.excluded.types()?;
        if !excluded.is_empty() {
            types.get_or_insert_with(|| all_types().collect()).retain(|name| !excluded.contains(name));
        }
        Ok(types)
    }

    fn target_type(&self) -> Result<Option<&str>> {
        match non_empty(self.target_type.as_ref()) {
            Some(kind) => parse_target_type("targetType", kind).map(Some),
            None if non_empty(self.target_uid.as_ref()).is_some() => {
                Err(Error::invalid("targetUid needs a targetType"))
            }
            None => Ok(None),
        }
    }

    /// The streams of the target object: of its changes, and of access events about it.
    fn streams(&self) -> Result<Option<Vec<String>>> {
        let (Some(kind), Some(uid)) = (self.target_type()?, non_empty(self.target_uid.as_ref())) else {
            return Ok(None);
        };
        Ok(Some(vec![format!("{kind}-{uid}"), format!("access-{kind}-{uid}")]))
    }

    fn time(name: &str, text: Option<&String>) -> Result<Option<Timestamp>> {
        let Some(text) = non_empty(text) else { return Ok(None) };
        let expected = || format!("{name} is invalid: use RFC 3339, milliseconds or seconds since 1970");
        Timestamp::parse(text).map(Some).ok_or_else(|| Error::invalid(expected()))
    }
}

fn non_empty(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// The types of all events.
pub(super) fn all_types() -> impl Iterator<Item = &'static str> {
    registry::event_types().into_iter().map(|(name, _)| name)
}

/// Whether an event type belongs to a type of objects.
fn is_of(kind: &str, name: &str) -> bool {
    name.split_once('.').is_some_and(|(noun, _)| noun == kind)
}

/// The event types that match the actions in a parameter. Fails if one of the actions matches none.
fn matching_types(parameter: &str, actions: &[String]) -> Result<Vec<&'static str>> {
    let mut types = Vec::new();
    for action in actions {
        let before = types.len();
        types.extend(all_types().filter(|name| matches(action, name)));
        if types.len() == before {
            return Err(Error::invalid(format!("{parameter} {action} is unknown")));
        }
    }
    types.sort_unstable();
    types.dedup();
    Ok(types)
}

fn parse_outcome(parameter: &str, text: &str) -> Result<Outcome> {
    let invalid = || Error::invalid(format!("{parameter} is invalid: use success, denied or failure"));
    Outcome::ALL.into_iter().find(|known| known.name() == text).ok_or_else(invalid)
}

fn parse_target_type<'t>(parameter: &str, text: &'t str) -> Result<&'t str> {
    let invalid = || Error::invalid(format!("{parameter} is invalid: use {}", registry::TYPES.join(", ")));
    Some(text).filter(|kind| registry::TYPES.contains(kind)).ok_or_else(invalid)
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

impl Audits {
    /// Resolves a client's query. The order and the number of entries are left open.
    pub(super) async fn select(&self, scope: &Scope, query: &AuditQuery) -> Result<AuditSelect> {
        let (from, to) = query.times()?;
        let mut select = self.select_at_any_time(scope, query).await?;
        // The last position before the range, and the last position in it.
        let times: Vec<_> =
            [from.map(|from| Timestamp(from.0.saturating_sub(1))), to].into_iter().flatten().collect();
        if !times.is_empty() {
            let mut positions = self.log.positions_at(scope, &times).await?.into_iter();
            if from.is_some() {
                select.after = positions.next().unwrap_or_default();
            }
            if to.is_some() {
                select.before = positions.next().unwrap_or_default() + 1;
            }
        }
        Ok(select)
    }

    /// Resolves a client's query except for its time range.
    pub(super) async fn select_at_any_time(&self, scope: &Scope, query: &AuditQuery) -> Result<AuditSelect> {
        query.check()?;
        let mut select = AuditSelect {
            before: i64::MAX,
            types: query.types()?,
            streams: query.streams()?,
            trace_id: non_empty(query.trace_id.as_ref()).map(str::to_lowercase),
            ..AuditSelect::default()
        };
        let excluded = self.resolve_actors(scope, "excludeActor", &query.excluded.actors).await?;
        if query.actors.is_empty() {
            select.excluded_actors = excluded;
        } else {
            let mut actors = self.resolve_actors(scope, "actor", &query.actors).await?;
            actors.retain(|id| !excluded.contains(id));
            select.actors = Some(actors);
        }
        Ok(select)
    }

    async fn resolve_actors(&self, scope: &Scope, parameter: &str, actors: &[String]) -> Result<Vec<i64>> {
        let mut ids = Vec::new();
        for text in actors {
            let filter = match text.strip_suffix('*') {
                Some(beginning) => ActorFilter::Prefix(beginning.to_owned()),
                None => ActorFilter::Login(text.clone()),
            };
            // No user has the logins of actors that are not users, but a login may consist of digits.
            for (login, id) in [("server", UserId::SERVER.0), ("anonymous", UserId::ANONYMOUS.0)] {
                if matches(&text.to_lowercase(), login) {
                    ids.push(id);
                }
            }
            ids.extend(text.parse::<i64>().ok());
            ids.extend(self.reader.find_actors(scope, &filter, MAX_FILTER_ACTORS + 1).await?);
        }
        ids.sort_unstable();
        ids.dedup();
        if i64::try_from(ids.len()).is_ok_and(|count| count > MAX_FILTER_ACTORS) {
            return Err(Error::invalid(format!(
                "{parameter} matches more than {MAX_FILTER_ACTORS} actors: be more specific"
            )));
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(actions: &[&str], outcome: &str) -> AuditQuery {
        AuditQuery {
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            outcome: Some(outcome.to_owned()),
            ..AuditQuery::default()
        }
    }

    #[test]
    fn actions_end_in_a_wildcard_and_repeat() {
        let types = query(&["folder.*", "dashboard.deleted"], "").types().unwrap().unwrap();
        assert_eq!(
            types,
            ["dashboard.deleted", "folder.created", "folder.deleted", "folder.moved", "folder.updated"]
        );
        assert!(query(&["comet.*"], "").types().is_err());
        assert!(query(&["*.deleted"], "").types().is_err());
        assert!(query(&[], "").types().unwrap().is_none());
    }

    #[test]
    fn an_outcome_is_a_set_of_actions() {
        assert_eq!(query(&[], "denied").types().unwrap().unwrap(), ["access.denied"]);
        assert_eq!(
            query(&["access.*"], "success").types().unwrap().unwrap(),
            ["access.logged_in", "access.queried"]
        );
        assert!(query(&["folder.*"], "denied").types().unwrap().unwrap().is_empty());
        assert!(query(&[], "maybe").types().is_err());
    }

    #[test]
    fn what_is_not_wanted_is_left_out_of_what_is() {
        let excluding = |actions: &[&str], outcomes: &[&str], kinds: &[&str]| {
            let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
            let excluded = Excluded {
                actors: Vec::new(),
                actions: texts(actions),
                outcomes: texts(outcomes),
                target_types: texts(kinds),
            };
            AuditQuery { excluded, ..query(&["folder.*", "access.*"], "") }.types()
        };
        let types = excluding(&["folder.m*", "folder.created"], &["failure"], &[]).unwrap().unwrap();
        assert_eq!(
            types,
            ["access.denied", "access.logged_in", "access.queried", "folder.deleted", "folder.updated"]
        );
        assert_eq!(excluding(&[], &["success", "denied", "failure"], &[]).unwrap().unwrap(), [""; 0]);
        let types = excluding(&[], &[], &["access", "dashboard"]).unwrap().unwrap();
        assert_eq!(types, ["folder.created", "folder.deleted", "folder.moved", "folder.updated"]);
        assert!(excluding(&["comet.*"], &[], &[]).is_err());
        assert!(excluding(&[], &["maybe"], &[]).is_err());
        assert!(excluding(&[], &[], &["comet"]).is_err());
        let all_but = AuditQuery {
            excluded: Excluded { target_types: vec!["folder".into()], ..Excluded::default() },
            ..AuditQuery::default()
        };
        assert_eq!(all_but.types().unwrap().unwrap().len() + 4, all_types().count());
    }

    #[test]
    fn filters_are_bounded() {
        let of = |count: usize, bytes: usize| AuditQuery {
            actors: vec!["a".repeat(bytes); count],
            ..AuditQuery::default()
        };
        assert!(of(MAX_FILTER_VALUES, MAX_FILTER_BYTES).check().is_ok());
        assert!(of(MAX_FILTER_VALUES + 1, 1).check().is_err());
        assert!(of(1, MAX_FILTER_BYTES + 1).check().is_err());
    }

    #[test]
    fn a_target_is_two_streams() {
        let target = |kind: &str, uid: &str| AuditQuery {
            target_type: Some(kind.to_owned()),
            target_uid: Some(uid.to_owned()),
            ..AuditQuery::default()
        };
        let streams = target("dashboard", "cpu").streams().unwrap().unwrap();
        assert_eq!(streams, ["dashboard-cpu", "access-dashboard-cpu"]);
        assert!(target("dashboard", "").streams().unwrap().is_none());
        assert!(target("comet", "x").streams().is_err());
        assert!(target("", "x").streams().is_err());
        let types = target("star", "").types().unwrap().unwrap();
        assert_eq!(types, ["star.added", "star.removed"]);
    }
}
