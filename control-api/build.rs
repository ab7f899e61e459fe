//! Embeds `web/`: a table of path, media type, entity tag and bytes, plain and in gzip, written to
//! `OUT_DIR`.

#[path = "build/comments.rs"]
mod comments;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;

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
    for (number, path) in files.iter().enumerate() {
        let extension = path.extension().and_then(|it| it.to_str());
        let known = TYPES.iter().find(|(known, _)| Some(*known) == extension);
        let Some((extension, media_type)) = known else {
            continue;
        };
        let mut bytes = fs::read(path)?;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            bytes = comments::strip(text, extension).into_bytes();
        }
        let relative = path.strip_prefix(&web).map_err(io::Error::other)?;
        let address = format!("/{}", relative.display());
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let tag = hasher.finish();
        let plain = out.join(format!("{number}.plain"));
        let packed = out.join(format!("{number}.gz"));
        fs::write(&packed, gzip(&bytes)?)?;
        fs::write(&plain, bytes)?;
        table.push_str(&format!(
            "    Asset {{ path: {address:?}, media_type: {media_type:?}, \
             plain: Body {{ tag: \"\\\"{tag:016x}\\\"\", bytes: include_bytes!({plain:?}) }}, \
             gzip: Body {{ tag: \"\\\"{tag:016x}-gzip\\\"\", bytes: include_bytes!({packed:?}) }} }},\n"
        ));
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table)
}

/// Packed once, here, instead of for each who asks.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
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
