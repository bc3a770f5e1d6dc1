//! The bounds on what clients share: hashing, mail, the database.

use kymograph_domain::limit::{Amount, Limit};
use kymograph_projections::content::folder;
use kymograph_projections::kernel::database;
use kymograph_projections::rights::resource_permission::MAX_KEPT_BYTES;

use crate::event_store::{MAX_LOADED_BYTES, lane};
use crate::{jwt, mail, password};

/// The bounds on what clients share.
pub const LIMITS: &[Limit] = &[
    Limit {
        what: "Requests that wait to have a password hashed",
        at: "A server",
        most: Amount::Count(password::MAX_WAITING as u64),
        answer: "429",
    },
    Limit {
        what: "Commands that wait for those before them",
        at: "An org",
        most: Amount::Count(lane::MAX_WAITING as u64),
        answer: "429",
    },
    Limit {
        what: "Bytes of the states of all that a command changes, such as the deletion of a folder",
        at: "Every command that changes several objects",
        most: Amount::Bytes(MAX_LOADED_BYTES),
        answer: "413",
    },
    Limit {
        what: "Bytes of commands under way that have at most 64 KiB each",
        at: "All orgs",
        most: Amount::Bytes(lane::MAX_SMALL_BYTES),
        answer: "429",
    },
    Limit {
        what: "Bytes of commands under way that have at most 64 KiB each",
        at: "An org",
        most: Amount::Bytes(lane::MAX_SMALL_BYTES_OF_ORG),
        answer: "429",
    },
    Limit {
        what: "Bytes of larger commands under way",
        at: "All orgs",
        most: Amount::Bytes(lane::MAX_LARGE_BYTES),
        answer: "429",
    },
    Limit {
        what: "Bytes of larger commands under way",
        at: "An org",
        most: Amount::Bytes(lane::MAX_LARGE_BYTES_OF_ORG),
        answer: "429",
    },
    Limit {
        what: "Time that a statement of a read takes",
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
        what: "Memory for the folders of an org as they were",
        at: "Reads with `at`",
        most: Amount::Bytes(folder::MAX_TREE),
        answer: "413",
    },
    Limit {
        what: "Bytes of what is known of folders and of who may use which",
        at: "A server; the org that has the most loses first",
        most: Amount::Bytes(MAX_KEPT_BYTES),
        answer: "It is found out for each request",
    },
    Limit {
        what: "Time to hand a mail to the mail server",
        at: "A mail",
        most: Amount::Time(mail::TIMEOUT),
        answer: "It is tried again later",
    },
    Limit {
        what: "Token of an identity provider",
        at: "JWT log-in",
        most: Amount::Bytes(jwt::MAX_TOKEN_BYTES),
        answer: "401",
    },
    Limit {
        what: "Key set",
        at: "`[auth.jwt] jwk_set_url`",
        most: Amount::Bytes(jwt::MAX_JWKS_BYTES),
        answer: "The keys stay as they are",
    },
    Limit {
        what: "Keys of a set",
        at: "`[auth.jwt]`",
        most: Amount::Count(jwt::MAX_KEYS as u64),
        answer: "The keys stay as they are",
    },
    Limit {
        what: "Keys of one id, and signature checks of a token",
        at: "`[auth.jwt]`",
        most: Amount::Count(jwt::MAX_KEYS_OF_ID as u64),
        answer: "The keys stay as they are",
    },
    Limit {
        what: "Time to fetch the keys",
        at: "`[auth.jwt] jwk_set_url`",
        most: Amount::Time(jwt::FETCH_TIMEOUT),
        answer: "The keys stay as they are",
    },
    Limit {
        what: "Time until keys are fetched again for an id that they do not have",
        at: "`[auth.jwt] jwk_set_url`",
        most: Amount::Time(jwt::UNKNOWN_INTERVAL),
        answer: "401 meanwhile",
    },
    Limit {
        what: "Time for which keys count that cannot be fetched again, beyond `cache_ttl`",
        at: "`[auth.jwt] jwk_set_url`",
        most: Amount::Time(jwt::GRACE),
        answer: "503",
    },
];
