//! One m-line as it was agreed last.

use super::{Change, LocalParameters, OfferedContent, OfferedLine, OfferedMedia, msid};
use crate::id::Mid;
use crate::sdp::description::{
    Direction, Msid, SectionDescription, SectionKind, SsrcDescription, SsrcGroup,
};
use crate::sdp::negotiate::MediaPlan;

/// An m-line's place and what it holds now.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) mid: Mid,
    pub(super) line: Line,
    /// What we sent with while we might; taken up again should we send on this m-line again. An
    /// m-line that is switched on and off a thousand times uses no more SSRCs than one that is not.
    pub(super) resting: Option<Sending>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Turned down by one of us; the text that says so.
    Stopped(Box<SectionDescription>),
    Data {
        sctp_port: u16,
        message_bytes_max: u64,
    },
    Media(Box<Media>),
}

/// RTP both ways.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Media {
    /// As they speak of it: rids, SSRCs and msid are theirs.
    pub(super) plan: MediaPlan,
    /// They send.
    pub(super) receiving: bool,
    /// They would, and were not allowed to, or were not asked.
    pub(super) withheld: bool,
    /// We may send.
    pub(super) sending: Option<Sending>,
    pub(super) maker: Maker,
}

/// Who made an m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    They,
    We {
        /// They have named a track of their own on it.
        is_named: bool,
    },
}

impl Maker {
    /// After a description of theirs; `sending`: what we send, or last sent, on this m-line.
    pub(super) fn told(self, theirs: &SectionDescription, sending: Option<&Sending>) -> Self {
        match self {
            Self::They => Self::They,
            Self::We { .. } => Self::We {
                is_named: names_track(theirs, sending),
            },
        }
    }
}

/// An m-line says `a=msid` where its side would send (RFC 9429 §5.2.1), and ever after. Some say ours
/// back on whatever we made, which names nothing of theirs.
pub(super) fn names_track(theirs: &SectionDescription, sending: Option<&Sending>) -> bool {
    let own = sending.map(|sending| sending.msid(theirs.mid));
    let mut names = theirs.msids.iter();
    names.any(|name| Some(name) != own.as_ref())
}

/// What we send with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    pub(super) ssrc: u32,
    pub(super) rtx_ssrc: Option<u32>,
    pub(super) stream: String,
}

impl Section {
    pub(super) const fn is_stopped(&self) -> bool {
        matches!(self.line, Line::Stopped(_))
    }

    /// Sound or pictures, whether it is on or not.
    pub(super) fn was_media(&self) -> bool {
        match &self.line {
            Line::Stopped(text) => matches!(text.kind, SectionKind::Media(_)),
            Line::Data { .. } => false,
            Line::Media(_) => true,
        }
    }

    pub(super) fn media(&self) -> Option<&Media> {
        match &self.line {
            Line::Media(media) => Some(media),
            Line::Stopped(_) | Line::Data { .. } => None,
        }
    }

    pub(super) fn sending(&self) -> Option<&Sending> {
        self.media().and_then(|media| media.sending.as_ref())
    }

    /// Takes the place of `old`: what the same m-line sent with rests where it sends no more.
    pub(super) fn succeed(&mut self, old: &Self) {
        if self.mid == old.mid && self.sending().is_none() {
            self.resting = old.sending().or(old.resting.as_ref()).cloned();
        }
    }

    pub(super) fn has_ssrc(&self, ssrc: u32) -> bool {
        let mut sending = self.sending().into_iter().chain(&self.resting);
        sending.any(|sending| sending.ssrc == ssrc || sending.rtx_ssrc == Some(ssrc))
    }

    /// They would send on this m-line and `local` lets them, though they were not allowed before or
    /// not asked.
    pub(super) fn is_granted(&self, local: &LocalParameters<'_>) -> bool {
        let media = self.media().filter(|media| media.withheld);
        media.is_some_and(|media| local.may_publish(media.plan.kind))
    }

    /// They do not send on this m-line of ours, but might at any time, since they have named a track
    /// of theirs on it. To an offer that only sends they could not say that they would: their answer
    /// would be the same, so that they are not even asked (webrtc-pc #2919). What they have stopped on
    /// an m-line of their own is theirs to begin again.
    pub(super) fn may_begin(&self, local: &LocalParameters<'_>) -> bool {
        let is_named = |media: &&Media| matches!(media.maker, Maker::We { is_named: true });
        let media = self.media().filter(is_named);
        let media = media.filter(|media| !media.receiving);
        media.is_some_and(|media| local.may_publish(media.plan.kind))
    }

