//! A commit with everything that can be computed before its position in the log is known.

use std::time::{Duration, Instant};

use kymograph_app::kernel::budget::Charge;
use kymograph_app::kernel::event_store::{Append, Commit, Fate, Verdict};
use kymograph_app::kernel::scope::{GIVE_RIGHTS, IdempotencyKey, Standing};
use kymograph_app::kernel::side_write::SideWrite;
use kymograph_app::{Actor, Error, RequestContext, Result, Scope, TRACE_TARGET};
use kymograph_domain::{OrgId, StreamId};
use serde::Serialize;
use tracing::{Level, Span};

use super::append::Payload;

/// The maximum age of an actor's rights without a new check.
const MAX_UNCHECKED: Duration = Duration::from_millis(100);

/// A commit that is ready to be written.
pub(super) struct Prepared {
    /// The org of the request, which stores the response.
    pub(super) home: OrgId,
    /// The org whose job deletes the response.
    pub(super) turn: OrgId,
    pub(super) appends: Vec<Append>,
    /// The payloads of the events of each append.
    pub(super) payloads: Vec<Vec<Payload>>,
    /// The premises.
    pub(super) premises: Vec<SideWrite>,
    /// Side writes.
    pub(super) writes: Vec<SideWrite>,
    pub(super) answer: Option<(IdempotencyKey, String)>,
    pub(super) actor: Actor,
    /// The source of the actor's rights.
    standing: Option<Standing>,
    /// The time at which the rights were read.
    known_at: Instant,
    /// True if they are checked again: the commit grants or removes rights, or is late.
    is_checked: bool,
    pub(super) causation_id: String,
    pub(super) correlation_id: String,
    /// Further metadata of the request, as JSON text.
    pub(super) meta: String,
    pub(super) trace_id: String,
    /// The outcomes of the pending commits that it was decided on.
    pub(super) grounds: Vec<Fate>,
    /// Publishes its own outcome.
    pub(super) verdict: Verdict,
    /// Its share of the memory budget.
    pub(super) charge: Option<Charge<OrgId>>,
    /// The span of its time in the queue, if traces are collected.
    pub(super) span: Span,
}

/// Metadata of the request without columns of its own. All values are texts, as `postgres-es` requires.
#[derive(Serialize)]
struct Meta<'a> {
    auth_method: &'a str,
    token_id: String,
    ip: &'a str,
    user_agent: &'a str,
    trace_id: &'a str,
}

impl Prepared {
    pub(super) fn try_new(scope: &Scope, commit: Commit) -> Result<Self> {
        let RequestContext {
            request_id,
            trace_id,
            correlation_id,
            auth_method,
            token_id,
            ip,
            user_agent,
            ..
        } = scope.request();
        let meta = Meta {
            auth_method,
            token_id: token_id.map(|id| id.to_string()).unwrap_or_default(),
            ip,
            user_agent,
            trace_id,
        };
        let is_traced = tracing::enabled!(target: TRACE_TARGET, Level::TRACE);
        let payloads = commit
            .appends
            .iter()
            .map(|append| append.events.iter().map(|event| event.payload().map(Payload::new)).collect())
            .collect::<Result<_, _>>()
            .map_err(Error::internal)?;
        let gives_rights = commit.appends.iter().any(|append| GIVE_RIGHTS.contains(&append.stream_type));
        let org = commit.appends.first().map_or(scope.org(), |append| append.org);
        Ok(Self {
            home: scope.home(),
            turn: if scope.belongs_to_home() { scope.home() } else { OrgId::SERVER },
            standing: scope.standing(),
            known_at: scope.known_at(),
            is_checked: gives_rights,
            appends: commit.appends,
            payloads,
            premises: commit.premises,
            writes: commit.writes,
            answer: commit.replay,
            actor: scope.actor().clone(),
            causation_id: request_id.clone(),
            correlation_id: correlation_id.clone(),
            meta: serde_json::to_string(&meta).map_err(Error::internal)?,
            trace_id: trace_id.clone(),
            grounds: commit.grounds,
            verdict: Verdict::new(org),
            charge: None,
            span: if is_traced { Span::current() } else { Span::none() },
        })
    }

    /// Requires a new check of the actor's rights if they are old: the request may have waited, for its body, for
    /// admission or for other commits, and its actor may have been removed meanwhile.
    pub(super) fn note_age(&mut self) {
        self.is_checked |= self.known_at.elapsed() > MAX_UNCHECKED;
    }

