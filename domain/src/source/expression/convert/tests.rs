use super::super::meter::MAX_VALUES;
use super::super::set::examples::{labels, number, series, show};
use super::*;
use crate::source::frame::FieldConfig;

fn times(times: &[i64]) -> Field {
    Field::new("time", Column::Time(Cells::new(times.to_vec())))
}

fn numbers(name: &str, text: &str, numbers: &[f64]) -> Field {
    let labels = Some(labels(text)).filter(|labels| !labels.is_empty());
    Field { labels, ..Field::new(name, Column::Float64(Cells::new(numbers.to_vec()))) }
}

fn texts(name: &str, texts: &[&str]) -> Field {
    Field::new(name, Column::Text(Cells::new(texts.iter().map(|text| (*text).to_owned()).collect())))
}

fn frame(fields: Vec<Field>) -> Frame {
    Frame { name: "one".to_owned(), meta: None, fields }
}

fn of_kind(kind: &'static str, fields: Vec<Field>) -> Frame {
    Frame { meta: Some(Box::new(FrameMeta { kind: Some(kind), ..FrameMeta::default() })), ..frame(fields) }
}

fn set(frames: &[Frame]) -> Result<Vec<String>, String> {
    let set = Converter::default().set_of(frames, &mut Meter::default());
    set.map(|set| show(&set, true)).map_err(|reason| reason.to_string())
}

fn shown(frames: &[Frame]) -> Vec<String> {
    set(frames).unwrap()
}

#[test]
fn wide_frames_are_a_series_for_each_column_of_numbers() {
    let nullable = [Some(1.0), None].into_iter().collect();
    let frames = [frame(vec![
        times(&[1, 2]),
        Field { labels: Some(labels("h=a")), ..Field::new("v", Column::Float64(nullable)) },
        numbers("v", "h=b", &[3.0, 4.0]),
        Field::new("json", Column::Json(Cells::new(vec!["{}".to_owned(); 2]))),
    ])];
    assert_eq!(shown(&frames), ["h=a: [1=1 2=null]", "h=b: [1=3 2=4]"]);
}

#[test]
fn all_columns_of_numbers_count() {
    let columns = [
        Column::Float32(Cells::new(vec![1.5])),
        Column::Int64(Cells::new(vec![-3])),
        Column::Int32(Cells::new(vec![4])),
        Column::Int16([None::<i16>].into_iter().collect()),
        Column::Bool(Cells::new(vec![true])),
    ];
    let fields = columns
        .into_iter()
        .enumerate()
        .map(|(at, column)| Field { labels: Some(labels(&format!("at={at}"))), ..Field::new("v", column) });
    let frames = [frame(std::iter::once(times(&[7])).chain(fields).collect())];
    assert_eq!(
        shown(&frames),
        ["at=0: [7=1.5]", "at=1: [7=-3]", "at=2: [7=4]", "at=3: [7=null]", "at=4: [7=1]"]
    );
}

#[test]
fn times_are_put_in_order_and_kept_once() {
    let unsorted =
        Cells { values: vec![3, 1, 9, 2], is_nullable: true, nulls: vec![false, false, true, false] };
    let values = Cells {
        values: vec![30.0, 10.0, 90.0, 20.0],
        is_nullable: true,
        nulls: vec![true, false, false, false],
    };
    let fields = vec![Field::new("t", Column::Time(unsorted)), Field::new("v", Column::Float64(values))];
    assert_eq!(shown(&[frame(fields)]), [": [1=10 2=20 3=null]"]);
    let frames: Vec<_> = [[1, 2], [1, 2], [1, 3], [1, 3], [1, 2]]
        .iter()
        .enumerate()
        .map(|(at, of)| frame(vec![times(of), numbers("v", &format!("h={at}"), &[1.0, 2.0])]))
        .collect();
    let Ok(Set::Items(items)) = Converter::default().set_of(&frames, &mut Meter::default()) else { panic!() };
    let places = items.iter().map(|item| match &item.data {
        Data::Series(points) => std::ptr::from_ref::<Vec<i64>>(&points.times),
        Data::Number(_) => panic!(),
    });
    let places: Vec<_> = places.collect();
    assert!(places[0] == places[1] && places[2] == places[3] && places[0] != places[2]);
    // Times with nulls are not shared, even if their values are equal.
    let mut with_nulls = frames[..2].to_vec();
    with_nulls[1].fields[0].column =
        Column::Time(Cells { values: vec![1, 2], is_nullable: true, nulls: vec![true, false] });
    assert_eq!(shown(&with_nulls), ["h=0: [1=1 2=2]", "h=1: [2=2]"]);
}

