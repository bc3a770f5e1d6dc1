//! The code rules that the compiler does not check.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kymograph_domain::registry;

const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn sources(crates: &[&str]) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for name in crates {
        rust_files(&root().join(name), &mut files);
    }
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

const CRATES: &[&str] = &[
    "domain/src",
    "app/src",
    "projections/src",
    "embedded_postgres/src",
    "infra/src",
    "postgres_es/src",
    "jobs/src",
    "sources/src",
    "api/src",
    "migrations/src",
    "deploy/server/src",
];

/// The kymograph crates that a crate may depend on. Dependencies run one way.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("migrations", &[]),
    ("embedded_postgres", &[]),
    ("app", &["domain"]),
    ("projections", &["app", "domain"]),
    ("infra", &["app", "domain", "migrations", "projections"]),
    ("postgres_es", &["app", "domain"]),
    ("jobs", &["app", "domain", "projections"]),
    ("sources", &["app", "domain", "infra"]),
    ("api", &["app", "domain"]),
    (
        "deploy/server",
        &[
            "api",
            "app",
            "domain",
            "embedded-postgres",
            "infra",
            "jobs",
            "migrations",
            "postgres-es",
            "projections",
            "sources",
        ],
    ),
];

/// The areas of the crates, lowest first: each may use itself and those before it.
const AREAS: &[&str] = &["kernel", "rights", "account", "content", "record", "source"];

/// The crates that have areas.
const CRATES_WITH_AREAS: &[&str] = &["domain/src", "app/src", "projections/src", "api/src"];

/// The paths that a file uses in this workspace, like `crate::kernel::error`, without tests and comments.
fn named_paths(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: String = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let starts = ["crate::", "kymograph_domain::", "kymograph_app::", "kymograph_projections::"];
    let found = starts.iter().flat_map(|start| code.match_indices(start).map(|(at, _)| &code[at..]));
    found
        .flat_map(|path| expanded(path.split([';', ' ', '(', '<', '&']).next().unwrap_or_default(), path))
        .collect()
}

/// The paths of a use tree.
fn expanded(first: &str, code: &str) -> Vec<String> {
    let Some((prefix, _)) = first.split_once('{') else { return vec![first.to_owned()] };
    let tree = &code[prefix.len() + 1..];
    let (mut depth, mut item, mut paths) = (0, String::new(), Vec::new());
    for character in tree.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => paths.push(std::mem::take(&mut item)),
            _ => {}
        }
        if depth > 0 || !matches!(character, ',' | ' ') {
            item.push(character);
        }
    }
    paths.push(item);
    paths.iter().map(|item| format!("{prefix}{}", item.trim_start_matches([',', ' ']))).collect()
}

