//! The settings of the server, for server admins.

use std::collections::BTreeMap;

use crate::kernel::error::Result;
use crate::{Permission, Scope};

/// The text of each setting by section and key. Its creator has left out secrets.
pub type SettingBag = BTreeMap<&'static str, BTreeMap<&'static str, String>>;

/// The use cases of settings.
pub struct Settings {
    bag: SettingBag,
}

impl Settings {
    /// The use cases on these settings.
    #[must_use]
    pub fn new(bag: SettingBag) -> Self {
        Self { bag }
    }

    /// Reads all settings.
    pub fn get_settings(&self, scope: &Scope) -> Result<&SettingBag> {
        scope.require_on_server(Permission::SETTINGS_READ)?;
        Ok(&self.bag)
    }
}
