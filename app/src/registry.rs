//! All nouns by name.

use cqrs_es::Aggregate;

use crate::kernel::noun::Noun;

/// An operation on a noun whose type is only known by name.
pub(crate) trait NounVisitor {
    /// The result of the operation.
    type Output;

    /// Runs the operation.
    fn visit<N: Noun>(self) -> Self::Output;
}

macro_rules! nouns {
    ($($noun:ty),+ $(,)?) => {
        /// Runs an operation on the noun with this name; `None` if no noun has it.
        pub(crate) fn visit<V: NounVisitor>(name: &str, visitor: V) -> Option<V::Output> {
            $(if name == <$noun as Aggregate>::TYPE {
                return Some(visitor.visit::<$noun>());
            })+
            None
        }
    };
}

kymograph_domain::with_aggregates!(nouns);
