//! The cache of users, service accounts and sessions.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use cqrs_es::Aggregate;
use kymograph_domain::account::membership::Membership;
use kymograph_domain::account::org::Org;
use kymograph_domain::account::service_account::ServiceAccount;
use kymograph_domain::account::user::User;
use kymograph_domain::{OrgId, StreamId, Timestamp, UserId};
use moka::sync::Cache;

use super::{Identified, IdentifiedAccount, SEEN_INTERVAL_SECONDS, TokenOwner};
use crate::account::login_attempt::WINDOW_SECONDS;
use crate::account::session::{Session, TokenHash};
use crate::kernel::cache::{BeforeFetch, MAX_AGE, ReadCache};
use crate::kernel::change::ChangeListener;
use crate::kernel::feed_health::FeedHealth;

/// The time for which a guess counts. It is the same as for failed log-ins.
const GUESSED_FOR: Duration = Duration::from_secs(WINDOW_SECONDS.unsigned_abs());

/// Caches users, service accounts, sessions and checked passwords. It drops a user, with the user's sessions, at each
/// event on the user or one of its memberships, and a service account at each event on it, so that the next request
/// sees the new state.
pub struct IdentityCache {
    pub(super) users: ReadCache<UserId, Arc<Identified>>,
    sessions: ReadCache<TokenHash, KnownSession>,
    /// Passwords that were correct: a keyed hash of login, password and the client's network, to the user and the
    /// stored hash that the password matched. An entry is invalid once the stored hash has changed.
    pub(super) passwords: Cache<[u8; 32], (UserId, Arc<str>)>,
    /// Keyed hashes of logins and the networks that sent a password for them that is not cached. Until the correct one
    /// comes from there, the cache is not used for them: it would answer guesses without counting them.
    pub(super) guessed: Cache<[u8; 32], ()>,
    /// Makes the keys of `passwords` and `guessed` useless outside this process.
    pub(super) key: [u8; 32],
    pub(super) users_seen: SeenCache<UserId>,
    /// The owners of tokens. They never change, so entries are dropped only for lack of space.
    pub(super) token_owners: ReadCache<TokenHash, TokenOwner>,
    pub(super) accounts: ReadCache<(OrgId, UserId), Arc<IdentifiedAccount>>,
    pub(super) tokens_seen: SeenCache<(OrgId, i64)>,
}

/// A session, and its user, as they were when it was read. It is valid as long as that user is the cached one: events
/// on a user may end sessions, and only the database knows which ones.
#[derive(Clone)]
pub(super) struct KnownSession {
    pub(super) session: Arc<Session>,
    pub(super) user: Arc<Identified>,
}

/// The generations of both caches before a session and its user are fetched.
pub(super) struct BeforeSession {
    users: BeforeFetch,
    sessions: BeforeFetch,
}

/// Caches when activity was last recorded.
pub(super) struct SeenCache<K>(Cache<K, Timestamp>);

impl<K: Hash + Eq + Copy + Send + Sync + 'static> SeenCache<K> {
    fn new() -> Self {
        Self(Cache::builder().max_capacity(50_000).build())
    }

    /// Whether activity was recorded within the last minutes; if not, it counts as recorded now.
    pub(super) fn is_recent(&self, key: &K, now: Timestamp) -> bool {
        let is_recent = self.0.get(key).is_some_and(|seen| seen.plus_seconds(SEEN_INTERVAL_SECONDS) > now);
        if !is_recent {
            self.0.insert(*key, now);
        }
        is_recent
    }
}

impl IdentityCache {
    /// An empty cache, with a random key of 32 bytes, that this feed notifies of changes.
    #[must_use]
    pub fn new(key: [u8; 32], feed: &Arc<FeedHealth>) -> Self {
        // Deleting an org ends all its memberships and service accounts without an event on each.
        let users = ReadCache::with_entries_for(20_000, MAX_AGE)
            .dropped_by::<User, UserId>(|_, id| id)
            .dropped_by::<Membership, UserId>(|_, id| id)
            .outdated_by(&[Org::TYPE], |_, user: &Arc<Identified>, has_changed| {
                user.memberships.iter().any(|membership| has_changed(membership.org))
            });
        let accounts = ReadCache::with_entries_for(20_000, MAX_AGE)
            .dropped_by::<ServiceAccount, UserId>(|org, id| (org, id))
            .outdated_in_org_by(&[Org::TYPE]);
        Self {
            users: users.while_live(feed),
            sessions: ReadCache::with_entries_for(50_000, MAX_AGE).while_live(feed),
            passwords: Cache::builder().max_capacity(20_000).time_to_live(Duration::from_secs(3600)).build(),
            guessed: Cache::builder().max_capacity(100_000).time_to_live(GUESSED_FOR).build(),
            key,
            users_seen: SeenCache::new(),
            token_owners: ReadCache::with_entries(20_000),
            accounts: accounts.while_live(feed),
            tokens_seen: SeenCache::new(),
        }
    }

    /// The session of a token, if there was no event on its user since it was read.
    pub(super) fn session(&self, token: &TokenHash) -> Option<KnownSession> {
        let known = self.sessions.get(token)?;
        let current = self.users.get(&known.session.user_id)?;
        Arc::ptr_eq(&current, &known.user).then_some(known)
    }

    /// Must be called before a session is read from the database; its user is read after it.
    pub(super) fn before_session(&self) -> BeforeSession {
        BeforeSession { users: self.users.before_fetch(), sessions: self.sessions.before_fetch() }
    }

    /// Stores a session, unless its user or itself may have changed since it was read.
    pub(super) fn keep_session(&self, before: &BeforeSession, token: &TokenHash, known: &KnownSession) {
        if !self.users.has_changed(&before.users, &known.session.user_id) {
            self.sessions.keep(&before.sessions, token, known.clone());
        }
    }

    /// Drops the session of a token.
    pub(super) fn forget_token(&self, token: &TokenHash) {
        self.sessions.invalidate(token);
    }

    /// Drops a session by both its tokens.
    pub(super) fn forget_session(&self, session: &Session) {
        self.sessions.invalidate(&session.token);
        self.sessions.invalidate(&session.previous_token);
    }
}

impl ChangeListener for IdentityCache {
    fn streams_changed(&self, org: OrgId, streams: &[StreamId]) {
        self.users.streams_changed(org, streams);
        self.accounts.streams_changed(org, streams);
    }

    fn everything_changed(&self) {
        self.users.everything_changed();
        self.sessions.everything_changed();
        self.accounts.everything_changed();
    }
}
