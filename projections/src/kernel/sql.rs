//! The texts of statements that are composed of parts.
//!
//! A statement is prepared by its text, so the text is made once, at first use: parts are functions that return texts.

use std::fmt;
use std::sync::LazyLock;

use kymograph_domain::OrgId;
use tokio_postgres::types::ToSql;

/// The text of a statement: `static LIST: Text = Text::new(|| format!(…))`.
pub type Text = LazyLock<String>;

/// A statement that divides by zero unless a condition holds. Absence is checked with `NOT EXISTS (…)`.
#[must_use]
pub fn check(condition: &str) -> String {
    format!("SELECT 1 / (CASE WHEN {condition} THEN 1 ELSE 0 END)")
}

/// The location of the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tables {
    /// On the queried server.
    #[default]
    Local,
    /// Distributed over several servers by Citus, which needs another form of some statements.
    Distributed,
}

/// The place of a parameter in a text: the first is `$1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub usize);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.0)
    }
}

/// The parameters of a statement, each of which gets its place when it is added.
#[derive(Debug)]
pub struct Values<V>(Vec<V>);

impl<V> Default for Values<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Values<V> {
    /// Adds a parameter.
    pub fn push(&mut self, value: V) -> Place {
        self.0.push(value);
        Place(self.0.len())
    }

    /// Adds several parameters.
    pub fn push_all<const N: usize>(&mut self, values: [V; N]) -> [Place; N] {
        values.map(|value| self.push(value))
    }

    /// All parameters.
    #[must_use]
    pub fn all(&self) -> &[V] {
        &self.0
    }

    /// All parameters, owned.
    #[must_use]
    pub fn into_vec(self) -> Vec<V> {
        self.0
    }
}

impl<'a> Values<&'a (dyn ToSql + Sync)> {
    /// The parameters of a query on data of an org, which is `$1`.
    #[must_use]
    pub fn of(org: &'a OrgId) -> Self {
        Self(vec![&org.0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_number_themselves() {
        let mut values = Values::default();
        let (org, [uid, id]) = (values.push("1"), values.push_all(["a", "2"]));
        assert_eq!(format!("{org} {uid} {id}"), "$1 $2 $3");
        assert_eq!(values.all(), ["1", "a", "2"]);
    }

    #[test]
    fn a_check_divides_by_zero_unless_its_condition_holds() {
        assert_eq!(check("NOT EXISTS (x)"), "SELECT 1 / (CASE WHEN NOT EXISTS (x) THEN 1 ELSE 0 END)");
    }
}
