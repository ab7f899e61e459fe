//! `application/trickle-ice-sdpfrag` (RFC 8840 §9) as WHIP and WHEP use it: what a PATCH says of
//! ICE, and our answer to a restart.
//!
//! The server is ICE-lite and learns every address from checks (RFC 8445 §7.3), so candidates are
//! read for their form only and not kept.

use std::fmt::Write as _;

use sfu::id::Mid;
use sfu::sdp::description::{Candidate, IceCredentials};

use crate::limits::{FRAGMENT_LINE_BYTES, FRAGMENT_LINES};
use crate::status::{Failure, Reason};

/// What a fragment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fragment {
    /// The first user name fragment in it; BUNDLE leaves no second.
    pub(super) ufrag: Option<String>,
    /// The password beside it.
    pub(super) password: Option<String>,
    /// How many candidates it names, usable or not.
    pub(super) candidates: usize,
    /// Whether no more will follow.
    pub(super) is_last: bool,
}

/// Reads a fragment.
///
/// # Errors
/// `SDP_INVALID`, with the line.
pub(super) fn read(text: &str) -> Result<Fragment, Failure> {
    let mut fragment = Fragment::default();
    let mut in_section = false;
    for (index, line) in text.split('\n').enumerate() {
        let number = index.saturating_add(1);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let read = if number > FRAGMENT_LINES {
            Err("the fragment has too many lines")
        } else {
            fragment.line(line, &mut in_section)
        };
        read.map_err(|why| Failure {
            line: Some(number),
            ..Failure::new(Reason::SdpInvalid, format!("line {number}: {why}"))
        })?;
    }
    if fragment == Fragment::default() {
        let why = "a fragment wants a=ice-ufrag and a=ice-pwd, a=candidate or a=end-of-candidates";
        return Err(Failure::new(Reason::SdpInvalid, why));
    }
    Ok(fragment)
}

impl Fragment {
    fn line(&mut self, line: &str, in_section: &mut bool) -> Result<(), &'static str> {
        if line.is_empty() {
            return Ok(());
        }
        if line.len() > FRAGMENT_LINE_BYTES {
            return Err("the line is too long");
        }
        if line.bytes().any(|byte| byte.is_ascii_control()) {
            return Err("a control character; lines end with CRLF or LF");
        }
        if let Some(media) = line.strip_prefix("m=") {
            *in_section = true;
            let words = media.split_ascii_whitespace().count();
            return if words >= 4 { Ok(()) } else { Err(MEDIA) };
        }
        let Some(attribute) = line.strip_prefix("a=") else {
            return Err("a fragment has a= and m= lines only");
        };
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        let value = value.trim();
        match name {
            "ice-ufrag" => keep(&mut self.ufrag, credential(value, 4)?),
            "ice-pwd" => keep(&mut self.password, credential(value, 22)?),
            "candidate" => {
                check_candidate(value)?;
                self.candidates = self.candidates.saturating_add(1);
            }
            "end-of-candidates" => self.is_last = true,
            "mid" if !*in_section => return Err("a=mid belongs under an m-line"),
            "mid" => drop(Mid::new(value).ok_or("this is no mid")?),
            // RFC 8840 §9.1: what one does not know is passed over.
            _ => {}
        }
        Ok(())
    }
}

const MEDIA: &str = "m= wants `<media> <port> <protocol> <format>`";

fn keep(place: &mut Option<String>, value: String) {
    if place.is_none() {
        *place = Some(value);
    }
}

/// RFC 8839 §5.4. A colon would break the USERNAME attribute apart.
fn credential(value: &str, shortest: usize) -> Result<String, &'static str> {
    let sound = value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b':');
    if sound && (shortest..=256).contains(&value.len()) {
        return Ok(value.to_owned());
    }
    Err("ICE credentials want 4 (a=ice-ufrag) or 22 (a=ice-pwd) to 256 letters and digits")
}

/// RFC 8839 §5.1: `<foundation> <component> <transport> <priority> <address> <port> typ <type>`.
/// The address may be a `.local` name (mDNS), which nobody here looks up.
fn check_candidate(value: &str) -> Result<(), &'static str> {
    let wrong = "a=candidate wants `<foundation> <component> <transport> <priority> <address> \
                 <port> typ <type>`";
    // An empty one is how some say that there are no more (W3C webrtc §4.8.2).
    if value.is_empty() {
        return Ok(());
    }
    let mut words = value.split_ascii_whitespace();
    let mut next = || words.next().ok_or(wrong);
    let (foundation, component, _transport) = (next()?, next()?, next()?);
    let (priority, _address, port) = (next()?, next()?, next()?);
    let sound = foundation.len() <= 32
        && component
            .parse::<u16>()
            .is_ok_and(|it| (1..=256).contains(&it))
        && priority.parse::<u32>().is_ok()
        && port.parse::<u16>().is_ok()
        && next()? == "typ"
        && !next()?.is_empty();
    if sound { Ok(()) } else { Err(wrong) }
}

