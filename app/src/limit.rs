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
        what: "Age of rights that were changed by another server, if its word of that was lost",
        at: "A server",
        most: Amount::Time(cache::MAX_AGE),
        answer: "They are read again",
    },
    Limit {
        what: "Time without a beat of the feed of changes",
        at: "A server",
        most: Amount::Time(feed_health::MAX_SILENCE),
        answer: "Nothing is cached, `/readyz` is 503",
    },
    Limit {
        what: "Commands that load more than 32 objects at a time",
        at: "A server; deletions of folders, undoing",
        most: Amount::Count(unit::MAX_BULK as u64),
        answer: "429 after a wait of 10 s",
    },
    Limit {
        what: "Commands that load more than 32 objects at a time",
        at: "An org",
        most: Amount::Count(unit::MAX_BULK_OF_ORG as u64),
        answer: "429 after a wait of 10 s",
    },
    Limit {
        what: "Commands that wait to load more than 32 objects",
        at: "An org",
        most: Amount::Count(unit::MAX_WAITING_BULK_OF_ORG as u64),
        answer: "429",
    },
    Limit {
        what: "Entries of a page",
        at: "Lists that are paged by number",
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
        what: "Rows of a list that are not counted",
        at: "Every list",
        most: Amount::Bytes(work::INLINE_BYTES),
        answer: "They count among the lists of up to 512 KiB",
    },
    Limit {
        what: "Lists of 128 KiB to 512 KiB that are made at a time",
        at: "An org",
        most: Amount::Count(answer::MAX_MEDIUM_OF_ORG as u64),
        answer: "The others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Lists of 128 KiB to 512 KiB that are made at a time",
        at: "A server",
        most: Amount::Count(answer::MAX_MEDIUM as u64),
        answer: "The others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Rows of a list that are read beside many others of this size",
        at: "Every list",
        most: Amount::Bytes(answer::MEDIUM_BYTES),
        answer: "They are read again when it is the org's turn",
    },
    Limit {
        what: "Rows of a list that are read beside others of this size",
        at: "Every list",
        most: Amount::Bytes(answer::LARGE_BYTES),
        answer: "They are read again when no other such list is made",
    },
    Limit { what: "Rows of a list", at: "Every list", most: Amount::Bytes(answer::MAX_BYTES), answer: "413" },
    Limit {
        what: "Lists above 512 KiB that are made at a time",
        at: "An org",
        most: Amount::Count(answer::MAX_LARGE_OF_ORG as u64),
        answer: "The others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Lists above 512 KiB that are made at a time",
        at: "A server",
        most: Amount::Count(answer::MAX_LARGE as u64),
        answer: "The others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Lists above 4 MiB that are made at a time",
        at: "A server",
        most: Amount::Count(answer::MAX_HUGE as u64),
        answer: "The others wait, then 429 `overload.answers`",
    },
    Limit {
        what: "Tags of a list",
        at: "`/api/dashboards/tags`",
        most: Amount::Count(dashboard::MAX_LISTED_TAGS.unsigned_abs()),
        answer: "Those that the most dashboards have",
    },
    Limit {
        what: "Login and password",
        at: "A log-in",
        most: Amount::Bytes(MAX_PASSWORD_BYTES),
        answer: "401, like a wrong password",
    },
    Limit {
        what: "Checks of a password at once",
        at: "A user",
        most: Amount::Count(1),
        answer: "The others wait",
    },
    Limit {
        what: "Time in which failed log-ins of a user count",
        at: "`[security] brute_force_login_protection_max_attempts`",
        most: Amount::Time(Duration::from_secs(login_attempt::WINDOW_SECONDS.unsigned_abs())),
        answer: "401 `login-attempt.blocked`",
    },
    Limit {
        what: "Sessions",
        at: "A user",
        most: Amount::Count(session::MAX_SESSIONS as u64),
        answer: "The one used longest ago ends",
    },
    Limit {
        what: "Mails within an hour",
        at: "A user, and an address",
        most: Amount::Count(mail::MAX_MAILS.unsigned_abs()),
        answer: "429 `overload.mails`",
    },
    Limit {
        what: "Times that a job, such as sending a mail, is tried",
        at: "A job",
        most: Amount::Count(job::MAX_ATTEMPTS as u64),
        answer: "It is dead: `/api/admin/jobs` lists it, and has it tried again",
    },
    Limit {
        what: "Time of a job at a time",
        at: "A job; ten times as long to delete what has expired",
        most: Amount::Time(job::TIME_LIMIT),
        answer: "It is tried again later",
    },
    Limit {
        what: "Time for which a dead job is kept",
        at: "A job",
        most: Amount::Time(job::KEEP_DEAD),
        answer: "It is deleted",
    },
    Limit {
        what: "Text that is searched for",
        at: "Every search, every list with a `query`",
        most: Amount::Characters(text::MAX_SEARCHED_CHARACTERS),
        answer: "What comes after that does not count",
    },
    Limit {
        what: "Words that are searched for",
        at: "`/api/search`",
        most: Amount::Count(text::MAX_SEARCHED_WORDS as u64),
        answer: "Words after that do not count",
    },
    Limit {
        what: "Tags that are asked for",
        at: "`/api/search`",
        most: Amount::Count(search::MAX_TAGS as u64),
        answer: "400",
    },
    Limit {
        what: "A tag that is asked for",
        at: "`/api/search`",
        most: Amount::Characters(text::MAX_SEARCHED_CHARACTERS),
        answer: "400",
    },
    Limit {
        what: "Uids or ids that are asked for",
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
        what: "Actors that a filter means",
        at: "The audit log",
        most: Amount::Count(audit::MAX_FILTER_ACTORS.unsigned_abs()),
        answer: "400",
    },
    Limit {
        what: "Exports at a time",
        at: "The audit log of an org",
        most: Amount::Count(audit::MAX_EXPORTS_OF_ORG as u64),
        answer: "429",
    },
    Limit {
        what: "Exports at a time",
        at: "The audit logs of a server",
        most: Amount::Count(audit::MAX_EXPORTS as u64),
        answer: "429",
    },
    Limit {
        what: "Entries of an export that are read or written out together",
        at: "The audit log",
        most: Amount::Bytes(audit::MAX_BATCH_BYTES),
        answer: "Fewer at once",
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
        what: "What an entry changed, in words",
        at: "Histories, the audit log",
        most: Amount::Bytes(past::MAX_DESCRIPTION_BYTES),
        answer: "`truncated`",
    },
    Limit {
        what: "Name in the path of a change",
        at: "Histories, the audit log",
        most: Amount::Characters(changes::MAX_SEGMENT),
        answer: "Its beginning",
    },
    Limit {
        what: "Events of a page with changes",
        at: "Histories",
        most: Amount::Bytes(history::MAX_PAGE_BYTES),
        answer: "A shorter page",
    },
    Limit {
        what: "States of objects that are compared",
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
        what: "Events that are read for changes",
        at: "A request",
        most: Amount::Bytes(history::MAX_READ_BYTES),
        answer: "`truncated`",
    },
    Limit {
        what: "Events from which it is found out what an object was like",
        at: "Histories, the audit log",
        most: Amount::Count(history::MAX_FOLDED_EVENTS.unsigned_abs()),
        answer: "`truncated`",
    },
    Limit {
        what: "Bytes of events that are read to undo a request",
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
        what: "Things that a request did which is undone",
        at: "`/api/audit/events/{event_id}/undo`",
        most: Amount::Count(undo::MAX_UNDONE_EVENTS.unsigned_abs()),
        answer: "413",
    },
    Limit {
        what: "Objects that the preview of an undo names",
        at: "`/api/audit/events/{event_id}/undo`",
        most: Amount::Count(undo::MAX_LISTED_STEPS as u64),
        answer: "Others are counted",
    },
    Limit {
        what: "Later changes of an object that the preview of an undo names",
        at: "`/api/audit/events/{event_id}/undo`",
        most: Amount::Count(undo::MAX_LATER_OF_OBJECT.unsigned_abs()),
        answer: "Others are counted",
    },
    Limit {
        what: "Later changes that the preview of an undo names",
        at: "`/api/audit/events/{event_id}/undo`",
        most: Amount::Count(undo::MAX_LATER.unsigned_abs()),
        answer: "The newest",
    },
    Limit {
        what: "Kinds of refusals within a minute that have entries of their own",
        at: "An actor, an address, an account that somebody tries to get into",
        most: Amount::Count(access::MAX_KINDS_PER_SOURCE as u64),
        answer: "One entry counts the others",
    },
    Limit {
        what: "Kinds of refusals within a minute that have entries of their own",
        at: "All actors, all addresses, all accounts of an org; of the server half of its own",
        most: Amount::Count(access::MAX_KINDS_PER_ORG as u64),
        answer: "One entry counts the others",
    },
    Limit {
        what: "Kinds of refusals within a minute",
        at: "All actors, all addresses, all accounts of a server",
        most: Amount::Count(access::MAX_KINDS as u64),
        answer: "Counted in `kymograph_access_unrecorded_total`",
    },
    Limit {
        what: "Bytes of documents that are worked on at once, without a turn",
        at: "Dashboards, histories, the audit log",
        most: Amount::Bytes(work::INLINE_BYTES),
        answer: "Work on a thread of its own, as much at a time as there are cores",
    },
    Limit {
        what: "Bytes of documents that are worked on beside others of this size",
        at: "Dashboards, histories, the audit log",
        most: Amount::Bytes(work::LARGE_BYTES),
        answer: "Work on one at a time",
    },
    Limit {
        what: "Requests that wait for a turn to work on documents",
        at: "An org",
        most: Amount::Count(work::MAX_WAITING_OF_ORG as u64),
        answer: "429",
    },
    Limit {
        what: "Requests that read more than 128 KiB of documents to compare, restore or show older ones",
        at: "An org",
        most: Amount::Count(work::MAX_ADMITTED_OF_ORG as u64),
        answer: "The others wait, then 429",
    },
    Limit {
        what: "Requests that read more than 128 KiB of documents to compare, restore or show older ones",
        at: "A server",
        most: Amount::Count(work::MAX_ADMITTED as u64),
        answer: "The others wait, then 429",
    },
    Limit {
        what: "Dashboards of more than 4 MiB that are read at a time",
        at: "An org",
        most: Amount::Count(work::MAX_LARGE_READS_OF_ORG as u64),
        answer: "The others wait, then 429",
    },
    Limit {
        what: "Dashboards of more than 4 MiB that are read at a time",
        at: "A server",
        most: Amount::Count(work::MAX_LARGE_READS as u64),
        answer: "The others wait, then 429",
    },
    Limit {
        what: "Time to wait for a turn to work on documents",
        at: "A request",
        most: Amount::Time(work::MAX_WAIT),
        answer: "429",
    },
    Limit {
        what: "Orgs that a token makes its user a member of",
        at: "JWT log-in",
        most: Amount::Count(identity::MAX_MAPPED_ORGS as u64),
        answer: "Memberships stay as they are",
    },
    Limit {
        what: "Time for which a token's user is remembered",
        at: "JWT log-in",
        most: Amount::Time(Duration::from_secs(identity::REMEMBERED_SECONDS.unsigned_abs())),
        answer: "The token is verified again",
    },
];
