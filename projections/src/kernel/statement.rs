//! SQL statements to be sent to the database.

use std::error::Error;
use std::sync::Arc;

use bytes::BytesMut;
use kymograph_app::kernel::side_write::Value;
use kymograph_domain::{Invariant, Timestamp};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::kernel::sql::Tables;

pub use kymograph_app::kernel::side_write::OnFailure;

/// An owned parameter of a statement.
pub type Param = Box<dyn ToSql + Sync + Send>;

/// A long text, shared by several attempts to write it.
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

/// Converts a parameter of a commit's statement.
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
    /// The meaning of a failure.
    pub on_failure: OnFailure,
    /// Whether it only checks, and fails if the check does. Replays omit such statements.
    pub is_check: bool,
    /// Whether it runs after all others of the transaction, including those of other orgs.
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

/// A parameter for `unnest`: the values of one column of the rows that a statement writes.
pub(crate) fn column<R, V>(rows: &[R], value: impl Fn(&R) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

impl Statements {
    /// An empty collection, for these tables.
    #[must_use]
    pub fn on(tables: Tables) -> Self {
        Self { list: Vec::new(), tables }
    }

    /// The location of the tables that they write.
    #[must_use]
    pub fn tables(&self) -> Tables {
        self.tables
    }

    /// Adds a statement that writes.
    pub fn write(&mut self, sql: &'static str, params: Vec<Param>) {
        self.push(sql, params, OnFailure::Fault, Kind::Write);
    }

    /// Adds a statement that writes, and fails with a unique index or a division by zero if that breaks an invariant.
    pub fn write_keeping(&mut self, sql: &'static str, params: Vec<Param>, invariant: Invariant) {
        self.push(sql, params, OnFailure::Broken(invariant), Kind::Write);
    }

    /// Adds a statement that divides by zero if a rule is broken.
    pub fn check(&mut self, sql: &'static str, params: Vec<Param>, on_failure: OnFailure) {
        self.push(sql, params, on_failure, Kind::Check);
    }

    /// Adds a statement that divides by zero if a rule is broken after all writes of the transaction, and that reads
    /// only tables without a tenant. Statements that wait for a lock belong here: by then the heads of all logs are
    /// locked, so that all transactions take these locks in the same order.
    pub fn check_last(&mut self, sql: &'static str, params: Vec<Param>, on_failure: OnFailure) {
        self.push(sql, params, on_failure, Kind::LastCheck);
    }

    fn push(&mut self, sql: &'static str, params: Vec<Param>, on_failure: OnFailure, kind: Kind) {
        let (is_check, is_last) = (kind != Kind::Write, kind == Kind::LastCheck);
        self.list.push(Statement { sql, params, on_failure, is_check, is_last });
    }

    /// Whether there are no statements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Appends the statements of another collection.
    pub fn append(&mut self, mut others: Self) {
        self.list.append(&mut others.list);
    }

    /// The statements.
    #[must_use]
    pub fn into_vec(self) -> Vec<Statement> {
        self.list
    }
}
