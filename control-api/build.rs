//! Embeds `web/`: a table of path, media type, entity tag and bytes, written to `OUT_DIR`.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Media types of what a page is made of; files of other kinds are tools, not parts of it.
const TYPES: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("ico", "image/x-icon"),
    ("woff2", "font/woff2"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
];

fn main() -> io::Result<()> {
    let manifest = env::var_os("CARGO_MANIFEST_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    let out = env::var_os("OUT_DIR")
        .map(PathBuf::from)
        .unwrap_or_default();
    let web = manifest.join("../web");
    let mut files = Vec::new();
    println!("cargo:rerun-if-changed={}", web.display());
    if web.is_dir() {
        collect(&web, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for path in &files {
        let extension = path
            .extension()
            .and_then(|it| it.to_str())
            .unwrap_or_default();
        let Some((_, media_type)) = TYPES.iter().find(|(known, _)| *known == extension) else {
            continue;
        };
        let relative = path.strip_prefix(&web).map_err(io::Error::other)?;
        let address = format!("/{}", relative.display());
        let mut hasher = DefaultHasher::new();
        fs::read(path)?.hash(&mut hasher);
        let tag = format!("\"{:016x}\"", hasher.finish());
        let absolute = path.canonicalize()?;
        writeln!(
            table,
            "    Asset {{ path: {address:?}, media_type: {media_type:?}, tag: {tag:?}, \
             bytes: include_bytes!({absolute:?}) }},"
        )
        .map_err(io::Error::other)?;
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|it| it.to_str())
            .unwrap_or_default();
        // Tools' files and folders are no part of the page.
        if name.starts_with('.') || name == "node_modules" || name == "tests" {
            continue;
        }
        println!("cargo:rerun-if-changed={}", path.display());
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
