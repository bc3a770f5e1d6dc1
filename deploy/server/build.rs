//! Embeds the portal as `vite build` left it in `portal/dist/site`. Without it the server is built without a portal, so
//! that `cargo build` needs no Node.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../portal/dist").canonicalize()?;
    // The directory exists even before the first build, because its .gitignore is in the repository.
    println!("cargo:rerun-if-changed={}", dist.display());
    let site = dist.join("site");
    let index = site.join("index.html");
    let mut code = String::from("kymograph_api::portal::PortalFiles {\n");
    if index.is_file() {
        writeln!(code, "    index: Some(include_str!({})),", literal(&index)?)?;
    } else {
        code.push_str("    index: None,\n");
    }
    code.push_str("    files: &[\n");
    for (name, file) in compressed_files(&site)? {
        writeln!(code, "        kymograph_api::portal::PortalFile {{")?;
        writeln!(code, "            path: {name:?},")?;
        writeln!(code, "            brotli: include_bytes!({}),", literal(&with_added(&file, "br"))?)?;
        writeln!(code, "            gzip: include_bytes!({}),", literal(&with_added(&file, "gz"))?)?;
        writeln!(code, "        }},")?;
    }
    code.push_str("    ],\n}\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("portal_files.rs"), code)?;
    Ok(())
}

/// The files that have a compressed form, without the suffix of that, sorted by the path they are served under.
fn compressed_files(site: &Path) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut directories = vec![site.to_owned()];
    while let Some(directory) = directories.pop().filter(|directory| directory.is_dir()) {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "br") {
                let file = path.with_extension("");
                let name = file.strip_prefix(site)?.to_str().ok_or("a file name is not UTF-8")?.to_owned();
                found.push((name, file));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The path as a literal in Rust.
fn literal(path: &Path) -> Result<String, Box<dyn Error>> {
    Ok(format!("{:?}", path.to_str().ok_or("a path is not UTF-8")?))
}

/// The path with an extension appended.
fn with_added(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
