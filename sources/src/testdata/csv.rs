//! Tables from CSV.

use csv::{ReaderBuilder, StringRecord, Trim};
use kymograph_app::source::backend::Query;
use kymograph_domain::source::frame::{Cells, Column, Field, Frame};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::model::{alias, text};
use super::points::MAX_POINTS_OF_QUERY;

/// The maximum length of a CSV text.
pub const MAX_CSV_BYTES: usize = 1024 * 1024;

/// The files that come with the server.
const FILES: &[(&str, &str)] = &[
    ("daily_visits.csv", include_str!("files/daily_visits.csv")),
    ("server_inventory.csv", include_str!("files/server_inventory.csv")),
];

/// The table in the query itself.
pub(super) fn content(query: &Query) -> Result<Vec<Frame>, String> {
    let name = alias(&query.model, 0, String::new())?;
    table(text(&query.model, "csvContent"), name)
}

/// The table of a file.
pub(super) fn file(query: &Query) -> Result<Vec<Frame>, String> {
    let wanted = text(&query.model, "csvFileName");
    let Some((name, content)) = FILES.iter().find(|(name, _)| *name == wanted) else {
        let known: Vec<_> = FILES.iter().map(|(name, _)| *name).collect();
        return Err(format!("csvFileName must be one of {}", known.join(", ")));
    };
    let name = alias(&query.model, 0, (*name).to_owned())?;
    table(content, name)
}

fn table(content: &str, name: String) -> Result<Vec<Frame>, String> {
    if content.trim().is_empty() {
        return Ok(Vec::new());
    }
    if content.len() > MAX_CSV_BYTES {
        return Err(format!("the CSV is longer than {MAX_CSV_BYTES} bytes"));
    }
    let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(content.as_bytes());
    let told = |error: csv::Error| format!("the CSV cannot be read: {error}");
    let headers = reader.headers().map_err(told)?.clone();
    let mut columns: Vec<Vec<Option<String>>> = headers.iter().map(|_| Vec::new()).collect();
    let (mut record, mut cells) = (StringRecord::new(), 0);
    while reader.read_record(&mut record).map_err(told)? {
        cells += record.len();
        if cells > MAX_POINTS_OF_QUERY {
            return Err(format!("the CSV has more than {MAX_POINTS_OF_QUERY} cells"));
        }
        for (column, cell) in columns.iter_mut().zip(&record) {
            column.push(Some(cell).filter(|cell| !cell.is_empty() && *cell != "null").map(str::to_owned));
        }
    }
    let fields = headers.iter().zip(columns).map(|(name, cells)| Field::new(name, typed(name, cells)));
    Ok(vec![Frame { name, meta: None, fields: fields.collect() }])
}

/// A column of the type that fits all of its cells.
fn typed(name: &str, cells: Vec<Option<String>>) -> Column {
    let is_time = name.eq_ignore_ascii_case("time");
    if is_time && let Some(times) = parsed(&cells, milliseconds) {
        return Column::Time(times);
    }
    if let Some(numbers) = parsed(&cells, |cell| cell.parse().ok()) {
        return Column::Float64(numbers);
    }
    if let Some(flags) = parsed(&cells, |cell| cell.parse().ok()) {
        return Column::Bool(flags);
    }
    match parsed(&cells, date) {
        Some(times) => Column::Time(times),
        None => Column::Text(cells.into_iter().collect()),
    }
}

fn parsed<T: Default>(cells: &[Option<String>], parse: impl Fn(&str) -> Option<T>) -> Option<Cells<T>> {
    let parsed = cells.iter().map(|cell| match cell {
        Some(cell) => parse(cell).map(Some),
        None => Some(None),
    });
    parsed.collect::<Option<Vec<_>>>().map(|cells| cells.into_iter().collect())
}

fn milliseconds(cell: &str) -> Option<i64> {
    cell.parse::<i64>().ok()?.checked_mul(1_000_000)
}

fn date(cell: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(cell, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(content: &str) -> Vec<Field> {
        table(content, String::new()).unwrap().remove(0).fields
    }

    #[test]
    fn columns_have_the_type_of_their_cells() {
        let fields = fields(
            "time, day, n, flag, name\n1500000000000, 2024-01-01T00:00:00Z, 1.5, true,\"a, b\"\n, null, , , \n2,2024-01-01T00:00:00+01:00,-2,false,\"say \"\"x\"\"\"",
        );
        let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["time", "day", "n", "flag", "name"]);
        let columns: Vec<_> = fields.into_iter().map(|field| field.column).collect();
        assert_eq!(
            columns[0],
            Column::Time([Some(1_500_000_000_000_000_000), None, Some(2_000_000)].into_iter().collect())
        );
        assert_eq!(
            columns[1],
            Column::Time(
                [Some(1_704_067_200_000_000_000), None, Some(1_704_063_600_000_000_000)]
                    .into_iter()
                    .collect()
            )
        );
        assert_eq!(columns[2], Column::Float64([Some(1.5), None, Some(-2.0)].into_iter().collect()));
        assert_eq!(columns[3], Column::Bool([Some(true), None, Some(false)].into_iter().collect()));
        let names = [Some("a, b".to_owned()), None, Some("say \"x\"".to_owned())];
        assert_eq!(columns[4], Column::Text(names.into_iter().collect()));
    }

    #[test]
    fn what_is_no_table_is_told() {
        assert_eq!(table(" \n", String::new()), Ok(Vec::new()));
        assert_eq!(fields("a,b").len(), 2);
        assert!(table("a,b\n1", String::new()).unwrap_err().contains("cannot be read"));
        assert!(table(&"1".repeat(MAX_CSV_BYTES + 1), String::new()).unwrap_err().contains("longer"));
        assert!(table(&"1\n".repeat(MAX_POINTS_OF_QUERY + 2), String::new()).unwrap_err().contains("cells"));
    }

    #[test]
    fn the_files_are_tables() {
        for (name, content) in FILES {
            let frames = table(content, (*name).to_owned()).unwrap();
            assert!(frames[0].fields.len() > 3 && frames[0].fields[0].column.len() > 4, "{name}");
        }
        let inventory = fields(FILES[1].1);
        assert!(matches!(
            (&inventory[2].column, &inventory[4].column),
            (Column::Float64(_), Column::Bool(_))
        ));
        assert!(matches!(fields(FILES[0].1)[0].column, Column::Time(_)));
    }
}