    /// The same again in an offer of ours; `granted`: they may send on it now.
    pub(super) fn offered(&self, granted: bool) -> OfferedLine {
        let content = match &self.line {
            Line::Stopped(_) => OfferedContent::Stopped,
            Line::Data { .. } => OfferedContent::Data,
            Line::Media(media) => OfferedContent::Media(Box::new(OfferedMedia {
                plan: media.plan.clone(),
                direction: Direction::of(media.sending.is_some(), media.receiving || granted),
                sending: media.sending.clone(),
                withheld: media.withheld,
                request: None,
                maker: media.maker,
            })),
        };
        OfferedLine {
            mid: self.mid,
            content,
        }
    }
}

impl Media {
    /// The plan as it counts for what we send.
    pub(super) fn sent_plan(&self) -> Option<MediaPlan> {
        let sending = self.sending.as_ref()?;
        Some(MediaPlan {
            rids: Vec::new(),
            ssrcs: Vec::new(),
            msid: Some(sending.msid(self.plan.mid)),
            ..self.plan.clone()
        })
    }
}

impl Sending {
    pub(super) fn msid(&self, mid: Mid) -> Msid {
        msid(&self.stream, mid)
    }

    /// Adds SSRCs and msid to the text of an m-line.
    pub(super) fn describe(&self, text: &mut SectionDescription, plan: &MediaPlan, cname: &str) {
        let rtx_ssrc = self.rtx_ssrc.filter(|_| plan.retransmits());
        let ssrcs = std::iter::once(self.ssrc).chain(rtx_ssrc);
        text.ssrcs = ssrcs
            .map(|ssrc| SsrcDescription {
                ssrc,
                cname: Some(cname.to_owned()),
            })
            .collect();
        text.ssrc_groups.extend(rtx_ssrc.map(|rtx_ssrc| SsrcGroup {
            semantics: "FID".to_owned(),
            ssrcs: vec![self.ssrc, rtx_ssrc],
        }));
        text.msids = vec![self.msid(plan.mid)];
    }
}

/// What an m-line's new state changes: first what ends, then what begins.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) ends: Vec<Change>,
    pub(super) begins: Vec<Change>,
}

impl Changes {
    /// Notes the difference between an m-line's state before and now.
    pub(super) fn note(&mut self, old: Option<&Section>, new: &Section) {
        if let Line::Data {
            sctp_port,
            message_bytes_max,
        } = new.line
            && !old.is_some_and(|old| old.line == new.line)
        {
            self.begins.push(Change::Data {
                sctp_port,
                message_bytes_max,
            });
        }
        // Another mid in its place is another m-line: nothing of the old one goes on.
        let same = old
            .filter(|old| old.mid == new.mid)
            .and_then(Section::media);
        let old = old.and_then(Section::media);
        let media = new.media();
        self.note_receiving(old, same, media);
        self.note_sending(old, same, media);
    }

    fn note_receiving(&mut self, old: Option<&Media>, same: Option<&Media>, new: Option<&Media>) {
        let new = new.filter(|media| media.receiving);
        match (same.filter(|media| media.receiving), new) {
            (Some(before), Some(now)) if before.plan == now.plan => {}
            (Some(_), Some(now)) => self.begins.push(Change::ReceiveUpdated(now.plan.clone())),
            (None, Some(now)) => self.begins.push(Change::ReceiveStarted(now.plan.clone())),
            (_, None) => {}
        }
        if let Some(before) = old.filter(|media| media.receiving)
            && (same.is_none() || new.is_none())
        {
            self.ends.push(Change::ReceiveStopped(before.plan.mid));
        }
    }

    fn note_sending(&mut self, old: Option<&Media>, same: Option<&Media>, new: Option<&Media>) {
        let before = same.and_then(|media| media.sent_plan().zip(media.sending.as_ref()));
        let now = new.and_then(|media| media.sent_plan().zip(media.sending.as_ref()));
        let kept = matches!((&before, &now), (Some((_, before)), Some((_, now))) if before == now);
        if let Some(plan) = old.and_then(Media::sent_plan)
            && !kept
        {
            self.ends.push(Change::SendClosed(plan.mid));
        }
        match (before, now) {
            (Some((before, _)), Some((now, _))) if kept => {
                if before != now {
                    self.begins.push(Change::SendUpdated(now));
                }
            }
            (_, Some((plan, sending))) => self.begins.push(Change::SendOpened {
                ssrc: sending.ssrc,
                rtx_ssrc: sending.rtx_ssrc,
                plan,
            }),
            (_, None) => {}
        }
    }
}
