//! `cargo errors`: writes `docs/errors.md` anew from the one table in `status.rs`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use control_api::registry::LeaveAction;
use control_api::registry::spec::leave_label;
use control_api::status::{ERROR_DOMAIN, Reason};
use sfu::error::LeaveReason;

/// The page, from the tables.
#[must_use]
pub(crate) fn page() -> String {
    let mut page = String::from("# Errors\n\n");
    page.push_str("Made by `cargo errors` from the one table in `control-api/src/status.rs`.\n\n");
    let info = format!("`google.rpc.ErrorInfo` with domain `{ERROR_DOMAIN}` and the reason");
    let intro = [
        "Every door says why it refuses by the same word. gRPC: ",
        &info,
        ", and beside it, by code, `BadRequest` with the field, `QuotaFailure`, ",
        "`PreconditionFailure`, `RetryInfo`. HTTP: `application/problem+json` with `reason`. ",
        "WebSocket: the message `error` with `reason`, and the close code where the failure ends ",
        "the socket. \"Again\": the same request may succeed later.\n\n",
    ];
    page.extend(intro);
    page.push_str("| reason | gRPC | HTTP | WebSocket | again | what a person is told |\n");
    page.push_str("|---|---|---|---|---|---|\n");
    for &reason in Reason::ALL {
        let again = if reason.retry() { "yes" } else { "no" };
        // A `String` takes everything that is written to it.
        let _ = writeln!(
            page,
            "| {reason} | {} | {} | {} | {again} | {} |",
            shouted(reason.code()),
            reason.http_status(),
            reason.close_code(),
            reason.sentence(),
        );
    }
    page.push_str("\nBeside them gRPC has codes of its own without a reason: DEADLINE_EXCEEDED ");
    page.push_str("(nothing begins after a deadline) and CANCELLED.\n\n");
    page.push_str("## Why a participant is out\n\n");
    page.push_str("`LeaveReason` is apart: no request failed. STOP: it is over. REJOIN: join ");
    page.push_str("again.\n\n| reason | what to do |\n|---|---|\n");
    for &reason in LeaveReason::ALL {
        let action = LeaveAction::of(reason).as_str();
        let _ = writeln!(page, "| {} | {action} |", leave_label(reason));
    }
    page
}

/// `NotFound` as gRPC writes it.
fn shouted(code: tonic::Code) -> String {
    let mut out = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

/// Where it stands.
#[must_use]
pub(crate) fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors.md")
}

#[cfg_attr(
    test,
    expect(
        dead_code,
        reason = "tests/errors.rs includes this file for `page` alone"
    )
)]
fn main() -> std::io::Result<()> {
    std::fs::write(place(), page())
}
