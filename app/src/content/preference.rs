//! Preferences of orgs, teams and users, and their home dashboards.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::Uid;
use kymograph_domain::account::org::{Org, OrgError};
use kymograph_domain::account::team::{Team, TeamError};
use kymograph_domain::content::dashboard::{Dashboard, DashboardError};
use kymograph_domain::content::preference::{
    Preference, PreferenceCommand, PreferenceOwner, PreferenceSettings,
};

use crate::account::team::{TeamReader, resolve_team};
use crate::content::dashboard::DashboardReader;
use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::noun::Noun;
use crate::{Authorization, Commands, Permission, Scope, Unit};

/// Preferences as they are read.
#[derive(Clone, Debug, Default)]
pub struct PreferenceView {
    /// The settings. A home dashboard that was deleted since is omitted.
    pub settings: PreferenceSettings,
    /// The home dashboard.
    pub home: Option<HomeDashboard>,
}

/// A home dashboard.
#[derive(Clone, Debug)]
pub struct HomeDashboard {
    /// Its uid.
    pub uid: Uid,
    /// The readable part of its address.
    pub slug: String,
}

/// Reads preferences.
#[async_trait]
pub trait PreferenceReader: Send + Sync {
    /// The preferences of an owner; empty if none were ever set.
    async fn find_preference(&self, scope: &Scope, owner: PreferenceOwner) -> Result<PreferenceView>;
    /// The actor's home dashboard: its own choice, else that of one of its teams, the youngest first, else the org's.
    async fn find_home(&self, scope: &Scope) -> Result<Option<HomeDashboard>>;
}

/// A change of preferences; settings that are `None` are not mentioned.
#[derive(Clone, Debug, Default)]
pub struct PreferenceChange {
    /// The theme.
    pub theme: Option<String>,
    /// The time zone.
    pub timezone: Option<String>,
    /// The first day of the week.
    pub week_start: Option<String>,
    /// The language.
    pub language: Option<String>,
    /// The language whose conventions format numbers and dates.
    pub regional_format: Option<String>,
    /// The home dashboard.
    pub home: Option<HomeChoice>,
    /// The tab that the query history opens with.
    pub query_history_tab: Option<String>,
    /// The addresses of the bookmarks.
    pub bookmark_urls: Option<Vec<String>>,
}

/// The home dashboard as a client names it.
#[derive(Clone, Debug)]
pub enum HomeChoice {
    /// No home dashboard.
    None,
    /// By uid.
    Uid(String),
    /// By numeric id.
    Id(i64),
}

/// The effect of a change on settings that it does not mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmentioned {
    /// They return to the server's default.
    Reset,
    /// They are kept.
    Keep,
}

/// The history of the org's preferences.
pub const ORG_HISTORY: HistoryOf = HistoryOf {
    noun: Preference::TYPE,
    missing: "no preferences were ever set",
    key: KeyOf::Caller(|_| PreferenceOwner::Org.to_string()),
    read: Some(Permission::ORGS_PREFERENCES_WRITE),
    write: Some(Permission::ORGS_PREFERENCES_WRITE),
    create: None,
};

/// The history of the caller's preferences.
pub const OWN_HISTORY: HistoryOf = HistoryOf {
    noun: Preference::TYPE,
    missing: "no preferences were ever set",
    key: KeyOf::Caller(own_key),
    read: None,
    write: None,
    create: None,
};

/// The key of the caller's preferences.
fn own_key(scope: &Scope) -> String {
    PreferenceOwner::User(scope.actor().user_id).to_string()
}

impl Noun for Preference {
    fn require_undo(scope: &Scope, key: &str, _: bool) -> Result<()> {
        match key {
            "org" => scope.require(Permission::ORGS_PREFERENCES_WRITE),
            _ if key.starts_with("team-") => scope.require(Permission::TEAMS_WRITE),
            _ if key == own_key(scope) => Ok(()),
            _ => Err(Error::new(ErrorKind::Forbidden, "only the user can change these preferences")),
        }
    }
}

/// The use cases of preferences.
pub struct Preferences {
    commands: Commands,
    reader: Arc<dyn PreferenceReader>,
    dashboards: Arc<dyn DashboardReader>,
    teams: Arc<dyn TeamReader>,
    authorization: Arc<Authorization>,
}

