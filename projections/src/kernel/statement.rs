//! SQL statements on their way to the database.

use std::error::Error;
use std::sync::Arc;

use bytes::BytesMut;
use kymograph_app::kernel::side_write::Value;
use kymograph_domain::{Invariant, Timestamp};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::kernel::sql::Tables;

pub use kymograph_app::kernel::side_write::OnFailure;

/// A parameter that a statement owns.
pub type Param = Box<dyn ToSql + Sync + Send>;

/// A long text that several attempts to write it share.
#[derive(Clone, Debug)]
pub struct SharedText(pub Arc<String>);

impl ToSql for SharedText {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.0.as_str().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        <&str as ToSql>::accepts(ty)
    }

    to_sql_checked!();
}

/// The parameter that a statement of a commit has.
#[must_use]
pub fn param(value: Value) -> Param {
    match value {
        Value::Int(value) => Box::new(value),
        Value::SmallInt(value) => Box::new(value),
        Value::Text(value) => Box::new(value),
        Value::Texts(value) => Box::new(value),
        Value::Bytes(value) => Box::new(value),
        Value::Time(value) => Box::new(value.map(Timestamp::date)),
    }
}

/// One statement with its parameters.
pub struct Statement {
    /// The text, which is prepared once per connection.
    pub sql: &'static str,
    /// The parameters.
    pub params: Vec<Param>,
    /// What a broken rule means.
    pub on_failure: OnFailure,
    /// Whether it only looks and fails if what it sees is not allowed. Replays leave such statements out.
    pub is_check: bool,
    /// Whether it comes after all others of the transaction, those of other orgs included.
    pub is_last: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Check,
    LastCheck,
}

/// Collects statements in the order in which they run.
#[derive(Default)]
pub struct Statements {
    list: Vec<Statement>,
    tables: Tables,
}

/// Boxes parameters: `params![org.0, uid.as_str().to_owned()]`.
#[macro_export]
macro_rules! params {
    ($($param:expr),* $(,)?) => {
        vec![$(Box::new($param) as $crate::kernel::statement::Param),*]
    };
}

/// A parameter for `unnest`: a value of each of the rows that a statement writes.
pub(crate) fn column<R, V>(rows: &[R], value: impl Fn(&R) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

impl Statements {
    /// None yet, on these tables.
    #[must_use]
    pub fn on(tables: Tables) -> Self {
        Self { list: Vec::new(), tables }
    }

    /// Where the tables are that they write.
    #[must_use]
    pub fn tables(&self) -> Tables {
        self.tables
    }

    /// Adds a statement that writes.
    pub fn write(&mut self, sql: &'static str, params: Vec<Param>) {
        self.push(sql, params, OnFailure::Fault, Kind::Write);
    }

    /// Adds a statement that writes and that fails, on a unique index or by a division by zero, if that breaks a rule.
    pub fn write_keeping(&mut self, sql: &'static str, params: Vec<Param>, invariant: Invariant) {
        self.push(sql, params, OnFailure::Broken(invariant), Kind::Write);
    }

    /// Adds a statement that divides by zero if a rule is broken.
    pub fn check(&mut self, sql: &'static str, params: Vec<Param>, on_failure: OnFailure) {
        self.push(sql, params, on_failure, Kind::Check);
    }

    /// Adds a statement that divides by zero if a rule is broken when all that the transaction writes is written, and that
    /// looks at tables of no org only. One that waits for a lock belongs here: by then the heads of all logs are locked, so
    /// that whatever locks one after the other does so in one order.
    pub fn check_last(&mut self, sql: &'static str, params: Vec<Param>, on_failure: OnFailure) {
        self.push(sql, params, on_failure, Kind::LastCheck);
    }

    fn push(&mut self, sql: &'static str, params: Vec<Param>, on_failure: OnFailure, kind: Kind) {
        let (is_check, is_last) = (kind != Kind::Write, kind == Kind::LastCheck);
        self.list.push(Statement { sql, params, on_failure, is_check, is_last });
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds those that others have collected.
    pub fn append(&mut self, mut others: Self) {
        self.list.append(&mut others.list);
    }

    /// The statements.
    #[must_use]
    pub fn into_vec(self) -> Vec<Statement> {
        self.list
    }
}
