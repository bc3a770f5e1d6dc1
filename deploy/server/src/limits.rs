//! The subcommand `limits`.

use std::fmt::Write;

use kymograph_domain::limit::{Amount, Limit};
use kymograph_projections::database::share_of;

use crate::config::Config;

/// Prints the bounds.
#[allow(clippy::print_stdout, reason = "the table is what the command is for")]
pub fn print(config: &Config) {
    print!("{}", document(config));
}

/// The bounds of a server with this configuration, as Markdown.
#[must_use]
pub fn document(config: &Config) -> String {
    let settings = settings(config);
    let sections: [(&str, &[Limit]); 5] = [
        ("Settings", &settings),
        ("Requests", kymograph_api::limit::LIMITS),
        ("Work of a request", kymograph_app::limit::LIMITS),
        ("What is kept", kymograph_domain::limit::LIMITS),
        ("What clients share", kymograph_infra::limit::LIMITS),
    ];
    let mut text = String::from(INTRODUCTION);
    for (title, limits) in sections {
        // Writing to a text cannot fail.
        let _ = write!(text, "\n## {title}\n\n| What | Where | At most | Beyond it |\n|---|---|---|---|\n");
        for Limit { what, at, most, answer } in limits {
            let _ = writeln!(text, "| {what} | {at} | {most} | {answer} |");
        }
    }
    text
}

const INTRODUCTION: &str = "# Limits\n\n\
    `kymograph limits` prints this page from the constants in the code and from the settings of a server; here are the \
    defaults.\nA test compares the two. Statuses are those that a client gets.\n";

fn settings(config: &Config) -> Vec<Limit> {
    vec![
        Limit {
            what: "Request body",
            at: "`[server] max_body`",
            most: Amount::Bytes(config.server.max_body),
            answer: "413",
        },
        Limit {
            what: "Document of a dashboard as it is stored, or with its inputs filled in",
            at: "`[server] max_body`",
            most: Amount::Bytes(config.server.max_body),
            answer: "413",
        },
        Limit {
            what: "Time of a request",
            at: "`[server] request_timeout`",
            most: Amount::Time(config.server.request_timeout),
            answer: "504",
        },
        Limit {
            what: "Time in which a client takes what is sent to it",
            at: "`[server] write_timeout`",
            most: Amount::Time(config.server.write_timeout),
            answer: "The connection is closed",
        },
        Limit {
            what: "Reads of the database at a time, of an org",
            at: "A quarter of `[database] max_open_conn`",
            most: Amount::Count(share_of(config.database.readers()) as u64),
            answer: "Others wait, then 429",
        },
        Limit {
            what: "Commits at a time that touch several orgs",
            at: "A quarter of `[database] max_open_conn`",
            most: Amount::Count(share_of(config.database.writers()) as u64),
            answer: "Others wait, then 429",
        },
    ]
}
