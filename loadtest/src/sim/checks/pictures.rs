//! What of an outgoing stream's pictures can be decoded, and how they are counted.
//!
//! Judged by what its robot could read, in the order of numbers. Two packets with consecutive
//! numbers leave no doubt of what stands between them: nothing. What a frame leans on must have been
//! sent before it, or there must be numbers that the robot never saw, where it could have been: a
//! packet may be lost on its way, and be it for good.

use std::collections::BTreeMap;

use super::Law;
use crate::media::{Stamp, VideoCodec, VideoPacket};
use crate::robot::reception::{Observed, leans};

/// Packets whose neighbours may still come.
const NEIGHBOURS: usize = 2_048;
/// So far behind the newest one is judged by what it leans on: repairs have come by then, and what
/// it leans on is remembered.
const JUDGED_AFTER: u64 = 512;

/// A frame of a layer in its place among all of its source: encoding, number, spatial layer.
type Frame = (u8, u32, u8);

/// A packet that was read.
#[derive(Clone, Copy, Debug)]
struct Seen {
    video: VideoPacket,
    timestamp: u32,
    marker: bool,
}

/// What was read of one outgoing stream.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    seen: BTreeMap<u64, Seen>,
    /// Up to here all were judged by what they lean on.
    judged: u64,
}

impl Pictures {
    /// A packet was read; `is_first`: it has the number that the stream began with.
    pub(super) fn handle_observed(
        &mut self,
        observed: &Observed,
        video: &VideoPacket,
        is_first: bool,
    ) -> Option<(Law, String)> {
        let number = observed.sequence;
        let stamp = video.stamp;
        let seen = Seen {
            video: *video,
            timestamp: observed.timestamp,
            marker: observed.marker,
        };
        self.seen.insert(number, seen);
        if is_first && !stamp.starts() {
            return Some((Law::Decodable, format!("it begins with {stamp:?}")));
        }
        let pairs = [(number.wrapping_sub(1), number), (number, number + 1)];
        let broken = pairs.into_iter().find_map(|(left, right)| {
            let (left, right) = (self.seen.get(&left)?, self.seen.get(&right)?);
            let law = broken(left, right)?;
            Some((
                law,
                format!("around number {number}: {right:?} follows {left:?}"),
            ))
        });
        broken.or_else(|| self.check_newly_old())
    }

    /// All that will come has come.
    pub(super) fn check_rest(&self) -> Option<(Law, String)> {
        let rest = self.seen.range(self.judged..);
        let mut found =
            rest.filter_map(|(number, seen)| self.check_leans(*number, &seen.video.stamp));
        found.next()
    }

    fn check_newly_old(&mut self) -> Option<(Law, String)> {
        let (&newest, _) = self.seen.last_key_value()?;
        let until = newest.saturating_sub(JUDGED_AFTER);
        let mut found = None;
        if until > self.judged {
            let due = self.seen.range(self.judged..until);
            found = due
                .filter_map(|(number, seen)| self.check_leans(*number, &seen.video.stamp))
                .next();
            self.judged = until;
        }
        while self.seen.len() > NEIGHBOURS {
            self.seen.pop_first();
        }
        found
    }

    /// Whether all that a frame leans on was sent, or may have been.
    fn check_leans(&self, number: u64, stamp: &Stamp) -> Option<(Law, String)> {
        if stamp.packet > 0 {
            return None;
        }
        let oldest = *self.seen.first_key_value()?.0;
        for lean in leans(stamp) {
            let (mut after, mut there) = (number, false);
            let mut before = None;
            for (at, seen) in self.seen.range(..number).rev() {
                let other = &seen.video.stamp;
                let is_ours = (other.sender, other.track) == (stamp.sender, stamp.track);
                let frame = frame(other);
                if is_ours && frame == lean {
                    there = true;
                    break;
                }
                if !is_ours || frame.0 != lean.0 || is_before(frame, lean) {
                    before = Some(*at);
                    break;
                }
                after = *at;
            }
            let before = before.unwrap_or_else(|| oldest.saturating_sub(1));
            let between = (after - before).saturating_sub(1);
            // Further back than is remembered: not judged.
            if !there && between == 0 && before >= oldest {
                let detail =
                    format!("number {number}: {stamp:?} leans on {lean:?}, which was not sent");
                return Some((Law::Decodable, detail));
            }
        }
        None
    }
}

const fn frame(stamp: &Stamp) -> Frame {
    let unit = &stamp.unit;
    (unit.encoding, stamp.frame, unit.layer.spatial)
}

fn is_before(one: Frame, other: Frame) -> bool {
    (one.1, one.2) < (other.1, other.2)
}

/// Which law two packets break that have consecutive numbers, if any.
fn broken(left: &Seen, right: &Seen) -> Option<Law> {
    let (old, new) = (&left.video.stamp, &right.video.stamp);
    let same_source = (old.sender, old.track) == (new.sender, new.track);
    let same_encoding = same_source && old.unit.encoding == new.unit.encoding;
    let same_frame = same_encoding && frame(old) == frame(new);
    let next_packet = same_frame && old.packet + 1 == new.packet;
    let next_frame =
        same_encoding && is_before(frame(old), frame(new)) && old.ends() && new.packet == 0;
    if !(next_packet || next_frame || new.starts()) {
        return Some(Law::Decodable);
    }
    let same_picture = same_encoding && old.frame == new.frame;
    let one_time = (left.timestamp == right.timestamp) == same_picture;
    // Where the picture before was cut short by a switch or a mute its end is not there to be marked;
    // it may be cut between two layers.
    let is_cut = !old.ends() || new.starts() && old.unit.spatial_layers > 1;
    let was_whole = same_picture || !is_cut;
    let marked = !was_whole || left.marker != same_picture;
    let counted = are_counted(left, right, same_source, same_picture);
    (!(one_time && marked && counted)).then_some(Law::PicturesCounted)
}

/// Whether picture numbers go on as they should.
fn are_counted(left: &Seen, right: &Seen, same_source: bool, same_picture: bool) -> bool {
    let (old, new) = (&left.video, &right.video);
    if !same_source || old.codec != new.codec || !new.codec.tells_layers() {
        return true;
    }
    let picture = new.numbers.picture.wrapping_sub(old.numbers.picture) & 0x7fff;
    let base_layer = new.numbers.base_layer.wrapping_sub(old.numbers.base_layer);
    let (before, after) = (&old.stamp, &new.stamp);
    if after.starts() && !same_picture {
        // It is tied anew after a pause or a switch; a decoder begins with it in any case.
        let is_layered = after.unit.spatial_layers > 0;
        return (1..1 << 14).contains(&picture) && is_layered == (base_layer > 0);
    }
    let pictures = match new.codec {
        _ if same_picture => 0,
        // RFC 9628: what leans on what is told by the distance.
        VideoCodec::Vp9 => u16::try_from(after.frame - before.frame).unwrap_or(0),
        VideoCodec::Vp8 | VideoCodec::H264 | VideoCodec::Av1 => 1,
    };
    let is_layered = after.unit.spatial_layers > 0;
    // The base layer always passes, so that no number of it is left out.
    let bases = u8::from(is_layered && !same_picture && after.unit.layer.temporal == 0);
    picture == pictures && base_layer == bases
}
