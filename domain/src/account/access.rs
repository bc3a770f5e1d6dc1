//! Access to objects and accounts: refused requests, log-ins, and queries to data sources.
//!
//! These events change nothing. They are in the log so that the log alone shows each attempt and its actor.

use std::fmt;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide, is_default};
use crate::kernel::effect::Effects;
use crate::kernel::id::UserId;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::text::{MAX_NAME_BYTES, is_storable};
use crate::kernel::timestamp::Timestamp;
use crate::kernel::undo::Undoing;

/// The maximum length of a recorded query, in bytes.
pub const MAX_QUERY_BYTES: usize = 1024;

/// The state that decisions about access need: only the numbers of refused requests, of log-ins and of queries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// The number of refused requests.
    pub refused: i64,
    /// The number of log-ins.
    pub log_ins: i64,
    /// The number of queries.
    #[serde(default, skip_serializing_if = "is_default")]
    pub queries: i64,
}

/// The target of an access attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AccessTarget {
    /// The type of the object, like `dashboard`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The identifier of the object in its org, empty if no single object is meant.
    pub uid: String,
}

impl fmt::Display for AccessTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if self.uid.is_empty() { Ok(()) } else { write!(f, "-{}", self.uid) }
    }
}

/// A summary of refused requests of one kind that came close together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason.
    pub reason: String,
    /// The number of requests.
    pub count: i64,
    /// The time of the first request.
    pub since: Timestamp,
}

/// The commands that record access.
#[derive(Clone, Debug)]
pub enum AccessCommand {
    /// An authenticated caller was denied access.
    Deny(AccessDenied),
    /// A log-in failed.
    FailLogin(AccessLoginFailed),
    /// A token was refused.
    RefuseToken(AccessTokenRefused),
    /// A user logged in.
    LogIn(AccessLoggedIn),
    /// A data source was queried.
    Query(AccessQueried),
}

/// An authenticated caller was denied access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessDenied {
    /// The target of the request.
    pub target: AccessTarget,
    /// The method of the request.
    pub method: String,
    /// The path of the request, with parameters in braces.
    pub route: String,
    /// The reason and the number of refusals.
    #[serde(flatten)]
    pub refusal: Refusal,
}

/// A log-in failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessLoginFailed {
    /// The user with the given login. An unknown login is not stored: it may be a password.
    pub target: AccessTarget,
    /// The reason and the number of refusals.
    #[serde(flatten)]
    pub refusal: Refusal,
}

/// A token was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessTokenRefused {
    /// The service account of the token, if it belongs to one.
    pub target: AccessTarget,
    /// The reason and the number of refusals.
    #[serde(flatten)]
    pub refusal: Refusal,
}

/// A user logged in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessLoggedIn {
    /// The user.
    pub target: AccessTarget,
    /// The user's id.
    pub user_id: UserId,
    /// The session that was created.
    pub session_id: i64,
}

/// A data source was queried, in an org whose audit log records queries. The result is not recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccessQueried {
    /// The data source.
    pub target: AccessTarget,
    /// The query, shortened to [`MAX_QUERY_BYTES`].
    pub query: String,
    /// The number of times that the actor sent it.
    pub count: i64,
    /// The time of the first one.
    pub since: Timestamp,
}

domain_events! {
    /// The events of access attempts.
    pub enum AccessEvent {
        /// An authenticated caller was denied access.
        Denied(AccessDenied) = "access.denied", 1;
        /// A log-in failed.
        LoginFailed(AccessLoginFailed) = "access.login_failed", 1;
        /// A token was refused.
        TokenRefused(AccessTokenRefused) = "access.token_refused", 1;
        /// A user logged in.
        LoggedIn(AccessLoggedIn) = "access.logged_in", 1;
        /// A data source was queried.
        Queried(AccessQueried) = "access.queried", 1;
    }
}

/// The outcome of an attempted action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The action was done.
    Success,
    /// The actor was not allowed to do it.
    Denied,
    /// The actor could not be authenticated.
    Failure,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 3] = [Self::Success, Self::Denied, Self::Failure];

    /// The outcome that an event of this type records.
    #[must_use]
    pub fn of_event(stored_type: &str) -> Self {
        match stored_type {
            "access.denied" => Self::Denied,
            "access.login_failed" | "access.token_refused" => Self::Failure,
            _ => Self::Success,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Denied => "denied",
            Self::Failure => "failure",
        }
    }
}

impl Effects for AccessEvent {}

