//! The limits on the work and the memory of an evaluation.

use super::reason::Reason;

/// The maximum number of steps of all expressions of a request together. Adding two numbers is one step.
pub const MAX_WORK: usize = 100_000_000;
/// The maximum number of computed values and times that the expressions of a request hold at a time.
pub const MAX_VALUES: usize = 4_000_000;

/// The remaining budget of an evaluation.
#[derive(Debug)]
pub struct Meter {
    work: usize,
    values: usize,
    ran_out_of_values: bool,
}

impl Default for Meter {
    fn default() -> Self {
        Self::within(MAX_VALUES)
    }
}

impl Meter {
    /// A meter that allows at most so many values, and no more than [`MAX_VALUES`].
    pub(super) fn within(values: usize) -> Self {
        Self { work: MAX_WORK, values: values.min(MAX_VALUES), ran_out_of_values: false }
    }

    /// Whether something has failed because there were not enough values.
    pub(super) fn ran_out_of_values(&self) -> bool {
        self.ran_out_of_values
    }

    /// Takes steps of work from the budget.
    pub(super) fn work(&mut self, steps: usize) -> Result<(), Reason> {
        self.work = self.work.checked_sub(steps).ok_or(Reason::TooMuchWork)?;
        Ok(())
    }

    /// Takes the memory of values from the budget.
    pub(super) fn hold(&mut self, values: usize) -> Result<(), Reason> {
        let Some(left) = self.values.checked_sub(values) else {
            self.ran_out_of_values = true;
            return Err(Reason::TooManyValues);
        };
        self.values = left;
        Ok(())
    }

    /// Returns the memory of values to the budget.
    pub(super) fn release(&mut self, values: usize) {
        self.values = self.values.saturating_add(values).min(MAX_VALUES);
    }

    /// Runs `work`. If it fails, the memory that it held is returned to the budget.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, Reason>) -> Result<T, Reason> {
        let before = self.values;
        let made = work(self);
        if made.is_err() {
            self.values = before;
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_values_are_bounded() {
        let mut meter = Meter::default();
        meter.work(MAX_WORK).unwrap();
        assert_eq!(meter.work(1), Err(Reason::TooMuchWork));
        meter.hold(MAX_VALUES - 1).unwrap();
        assert_eq!(meter.hold(2), Err(Reason::TooManyValues));
        meter.hold(1).unwrap();
        meter.release(3);
        meter.hold(3).unwrap();
        assert_eq!(meter.hold(1), Err(Reason::TooManyValues));
        meter.release(usize::MAX);
        assert_eq!(meter.hold(MAX_VALUES + 1), Err(Reason::TooManyValues));
    }

    #[test]
    fn who_fails_holds_nothing() {
        let mut meter = Meter::default();
        let failed = meter.run(|meter| meter.hold(MAX_VALUES).and_then(|()| meter.hold(1)));
        assert_eq!(failed, Err(Reason::TooManyValues));
        meter.run(|meter| meter.hold(MAX_VALUES)).unwrap();
        assert_eq!(meter.hold(1), Err(Reason::TooManyValues));
    }
}
