//! The stars that a user has given to dashboards of an org.

use std::collections::BTreeMap;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::effect::Effects;
use crate::kernel::id::UserId;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

/// The maximum number of dashboards of an org that a user can star, so that the state stays small.
pub const MAX_STARS: usize = 1000;

/// The state that decisions about a user's stars need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Star {
    /// The starred dashboards by uid, each with its numeric id: a dashboard that is created again under a uid
    /// has a new id, and has no stars.
    pub dashboards: BTreeMap<Uid, i64>,
}

/// The commands of a user's stars.
#[derive(Clone, Debug)]
pub enum StarCommand {
    /// Stars a dashboard.
    Add(StarAdded),
    /// Removes the star of a dashboard.
    Remove(StarRemoved),
}

/// A dashboard was starred.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StarAdded {
    /// The user.
    pub user_id: UserId,
    /// The dashboard's uid.
    pub dashboard_uid: Uid,
    /// The dashboard's numeric id.
    pub dashboard_id: i64,
}

/// The star of a dashboard was removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StarRemoved {
    /// The user.
    pub user_id: UserId,
    /// The dashboard's uid.
    pub dashboard_uid: Uid,
}

domain_events! {
    /// The events of stars.
    pub enum StarEvent {
        /// A dashboard was starred.
        Added(StarAdded) = "star.added", 1;
        /// The star of a dashboard was removed.
        Removed(StarRemoved) = "star.removed", 1;
    }
}

impl Effects for StarEvent {}

/// The reason why stars reject a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StarError {
    /// The user has starred too many dashboards.
    #[error("You have starred too many dashboards")]
    TooMany,
}

impl Reason for StarError {
    fn kind(&self) -> ReasonKind {
        ReasonKind::Invalid
    }
}

impl Stream for Star {
    type Key = UserId;

    const UNDOINGS: &'static [(&'static str, Undoing)] =
        &[("star.added", Undoing::OWN_CHOICE), ("star.removed", Undoing::OWN_CHOICE)];
}

impl Aggregate for Star {
    const TYPE: &'static str = "star";
    type Command = StarCommand;
    type Event = StarEvent;
    type Error = StarError;
    type Services = ();

    async fn handle(
        &mut self,
        command: StarCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), StarError> {
        let event: StarEvent = match command {
            StarCommand::Add(added) => match self.dashboards.get(&added.dashboard_uid) {
                Some(id) if *id == added.dashboard_id => return Ok(()),
                None if self.dashboards.len() >= MAX_STARS => return Err(StarError::TooMany),
                _ => added.into(),
            },
            StarCommand::Remove(removed) if !self.dashboards.contains_key(&removed.dashboard_uid) => {
                return Ok(());
            }
            StarCommand::Remove(removed) => removed.into(),
        };
        decide(self, sink, event).await;
        Ok(())
    }

    fn apply(&mut self, event: StarEvent) {
        match event {
            StarEvent::Added(added) => {
                self.dashboards.insert(added.dashboard_uid, added.dashboard_id);
            }
            StarEvent::Removed(removed) => {
                self.dashboards.remove(&removed.dashboard_uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::kernel::testing::{decided, folded};

    type Framework = TestFramework<Star>;
    const USER: UserId = UserId(9);

    fn added(uid: &str, dashboard_id: i64) -> StarAdded {
        StarAdded { user_id: USER, dashboard_uid: Uid::try_new(uid).unwrap(), dashboard_id }
    }

    fn removed(uid: &str) -> StarRemoved {
        StarRemoved { user_id: USER, dashboard_uid: Uid::try_new(uid).unwrap() }
    }

    #[tokio::test]
    async fn starring_twice_is_one_event() {
        Framework::with(())
            .given(vec![added("cpu", 1).into()])
            .when_async(StarCommand::Add(added("cpu", 1)))
            .await
            .then_expect_events(vec![]);
    }

    #[tokio::test]
    async fn a_dashboard_that_was_created_again_can_be_starred_again() {
        Framework::with(())
            .given(vec![added("cpu", 1).into()])
            .when_async(StarCommand::Add(added("cpu", 2)))
            .await
            .then_expect_events(vec![added("cpu", 2).into()]);
    }

    #[tokio::test]
    async fn unstarring_what_has_no_star_is_no_event() {
        Framework::with(())
            .given(vec![added("cpu", 1).into(), removed("cpu").into()])
            .when_async(StarCommand::Remove(removed("cpu")))
            .await
            .then_expect_events(vec![]);
    }

    #[tokio::test]
    async fn stars_are_bounded() {
        let stars = (0..MAX_STARS).map(|index| added(&format!("d{index}"), 1).into()).collect();
        Framework::with(())
            .given(stars)
            .when_async(StarCommand::Add(added("one-more", 1)))
            .await
            .then_expect_error(StarError::TooMany);
    }

    #[tokio::test]
    async fn a_star_is_given_and_taken_away() {
        let given = [added("cpu", 1).into()];
        let given_again = decided::<Star>(&[], vec![StarCommand::Add(added("cpu", 1))]).await;
        assert_eq!(given_again, Ok(given.to_vec()));
        let taken = decided::<Star>(&given, vec![StarCommand::Remove(removed("cpu"))]).await.unwrap();
        assert_eq!(taken, [removed("cpu").into()]);
        assert!(folded::<Star>(&[&given[..], &taken].concat()).dashboards.is_empty());
    }

    #[tokio::test]
    async fn the_last_star_can_be_given() {
        let stars: Vec<_> = (1..MAX_STARS).map(|index| added(&format!("d{index}"), 1).into()).collect();
        assert!(decided::<Star>(&stars, vec![StarCommand::Add(added("last", 1))]).await.is_ok());
    }
}
