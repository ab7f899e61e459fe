//! Descriptions as text: the polite side of perfect negotiation (W3C webrtc §10.7).
//!
//! At most one offer of ours is out. An offer of the other side that meets it wins: ours is rolled
//! back (the stack changes nothing before the answer, so dropping it is the whole rollback), theirs
//! is answered, and what we still want is offered again.

use std::collections::VecDeque;

use sfu::time::Instant;
use sfu::units::MediaKind;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind as StackKind, Mid};
use str0m::{Input, RtcError};

use super::Robot;
use super::publication::{PublishParameters, Stage};

/// A description on its way, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// An offer.
    Offer(String),
    /// An answer.
    Answer(String),
}

/// Where the negotiation stands.
#[derive(Default)]
pub(super) struct Negotiation {
    pending: Option<Pending>,
    restart_wanted: bool,
    signals: VecDeque<Signal>,
    offers: u64,
    rollbacks: u64,
    /// The last pair that both sides have agreed on: (offer, answer).
    agreed: Option<(String, String)>,
}

/// An offer of ours that is out.
struct Pending {
    offer: SdpPendingOffer,
    text: String,
    mids: Vec<(u8, Mid)>,
    endings: Vec<u8>,
    channels: Vec<usize>,
    restart: bool,
}

impl Negotiation {
    pub(super) const fn want_restart(&mut self) {
        self.restart_wanted = true;
    }
}

impl Robot {
    /// The next description for the other side.
    pub fn poll_signal(&mut self) -> Option<Signal> {
        self.negotiation.signals.pop_front()
    }

    /// The other side's description. Answers are for the offer that is out; others are stale.
    pub fn handle_signal(&mut self, now: Instant, signal: &Signal) {
        let at = self.enter(now);
        let outcome = match signal {
            Signal::Offer(text) => self.handle_offer(text),
            Signal::Answer(text) => self.handle_answer(text),
        };
        self.negotiate();
        // A stack that has never been told the time does not begin its checks.
        let outcome = outcome.and_then(|()| self.rtc.handle_input(Input::Timeout(at)));
        self.leave(outcome);
    }

    /// No offer of ours is out, and nothing is left to be offered.
    #[must_use]
    pub fn is_stable(&self) -> bool {
        let settled = |stage: Stage| matches!(stage, Stage::Live(_) | Stage::Ended);
        self.negotiation.pending.is_none()
            && !self.negotiation.restart_wanted
            && self.publications.iter().all(|it| settled(it.stage))
    }

    /// Offers of ours that were sent, and how many of them gave way.
    #[must_use]
    pub const fn offers(&self) -> (u64, u64) {
        (self.negotiation.offers, self.negotiation.rollbacks)
    }

    /// The last pair of descriptions that both sides have agreed on: (offer, answer).
    #[must_use]
    pub fn agreed(&self) -> Option<(&str, &str)> {
        let (offer, answer) = self.negotiation.agreed.as_ref()?;
        Some((offer.as_str(), answer.as_str()))
    }

    fn handle_offer(&mut self, text: &str) -> Result<(), RtcError> {
        if let Some(pending) = self.negotiation.pending.take() {
            self.negotiation.rollbacks += 1;
            self.negotiation.restart_wanted |= pending.restart;
            for index in pending.channels {
                if let Some(channel) = self.channels.get_mut(index) {
                    channel.id = None;
                }
            }
        }
        let offer = SdpOffer::from_sdp_string(text)
            .map_err(|error| RtcError::RemoteSdp(format!("{error}: {text}")))?;
        self.stay_willing();
        let answer = self.rtc.sdp_api().accept_offer(offer)?.to_sdp_string();
        self.negotiation.agreed = Some((text.to_owned(), answer.clone()));
        self.negotiation.signals.push_back(Signal::Answer(answer));
        Ok(())
    }

    /// What was offered and not taken is offered still: a browser's transceiver keeps its direction
    /// when an answer is inactive (RFC 9429 §4.2.4), where the stack takes the answer's for its own
    /// and never sends there again.
    fn stay_willing(&mut self) {
        for publication in &self.publications {
            let Some(mid) = publication.mid() else {
                continue;
            };
            let media = self.rtc.media(mid);
            if media.is_some_and(|media| media.direction() == Direction::Inactive) {
                let wished = direction_of(publication.parameters());
                // At once, and without an offer of ours: the answer that follows says it.
                self.rtc.sdp_api().set_direction(mid, wished);
            }
        }
    }

    fn handle_answer(&mut self, text: &str) -> Result<(), RtcError> {
        let Some(pending) = self.negotiation.pending.take() else {
            return Ok(());
        };
        let answer = SdpAnswer::from_sdp_string(text)
            .map_err(|error| RtcError::RemoteSdp(format!("{error}: {text}")))?;
        self.rtc.sdp_api().accept_answer(pending.offer, answer)?;
        for (track, mid) in pending.mids {
            self.handle_negotiated(track, mid);
        }
        self.handle_ended(&pending.endings);
        self.negotiation.agreed = Some((pending.text, text.to_owned()));
        Ok(())
    }

