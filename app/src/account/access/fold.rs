//! Combines repeated attempts, which are refusals and queries, into one entry that counts them.

use std::collections::{HashMap, hash_map};
use std::hash::Hash;
use std::net::IpAddr;

use kymograph_domain::account::access::{AccessTarget, Refusal};
use kymograph_domain::{OrgId, Timestamp, UserId};

use crate::RequestContext;
use crate::kernel::client_network::network_of_client_at;
use crate::kernel::scope::Actor;

/// The time within which attempts of one kind are combined, in seconds.
const WINDOW_SECONDS: i64 = 60;

/// The maximum number of kinds of attempts that are distinguished concurrently: of all actors, of all addresses, of all
/// accounts under attack, and of all who query, with a separate limit for each of these classes.
pub(crate) const MAX_KINDS: usize = 10_000;

/// The maximum number of these kinds in one org. All others of the org are one kind, so that its members leave room for
/// other orgs.
pub(crate) const MAX_KINDS_PER_ORG: usize = 1000;

/// The maximum number of kinds of refusals of one source that are distinguished concurrently. All others are one kind,
/// so that a client gains nothing by varying its requests.
pub(crate) const MAX_KINDS_PER_SOURCE: usize = 20;

/// The maximum number of queries of one actor that are distinguished concurrently. All others are one kind. A member can
/// look at many panels within a minute.
pub(crate) const MAX_QUERIES_PER_ACTOR: usize = 200;

/// A reported refusal or query.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// The org whose log it belongs to.
    pub(super) org: OrgId,
    /// The actor.
    pub(super) actor: Actor,
    /// The request.
    pub(super) request: RequestContext,
    /// The object that the request was for.
    pub(super) target: AccessTarget,
    /// The reason for the refusal; empty for a query.
    pub(super) reason: String,
    /// The action.
    pub(super) what: What,
}

/// The action.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// A request, authenticated or without credentials.
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
    /// A query to a data source, which was not refused.
    Queried {
        /// Its text, shortened.
        query: String,
    },
}

/// The source that attempts are counted for: an authenticated actor, the network of a client, or the account under
/// attack. Guesses at one account are counted for the account, from wherever they come, and independently of other
/// refusals from there; so are the queries of an actor. The attempts of an org with too many kinds are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Source {
    Actor(OrgId, UserId),
    Client(OrgId, IpAddr),
    Account(OrgId, AccessTarget),
    Querier(OrgId, UserId),
    Org(OrgId, Class),
}

/// The number of classes.
pub(super) const CLASSES: usize = 4;

/// The sources that share a limit on the number of kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Class {
    Actors,
    Clients,
    Accounts,
    Queriers,
}

/// Attempts of the same kind share an entry. `None` combines those that are not distinguished.
type Kind = (Source, Option<(What, AccessTarget, String, Option<IpAddr>)>);

/// An attempt to be recorded, with its count and the time of the first one.
pub(super) struct Entry {
    pub(super) attempt: Attempt,
    pub(super) refusal: Refusal,
}

/// Attempts of one kind within a window of time.
struct Window {
    ends: Timestamp,
    /// The attempts since the last recorded entry: the last one, their number, and the time of the first one.
    pending: Option<(Attempt, i64, Timestamp)>,
}

/// The kinds of attempts of the last minute.
#[derive(Default)]
pub(super) struct Folds {
    windows: HashMap<Kind, Window>,
    kinds_by_source: HashMap<Source, usize>,
    /// The number of kinds of a class, and of those in an org.
    kinds_by_class: HashMap<Class, usize>,
    kinds_by_org: HashMap<(OrgId, Class), usize>,
}

impl Folds {
    /// Takes an attempt, and returns it if it is to be recorded at once. `Err` if there are too many kinds.
    pub(super) fn take(&mut self, mut attempt: Attempt, now: Timestamp) -> Result<Option<Entry>, ()> {
        let kind = self.kind_of(&attempt);
        if kind.1.is_none() {
            attempt.generalize(&kind.0);
        }
        if let Some(window) = self.windows.get_mut(&kind) {
            let (count, since) =
                window.pending.as_ref().map_or((0, now), |(_, count, since)| (*count, *since));
            window.pending = Some((attempt, count + 1, since));
            return Ok(None);
        }
        let (org, class) = kind.0.org_and_class();
        if self.kinds_by_class.get(&class).is_some_and(|kinds| *kinds >= MAX_KINDS) {
            return Err(());
        }
        increment(&mut self.kinds_by_class, class);
        increment(&mut self.kinds_by_org, (org, class));
        increment(&mut self.kinds_by_source, kind.0.clone());
        self.windows.insert(kind, Window { ends: now.plus_seconds(WINDOW_SECONDS), pending: None });
        Ok(Some(entry(attempt, 1, now)))
    }

