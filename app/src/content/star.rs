//! Stars: a user's favorite dashboards.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::content::dashboard::{Dashboard, DashboardError};
use kymograph_domain::content::star::{Star, StarAdded, StarCommand, StarRemoved};
use kymograph_domain::{AccessLevel, Uid};

use crate::content::dashboard::{DashboardView, parse_uid};
use crate::kernel::error::Result;
use crate::kernel::noun::Noun;
use crate::rights::authorization::{ContentFilter, Guarded};
use crate::{Authorization, Commands, Permission, Scope};

/// The starred dashboards of a user by uid, each with its numeric id.
pub type StarredDashboards = HashMap<Uid, i64>;

/// Reads stars.
#[async_trait]
pub trait StarReader: Send + Sync {
    /// The dashboards of the scope's org that the actor has starred.
    async fn find_stars(&self, scope: &Scope) -> Result<Arc<StarredDashboards>>;
    /// The uids of those that still exist and pass a filter, in order.
    async fn list_starred_uids(&self, scope: &Scope, filter: &ContentFilter) -> Result<Vec<Uid>>;
}

impl Noun for Star {}

/// The use cases of stars.
pub struct Stars {
    commands: Commands,
    reader: Arc<dyn StarReader>,
    authorization: Arc<Authorization>,
}

impl Stars {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, reader: Arc<dyn StarReader>, authorization: Arc<Authorization>) -> Self {
        Self { commands, reader, authorization }
    }

    /// Stars a dashboard for the actor.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn star_dashboard(&self, scope: &Scope, uid: &str) -> Result<()> {
        let uid = &parse_uid(uid)?;
        let user_id = scope.actor().user_id;
        self.commands
            .run(scope, |mut unit| async move {
                let dashboard = unit.load::<Dashboard>(uid).await?;
                if !dashboard.exists {
                    return Err(DashboardError::NotFound.into());
                }
                let guarded = Guarded::Dashboard { id: dashboard.id, folder: dashboard.folder_uid.as_ref() };
                let permission = Permission::DASHBOARDS_READ;
                self.authorization.require(scope, guarded, permission).await?;
                let mut star = unit.load::<Star>(&user_id).await?;
                let added = StarAdded { user_id, dashboard_uid: uid.clone(), dashboard_id: dashboard.id };
                star.tell(StarCommand::Add(added)).await?;
                unit.record(star)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Removes the actor's star from a dashboard, if there is one.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn unstar_dashboard(&self, scope: &Scope, uid: &str) -> Result<()> {
        // Text that is not a valid uid has no star.
        let Ok(uid) = &parse_uid(uid) else { return Ok(()) };
        let user_id = scope.actor().user_id;
        self.commands
            .run(scope, |mut unit| async move {
                let mut star = unit.load::<Star>(&user_id).await?;
                let removed = StarRemoved { user_id, dashboard_uid: uid.clone() };
                star.tell(StarCommand::Remove(removed)).await?;
                unit.record(star)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Lists the uids of the dashboards that the actor has starred and may read.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_stars(&self, scope: &Scope) -> Result<Vec<Uid>> {
        let filter = ContentFilter::of(scope, AccessLevel::View);
        self.reader.list_starred_uids(scope, &filter).await
    }

    /// Whether the actor has starred a dashboard that it has read.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn is_starred(&self, scope: &Scope, dashboard: &DashboardView) -> Result<bool> {
        Ok(self.reader.find_stars(scope).await?.get(&dashboard.uid) == Some(&dashboard.id))
    }
}
