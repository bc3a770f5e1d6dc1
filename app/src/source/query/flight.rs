//! One call for identical queries that are sent at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::source::backend::{Query, QueryResults, SourceContext};
use crate::source::room::AnswerShare;

/// The key of a call, equal for identical calls.
pub(super) type FlightKey = [u8; 32];

/// The results of a call, which several requests can share.
pub(super) struct Answered {
    pub(super) results: QueryResults,
    /// The memory of the results, and of their text.
    pub(super) share: Arc<AnswerShare>,
    /// The response to a request without other queries, once it was written.
    pub(super) text: OnceCell<Bytes>,
}

impl Answered {
    pub(super) fn new(results: QueryResults, share: Arc<AnswerShare>) -> Self {
        Self { results, share, text: OnceCell::new() }
    }
}

type Answers = Arc<Answered>;
type Call = BoxFuture<'static, Answers>;

/// The number of calls from which ended ones are removed.
const TIDY_AT: usize = 256;

/// The running calls. Each is cancelled when no request waits for it any more.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<FlightKey, WeakShared<Call>>>);

impl Flights {
    /// Waits for the running call with the same key, or runs this one.
    pub(super) async fn join(
        &self,
        key: FlightKey,
        call: impl Future<Output = Answered> + Send + 'static,
    ) -> Answers {
        self.shared(key, call).await
    }

    fn shared(&self, key: FlightKey, call: impl Future<Output = Answered> + Send + 'static) -> Shared<Call> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A call that has ended has an earlier result: new data may have arrived since.
        let under_way = flights.get(&key).and_then(WeakShared::upgrade).filter(|call| call.peek().is_none());
        if let Some(call) = under_way {
            return call;
        }
        if flights.len() >= TIDY_AT {
            flights.retain(|_, call| call.upgrade().is_some());
        }
        let shared = call.map(Arc::new).boxed().shared();
        if let Some(weak) = shared.downgrade() {
            flights.insert(key, weak);
        }
        shared
    }
}

/// The key of a call: all who may query the source get the same results, unless the caller or their credentials are
/// disclosed to it.
pub(super) fn key(context: &SourceContext, queries: &[Query]) -> FlightKey {
    let mut hash = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    };
    let source = &context.source;
    for number in [source.org.0, source.id, source.version] {
        add(&number.to_le_bytes());
    }
    add(context.user.as_ref().map(|user| user.login.as_bytes()).unwrap_or_default());
    for (name, value) in &context.headers {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    for query in queries {
        for number in [query.range.from_ms, query.range.to_ms, query.interval_ms, query.max_data_points] {
            add(&number.to_le_bytes());
        }
        add(query.ref_id.as_bytes());
        // A value that was parsed from JSON can be serialized.
        add(&serde_json::to_vec(&*query.model).unwrap_or_default());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use kymograph_domain::OrgId;

    use super::*;

    fn answered() -> Answered {
        let results = BTreeMap::from([("A".to_owned(), Ok(Vec::new()))]);
        Answered::new(results, Arc::new(AnswerShare::alone(OrgId(1))))
    }

    fn call(calls: &Arc<AtomicUsize>) -> impl Future<Output = Answered> + Send + 'static {
        let calls = calls.clone();
        async move {
            calls.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
            answered()
        }
    }

    #[tokio::test]
    async fn the_same_at_once_is_one_call_and_later_another() {
        let (flights, calls) = (Flights::default(), Arc::default());
        let asked = (0..32).map(|_| flights.join([1; 32], call(&calls)));
        let answers = futures_util::future::join_all(asked).await;
        assert!(answers.iter().all(|answer| answer.results.contains_key("A")));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        flights.join([1; 32], call(&calls)).await;
        flights.join([2; 32], call(&calls)).await;
        assert_eq!(calls.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_call_ends_when_nobody_waits_for_it() {
        let (flights, calls) = (Flights::default(), Arc::default());
        let waits = Arc::new(());
        let held = waits.clone();
        let endless = async move {
            std::future::pending::<()>().await;
            drop(held);
            answered()
        };
        let waiting = tokio::time::timeout(Duration::from_millis(50), flights.join([1; 32], endless));
        assert!(waiting.await.is_err() && Arc::strong_count(&waits) == 1);
        flights.join([1; 32], call(&calls)).await;
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}
