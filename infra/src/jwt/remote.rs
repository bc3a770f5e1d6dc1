//! A cached key set of a URL, refreshed when it expires and when a token has an unknown key id.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kymograph_app::Result;
use kymograph_app::account::identity::JwtError;

use super::fetch::{Fetcher, JwksEndpoint};
use super::key_set::KeySet;

/// For how long expired keys are used if they cannot be refreshed.
pub(crate) const GRACE: Duration = Duration::from_secs(60 * 60);

/// The pause after a failed fetch.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The pause after a fetch without the requested id, so that made-up ids do not cause requests.
pub(crate) const UNKNOWN_INTERVAL: Duration = Duration::from_secs(2);

/// The keys of a URL.
pub(super) struct RemoteKeys {
    fetcher: Fetcher,
    lifetime: Duration,
    state: Mutex<State>,
    /// Locked during a fetch.
    flight: Arc<tokio::sync::Mutex<()>>,
}

/// The cached keys.
#[derive(Default)]
struct State {
    keys: Option<Fetched>,
    /// The time of the last fetch, if it failed.
    failed: Option<Instant>,
    /// The time of the last fetch that did not contain the requested id.
    missed: Option<Instant>,
    /// The number of fetches.
    attempts: u64,
}

struct Fetched {
    set: Arc<KeySet>,
    at: Instant,
}

/// The decision for a token.
enum Plan {
    /// Verify it with these keys.
    Use(Arc<KeySet>),
    /// Verify it with these keys, and refresh them in the background.
    UseAndFetch(Arc<KeySet>),
    /// Fetch the keys first.
    Fetch,
    /// Refuse it.
    Refuse(JwtError),
}

impl RemoteKeys {
    pub(super) fn try_new(endpoint: &JwksEndpoint) -> Result<Self> {
        Ok(Self {
            fetcher: Fetcher::try_new(endpoint)?,
            lifetime: endpoint.lifetime,
            state: Mutex::default(),
            flight: Arc::default(),
        })
    }

    /// Keys that may contain this id.
    pub(super) async fn keys_for(self: &Arc<Self>, id: &str) -> Result<Arc<KeySet>, JwtError> {
        match self.plan(id) {
            Plan::Use(keys) => return Ok(keys),
            Plan::UseAndFetch(keys) => {
                if let Ok(flight) = self.flight.clone().try_lock_owned() {
                    let this = self.clone();
                    tokio::spawn(async move {
                        this.fetch().await;
                        drop(flight);
                    });
                }
                return Ok(keys);
            }
            Plan::Refuse(error) => return Err(error),
            Plan::Fetch => {}
        }
        self.clone().refresh().await;
        let mut state = self.lock();
        let now = Instant::now();
        match state.current(now, self.lifetime) {
            Some(keys) => {
                if !keys.knows(id) {
                    state.missed = Some(now);
                }
                Ok(keys)
            }
            None => Err(JwtError::Unavailable),
        }
    }

    fn plan(&self, id: &str) -> Plan {
        self.lock().plan(id, Instant::now(), self.lifetime)
    }

    /// Fetches the keys, or waits for a running fetch.
    ///
    /// The fetch is a separate task: an aborted caller must not cancel it for the others.
    pub(super) async fn refresh(self: Arc<Self>) {
        let seen = self.lock().attempts;
        let fetched = tokio::spawn(async move {
            let _flight = self.flight.lock().await;
            if self.lock().attempts == seen {
                self.fetch().await;
            }
        });
        if let Err(error) = fetched.await {
            tracing::error!(%error, "the task that fetches the JWT keys ended");
        }
    }