/// Our side after a restart: new credentials, and where we are, which is where we were.
pub(super) fn write(ice: &IceCredentials, tagged: Option<Mid>, candidates: &[Candidate]) -> String {
    let (ufrag, password) = (&ice.ufrag, &ice.password);
    let mut text = format!("a=ice-lite\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n");
    if let Some(mid) = tagged {
        // RFC 8840 §4.1: a pseudo m-line; nothing in it but the mid means anything.
        text.push_str("m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n");
        let mut lines = format!("a=mid:{mid}\r\n");
        for candidate in candidates {
            let (foundation, priority) = (&candidate.foundation, candidate.priority);
            let (ip, port) = (candidate.address.ip(), candidate.address.port());
            let line = write!(
                lines,
                "a=candidate:{foundation} 1 udp {priority} {ip} {port} typ host\r\n"
            );
            debug_assert!(line.is_ok(), "a String takes everything");
        }
        text.push_str(&lines);
        text.push_str("a=end-of-candidates\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANDIDATE: &str =
        "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw";

    #[test]
    fn fragments_are_read_as_rfc_8840_writes_them() {
        let credentials = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n";
        let full = format!(
            "a=group:BUNDLE 0 1\r\n{credentials}m=audio 9 RTP/AVP 0\r\na=mid:0\r\n{CANDIDATE}\r\n\
             a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n\
             a=candidate:1 1 udp 1 4f0d1f6a-1.local 50000 typ host\r\na=end-of-candidates\r\n"
        );
        let fragment = read(&full).unwrap();
        assert_eq!(fragment.ufrag.as_deref(), Some("EsAw"));
        assert_eq!(
            fragment.password.as_deref(),
            Some("P2uYro0UCOQ4zxjKXaWCBui1")
        );
        assert_eq!((fragment.candidates, fragment.is_last), (3, true));
        let restart = read(credentials).unwrap();
        assert_eq!((restart.candidates, restart.is_last), (0, false));
        // LF alone, and no line end at the end.
        assert_eq!(read(CANDIDATE).unwrap().candidates, 1);
        assert!(read("a=end-of-candidates\n").unwrap().is_last);
        assert_eq!(read("a=candidate:\n").unwrap().candidates, 1);
    }

    #[test]
    fn a_fragment_that_is_none_is_refused_with_its_line() {
        for (text, line) in [
            ("", None),
            ("a=unknown:1\r\n", None),
            ("v=0\r\n", Some(1)),
            ("a=ice-ufrag:abc\r\n", Some(1)),
            ("a=ice-ufrag:abcd\r\na=ice-pwd:short\r\n", Some(2)),
            ("a=ice-ufrag:ab:cd\r\n", Some(1)),
            ("a=mid:0\r\n", Some(1)),
            ("m=audio 9\r\n", Some(1)),
            ("m=audio 9 RTP/AVP 0\r\na=mid:\r\n", Some(2)),
            ("a=candidate:1 1 udp x 192.0.2.1 9 typ host\r\n", Some(1)),
            (
                "a=candidate:1 1 udp 1 192.0.2.1 99999 typ host\r\n",
                Some(1),
            ),
            ("a=candidate:1 1 udp 1 192.0.2.1 9 host\r\n", Some(1)),
            ("a=candidate:1 1 udp 1\r\n", Some(1)),
            ("a=candidate:\u{1}\r\n", Some(1)),
            ("{\"muted\":true}", Some(1)),
        ] {
            let failure = read(text).unwrap_err();
            assert_eq!(failure.reason, Reason::SdpInvalid, "{text:?}");
            assert_eq!(failure.line, line, "{text:?}");
        }
        let many = "a=candidate:\n".repeat(FRAGMENT_LINES + 1);
        assert_eq!(read(&many).unwrap_err().line, Some(FRAGMENT_LINES + 1));
        let long = format!("a=x:{}", "y".repeat(FRAGMENT_LINE_BYTES));
        assert_eq!(read(&long).unwrap_err().line, Some(1));
    }

    #[test]
    fn our_answer_to_a_restart_is_a_fragment_too() {
        let ice = IceCredentials {
            ufrag: "abcdefgh".into(),
            password: "0123456789012345678901".into(),
        };
        let candidates = [Candidate {
            foundation: "1".into(),
            priority: 7,
            address: ([192, 0, 2, 1], 10_000).into(),
        }];
        let text = write(&ice, Mid::new("0"), &candidates);
        let fragment = read(&text).unwrap();
        assert_eq!(fragment.ufrag.as_deref(), Some("abcdefgh"));
        assert_eq!((fragment.candidates, fragment.is_last), (1, true));
        assert!(text.contains("a=candidate:1 1 udp 7 192.0.2.1 10000 typ host\r\n"));
        assert!(write(&ice, None, &[]).ends_with("a=ice-pwd:0123456789012345678901\r\n"));
    }
}
