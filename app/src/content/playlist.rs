//! Playlists.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::Uid;
use kymograph_domain::content::playlist::{
    Playlist, PlaylistCommand, PlaylistContent, PlaylistCreated, PlaylistError,
};
use serde::{Deserialize, Serialize};

use crate::kernel::error::Result;
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::id_allocator::{IdAllocator, IdKind};
use crate::kernel::noun::Noun;
use crate::kernel::random::random_uid;
use crate::{Commands, Page, Permission, Scope};

/// A playlist as it is read, and as it is after a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlaylistView {
    /// The uid.
    pub uid: Uid,
    /// The numeric id.
    pub id: i64,
    /// The content.
    pub content: PlaylistContent,
}

/// A playlist in a list, without its items.
#[derive(Clone, Debug)]
pub struct ListedPlaylist {
    /// The uid.
    pub uid: Uid,
    /// The numeric id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// The time for which each dashboard is shown.
    pub interval: String,
}

/// Reads playlists.
#[async_trait]
pub trait PlaylistReader: Send + Sync {
    /// A playlist of the scope's org.
    async fn find_playlist(&self, scope: &Scope, uid: &Uid) -> Result<Option<PlaylistView>>;
    /// The playlists whose names contain a text, by name.
    async fn list_playlists(&self, scope: &Scope, query: &str, page: Page) -> Result<Vec<ListedPlaylist>>;
}

/// The history of playlists.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: Playlist::TYPE,
    missing: "Playlist not found",
    key: KeyOf::Uid,
    read: Some(Permission::PLAYLISTS_WRITE),
    write: Some(Permission::PLAYLISTS_WRITE),
    create: Some(Permission::PLAYLISTS_WRITE),
};

impl Noun for Playlist {
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        scope.require(Permission::PLAYLISTS_WRITE)
    }
}

/// The use cases of playlists.
pub struct Playlists {
    commands: Commands,
    reader: Arc<dyn PlaylistReader>,
    ids: Arc<dyn IdAllocator>,
}

impl Playlists {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, reader: Arc<dyn PlaylistReader>, ids: Arc<dyn IdAllocator>) -> Self {
        Self { commands, reader, ids }
    }

    /// Lists the playlists whose names contain a text.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_playlists(
        &self,
        scope: &Scope,
        query: &str,
        page: Page,
    ) -> Result<Vec<ListedPlaylist>> {
        scope.require(Permission::PLAYLISTS_READ)?;
        self.reader.list_playlists(scope, query, page).await
    }

    /// Reads a playlist.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_playlist(&self, scope: &Scope, uid: &str) -> Result<PlaylistView> {
        scope.require(Permission::PLAYLISTS_READ)?;
        let found = self.reader.find_playlist(scope, &parse_uid(uid)?).await?;
        found.ok_or_else(|| PlaylistError::NotFound.into())
    }

    /// Creates a playlist.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_playlist(&self, scope: &Scope, content: &PlaylistContent) -> Result<PlaylistView> {
        scope.require(Permission::PLAYLISTS_WRITE)?;
        let uid = &random_uid()?;
        self.commands
            .run(scope, |mut unit| async move {
                let id = self.ids.next_id(scope.org(), IdKind::Object).await?;
                let mut playlist = unit.load::<Playlist>(uid).await?;
                let created = PlaylistCreated { uid: uid.clone(), id, content: content.clone() };
                playlist.tell(PlaylistCommand::Create(created)).await?;
                unit.record(playlist)?;
                Ok(unit.decided(PlaylistView { uid: uid.clone(), id, content: content.clone() }))
            })
            .await
    }

    /// Replaces the content of a playlist.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn update_playlist(
        &self,
        scope: &Scope,
        uid: &str,
        content: &PlaylistContent,
    ) -> Result<PlaylistView> {
        let command = PlaylistCommand::Change(content.clone());
        let (uid, id) = self.tell(scope, uid, command).await?;
        Ok(PlaylistView { uid, id, content: content.clone() })
    }

    /// Deletes a playlist.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_playlist(&self, scope: &Scope, uid: &str) -> Result<()> {
        self.tell(scope, uid, PlaylistCommand::Delete).await.map(drop)
    }

    async fn tell(&self, scope: &Scope, uid: &str, command: PlaylistCommand) -> Result<(Uid, i64)> {
        scope.require(Permission::PLAYLISTS_WRITE)?;
        let (uid, command) = (&parse_uid(uid)?, &command);
        self.commands
            .run(scope, |mut unit| async move {
                let mut playlist = unit.load::<Playlist>(uid).await?;
                playlist.tell(command.clone()).await?;
                let id = playlist.id;
                unit.record(playlist)?;
                Ok(unit.decided((uid.clone(), id)))
            })
            .await
    }
}

/// Parses a uid in a path. Text that is not a valid uid is reported as not found.
fn parse_uid(uid: &str) -> Result<Uid> {
    Uid::try_new(uid).map_err(|_| PlaylistError::NotFound.into())
}
