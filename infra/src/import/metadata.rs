//! The metadata of a foreign event, and how it is stored.

use kymograph_domain::Timestamp;
use kymograph_domain::kernel::text::has_hidden_characters;
use serde::Serialize;
use serde_json::Value;

/// The `auth_method` of imported events.
pub(super) const AUTH_METHOD: &str = "import";
/// The actor of events without one.
const NOBODY: &str = "import";

/// Common names of the actor and the time in metadata.
const ACTORS: &[&str] = &["actor_login", "actor", "login", "user"];
const TIMES: &[&str] = &["recorded_at", "occurred_at", "timestamp", "time", "created_at"];

/// The maximum length of a login.
const MAX_LOGIN_BYTES: usize = 200;
/// The maximum length of metadata as JSON text. Pages of the audit log include some of it.
const MAX_METADATA_BYTES: usize = 8 * 1024;

/// True if metadata exceeds the limit.
pub(super) fn is_too_long(metadata: &Value) -> bool {
    !metadata.is_null() && metadata.to_string().len() > MAX_METADATA_BYTES
}

/// The stored metadata of an imported event.
pub(super) struct Origin {
    /// The login of the actor in the other application.
    pub(super) actor: String,
    /// The metadata, as JSON text.
    pub(super) meta: String,
}

/// The metadata of all events, and that of imported ones. All values are texts, as `postgres-es` requires.
#[derive(Serialize)]
struct Meta<'a> {
    auth_method: &'a str,
    token_id: &'a str,
    ip: &'a str,
    user_agent: &'a str,
    trace_id: &'a str,
    imported_at: String,
    imported_actor: &'a str,
    imported_metadata: String,
}

impl Origin {
    /// The origin of an event with this metadata.
    pub(super) fn of(metadata: &Value) -> Result<Self, serde_json::Error> {
        let text = |name: &str| metadata.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let is_login = |login: &&str| login.len() <= MAX_LOGIN_BYTES && !has_hidden_characters(login);
        let actor = ACTORS.iter().find_map(|name| text(name)).filter(is_login);
        let time = TIMES.iter().find_map(|name| text(name).and_then(Timestamp::parse));
        let meta = Meta {
            auth_method: AUTH_METHOD,
            token_id: "",
            ip: text("ip").unwrap_or_default(),
            user_agent: text("user_agent").unwrap_or_default(),
            trace_id: "",
            imported_at: time.map(Timestamp::rfc3339_micros).unwrap_or_default(),
            imported_actor: actor.unwrap_or_default(),
            imported_metadata: if metadata.is_null() { String::new() } else { metadata.to_string() },
        };
        Ok(Self { actor: actor.unwrap_or(NOBODY).to_owned(), meta: serde_json::to_string(&meta)? })
    }
}
