//! The resampling of series to points at even distances.

use winnow::Parser;
use winnow::ascii::digit1;
use winnow::combinator::{alt, opt};
use winnow::error::EmptyError;

use super::meter::Meter;
use super::model::{self, Members};
use super::reason::Reason;
use super::reduce::Reducer;
use super::set::{Data, Points, Set, Shared, no_nulls};

/// The maximum number of points of a resampled series.
pub const MAX_POINTS: usize = 50_000;

const NANOS_OF_MS: i64 = 1_000_000;
const SECOND: f64 = 1e9;
const MINUTE: f64 = 60.0 * SECOND;
const HOUR: f64 = 60.0 * MINUTE;
const DAY: f64 = 24.0 * HOUR;

/// Gives series points at even distances: one at the end of each window, made of the points of the window.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resample {
    pub(super) input: String,
    window_ns: i64,
    downsampler: Reducer,
    upsampler: Upsampler,
    from_ms: i64,
    to_ms: i64,
}

/// The value of a point whose window is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upsampler {
    /// The last value before it.
    Pad,
    /// The next value after it.
    Backfill,
    /// Null.
    Null,
}

impl Resample {
    /// Reads the members of an expression with a time range.
    pub(super) fn try_read(members: &Members, from_ms: i64, to_ms: i64) -> Result<Self, String> {
        let window = model::text(members, "window")?;
        let window_ns = duration_ns(window)
            .ok_or_else(|| format!("the window `{window}` is no length of time like 10s, 5m or 1h30m"))?;
        let downsampler = match model::text(members, "downsampler")? {
            "count" | "median" => None,
            name => Reducer::named(name),
        };
        let downsampler = downsampler.ok_or("the downsampler must be sum, mean, min, max or last")?;
        let upsampler = match model::text(members, "upsampler")? {
            "pad" => Upsampler::Pad,
            "backfilling" => Upsampler::Backfill,
            "fillna" => Upsampler::Null,
            _ => return Err("the upsampler must be pad, backfilling or fillna".to_owned()),
        };
        let input = model::input(model::text(members, "expression")?)?;
        Ok(Self { input, window_ns, downsampler, upsampler, from_ms, to_ms })
    }

    /// Gives each series points at even distances, all at the same times.
    pub(super) fn evaluate<'a>(&self, input: Set<'a>, meter: &mut Meter) -> Result<Set<'a>, Reason> {
        if matches!(input, Set::NoData) {
            return Ok(input);
        }
        let times: Shared<'a, Vec<i64>> = self.times()?.into();
        input.try_map(meter, |_, data, meter| match data {
            Data::Number(_) => Err(Reason::NotSeries),
            Data::Series(points) => {
                meter.work(points.len() + times.len())?;
                Ok(Data::Series(self.of_series(&points, &times)))
            }
        })
    }

    fn times(&self) -> Result<Vec<i64>, Reason> {
        let (from, to) = (self.from_ms.saturating_mul(NANOS_OF_MS), self.to_ms.saturating_mul(NANOS_OF_MS));
        let windows = to.saturating_sub(from).max(0) / self.window_ns;
        let windows = usize::try_from(windows).unwrap_or(usize::MAX);
        match windows {
            0 => Err(Reason::ShortRange),
            MAX_POINTS.. => Err(Reason::TooManyPoints),
            _ => Ok(std::iter::successors(Some(from), |time| time.checked_add(self.window_ns))
                .take(windows + 1)
                .collect()),
        }
    }

    /// A window ends with its point. The first one begins with the series.
    fn of_series<'a>(&self, points: &Points<'_>, times: &Shared<'a, Vec<i64>>) -> Points<'a> {
        let known = points.or_nan();
        let value = |place: usize| {
            let is_null = points.nulls.get(place).copied().unwrap_or_default();
            known.get(place).copied().filter(|_| !is_null)
        };
        let (mut numbers, mut nulls) = (Vec::with_capacity(times.len()), Vec::new());
        let mut begin = 0;
        for time in times.iter() {
            let end = begin + points.times[begin..].iter().take_while(|point| *point <= time).count();
            let made = match (&known[begin..end], self.upsampler) {
                ([], Upsampler::Pad) => begin.checked_sub(1).and_then(value),
                ([], Upsampler::Backfill) => value(begin),
                ([], Upsampler::Null) => None,
                (window, _) => Some(self.downsampler.reduce(window)),
            };
            if made.is_none() {
                nulls.resize(numbers.len(), false);
            }
            if made.is_none() || !nulls.is_empty() {
                nulls.push(made.is_none());
            }
            numbers.push(made.unwrap_or_default());
            begin = end;
        }
        let nulls = if nulls.is_empty() { no_nulls() } else { nulls.into() };
        Points { times: times.clone(), numbers: numbers.into(), nulls }
    }
}

