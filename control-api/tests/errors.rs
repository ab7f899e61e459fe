//! `docs/errors.md` is what the table says.

#[path = "../examples/errors.rs"]
mod errors;

#[test]
fn the_page_of_errors_is_fresh() {
    let committed = std::fs::read_to_string(errors::place()).unwrap_or_default();
    assert!(
        committed == errors::page(),
        "docs/errors.md is stale: run `cargo errors`"
    );
}
