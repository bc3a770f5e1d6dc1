//! The table of all connections: admission, a share for each client, and eviction of idle ones.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::task::AbortHandle;

use super::connection::{Connection, LARGE_ANSWER, Phase};

/// The number of connections beyond the limit that are accepted for health probes.
pub(crate) const RESERVED: usize = 16;
/// The maximum number of evicted connections that still hold their file descriptor.
pub(crate) const MAX_LEAVING: usize = 32;
/// The number of connections that are examined to find one to evict.
const SAMPLE: usize = 256;
/// After how many milliseconds without progress a response counts as stalled.
const STALLED_MS: u64 = 5_000;
/// The same while large responses exceed their budget.
const STALLED_UNDER_PRESSURE_MS: u64 = 200;

/// The admission of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is within the limit.
    Open,
    /// It is beyond the limit, and serves health probes.
    Reserved,
    /// It is closed.
    Refused,
}

/// The state at the arrival of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) admission: Admission,
    /// Whether the limit is reached.
    pub(super) is_full: bool,
    /// Whether the client's share is used up.
    pub(super) is_over_share: bool,
    /// Whether another one was evicted.
    pub(super) has_displaced: bool,
}

/// A client whose connections are counted together; `None` for a trusted proxy.
pub(super) type Client = Option<IpAddr>;

pub(super) struct Slot {
    pub(super) connection: Arc<Connection>,
    task: Option<AbortHandle>,
    client: Client,
    is_leaving: bool,
    /// The bytes read by the client at the last sweep, and its time.
    pub(super) checked: (u64, u64),
}

#[derive(Default)]
pub(super) struct Table {
    max: usize,
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    cursor: usize,
    open: usize,
    reserved: usize,
    leaving: usize,
    by_client: HashMap<IpAddr, usize>,
}

impl Table {
    pub(super) fn new(max: usize) -> Self {
        Self { max, ..Self::default() }
    }

    /// The number of connections, without evicted ones.
    pub(super) fn len(&self) -> usize {
        self.open + self.reserved
    }

    /// Whether so many evicted connections still hold descriptors that no other can be evicted.
    pub(super) fn is_crowded(&self) -> bool {
        self.leaving >= MAX_LEAVING
    }

    /// The share of one client.
    fn share(&self) -> usize {
        self.max.div_ceil(2)
    }

    fn count(&self, client: Client) -> usize {
        client.and_then(|client| self.by_client.get(&client)).copied().unwrap_or_default()
    }

    /// Decides about a new connection, and makes room for it.
    pub(super) fn decide(&mut self, client: Client, now: u64) -> Decision {
        let is_over_share = self.count(client) >= self.share();
        let is_full = self.open >= self.max;
        let mut has_displaced = false;
        let admission = if !is_full && !is_over_share || self.displace(client, is_over_share, now) {
            has_displaced = is_full || is_over_share;
            Admission::Open
        } else if self.reserved < RESERVED || self.displace_reserved(now) {
            Admission::Reserved
        } else {
            Admission::Refused
        };
        Decision { admission, is_full, is_over_share, has_displaced }
    }

    /// Takes a slot.
    pub(super) fn insert(
        &mut self,
        client: Client,
        is_reserved: bool,
        make: impl FnOnce(usize) -> Connection,
    ) -> Arc<Connection> {
        let index = self.free.pop().unwrap_or(self.slots.len());
        let connection = Arc::new(make(index));
        let slot = Slot {
            connection: connection.clone(),
            task: None,
            client,
            is_leaving: false,
            checked: (0, connection.since()),
        };
        match self.slots.get_mut(index) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        *(if is_reserved { &mut self.reserved } else { &mut self.open }) += 1;
        if let Some(client) = client {
            *self.by_client.entry(client).or_default() += 1;
        }
        connection
    }

    /// Sets the task of a connection, unless it has ended already.
    pub(super) fn set_task(&mut self, connection: &Arc<Connection>, task: AbortHandle) {
        if let Some(Some(slot)) = self.slots.get_mut(connection.slot())
            && Arc::ptr_eq(&slot.connection, connection)
        {
            slot.task = Some(task);
        }
    }

