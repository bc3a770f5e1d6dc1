//! The interface of nouns to undo and history.

use async_trait::async_trait;
use kymograph_domain::Stream;

use crate::Scope;
use crate::kernel::ending::Endings;
use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::unit::Unit;

/// An aggregate, with properties that its use cases need in addition to its own decisions.
#[async_trait]
pub trait Noun: Stream {
    /// Whether its objects are granted rights, which end with them even if an object with the same key begins again.
    /// [`Stream::ENDINGS`] names the events that end them.
    const HAS_RIGHTS: bool = false;

    /// Fails unless the actor has the permissions to do manually what an undo does to an object, which exists or has to
    /// be restored. By default, no actor has them.
    fn require_undo(scope: &Scope, key: &str, is_there: bool) -> Result<()> {
        let _ = (scope, key, is_there);
        Err(Error::new(ErrorKind::Forbidden, format!("changes of a {} cannot be undone", Self::TYPE)))
    }

    /// The display name of the object with this key, empty if it has none.
    async fn name_in(&self, unit: &Unit<'_>, key: &str) -> Result<String> {
        let _ = (unit, key);
        Ok(self.title().unwrap_or_default().to_owned())
    }

    /// The reason why an ended object cannot be restored; `None` if it can.
    async fn end_is_final(unit: &Unit<'_>, key: &str) -> Result<Option<&'static str>> {
        let _ = (unit, key);
        Ok(None)
    }

    /// Makes, in the same commit, the changes that follow when an object is restored to an earlier state.
    async fn follow_return(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &Endings) -> Result<()> {
        let _ = (unit, scope, endings);
        Ok(())
    }
}
