//! The offers of light peers: as little as a server needs, all m-lines at once.

use std::fmt::Write as _;

use sfu::wire::extension::Extension;

use super::bare::ssrc_of;
use super::peer::PASSWORD;
use super::scenario::{Media, Scenario};

/// The level of a sound, in the clear (RFC 6464).
pub(super) const LEVEL_ID: u8 = 1;
/// The number of a packet among all of a transport's.
pub(super) const TRANSPORT_WIDE_ID: u8 = 3;
/// Which encoding (RFC 8852).
pub(super) const RID_ID: u8 = 10;
/// VP8 and Opus.
pub(super) const PAYLOAD_TYPE: u8 = 96;
/// What VP8 is repeated as.
pub(super) const RTX_PAYLOAD_TYPE: u8 = 97;

/// The offer of peer `number`: sends what the scenario says it publishes, receives the rest.
pub(super) fn offer(scenario: &Scenario, number: usize) -> String {
    let publishes = number < scenario.publishers;
    let receives = scenario.mutual || !publishes;
    let shown = (0..scenario.publishers).filter(|&it| scenario.shown(number, it).is_some());
    let receiving = match scenario.media {
        _ if !receives => 0,
        // Of sounds whoever is loud is one of as many, also for the loud ones themselves.
        Media::Audio => scenario.speakers,
        // Where nobody sends, one could.
        Media::Video => shown.count().max(1),
    };
    let sections = usize::from(publishes) + receiving;
    let mut text = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE".to_owned();
    for mid in 0..sections {
        put(&mut text, format_args!(" {mid}"));
    }
    text.push_str("\r\n");
    for mid in 0..sections {
        section(&mut text, scenario, number, mid);
        if publishes && mid == 0 {
            sends(&mut text, scenario, number);
        } else {
            text.push_str("a=recvonly\r\n");
        }
    }
    text
}

/// How what is sent is told apart: by SSRC, or by rid where there are several encodings.
fn sends(text: &mut String, scenario: &Scenario, number: usize) {
    text.push_str("a=sendonly\r\n");
    let encodings = scenario.encodings;
    if let [_one] = encodings {
        let ssrc = ssrc_of(number);
        put(text, format_args!("a=ssrc:{ssrc} cname:p{number}\r\n"));
        return;
    }
    put(
        text,
        format_args!("a=extmap:{RID_ID} urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n"),
    );
    let rids: Vec<&str> = encodings.iter().map(|encoding| encoding.rid).collect();
    for rid in &rids {
        put(text, format_args!("a=rid:{rid} send\r\n"));
    }
    put(
        text,
        format_args!("a=simulcast:send {}\r\n", rids.join(";")),
    );
}

fn section(text: &mut String, scenario: &Scenario, number: usize, mid: usize) {
    let media = scenario.media;
    let fingerprint = fingerprint();
    let (kind, formats) = match media {
        Media::Video => ("video", format!("{PAYLOAD_TYPE} {RTX_PAYLOAD_TYPE}")),
        Media::Audio => ("audio", PAYLOAD_TYPE.to_string()),
    };
    put(
        text,
        format_args!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:peer{number}\r\na=ice-pwd:{PASSWORD}\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\na=mid:{mid}\r\n\
             a=rtcp-mux\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
        ),
    );
    if scenario.estimated {
        put(
            text,
            format_args!(
                "a=extmap:{TRANSPORT_WIDE_ID} {}\r\na=rtcp-fb:{PAYLOAD_TYPE} transport-cc\r\n",
                Extension::TransportWideCc.uri()
            ),
        );
    }
    match media {
        Media::Video => put(
            text,
            format_args!(
                "a=rtpmap:{PAYLOAD_TYPE} VP8/90000\r\na=rtcp-fb:{PAYLOAD_TYPE} nack\r\n\
                 a=rtcp-fb:{PAYLOAD_TYPE} nack pli\r\na=rtpmap:{RTX_PAYLOAD_TYPE} rtx/90000\r\n\
                 a=fmtp:{RTX_PAYLOAD_TYPE} apt={PAYLOAD_TYPE}\r\n"
            ),
        ),
        Media::Audio => put(
            text,
            format_args!(
                "a=extmap:{LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
                 a=rtpmap:{PAYLOAD_TYPE} opus/48000/2\r\n"
            ),
        ),
    }
}

fn fingerprint() -> String {
    let certificate = crate::identity::robot().certificate;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate);
    let bytes: Vec<String> = digest
        .as_ref()
        .iter()
        .map(|it| format!("{it:02X}"))
        .collect();
    bytes.join(":")
}

/// Writing into a string does not fail.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let _always = text.write_fmt(what);
}
