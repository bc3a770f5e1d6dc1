//! Frames made of rows: the values of every type, time series, and macros.

use kymograph_app::source::backend::Backend;
use kymograph_domain::source::frame::{Cells, Column};
use serde_json::json;
use time::OffsetDateTime;

use super::{column, notices, numbers, query, start, texts, times};

const TABLE: &str = "CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TABLE kinds (n int PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, num numeric,
        t text, v varchar(9), c char(3), u uuid, j json, jb jsonb, ts timestamp, tz timestamptz, d date, tod time,
        iv interval, a int[], ta text[], m mood, dom positive, net inet, o oid, x bytea, r int4range);
    INSERT INTO kinds SELECT n, n % 2 = 0, n, n * 1000, n * 10000000000, n / 3.0, n / 7.0,
        n::numeric / 7 * 10 ^ (n % 40 - 20), 't' || n, 'v' || n, 'c', ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid,
        format('{\"n\": %s}', n)::json, format('{\"n\": %s}', n)::jsonb,
        timestamp '2024-01-01 00:00:00' + n * interval '1 second 1 microsecond', timestamptz '2024-01-01 00:00:00+02' + n * interval '1 minute',
        date '2024-01-01' + n, time '01:02:03.5', n * interval '1 day 1 second', ARRAY[n, NULL, 2], ARRAY['a', 'b \"c\"'],
        'bad', n + 1, '10.0.0.1', n, '\\x01ff', int4range(1, n + 2)
        FROM generate_series(0, 999) AS n;
    INSERT INTO kinds (n) VALUES (-1);";

#[tokio::test]
async fn every_type_has_the_values_that_a_plain_client_reads() {
    let (_postgres, source, client) = start("source-types").await;
    client.batch_execute(TABLE).await.unwrap();
    let frame = source.table("SELECT * FROM kinds ORDER BY n").await;
    let rows = client.query("SELECT * FROM kinds ORDER BY n", &[]).await.unwrap();
    assert_eq!(frame.fields.len(), 27);
    assert!(frame.fields.iter().all(|field| field.column.len() == 1001));
    let cells = |name: &str| column(&frame, name).clone();
    assert_eq!(cells("b"), Column::Bool(rows.iter().map(|row| row.get("b")).collect()));
    assert_eq!(cells("i2"), Column::Int16(rows.iter().map(|row| row.get("i2")).collect()));
    assert_eq!(cells("i4"), Column::Int32(rows.iter().map(|row| row.get("i4")).collect()));
    assert_eq!(cells("i8"), Column::Int64(rows.iter().map(|row| row.get("i8")).collect()));
    assert_eq!(cells("f4"), Column::Float32(rows.iter().map(|row| row.get("f4")).collect()));
    assert_eq!(cells("f8"), Column::Float64(rows.iter().map(|row| row.get("f8")).collect()));
    let instant = |time: OffsetDateTime| i64::try_from(time.unix_timestamp_nanos()).unwrap();
    let found: Vec<_> =
        rows.iter().map(|row| row.get::<_, Option<OffsetDateTime>>("tz").map(instant)).collect();
    assert_eq!(times(&frame, "tz"), found);
    let plain = rows.iter().map(|row| row.get::<_, Option<time::PrimitiveDateTime>>("ts"));
    let found: Vec<_> = plain.map(|time| time.map(|time| instant(time.assume_utc()))).collect();
    assert_eq!(times(&frame, "ts"), found);
    let days = rows.iter().map(|row| row.get::<_, Option<time::Date>>("d"));
    let found: Vec<_> = days.map(|day| day.map(|day| instant(day.midnight().assume_utc()))).collect();
    assert_eq!(times(&frame, "d"), found);
    let oids: Cells<i64> = rows.iter().map(|row| row.get::<_, Option<u32>>("o").map(i64::from)).collect();
    assert_eq!(cells("o"), Column::Int64(oids));
    // All other types have PostgreSQL's own text.
    for name in ["t", "v", "c", "u", "j", "jb", "tod", "iv", "a", "ta", "m", "net", "x", "r"] {
        let sql = format!(
            "SELECT CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END FROM kinds ORDER BY n"
        );
        let found = client.query(&sql, &[]).await.unwrap();
        let found: Vec<Option<String>> = found.iter().map(|row| row.get(0)).collect();
        assert_eq!(texts(&frame, name), found, "{name}");
    }
    let exact = client.query("SELECT num::text FROM kinds ORDER BY n", &[]).await.unwrap();
    let exact =
        exact.iter().map(|row| row.get::<_, Option<String>>(0).map(|text| text.parse::<f64>().unwrap()));
    assert_eq!(numbers(&frame, "num"), exact.collect::<Vec<_>>());
    assert!(
        matches!(column(&frame, "dom"), Column::Int32(_)) && matches!(column(&frame, "j"), Column::Json(_))
    );
    assert!(frame.fields.iter().skip(1).all(|field| match &field.column {
        Column::Text(cells) => cells.get(0).is_none(),
        Column::Bool(cells) => cells.get(0).is_none(),
        Column::Time(cells) => cells.get(0).is_none(),
        _ => true,
    }));
}