impl Preferences {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        commands: Commands,
        reader: Arc<dyn PreferenceReader>,
        dashboards: Arc<dyn DashboardReader>,
        teams: Arc<dyn TeamReader>,
        authorization: Arc<Authorization>,
    ) -> Self {
        Self { commands, reader, dashboards, teams, authorization }
    }

    /// Reads the org's preferences.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_org_preference(&self, scope: &Scope) -> Result<PreferenceView> {
        scope.require(Permission::ORGS_PREFERENCES_READ)?;
        self.reader.find_preference(scope, PreferenceOwner::Org).await
    }

    /// Reads a team's preferences.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_team_preference(&self, scope: &Scope, team: &str) -> Result<PreferenceView> {
        scope.require(Permission::TEAMS_READ)?;
        let id = resolve_team(&*self.teams, scope, team).await?;
        self.teams.find_team(scope, id).await?.ok_or(TeamError::NotFound)?;
        self.reader.find_preference(scope, PreferenceOwner::Team(id)).await
    }

    /// Reads the actor's preferences in the org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_own_preference(&self, scope: &Scope) -> Result<PreferenceView> {
        self.reader.find_preference(scope, own(scope)).await
    }

    /// Changes the org's preferences.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn change_org_preference(
        &self,
        scope: &Scope,
        change: &PreferenceChange,
        unmentioned: Unmentioned,
    ) -> Result<()> {
        scope.require(Permission::ORGS_PREFERENCES_WRITE)?;
        self.change(scope, PreferenceOwner::Org, change, unmentioned).await
    }

    /// Changes a team's preferences.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn change_team_preference(
        &self,
        scope: &Scope,
        team: &str,
        change: &PreferenceChange,
        unmentioned: Unmentioned,
    ) -> Result<()> {
        scope.require(Permission::TEAMS_WRITE)?;
        let id = resolve_team(&*self.teams, scope, team).await?;
        self.change(scope, PreferenceOwner::Team(id), change, unmentioned).await
    }

    /// Changes the actor's preferences in the org.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn change_own_preference(
        &self,
        scope: &Scope,
        change: &PreferenceChange,
        unmentioned: Unmentioned,
    ) -> Result<()> {
        self.change(scope, own(scope), change, unmentioned).await
    }

    /// Reads the actor's home dashboard, if one is set.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_home_dashboard(&self, scope: &Scope) -> Result<Option<HomeDashboard>> {
        // An actor who may not read it would be sent to a page that cannot be opened.
        match self.reader.find_home(scope).await? {
            Some(home) if self.can_view(scope, &home.uid).await? => Ok(Some(home)),
            _ => Ok(None),
        }
    }

    async fn can_view(&self, scope: &Scope, uid: &Uid) -> Result<bool> {
        if scope.administers_content() {
            return Ok(true);
        }
        let Some(dashboard) = self.dashboards.find_dashboard(scope, uid).await? else { return Ok(false) };
        Ok(self.authorization.level(scope, dashboard.guarded()).await?.is_some())
    }

    async fn change(
        &self,
        scope: &Scope,
        owner: PreferenceOwner,
        change: &PreferenceChange,
        unmentioned: Unmentioned,
    ) -> Result<()> {
        let home = self.resolve_home(scope, change.home.as_ref()).await?;
        let home = home.as_ref();
        self.commands
            .run(scope, |mut unit| async move {
                owner_must_exist(scope, &unit, owner).await?;
                if let Some(home) = home
                    && !unit.load::<Dashboard>(home).await?.exists
                {
                    return Err(DashboardError::NotFound.into());
                }
                let mut preference = unit.load::<Preference>(&owner).await?;
                let before = match unmentioned {
                    Unmentioned::Reset => PreferenceSettings::default(),
                    Unmentioned::Keep => preference.settings.clone(),
                };
                let settings = change.applied_to(before, home);
                preference.tell(PreferenceCommand::Set { owner, settings }).await?;
                unit.record(preference)?;
                Ok(unit.decided(()))
            })
            .await
    }

    async fn resolve_home(&self, scope: &Scope, choice: Option<&HomeChoice>) -> Result<Option<Uid>> {
        let found = match choice {
            None | Some(HomeChoice::None) => return Ok(None),
            Some(HomeChoice::Uid(uid)) => Uid::try_new(uid).ok(),
            Some(HomeChoice::Id(id)) => self.dashboards.find_uid_by_id(scope, *id).await?,
        };
        match found {
            // To an actor who may not read it, it is reported as missing, which must not disclose that it exists.
            Some(home) if self.can_view(scope, &home).await? => Ok(Some(home)),
            _ => Err(DashboardError::NotFound.into()),
        }
    }
}

async fn owner_must_exist(scope: &Scope, unit: &Unit<'_>, owner: PreferenceOwner) -> Result<()> {
    // A server admin can name an org that does not exist, and a user who is a member of no org acts in one that does
    // not exist.
    if !unit.load::<Org>(&scope.org()).await?.exists {
        return Err(OrgError::NotFound.into());
    }
    match owner {
        PreferenceOwner::Team(id) if !unit.load::<Team>(&id).await?.exists => Err(TeamError::NotFound.into()),
        _ => Ok(()),
    }
}

fn own(scope: &Scope) -> PreferenceOwner {
    PreferenceOwner::User(scope.actor().user_id)
}

impl PreferenceChange {
    fn applied_to(&self, before: PreferenceSettings, home: Option<&Uid>) -> PreferenceSettings {
        let change = self.clone();
        PreferenceSettings {
            theme: change.theme.unwrap_or(before.theme),
            timezone: change.timezone.unwrap_or(before.timezone),
            week_start: change.week_start.unwrap_or(before.week_start),
            language: change.language.unwrap_or(before.language),
            regional_format: change.regional_format.unwrap_or(before.regional_format),
            home_dashboard_uid: if change.home.is_some() { home.cloned() } else { before.home_dashboard_uid },
            query_history_tab: change.query_history_tab.unwrap_or(before.query_history_tab),
            bookmark_urls: change.bookmark_urls.unwrap_or(before.bookmark_urls),
        }
    }
}
