//! A queue with turns by client address, so that a flood from one address delays each other one by a single place.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kymograph_app::kernel::client_network::network_of_client_at;
use tokio::sync::oneshot;

/// The maximum number of waiting requests; more are rejected.
pub(crate) const MAX_WAITING: usize = 256;

/// Limits concurrency. Waiting requests are served by address in turn, and within an address in order. If the queue is
/// full, the last request of the address with the most gives way to one with fewer.
pub(super) struct FairQueue(Arc<Mutex<State>>);

struct State {
    free: usize,
    waiting: usize,
    /// The waiting addresses, in the order of their turns.
    turns: VecDeque<IpAddr>,
    by_address: HashMap<IpAddr, VecDeque<oneshot::Sender<Place>>>,
}

/// A permit, passed on when it is dropped.
pub(super) struct Place {
    queue: Option<Arc<Mutex<State>>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FairQueue {
    /// A queue with this concurrency.
    pub(super) fn new(places: usize) -> Self {
        let (turns, by_address) = (VecDeque::new(), HashMap::new());
        Self(Arc::new(Mutex::new(State { free: places, waiting: 0, turns, by_address })))
    }

    /// Waits for a permit; `None` if the queue is full.
    pub(super) async fn enter(&self, ip: &str) -> Option<Place> {
        let receiver = {
            let mut state = lock(&self.0);
            if state.free > 0 {
                state.free -= 1;
                return Some(Place { queue: Some(self.0.clone()) });
            }
            state.enqueue(network_of_client_at(ip))?
        };
        receiver.await.ok()
    }
}

impl State {
    fn enqueue(&mut self, address: IpAddr) -> Option<oneshot::Receiver<Place>> {
        if self.waiting >= MAX_WAITING {
            self.remove_cancelled();
        }
        if self.waiting >= MAX_WAITING && !self.displace_for(address) {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        let queue = self.by_address.entry(address).or_default();
        if queue.is_empty() {
            self.turns.push_back(address);
        }
        queue.push_back(sender);
        self.waiting += 1;
        Some(receiver)
    }

    fn remove_cancelled(&mut self) {
        self.by_address.retain(|_, queue| {
            queue.retain(|sender| !sender.is_closed());
            !queue.is_empty()
        });
        self.turns.retain(|address| self.by_address.contains_key(address));
        self.waiting = self.by_address.values().map(VecDeque::len).sum();
    }

    /// Rejects the last request of the address with the most, if the new one's has fewer.
    fn displace_for(&mut self, address: IpAddr) -> bool {
        let own = self.by_address.get(&address).map_or(0, VecDeque::len);
        let longest = self.by_address.values_mut().max_by_key(|queue| queue.len());
        let Some(longest) = longest.filter(|queue| queue.len() > own + 1) else { return false };
        longest.pop_back();
        self.waiting -= 1;
        true
    }

    /// The next request in turn. Without one the permit becomes free.
    fn next(&mut self) -> Option<oneshot::Sender<Place>> {
        while let Some(address) = self.turns.pop_front() {
            let Some(queue) = self.by_address.get_mut(&address) else { continue };
            let sender = queue.pop_front();
            if queue.is_empty() {
                self.by_address.remove(&address);
            } else {
                self.turns.push_back(address);
            }
            if let Some(sender) = sender {
                self.waiting -= 1;
                return Some(sender);
            }
        }
        self.free += 1;
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        while let Some(queue) = self.queue.take() {
            let Some(next) = lock(&queue).next() else { return };
            // A request that stopped waiting returns the permit, for the next one.
            if let Err(mut unwanted) = next.send(Place { queue: Some(queue) }) {
                self.queue = unwanted.queue.take();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::task::JoinHandle;

    use super::*;

    /// A waiting request that reports its name when admitted.
    fn waiter(queue: &Arc<FairQueue>, ip: &str, order: &Arc<Mutex<Vec<String>>>) -> JoinHandle<bool> {
        let (queue, ip, order) = (queue.clone(), ip.to_owned(), order.clone());
        tokio::spawn(async move {
            let place = queue.enter(&ip).await;
            order.lock().unwrap().push(ip);
            place.is_some()
        })
    }

    /// Waits until this many requests wait.
    async fn until_waiting(queue: &FairQueue, count: usize) {
        while lock(&queue.0).waiting < count {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn addresses_take_turns() {
        let (queue, order) = (Arc::new(FairQueue::new(1)), Arc::default());
        let busy = queue.enter("192.0.2.0").await.unwrap();
        let mut waiters = Vec::new();
        for (count, host) in [1, 1, 1, 2, 3].into_iter().enumerate() {
            waiters.push(waiter(&queue, &format!("192.0.2.{host}"), &order));
            until_waiting(&queue, count + 1).await;
        }
        drop(busy);
        for waiter in waiters {
            assert!(waiter.await.unwrap());
        }
        let turns = [1, 2, 3, 1, 1].map(|host| format!("192.0.2.{host}"));
        assert_eq!(*order.lock().unwrap(), turns);
        assert!(queue.enter("192.0.2.4").now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_flood_gives_way_to_others() {
        let (queue, order) = (Arc::new(FairQueue::new(1)), Arc::default());
        let busy = queue.enter("192.0.2.0").await.unwrap();
        let flood: Vec<_> = (0..MAX_WAITING).map(|_| waiter(&queue, "192.0.2.1", &order)).collect();
        until_waiting(&queue, MAX_WAITING).await;
        assert!(queue.enter("192.0.2.1").await.is_none(), "the queue is full");
        let other = waiter(&queue, "192.0.2.2", &order);
        while !lock(&queue.0).by_address.contains_key(&network_of_client_at("192.0.2.2")) {
            tokio::task::yield_now().await;
        }
        drop(busy);
        assert!(other.await.unwrap());
        let mut turned_away = 0;
        for waiter in flood {
            turned_away += usize::from(!waiter.await.unwrap());
        }
        assert_eq!(turned_away, 1);
    }

    #[tokio::test]
    async fn who_gives_up_keeps_no_place() {
        let (queue, order) = (Arc::new(FairQueue::new(1)), Arc::default());
        let busy = queue.enter("192.0.2.0").await.unwrap();
        let gone = waiter(&queue, "192.0.2.1", &order);
        until_waiting(&queue, 1).await;
        gone.abort();
        assert!(gone.await.is_err());
        drop(busy);
        let next = tokio::time::timeout(Duration::from_secs(5), queue.enter("192.0.2.2")).await;
        assert!(next.unwrap().is_some());
    }
}