    /// A publication wished to end while its offer was out: it ends with the next one.
    fn handle_negotiated(&mut self, track: u8, mid: Mid) {
        if let Some(publication) = self.publications.get_mut(usize::from(track)) {
            publication.stage = match publication.stage {
                Stage::Wanted => Stage::Live(mid),
                Stage::Live(_) | Stage::Ending(_) | Stage::Ended => Stage::Ending(mid),
            };
        }
    }

    fn handle_ended(&mut self, tracks: &[u8]) {
        for track in tracks {
            if let Some(publication) = self.publications.get_mut(usize::from(*track)) {
                publication.stage = Stage::Ended;
            }
        }
    }

    /// Offers what is wanted and not yet agreed on, where no offer is out.
    pub(super) fn negotiate(&mut self) {
        if self.negotiation.pending.is_some() || !self.rtc.is_alive() {
            return;
        }
        let mut api = self.rtc.sdp_api();
        let (mut mids, mut endings) = (Vec::new(), Vec::new());
        for publication in &mut self.publications {
            let direction = direction_of(publication.parameters());
            let kind = match publication.parameters().kind {
                MediaKind::Audio => StackKind::Audio,
                MediaKind::Video => StackKind::Video,
            };
            match publication.stage {
                Stage::Wanted => {
                    let stream = format!("robot{}", self.parameters.number);
                    let simulcast = publication.parameters().simulcast();
                    let mid = api.add_media(kind, direction, Some(stream), None, simulcast);
                    mids.push((publication.track(), mid));
                }
                // An offer of the other side may undo it before it is agreed on: until then it is
                // wished again. Where nothing is left to be wished, the last answer has said it.
                Stage::Ending(mid) => {
                    api.set_direction(mid, Direction::Inactive);
                    endings.push(publication.track());
                }
                Stage::Live(_) | Stage::Ended => {}
            }
        }
        let mut channels = Vec::new();
        let unasked = self
            .channels
            .iter_mut()
            .enumerate()
            .filter(|(_, it)| it.id.is_none());
        for (index, channel) in unasked {
            channel.id = Some(api.add_channel_with_config(channel.config.clone()));
            channels.push(index);
        }
        let restart = std::mem::take(&mut self.negotiation.restart_wanted);
        if restart {
            api.ice_restart(true);
        }
        let Some((offer, pending)) = api.apply() else {
            self.handle_ended(&endings);
            return;
        };
        let text = self.with_preferences(offer.to_sdp_string(), &mids);
        self.negotiation.offers += 1;
        self.negotiation
            .signals
            .push_back(Signal::Offer(text.clone()));
        self.negotiation.pending = Some(Pending {
            offer: pending,
            text,
            mids,
            endings,
            channels,
            restart,
        });
    }

    /// Puts AV1 first on the m-lines of tracks whose frames are described: a browser's
    /// `setCodecPreferences`, which the stack does not have and which holds for every later offer. What
    /// VP8 comes first on takes no dependency descriptors.
    fn with_preferences(&self, text: String, mids: &[(u8, Mid)]) -> String {
        let described = self
            .publications
            .iter()
            .filter(|it| it.parameters().is_described());
        let mid = |track: u8| {
            mids.iter()
                .find(|(new, _)| *new == track)
                .map(|(_, mid)| *mid)
        };
        let lines = described.filter_map(|it| it.line().or_else(|| mid(it.track())));
        lines.fold(text, |text, mid| {
            prefer(&text, &format!("a=mid:{mid}"), "AV1/90000")
        })
    }
}

/// The same description with the formats of `codec` first on the m-line that says `mid`.
fn prefer(text: &str, mid: &str, codec: &str) -> String {
    let sections = text.split_inclusive("\r\nm=");
    let preferred = sections.map(|section| {
        let mut lines = section.lines();
        if !lines.clone().any(|line| line == mid) {
            return section.to_owned();
        }
        let mapped = lines
            .clone()
            .filter_map(|line| line.strip_prefix("a=rtpmap:"));
        let first: Vec<&str> = mapped
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(format, name)| (name == codec).then_some(format))
            .collect();
        let Some(line) = lines.next() else {
            return section.to_owned();
        };
        let words: Vec<&str> = line.split(' ').collect();
        let (head, formats) = words.split_at(words.len().min(3));
        let others = formats.iter().filter(|format| !first.contains(format));
        let words: Vec<&str> = head.iter().chain(&first).chain(others).copied().collect();
        section.replacen(line, &words.join(" "), 1)
    });
    preferred.collect()
}

const fn direction_of(parameters: &PublishParameters) -> Direction {
    if parameters.receives {
        Direction::SendRecv
    } else {
        Direction::SendOnly
    }
}

#[cfg(test)]
mod tests {
    use super::prefer;

    #[test]
    fn a_codec_is_put_first_on_one_m_line() {
        let text = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 97 45\r\na=mid:abc\r\na=rtpmap:96 VP8/90000\r\n\
            a=rtpmap:45 AV1/90000\r\nm=video 9 UDP/TLS/RTP/SAVPF 96 45\r\na=mid:def\r\na=rtpmap:45 AV1/90000\r\n";
        let expected = text.replacen("96 97 45", "45 96 97", 1);
        assert_eq!(prefer(text, "a=mid:abc", "AV1/90000"), expected);
        assert_eq!(prefer(text, "a=mid:xyz", "AV1/90000"), text);
    }
}