/// The reason why an access attempt is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The number of attempts is less than one.
    #[error("an attempt must have happened")]
    CountInvalid,
    /// A text is too long or cannot be stored.
    #[error("a text about access is too long")]
    TextTooLong,
}

impl Reason for AccessError {
    fn kind(&self) -> ReasonKind {
        ReasonKind::Invalid
    }
}

impl Stream for Access {
    type Key = AccessTarget;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("access.denied", Undoing::ATTEMPT),
        ("access.login_failed", Undoing::ATTEMPT),
        ("access.token_refused", Undoing::ATTEMPT),
        (
            "access.logged_in",
            Undoing::Impossible("a log-in cannot be undone: revoke the session or log the user out"),
        ),
        ("access.queried", Undoing::ATTEMPT),
    ];
}

impl Aggregate for Access {
    const TYPE: &'static str = "access";
    type Command = AccessCommand;
    type Event = AccessEvent;
    type Error = AccessError;
    type Services = ();

    async fn handle(
        &mut self,
        command: AccessCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), AccessError> {
        let event: AccessEvent = match command {
            AccessCommand::Deny(denied) => {
                check_refusal(&denied.target, &denied.refusal)?;
                check_text(&denied.route)?;
                check_text(&denied.method)?;
                denied.into()
            }
            AccessCommand::FailLogin(failed) => {
                check_refusal(&failed.target, &failed.refusal)?;
                failed.into()
            }
            AccessCommand::RefuseToken(refused) => {
                check_refusal(&refused.target, &refused.refusal)?;
                refused.into()
            }
            AccessCommand::LogIn(logged_in) => logged_in.into(),
            AccessCommand::Query(queried) => {
                check_target(&queried.target, queried.count)?;
                if !is_storable(&queried.query, MAX_QUERY_BYTES) {
                    return Err(AccessError::TextTooLong);
                }
                queried.into()
            }
        };
        decide(self, sink, event).await;
        Ok(())
    }

    fn apply(&mut self, event: AccessEvent) {
        match event {
            AccessEvent::Denied(denied) => self.refused += denied.refusal.count,
            AccessEvent::LoginFailed(failed) => self.refused += failed.refusal.count,
            AccessEvent::TokenRefused(refused) => self.refused += refused.refusal.count,
            AccessEvent::LoggedIn(_) => self.log_ins += 1,
            AccessEvent::Queried(queried) => self.queries += queried.count,
        }
    }
}

fn check_refusal(target: &AccessTarget, refusal: &Refusal) -> Result<(), AccessError> {
    check_target(target, refusal.count)?;
    check_text(&refusal.reason)
}

fn check_target(target: &AccessTarget, count: i64) -> Result<(), AccessError> {
    if count < 1 {
        return Err(AccessError::CountInvalid);
    }
    check_text(&target.kind)?;
    check_text(&target.uid)
}

