//! Preferences of orgs, teams and users.

use async_trait::async_trait;
use kymograph_app::content::preference::{HomeDashboard, PreferenceReader, PreferenceView};
use kymograph_app::{Result, Scope};
use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::account::team::TeamEvent;
use kymograph_domain::content::preference::{PreferenceEvent, PreferenceOwner, PreferenceSettings};
use tokio_postgres::Row;

use crate::kernel::database::Database;
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::statement::{OnFailure, Statements};
use crate::kernel::text::{uid_column, uid_or_empty};
use crate::params;
use crate::rights::resource_permission::CHECK_TEAM;

/// Keeps `preferences`.
pub struct PreferenceProjector;

const SET: &str =
    "INSERT INTO preferences (org_id, owner, theme, timezone, week_start, language, regional_format,
    home_dashboard_uid, query_history_tab, bookmark_urls) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (org_id, owner) DO UPDATE SET theme = $3, timezone = $4, week_start = $5, language = $6,
    regional_format = $7, home_dashboard_uid = $8, query_history_tab = $9, bookmark_urls = $10";

impl Projector for PreferenceProjector {
    fn name(&self) -> &'static str {
        "preferences"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["preference", "team", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["preferences"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let org = recorded.org.0;
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            statements.write("DELETE FROM preferences WHERE org_id = $1", params![org]);
        }
        if let Some(TeamEvent::Deleted(deleted)) = recorded.event.of() {
            let owner = PreferenceOwner::Team(deleted.id).to_string();
            statements.write("DELETE FROM preferences WHERE org_id = $1 AND owner = $2", params![org, owner]);
        }
        let Some(PreferenceEvent::Changed(changed)) = recorded.event.of() else { return };
        let settings = changed.settings.clone();
        statements.write(
            SET,
            params![
                org,
                changed.owner.to_string(),
                settings.theme,
                settings.timezone,
                settings.week_start,
                settings.language,
                settings.regional_format,
                uid_or_empty(settings.home_dashboard_uid.as_ref()),
                settings.query_history_tab,
                settings.bookmark_urls,
            ],
        );
        if let PreferenceOwner::Team(team) = changed.owner {
            // A conflict if the team was deleted after the lookup: the command is decided again.
            statements.check(&CHECK_TEAM, params![org, team.0], OnFailure::Conflict);
        }
    }
}

/// Reads `preferences`.
pub struct PgPreferenceReader {
    database: Database,
}

impl PgPreferenceReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

fn preference_view(row: &Row) -> Result<PreferenceView> {
    // Without a slug the dashboard no longer exists.
    let home = match row.get::<_, Option<String>>("slug") {
        Some(slug) => Some(HomeDashboard { uid: uid_column(row, "home_dashboard_uid")?, slug }),
        None => None,
    };
    let settings = PreferenceSettings {
        theme: row.get("theme"),
        timezone: row.get("timezone"),
        week_start: row.get("week_start"),
        language: row.get("language"),
        regional_format: row.get("regional_format"),
        home_dashboard_uid: home.as_ref().map(|home| home.uid.clone()),
        query_history_tab: row.get("query_history_tab"),
        bookmark_urls: row.get("bookmark_urls"),
    };
    Ok(PreferenceView { settings, home })
}

#[async_trait]
impl PreferenceReader for PgPreferenceReader {
    async fn find_preference(&self, scope: &Scope, owner: PreferenceOwner) -> Result<PreferenceView> {
        let sql = "SELECT p.*, d.slug
            FROM preferences p LEFT JOIN dashboards d ON d.org_id = p.org_id AND d.uid = p.home_dashboard_uid
                AND d.deleted IS NULL
            WHERE p.org_id = $1 AND p.owner = $2";
        let org = scope.org();
        let row = self.database.read_one(org, sql, &[&org.0, &owner.to_string()]).await?;
        row.as_ref().map_or_else(|| Ok(PreferenceView::default()), preference_view)
    }

    async fn find_home(&self, scope: &Scope) -> Result<Option<HomeDashboard>> {
        let sql = "SELECT p.home_dashboard_uid, d.slug
            FROM preferences p JOIN dashboards d ON d.org_id = p.org_id AND d.uid = p.home_dashboard_uid
                AND d.deleted IS NULL
            LEFT JOIN team_members m
                ON m.org_id = p.org_id AND m.user_id = $2 AND p.owner = 'team-' || m.team_id
                AND EXISTS (SELECT FROM memberships WHERE org_id = $1 AND user_id = $2)
            WHERE p.org_id = $1 AND (p.owner IN ('org', 'user-' || $2) OR m.team_id IS NOT NULL)
            ORDER BY p.owner = 'org', m.team_id DESC NULLS FIRST LIMIT 1";
        let (org, user) = (scope.org(), scope.actor().user_id);
        let row = self.database.read_one(org, sql, &[&org.0, &user.0]).await?;
        let home = |row: &Row| {
            Ok(HomeDashboard { uid: uid_column(row, "home_dashboard_uid")?, slug: row.get("slug") })
        };
        row.as_ref().map(home).transpose()
    }
}
