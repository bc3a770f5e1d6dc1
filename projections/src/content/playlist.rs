//! Playlists.

use async_trait::async_trait;
use kymograph_app::content::playlist::{ListedPlaylist, PlaylistReader, PlaylistView};
use kymograph_app::{Error, Page, Result, Scope};
use kymograph_domain::Uid;
use kymograph_domain::account::org::OrgEvent;
use kymograph_domain::content::playlist::{PlaylistChanged, PlaylistContent, PlaylistCreated, PlaylistEvent};
use tokio_postgres::Row;

use crate::kernel::database::Database;
use crate::kernel::projector::{Projector, Recorded};
use crate::kernel::statement::Statements;
use crate::kernel::text::{contains_pattern, stored, uid_column};
use crate::params;

/// Keeps `playlists`.
pub struct PlaylistProjector;

const INSERT: &str =
    "INSERT INTO playlists (org_id, id, content, name, show_for, uid) VALUES ($1, $2, $3, $4, $5, $6)";
const UPDATE: &str =
    "UPDATE playlists SET content = $3, name = $4, show_for = $5 WHERE org_id = $1 AND id = $2";

impl Projector for PlaylistProjector {
    fn name(&self) -> &'static str {
        "playlists"
    }

    fn listens_to(&self) -> &'static [&'static str] {
        &["playlist", "org"]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["playlists"]
    }

    fn project(&self, recorded: &Recorded<'_>, statements: &mut Statements) {
        let org = recorded.org.0;
        if let Some(OrgEvent::Deleted(_)) = recorded.event.of() {
            statements.write("DELETE FROM playlists WHERE org_id = $1", params![org]);
        }
        match recorded.event.of() {
            Some(PlaylistEvent::Created(PlaylistCreated { uid, id, content })) => {
                let (json, name, interval) = columns(content);
                statements.write(INSERT, params![org, *id, json, name, interval, uid.to_string()]);
            }
            Some(PlaylistEvent::Changed(PlaylistChanged { id, content })) => {
                let (json, name, interval) = columns(content);
                statements.write(UPDATE, params![org, *id, json, name, interval]);
            }
            Some(PlaylistEvent::Deleted(deleted)) => {
                let sql = "DELETE FROM playlists WHERE org_id = $1 AND id = $2";
                statements.write(sql, params![org, deleted.id]);
            }
            None => {}
        }
    }
}

/// The content as stored: it consists of texts only, so serializing it cannot fail. Lists need no items.
fn columns(content: &PlaylistContent) -> (String, String, String) {
    let json = serde_json::to_string(content).unwrap_or_default();
    (json, content.name.clone(), content.interval.clone())
}

/// Reads `playlists`.
pub struct PgPlaylistReader {
    database: Database,
}

impl PgPlaylistReader {
    /// A reader on this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

fn playlist_view(row: &Row) -> Result<PlaylistView> {
    let content = serde_json::from_str(stored(row, "content")?).map_err(Error::internal)?;
    Ok(PlaylistView { uid: uid_column(row, "uid")?, id: stored(row, "id")?, content })
}

#[async_trait]
impl PlaylistReader for PgPlaylistReader {
    async fn find_playlist(&self, scope: &Scope, uid: &Uid) -> Result<Option<PlaylistView>> {
        let sql = "SELECT uid, id, content FROM playlists WHERE org_id = $1 AND uid = $2";
        let org = scope.org();
        let row = self.database.read_one(org, sql, &[&org.0, &uid.as_str()]).await?;
        row.as_ref().map(playlist_view).transpose()
    }

    async fn list_playlists(&self, scope: &Scope, query: &str, page: Page) -> Result<Vec<ListedPlaylist>> {
        let sql = "SELECT uid, id, name, show_for FROM playlists WHERE org_id = $1 AND name ILIKE $2
            ORDER BY name, uid LIMIT $3 OFFSET $4";
        let (org, pattern) = (scope.org(), contains_pattern(query));
        let rows = self.database.read(org, sql, &[&org.0, &pattern, &page.size, &page.offset()]).await?;
        let listed = |row: &Row| {
            let (id, name, interval) = (row.get("id"), stored(row, "name")?, stored(row, "show_for")?);
            Ok(ListedPlaylist { uid: uid_column(row, "uid")?, id, name, interval })
        };
        rows.iter().map(listed).collect()
    }
}
