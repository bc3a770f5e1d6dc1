//! From what a client asks for to what the log is indexed by.

use kymograph_domain::access::Outcome;
use kymograph_domain::{Timestamp, registry};

use super::{ANONYMOUS, AuditSelect, Audits};
use crate::error::{Error, Result};
use crate::scope::Scope;

/// How many values a filter may have.
const MAX_VALUES: usize = 100;
/// How many actors a filter may mean.
const MAX_ACTORS: i64 = 100;
/// The longest value of a filter, in bytes.
const MAX_VALUE_BYTES: usize = 1000;

/// What a client asks for, as it was sent.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Logins, ids, or beginnings of logins that end in `*`; any of them.
    pub actors: Vec<String>,
    /// Actions, or beginnings of actions that end in `*`; any of them.
    pub actions: Vec<String>,
    /// The type of the object.
    pub target_type: Option<String>,
    /// The uid of the object, or the id of what has no uid.
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
    /// How many entries.
    pub limit: Option<i64>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// Whether each entry shall say what it changed.
    pub with_changes: bool,
}

/// Whom a filter means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorFilter {
    /// Who has or had the login, in any case.
    Login(String),
    /// Who has or had a login that begins so, in any case.
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

    /// What tells the list from others. The size of a page does not: it may change on the way.
    pub(super) fn identity(&self) -> String {
        let Self { actors, actions, target_type, target_uid, outcome, from, to, trace_id, order, .. } = self;
        format!(
            "{actors:?}{actions:?}{target_type:?}{target_uid:?}{outcome:?}{from:?}{to:?}{trace_id:?}{order:?}"
        )
    }

    fn check(&self) -> Result<()> {
        if self.actors.len() > MAX_VALUES || self.actions.len() > MAX_VALUES {
            return Err(Error::invalid(format!("a filter can have at most {MAX_VALUES} values")));
        }
        let single = [&self.target_type, &self.target_uid, &self.trace_id].into_iter().flatten();
        let all = self.actors.iter().chain(&self.actions).chain(single);
        if all.into_iter().any(|value| value.len() > MAX_VALUE_BYTES || value.contains('\0')) {
            return Err(Error::invalid("a filter is too long or contains a character that cannot be stored"));
        }
        Ok(())
    }

    /// The types of events that are wanted, `None` for all.
    fn types(&self) -> Result<Option<Vec<&'static str>>> {
        let all = || registry::event_types().into_iter().map(|(name, _)| name);
        let mut types: Option<Vec<_>> = None;
        if !self.actions.is_empty() {
            let mut wanted = Vec::new();
            for action in &self.actions {
                let matching = all().filter(|name| matches(action, name));
                let before = wanted.len();
                wanted.extend(matching);
                if wanted.len() == before {
                    return Err(Error::invalid(format!("action {action} is unknown")));
                }
            }
            wanted.sort_unstable();
            wanted.dedup();
            types = Some(wanted);
        }
        if let Some(outcome) = non_empty(self.outcome.as_ref()) {
            let outcome = Outcome::ALL.into_iter().find(|known| known.name() == outcome);
            let outcome = outcome
                .ok_or_else(|| Error::invalid("outcome is invalid: use success, denied or failure"))?;
            types.get_or_insert_with(|| all().collect()).retain(|name| Outcome::of_event(name) == outcome);
        }
        if let Some(kind) = self.target_type()?.filter(|_| non_empty(self.target_uid.as_ref()).is_none()) {
            let is_of = |name: &&str| name.split_once('.').is_some_and(|(noun, _)| noun == kind);
            types.get_or_insert_with(|| all().collect()).retain(is_of);
        }
        Ok(types)
    }

    fn target_type(&self) -> Result<Option<&str>> {
        match non_empty(self.target_type.as_ref()) {
            Some(kind) if registry::TYPES.contains(&kind) => Ok(Some(kind)),
            Some(_) => {
                Err(Error::invalid(format!("targetType is invalid: use {}", registry::TYPES.join(", "))))
            }
            None if non_empty(self.target_uid.as_ref()).is_some() => {
                Err(Error::invalid("targetUid needs a targetType"))
            }
            None => Ok(None),
        }
    }

    /// The streams of the object that is meant: of its changes, and of who was let in or not.
    fn streams(&self) -> Result<Option<Vec<String>>> {
        let (Some(kind), Some(uid)) = (self.target_type()?, non_empty(self.target_uid.as_ref())) else {
            return Ok(None);
        };
        Ok(Some(vec![format!("{kind}-{uid}"), format!("access-{kind}-{uid}")]))
    }

    fn time(name: &str, text: Option<&String>) -> Result<Option<Timestamp>> {
        let Some(text) = non_empty(text) else { return Ok(None) };
        let expected = || format!("{name} is invalid: use RFC 3339 or milliseconds since 1970");
        Timestamp::parse(text).map(Some).ok_or_else(|| Error::invalid(expected()))
    }
}

fn non_empty(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

impl Audits {
    /// Resolves what a client asks for. The order and the number of entries are left open.
    pub(super) async fn select(&self, scope: &Scope, query: &AuditQuery) -> Result<AuditSelect> {
        query.check()?;
        let from = AuditQuery::time("from", query.from.as_ref())?;
        let to = AuditQuery::time("to", query.to.as_ref())?;
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(Error::invalid("from is after to"));
        }
        let mut select = AuditSelect {
            before: i64::MAX,
            types: query.types()?,
            streams: query.streams()?,
            trace_id: non_empty(query.trace_id.as_ref()).map(str::to_lowercase),
            ..AuditSelect::default()
        };
        // The last that is too old, and the last that is not too new.
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
        if !query.actors.is_empty() {
            select.actors = Some(self.resolve_actors(scope, &query.actors).await?);
        }
        Ok(select)
    }

    async fn resolve_actors(&self, scope: &Scope, actors: &[String]) -> Result<Vec<i64>> {
        let mut ids = Vec::new();
        for text in actors {
            let filter = match text.strip_suffix('*') {
                Some(beginning) => ActorFilter::Prefix(beginning.to_owned()),
                None => ActorFilter::Login(text.clone()),
            };
            // Nobody has the logins of who is no user; somebody may have a login of digits.
            for (login, id) in [("server", 0), ("anonymous", ANONYMOUS.0)] {
                if matches(&text.to_lowercase(), login) {
                    ids.push(id);
                }
            }
            ids.extend(text.parse::<i64>().ok());
            ids.extend(self.reader.find_actors(scope, &filter, MAX_ACTORS + 1).await?);
        }
        ids.sort_unstable();
        ids.dedup();
        if i64::try_from(ids.len()).is_ok_and(|count| count > MAX_ACTORS) {
            return Err(Error::invalid(format!(
                "actor means more than {MAX_ACTORS} actors: be more specific"
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
        assert_eq!(query(&["access.*"], "success").types().unwrap().unwrap(), ["access.logged_in"]);
        assert!(query(&["folder.*"], "denied").types().unwrap().unwrap().is_empty());
        assert!(query(&[], "maybe").types().is_err());
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
