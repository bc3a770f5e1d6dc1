//! The limits of shared resources: hashing, mail, the database.

use kymograph_domain::limit::{Amount, Limit};
use kymograph_projections::content::folder;
use kymograph_projections::kernel::database;
use kymograph_projections::rights::resource_permission::MAX_KEPT_BYTES;

use crate::event_store::{MAX_LOADED_BYTES, lane};
use crate::{jwt, mail, password};

/// The limits of shared resources.
pub const LIMITS: &[Limit] = &[
    Limit {
        what: "Requests that wait for password hashing",
        at: "A server",
        most: Amount::Count(password::MAX_WAITING as u64),
        answer: "429",
    },
    Limit {
        what: "Queued commands",
        at: "An org",
        most: Amount::Count(lane::MAX_WAITING as u64),
        answer: "429",
    },
    Limit {
        what: "Bytes of all states that a command loads",
        at: "Commands on several objects, such as deleting a folder",
        most: Amount::Bytes(MAX_LOADED_BYTES),
        answer: "413",
    },
    Limit {
        what: "Bytes of commands of at most 64 KiB in flight",
        at: "All orgs",
        most: Amount::Bytes(lane::MAX_SMALL_BYTES),
        answer: "429",
    },
    Limit {
        what: "Bytes of commands of at most 64 KiB in flight",
        at: "An org",
        most: Amount::Bytes(lane::MAX_SMALL_BYTES_OF_ORG),
        answer: "429",
    },
    Limit {
        what: "Bytes of larger commands in flight",
        at: "All orgs",
        most: Amount::Bytes(lane::MAX_LARGE_BYTES),
        answer: "429",
    },
    Limit {
        what: "Bytes of larger commands in flight",
        at: "An org",
        most: Amount::Bytes(lane::MAX_LARGE_BYTES_OF_ORG),
        answer: "429",
    },
    Limit {
        what: "Duration of a statement of a read",
        at: "Every request",
        most: Amount::Time(database::STATEMENT_TIMEOUT),
        answer: "503",
    },
    Limit {
        what: "Time to wait for a share of the database connections",
        at: "Every request",
        most: Amount::Time(database::WAIT_FOR_CONNECTION),
        answer: "429",
    },
    Limit {
        what: "Time to wait for a database connection",
        at: "Every request",
        most: Amount::Time(database::WAIT_FOR_CONNECTION),
        answer: "503",
    },
    Limit {
        what: "Memory for a former folder tree of an org",
        at: "Reads with `at`",
        most: Amount::Bytes(folder::MAX_TREE),
        answer: "413",
    },
    Limit {
        what: "Bytes of cached folders and permissions",
        at: "A server; the largest org is evicted first",
        most: Amount::Bytes(MAX_KEPT_BYTES),
        answer: "Read for each request",
    },
    Limit {
        what: "Time to hand over a mail to the mail server",
        at: "A mail",
        most: Amount::Time(mail::TIMEOUT),
        answer: "It is retried later",
    },
    Limit { what: "JWT", at: "JWT log-in", most: Amount::Bytes(jwt::MAX_TOKEN_BYTES), answer: "401" },
    Limit {
        what: "Key set",
        at: "`[auth.jwt] jwk_set_url`",
        most: Amount::Bytes(jwt::MAX_JWKS_BYTES),
        answer: "The keys are not updated",
    },
    Limit {
        what: "Keys of a set",
        at: "`[auth.jwt]`",
        most: Amount::Count(jwt::MAX_KEYS as u64),
        answer: "The keys are not updated",
    },
    Limit {
        what: "Keys with the same id, and signature checks per token",
        at: "`[auth.jwt]`",
        most: Amount::Count(jwt::MAX_KEYS_OF_ID as u64),
        answer: "The keys are not updated",
    },
    Limit {
        what: "Time to fetch the keys",
        at: "`[auth.jwt] jwk_set_url`",
        most: Amount::Time(jwt::FETCH_TIMEOUT),
        answer: "The keys are not updated",
    },
    Limit {
        what: "Minimum time between fetches for an unknown key id",
        at: "`[auth.jwt] jwk_set_url`",
        most: Amount::Time(jwt::UNKNOWN_INTERVAL),
        answer: "401 meanwhile",
    },
    Limit {
        what: "Time beyond `cache_ttl` for which keys are used when they cannot be fetched",
        at: "`[auth.jwt] jwk_set_url`",
        most: Amount::Time(jwt::GRACE),
        answer: "503",
    },
];