fn check_text(text: &str) -> Result<(), AccessError> {
    if is_storable(text, MAX_NAME_BYTES) { Ok(()) } else { Err(AccessError::TextTooLong) }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::kernel::testing::{decided, folded};

    type Framework = TestFramework<Access>;

    fn denied(count: i64, reason: &str) -> AccessDenied {
        AccessDenied {
            target: AccessTarget { kind: "dashboard".into(), uid: "cpu".into() },
            method: "DELETE".into(),
            route: "/api/dashboards/uid/{uid}".into(),
            refusal: Refusal { reason: reason.into(), count, since: Timestamp(7) },
        }
    }

    #[tokio::test]
    async fn what_was_denied_is_recorded_with_how_often() {
        Framework::with(())
            .given_no_previous_events()
            .when_async(AccessCommand::Deny(denied(3, "no rights")))
            .await
            .then_expect_events(vec![denied(3, "no rights").into()]);
    }

    #[tokio::test]
    async fn what_did_not_happen_or_cannot_be_stored_is_not_recorded() {
        for (refused, error) in [
            (denied(0, "no rights"), AccessError::CountInvalid),
            (denied(1, "a\0b"), AccessError::TextTooLong),
            (denied(1, &"x".repeat(800)), AccessError::TextTooLong),
        ] {
            Framework::with(())
                .given_no_previous_events()
                .when_async(AccessCommand::Deny(refused))
                .await
                .then_expect_error(error);
        }
    }

    #[test]
    fn streams_are_named_by_target() {
        let stream = |uid: &str| Access::stream_id(&AccessTarget { kind: "folder".into(), uid: uid.into() });
        assert_eq!(stream("ops").as_str(), "access-folder-ops");
        assert_eq!(stream("").as_str(), "access-folder");
    }

    #[test]
    fn refusals_are_no_success() {
        assert_eq!(Outcome::of_event("access.denied"), Outcome::Denied);
        assert_eq!(Outcome::of_event("access.token_refused"), Outcome::Failure);
        assert_eq!(Outcome::of_event("access.logged_in"), Outcome::Success);
        assert_eq!(Outcome::of_event("dashboard.deleted"), Outcome::Success);
    }

    fn failed(refusal: Refusal) -> AccessLoginFailed {
        AccessLoginFailed { target: AccessTarget { kind: "user".into(), uid: "5".into() }, refusal }
    }

    fn token_refused(refusal: Refusal) -> AccessTokenRefused {
        AccessTokenRefused { target: AccessTarget::default(), refusal }
    }

    #[tokio::test]
    async fn each_attempt_is_an_event_and_is_counted() {
        let refusal = |count| Refusal { reason: "wrong".into(), count, since: Timestamp(7) };
        let target = AccessTarget { kind: "user".into(), uid: "5".into() };
        let logged_in = AccessLoggedIn { target, user_id: UserId(5), session_id: 8 };
        let commands = vec![
            AccessCommand::Deny(denied(1, "no rights")),
            AccessCommand::FailLogin(failed(refusal(20))),
            AccessCommand::RefuseToken(token_refused(refusal(300))),
            AccessCommand::LogIn(logged_in.clone()),
            AccessCommand::LogIn(logged_in.clone()),
        ];
        let events = decided::<Access>(&[], commands).await.unwrap();
        let expected = [
            denied(1, "no rights").into(),
            failed(refusal(20)).into(),
            token_refused(refusal(300)).into(),
            logged_in.clone().into(),
            logged_in.into(),
        ];
        assert_eq!(events, expected);
        assert_eq!(folded::<Access>(&events), Access { refused: 321, log_ins: 2, queries: 0 });
    }

    #[tokio::test]
    async fn every_text_about_access_is_bounded() {
        let long = || "x".repeat(MAX_NAME_BYTES + 1);
        let target = |kind: String, uid: String| AccessTarget { kind, uid };
        let refusal = || denied(1, "").refusal;
        let longest = "x".repeat(MAX_NAME_BYTES);
        let most =
            AccessDenied { route: longest.clone(), method: longest.clone(), ..denied(1, longest.as_str()) };
        assert!(decided::<Access>(&[], vec![AccessCommand::Deny(most)]).await.is_ok());
        for command in [
            AccessCommand::Deny(AccessDenied { route: long(), ..denied(1, "") }),
            AccessCommand::Deny(AccessDenied { method: long(), ..denied(1, "") }),
            AccessCommand::Deny(AccessDenied { target: target(long(), String::new()), ..denied(1, "") }),
            AccessCommand::FailLogin(AccessLoginFailed {
                target: target("user".into(), long()),
                refusal: refusal(),
            }),
            AccessCommand::RefuseToken(token_refused(Refusal { reason: long(), ..refusal() })),
        ] {
            let refused = decided::<Access>(&[], vec![command]).await;
            assert_eq!(refused, Err(AccessError::TextTooLong));
        }
    }

    #[tokio::test]
    async fn queries_are_recorded_and_counted() {
        let queried = |count, query: &str| AccessQueried {
            target: AccessTarget { kind: "data_source".into(), uid: "prom".into() },
            query: query.into(),
            count,
            since: Timestamp(7),
        };
        let longest = "x".repeat(MAX_QUERY_BYTES);
        let commands = vec![
            AccessCommand::Query(queried(1, r#"{"expr":"up"}"#)),
            AccessCommand::Query(queried(30, &longest)),
        ];
        let events = decided::<Access>(&[], commands).await.unwrap();
        assert_eq!(events, [queried(1, r#"{"expr":"up"}"#).into(), queried(30, &longest).into()]);
        assert_eq!(folded::<Access>(&events), Access { refused: 0, log_ins: 0, queries: 31 });
        for (invalid, error) in [
            (queried(0, "up"), AccessError::CountInvalid),
            (queried(1, &format!("{longest}x")), AccessError::TextTooLong),
            (queried(1, "a\0b"), AccessError::TextTooLong),
        ] {
            assert_eq!(decided::<Access>(&[], vec![AccessCommand::Query(invalid)]).await, Err(error));
        }
    }

    #[test]
    fn outcomes_have_names() {
        assert_eq!(Outcome::ALL.map(Outcome::name), ["success", "denied", "failure"]);
        assert_eq!(Outcome::of_event("access.login_failed"), Outcome::Failure);
    }
}
