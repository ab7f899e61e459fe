//! Text to [`Description`] (RFC 8866, RFC 9429). Tolerant where browsers are odd: LF or CRLF,
//! unknown attributes, `a=rtcp-fb` for payload types that are not there, attributes on session
//! level. Strict where trust hangs on it: fingerprints and ICE credentials. One pass, and every
//! table bounded by `limits.rs`, so its time is linear in the text.

use crate::id::Mid;
use crate::limits;
use crate::sdp::attribute::{self, Why};
use crate::sdp::description::{
    Description, Direction, Fingerprint, IceCredentials, Payload, SdpType, SectionDescription,
    SectionKind, Setup, SsrcDescription,
};
use crate::units::MediaKind;

/// Why a text is not a description that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct SdpError {
    /// The line at fault, counted from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub why: String,
}

impl SdpError {
    fn new(line: usize, why: impl Into<String>) -> Self {
        Self {
            line,
            why: why.into(),
        }
    }
}

/// Reads a description. A rollback has no text; whatever comes with it is not looked at.
///
/// # Errors
/// The first line that cannot be used, and why.
pub fn parse(sdp_type: SdpType, text: &str) -> Result<Description, SdpError> {
    let mut reader = Reader::new(sdp_type);
    if sdp_type == SdpType::Rollback {
        return Ok(reader.description);
    }
    if text.len() > limits::SDP_BYTES {
        return Err(SdpError::new(
            1,
            format!("longer than {} bytes", limits::SDP_BYTES),
        ));
    }
    for (index, line) in text.split('\n').enumerate() {
        let number = index.saturating_add(1);
        if number > limits::SDP_LINES {
            return Err(SdpError::new(
                number,
                format!("more than {} lines", limits::SDP_LINES),
            ));
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        reader
            .line(number, line)
            .map_err(|why| SdpError::new(number, why))?;
    }
    reader.finish()
}

/// Attributes that may stand on session level and hold for each m-line without its own.
#[derive(Clone, Debug, Default)]
struct Shared {
    ufrag: Option<String>,
    password: Option<String>,
    fingerprints: Vec<Fingerprint>,
    /// Where a fingerprint too weak to use was seen.
    weak_at: Option<usize>,
    setup: Option<Setup>,
    direction: Option<Direction>,
}

impl Shared {
    /// True where the attribute is one of these.
    fn attribute(&mut self, number: usize, name: &str, value: &str) -> Result<bool, Why> {
        match name {
            "ice-ufrag" => self.ufrag = Some(attribute::ice(value, 4)?),
            "ice-pwd" => self.password = Some(attribute::ice(value, 22)?),
            "setup" => self.setup = Some(attribute::setup(value)?),
            "fingerprint" => match attribute::fingerprint(value)? {
                Some(fingerprint) if self.fingerprints.len() < limits::SDP_FINGERPRINTS => {
                    self.fingerprints.push(fingerprint);
                }
                Some(_) => {}
                None => self.weak_at = Some(number),
            },
            _ => match Direction::from_name(name) {
                Some(direction) => self.direction = Some(direction),
                None => return Ok(false),
            },
        }
        Ok(true)
    }
}

/// The m-line being read, with what only makes sense once all of it is known.
#[derive(Debug)]
struct Section {
    description: SectionDescription,
    shared: Shared,
    has_mid: bool,
    lines: usize,
    ssrc_lines: usize,
    /// `a=rtcp-fb:*`.
    feedback: Vec<String>,
    /// `a=simulcast:send`, in order.
    simulcast: Option<Vec<crate::id::Rid>>,
}

struct Reader {
    description: Description,
    shared: Shared,
    section: Option<Section>,
    /// Of each finished section: whether it has a mid, and the line of a weak fingerprint.
    finished: Vec<(bool, Option<usize>)>,
    bundle_at: usize,
}

impl Reader {
    fn new(sdp_type: SdpType) -> Self {
        Self {
            description: Description {
                sdp_type,
                session_id: 0,
                session_version: 0,
                ice_lite: false,
                extmap_allow_mixed: false,
                bundle: Vec::new(),
                sections: Vec::new(),
            },
            shared: Shared::default(),
            section: None,
            finished: Vec::new(),
            bundle_at: 0,
        }
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), Why> {
        if line.len() > limits::SDP_LINE_BYTES {
            return Err(format!("longer than {} bytes", limits::SDP_LINE_BYTES));
        }
        if number == 1 && line != "v=0" {
            return Err("a description begins with `v=0`".to_owned());
        }
        if line.is_empty() {
            return Ok(());
        }
        // What is echoed into an answer must not be able to begin a line there.
        if line.bytes().any(|byte| byte < b' ' && byte != b'\t') {
            return Err("a control character; lines end with CRLF or LF".to_owned());
        }
        let (kind, value) = line
            .split_once('=')
            .filter(|(kind, _)| kind.len() == 1)
            .ok_or("not of the form `<letter>=<value>`")?;
        match kind {
            "m" => self.media_line(number, value),
            "o" => {
                self.origin(value);
                Ok(())
            }
            "a" => {
                let (name, value) = value.split_once(':').unwrap_or((value, ""));
                match &mut self.section {
                    Some(section) => section.attribute(number, name, value.trim()),
                    None => self.attribute(number, name, value.trim()),
                }
            }
            _ => Ok(()),
        }
    }

    /// `o=<username> <session id> <version> …`; a number we cannot read is 0, nothing hangs on it.
    fn origin(&mut self, value: &str) {
        let mut numbers = value
            .split_ascii_whitespace()
            .skip(1)
            .map(|word| word.parse().ok());
        self.description.session_id = numbers.next().flatten().unwrap_or(0);
        self.description.session_version = numbers.next().flatten().unwrap_or(0);
    }

    /// An attribute on session level.
    fn attribute(&mut self, number: usize, name: &str, value: &str) -> Result<(), Why> {
        if self.shared.attribute(number, name, value)? {
            return Ok(());
        }
        match name {
            "ice-lite" => self.description.ice_lite = true,
            "extmap-allow-mixed" => self.description.extmap_allow_mixed = true,
            "group" => {
                let mut words = value.split_ascii_whitespace();
                // A second BUNDLE group would be a second transport; the first one counts.
                if words.next() == Some("BUNDLE") && self.bundle_at == 0 {
                    self.bundle_at = number;
                    for word in words.take(limits::SECTIONS_PER_TRANSPORT) {
                        self.description.bundle.push(mid(word)?);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn media_line(&mut self, number: usize, value: &str) -> Result<(), Why> {
        self.end_section();
        if self.description.sections.len() >= limits::SECTIONS_PER_TRANSPORT {
            return Err(format!(
                "more than {} m-lines",
                limits::SECTIONS_PER_TRANSPORT
            ));
        }
        self.section = Some(Section::begin(number, value)?);
        Ok(())
    }

    fn end_section(&mut self) {
        if let Some(section) = self.section.take() {
            self.finished
                .push((section.has_mid, section.shared.weak_at));
            self.description.sections.push(section.end(&self.shared));
        }
    }

    fn finish(mut self) -> Result<Description, SdpError> {
        self.end_section();
        self.name_sections()?;
        self.check_transport()?;
        Ok(self.description)
    }

    /// Gives a mid to each m-line without one; two with the same are an error.
    fn name_sections(&mut self) -> Result<(), SdpError> {
        let mut named: Vec<Mid> = Vec::new();
        for (section, (has_mid, _)) in self.description.sections.iter().zip(&self.finished) {
            if *has_mid && named.contains(&section.mid) {
                let why = format!(
                    "a second m-line with mid {}; each wants its own",
                    section.mid
                );
                return Err(SdpError::new(section.line, why));
            }
            if *has_mid {
                named.push(section.mid);
            }
        }
        let unnamed = self.description.sections.iter_mut().zip(&self.finished);
        let mut number = 0_u32;
        for (section, _) in unnamed.filter(|(_, (has_mid, _))| !has_mid) {
            loop {
                let made = Mid::new(&number.to_string());
                number = number.saturating_add(1);
                // Ends: there are more numbers than m-lines.
                if let Some(mid) = made.filter(|mid| !named.contains(mid)) {
                    section.mid = mid;
                    break;
                }
            }
        }
        for mid in &self.description.bundle {
            if !named.contains(mid) {
                let why = format!("BUNDLE names {mid}, but no m-line has that mid");
                return Err(SdpError::new(self.bundle_at, why));
            }
        }
        Ok(())
    }

    /// Each m-line that is on has credentials and a strong fingerprint: its own, or those of the
    /// BUNDLE group it is in (RFC 9143 §7.1.3).
    fn check_transport(&mut self) -> Result<(), SdpError> {
        let bundle = std::mem::take(&mut self.description.bundle);
        let in_use = |section: &SectionDescription| {
            !section.rejected && section.kind != SectionKind::Unknown
        };
        let tagged = bundle.iter().find_map(|mid| {
            let mut sections = self.description.sections.iter();
            sections.find(|section| section.mid == *mid && in_use(section))
        });
        let tagged = tagged.map(|tagged| {
            (
                tagged.ice.clone(),
                tagged.fingerprints.clone(),
                tagged.setup,
            )
        });
        let sections = self.description.sections.iter_mut().zip(&self.finished);
        for (section, (_, weak_at)) in sections.filter(|(section, _)| in_use(section)) {
            if let Some((ice, fingerprints, setup)) = &tagged
                && bundle.contains(&section.mid)
            {
                section.ice = section.ice.take().or_else(|| ice.clone());
                section.setup = section.setup.or(*setup);
                if section.fingerprints.is_empty() {
                    section.fingerprints.clone_from(fingerprints);
                }
            }
            if section.ice.is_none() {
                let why = "this m-line has no a=ice-ufrag and a=ice-pwd; ICE is needed";
                return Err(SdpError::new(section.line, why));
            }
            if section.fingerprints.is_empty() {
                return Err(match weak_at.or(self.shared.weak_at) {
                    Some(line) => SdpError::new(
                        line,
                        "this hash is not trusted; a=fingerprint wants sha-256, sha-384 or sha-512",
                    ),
                    None => SdpError::new(
                        section.line,
                        "this m-line has no a=fingerprint; DTLS is needed",
                    ),
                });
            }
        }
        self.description.bundle = bundle;
        Ok(())
    }
}

impl Section {
    /// `m=<media> <port>[/<count>] <protocol> <format> …`.
    fn begin(number: usize, value: &str) -> Result<Self, Why> {
        let wanted = "m= wants `<media> <port> <protocol> <format> …`";
        let mut words = value.split_ascii_whitespace();
        let media = words.next().ok_or(wanted)?;
        let port = words.next().ok_or(wanted)?;
        let protocol = words.next().ok_or(wanted)?;
        let port = port.split_once('/').map_or(port, |(port, _)| port);
        let port: u16 = port.parse().map_err(|_| wanted)?;
        let formats: Vec<String> = words
            .take(limits::SDP_PAYLOADS.saturating_add(1))
            .map(str::to_owned)
            .collect();
        let kind = kind(media, protocol, &formats);
        if formats.len() > limits::SDP_PAYLOADS {
            return Err(format!("more than {} payload types", limits::SDP_PAYLOADS));
        }
        // The empty mid's place is taken by `a=mid`, or by `Reader::name_sections`.
        let placeholder = mid("0")?;
        let mut description = SectionDescription::empty(placeholder, kind);
        media.clone_into(&mut description.media);
        protocol.clone_into(&mut description.protocol);
        description.line = number;
        description.rejected = port == 0;
        if matches!(kind, SectionKind::Media(_)) {
            description.payloads = payloads(&formats)?;
        }
        description.formats = formats;
        Ok(Self {
            description,
            shared: Shared::default(),
            has_mid: false,
            lines: 0,
            ssrc_lines: 0,
            feedback: Vec::new(),
            simulcast: None,
        })
    }

    fn attribute(&mut self, number: usize, name: &str, value: &str) -> Result<(), Why> {
        self.lines = self.lines.saturating_add(1);
        if self.lines > limits::SDP_LINES_PER_SECTION {
            let most = limits::SDP_LINES_PER_SECTION;
            return Err(format!("more than {most} attributes in one m-line"));
        }
        if self.shared.attribute(number, name, value)? {
            return Ok(());
        }
        let section = &mut self.description;
        match name {
            "mid" => {
                section.mid = mid(value)?;
                self.has_mid = true;
            }
            "bundle-only" => section.bundle_only = true,
            "rtcp-mux" => section.rtcp_mux = true,
            "rtcp-rsize" => section.rtcp_reduced_size = true,
            "end-of-candidates" => section.end_of_candidates = true,
            "candidate" if section.candidates.len() < limits::SDP_CANDIDATES => {
                section.candidates.extend(attribute::candidate(value));
            }
            "msid" if section.msids.len() < limits::SDP_MSIDS => {
                section.msids.extend(attribute::msid(value));
            }
            "sctp-port" => {
                let port = value
                    .parse()
                    .map_err(|_| "a=sctp-port wants a number up to 65535")?;
                section.sctp_port = Some(port);
            }
            "max-message-size" => {
                let wanted = "a=max-message-size wants a number of bytes";
                section.message_bytes_max = value.parse().map_err(|_| wanted)?;
            }
            "rid" | "simulcast" => self.simulcast(name, value),
            "rtpmap" | "fmtp" | "rtcp-fb" => self.payload(name, value)?,
            "extmap" => self.extension(value)?,
            "ssrc" => self.ssrc(value)?,
            "ssrc-group" if section.ssrc_groups.len() < limits::SDP_SSRC_GROUPS => {
                section.ssrc_groups.extend(attribute::ssrc_group(value));
            }
            _ => {}
        }
        Ok(())
    }

    fn simulcast(&mut self, name: &str, value: &str) {
        if name == "simulcast" {
            self.simulcast = attribute::simulcast_sent(value);
            return;
        }
        let Some((rid, sent)) = attribute::rid(value) else {
            return;
        };
        let rids = if sent {
            &mut self.description.rids_send
        } else {
            &mut self.description.rids_receive
        };
        if rids.len() < limits::SDP_RIDS && !rids.contains(&rid) {
            rids.push(rid);
        }
    }

    /// An attribute about a payload type; one that is not in the m-line is passed over.
    fn payload(&mut self, name: &str, value: &str) -> Result<(), Why> {
        let (head, rest) = value.split_once(' ').unwrap_or((value, ""));
        if name == "rtcp-fb" && head == "*" {
            push_feedback(&mut self.feedback, rest);
            return Ok(());
        }
        let Ok(payload_type) = head.parse::<u8>() else {
            return Err(format!("a={name} begins with a payload type, 0 to 127"));
        };
        let mut payloads = self.description.payloads.iter_mut();
        let Some(payload) = payloads.find(|payload| payload.payload_type == payload_type) else {
            return Ok(());
        };
        match name {
            "rtpmap" => {
                let (_, name, clock_rate, channels) = attribute::rtpmap(value)?;
                name.clone_into(&mut payload.name);
                payload.clock_rate = clock_rate;
                payload.channels = channels;
            }
            "fmtp" => rest.trim().clone_into(&mut payload.parameters),
            _ => push_feedback(&mut payload.feedback, rest),
        }
        Ok(())
    }

    fn extension(&mut self, value: &str) -> Result<(), Why> {
        let Some(extmap) = attribute::extmap(value)? else {
            return Ok(());
        };
        let extensions = &mut self.description.extensions;
        if extensions.len() >= limits::SDP_EXTENSIONS {
            return Err(format!(
                "more than {} a=extmap lines",
                limits::SDP_EXTENSIONS
            ));
        }
        // The first meaning of an id counts.
        if !extensions.iter().any(|other| other.id == extmap.id) {
            extensions.push(extmap);
        }
        Ok(())
    }

    fn ssrc(&mut self, value: &str) -> Result<(), Why> {
        self.ssrc_lines = self.ssrc_lines.saturating_add(1);
        if self.ssrc_lines > limits::SDP_SSRC_LINES {
            return Err(format!("more than {} a=ssrc lines", limits::SDP_SSRC_LINES));
        }
        let (ssrc, name, value) = attribute::ssrc(value)?;
        let section = &mut self.description;
        let cname = (name == "cname").then(|| value.to_owned());
        match section.ssrcs.iter_mut().find(|known| known.ssrc == ssrc) {
            Some(known) => known.cname = cname.or_else(|| known.cname.take()),
            None => section.ssrcs.push(SsrcDescription { ssrc, cname }),
        }
        // Older stacks say it here only.
        if name == "msid" && section.msids.is_empty() {
            section.msids.extend(attribute::msid(value));
        }
        Ok(())
    }

    fn end(mut self, session: &Shared) -> SectionDescription {
        let section = &mut self.description;
        // RFC 9429 §5.2.1: port 0 with bundle-only is on.
        section.rejected &= !section.bundle_only;
        section.direction = self
            .shared
            .direction
            .or(session.direction)
            .unwrap_or_default();
        section.setup = self.shared.setup.or(session.setup);
        let own = self.shared.ufrag.zip(self.shared.password);
        section.ice = own
            .or_else(|| session.ufrag.clone().zip(session.password.clone()))
            .map(|(ufrag, password)| IceCredentials { ufrag, password });
        section.fingerprints = self.shared.fingerprints;
        if section.fingerprints.is_empty() {
            section.fingerprints.clone_from(&session.fingerprints);
        }
        for payload in &mut section.payloads {
            for value in &self.feedback {
                push_feedback(&mut payload.feedback, value);
            }
        }
        section.payloads.retain(|payload| !payload.name.is_empty());
        if let Some(simulcast) = self.simulcast {
            let known = std::mem::take(&mut section.rids_send);
            section.rids_send = simulcast
                .into_iter()
                .filter(|rid| known.contains(rid))
                .collect();
        }
        self.description
    }
}

fn push_feedback(feedback: &mut Vec<String>, value: &str) {
    let value = value.trim();
    let fits = value.len() <= limits::SDP_FEEDBACK_BYTES && feedback.len() < limits::SDP_FEEDBACK;
    if fits && !feedback.iter().any(|known| known == value) {
        feedback.push(value.to_owned());
    }
}

fn mid(value: &str) -> Result<Mid, Why> {
    Mid::new(value).ok_or_else(|| "a mid wants 1 to 16 letters and digits".to_owned())
}

/// What an m-line is about; the protocols are those of RFC 9429 §5.1.2 that run over DTLS.
fn kind(media: &str, protocol: &str, formats: &[String]) -> SectionKind {
    let rtp = matches!(
        protocol,
        "UDP/TLS/RTP/SAVPF"
            | "UDP/TLS/RTP/SAVP"
            | "TCP/TLS/RTP/SAVPF"
            | "TCP/DTLS/RTP/SAVPF"
            | "RTP/SAVPF"
            | "RTP/SAVP"
    );
    let sctp = matches!(protocol, "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP");
    match media {
        "audio" if rtp => SectionKind::Media(MediaKind::Audio),
        "video" if rtp => SectionKind::Media(MediaKind::Video),
        "application" if sctp && formats.iter().any(|format| format == "webrtc-datachannel") => {
            SectionKind::Data
        }
        _ => SectionKind::Unknown,
    }
}

/// The payload types of an m-line; static ones (RFC 3551 §6) have their meaning already.
fn payloads(formats: &[String]) -> Result<Vec<Payload>, Why> {
    let mut payloads: Vec<Payload> = Vec::with_capacity(formats.len());
    for format in formats {
        let payload_type = format.parse::<u8>().ok().filter(|number| *number < 128);
        let payload_type = payload_type.ok_or("a payload type is a number from 0 to 127")?;
        if payloads
            .iter()
            .any(|known| known.payload_type == payload_type)
        {
            continue;
        }
        let name = match payload_type {
            0 => "PCMU",
            8 => "PCMA",
            9 => "G722",
            _ => "",
        };
        payloads.push(Payload {
            payload_type,
            name: name.to_owned(),
            clock_rate: 8_000,
            channels: 1,
            parameters: String::new(),
            feedback: Vec::new(),
        });
    }
    Ok(payloads)
}
