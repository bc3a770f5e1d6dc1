//! The limits on concurrent exports.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kymograph_domain::OrgId;

use crate::kernel::error::{Error, Result, overload};

/// The maximum number of concurrent exports.
pub(crate) const MAX_EXPORTS: usize = 8;
/// The maximum number of concurrent exports of an org, so that an org with slow exports does not block others.
pub(crate) const MAX_EXPORTS_OF_ORG: usize = 2;

/// The number of running exports by org.
#[derive(Clone, Default)]
pub(super) struct ExportSlots(Arc<Mutex<HashMap<OrgId, usize>>>);

/// The slot of one export, released on drop.
pub(super) struct ExportSlot {
    slots: ExportSlots,
    org: OrgId,
}

impl ExportSlots {
    /// A slot for an export of an org, if one is free.
    pub(super) fn try_take(&self, org: OrgId) -> Result<ExportSlot> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(&org).is_some_and(|own| *own >= MAX_EXPORTS_OF_ORG) {
            let message = "Too many exports of this org at once, try again shortly";
            return Err(Error::overloaded(overload::EXPORTS_OF_ORG, message));
        }
        if taken.values().sum::<usize>() >= MAX_EXPORTS {
            return Err(Error::overloaded(overload::EXPORTS, "Too many exports at once, try again shortly"));
        }
        *taken.entry(org).or_default() += 1;
        Ok(ExportSlot { slots: self.clone(), org })
    }
}

impl Drop for ExportSlot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.org) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.org);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_org_takes_the_slots_of_others() {
        let slots = ExportSlots::default();
        let take = |org: i64| slots.try_take(OrgId(org));
        let mut held = Vec::new();
        for _ in 0..MAX_EXPORTS_OF_ORG {
            held.push(take(1).unwrap());
        }
        assert!(take(1).is_err());
        for org in 2.. {
            if held.len() == MAX_EXPORTS {
                break;
            }
            held.push(take(org).unwrap());
        }
        assert!(take(99).err().unwrap().message().starts_with("Too many exports at once"));
        held.pop();
        take(99).unwrap();
        assert!(take(1).err().unwrap().message().starts_with("Too many exports of this org"));
        held.clear();
        assert!(slots.0.lock().unwrap().is_empty());
    }
}
