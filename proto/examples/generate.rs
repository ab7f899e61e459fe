//! `cargo proto`: writes `src/gen` anew from the `.proto` files. No protoc: protox compiles them.

use std::path::{Path, PathBuf};

/// The services and their messages, in the order of their names.
const FILES: [&str; 13] = [
    "plenum/v1/diagnostics.proto",
    "plenum/v1/event.proto",
    "plenum/v1/mix.proto",
    "plenum/v1/node.proto",
    "plenum/v1/participant.proto",
    "plenum/v1/recording.proto",
    "plenum/v1/room.proto",
    "plenum/v1/server.proto",
    "plenum/v1/stats.proto",
    "plenum/v1/subscription.proto",
    "plenum/v1/token.proto",
    "plenum/v1/track.proto",
    "plenum/v1/transport.proto",
];

/// Writes the generated code and the descriptor set into `out`.
pub fn generate(out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(FILES.map(PathBuf::from))?;
    std::fs::create_dir_all(out)?;
    let descriptors = compiler.file_descriptor_set();
    tonic_prost_build::configure()
        .out_dir(out)
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    // Reflection serves names and types; comments would only weigh in the binary.
    compiler.include_source_info(false);
    std::fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    Ok(())
}

/// Where the generated code stands.
#[must_use]
pub fn generated() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gen")
}

#[cfg_attr(
    test,
    expect(
        dead_code,
        reason = "tests/fresh.rs includes this file for `generate` alone"
    )
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    generate(&generated())
}