#[tokio::test]
async fn special_values_come_as_they_are() {
    let (_postgres, source, _client) = start("source-special").await;
    let sql = "SELECT 'NaN'::float8 AS a, '-Infinity'::float4 AS b, 'Infinity'::numeric AS c, 'infinity'::timestamptz AS d,
        date '3000-01-01' AS e, NULL AS f, '' AS g";
    let frame = source.table(sql).await;
    assert!(numbers(&frame, "a")[0].unwrap().is_nan());
    assert_eq!(column(&frame, "b"), &Column::Float32(Cells::nullable(vec![f32::NEG_INFINITY])));
    assert_eq!(numbers(&frame, "c"), [Some(f64::INFINITY)]);
    assert_eq!((times(&frame, "d"), times(&frame, "e")), (vec![None], vec![None]));
    assert_eq!((texts(&frame, "f"), texts(&frame, "g")), (vec![None], vec![Some(String::new())]));
    assert_eq!(notices(&frame).len(), 1);
    assert!(notices(&frame)[0].starts_with("2 times are infinite"), "{:?}", notices(&frame));
    // An empty result is a frame without columns, but with the executed query.
    let empty = source.table("SELECT 1 AS a WHERE false -- nothing").await;
    assert!(empty.fields.is_empty());
    assert_eq!(empty.meta.unwrap().executed_query.unwrap(), "SELECT 1 AS a WHERE false ");
    let nothing = source.answer(query(&json!({"rawSql": " "}))).await.unwrap();
    assert!(nothing.is_empty());
    assert_eq!(source.table("SET work_mem = '1MB'").await.fields.len(), 0);
    assert_eq!(
        texts(&source.table("SHOW server_encoding").await, "server_encoding"),
        [Some("UTF8".to_owned())]
    );
}

const METRICS: &str = "CREATE TABLE metrics (at timestamptz, host text, cpu float8, mem int);
    INSERT INTO metrics SELECT timestamptz '2024-01-01 00:00Z' + n * interval '30 seconds', h, n * 10 + ord, n
        FROM generate_series(-10, 200) AS n, unnest(ARRAY['a', 'b']) WITH ORDINALITY AS hosts (h, ord)
        WHERE NOT (h = 'b' AND n % 4 = 0);";

#[tokio::test]
async fn time_series_are_wide_and_filled() {
    let (_postgres, source, client) = start("source-series").await;
    client.batch_execute(METRICS).await.unwrap();
    let sql = "SELECT $__timeGroupAlias(at, $__interval), host AS metric, max(cpu) AS value
        FROM metrics WHERE $__timeFilter(at) GROUP BY 1, 2 ORDER BY 1";
    let frame = source.frame(json!({"rawSql": sql})).await;
    let names: Vec<_> = frame.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["Time", "a", "b"]);
    let plain =
        "SELECT floor(extract(epoch from at) / 60) * 60 AS time, max(cpu) FILTER (WHERE host = 'a') AS a,
        max(cpu) FILTER (WHERE host = 'b') AS b FROM metrics
        WHERE at BETWEEN '2024-01-01T00:00:00Z' AND '2024-01-01T01:00:00Z' GROUP BY 1 ORDER BY 1";
    let rows = client.query(&plain.replace("AS time", "::float8 AS time"), &[]).await.unwrap();
    assert_eq!(rows.len(), 61);
    #[allow(clippy::cast_possible_truncation, reason = "whole seconds")]
    let at: Vec<_> = rows.iter().map(|row| Some(row.get::<_, f64>(0) as i64 * 1_000_000_000)).collect();
    assert_eq!(times(&frame, "Time"), at);
    for name in ["a", "b"] {
        assert_eq!(numbers(&frame, name), rows.iter().map(|row| row.get(name)).collect::<Vec<_>>(), "{name}");
    }
    // Host b has no value every fourth minute, in an interval of 30 seconds.
    let each = "SELECT at AS time, host, cpu, mem FROM metrics WHERE $__timeFilter(at) ORDER BY at";
    let frame = source.frame(json!({"rawSql": each, "format": "time_series"})).await;
    let names: Vec<_> = frame.fields[1..]
        .iter()
        .map(|field| (field.name.as_str(), field.labels.as_ref().unwrap()["host"].as_str()))
        .collect();
    assert_eq!(names, [("cpu", "a"), ("cpu", "b"), ("mem", "a"), ("mem", "b")]);
    let of_b = match &frame.fields[2].column {
        Column::Float64(cells) => cells,
        other => panic!("{other:?}"),
    };
    assert_eq!((of_b.len(), of_b.get(4), of_b.get(5)), (121, None, Some(&52.0)));
    let filled = each.replace("at AS time", "$__timeGroup(at, '30s', previous) AS time");
    let frame = source.frame(json!({"rawSql": filled})).await;
    let Column::Float64(cells) = &frame.fields[2].column else { panic!("{frame:?}") };
    assert_eq!((cells.len(), cells.get(0), cells.get(4)), (121, None, Some(&32.0)));
    let model = json!({"rawSql": "SELECT timestamptz '2024-01-01 00:10Z' AS time, 1 AS value", "fill": true,
        "fillInterval": 600, "fillMode": "value", "fillValue": 7});
    let expected = [7.0, 1.0, 7.0, 7.0, 7.0, 7.0, 7.0].map(Some);
    assert_eq!(numbers(&source.frame(model).await, "value"), expected);
}

