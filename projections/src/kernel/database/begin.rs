//! The first commands of a transaction.

use std::fmt;

use crate::kernel::sql::Tables;

/// The first commands of a transaction, as one message; on distributed tables as one message each, because Citus would
/// repeat the whole message to its workers.
pub(super) struct Begin {
    pub(super) first: String,
    pub(super) others: Vec<String>,
}

impl Begin {
    pub(super) fn new(command: &str) -> Self {
        Self { first: command.to_owned(), others: Vec::new() }
    }

    pub(super) fn then(mut self, tables: Tables, command: fmt::Arguments<'_>) -> Self {
        match tables {
            Tables::Local => self.first = format!("{}; {command}", self.first),
            Tables::Distributed => self.others.push(command.to_string()),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_messages_of_their_own_on_distributed_tables() {
        let begin = |tables| {
            Begin::new("BEGIN READ ONLY").then(tables, format_args!("SET LOCAL app.org_id = '{}'", 7))
        };
        let local = begin(Tables::Local);
        assert_eq!(
            (local.first.as_str(), local.others.len()),
            ("BEGIN READ ONLY; SET LOCAL app.org_id = '7'", 0)
        );
        let distributed = begin(Tables::Distributed);
        assert_eq!(distributed.first, "BEGIN READ ONLY");
        assert_eq!(distributed.others, ["SET LOCAL app.org_id = '7'"]);
    }
}
