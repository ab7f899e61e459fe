//! [`Description`] to text: what Chromium and Firefox accept, in the order of RFC 9429 §5.2.1.
//! A rollback has no text.

use std::fmt::{self, Write};

use crate::sdp::description::{
    Description, Direction, Fingerprint, SdpType, SectionDescription, SectionKind, Setup,
};

/// Writes a description.
#[must_use]
pub fn write(description: &Description) -> String {
    let mut text = String::new();
    if description.sdp_type != SdpType::Rollback {
        // Writing to a String cannot fail; fmt::Result only lets `?` read naturally.
        let written = write_session(&mut text, description);
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    text
}

fn write_session(out: &mut String, description: &Description) -> fmt::Result {
    let (id, version) = (description.session_id, description.session_version);
    write!(
        out,
        "v=0\r\no=- {id} {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
    )?;
    if !description.bundle.is_empty() {
        out.push_str("a=group:BUNDLE");
        for mid in &description.bundle {
            write!(out, " {mid}")?;
        }
        out.push_str("\r\n");
    }
    if description.extmap_allow_mixed {
        out.push_str("a=extmap-allow-mixed\r\n");
    }
    out.push_str("a=msid-semantic:WMS *\r\n");
    if description.ice_lite {
        out.push_str("a=ice-lite\r\n");
    }
    for section in &description.sections {
        write_section(out, section)?;
    }
    Ok(())
}

fn write_section(out: &mut String, section: &SectionDescription) -> fmt::Result {
    write_media_line(out, section)?;
    if section.rejected {
        return write!(out, "a=mid:{}\r\na=inactive\r\n", section.mid);
    }
    if section.bundle_only {
        out.push_str("a=bundle-only\r\n");
    }
    write_transport(out, section)?;
    match section.kind {
        SectionKind::Media(_) => {
            write_media(out, section)?;
            write_streams(out, section)
        }
        SectionKind::Data => {
            let port = section.sctp_port.unwrap_or(SCTP_PORT);
            let bytes = section.message_bytes_max;
            write!(out, "a=sctp-port:{port}\r\na=max-message-size:{bytes}\r\n")
        }
        SectionKind::Unknown => Ok(()),
    }
}

fn write_media_line(out: &mut String, section: &SectionDescription) -> fmt::Result {
    let default = section
        .candidates
        .first()
        .map(|candidate| candidate.address);
    // RFC 9429 §5.2.1: port 9 and 0.0.0.0 where there is no default candidate, 0 where the m-line
    // is off or has no transport but the group's.
    let port = match default {
        _ if section.rejected || section.bundle_only => 0,
        Some(address) => address.port(),
        None => 9,
    };
    write!(out, "m={} {port} {}", section.media, section.protocol)?;
    for format in &section.formats {
        write!(out, " {format}")?;
    }
    match default.filter(|_| !section.rejected) {
        Some(address) if address.is_ipv6() => write!(out, "\r\nc=IN IP6 {}\r\n", address.ip()),
        Some(address) => write!(out, "\r\nc=IN IP4 {}\r\n", address.ip()),
        None => write!(out, "\r\nc=IN IP4 0.0.0.0\r\n"),
    }
}

fn write_transport(out: &mut String, section: &SectionDescription) -> fmt::Result {
    for candidate in &section.candidates {
        let (foundation, priority) = (&candidate.foundation, candidate.priority);
        let (ip, port) = (candidate.address.ip(), candidate.address.port());
        write!(
            out,
            "a=candidate:{foundation} 1 udp {priority} {ip} {port} typ host\r\n"
        )?;
    }
    if section.end_of_candidates {
        out.push_str("a=end-of-candidates\r\n");
    }
    if let Some(ice) = &section.ice {
        write!(
            out,
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n",
            ice.ufrag, ice.password
        )?;
    }
    for fingerprint in &section.fingerprints {
        match fingerprint {
            Fingerprint::Sha256(bytes) => write_fingerprint(out, "sha-256", bytes)?,
            Fingerprint::Sha384(bytes) => write_fingerprint(out, "sha-384", bytes)?,
            Fingerprint::Sha512(bytes) => write_fingerprint(out, "sha-512", bytes)?,
        }
    }
    if let Some(setup) = section.setup {
        let name = match setup {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::ActPass => "actpass",
        };
        write!(out, "a=setup:{name}\r\n")?;
    }
    write!(out, "a=mid:{}\r\n", section.mid)
}

fn write_fingerprint(out: &mut String, hash: &str, bytes: &[u8]) -> fmt::Result {
    write!(out, "a=fingerprint:{hash} ")?;
    for (index, byte) in bytes.iter().enumerate() {
        let separator = if index == 0 { "" } else { ":" };
        write!(out, "{separator}{byte:02X}")?;
    }
    out.push_str("\r\n");
    Ok(())
}

fn write_media(out: &mut String, section: &SectionDescription) -> fmt::Result {
    for extmap in &section.extensions {
        write!(out, "a=extmap:{}", extmap.id)?;
        if extmap.direction != Direction::SendRecv {
            write!(out, "/{}", extmap.direction.as_str())?;
        }
        write!(out, " {}\r\n", extmap.uri)?;
    }
    write!(out, "a={}\r\n", section.direction.as_str())?;
    for msid in &section.msids {
        write!(out, "a=msid:{}", msid.stream)?;
        if let Some(track) = &msid.track {
            write!(out, " {track}")?;
        }
        out.push_str("\r\n");
    }
    if section.rtcp_mux {
        out.push_str("a=rtcp-mux\r\n");
    }
    if section.rtcp_reduced_size {
        out.push_str("a=rtcp-rsize\r\n");
    }
    for payload in &section.payloads {
        let (number, name, rate) = (payload.payload_type, &payload.name, payload.clock_rate);
        write!(out, "a=rtpmap:{number} {name}/{rate}")?;
        if payload.channels > 1 {
            write!(out, "/{}", payload.channels)?;
        }
        out.push_str("\r\n");
        for value in &payload.feedback {
            write!(out, "a=rtcp-fb:{number} {value}\r\n")?;
        }
        if !payload.parameters.is_empty() {
            write!(out, "a=fmtp:{number} {}\r\n", payload.parameters)?;
        }
    }
    Ok(())
}

fn write_streams(out: &mut String, section: &SectionDescription) -> fmt::Result {
    let rids = [
        (&section.rids_send, "send"),
        (&section.rids_receive, "recv"),
    ];
    for (rids, direction) in rids {
        for rid in rids {
            write!(out, "a=rid:{rid} {direction}\r\n")?;
        }
    }
    let mut separator = "a=simulcast:";
    for (rids, direction) in rids {
        for (index, rid) in rids.iter().enumerate() {
            if index == 0 {
                write!(out, "{separator}{direction} {rid}")?;
                separator = " ";
            } else {
                write!(out, ";{rid}")?;
            }
        }
    }
    if separator == " " {
        out.push_str("\r\n");
    }
    for group in &section.ssrc_groups {
        write!(out, "a=ssrc-group:{}", group.semantics)?;
        for ssrc in &group.ssrcs {
            write!(out, " {ssrc}")?;
        }
        out.push_str("\r\n");
    }
    for described in &section.ssrcs {
        if let Some(cname) = &described.cname {
            write!(out, "a=ssrc:{} cname:{cname}\r\n", described.ssrc)?;
        }
    }
    Ok(())
}

/// The SCTP port every browser says (RFC 8841 §5.1).
pub const SCTP_PORT: u16 = 5_000;