#[test]
fn areas_use_those_below_them_only() {
    let mut broken = Vec::new();
    for name in CRATES_WITH_AREAS {
        for (path, text) in sources(&[name]) {
            let inside = path.strip_prefix(root().join(name)).unwrap();
            let area = inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
            let area = area.trim_end_matches(".rs");
            let Some(level) = AREAS.iter().position(|known| *known == area) else { continue };
            for used in named_paths(&text) {
                let used_area = used.split("::").nth(1).unwrap_or_default();
                if AREAS.iter().position(|known| *known == used_area).is_some_and(|used| used > level) {
                    broken.push(format!("{} uses {used}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_paths_of_a_use_tree_are_found() {
    let text =
        "use crate::kernel::{body, error::{A, B}};\nuse kymograph_app::record::audit::Audits;\n// crate::no";
    let paths = ["crate::kernel::body", "crate::kernel::error::{AB}", "kymograph_app::record::audit::Audits"];
    let found = named_paths(text);
    assert_eq!(found.len(), paths.len(), "{found:?}");
    assert!(found[0].starts_with("crate::kernel::body") && found[2] == paths[2], "{found:?}");
}

#[test]
fn dependencies_run_one_way() {
    for (name, allowed) in LAYERS {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let used =
            manifest.lines().filter_map(|line| line.strip_prefix("kymograph-")?.split(['.', ' ']).next());
        for used in used {
            assert!(allowed.contains(&used), "{name} must not depend on {used}");
        }
    }
}

#[test]
fn postgres_es_and_sqlx_are_dependencies_of_one_crate() {
    for (name, _) in LAYERS {
        let manifest = std::fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let needs = |library: &str| manifest.lines().any(|line| line.starts_with(&format!("{library}.")));
        assert_eq!(needs("sqlx") || needs("postgres-es"), *name == "postgres_es", "{name}");
    }
}

#[test]
fn inner_layers_know_nothing_of_the_outer_world() {
    let forbidden: &[(&str, &[&str])] = &[
        ("domain/src", &["tokio_postgres", "axum", "sqlx", "std::fs", "std::net", "reqwest"]),
        ("app/src", &["tokio_postgres", "axum", "sqlx", "StatusCode", "SELECT "]),
        ("projections/src", &["axum", "StatusCode"]),
        ("infra/src", &["axum", "StatusCode"]),
        ("jobs/src", &["axum", "StatusCode"]),
        ("sources/src", &["axum"]),
        ("api/src", &["tokio_postgres", "sqlx", "SELECT "]),
    ];
    for (folder, words) in forbidden {
        for (path, text) in sources(&[folder]) {
            // Tests may use a runtime.
            let code = text.split("#[cfg(test)]").next().unwrap();
            for word in *words {
                assert!(!code.contains(word), "{} must not know of {word}", path.display());
            }
        }
    }
}

/// The files that begin and end transactions of requests.
const TRANSACTIONS: &[&str] = &["projections/src/kernel/database.rs", "infra/src/pipeline.rs"];
/// The same for commands, on a connection that is closed with the command.
const TRANSACTIONS_OF_COMMANDS: &[&str] = &[
    "infra/src/import/write.rs",
    "infra/src/migrate.rs",
    "infra/src/rebuild/switch.rs",
    "infra/src/verify.rs",
    "sources/src/postgres/query.rs",
];

/// Whether code begins transactions: by a method of the driver, or by a command at the beginning of a text or after
/// another one.
fn begins_transactions(code: &str) -> bool {
    let by_method = [".transaction()", ".build_transaction()"].iter().any(|call| code.contains(call));
    let by_command = ["BEGIN", "START TRANSACTION"].iter().any(|command| {
        code.match_indices(command).any(|(at, _)| {
            let (before, after) = (code[..at].trim_end(), &code[at + command.len()..]);
            let is_word = !after.starts_with(|next: char| next.is_alphanumeric() || next == '_');
            is_word && before.ends_with(['"', ';'])
        })
    });
    by_method || by_command
}

#[test]
fn transactions_are_begun_only_where_they_are_ended() {
    let known = [TRANSACTIONS, TRANSACTIONS_OF_COMMANDS].concat();
    for (path, text) in sources(CRATES) {
        let code = text.split("#[cfg(test)]").next().unwrap();
        let is_known = known.iter().any(|end| path.ends_with(end));
        assert_eq!(begins_transactions(code), is_known, "{} begins a transaction, or did", path.display());
    }
    for code in [
        "client.batch_execute(\"BEGIN\")",
        "const SQL: &str = \"\n    BEGIN READ ONLY; SELECT 1\";",
        "format!(\"SET LOCAL a = {b}; BEGIN\")",
        "client.simple_query(\"START TRANSACTION\")",
        "let transaction = client.transaction().await?;",
        "client\n    .build_transaction()\n    .start()",
    ] {
        assert!(begins_transactions(code), "{code}");
    }
    for code in ["const BEGIN: &str = \"INSERT\";", "pipeline.transaction(&steps)", "\"BEGINNING\""] {
        assert!(!begins_transactions(code), "{code}");
    }
}

/// The string literals of a source, approximately: the text between quotes, except for escaped ones.
fn literals(code: &str) -> impl Iterator<Item = &str> {
    code.split('"').skip(1).step_by(2)
}

#[test]
fn every_query_on_dashboards_says_whether_it_means_those_in_the_trash() {
    let mut queries = 0;
    for (path, text) in sources(&["projections/src", "infra/src"]) {
        let code = text.split("#[cfg(test)]").next().unwrap();
        for literal in literals(code).filter(|literal| literal.contains("SELECT")) {
            let reads = literal.contains("FROM dashboards") || literal.contains("JOIN dashboards");
            assert!(!reads || literal.contains("deleted"), "{}: {literal}", path.display());
            queries += usize::from(reads);
        }
    }
    assert!(queries > 5, "the queries on dashboards were not found");
}

#[test]
fn the_first_decision_tells_how_much_code_it_cost() {
    let of_parts: [&[&str]; 3] = [
        &["app/src/kernel/command", "app/src/kernel/unit", "app/src/kernel/event_store"],
        &["infra/src/event_store"],
        &["infra/src/pipeline"],
    ];
    let text = std::fs::read_to_string(root().join("docs/adr/0001-own-executor.md")).unwrap();
    let told: Vec<usize> = text
        .lines()
        .filter_map(|line| line.trim_end_matches(" |").rsplit_once("| ")?.1.parse().ok())
        .collect();
    assert_eq!(told.len(), of_parts.len());
    for (parts, told) in of_parts.iter().zip(told) {
        let files = sources(CRATES).into_iter().filter(|(path, _)| {
            let path = path.strip_prefix(root()).unwrap().with_extension("");
            parts.iter().any(|part| path.starts_with(part))
        });
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        let count: usize = files
            .map(|(_, text)| text.split("\n#[cfg(test)]").next().unwrap().lines().filter(is_code).count())
            .sum();
        // A deviation of up to a tenth is accepted.
        assert!(count.abs_diff(told) * 10 <= told, "{parts:?} have {count} lines, not {told}");
    }
}

#[test]
fn files_stay_small() {
    for (path, text) in sources(&[CRATES, &["tests"]].concat()) {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines, {MAX_LINES} are allowed", path.display());
    }
}

#[test]
fn a_slice_has_its_file_in_every_crate() {
    // Attempts have no read model: they are read as audit entries.
    const WITHOUT_READ_MODEL: &[&str] = &["access"];
    for noun in registry::TYPES {
        let mut in_area = None;
        for folder in ["domain/src", "app/src", "projections/src", "api/src"] {
            if folder == "projections/src" && WITHOUT_READ_MODEL.contains(noun) {
                continue;
            }
            let file = |area: &str| root().join(folder).join(area).join(format!("{noun}.rs"));
            let areas: Vec<_> = AREAS.iter().filter(|area| file(area).exists()).collect();
            assert_eq!(areas.len(), 1, "{folder}/*/{noun}.rs");
            assert_eq!(areas[0], *in_area.get_or_insert(areas[0]), "{folder}: {noun} is in another area");
        }
        let test = root().join("tests/integration").join(format!("{noun}.rs"));
        assert!(test.exists(), "{} is missing", test.display());
    }
}

#[test]
fn every_read_model_is_registered_and_has_a_migration() {
    let sql: String = std::fs::read_dir(root().join("migrations/sql"))
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    let mut tables = BTreeSet::new();
    for projector in kymograph_projections::projectors() {
        for table in projector.tables() {
            assert!(sql.contains(&format!("CREATE TABLE {table} (")), "{table} has no migration");
            assert!(tables.insert(*table), "{table} belongs to two projectors");
        }
    }
    let files = std::fs::read_dir(root().join("migrations/sql")).unwrap().count();
    assert_eq!(files, kymograph_migrations::MIGRATIONS.len(), "a migration is not registered");
}

#[test]
fn no_unfinished_work_is_left_in_the_code() {
    // Written in parts, so that this file does not find itself.
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX"), concat!("unimple", "mented!")];
    for (path, text) in sources(&[CRATES, &["tests"]].concat()) {
        for word in words {
            assert!(!text.contains(word), "{} says {word}", path.display());
        }
    }
}