    /// The kind of an attempt: its own, or a shared one if its source or its org has too many.
    fn kind_of(&self, attempt: &Attempt) -> Kind {
        let source = source_of(attempt);
        // Attempts on an account from several networks are distinguished, within the limits.
        let from = match &source {
            Source::Account(..) => Some(network_of_client_at(&attempt.request.ip)),
            _ => None,
        };
        let full = (attempt.what.clone(), attempt.target.clone(), attempt.reason.clone(), from);
        let own = (source.clone(), Some(full));
        if self.windows.contains_key(&own) {
            return own;
        }
        let (org, class) = source.org_and_class();
        let of_source = (source, None);
        let kinds = self.kinds_by_org.get(&(org, class)).copied().unwrap_or_default();
        if kinds >= share_of(org) && !self.windows.contains_key(&of_source) {
            return (Source::Org(org, class), None);
        }
        let kinds = self.kinds_by_source.get(&of_source.0).copied().unwrap_or_default();
        if kinds >= class.kinds_per_source() { of_source } else { own }
    }

    /// The entries of windows that have ended. A window with attempts starts again.
    pub(super) fn ended(&mut self, now: Timestamp) -> Vec<Entry> {
        let mut entries = Vec::new();
        let Self { windows, kinds_by_source, kinds_by_class, kinds_by_org } = self;
        windows.retain(|(source, _), window| {
            if window.ends > now {
                return true;
            }
            if let Some((attempt, count, since)) = window.pending.take() {
                entries.push(entry(attempt, count, since));
                window.ends = now.plus_seconds(WINDOW_SECONDS);
                return true;
            }
            let (org, class) = source.org_and_class();
            decrement(kinds_by_source, source.clone());
            decrement(kinds_by_class, class);
            decrement(kinds_by_org, (org, class));
            false
        });
        entries
    }

    /// The entries of all windows.
    pub(super) fn all(&mut self) -> Vec<Entry> {
        self.ended(Timestamp(i64::MAX / 2))
    }
}

impl Attempt {
    /// Removes what distinguishes it from other attempts of a source that has too many kinds.
    fn generalize(&mut self, source: &Source) {
        if matches!(source, Source::Account(..)) {
            "various attempts".clone_into(&mut self.reason);
            return;
        }
        self.target.uid.clear();
        if let What::Queried { query } = &mut self.what {
            "various queries".clone_into(query);
        } else {
            "various requests".clone_into(&mut self.reason);
        }
    }
}

impl Class {
    /// The maximum number of kinds of a source.
    fn kinds_per_source(self) -> usize {
        if self == Self::Queriers { MAX_QUERIES_PER_ACTOR } else { MAX_KINDS_PER_SOURCE }
    }
}

impl Source {
    fn org_and_class(&self) -> (OrgId, Class) {
        match *self {
            Self::Actor(org, _) => (org, Class::Actors),
            Self::Client(org, _) => (org, Class::Clients),
            Self::Account(org, _) => (org, Class::Accounts),
            Self::Querier(org, _) => (org, Class::Queriers),
            Self::Org(org, class) => (org, class),
        }
    }
}

fn source_of(attempt: &Attempt) -> Source {
    let is_of_account = matches!(attempt.what, What::LoginFailed | What::TokenRefused);
    if is_of_account && !attempt.target.uid.is_empty() {
        Source::Account(attempt.org, attempt.target.clone())
    } else if matches!(attempt.what, What::Queried { .. }) {
        Source::Querier(attempt.org, attempt.actor.user_id)
    } else if attempt.actor.user_id == UserId::ANONYMOUS {
        Source::Client(attempt.org, network_of_client_at(&attempt.request.ip))
    } else {
        Source::Actor(attempt.org, attempt.actor.user_id)
    }
}

/// The maximum number of kinds in an org. The server, for callers that are not authenticated, has half of all.
fn share_of(org: OrgId) -> usize {
    if org == OrgId::SERVER { MAX_KINDS / 2 } else { MAX_KINDS_PER_ORG }
}

fn increment<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    *counts.entry(key).or_default() += 1;
}

