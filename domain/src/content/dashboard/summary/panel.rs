//! The panels of a dashboard, and the keys that identify them across versions.

use std::collections::{BTreeMap, HashMap};

use super::text_of;
use crate::kernel::json::JsonValue;

/// The name that identifies a panel across versions. Clients omit ids, repeat them and write them as texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum PanelName<'a> {
    Number(i64),
    Text(&'a str),
    /// The title of a panel without an id.
    Title(&'a str),
}

/// The key of a panel: its name, and its number among the panels of that name, from 0.
pub(super) type PanelKey<'a> = (PanelName<'a>, usize);

/// The place of a panel: the list of the dashboard, and the row it is in.
pub(super) type Place<'a> = (&'static str, Option<PanelKey<'a>>);

/// A panel and where it is.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    pub(super) value: JsonValue<'a>,
    pub(super) place: Place<'a>,
}

/// All panels of a dashboard, including those inside rows.
#[derive(Default)]
pub(super) struct Panels<'a> {
    pub(super) by_key: BTreeMap<PanelKey<'a>, Panel<'a>>,
    /// In the order of the document.
    order: Vec<PanelKey<'a>>,
    count_by_name: HashMap<PanelName<'a>, usize>,
}

impl<'a> Panels<'a> {
    pub(super) fn of(dashboard: JsonValue<'a>) -> Self {
        let mut panels = Self::default();
        for list in ["panels", "rows"] {
            panels.add(dashboard.get(list), (list, None));
        }
        panels
    }

    /// Adds the panels of a list and of its rows. The recursion is bounded by the maximum depth of a document.
    fn add(&mut self, list: Option<JsonValue<'a>>, place: Place<'a>) {
        for value in list.into_iter().flat_map(JsonValue::items) {
            let name = name_of(value);
            let count = self.count_by_name.entry(name).or_default();
            let key = (name, *count);
            *count += 1;
            self.by_key.insert(key, Panel { value, place });
            self.order.push(key);
            self.add(value.get("panels"), (place.0, Some(key)));
        }
    }

    /// The order of the panels that the other dashboard has in the same place.
    pub(super) fn order_beside<'s>(&'s self, other: &'s Self) -> impl Iterator<Item = &'s PanelKey<'a>> {
        let place = |panels: &Self, key: &PanelKey<'a>| panels.by_key.get(key).map(|panel| panel.place);
        self.order.iter().filter(move |key| place(self, key) == place(other, key))
    }
}

fn name_of(value: JsonValue<'_>) -> PanelName<'_> {
    let id = value.get("id");
    match (id.and_then(JsonValue::as_i64), id.and_then(JsonValue::as_str)) {
        (Some(number), _) => PanelName::Number(number),
        (None, Some(text)) => PanelName::Text(text),
        (None, None) => PanelName::Title(text_of(value, "title")),
    }
}
