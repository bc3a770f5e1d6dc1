//! `docs/LIMITS.md` matches the code.

use kymograph_server::config::{Config, Sources};
use kymograph_server::limits;

#[test]
fn the_page_of_limits_is_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/LIMITS.md");
    let sources = Sources {
        config_file: None,
        env: Vec::new(),
        overrides: Vec::new(),
        working_dir: std::env::temp_dir(),
    };
    let printed = limits::document(&Config::load(&sources).unwrap());
    if std::env::var_os("UPDATE_LIMITS").is_some() {
        std::fs::write(path, &printed).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert_eq!(written, printed, "UPDATE_LIMITS=1 cargo test -p kymograph-tests --test integration limit::");
}