    /// Releases a slot.
    pub(super) fn remove(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index).and_then(Option::take) else { return };
        self.free.push(index);
        if slot.is_leaving {
            self.leaving -= 1;
        } else {
            self.uncount(slot.connection.is_reserved(), slot.client);
        }
    }

    fn uncount(&mut self, is_reserved: bool, client: Client) {
        *(if is_reserved { &mut self.reserved } else { &mut self.open }) -= 1;
        if let Some(client) = client
            && let Some(count) = self.by_client.get_mut(&client)
        {
            *count -= 1;
            if *count == 0 {
                self.by_client.remove(&client);
            }
        }
    }

    /// Closes a connection. Its slot is free at once.
    fn close(&mut self, index: usize) -> bool {
        let Some(Some(slot)) = self.slots.get_mut(index) else { return false };
        let Some(task) = slot.task.as_ref().filter(|_| !slot.is_leaving) else { return false };
        if !slot.connection.doom() {
            return false;
        }
        task.abort();
        slot.is_leaving = true;
        let (is_reserved, client) = (slot.connection.is_reserved(), slot.client);
        self.leaving += 1;
        self.uncount(is_reserved, client);
        true
    }

    /// Closes an idle connection to make room for another: the longest idle one of the client with the most
    /// connections. A client that has used up its share displaces one of its own.
    fn displace(&mut self, client: Client, is_of_client: bool, now: u64) -> bool {
        self.displace_one(now, |_, slot| {
            !slot.connection.is_reserved() && (!is_of_client || slot.client == client)
        })
    }

    /// The same among connections with a large buffer, of clients that have at least as many connections as the client
    /// of `other`.
    pub(super) fn displace_buffer(&mut self, other: usize, now: u64) -> bool {
        let Some(Some(slot)) = self.slots.get(other) else { return false };
        let least = self.count(slot.client);
        self.displace_one(now, |table, slot| {
            let is_other = slot.connection.slot() == other;
            !is_other && slot.connection.large_buffer() > 0 && table.count(slot.client) >= least
        })
    }

    fn displace_one(&mut self, now: u64, is_candidate: impl Fn(&Self, &Slot) -> bool) -> bool {
        if self.is_crowded() || self.slots.is_empty() {
            return false;
        }
        let mut found: Option<(usize, u64, usize)> = None;
        for offset in 0..self.slots.len().min(SAMPLE) {
            let index = (self.cursor + offset) % self.slots.len();
            let Some(slot) = &self.slots[index] else { continue };
            if slot.is_leaving || !is_candidate(self, slot) || !may_go(&slot.connection, now) {
                continue;
            }
            let age = now.saturating_sub(slot.connection.since());
            let rank = (self.count(slot.client), age, index);
            if found.is_none_or(|found| (rank.0, rank.1) > (found.0, found.1)) {
                found = Some(rank);
            }
        }
        self.cursor = (self.cursor + SAMPLE) % self.slots.len();
        found.is_some_and(|(_, _, index)| self.close(index))
    }

    /// Closes the oldest idle one of the reserved connections.
    fn displace_reserved(&mut self, now: u64) -> bool {
        if self.is_crowded() {
            return false;
        }
        let oldest = self
            .present()
            .filter(|(_, slot)| slot.connection.is_reserved() && may_go(&slot.connection, now))
            .min_by_key(|(_, slot)| slot.connection.since())
            .map(|(index, _)| index);
        oldest.is_some_and(|index| self.close(index))
    }

    /// Closes a stalled connection: of the client with the most stalled bytes the one blocked for the longest time, so
    /// that many stalled clients do not cost another one its download. Clients below the average keep their
    /// connections, even if no other has been blocked for long enough yet.
    pub(super) fn displace_answer(&mut self, now: u64) -> bool {
        let mut by_client: HashMap<_, u64> = HashMap::new();
        for (_, slot) in self.present().filter(|(_, slot)| slot.connection.answers() > 0) {
            *by_client.entry(slot.client).or_default() += slot.connection.answers();
        }
        let average = by_client.values().sum::<u64>() / (by_client.len() as u64).max(1);
        let held = |slot: &Slot| by_client.get(&slot.client).copied().unwrap_or_default();
        let largest = self
            .present()
            .filter(|(_, slot)| slot.connection.answers() >= LARGE_ANSWER && held(slot) >= average)
            .filter(|(_, slot)| slot.connection.blocked_for(now) >= STALLED_UNDER_PRESSURE_MS)
            .max_by_key(|(_, slot)| (held(slot), slot.connection.blocked_for(now)))
            .map(|(index, _)| index);
        largest.is_some_and(|index| self.close(index))
    }

    /// Closes any idle connection, because there are no file descriptors left.
    pub(super) fn displace_any(&mut self, now: u64) -> bool {
        self.displace(None, false, now)
    }

    fn present(&self) -> impl Iterator<Item = (usize, &Slot)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(index, slot)| Some((index, slot.as_ref().filter(|slot| !slot.is_leaving)?)))
    }

    /// Closes the connections for which a reason is found.
    pub(super) fn sweep<R>(&mut self, mut reason: impl FnMut(&mut Slot) -> Option<R>) -> Vec<R> {
        let mut closed = Vec::new();
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots[index].as_mut().filter(|slot| !slot.is_leaving) else { continue };
            if let Some(reason) = reason(slot)
                && self.close(index)
            {
                closed.push(reason);
            }
        }
        closed
    }
}

