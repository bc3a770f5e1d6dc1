//! Folds refusals that repeat each other into one that counts them.

use std::collections::{HashMap, hash_map};
use std::hash::Hash;
use std::net::IpAddr;

use kymograph_domain::access::{AccessTarget, Refusal};
use kymograph_domain::{OrgId, Timestamp, UserId};

use crate::RequestContext;
use crate::audit::ANONYMOUS;
use crate::client_network::network_of_client_at;
use crate::scope::Actor;

/// For how long refusals of one kind are gathered, in seconds.
const WINDOW_SECONDS: i64 = 60;

/// How many kinds of refusals are told apart at the same time.
const MAX_KINDS: usize = 10_000;

/// How many of those are of one org. All others of the org become one kind, so that its members leave room for other
/// orgs.
const MAX_KINDS_PER_ORG: usize = 1000;

/// How many kinds of refusals of one source are told apart at the same time. All others become one kind, so that
/// who varies what is asked for gains nothing.
const MAX_KINDS_PER_SOURCE: usize = 20;

/// One refusal, as it was reported.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The org whose log it belongs to.
    pub(super) org: OrgId,
    /// Who was refused.
    pub(super) actor: Actor,
    /// The request.
    pub(super) request: RequestContext,
    /// What it was about.
    pub(super) target: AccessTarget,
    /// Why it was refused.
    pub(super) reason: String,
    /// What was refused.
    pub(super) what: What,
}

/// What was refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// A request of somebody who is known.
    Denied {
        /// Its method.
        method: String,
        /// Its path, with parameters in braces.
        route: String,
    },
    /// A log-in.
    LoginFailed,
    /// A token.
    TokenRefused,
}

/// Where refusals come from: a known actor, a client's network, or those of an org that are not told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Actor(OrgId, UserId),
    Client(OrgId, IpAddr),
    Org(OrgId),
}

/// Refusals with the same kind are one entry. `None` gathers those that are not told apart.
type Kind = (Source, Option<(What, AccessTarget, String)>);

/// A refusal to be written down, with how often and since when.
pub(super) struct Entry {
    pub(super) attempt: Attempt,
    pub(super) refusal: Refusal,
}

/// Refusals of one kind within a window of time.
struct Window {
    ends: Timestamp,
    /// Those since the last entry was written: the last of them, how many, and when the first came.
    pending: Option<(Attempt, i64, Timestamp)>,
}

/// The kinds of refusals of the last minute.
#[derive(Default)]
pub(super) struct Folds {
    windows: HashMap<Kind, Window>,
    kinds_by_source: HashMap<Source, usize>,
    kinds_by_org: HashMap<OrgId, usize>,
}

impl Folds {
    /// Takes a refusal, and gives it back if it is to be written down at once. `Err` if there are too many kinds.
    pub(super) fn take(&mut self, mut attempt: Attempt, now: Timestamp) -> Result<Option<Entry>, ()> {
        let kind = self.kind_of(&attempt);
        if kind.1.is_none() {
            attempt.target.uid.clear();
            "various requests".clone_into(&mut attempt.reason);
        }
        if let Some(window) = self.windows.get_mut(&kind) {
            let (count, since) =
                window.pending.as_ref().map_or((0, now), |(_, count, since)| (*count, *since));
            window.pending = Some((attempt, count + 1, since));
            return Ok(None);
        }
        if self.windows.len() >= MAX_KINDS {
            return Err(());
        }
        *self.kinds_by_source.entry(kind.0).or_default() += 1;
        *self.kinds_by_org.entry(attempt.org).or_default() += 1;
        self.windows.insert(kind, Window { ends: now.plus_seconds(WINDOW_SECONDS), pending: None });
        Ok(Some(entry(attempt, 1, now)))
    }

    /// The kind of a refusal: that of its own, or one that it shares if its source or its org has too many.
    fn kind_of(&self, attempt: &Attempt) -> Kind {
        let source = source_of(attempt);
        let own = (source, Some((attempt.what.clone(), attempt.target.clone(), attempt.reason.clone())));
        if self.windows.contains_key(&own) {
            return own;
        }
        let of_source = (source, None);
        let kinds = self.kinds_by_org.get(&attempt.org).copied().unwrap_or_default();
        if kinds >= share_of(attempt.org) && !self.windows.contains_key(&of_source) {
            return (Source::Org(attempt.org), None);
        }
        let kinds = self.kinds_by_source.get(&source).copied().unwrap_or_default();
        if kinds >= MAX_KINDS_PER_SOURCE { of_source } else { own }
    }

    /// The entries of windows that have ended by now. A window in which something came begins again.
    pub(super) fn ended(&mut self, now: Timestamp) -> Vec<Entry> {
        let mut entries = Vec::new();
        let Self { windows, kinds_by_source, kinds_by_org } = self;
        windows.retain(|(source, _), window| {
            if window.ends > now {
                return true;
            }
            if let Some((attempt, count, since)) = window.pending.take() {
                entries.push(entry(attempt, count, since));
                window.ends = now.plus_seconds(WINDOW_SECONDS);
                return true;
            }
            remove_one(kinds_by_source, *source);
            remove_one(kinds_by_org, source.org());
            false
        });
        entries
    }

