//! The bounds on what use cases do for one request.

use std::time::Duration;

use kymograph_domain::account::user::MAX_PASSWORD_BYTES;
use kymograph_domain::kernel::json::changes;
use kymograph_domain::kernel::past;
use kymograph_domain::limit::{Amount, Limit};

use crate::account::{access, identity, login_attempt, session};
use crate::content::dashboard::version;
use crate::content::{annotation, dashboard, search};
use crate::kernel::{answer, cache, feed_health, job, mail, page, text, unit, work};
use crate::record::{audit, history, undo};

/// The bounds on what use cases do for one request.
pub const LIMITS: &[Limit] = &[
    Limit {
        what: "Age of cached rights, if the notification of a change was lost",
        at: "A server",
        most: Amount::Time(cache::MAX_AGE),
        answer: "They are read again",
    },
    Limit {
        what: "Time without a heartbeat of the change feed",
        at: "A server",
        most: Amount::Time(feed_health::MAX_SILENCE),
        answer: "Caches are disabled, `/readyz` is 503",
    },
    Limit {
        what: "Concurrent commands that load more than 32 objects",
        at: "A server (deletion of folders, undo)",
        most: Amount::Count(unit::MAX_BULK as u64),
        answer: "429 after a wait of 10 s",
    },
    Limit {
        what: "Concurrent commands that load more than 32 objects",
        at: "An org",
        most: Amount::Count(unit::MAX_BULK_OF_ORG as u64),
        answer: "429 after a wait of 10 s",
    },
    Limit {
        what: "Waiting commands that load more than 32 objects",
        at: "An org",
        most: Amount::Count(unit::MAX_WAITING_BULK_OF_ORG as u64),
        answer: "429",
    },
    Limit {
        what: "Entries of a page",
        at: "Lists with numbered pages",
        most: Amount::Count(page::MAX_PER_PAGE.unsigned_abs()),
        answer: "A page of this size",
    },
    Limit {
        what: "Entries of a page",
        at: "Histories",
        most: Amount::Count(history::MAX_PAGE.unsigned_abs()),
        answer: "A page of this size",
    },
    Limit {
        what: "Entries of a page",
        at: "The audit log",
        most: Amount::Count(audit::MAX_PAGE.unsigned_abs()),
        answer: "A page of this size",
    },
    Limit {
        what: "Rows of a list without admission",
        at: "Every list",
        most: Amount::Bytes(work::INLINE_BYTES),
        answer: "It counts as a list of up to 512 KiB",
    },
    Limit {
        what: "Concurrent lists of 128 KiB to 512 KiB",
        at: "An org",
        most: Amount::Count(answer::MAX_MEDIUM_OF_ORG as u64),
        answer: "Others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Concurrent lists of 128 KiB to 512 KiB",
        at: "A server",
        most: Amount::Count(answer::MAX_MEDIUM as u64),
        answer: "Others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Rows of a list at the first read",
        at: "Every list",
        most: Amount::Bytes(answer::MEDIUM_BYTES),
        answer: "They are read again after admission for the org",
    },
    Limit {
        what: "Rows of a list at the second read",
        at: "Every list",
        most: Amount::Bytes(answer::LARGE_BYTES),
        answer: "They are read again while no other such list is built",
    },
    Limit { what: "Rows of a list", at: "Every list", most: Amount::Bytes(answer::MAX_BYTES), answer: "413" },
    Limit {
        what: "Concurrent lists above 512 KiB",
        at: "An org",
        most: Amount::Count(answer::MAX_LARGE_OF_ORG as u64),
        answer: "Others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Concurrent lists above 512 KiB",
        at: "A server",
        most: Amount::Count(answer::MAX_LARGE as u64),
        answer: "Others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Concurrent lists above 4 MiB",
        at: "A server",
        most: Amount::Count(answer::MAX_HUGE as u64),
        answer: "Others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Tags of a list",
        at: "`/api/dashboards/tags`",
        most: Amount::Count(dashboard::MAX_LISTED_TAGS.unsigned_abs()),
        answer: "The most frequent ones",
    },
    Limit {
        what: "Login and password",
        at: "A log-in",
        most: Amount::Bytes(MAX_PASSWORD_BYTES),
        answer: "401, as for a wrong password",
    },
    Limit { what: "Concurrent password checks", at: "A user", most: Amount::Count(1), answer: "Others wait" },
    Limit {
        what: "Time for which failed log-ins of a user count",
        at: "`[security] brute_force_login_protection_max_attempts`",
        most: Amount::Time(Duration::from_secs(login_attempt::WINDOW_SECONDS.unsigned_abs())),
        answer: "401 `login-attempt.blocked`",
    },
    Limit {
        what: "Sessions",
        at: "A user",
        most: Amount::Count(session::MAX_SESSIONS as u64),
        answer: "The least recently used one is revoked",
    },
    Limit {
        what: "Verification mails per hour",
        at: "A user, and an address",
        most: Amount::Count(mail::MAX_MAILS.unsigned_abs()),
        answer: "429 `overload.mails`",
    },
    Limit {
        what: "Attempts of a job, such as sending a mail",
        at: "A job",
        most: Amount::Count(job::MAX_ATTEMPTS as u64),
        answer: "It becomes a dead letter, which `/api/admin/jobs` lists and retries",
    },
    Limit {
        what: "Duration of an attempt of a job",
        at: "A job; ten times as long for housekeeping",
        most: Amount::Time(job::TIME_LIMIT),
        answer: "It is retried later",
    },
    Limit {
        what: "Retention of a dead job",
        at: "A job",
        most: Amount::Time(job::KEEP_DEAD),
        answer: "It is deleted",
    },
    Limit {
        what: "Search text",
        at: "Every search, every list with a `query`",
        most: Amount::Characters(text::MAX_SEARCHED_CHARACTERS),
        answer: "The rest is ignored",
    },
    Limit {
        what: "Search words",
        at: "`/api/search`",
        most: Amount::Count(text::MAX_SEARCHED_WORDS as u64),
        answer: "The rest is ignored",
    },
    Limit {
        what: "Tags of a query",
        at: "`/api/search`",
        most: Amount::Count(search::MAX_TAGS as u64),
        answer: "400",
    },
    Limit {
        what: "A tag of a query",
        at: "`/api/search`",
        most: Amount::Characters(text::MAX_SEARCHED_CHARACTERS),
        answer: "400",
    },
    Limit {
        what: "Uids or ids of a query",
        at: "`/api/search`",
        most: Amount::Count(search::MAX_NAMED as u64),
        answer: "400",
    },
    Limit {
        what: "Values of a filter",
        at: "The audit log",
        most: Amount::Count(audit::MAX_FILTER_VALUES as u64),
        answer: "400",
    },
    Limit {
        what: "A value of a filter",
        at: "The audit log",
        most: Amount::Bytes(audit::MAX_FILTER_BYTES),
        answer: "400",
    },
    Limit {
        what: "Actors that a filter matches",
        at: "The audit log",
        most: Amount::Count(audit::MAX_FILTER_ACTORS.unsigned_abs()),
        answer: "400",
    },
    Limit {
        what: "Concurrent exports",
        at: "The audit log of an org",
        most: Amount::Count(audit::MAX_EXPORTS_OF_ORG as u64),
        answer: "429",
    },
    Limit {
        what: "Concurrent exports",
        at: "The audit logs of a server",
        most: Amount::Count(audit::MAX_EXPORTS as u64),
        answer: "429",
    },
    Limit {
        what: "Batch of an export",
        at: "The audit log",
        most: Amount::Bytes(audit::MAX_BATCH_BYTES),
        answer: "A smaller batch",
    },
    Limit {
        what: "Changes of an entry of a list or export",
        at: "Histories, the audit log",
        most: Amount::Bytes(history::MAX_LISTED_BYTES),
        answer: "`truncated`",
    },
    Limit {
        what: "Changes of a single entry or comparison",
        at: "Histories, the audit log",
        most: Amount::Bytes(history::MAX_DIFF_BYTES),
        answer: "`truncated`",
    },
    Limit {
        what: "Changes of a single entry or comparison",
        at: "Histories, the audit log",
        most: Amount::Count(changes::MAX_CHANGES as u64),
        answer: "`truncated`",
    },
    Limit {
        what: "Summary of the changes of an entry",
        at: "Histories, the audit log",
        most: Amount::Bytes(past::MAX_DESCRIPTION_BYTES),
        answer: "`truncated`",
    },
    Limit {
        what: "Name in the path of a change",
        at: "Histories, the audit log",
        most: Amount::Characters(changes::MAX_SEGMENT),
        answer: "It is truncated",
    },
    Limit {
        what: "Events of a page with changes",
        at: "Histories",
        most: Amount::Bytes(history::MAX_PAGE_BYTES),
        answer: "A shorter page",
    },
    Limit {
        what: "States of compared objects",
        at: "A request",
        most: Amount::Bytes(history::MAX_COMPARED_BYTES),
        answer: "`truncated`",
    },
    Limit {
        what: "Messages of a page",
        at: "Versions of a dashboard",
        most: Amount::Bytes(version::MAX_PAGE_BYTES),
        answer: "A shorter page",
    },
    Limit {
        what: "Events read to compute changes",
        at: "A request",
        most: Amount::Bytes(history::MAX_READ_BYTES),
        answer: "`truncated`",
    },
    Limit {
        what: "Events folded to compute a former state",
        at: "Histories, the audit log",
        most: Amount::Count(history::MAX_FOLDED_EVENTS.unsigned_abs()),
        answer: "`truncated`",
    },
    Limit {
        what: "Bytes of events read for an undo",
        at: "The audit log",
        most: Amount::Bytes(undo::MAX_UNDO_BYTES),
        answer: "413",
    },
    Limit {
        what: "Tags that are asked for",
        at: "`/api/annotations`",
        most: Amount::Count(annotation::MAX_ASKED_TAGS as u64),
        answer: "400",
    },
    Limit {
        what: "Annotations of a panel that are deleted at a time",
        at: "`/api/annotations/mass-delete`",
        most: Amount::Count(annotation::MAX_DELETED.unsigned_abs()),
        answer: "413",
    },
    Limit {
        what: "Events of an undone request",
        at: "`/api/audit/events/{event_id}/undo`",
        most: Amount::Count(undo::MAX_UNDONE_EVENTS.unsigned_abs()),
        answer: "413",
    },
    Limit {
        what: "Objects in the preview of an undo",
        at: "`/api/audit/events/{event_id}/undo`",
        most: Amount::Count(undo::MAX_LISTED_STEPS as u64),
        answer: "The rest is counted",
    },
    Limit {
        what: "Later changes of an object in the preview of an undo",
        at: "`/api/audit/events/{event_id}/undo`",
        most: Amount::Count(undo::MAX_LATER_OF_OBJECT.unsigned_abs()),
        answer: "The rest is counted",
    },
    Limit {
        what: "Later changes in the preview of an undo",
        at: "`/api/audit/events/{event_id}/undo`",
        most: Amount::Count(undo::MAX_LATER.unsigned_abs()),
        answer: "The newest",
    },
    Limit {
        what: "Kinds of refusals per minute with audit events of their own",
        at: "An actor, an address, the account of failed log-ins",
        most: Amount::Count(access::MAX_KINDS_PER_SOURCE as u64),
        answer: "One event counts the rest",
    },
    Limit {
        what: "Queries per minute with audit events of their own, if the org records queries",
        at: "An actor",
        most: Amount::Count(access::MAX_QUERIES_PER_ACTOR as u64),
        answer: "One event counts the rest",
    },
    Limit {
        what: "Kinds of refusals per minute with audit events of their own",
        at: "All actors, addresses and accounts of an org; half of it for the server",
        most: Amount::Count(access::MAX_KINDS_PER_ORG as u64),
        answer: "One event counts the rest",
    },
    Limit {
        what: "Kinds of refusals per minute",
        at: "All actors, addresses and accounts of a server",
        most: Amount::Count(access::MAX_KINDS as u64),
        answer: "Counted in `kymograph_access_unrecorded_total`",
    },
    Limit {
        what: "Bytes of documents processed inline, without admission",
        at: "Dashboards, histories, the audit log",
        most: Amount::Bytes(work::INLINE_BYTES),
        answer: "Processed on compute threads, as many as cores",
    },
    Limit {
        what: "Bytes of documents processed concurrently with others of this size",
        at: "Dashboards, histories, the audit log",
        most: Amount::Bytes(work::LARGE_BYTES),
        answer: "Processed one at a time",
    },
    Limit {
        what: "Requests that wait for admission to process documents",
        at: "An org",
        most: Amount::Count(work::MAX_WAITING_OF_ORG as u64),
        answer: "429",
    },
    Limit {
        what: "Concurrent requests that read more than 128 KiB of documents to compare, restore or show versions",
        at: "An org",
        most: Amount::Count(work::MAX_ADMITTED_OF_ORG as u64),
        answer: "Others wait, then 429",
    },
    Limit {
        what: "Concurrent requests that read more than 128 KiB of documents to compare, restore or show versions",
        at: "A server",
        most: Amount::Count(work::MAX_ADMITTED as u64),
        answer: "Others wait, then 429",
    },
    Limit {
        what: "Concurrent reads of dashboards above 4 MiB",
        at: "An org",
        most: Amount::Count(work::MAX_LARGE_READS_OF_ORG as u64),
        answer: "Others wait, then 429",
    },
    Limit {
        what: "Concurrent reads of dashboards above 4 MiB",
        at: "A server",
        most: Amount::Count(work::MAX_LARGE_READS as u64),
        answer: "Others wait, then 429",
    },
    Limit {
        what: "Time to wait for admission to process documents",
        at: "A request",
        most: Amount::Time(work::MAX_WAIT),
        answer: "429",
    },
    Limit {
        what: "Orgs that a token adds its user to",
        at: "JWT log-in",
        most: Amount::Count(identity::MAX_MAPPED_ORGS as u64),
        answer: "Memberships are not updated",
    },
    Limit {
        what: "Time for which the user of a token is cached",
        at: "JWT log-in",
        most: Amount::Time(Duration::from_secs(identity::REMEMBERED_SECONDS.unsigned_abs())),
        answer: "The token is verified again",
    },
];
