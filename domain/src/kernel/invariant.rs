//! Rules that span more than one aggregate.
//!
//! An aggregate can only decide on its own state. These rules need a look at the whole org, so they are checked by
//! statements inside the transaction that appends the events; the head of the org's log, which every transaction moves,
//! makes the check exact under concurrency. A rule over the logs of two orgs, or of an org and the server, also needs a
//! lock on the data that it reads, because the other log moves meanwhile.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::kernel::reason::{ReasonKind, Refusal};

/// A rule over more than one aggregate, named when a transaction breaks it. The noun that a rule protects declares it as a
/// constant, like [`Team::NAME_UNIQUE`](crate::account::team::Team::NAME_UNIQUE).
#[derive(Clone, Copy)]
pub struct Invariant {
    name: &'static str,
    refusal: fn() -> Refusal,
    is_existence: bool,
}

impl Invariant {
    /// The org whose log is written to exists.
    pub const ORG_EXISTS: Self =
        Self::of_existence("org_exists", || Refusal::new(ReasonKind::Missing, "Organization not found"));
    /// The actor of a command on rights still has the rights on which the decision was based.
    pub const ACTOR_KEEPS_RIGHTS: Self = Self::new("actor_keeps_rights", || {
        let message = "Your rights changed during the request, try again";
        Refusal::new(ReasonKind::Forbidden, message)
    });

    /// A rule of this name, and the response to a command that would break it.
    #[must_use]
    pub const fn new(name: &'static str, refusal: fn() -> Refusal) -> Self {
        Self { name, refusal, is_existence: false }
    }

    /// The same for a rule that only requires that an object exists, which may have been deleted since the command was
    /// decided. When it is decided again, the command leaves out the deleted object, or fails with a specific error.
    #[must_use]
    pub const fn of_existence(name: &'static str, refusal: fn() -> Refusal) -> Self {
        Self { name, refusal, is_existence: true }
    }

    /// The response to a command that would break it.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        (self.refusal)()
    }

    /// True if it only requires that an object exists.
    #[must_use]
    pub fn is_existence(self) -> bool {
        self.is_existence
    }
}

impl PartialEq for Invariant {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Invariant {}

impl Hash for Invariant {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Debug for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;

    #[test]
    fn a_rule_is_known_by_its_name() {
        let hash = |rule: Invariant| {
            let mut hasher = DefaultHasher::new();
            rule.hash(&mut hasher);
            hasher.finish()
        };
        let rule = Invariant::ORG_EXISTS;
        let same = Invariant::new("org_exists", || Refusal::new(ReasonKind::Taken, "another"));
        assert_eq!((rule, hash(rule)), (same, hash(same)));
        let other = Invariant::ACTOR_KEEPS_RIGHTS;
        assert!(rule != other && hash(rule) != hash(other));
        assert_eq!(format!("{rule:?}"), "org_exists");
    }

    #[test]
    fn a_rule_says_whether_it_is_one_of_existence_and_how_it_refuses() {
        assert!(Invariant::ORG_EXISTS.is_existence());
        assert!(!Invariant::ACTOR_KEEPS_RIGHTS.is_existence());
        let refusal = Invariant::ORG_EXISTS.refusal();
        assert_eq!((refusal.kind, refusal.message.as_str()), (ReasonKind::Missing, "Organization not found"));
    }
}