#[tokio::test]
async fn macros_and_comments_reach_the_server_as_meant() {
    let (_postgres, source, client) = start("source-macros").await;
    client.batch_execute(METRICS).await.unwrap();
    let count = async |condition: &str| {
        let frame = source.table(&format!("SELECT count(*) AS n FROM metrics WHERE {condition}")).await;
        match column(&frame, "n") {
            Column::Int64(cells) => cells.values[0],
            other => panic!("{other:?}"),
        }
    };
    let within: i64 = client
        .query_one("SELECT count(*) FROM metrics WHERE at BETWEEN '2024-01-01Z' AND '2024-01-01 01:00Z'", &[])
        .await
        .unwrap()
        .get(0);
    for condition in [
        "$__timeFilter(at)",
        "at BETWEEN $__timeFrom() AND $__timeTo()",
        "$__unixEpochFilter(extract(epoch from at))",
        "$__unixEpochNanoFilter((extract(epoch from at) * 1000000000)::bigint)",
        "extract(epoch from at) BETWEEN $__unixEpochFrom() AND $__unixEpochTo()",
        "at BETWEEN to_timestamp('$__unixEpochFrom()') AND $__timeTo() /* ; DROP TABLE metrics */",
        "$__timeFilter(at) -- OR true",
        "$__timeFilter(at) AND '--' <> '/*' AND $$--$$ <> E'\\'--'",
    ] {
        assert_eq!(count(condition).await, within, "{condition}");
    }
    let frame =
        source.table("SELECT '$__interval'::interval AS i, $__interval_ms AS ms, '$__timeFrom()' AS t").await;
    assert_eq!(texts(&frame, "i"), [Some("00:01:00".to_owned())]);
    assert_eq!(texts(&frame, "t"), [Some("$__timeFrom()".to_owned())]);
    let groups = source.table("SELECT DISTINCT $__unixEpochGroup(extract(epoch from at), '1h') AS hour FROM metrics WHERE $__timeFilter(at) ORDER BY 1").await;
    assert_eq!(numbers(&groups, "hour"), [Some(1_704_067_200.0), Some(1_704_070_800.0)]);
    let logs =
        source.frame(json!({"rawSql": "SELECT 1704067200 AS time, 'hello' AS body", "format": "logs"})).await;
    assert_eq!(logs.meta.as_ref().unwrap().preferred_visualisation, Some("logs"));
    assert_eq!(times(&logs, "time"), [Some(1_704_067_200_000_000_000)]);
}

#[tokio::test]
async fn what_makes_no_time_series_is_told() {
    let (_postgres, source, _client) = start("source-untimely").await;
    for (sql, told) in [
        ("SELECT 1 AS value", "needs a column named time"),
        ("SELECT 'x' AS time, 1 AS value", "neither times nor numbers"),
        ("SELECT now() AS time, now() AS made, 1 AS value", "the column made cannot be a value"),
        ("SELECT t AS time, 'a' AS metric, 1 AS value FROM unnest(ARRAY[2, 1]) AS t", "add ORDER BY"),
        ("SELECT NULL::timestamptz AS time, 'a' AS metric, 1 AS value", "row 1 has no time"),
        ("SELECT $__timeGroup(at) FROM metrics", "needs an interval"),
        ("SELECT $__made_up(at) FROM metrics", "there is no macro $__made_up"),
    ] {
        let error = source.error(json!({"rawSql": sql})).await;
        assert!(error.message.contains(told) && error.status == 400, "{error:?}");
    }
    // Each row is a separate series at a separate time.
    let sql = "SELECT n AS time, n::text AS metric, n AS value FROM generate_series(1, 5000) AS n";
    let error = source.error(json!({"rawSql": sql})).await;
    assert!(error.message.contains("5000 series at 5000 times"), "{error:?}");
    let error = source.error(json!({"rawSql": "SELECT 1", "format": "graph"})).await;
    assert!(error.message.contains("format must be"), "{error:?}");
    assert!(source.error(json!({"rawSql": 1})).await.message.contains("rawSql must be a text"));
    let health = source.backend.check_health(&source.context).await;
    assert!(health.is_ok, "{health:?}");
}