/// Whether a connection can be closed without interrupting a body or a response in transfer.
fn may_go(connection: &Connection, now: u64) -> bool {
    match connection.phase() {
        Phase::Head | Phase::Idle | Phase::Closing => true,
        Phase::Receiving => connection.is_slow_to_send(now),
        Phase::Working | Phase::Doomed => false,
        Phase::Answering | Phase::Flushing => connection.blocked_for(now) >= STALLED_MS,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::Registry;

    use super::super::connection::{MAX_SILENCE, MIN_SENT_BYTES_PER_SECOND};
    use super::super::connections::{ConnectionSettings, Connections};
    use super::*;

    const MAX: usize = 8;

    /// A table with connections without tasks.
    struct Fixture {
        table: Table,
        connections: Arc<Connections>,
    }

    impl Fixture {
        fn new() -> Self {
            let settings = ConnectionSettings {
                max_connections: MAX,
                header_timeout: Duration::from_secs(1),
                idle_timeout: Duration::from_secs(1),
                write_timeout: Duration::from_secs(1),
                trusted_proxies: Vec::new(),
                sub_path: String::new(),
            };
            let connections = Arc::new(Connections::try_new(settings, &Registry::new()).unwrap());
            Self { table: Table::new(MAX), connections }
        }

        fn open(&mut self, client: Client, phase: Phase) -> (Decision, Option<Arc<Connection>>) {
            let decision = self.table.decide(client, self.connections.now());
            if decision.admission == Admission::Refused {
                return (decision, None);
            }
            let (is_reserved, connections) =
                (decision.admission == Admission::Reserved, self.connections.clone());
            let make = |slot| Connection::new(connections, slot, client, is_reserved);
            let connection = self.table.insert(client, is_reserved, make);
            let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
            self.table.set_task(&connection, task);
            connection.enter(phase);
            (decision, Some(connection))
        }
    }

    fn address(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    #[tokio::test]
    async fn the_client_with_the_most_makes_room() {
        let mut fixture = Fixture::new();
        let (_, first) = fixture.open(Some(address(1)), Phase::Idle);
        for _ in 1..MAX / 2 {
            assert_eq!(fixture.open(Some(address(1)), Phase::Idle).0.admission, Admission::Open);
        }
        for number in 2..=5 {
            assert!(!fixture.open(Some(address(number)), Phase::Idle).0.is_full);
        }
        let (decision, _) = fixture.open(Some(address(6)), Phase::Working);
        assert!(decision.is_full && decision.has_displaced && decision.admission == Admission::Open);
        assert_eq!((fixture.table.len(), fixture.table.count(Some(address(1)))), (MAX, MAX / 2 - 1));
        assert_eq!(first.unwrap().phase(), Phase::Doomed);
    }

    #[tokio::test]
    async fn a_client_has_half_and_then_displaces_itself() {
        let mut fixture = Fixture::new();
        for _ in 0..MAX / 2 {
            fixture.open(Some(address(1)), Phase::Head);
        }
        let (decision, _) = fixture.open(Some(address(1)), Phase::Working);
        assert!(decision.is_over_share && !decision.is_full && decision.has_displaced);
        assert_eq!(fixture.table.count(Some(address(1))), MAX / 2);
        for _ in 0..MAX / 2 {
            assert!(!fixture.open(Some(address(2)), Phase::Working).0.has_displaced);
        }
    }

    #[tokio::test]
    async fn requests_that_are_worked_on_are_not_broken_off() {
        let mut fixture = Fixture::new();
        for _ in 0..MAX {
            fixture.open(None, Phase::Working);
        }
        for _ in 0..RESERVED {
            assert_eq!(fixture.open(Some(address(1)), Phase::Working).0.admission, Admission::Reserved);
        }
        assert_eq!(fixture.open(Some(address(1)), Phase::Working).0.admission, Admission::Refused);
        let closed = fixture.table.sweep(|_| Some(()));
        assert!(closed.is_empty());
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for_when_others_need_the_connection() {
        let mut fixture = Fixture::new();
        let receiving = |fixture: &mut Fixture| {
            let (_, connection) = fixture.open(None, Phase::Working);
            let connection = connection.unwrap();
            connection.begin_request();
            connection.wait_for_body();
            assert_eq!(connection.phase(), Phase::Receiving);
            connection
        };
        let silence = u64::try_from(MAX_SILENCE.as_millis()).unwrap();
        let connection = receiving(&mut fixture);
        let since = connection.since();
        assert!(!may_go(&connection, since + silence - 1));
        assert!(may_go(&connection, since + silence));
        // A body in transfer is expected to continue.
        assert!(connection.go_on(MIN_SENT_BYTES_PER_SECOND));
        assert!(!may_go(&connection, since + 10 * silence));
        connection.wait_for_body();
        assert!(!may_go(&connection, connection.since() + silence - 1));
        assert!(may_go(&connection, connection.since() + silence));
        assert!(connection.go_on(0) && !connection.doom());
        // An evicted one receives no more of its body.
        let connection = receiving(&mut fixture);
        assert!(connection.doom() && !connection.go_on(1));
        assert_eq!(connection.phase(), Phase::Doomed);
    }

    #[tokio::test]
    async fn byte_by_byte_is_too_slow() {
        let mut fixture = Fixture::new();
        let connection = fixture.open(None, Phase::Working).1.unwrap();
        connection.begin_request();
        connection.wait_for_body();
        let since = connection.since();
        for _ in 0..100 {
            assert!(connection.go_on(1));
            connection.wait_for_body();
        }
        assert!(!connection.is_slow_to_send(since + 50));
        assert!(connection.is_slow_to_send(since + 110));
    }

    #[tokio::test]
    async fn few_are_on_their_way_out_at_the_same_time() {
        let mut fixture = Fixture::new();
        let mut opened = Vec::new();
        for number in 0..MAX + MAX_LEAVING {
            let (decision, connection) = fixture.open(None, Phase::Idle);
            assert_eq!(decision.admission, Admission::Open, "{number}");
            opened.push(connection.unwrap());
        }
        assert!(fixture.table.is_crowded());
        assert_eq!(fixture.open(None, Phase::Idle).0.admission, Admission::Reserved);
        fixture.table.remove(opened[0].slot());
        assert_eq!(fixture.open(None, Phase::Idle).0.admission, Admission::Open);
    }
}
