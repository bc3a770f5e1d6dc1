//! The interface by which undo and history work on any noun.

use async_trait::async_trait;
use kymograph_domain::Stream;

use crate::Scope;
use crate::kernel::ending::Endings;
use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::unit::Unit;

/// An aggregate, with what its use cases know of it beyond what it decides itself.
#[async_trait]
pub trait Noun: Stream {
    /// Whether its objects are given rights, which end with them even if one with the same key begins again.
    /// [`Stream::ENDINGS`] names the events that end them.
    const HAS_RIGHTS: bool = false;

    /// Fails unless the actor may do by hand what undoing does to an object, which is there or has to come back. By default
    /// nobody may.
    fn require_undo(scope: &Scope, key: &str, is_there: bool) -> Result<()> {
        let _ = (scope, key, is_there);
        Err(Error::new(ErrorKind::Forbidden, format!("changes of a {} cannot be undone", Self::TYPE)))
    }

    /// The name by which people know the object that has this key, empty if it has none.
    async fn name_in(&self, unit: &Unit<'_>, key: &str) -> Result<String> {
        let _ = (unit, key);
        Ok(self.title().unwrap_or_default().to_owned())
    }

    /// The reason why an object cannot come back that ended, if there is one.
    async fn end_is_final(unit: &Unit<'_>, key: &str) -> Result<Option<&'static str>> {
        let _ = (unit, key);
        Ok(None)
    }

    /// Does, in the same commit, what follows when an object has become what it was before.
    async fn follow_return(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &Endings) -> Result<()> {
        let _ = (unit, scope, endings);
        Ok(())
    }
}
