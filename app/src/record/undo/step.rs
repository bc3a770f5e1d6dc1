//! The effects of an undo, object by object.

use kymograph_domain::StreamId;
use serde::{Deserialize, Serialize};

use super::{LaterChanges, MAX_LISTED_STEPS};

/// The fate of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// It is restored.
    Restored,
    /// It is reverted to its state before.
    Reverted,
    /// It is ended: an object that was created is deleted.
    Ended,
    /// A grant is revoked.
    Revoked,
    /// It is unchanged, because it already is in its state before.
    Unchanged,
    /// It is unchanged, because this cannot be undone.
    Impossible,
    /// A rule or missing rights prevent the undo of this object, and so of all.
    Refused,
}

impl Fate {
    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Restored => "restore",
            Self::Reverted => "revert",
            Self::Ended => "end",
            Self::Revoked => "revoke",
            Self::Unchanged => "nothing",
            Self::Impossible => "impossible",
            Self::Refused => "refused",
        }
    }
}

/// The effect on one object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UndoStep {
    /// The type of the object.
    pub noun: String,
    /// Its key: a uid or an id.
    pub key: String,
    /// Its name; empty if it has none.
    pub name: String,
    /// Its fate.
    pub fate: Fate,
    /// The reason, or further details.
    pub detail: String,
    /// Whether later changes are undone with it.
    pub(super) takes_later: bool,
    /// The later changes that are undone with it, in a preview.
    #[serde(skip)]
    pub later: LaterChanges,
}

impl UndoStep {
    pub(super) fn stream(&self) -> StreamId {
        StreamId::from_stored(format!("{}-{}", self.noun, self.key))
    }

    /// The object as a phrase.
    #[must_use]
    pub fn what(&self) -> String {
        let noun = match self.noun.as_str() {
            "org" => "organization".to_owned(),
            "resource_permission" => "permissions of".to_owned(),
            noun => noun.replace('_', " "),
        };
        match (self.name.as_str(), self.key.as_str()) {
            ("", "") => noun,
            ("", key) => format!("{noun} {key}"),
            (name, _) => format!("{noun} “{name}”"),
        }
    }

    /// The step as a sentence.
    #[must_use]
    pub fn text(&self) -> String {
        let what = self.what();
        let text = match (self.fate, self.noun.as_str()) {
            (Fate::Restored, _) => format!("Restore {what}"),
            (Fate::Reverted, _) => format!("Revert {what}"),
            (Fate::Ended, "dashboard") => format!("Move {what} to the trash"),
            (Fate::Ended, "invite") => format!("Revoke {what}"),
            (Fate::Ended, _) => format!("Delete {what}"),
            (Fate::Revoked, _) => format!("Revoke the new token of {what}"),
            (Fate::Unchanged, _) => format!("Leave {what} as it is"),
            (Fate::Impossible, _) => format!("Cannot undo the change of {what}"),
            (Fate::Refused, _) => format!("Refused: {what}"),
        };
        if self.detail.is_empty() { text } else { format!("{text}: {}", self.detail) }
    }
}

/// The effects of undoing a request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UndoPlan {
    /// The correlation id of the request.
    pub correlation_id: String,
    /// The effect on each object, up to the maximum number.
    pub steps: Vec<UndoStep>,
    /// The number of objects.
    pub count: usize,
    /// The number of objects that change.
    pub changed: usize,
    /// A digest of the state of all objects that the plan was decided on.
    pub seen: String,
    first_impossible: Option<String>,
}

impl UndoPlan {
    /// A plan for the requests with a correlation id, without any object yet.
    pub(super) fn of(correlation_id: &str) -> Self {
        Self { correlation_id: correlation_id.to_owned(), ..Self::default() }
    }

    /// Adds the effect on an object. A refusal is listed even if the list is full, because it decides on all.
    pub(super) fn push(&mut self, step: UndoStep) {
        self.count += 1;
        match step.fate {
            Fate::Impossible => {
                self.first_impossible.get_or_insert_with(|| step.detail.clone());
            }
            Fate::Unchanged | Fate::Refused => {}
            _ => self.changed += 1,
        }
        let is_full = self.steps.len() >= MAX_LISTED_STEPS;
        if is_full && step.fate == Fate::Refused {
            self.steps.pop();
            self.steps.insert(0, step);
        } else if !is_full {
            self.steps.push(step);
        }
    }

    /// The reason why nothing can be undone.
    pub(super) fn impossible(&self) -> Option<&str> {
        self.first_impossible.as_deref().filter(|_| self.changed == 0)
    }

    /// Whether an object is refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.steps.iter().any(|step| step.fate == Fate::Refused)
    }
}