#[test]
fn rows_of_long_frames_belong_to_the_series_of_their_texts() {
    let texts_with_null = Cells {
        values: vec!["b".into(), "a".into(), "b".into(), String::new()],
        is_nullable: true,
        nulls: vec![false, false, false, true],
    };
    let fields = |more: Vec<Field>| {
        let fields = [times(&[2, 1, 1, 1]), Field::new("host", Column::Text(texts_with_null.clone()))];
        frame(fields.into_iter().chain(more).collect())
    };
    let one = fields(vec![numbers("v", "", &[1.0, 2.0, 3.0, 4.0])]);
    assert_eq!(shown(&[one]), [": [1=4]", "host=a: [1=2]", "host=b: [1=3 2=1]"]);
    let two = fields(vec![
        numbers("v", "", &[1.0, 2.0, 3.0, 4.0]),
        numbers("w", "name=own", &[5.0, 6.0, 7.0, 8.0]),
    ]);
    let expected = [
        "name=v: [1=4]",
        "name=own: [1=8]",
        "host=a,name=v: [1=2]",
        "host=a,name=own: [1=6]",
        "host=b,name=v: [1=3 2=1]",
        "host=b,name=own: [1=7 2=5]",
    ];
    assert_eq!(shown(&[two]), expected);
}

#[test]
fn tables_are_numbers() {
    let table = frame(vec![
        texts("loc", &["MIA", "NYC"]),
        texts("host", &["a", "b"]),
        numbers("cpu", "", &[1.0, 2.0]),
    ]);
    assert_eq!(shown(&[table]), ["host=a,loc=MIA: 1", "host=b,loc=NYC: 2"]);
    assert_eq!(shown(&[frame(vec![numbers("v", "", &[5.0])])]), [": 5"]);
    let null = Column::Float64([None].into_iter().collect());
    assert_eq!(shown(&[frame(vec![Field::new("v", null)])]), [": null"]);
    assert_eq!(shown(&[frame(vec![texts("h", &[]), numbers("v", "", &[])])]), ["no data"]);
    let wide = frame(vec![numbers("v", "h=a", &[1.0]), numbers("v", "h=b", &[2.0])]);
    assert_eq!(shown(&[wide]), ["h=a: 1", "h=b: 2"]);
}

#[test]
fn numeric_kinds_are_numbers_also_with_times() {
    let multi = |host: &str, value| {
        of_kind("numeric-multi", vec![times(&[1]), numbers("Value", &format!("h={host}"), &[value])])
    };
    assert_eq!(shown(&[multi("a", 1.0), multi("b", 2.0)]), ["h=a: 1", "h=b: 2"]);
    let wide = of_kind("numeric-wide", vec![numbers("v", "h=a", &[1.0]), numbers("w", "h=b", &[2.0])]);
    assert_eq!(shown(&[wide]), ["h=a: 1", "h=b: 2"]);
    let long = of_kind(
        "numeric-long",
        vec![
            times(&[1, 1]),
            texts("h", &["a", "b"]),
            numbers("v", "", &[1.0, 2.0]),
            numbers("w", "", &[3.0, 4.0]),
        ],
    );
    assert_eq!(shown(&[long]), ["h=a,name=v: 1", "h=a,name=w: 3", "h=b,name=v: 2", "h=b,name=w: 4"]);
    let series = of_kind("timeseries-multi", vec![times(&[1]), numbers("v", "h=a", &[1.0])]);
    assert_eq!(shown(&[series]), ["h=a: [1=1]"]);
}

#[test]
fn nothing_is_no_data() {
    assert_eq!(shown(&[]), ["no data"]);
    assert_eq!(shown(&[frame(vec![]), Frame::default()]), ["no data"]);
    assert_eq!(shown(&[frame(vec![times(&[]), numbers("v", "h=a", &[])])]), ["h=a: []"]);
    assert_eq!(shown(&[frame(vec![]), frame(vec![times(&[1]), numbers("v", "", &[1.0])])]), [": [1=1]"]);
}

