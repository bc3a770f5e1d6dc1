//! Records refusals, log-ins and queries.
//!
//! A refusal or a query is recorded beside the request, by a separate task, so that it can neither slow down nor fail the
//! request. The first one of a kind is recorded at once; later ones within a minute are combined into one entry that
//! counts them, so that no client can flood the log. They are combined before they wait for the task, so that no client
//! can displace the refusals of others.

mod fold;
mod recorder;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use kymograph_domain::account::access::{
    Access, AccessCommand, AccessLoggedIn, AccessTarget, MAX_QUERY_BYTES,
};
use kymograph_domain::account::org::Org;
use kymograph_domain::kernel::text::char_boundary;
use kymograph_domain::{OrgId, OrgRole, UserId};
use tokio::sync::{mpsc, oneshot};

use crate::kernel::clock::Clock;
use crate::kernel::error::Result;
use crate::kernel::noun::Noun;
use crate::kernel::scope::Actor;
use crate::{Commands, RequestContext, Scope};
use fold::{Attempt, Folds, What};
pub(crate) use fold::{MAX_KINDS, MAX_KINDS_PER_ORG, MAX_KINDS_PER_SOURCE, MAX_QUERIES_PER_ACTOR};

pub use recorder::AccessRecorder;
use recorder::{Flush, Writer};

impl Noun for Access {}

/// A request that was denied.
#[derive(Clone, Debug, Default)]
pub struct DeniedRequest {
    /// The method.
    pub method: String,
    /// The path, with parameters in braces.
    pub route: String,
    /// The object that the request was for.
    pub target: AccessTarget,
    /// The message to the client.
    pub reason: String,
}

/// The numbers of refusals, and of lost entries, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Denied requests.
    pub denied: u64,
    /// Failed log-ins.
    pub logins: u64,
    /// Refused tokens.
    pub tokens: u64,
    /// All refusals and queries that are missing in the log, because there were too many or a write failed.
    pub unrecorded: u64,
}

/// Counts refusals, and what is missing in the log.
#[derive(Default)]
struct Counts {
    denied: AtomicU64,
    logins: AtomicU64,
    tokens: AtomicU64,
    unrecorded: AtomicU64,
}

/// Records refusals, log-ins and queries.
#[derive(Clone)]
pub struct AccessLog {
    commands: Commands,
    clock: Arc<dyn Clock>,
    folds: Arc<Mutex<Folds>>,
    writer: Arc<Writer>,
    flushes: mpsc::Sender<Flush>,
    counts: Arc<Counts>,
}

impl AccessLog {
    /// A log, and the recorder that has to run for it.
    #[must_use]
    pub fn new(commands: Commands, clock: Arc<dyn Clock>) -> (Self, AccessRecorder) {
        let (flushes, flushed) = mpsc::channel(1);
        let (folds, counts) = (Arc::default(), Arc::default());
        let writer = Arc::new(Writer::new(commands.clone(), Arc::clone(&counts)));
        let log = Self { commands, clock, folds, writer, flushes, counts };
        let recorder = AccessRecorder::new(&log, flushed);
        (log, recorder)
    }

