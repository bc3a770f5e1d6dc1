//! Stars of users.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_app::content::star::{StarReader, StarredDashboards};
use kymograph_app::kernel::cache::{MAX_AGE, ReadCache};
use kymograph_app::kernel::feed_health::FeedHealth;
use kymograph_app::rights::authorization::ContentFilter;
use kymograph_app::{Result, Scope};
use kymograph_domain::account::org::{Org, OrgEvent};
use kymograph_domain::content::star::{Star, StarEvent};
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::{OrgId, Uid, UserId};

use crate::kernel::database::Database;
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::sql::Values;
use crate::kernel::statement::{OnFailure, Statements};
use crate::kernel::text::uid_column;
use crate::params;
use crate::rights::resource_permission::allowed::AllowedParams;
use crate::rights::resource_permission::{AllowedContents, CHECK_DASHBOARD};

/// Keeps `stars`.
pub struct StarProjector;

const INSERT: &str =
    "INSERT INTO stars (org_id, user_id, dashboard_uid, dashboard_id) VALUES ($1, $2, $3, $4)
    ON CONFLICT (org_id, user_id, dashboard_uid) DO UPDATE SET dashboard_id = $4";
/// A star can be removed after its dashboard was deleted, and set on another one with the same uid: the count depends
/// on whether a row exists.
const COUNT: &str = "UPDATE quotas SET used = used + $4 - (SELECT count(*) FROM stars
    WHERE org_id = $1 AND user_id = $2 AND dashboard_uid = $3) WHERE owner_org_id = $1 AND target = 'star'";

impl Projector for StarProjector {
    fn name(&self) -> &'static str {
        "stars"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["star", "dashboard", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["stars"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let org = recorded.org.0;
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            statements.write("DELETE FROM stars WHERE org_id = $1", params![org]);
        }
        if let Some(Ending::Dashboard(uid)) = recorded.event.ending() {
            let sql = "DELETE FROM stars WHERE org_id = $1 AND dashboard_uid = $2";
            statements.write(sql, params![org, uid.to_string()]);
        }
        let Some(event) = recorded.event.of::<StarEvent>() else { return };
        match event {
            StarEvent::Added(added) => {
                let (uid, id) = (added.dashboard_uid.to_string(), added.dashboard_id);
                statements.write(INSERT, params![org, added.user_id.0, uid.clone(), id]);
                // A conflict if the dashboard was deleted after the lookup: the command is decided again.
                statements.check(&CHECK_DASHBOARD, params![org, uid, id], OnFailure::Conflict);
            }
            StarEvent::Removed(removed) => statements.write(
                "DELETE FROM stars WHERE org_id = $1 AND user_id = $2 AND dashboard_uid = $3",
                params![org, removed.user_id.0, removed.dashboard_uid.to_string()],
            ),
        }
    }
}

/// Counts the stars of the org.
pub(crate) fn count_stars(recorded: &Recorded<'_>, statements: &mut Statements) {
    let (user, uid, stars) = match recorded.event.of::<StarEvent>() {
        Some(StarEvent::Added(added)) => (added.user_id, &added.dashboard_uid, 1_i64),
        Some(StarEvent::Removed(removed)) => (removed.user_id, &removed.dashboard_uid, 0_i64),
        None => return,
    };
    statements.write(COUNT, params![recorded.org.0, user.0, uid.to_string(), stars]);
}
/// The maximum number of cached stars; each user counts as one more.
const MAX_CACHED_STARS: u64 = 100_000;

/// A cache of stars by org and user.
///
/// A deleted dashboard stays in it: its star is not requested, and a dashboard that is created again has another id.
pub type StarCache = ReadCache<(OrgId, UserId), Arc<StarredDashboards>>;

/// A cache of stars, invalidated by this feed.
#[must_use]
pub fn star_cache(feed: &Arc<FeedHealth>) -> StarCache {
    let weigh = |_: &_, stars: &Arc<StarredDashboards>| u32::try_from(stars.len() + 1).unwrap_or(u32::MAX);
    ReadCache::with_weight_for(MAX_CACHED_STARS, MAX_AGE, weigh)
        .while_live(feed)
        .dropped_by::<Star, UserId>(|org, user| (org, user))
        .outdated_in_org_by(&[Org::TYPE])
}

/// Reads `stars`.
pub struct PgStarReader {
    database: Database,
    cache: Arc<StarCache>,
    allowed: Arc<AllowedContents>,
}

impl PgStarReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database, cache: Arc<StarCache>, allowed: Arc<AllowedContents>) -> Self {
        Self { database, cache, allowed }
    }

    async fn fetch(&self, org: OrgId, user: UserId) -> Result<StarredDashboards> {
        let sql = "SELECT dashboard_uid, dashboard_id FROM stars WHERE org_id = $1 AND user_id = $2";
        let rows = self.database.read(org, sql, &[&org.0, &user.0]).await?;
        rows.iter().map(|row| Ok((uid_column(row, "dashboard_uid")?, row.get("dashboard_id")))).collect()
    }
}

#[async_trait]
impl StarReader for PgStarReader {
    async fn find_stars(&self, scope: &Scope) -> Result<Arc<StarredDashboards>> {
        let key = (scope.org(), scope.actor().user_id);
        let fetch = async { Ok(Some(Arc::new(self.fetch(key.0, key.1).await?))) };
        Ok(self.cache.get_or_fetch(&key, fetch).await?.unwrap_or_default())
    }

    async fn list_starred_uids(&self, scope: &Scope, filter: &ContentFilter) -> Result<Vec<Uid>> {
        static SQL: OnceLock<String> = OnceLock::new();
        let (org, user) = (scope.org(), scope.actor().user_id);
        let allowed = self.allowed.find(org, filter).await?;
        let params = AllowedParams::of(filter, allowed.as_deref());
        let mut values = Values::of(&org);
        let user = values.push(&user.0);
        let is_allowed = params.push_to(&mut values);
        let sql = SQL.get_or_init(|| {
            format!(
                "SELECT d.uid FROM stars s
            JOIN dashboards d ON d.org_id = $1 AND d.uid = s.dashboard_uid AND d.deleted IS NULL
            WHERE s.org_id = $1 AND s.user_id = {user} AND {} ORDER BY d.uid",
                is_allowed.allows_dashboard("")
            )
        });
        let rows = self.database.read(org, sql, values.all()).await?;
        rows.iter().map(|row| uid_column(row, "uid")).collect()
    }
}