#[test]
fn names_tell_apart_what_has_no_labels() {
    let mut named = numbers("v", "", &[2.0]);
    named.config =
        Some(Box::new(FieldConfig { display_name_from_ds: Some("shown".into()), ..FieldConfig::default() }));
    let wide = frame(vec![times(&[1]), numbers("v", "", &[1.0]), named.clone()]);
    assert_eq!(shown(&[wide]), ["name=v: [1=1]", "name=shown: [1=2]"]);
    let of_frame =
        |name: &str| Frame { name: name.to_owned(), ..frame(vec![times(&[1]), numbers("v", "", &[1.0])]) };
    assert_eq!(shown(&[of_frame("x"), of_frame("y")]), ["name=x: [1=1]", "name=y: [1=1]"]);
    assert_eq!(shown(&[of_frame("x"), of_frame("x")]), [": [1=1]", ": [1=1]"]);
    assert_eq!(shown(&[of_frame("x")]), [": [1=1]"]);
    let labelled = frame(vec![times(&[1]), numbers("v", "h=a", &[1.0]), numbers("w", "", &[1.0])]);
    assert_eq!(shown(&[labelled]), ["h=a: [1=1]", ": [1=1]"]);
}

#[test]
fn faults_name_the_frame() {
    let fault = |fields: Vec<Field>| set(&[frame(fields)]).unwrap_err();
    let no_numbers =
        "frame `one` has no column of numbers, and is neither a time series nor a table of numbers";
    assert_eq!(fault(vec![times(&[1]), texts("line", &["x"])]), no_numbers);
    assert_eq!(fault(vec![texts("line", &["x"])]), no_numbers);
    assert_eq!(fault(vec![times(&[1])]), no_numbers);
    let many = "frame `one` is a table with more than one column of numbers, of which it may have one";
    assert_eq!(fault(vec![texts("h", &["a"]), numbers("v", "", &[1.0]), numbers("w", "", &[1.0])]), many);
    let same =
        "frame `one` has more than one row with the same texts, so that its numbers cannot be told apart";
    assert_eq!(fault(vec![texts("h", &["a", "b", "a"]), numbers("v", "", &[1.0, 2.0, 3.0])]), same);
    assert_eq!(fault(vec![numbers("v", "", &[1.0, 2.0])]), same);
    let uneven = "the columns of frame `one` have different lengths";
    assert_eq!(fault(vec![times(&[1]), numbers("v", "", &[1.0, 2.0])]), uneven);
    let long = Frame { name: "ä".repeat(200), fields: vec![times(&[1])], meta: None };
    assert_eq!(set(&[long]), Err(no_numbers.replace("one", &"ä".repeat(100))));
}

#[test]
fn marks_of_nulls_that_are_too_few_are_completed() {
    let cells = Cells { values: vec![1.0, 2.0, 3.0], is_nullable: true, nulls: vec![false, true] };
    assert_eq!(
        shown(&[frame(vec![times(&[1, 2, 3]), Field::new("v", Column::Float64(cells))])]),
        [": [1=1 2=null 3=3]"]
    );
}