    /// The numbers of refusals, including those that are not recorded yet.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { denied, logins, tokens, unrecorded } = &*self.counts;
        Refusals {
            denied: count(denied),
            logins: count(logins),
            tokens: count(tokens),
            unrecorded: count(unrecorded),
        }
    }

    /// Records that an authenticated actor was denied a request in an org. Never waits.
    pub fn denied(&self, scope: &Scope, request: DeniedRequest) {
        let DeniedRequest { method, route, target, reason } = request;
        self.report(Attempt {
            org: scope.org(),
            actor: scope.actor().clone(),
            request: scope.request().clone(),
            target,
            reason,
            what: What::Denied { method, route },
        });
    }

    /// Records that a request without credentials was denied. Never waits.
    pub fn denied_to_nobody(&self, context: &RequestContext, request: DeniedRequest) {
        let DeniedRequest { method, route, target, reason } = request;
        self.report(Attempt {
            org: OrgId::SERVER,
            actor: nobody(),
            request: context.clone(),
            target,
            reason,
            what: What::Denied { method, route },
        });
    }

    /// Records that an actor requested an org that does not exist, or that the actor has no access to. Never waits.
    pub(crate) fn org_denied(&self, actor: &Actor, wanted: OrgId, request: &RequestContext) {
        self.report(Attempt {
            org: OrgId::SERVER,
            actor: actor.clone(),
            request: request.clone(),
            target: AccessTarget { kind: "org".into(), uid: wanted.to_string() },
            reason: format!("not a member of organization {wanted}"),
            what: What::Denied { method: String::new(), route: String::new() },
        });
    }

    /// Records a failed log-in, with the user if the login has one; also for the org that it would have led to. Never
    /// waits.
    pub(crate) fn login_failed(
        &self,
        user: Option<UserId>,
        org: Option<OrgId>,
        reason: &str,
        request: &RequestContext,
    ) {
        let attempt = Attempt {
            org: OrgId::SERVER,
            actor: nobody(),
            request: request.clone(),
            target: target("user", user),
            reason: reason.into(),
            what: What::LoginFailed,
        };
        if let Some(org) = org {
            self.enqueue(Attempt { org, ..attempt.clone() });
        }
        self.report(attempt);
    }

    /// Records a refused token, in the org of its service account if it has one. Never waits.
    pub(crate) fn token_refused(
        &self,
        owner: Option<(OrgId, UserId)>,
        reason: &str,
        request: &RequestContext,
    ) {
        self.report(Attempt {
            org: owner.map_or(OrgId::SERVER, |(org, _)| org),
            actor: nobody(),
            request: request.clone(),
            target: target("service_account", owner.map(|(_, id)| id)),
            reason: reason.into(),
            what: What::TokenRefused,
        });
    }

    /// Records a query to a data source. Never waits.
    pub(crate) fn queried(&self, scope: &Scope, data_source: &str, mut query: String) {
        query.truncate(char_boundary(&query, MAX_QUERY_BYTES));
        self.enqueue(Attempt {
            org: scope.org(),
            actor: scope.actor().clone(),
            request: scope.request().clone(),
            target: AccessTarget { kind: "data_source".into(), uid: data_source.into() },
            reason: String::new(),
            what: What::Queried { query: query.replace('\0', " ") },
        });
    }

    /// Records a log-in, before the client gets the session; also for the org that it leads to.
    pub(crate) async fn logged_in(
        &self,
        actor: &Arc<Actor>,
        org: Option<OrgId>,
        session_id: i64,
        request: &RequestContext,
    ) -> Result<()> {
        let request = RequestContext { token_id: Some(session_id), idempotency: None, ..request.clone() };
        let server = Scope::of_member(OrgId::SERVER, OrgRole::None, actor.clone(), Arc::new(request));
        // One commit each: a single one would make the server's log, and so all other log-ins, wait for the org's log.
        match org.map(|org| server.in_log_of(org)) {
            Some(scope) => {
                let recorded =
                    (self.write_log_in(&server, session_id), self.write_log_in(&scope, session_id));
                tokio::try_join!(recorded.0, recorded.1).map(drop)
            }
            None => self.write_log_in(&server, session_id).await,
        }
    }

    async fn write_log_in(&self, scope: &Scope, session_id: i64) -> Result<()> {
        let user_id = scope.actor().user_id;
        let target = target("user", Some(user_id));
        let logged_in = &AccessLoggedIn { target, user_id, session_id };
        self.commands
            .run(scope, |mut unit| async move {
                let org = scope.org();
                if org != OrgId::SERVER && !unit.load::<Org>(&org).await?.exists {
                    return Ok(unit.decided(()));
                }
                let mut access = unit.load::<Access>(&logged_in.target).await?;
                access.tell(AccessCommand::LogIn(logged_in.clone())).await?;
                unit.record(access)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Writes the attempts that were only counted so far. For the stop of the server, and for tests.
    pub async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.flushes.send(done).await.is_ok() {
            // A recorder that has ended has nothing left to write.
            let _ = is_done.await;
        }
    }

    fn report(&self, attempt: Attempt) {
        let counter = match attempt.what {
            What::Denied { .. } => &self.counts.denied,
            What::LoginFailed => &self.counts.logins,
            What::TokenRefused => &self.counts.tokens,
            What::Queried { .. } => return self.enqueue(attempt),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.enqueue(attempt);
    }

    fn enqueue(&self, attempt: Attempt) {
        let taken = self.folds.lock().unwrap_or_else(PoisonError::into_inner).take(attempt, self.clock.now());
        match taken {
            Ok(entry) => self.writer.write_soon(entry),
            Err(()) => self.writer.count_unrecorded(1),
        }
    }
}

fn target(kind: &str, id: Option<UserId>) -> AccessTarget {
    AccessTarget { kind: kind.into(), uid: id.map(|id| id.to_string()).unwrap_or_default() }
}

/// The actor of a request that is not authenticated.
fn nobody() -> Actor {
    Actor { user_id: UserId::ANONYMOUS, ..Actor::default() }
}
