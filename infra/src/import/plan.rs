//! The plan of an import: its steps.
//!
//! Each step writes whole objects, and none before its folder, so the org is consistent after each of them. The events
//! of a step have the order of the file.

use super::check::Checked;
use super::source::LinePlace;

/// The maximum events and bytes of a step, except for a single larger object: a step takes less than a second, during
/// which other writes to the org wait.
const EVENTS: i64 = 5_000;
const BYTES: u64 = 8 * 1024 * 1024;

/// The steps of an import.
pub(super) struct Plan {
    pub(super) correlation_id: String,
    /// The places of all events, by step.
    lines: Vec<LinePlace>,
    steps: Vec<Step>,
    /// The number of numeric ids of all steps.
    ids: i64,
}

/// A step.
struct Step {
    /// The end index of its events.
    end: usize,
    /// The number of numeric ids of the steps before it.
    ids_before: i64,
}

impl Plan {
    pub(super) fn of(checked: Checked) -> Self {
        let Checked { import, lines, correlation_id } = checked;
        let mut objects: Vec<_> = import.objects().collect();
        objects.sort_unstable_by_key(|object| (object.rank, object.object));
        let highest = lines.iter().map(|(_, object)| *object as usize + 1).max().unwrap_or_default();
        let mut bytes_of = vec![0_u64; highest];
        for (place, object) in &lines {
            bytes_of[*object as usize] += u64::from(place.length);
        }
        // Objects of an earlier run are skipped.
        let mut step_of = vec![None; highest];
        let mut ids_before = vec![0];
        let (mut events, mut bytes, mut ids) = (0, 0, 0);
        for object in objects {
            let bytes_of_object = bytes_of[object.object];
            if events > 0 && (events + object.events > EVENTS || bytes + bytes_of_object > BYTES) {
                ids_before.push(ids);
                (events, bytes) = (0, 0);
            }
            step_of[object.object] = Some(ids_before.len() - 1);
            (events, bytes, ids) = (events + object.events, bytes + bytes_of_object, ids + object.ids);
        }
        let wanted = lines.into_iter().filter_map(|(place, object)| Some((step_of[object as usize]?, place)));
        let mut wanted: Vec<_> = wanted.collect();
        wanted.sort_unstable_by_key(|(step, place)| (*step, place.number));
        let end = |step| wanted.partition_point(|(of, _)| *of <= step);
        let steps = ids_before.into_iter().enumerate();
        let steps = steps.map(|(step, ids_before)| Step { end: end(step), ids_before }).collect();
        let lines = wanted.into_iter().map(|(_, place)| place).collect();
        Self { correlation_id, lines, steps, ids }
    }

    /// The number of steps.
    pub(super) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// The number of events.
    pub(super) fn events(&self) -> usize {
        self.lines.len()
    }

    /// The places of the events of a step.
    pub(super) fn lines(&self, step: usize) -> &[LinePlace] {
        let end = |step: usize| self.steps.get(step).map_or(0, |step| step.end);
        let begin = step.checked_sub(1).map_or(0, end);
        self.lines.get(begin..end(step)).unwrap_or_default()
    }

    /// The number of numeric ids of all steps.
    pub(super) fn ids(&self) -> i64 {
        self.ids
    }

    /// The number of numeric ids of the steps before one.
    pub(super) fn ids_before(&self, step: usize) -> i64 {
        self.steps.get(step).map_or(0, |step| step.ids_before)
    }
}
