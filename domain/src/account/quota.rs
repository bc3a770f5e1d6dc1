//! A quota: how much an org or a user may have, where somebody has decided so. Everybody else has what the settings of
//! the server say.

use std::collections::BTreeMap;
use std::fmt;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::effect::Effects;
use crate::kernel::id::UserId;
use crate::kernel::invariant::Invariant;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::undo::Undoing;

pub use crate::kernel::effect::QuotaTarget;

/// The limit that is none.
pub const UNLIMITED: i64 = -1;

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaOwner {
    /// The org's.
    Org,
    /// A user's, over all orgs.
    User(UserId),
}

impl QuotaOwner {
    /// What is limited for this owner under a name.
    pub fn target(self, name: &str) -> Result<QuotaTarget, QuotaError> {
        let targets = match self {
            Self::Org => QuotaTarget::OF_ORG,
            Self::User(_) => QuotaTarget::OF_USER,
        };
        targets.iter().find(|target| target.as_str() == name).copied().ok_or(QuotaError::TargetUnknown)
    }
}

impl fmt::Display for QuotaOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Org => f.write_str("org"),
            Self::User(id) => write!(f, "user-{id}"),
        }
    }
}

/// The state that decisions about a quota need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quota {
    /// The limits that somebody has set.
    pub limits: BTreeMap<QuotaTarget, i64>,
}

/// What a quota can be told.
#[derive(Clone, Copy, Debug)]
pub enum QuotaCommand {
    /// Sets a limit.
    Set {
        /// Whose.
        owner: QuotaOwner,
        /// Of what.
        target: QuotaTarget,
        /// How many there may be; a negative number stands for no limit.
        limit: i64,
    },
}

/// A limit was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuotaChanged {
    /// Whose.
    pub owner: QuotaOwner,
    /// Of what.
    pub target: QuotaTarget,
    /// How many there may be from now on, [`UNLIMITED`] for no limit.
    pub limit: i64,
}

domain_events! {
    /// What happens to a quota.
    pub enum QuotaEvent {
        /// A limit was set.
        Changed(QuotaChanged) = "quota.changed", 1;
    }
}

impl Effects for QuotaEvent {}

/// Why a quota refuses a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// Nothing of that name is limited for that owner.
    #[error("Invalid quota target")]
    TargetUnknown,
    /// There is as much as there may be.
    #[error("Quota reached")]
    Reached,
}

impl Reason for QuotaError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::TargetUnknown => ReasonKind::Missing,
            Self::Reached => ReasonKind::Exhausted,
        }
    }
}

impl Quota {
    /// Nobody has more than it may have.
    pub const KEPT: Invariant = Invariant::new("quota_kept", || QuotaError::Reached.into());
}

impl Stream for Quota {
    type Key = QuotaOwner;

    const UNDOINGS: &'static [(&'static str, Undoing)] =
        &[("quota.changed", Undoing::Impossible("set the former limit again"))];
}

impl Aggregate for Quota {
    const TYPE: &'static str = "quota";
    type Command = QuotaCommand;
    type Event = QuotaEvent;
    type Error = QuotaError;
    type Services = ();

    async fn handle(
        &mut self,
        command: QuotaCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), QuotaError> {
        let QuotaCommand::Set { owner, target, limit } = command;
        let limit = limit.max(UNLIMITED);
        if self.limits.get(&target) != Some(&limit) {
            decide(self, sink, QuotaChanged { owner, target, limit }).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: QuotaEvent) {
        match event {
            QuotaEvent::Changed(changed) => {
                self.limits.insert(changed.target, changed.limit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::kernel::testing::folded;

    type Framework = TestFramework<Quota>;

    fn set(limit: i64) -> QuotaCommand {
        QuotaCommand::Set { owner: QuotaOwner::Org, target: QuotaTarget::Dashboard, limit }
    }

    fn changed(limit: i64) -> QuotaEvent {
        QuotaChanged { owner: QuotaOwner::Org, target: QuotaTarget::Dashboard, limit }.into()
    }

    #[tokio::test]
    async fn a_limit_is_an_event_and_the_same_again_is_none() {
        Framework::with(())
            .given_no_previous_events()
            .when_async(set(0))
            .await
            .then_expect_events(vec![changed(0)]);
        Framework::with(()).given(vec![changed(5)]).when_async(set(5)).await.then_expect_events(vec![]);
        // That there is none is a decision too: the settings may say otherwise.
        Framework::with(())
            .given_no_previous_events()
            .when_async(set(-7))
            .await
            .then_expect_events(vec![changed(UNLIMITED)]);
    }

    #[test]
    fn targets_belong_to_orgs_or_to_users() {
        let user = QuotaOwner::User(UserId(5));
        assert_eq!(QuotaOwner::Org.target("org_user"), Ok(QuotaTarget::OrgUser));
        assert_eq!(user.target("org"), Ok(QuotaTarget::Org));
        for (owner, name) in [(QuotaOwner::Org, "org"), (user, "org_user"), (QuotaOwner::Org, "comet")] {
            assert_eq!(owner.target(name), Err(QuotaError::TargetUnknown));
        }
        for target in QuotaTarget::OF_ORG.iter().chain(QuotaTarget::OF_USER) {
            assert_eq!(serde_json::to_string(target).unwrap(), format!("{:?}", target.as_str()));
        }
    }

    #[test]
    fn streams_are_named_by_owner() {
        assert_eq!(Quota::stream_id(&QuotaOwner::Org).as_str(), "quota-org");
        assert_eq!(Quota::stream_id(&QuotaOwner::User(UserId(5))).as_str(), "quota-user-5");
    }

    #[test]
    fn the_last_limit_holds_for_its_target() {
        let quota: Quota = folded(&[changed(5), changed(0)]);
        assert_eq!(quota.limits, BTreeMap::from([(QuotaTarget::Dashboard, 0)]));
    }
}
