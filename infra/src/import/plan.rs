//! In which steps an import is written.
//!
//! Each step brings whole objects, and none before the folder that it is in, so that an org is in order after each of them. The
//! events of a step have the order that they have in the file.

use super::check::Checked;
use super::source::LinePlace;

/// How many events a step has, and of how many bytes, unless one object has more: what is written in less than a second, for which
/// others who write to the org wait.
const EVENTS: i64 = 5_000;
const BYTES: u64 = 8 * 1024 * 1024;

/// The steps of an import.
pub(super) struct Plan {
    pub(super) correlation_id: String,
    /// The places of all events, step by step.
    lines: Vec<LinePlace>,
    steps: Vec<Step>,
    /// How many numeric ids all steps take.
    ids: i64,
}

/// A step.
struct Step {
    /// The end of its events in the list of all.
    end: usize,
    /// How many numeric ids all before it take.
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
        // The objects of an earlier run are in no step.
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

    /// How many steps there are.
    pub(super) fn steps(&self) -> usize {
        self.steps.len()
    }

    /// How many events there are.
    pub(super) fn events(&self) -> usize {
        self.lines.len()
    }

    /// The places of the events of a step.
    pub(super) fn lines(&self, step: usize) -> &[LinePlace] {
        let end = |step: usize| self.steps.get(step).map_or(0, |step| step.end);
        let begin = step.checked_sub(1).map_or(0, end);
        self.lines.get(begin..end(step)).unwrap_or_default()
    }

    /// How many numeric ids all steps take.
    pub(super) fn ids(&self) -> i64 {
        self.ids
    }

    /// How many numeric ids all steps before one take.
    pub(super) fn ids_before(&self, step: usize) -> i64 {
        self.steps.get(step).map_or(0, |step| step.ids_before)
    }
}
