//! Values of single attributes, read by `parse`. What a browser may write oddly is `None` and so
//! ignored; what must not be misread is an error in words, to which `parse` adds the line.

use std::net::{IpAddr, SocketAddr};

use crate::id::Rid;
use crate::limits;
use crate::sdp::description::{Candidate, Direction, Extmap, Fingerprint, Msid, Setup, SsrcGroup};

/// What a value cannot be used for, and what would be right.
pub(super) type Why = String;

/// `a=candidate`: UDP, component 1, an address. TCP, component 2 and `.local` names are `None`.
pub(super) fn candidate(value: &str) -> Option<Candidate> {
    let mut words = value.split_ascii_whitespace();
    let foundation = words.next()?;
    let component = words.next()?;
    let transport = words.next()?;
    let priority = words.next()?.parse().ok()?;
    let address: IpAddr = words.next()?.parse().ok()?;
    let port: u16 = words.next()?.parse().ok()?;
    // RFC 8445 §5.3: a foundation has at most 32 characters.
    let usable = component == "1"
        && transport.eq_ignore_ascii_case("udp")
        && words.next() == Some("typ")
        && port != 0
        && foundation.len() <= 32;
    usable.then(|| Candidate {
        foundation: foundation.to_owned(),
        priority,
        address: SocketAddr::new(address, port),
    })
}

/// `a=fingerprint`; `Ok(None)` where the hash is too weak to trust or unknown.
pub(super) fn fingerprint(value: &str) -> Result<Option<Fingerprint>, Why> {
    let wanted = || "a=fingerprint wants `sha-256 AB:CD:…`, 32 bytes in hex".to_owned();
    let (hash, digits) = value.split_once(' ').ok_or_else(wanted)?;
    let digits = digits.trim();
    let read = if hash.eq_ignore_ascii_case("sha-256") {
        hex(digits).map(Fingerprint::Sha256)
    } else if hash.eq_ignore_ascii_case("sha-384") {
        hex(digits).map(Fingerprint::Sha384)
    } else if hash.eq_ignore_ascii_case("sha-512") {
        hex(digits).map(Fingerprint::Sha512)
    } else {
        return Ok(None);
    };
    read.map(Some).ok_or_else(wanted)
}

/// Exactly `N` bytes as `AB:CD:…`.
fn hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut pairs = digits.split(':');
    for byte in &mut bytes {
        let pair = pairs.next()?;
        if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}

/// `a=setup`.
pub(super) fn setup(value: &str) -> Result<Setup, Why> {
    match value {
        "active" => Ok(Setup::Active),
        "passive" => Ok(Setup::Passive),
        "actpass" => Ok(Setup::ActPass),
        _ => Err("a=setup wants active, passive or actpass".to_owned()),
    }
}

/// `a=ice-ufrag` (4 to 256 characters) or `a=ice-pwd` (22 to 256), RFC 8839 §5.4.
pub(super) fn ice(value: &str, shortest: usize) -> Result<String, Why> {
    // The grammar knows letters, digits, `+` and `/`; others write more. A colon would break the
    // USERNAME attribute apart.
    let sound = value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b':');
    if sound && (shortest..=256).contains(&value.len()) {
        return Ok(value.to_owned());
    }
    Err(format!(
        "ICE credentials want {shortest} to 256 letters and digits"
    ))
}

/// `a=rtpmap`: payload type, name, clock rate, channels.
pub(super) fn rtpmap(value: &str) -> Result<(u8, &str, u32, u8), Why> {
    let wanted = || "a=rtpmap wants `<payload type> <name>/<clock rate>`".to_owned();
    let (payload_type, format) = value.split_once(' ').ok_or_else(wanted)?;
    let payload_type = payload_type.parse().map_err(|_| wanted())?;
    let mut parts = format.trim().split('/');
    let name = parts
        .next()
        .filter(|name| !name.is_empty())
        .ok_or_else(wanted)?;
    let clock_rate = parts
        .next()
        .and_then(|rate| rate.parse().ok())
        .ok_or_else(wanted)?;
    let channels = parts
        .next()
        .map_or(Ok(1), str::parse)
        .map_err(|_| wanted())?;
    Ok((payload_type, name, clock_rate, channels))
}

/// `a=extmap`; ids we cannot write (0, 15, above 255) are `None`.
pub(super) fn extmap(value: &str) -> Result<Option<Extmap>, Why> {
    let wanted = || "a=extmap wants `<id>[/<direction>] <uri>`".to_owned();
    let mut words = value.split_ascii_whitespace();
    let head = words.next().ok_or_else(wanted)?;
    let uri = words.next().ok_or_else(wanted)?;
    let (id, direction) = match head.split_once('/') {
        Some((id, name)) => (id, Direction::from_name(name).ok_or_else(wanted)?),
        None => (head, Direction::SendRecv),
    };
    let id: u32 = id.parse().map_err(|_| wanted())?;
    // RFC 8285 §4.2: 15 is reserved in the one-byte form.
    let id = u8::try_from(id).ok().filter(|id| *id != 0 && *id != 15);
    Ok(id.map(|id| Extmap {
        id,
        direction,
        uri: uri.to_owned(),
    }))
}

/// `a=rid`: the id, and whether the writer sends it.
pub(super) fn rid(value: &str) -> Option<(Rid, bool)> {
    let mut words = value.split_ascii_whitespace();
    let rid = Rid::new(words.next()?)?;
    match words.next()? {
        "send" => Some((rid, true)),
        "recv" => Some((rid, false)),
        _ => None,
    }
}

/// `a=simulcast` (RFC 8853 §5.1): the first alternative of each encoding sent, in order.
pub(super) fn simulcast_sent(value: &str) -> Option<Vec<Rid>> {
    let mut words = value.split_ascii_whitespace();
    while let Some(word) = words.next() {
        let list = words.next()?;
        if word == "send" {
            let first = |encoding: &str| {
                let rid = encoding.split(',').next()?;
                Rid::new(rid.strip_prefix('~').unwrap_or(rid))
            };
            return Some(
                list.split(';')
                    .filter_map(first)
                    .take(limits::SDP_RIDS)
                    .collect(),
            );
        }
    }
    None
}

/// `a=ssrc`: the SSRC, the attribute's name and its value.
pub(super) fn ssrc(value: &str) -> Result<(u32, &str, &str), Why> {
    let (ssrc, attribute) = value.split_once(' ').unwrap_or((value, ""));
    let ssrc = ssrc
        .parse()
        .map_err(|_| "a=ssrc wants a number below 2^32 and an attribute".to_owned())?;
    let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
    Ok((ssrc, name, value))
}

/// `a=ssrc-group` of semantics that mean something here.
pub(super) fn ssrc_group(value: &str) -> Option<SsrcGroup> {
    let mut words = value.split_ascii_whitespace();
    let semantics = words.next().filter(|word| matches!(*word, "FID" | "SIM"))?;
    let ssrcs = words
        .take(limits::SDP_SSRC_GROUPS)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    Some(SsrcGroup {
        semantics: semantics.to_owned(),
        ssrcs,
    })
}

/// `a=msid`.
pub(super) fn msid(value: &str) -> Option<Msid> {
    let mut words = value.split_ascii_whitespace();
    let stream = words.next()?.to_owned();
    let track = words.next().map(str::to_owned);
    Some(Msid { stream, track })
}

/// One parameter of an `a=fmtp` value.
pub(super) fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