fn decrement<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
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
        // A window with refusals continues; one without ends.
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
    fn queries_are_counted_apart_from_refusals() {
        let mut folds = Folds::default();
        let queried = |number: usize| Attempt {
            reason: String::new(),
            what: What::Queried { query: format!("query {number}") },
            ..denied(1, "prom")
        };
        let now = Timestamp(0);
        let written: usize =
            (0..300).filter(|number| folds.take(queried(*number), now).unwrap().is_some()).count();
        assert_eq!(written, MAX_QUERIES_PER_ACTOR + 1);
        assert!(folds.take(queried(7), now).unwrap().is_none());
        assert!(folds.take(denied(1, "cpu"), now).unwrap().is_some());
        let mut rest: Vec<_> =
            folds.all().into_iter().map(|entry| (entry.attempt, entry.refusal.count)).collect();
        rest.sort_by_key(|(_, count)| *count);
        assert_eq!((rest.len(), rest[0].1, rest[1].1), (2, 1, 99));
        assert_eq!(rest[0].0.what, What::Queried { query: "query 7".into() });
        assert_eq!(rest[1].0.what, What::Queried { query: "various queries".into() });
        assert_eq!((rest[1].0.target.uid.as_str(), rest[1].0.reason.as_str()), ("", ""));
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let mut folds = Folds::default();
        for host in 1..=1000 {
            let mut attempt = denied(0, &host.to_string());
            attempt.actor.user_id = UserId::ANONYMOUS;
            attempt.request.ip = format!("2001:db8::{host:x}");
            folds.take(attempt, Timestamp(0)).unwrap();
        }
        assert_eq!(folds.windows.len(), MAX_KINDS_PER_SOURCE + 1);
    }

    fn failed(user: &str, reason: &str, ip: &str) -> Attempt {
        Attempt {
            actor: Actor { user_id: UserId::ANONYMOUS, ..Actor::default() },
            request: RequestContext { ip: ip.into(), ..RequestContext::default() },
            target: AccessTarget { kind: "user".into(), uid: user.into() },
            reason: reason.into(),
            what: What::LoginFailed,
            ..denied(0, "")
        }
    }

    #[test]
    fn noise_does_not_hide_guesses_at_one_account() {
        let mut folds = Folds::default();
        let now = Timestamp(0);
        for noise in 0..100 {
            folds.take(failed("", &format!("noise {noise}"), "10.0.0.1"), now).unwrap();
        }
        let first = folds.take(failed("5", "wrong password", "10.0.0.1"), now).unwrap().unwrap();
        assert_eq!((first.attempt.target.uid.as_str(), first.refusal.count), ("5", 1));
        for _ in 0..3 {
            assert!(folds.take(failed("5", "wrong password", "10.0.0.1"), now).unwrap().is_none());
        }
        assert!(counts(folds.all()).contains(&("5".to_owned(), 3)));
        // Attempts count for the account, from however many addresses they come.
        let mut folds = Folds::default();
        let mut written = 0;
        for address in 0..1000 {
            let attempt = failed("5", "wrong password", &format!("10.0.{}.{}", address / 250, address % 250));
            written += i64::from(folds.take(attempt, now).unwrap().is_some());
        }
        let rest = counts(folds.all());
        assert_eq!(written, i64::try_from(MAX_KINDS_PER_SOURCE).unwrap() + 1);
        assert_eq!(rest, [("5".to_owned(), 1000 - written)]);
    }

    #[test]
    fn addresses_do_not_use_up_what_accounts_have() {
        let mut folds = Folds::default();
        let now = Timestamp(0);
        let unknown = |number: i64| {
            let ip = format!("10.0.{}.{}", number / 250, number % 250);
            Attempt { org: OrgId(number / 500), ..failed("", "unknown login", &ip) }
        };
        let most = i64::try_from(MAX_KINDS).unwrap();
        for number in 0..most {
            folds.take(unknown(number), now).unwrap();
        }
        assert!(folds.take(unknown(most), now).is_err());
        assert!(folds.take(failed("5", "wrong password", "10.1.0.1"), now).unwrap().is_some());
        assert!(folds.take(denied(5, "cpu"), now).unwrap().is_some());
        folds.ended(Timestamp(i64::MAX));
        assert!(folds.windows.is_empty() && folds.kinds_by_class.is_empty());
    }

    #[test]
    fn the_number_of_kinds_is_bounded() {
        let mut folds = Folds::default();
        let refused = (0..10_005)
            .filter(|number| folds.take(of_org(number / 500, number % 500), Timestamp(0)).is_err());
        assert_eq!(refused.count(), 5);
    }
}