#[test]
fn series_and_numbers_are_a_bounded_number() {
    let rows = |count: usize| {
        let names: Vec<_> = (0..count).map(|at| at.to_string()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        vec![texts("h", &names), numbers("v", "", &vec![1.0; count])]
    };
    let with_times = |count: usize| [vec![times(&vec![1; count])], rows(count)].concat();
    assert_eq!(shown(&[frame(rows(MAX_SERIES))]).len(), MAX_SERIES);
    assert_eq!(shown(&[frame(with_times(MAX_SERIES))]).len(), MAX_SERIES);
    let many = Reason::TooManySeries.to_string();
    assert_eq!(set(&[frame(rows(MAX_SERIES + 1))]), Err(many.clone()));
    assert_eq!(set(&[frame(with_times(MAX_SERIES + 1))]), Err(many));
}

#[test]
fn what_is_made_of_frames_is_held() {
    let held = |frames: &[Frame]| {
        let mut meter = Meter::default();
        Converter::default().set_of(frames, &mut meter).unwrap();
        (0..MAX_VALUES).find(|left| meter.run(|meter| meter.hold(MAX_VALUES - left)).is_ok()).unwrap()
    };
    let borrowed = held(&[frame(vec![times(&[1, 2]), numbers("v", "h=a", &[1.0, 2.0])])]);
    let ints = Field::new("v", Column::Int64(Cells::new(vec![1, 2])));
    let made = held(&[frame(vec![times(&[1, 2]), ints])]);
    let unsorted = held(&[frame(vec![times(&[2, 1]), numbers("v", "h=a", &[1.0, 2.0])])]);
    assert_eq!((made - borrowed, unsorted - borrowed), (2, 4));
    let long =
        held(&[frame(vec![times(&[1, 2]), texts("host", &["abcd", "abcd"]), numbers("v", "", &[1.0, 2.0])])]);
    // 8 bytes of texts and two strings.
    assert_eq!(long - borrowed, 4 + 1 + size_of::<[String; 2]>() / BYTES_OF_VALUE);
}

fn frames(set: Set<'_>) -> Vec<Frame> {
    set.into_frames("B", &mut Meter::default()).unwrap()
}

#[test]
fn sets_become_frames() {
    let made = frames(Set::new(vec![
        series("h=a", &[(1, Some(1.5)), (2, None)]),
        number("", None),
        number("h=b", 2.0),
    ]));
    let meta =
        |kind| Some(Box::new(FrameMeta { kind: Some(kind), kind_version: [0, 1], ..FrameMeta::default() }));
    let value = |text: &str, values: &[Option<f64>]| Field {
        labels: Some(labels(text)).filter(|labels| !labels.is_empty()),
        ..Field::new("B", Column::Float64(values.iter().copied().collect()))
    };
    let Column::Float64(cells) = &made[0].fields[1].column else { panic!() };
    assert_eq!(cells.iter().collect::<Vec<_>>(), [Some(&1.5), None]);
    assert_eq!(
        (&made[0].fields[0], cells.is_nullable),
        (&Field { name: "Time".into(), ..times(&[1, 2]) }, true)
    );
    assert_eq!((&made[0].fields[1].name, &made[0].fields[1].labels), (&"B".to_owned(), &Some(labels("h=a"))));
    assert_eq!(made[0].meta, meta("timeseries-multi"));
    let expected = |text, number| Frame {
        name: String::new(),
        meta: meta("numeric-multi"),
        fields: vec![value(text, &[number])],
    };
    assert_eq!(made[1..], [expected("", None), expected("h=b", Some(2.0))]);
    assert_eq!(frames(Set::Scalar(Some(3.0))), [expected("", Some(3.0))]);
    assert_eq!(frames(Set::NoData), [Frame { name: "no data".into(), ..Frame::default() }]);
}

/// A set that is converted to frames and back is the same set.
#[test]
fn frames_of_sets_are_sets_again() {
    let set = Set::new(vec![series("h=a", &[(1, Some(1.5)), (2, None)]), series("h=b", &[])]);
    let expected = show(&set, true);
    assert_eq!(shown(&frames(set)), expected);
    let set = Set::new(vec![number("h=a", 1.0), number("h=b", None)]);
    let expected = show(&set, true);
    assert_eq!(shown(&frames(set)), expected);
}

#[test]
fn frames_are_held() {
    let mut meter = Meter::default();
    let set = Set::new(vec![number("host=abcd", 1.0)]);
    meter.hold(set.made()).unwrap();
    set.into_frames("B", &mut meter).unwrap();
    meter.hold(MAX_VALUES - FRAME - 2 - size_of::<[String; 2]>() / BYTES_OF_VALUE).unwrap();
    assert_eq!(meter.hold(1), Err(Reason::TooManyValues));
    let (times, values) = (vec![1, 2, 3], vec![1.0; 3]);
    let points =
        Points { times: Shared::Borrowed(&times), numbers: Shared::Borrowed(&values), nulls: no_nulls() };
    let set = Set::new(vec![Item { labels: no_labels(), data: Data::Series(points) }]);
    let mut meter = Meter::default();
    meter.hold(set.made()).unwrap();
    set.into_frames("B", &mut meter).unwrap();
    meter.hold(MAX_VALUES - FRAME - 6).unwrap();
    assert_eq!(meter.hold(1), Err(Reason::TooManyValues));
}
