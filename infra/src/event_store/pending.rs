//! The states that streams of an org will have after the commits in its lane.

use std::collections::HashMap;

use kymograph_app::kernel::event_store::{Append, Fate, StreamState};
use kymograph_domain::{OrgId, StreamId};

use super::prepared::Prepared;

/// The states by stream. Of several commits on a stream, each decided on the previous one, it is that of the last.
#[derive(Default)]
pub(super) struct PendingEnds(HashMap<StreamId, PendingEnd>);

/// The state of a stream if a commit is written.
#[derive(Clone)]
pub(super) struct PendingEnd {
    pub(super) end: StreamState,
    pub(super) fate: Fate,
}

impl PendingEnds {
    /// The state that a stream will have if a pending commit is written.
    pub(super) fn get(&self, stream: &StreamId) -> Option<PendingEnd> {
        self.0.get(stream).filter(|pending| pending.fate.is_open()).cloned()
    }

    /// Whether a commit can be written after the queued and running ones: none that it was decided on has failed, and
    /// it was decided on all that change its streams. Versions alone do not show this: an unwritten one may have been
    /// another commit's.
    pub(super) fn admit(&self, org: OrgId, appends: &[Append], grounds: &[Fate]) -> bool {
        let follows = |append: &Append| {
            let Some(pending) = self.0.get(&append.stream_id).filter(|_| append.org == org) else {
                return true;
            };
            !pending.fate.is_open() || grounds.iter().any(|ground| ground.is_same(&pending.fate))
        };
        !grounds.iter().any(Fate::has_failed) && appends.iter().all(follows)
    }

    /// Adds the states of a newly queued commit. A commit that others must not be decided on hides the states of its
    /// streams.
    pub(super) fn add(&mut self, prepared: &Prepared) {
        let is_ground = prepared.is_ground();
        for append in &prepared.appends {
            if is_ground {
                let end = append.end();
                let pending = PendingEnd { end, fate: prepared.verdict.fate() };
                self.0.insert(append.stream_id.clone(), pending);
            } else {
                self.0.remove(&append.stream_id);
            }
        }
    }

    /// Removes settled commits.
    pub(super) fn forget_settled(&mut self) {
        self.0.retain(|_, pending| pending.fate.is_open());
    }
}

#[cfg(test)]
mod tests {
    use kymograph_app::kernel::event_store::Verdict;
    use kymograph_app::kernel::side_write::{OnFailure, SideWrite};
    use kymograph_app::values;

    use super::super::prepared::tests::{append, prepared, stream};
    use super::*;

    #[test]
    fn a_commit_must_be_decided_on_what_waits_on_its_streams() {
        let mut ends = PendingEnds::default();
        let first = prepared(vec![append("a", 5), append("b", 1)], Vec::new());
        assert!(ends.admit(OrgId(1), &first.appends, &first.grounds));
        ends.add(&first);
        let end = ends.get(&stream("a")).unwrap();
        assert_eq!((end.end.version, &*end.end.state), (6, "a 6"));

        // The expected version is not enough: another commit can lead to the same.
        let second = [append("a", 6)];
        let other = Verdict::new(OrgId(1));
        assert!(!ends.admit(OrgId(1), &second, &[]));
        assert!(!ends.admit(OrgId(1), &second, &[other.fate()]));
        assert!(ends.admit(OrgId(1), &second, &[other.fate(), end.fate.clone()]));
        assert!(ends.admit(OrgId(1), &[append("c", 0)], &[]));

        first.verdict.tell(true);
        assert!(ends.get(&stream("a")).is_none());
        assert!(ends.admit(OrgId(1), &second, &[]) && ends.admit(OrgId(1), &second, &[end.fate]));
        ends.forget_settled();
        assert!(ends.0.is_empty());
    }

    #[test]
    fn nothing_follows_what_failed() {
        let mut ends = PendingEnds::default();
        let failed = prepared(vec![append("a", 5)], Vec::new());
        ends.add(&failed);
        let fate = ends.get(&stream("a")).unwrap().fate;
        drop(failed);
        assert!(ends.get(&stream("a")).is_none());
        assert!(!ends.admit(OrgId(1), &[append("a", 6)], std::slice::from_ref(&fate)));
        assert!(!ends.admit(OrgId(1), &[append("b", 0)], &[fate]));
        assert!(ends.admit(OrgId(1), &[append("a", 5)], &[]));
    }

    #[test]
    fn a_commit_that_writes_beside_the_log_is_no_ground() {
        let mut ends = PendingEnds::default();
        let first = prepared(vec![append("a", 5)], Vec::new());
        ends.add(&first);
        let mut secret = prepared(vec![append("a", 6)], Vec::new());
        let (org, sql) = (OrgId(1), "DELETE FROM secrets WHERE org_id = $1");
        secret.writes.push(SideWrite { org, sql, params: values![org.0], on_failure: OnFailure::Fault });
        ends.add(&secret);
        assert!(ends.get(&stream("a")).is_none());
    }
}
