//! All nouns by name.

use cqrs_es::Aggregate;

use crate::kernel::noun::Noun;

/// Something to do with a noun whose type is only known by name.
pub(crate) trait NounVisitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<N: Noun>(self) -> Self::Output;
}

macro_rules! nouns {
    ($($noun:ty),+ $(,)?) => {
        /// Does something with the noun of that name; `None` if there is none.
        pub(crate) fn visit<V: NounVisitor>(name: &str, visitor: V) -> Option<V::Output> {
            $(if name == <$noun as Aggregate>::TYPE {
                return Some(visitor.visit::<$noun>());
            })+
            None
        }
    };
}

kymograph_domain::with_aggregates!(nouns);