    async fn fetch(&self) {
        let fetched = self.fetcher.fetch().await.and_then(|json| KeySet::from_jwks(&json));
        let mut state = self.lock();
        state.attempts += 1;
        match fetched {
            Ok(set) => {
                state.keys = Some(Fetched { set: Arc::new(set), at: Instant::now() });
                state.failed = None;
            }
            Err(error) => {
                state.failed = Some(Instant::now());
                let age = state.keys.as_ref().map(|keys| keys.at.elapsed().as_secs());
                tracing::warn!(
                    error,
                    url = self.fetcher.url(),
                    age_seconds = age,
                    "could not fetch the keys for JWTs"
                );
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The keys, unless they are too old even while the provider is unavailable.
    fn current(&self, now: Instant, lifetime: Duration) -> Option<Arc<KeySet>> {
        let keys = self.keys.as_ref()?;
        let age = now.saturating_duration_since(keys.at);
        (age < lifetime.saturating_add(GRACE)).then(|| keys.set.clone())
    }

    fn plan(&self, id: &str, now: Instant, lifetime: Duration) -> Plan {
        let within = |since: Option<Instant>, interval| {
            since.is_some_and(|since| now.saturating_duration_since(since) < interval)
        };
        let may_fetch = !within(self.failed, RETRY_INTERVAL);
        let Some(keys) = self.current(now, lifetime) else {
            return if may_fetch { Plan::Fetch } else { Plan::Refuse(JwtError::Unavailable) };
        };
        let is_fresh = within(self.keys.as_ref().map(|keys| keys.at), lifetime);
        let may_look = may_fetch && !within(self.missed, UNKNOWN_INTERVAL);
        match keys.knows(id) {
            true if is_fresh || !may_fetch => Plan::Use(keys),
            // The last fetch failed: no caller waits for another one as long as the old keys are valid.
            true if self.failed.is_some() => Plan::UseAndFetch(keys),
            false if !may_look => Plan::Refuse(JwtError::Refused("no key has the id that the token names")),
            _ => Plan::Fetch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(600);

    fn known() -> KeySet {
        let jwks = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        KeySet::from_jwks(jwks.as_bytes()).unwrap()
    }

    fn just_before(moment: Instant) -> Instant {
        moment.checked_sub(Duration::from_millis(1)).unwrap()
    }

    fn fetched(at: Instant) -> State {
        State { keys: Some(Fetched { set: Arc::new(known()), at }), ..State::default() }
    }

    fn plan(state: &State, id: &str, now: Instant) -> &'static str {
        match state.plan(id, now, LIFETIME) {
            Plan::Use(_) => "use",
            Plan::UseAndFetch(_) => "use and fetch",
            Plan::Fetch => "fetch",
            Plan::Refuse(JwtError::Refused(_)) => "refuse",
            Plan::Refuse(JwtError::Unavailable) => "unavailable",
        }
    }

    #[test]
    fn keys_are_fetched_when_their_time_is_over() {
        let start = Instant::now();
        assert_eq!(plan(&State::default(), "a", start), "fetch");
        let state = fetched(start);
        assert_eq!(plan(&state, "a", just_before(start + LIFETIME)), "use");
        assert_eq!(plan(&state, "a", start + LIFETIME), "fetch");
    }

    #[test]
    fn an_unknown_id_is_looked_for_once_in_a_while() {
        let start = Instant::now();
        let mut state = fetched(start);
        assert_eq!(plan(&state, "b", start), "fetch");
        state.missed = Some(start);
        assert_eq!(plan(&state, "b", just_before(start + UNKNOWN_INTERVAL)), "refuse");
        assert_eq!(plan(&state, "a", start), "use");
        assert_eq!(plan(&state, "b", start + UNKNOWN_INTERVAL), "fetch");
    }

    #[test]
    fn a_provider_that_is_out_of_reach_is_survived_for_a_while() {
        let start = Instant::now();
        let mut state = fetched(start);
        let over = start + LIFETIME;
        state.failed = Some(over);
        assert_eq!(plan(&state, "a", just_before(over + RETRY_INTERVAL)), "use");
        assert_eq!(plan(&state, "a", over + RETRY_INTERVAL), "use and fetch");
        assert_eq!(plan(&state, "b", over), "refuse");
        let end = over + GRACE;
        state.failed = Some(just_before(end));
        assert_eq!(plan(&state, "a", just_before(end)), "use");
        assert_eq!(plan(&state, "a", end), "unavailable");
        assert_eq!(plan(&state, "a", end + RETRY_INTERVAL), "fetch");
    }
}
