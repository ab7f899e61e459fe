//! RTCP of our own: at most one compound per transport and departure, reports first.

use super::room::Member;
use crate::id::MemberKey;
use crate::router::Router;
use crate::time::Instant;
use crate::wire::rtcp::CompoundWriter;

/// A receiver report without blocks.
const EMPTY_REPORT_BYTES: usize = 8;

/// Writes what is due for `member` into `out`: sender and receiver reports, NACK, key frame
/// requests, transport-wide feedback. Bytes of plaintext; 0 where nothing is due.
pub(super) fn write(
    now: Instant,
    key: MemberKey,
    member: &mut Member,
    router: &mut Router,
    out: &mut [u8],
) -> usize {
    let mut writer = CompoundWriter::new(out);
    if router.has_feedback(key) {
        router.write_reports(now, key, &mut writer);
        router.write_feedback(now, key, &mut writer);
    }
    let mut written = writer.len();
    // Where nothing else is due the compound begins with an empty receiver report (RFC 3550 §6.1).
    let reports = written > 0;
    let start = if reports { written } else { EMPTY_REPORT_BYTES };
    let mut end = start;
    // Transport-wide feedback is about the transport as a whole, but browsers hand it to the one of
    // their sources it names and drop it where it names none.
    let media = member.heard_ssrc;
    while let Some(length) = out.get_mut(end..).and_then(|rest| {
        member
            .transport
            .write_twcc(now, member.rtcp_ssrc, media, rest)
    }) {
        end += length;
    }
    if end > start {
        if !reports {
            CompoundWriter::new(out).receiver_report(member.rtcp_ssrc, &[]);
        }
        written = end;
    }
    written
}