/// The nanoseconds of a duration, like `10s` or `1h30m`; `None` if it is invalid. A month has 30 days and a year 365.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "it fits, and no more is needed"
)]
fn duration_ns(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    while !rest.is_empty() {
        sum += part_ns(&mut rest).ok()?;
    }
    (1.0..(i64::MAX / 2) as f64).contains(&sum).then_some(sum as i64)
}

fn part_ns(input: &mut &str) -> Result<f64, EmptyError> {
    let number = (digit1, opt(('.', digit1))).take().parse_to::<f64>();
    let small = alt(("ns".value(1.0), "us".value(1e3), "ms".value(1e6)));
    let unit = alt((
        small,
        's'.value(SECOND),
        'm'.value(MINUTE),
        'h'.value(HOUR),
        'd'.value(DAY),
        'w'.value(7.0 * DAY),
        'M'.value(30.0 * DAY),
        'y'.value(365.0 * DAY),
    ));
    (number, unit).map(|(number, unit)| number * unit).parse_next(input)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::meter::MAX_WORK;
    use super::super::set::ITEM;
    use super::super::set::examples::{number, series, show};
    use super::*;

    fn read(members: Value) -> Result<Resample, String> {
        let mut model =
            json!({ "expression": "A", "window": "10ms", "downsampler": "mean", "upsampler": "pad" });
        model.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Resample::try_read(model.as_object().unwrap(), 100, 145)
    }

    /// The result for points with times in milliseconds, with its times in milliseconds.
    fn resample(members: Value, points: &[(i64, Option<f64>)]) -> String {
        let points: Vec<_> = points.iter().map(|(time, value)| (time * NANOS_OF_MS, *value)).collect();
        let set = Set::new(vec![series("", &points)]);
        let shown =
            show(&read(members).unwrap().evaluate(set, &mut Meter::default()).unwrap(), true).concat();
        shown.replace("000000=", "=")
    }

    const POINTS: [(i64, Option<f64>); 6] = [
        (90, Some(7.0)),
        (101, Some(1.0)),
        (105, Some(2.0)),
        (110, Some(6.0)),
        (131, Some(5.0)),
        (150, Some(9.0)),
    ];

    #[test]
    fn a_window_ends_with_its_point() {
        assert_eq!(
            resample(json!({}), &POINTS),
            ": [100=7 110=3 120=3 130=3 140=5]".replace("120=3 130=3", "120=6 130=6")
        );
        for (downsampler, made) in [("sum", "9"), ("min", "1"), ("max", "6"), ("last", "6"), ("mean", "3")] {
            let shown = resample(json!({ "downsampler": downsampler }), &POINTS);
            assert_eq!(shown, format!(": [100=7 110={made} 120=6 130=6 140=5]"));
        }
    }

    #[test]
    fn windows_without_points_are_filled() {
        let shown = resample(json!({ "upsampler": "backfilling" }), &POINTS);
        assert_eq!(shown, ": [100=7 110=3 120=5 130=5 140=5]");
        let shown = resample(json!({ "upsampler": "fillna" }), &POINTS);
        assert_eq!(shown, ": [100=7 110=3 120=null 130=null 140=5]");
        let late = [(115, Some(1.0)), (122, None)];
        assert_eq!(resample(json!({}), &late), ": [100=null 110=null 120=1 130=NaN 140=null]");
        assert_eq!(
            resample(json!({ "upsampler": "backfilling" }), &late),
            ": [100=1 110=1 120=1 130=NaN 140=null]"
        );
        assert_eq!(resample(json!({}), &[]), ": [100=null 110=null 120=null 130=null 140=null]");
        assert_eq!(
            resample(json!({ "downsampler": "max" }), &[(105, Some(1.0)), (106, None)]),
            ": [100=null 110=NaN 120=null 130=null 140=null]"
        );
    }

    #[test]
    fn lengths_of_time() {
        let cases = [
            ("10s", 10_000_000_000),
            ("1.5m", 90_000_000_000),
            ("1h30m", 5_400_000_000_000),
            (" 2d ", 172_800_000_000_000),
            ("1w", 604_800_000_000_000),
            ("1M", 2_592_000_000_000_000),
            ("1y", 31_536_000_000_000_000),
            ("5ms", 5_000_000),
            ("5us", 5_000),
            ("5ns", 5),
        ];
        for (text, nanoseconds) in cases {
            assert_eq!(duration_ns(text), Some(nanoseconds), "{text}");
        }
        for text in ["", "0s", "10", "s", "-1s", "1 s", "1x", "1s2", "0.5ns", "999999y", "1e3s", "1.s"] {
            assert_eq!(duration_ns(text), None, "{text}");
        }
    }

    #[test]
    fn faults_are_named() {
        let cases = [
            (json!({ "window": "ten" }), "the window `ten` is no length of time like 10s, 5m or 1h30m"),
            (json!({ "downsampler": "median" }), "the downsampler must be sum, mean, min, max or last"),
            (json!({ "downsampler": "count" }), "the downsampler must be sum, mean, min, max or last"),
            (json!({ "downsampler": null }), "the downsampler must be sum, mean, min, max or last"),
            (json!({ "upsampler": "x" }), "the upsampler must be pad, backfilling or fillna"),
            (json!({ "expression": "" }), "it names no input"),
            (json!({ "window": 1 }), "`window` must be a text"),
        ];
        for (members, fault) in cases {
            assert_eq!(read(members), Err(fault.to_owned()));
        }
        let evaluate = |resample: &Resample, set| resample.evaluate(set, &mut Meter::default());
        let resample = read(json!({})).unwrap();
        for set in [Set::new(vec![number("", 1.0)]), Set::Scalar(None)] {
            assert_eq!(evaluate(&resample, set).unwrap_err(), Reason::NotSeries);
        }
        assert!(matches!(evaluate(&resample, Set::NoData), Ok(Set::NoData)));
        let set = || Set::new(vec![series("", &[])]);
        let short = read(json!({ "window": "46ms" })).unwrap();
        assert_eq!(evaluate(&short, set()).unwrap_err(), Reason::ShortRange);
        let whole = read(json!({ "window": "45ms" })).unwrap();
        assert_eq!(show(&evaluate(&whole, set()).unwrap(), true), [": [100000000=null 145000000=null]"]);
        for (from_ms, to_ms) in [(145, 100), (i64::MAX, i64::MAX)] {
            let backwards = Resample { from_ms, to_ms, ..resample.clone() };
            assert_eq!(evaluate(&backwards, set()).unwrap_err(), Reason::ShortRange);
        }
    }

    #[test]
    fn points_are_bounded() {
        let resample = |points: usize| {
            let to_ms = i64::try_from(points).unwrap() * 10 - 10;
            Resample { from_ms: 0, to_ms, ..read(json!({})).unwrap() }
        };
        let set = || Set::new(vec![series("", &[])]);
        let mut meter = Meter::default();
        meter.work(MAX_WORK - MAX_POINTS).unwrap();
        let made = resample(MAX_POINTS).evaluate(set(), &mut meter).unwrap();
        assert_eq!(made.made(), ITEM + 2 * MAX_POINTS);
        assert_eq!(resample(2).evaluate(set(), &mut meter).unwrap_err(), Reason::TooMuchWork);
        let more = resample(MAX_POINTS + 1).evaluate(set(), &mut Meter::default());
        assert_eq!(more.unwrap_err(), Reason::TooManyPoints);
        let all = Resample { from_ms: i64::MIN, to_ms: i64::MAX, ..resample(2) };
        assert_eq!(all.evaluate(set(), &mut Meter::default()).unwrap_err(), Reason::TooManyPoints);
    }
}
