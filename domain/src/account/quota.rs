//! A quota: a limit that was set for an org or a user. Without one, the limits in the settings of the server apply.

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

/// The value that stands for no limit.
pub const UNLIMITED: i64 = -1;

/// The owner of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaOwner {
    /// The org.
    Org,
    /// A user, over all orgs.
    User(UserId),
}

impl QuotaOwner {
    /// The quota target with this name. Fails if this owner has no such target.
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
    /// The limits that were set explicitly.
    pub limits: BTreeMap<QuotaTarget, i64>,
}

/// The commands of a quota.
#[derive(Clone, Copy, Debug)]
pub enum QuotaCommand {
    /// Sets a limit.
    Set {
        /// The owner.
        owner: QuotaOwner,
        /// The target.
        target: QuotaTarget,
        /// The maximum number; a negative number stands for no limit.
        limit: i64,
    },
}

/// A limit was set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuotaChanged {
    /// The owner.
    pub owner: QuotaOwner,
    /// The target.
    pub target: QuotaTarget,
    /// The new maximum number, [`UNLIMITED`] for no limit.
    pub limit: i64,
}

domain_events! {
    /// The events of a quota.
    pub enum QuotaEvent {
        /// A limit was set.
        Changed(QuotaChanged) = "quota.changed", 1;
    }
}

impl Effects for QuotaEvent {}

/// The reason why a quota rejects a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// The owner has no quota target of that name.
    #[error("Invalid quota target")]
    TargetUnknown,
    /// The limit is reached.
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
    /// No owner exceeds its quota.
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
        // No limit is an explicit setting too: the settings of the server may have a limit.
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