    /// The source of the actor's rights that must be checked.
    pub(super) fn standing_to_check(&self) -> Option<Standing> {
        self.standing.filter(|_| self.is_checked)
    }

    /// The org whose tables it writes, if it is a single one.
    pub(super) fn single_org(&self) -> Option<OrgId> {
        let org = self.appends.first()?.org;
        let answers_elsewhere = self.answer.is_some() && self.home != org;
        let is_single = self.appends.iter().all(|append| append.org == org)
            && self.writes.iter().all(|write| write.org == org)
            && !answers_elsewhere;
        is_single.then_some(org)
    }

    /// Whether others can be decided on it before it is written. Other reads of a decision, such as rights, folders and
    /// counts, do not include queued commits, so a commit that changes those must not be decided on ahead of time.
    pub(super) fn is_ground(&self) -> bool {
        self.writes.is_empty()
            && self.single_org().is_some()
            && self.appends.iter().flat_map(|append| &append.events).all(|event| event.changes_only_itself())
    }

    /// Whether a commit that it was decided on was not written.
    pub(super) fn is_unfounded(&self) -> bool {
        self.grounds.iter().any(Fate::has_failed)
    }

    /// The orgs whose tables it writes, in the order in which they are locked.
    pub(super) fn orgs(&self) -> Vec<OrgId> {
        let appends = self.appends.iter().map(|append| append.org);
        let writes = self.writes.iter().map(|write| write.org);
        let answer = self.answer.iter().map(|_| self.home);
        let orgs: std::collections::BTreeSet<_> = appends.chain(writes).chain(answer).collect();
        orgs.into_iter().collect()
    }

    pub(super) fn streams_of(&self, org: OrgId) -> impl Iterator<Item = &StreamId> {
        self.appends.iter().filter(move |append| append.org == org).map(|append| &append.stream_id)
    }

    /// The size of its payloads and states in bytes.
    pub(super) fn size(&self) -> usize {
        let payloads: usize = self.payloads.iter().flatten().map(Payload::len).sum();
        payloads + self.appends.iter().map(|append| append.state.len()).sum::<usize>()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use kymograph_domain::content::dashboard::{
        DashboardContent, DashboardDeleted, DashboardEvent, DashboardUpdated,
    };
    use kymograph_domain::{OrgRole, Uid};

    use super::*;

    /// A stream of this name.
    pub(in super::super) fn stream(name: &str) -> StreamId {
        StreamId::from_stored(name.to_owned())
    }

    /// An append of one event to a stream of the first org.
    pub(in super::super) fn append(name: &str, expected_version: i64) -> Append {
        let content = DashboardContent {
            uid: Uid::try_new("cpu").unwrap(),
            title: "CPU".to_owned(),
            tags: Vec::new(),
            folder_uid: None,
            message: String::new(),
            data: serde_json::from_str("{}").unwrap(),
        };
        let updated = DashboardUpdated { generation: 1, version: expected_version + 1, content };
        Append {
            org: OrgId(1),
            stream_id: stream(name),
            stream_type: "dashboard",
            expected_version,
            events: vec![Box::new(DashboardEvent::Updated(updated))],
            state: format!("{name} {}", expected_version + 1).into(),
        }
    }

    /// A commit that was decided on others.
    pub(in super::super) fn prepared(appends: Vec<Append>, grounds: Vec<Fate>) -> Prepared {
        let scope = Scope::of_member(OrgId(1), OrgRole::Admin, Arc::default(), Arc::default());
        let (premises, writes) = (Vec::new(), Vec::new());
        let commit = Commit { appends, premises, writes, replay: None, grounds };
        Prepared::try_new(&scope, commit).unwrap()
    }

    #[test]
    fn only_new_versions_of_dashboards_are_built_on() {
        let saved = append("a", 1);
        let deleted = DashboardDeleted { uid: Uid::try_new("cpu").unwrap(), in_trash: true };
        let deleted = Append { events: vec![Box::new(DashboardEvent::Deleted(deleted))], ..append("b", 1) };
        assert!(!prepared(vec![saved, deleted], Vec::new()).is_ground());
        assert!(prepared(vec![append("a", 1), append("b", 1)], Vec::new()).is_ground());
    }
}
