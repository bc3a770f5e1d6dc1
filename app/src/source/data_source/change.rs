//! Creating, changing and deleting data sources.

use std::collections::BTreeMap;

use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::source::data_source::{
    DataSource, DataSourceCommand, DataSourceContent, DataSourceCreated, DataSourceError, SecretChange,
    check_secrets,
};
use kymograph_domain::{Timestamp, Uid};

use super::{DataSourceKey, DataSourceView, DataSources, secret_key};
use crate::kernel::error::Result;
use crate::kernel::id_allocator::IdKind;
use crate::kernel::random::uid_or_random;
use crate::kernel::secret::SecretWrite;
use crate::kernel::unit::Entity;
use crate::rights::authorization::Guarded;
use crate::{Permission, Scope, Unit};

/// Values of secrets by name; an empty one and `None` remove a secret.
pub(super) type SecretValues = BTreeMap<String, Option<String>>;

/// A data source to create.
#[derive(Clone, Debug)]
pub struct NewDataSource {
    /// The uid; `None` to generate one.
    pub uid: Option<String>,
    /// Its settings.
    pub content: DataSourceContent,
    /// Its secrets.
    pub secrets: SecretValues,
}

/// New settings for a data source.
#[derive(Clone, Debug)]
pub struct DataSourceChange {
    /// The uid that the client sent, which cannot be changed.
    pub uid: Option<String>,
    /// The settings.
    pub content: DataSourceContent,
    /// The secrets that change; secrets that are not named are kept.
    pub secrets: SecretValues,
    /// The version the client has seen; `None` overwrites any version.
    pub expected_version: Option<i64>,
}

impl DataSources {
    /// Creates a data source.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_data_source(&self, scope: &Scope, new: &NewDataSource) -> Result<DataSourceView> {
        scope.require(Permission::DATA_SOURCES_CREATE)?;
        check_secrets(&new.secrets)?;
        let uid = &uid_or_random(new.uid.as_deref())?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut source = unit.load::<DataSource>(uid).await?;
                if source.exists {
                    return Err(DataSourceError::UidTaken.into());
                }
                let id = self.ids.next_id(scope.org(), IdKind::Object).await?;
                let secrets = SecretChange::of(&new.secrets).set;
                if new.content.is_default {
                    self.clear_default(scope, &mut unit, uid).await?;
                }
                let (uid, content, read_only) = (uid.clone(), new.content.clone(), false);
                let created = DataSourceCreated { uid, id, content, secrets, read_only };
                source.tell(DataSourceCommand::Create(created)).await?;
                write_secrets(scope, &mut unit, id, &new.secrets).await?;
                let view = view_of(&source);
                unit.record(source)?;
                Ok(unit.decided(view))
            })
            .await
    }

    /// Replaces the settings of a data source.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn update_data_source(
        &self,
        scope: &Scope,
        key: DataSourceKey<'_>,
        change: &DataSourceChange,
    ) -> Result<DataSourceView> {
        check_secrets(&change.secrets)?;
        let uid = &self.find(scope, key, Permission::DATA_SOURCES_WRITE).await?.uid;
        if change.uid.as_ref().is_some_and(|wanted| wanted != uid.as_str()) {
            return Err(DataSourceError::UidFixed.into());
        }
        self.commands
            .run(scope, |mut unit| async move {
                let mut source = self.load(scope, &mut unit, uid, Permission::DATA_SOURCES_WRITE).await?;
                let secrets = SecretChange::of(&change.secrets);
                if change.content.is_default && !source.content.is_default {
                    self.clear_default(scope, &mut unit, uid).await?;
                }
                let content = change.content.clone();
                let expected_version = change.expected_version;
                source.tell(DataSourceCommand::Change { content, secrets, expected_version }).await?;
                write_secrets(scope, &mut unit, source.id, &change.secrets).await?;
                let view = view_of(&source);
                unit.record(source)?;
                Ok(unit.decided(view))
            })
            .await
    }

    /// Deletes a data source with its secrets, and returns its numeric id.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_data_source(&self, scope: &Scope, key: DataSourceKey<'_>) -> Result<i64> {
        let uid = &self.find(scope, key, Permission::DATA_SOURCES_DELETE).await?.uid;
        self.commands
            .run(scope, |mut unit| async move {
                let mut source = self.load(scope, &mut unit, uid, Permission::DATA_SOURCES_DELETE).await?;
                let id = source.id;
                source.tell(DataSourceCommand::Delete).await?;
                delete_secrets(&mut unit, id);
                self.endings.tell(&mut unit, scope, &[Ending::DataSource(uid)]).await?;
                unit.record(source)?;
                Ok(unit.decided(id))
            })
            .await
    }

    /// An existing data source, on which the actor has a permission now and at commit.
    pub(crate) async fn load(
        &self,
        scope: &Scope,
        unit: &mut Unit<'_>,
        uid: &Uid,
        permission: Permission,
    ) -> Result<Entity<DataSource>> {
        let source = unit.load::<DataSource>(uid).await?;
        if !source.exists {
            return Err(DataSourceError::NotFound.into());
        }
        self.authorization.require(scope, Guarded::DataSource(source.id), permission).await?;
        self.authorization.rest_on_right(scope, unit, ResourceKind::DataSource, uid, permission)?;
        Ok(source)
    }

    /// Makes a commit depend on a data source that exists and may be changed here.
    pub(crate) fn rest_on_writable(&self, scope: &Scope, unit: &mut Unit<'_>, source: &DataSource) {
        unit.rest_on(self.reader.stays_writable(scope.org(), &source.uid, source.id));
    }

    /// Unsets the default data source, in the same commit that makes another one the default.
    async fn clear_default(&self, scope: &Scope, unit: &mut Unit<'_>, next: &Uid) -> Result<()> {
        let default = self.reader.find_default(scope).await?.filter(|uid| uid != next);
        unit.rest_on(self.reader.is_only_default(scope.org(), default.as_ref()));
        if let Some(uid) = &default {
            let mut source = unit.load::<DataSource>(uid).await?;
            source.tell(DataSourceCommand::ClearDefault).await?;
            unit.record(source)?;
        }
        Ok(())
    }
}

/// Adds the deletion of the secrets of a data source, which ends, to the commit.
pub(super) fn delete_secrets(unit: &mut Unit<'_>, id: i64) {
    unit.delete_secrets_below(secret_key(id, ""));
}

async fn write_secrets(scope: &Scope, unit: &mut Unit<'_>, id: i64, values: &SecretValues) -> Result<()> {
    for (name, value) in values {
        let value = value.clone().filter(|value| !value.is_empty());
        unit.write_secret(SecretWrite { org: scope.org(), key: secret_key(id, name), value }).await?;
    }
    Ok(())
}

fn view_of(source: &DataSource) -> DataSourceView {
    DataSourceView {
        uid: source.uid.clone(),
        id: source.id,
        content: source.content.clone(),
        secrets: source.secrets.iter().cloned().collect(),
        version: source.version,
        read_only: source.read_only,
        updated: Timestamp::default(),
    }
}