    /// The entries of all windows.
    pub(super) fn all(&mut self) -> Vec<Entry> {
        self.ended(Timestamp(i64::MAX / 2))
    }
}

impl Source {
    fn org(self) -> OrgId {
        match self {
            Self::Actor(org, _) | Self::Client(org, _) | Self::Org(org) => org,
        }
    }
}

fn source_of(attempt: &Attempt) -> Source {
    if attempt.actor.user_id == ANONYMOUS {
        Source::Client(attempt.org, network_of_client_at(&attempt.request.ip))
    } else {
        Source::Actor(attempt.org, attempt.actor.user_id)
    }
}

/// How many kinds an org may have. Those of the server, where nobody is known yet, have half of all.
fn share_of(org: OrgId) -> usize {
    if org == OrgId::SERVER { MAX_KINDS / 2 } else { MAX_KINDS_PER_ORG }
}

fn remove_one<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let hash_map::Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

fn entry(attempt: Attempt, count: i64, since: Timestamp) -> Entry {
    let refusal = Refusal { reason: attempt.reason.clone(), count, since };
    Entry { attempt, refusal }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(user: i64, uid: &str) -> Attempt {
        Attempt {
            org: OrgId(1),
            actor: Actor { user_id: UserId(user), ..Actor::default() },
            request: RequestContext::default(),
            target: AccessTarget { kind: "dashboard".into(), uid: uid.into() },
            reason: "no rights".into(),
            what: What::Denied { method: "GET".into(), route: "/".into() },
        }
    }

    fn counts(entries: Vec<Entry>) -> Vec<(String, i64)> {
        let mut counts: Vec<_> =
            entries.into_iter().map(|entry| (entry.attempt.target.uid, entry.refusal.count)).collect();
        counts.sort();
        counts
    }

    #[test]
    fn the_first_is_written_at_once_and_repetitions_are_counted() {
        let mut folds = Folds::default();
        let at = |second: i64| Timestamp(second * 1_000_000);
        assert_eq!(folds.take(denied(1, "cpu"), at(0)).unwrap().unwrap().refusal.count, 1);
        for second in 1..=5 {
            assert!(folds.take(denied(1, "cpu"), at(second)).unwrap().is_none());
        }
        assert!(folds.take(denied(2, "cpu"), at(6)).unwrap().is_some());
        assert!(folds.ended(at(59)).is_empty());
        let ended = folds.ended(at(60));
        assert_eq!(ended[0].refusal.since, at(1));
        assert_eq!(counts(ended), [("cpu".to_owned(), 5)]);
        // A window in which something came goes on; one in which nothing came ends.
        assert!(folds.take(denied(1, "cpu"), at(61)).unwrap().is_none());
        assert_eq!(counts(folds.ended(at(120))), [("cpu".to_owned(), 1)]);
        assert!(folds.ended(at(180)).is_empty());
        assert!(folds.windows.is_empty() && folds.kinds_by_source.is_empty());
    }

    #[test]
    fn who_varies_the_target_is_folded_too() {
        let mut folds = Folds::default();
        let now = Timestamp(0);
        let written: usize = (0..1000)
            .filter(|number| folds.take(denied(1, &number.to_string()), now).unwrap().is_some())
            .count();
        assert_eq!(written, MAX_KINDS_PER_SOURCE + 1);
        assert_eq!(counts(folds.all()), [(String::new(), 979)]);
        assert!(folds.take(denied(2, "cpu"), now).unwrap().is_some());
    }

    fn of_org(org: i64, user: i64) -> Attempt {
        Attempt { org: OrgId(org), ..denied(user, "cpu") }
    }

    #[test]
    fn an_org_leaves_room_for_others() {
        let mut folds = Folds::default();
        let share = i64::try_from(MAX_KINDS_PER_ORG).unwrap();
        let written =
            (1..=share + 5).filter(|user| folds.take(of_org(1, *user), Timestamp(0)).unwrap().is_some());
        assert_eq!(written.count(), MAX_KINDS_PER_ORG + 1);
        assert!(folds.take(of_org(2, 1), Timestamp(0)).unwrap().is_some());
        assert_eq!(counts(folds.all()), [(String::new(), 4)]);
        assert!(folds.ended(Timestamp(i64::MAX)).is_empty());
        assert!(folds.kinds_by_source.is_empty() && folds.kinds_by_org.is_empty());
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let mut folds = Folds::default();
        for host in 1..=1000 {
            let mut attempt = denied(0, &host.to_string());
            attempt.actor.user_id = ANONYMOUS;
            attempt.request.ip = format!("2001:db8::{host:x}");
            folds.take(attempt, Timestamp(0)).unwrap();
        }
        assert_eq!(folds.windows.len(), MAX_KINDS_PER_SOURCE + 1);
    }

    #[test]
    fn the_number_of_kinds_is_bounded() {
        let mut folds = Folds::default();
        let refused = (0..10_005)
            .filter(|number| folds.take(of_org(number / 500, number % 500), Timestamp(0)).is_err());
        assert_eq!(refused.count(), 5);
    }
}
