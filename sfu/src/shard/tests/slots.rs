//! Slots of large rooms, by whole remote hosts: who is heard by whom, and what that costs.

use std::collections::BTreeMap;

use super::guest::*;
use super::*;
use crate::shard::command::Wish;

const LEVEL: &str = "a=extmap:3 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";

/// A room of guests who all publish one sound and can be sent `lines` of them.
pub(super) struct Meeting {
    shard: Shard,
    pub(super) guests: Vec<Guest>,
    now: Instant,
    sequence: u16,
    pub(super) events: Vec<Event>,
}

impl Meeting {
    pub(super) fn new(count: u64, (slots, above): (usize, usize), lines: usize) -> Self {
        let mut shard = shard();
        let create = Command::CreateRoom {
            room: ROOM,
            parameters: RoomParameters {
                participants_max: 50,
                audio_slots: slots,
                audio_slots_above: above,
                ..RoomParameters::default()
            },
        };
        shard.handle_command(Instant::ZERO, create).unwrap();
        let mids = ["a", "b", "c", "d", "e", "f"];
        let guests = (1..=count).map(|id| {
            let lines: Vec<_> = mids[..lines]
                .iter()
                .enumerate()
                .map(|(place, mid)| {
                    let direction = if place == 0 { "sendrecv" } else { "recvonly" };
                    let mut line = line(mid, false, direction, 0);
                    line.more = LEVEL.to_owned();
                    line
                })
                .collect();
            connected(Instant::ZERO, &mut shard, id, false, &lines)
        });
        let guests = guests.collect();
        Self {
            shard,
            guests,
            now: Instant::from_millis(100),
            sequence: 0,
            events: Vec::new(),
        }
    }

    /// Everybody sends a packet each 20 ms for so long; levels by place, 127 for a packet without.
    pub(super) fn talk(&mut self, milliseconds: u64, levels: &[u8]) {
        for _ in 0..milliseconds / 20 {
            self.now += Duration::from_millis(20);
            self.sequence += 1;
            for (place, &level) in levels.iter().enumerate() {
                let (content, level) = (u8::try_from(place).unwrap(), [level]);
                let level = std::str::from_utf8(&level).unwrap();
                let guest = &mut self.guests[place];
                let ssrc = 1_000 + u32::from(content);
                let named = [(9, "a"), (3, level)];
                let named = if level == "\u{7f}" {
                    &named[..1]
                } else {
                    &named[..]
                };
                let packet = (96, ssrc, self.sequence);
                guest.rtp(self.now, &mut self.shard, packet, named, &sound(content));
            }
            let mut guests: Vec<_> = self.guests.iter_mut().collect();
            exchange(self.now, &mut self.shard, &mut guests);
            exchange(
                self.now + Duration::from_millis(2),
                &mut self.shard,
                &mut guests,
            );
            self.events.extend(events(&mut self.shard));
        }
    }

    /// Whom a guest has heard since this was asked last, by place, with packets; each of its SSRCs
    /// is numbered without a gap over all that was ever heard.
    fn heard(&mut self, place: usize) -> BTreeMap<u8, usize> {
        let mut heard = BTreeMap::new();
        for packet in std::mem::take(&mut self.guests[place].heard) {
            *heard.entry(packet.payload[1]).or_default() += 1;
        }
        heard
    }

    pub(super) fn track(&self, place: usize) -> TrackId {
        tracks_of(&self.events, &self.guests[place])[0]
    }

    pub(super) fn wish(&mut self, place: usize, audio_slots: Option<usize>, wish: Option<Wish>) {
        let command = Command::UpdateSubscriptions {
            room: ROOM,
            participant: self.guests[place].id,
            subscribe_all: None,
            audio_slots,
            wishes: wish.into_iter().collect(),
        };
        let done = self.shard.handle_command(self.now, command);
        assert!(done.is_ok(), "{done:?}");
    }
}

pub(super) const fn wish(track: TrackId, wanted: bool, pinned: bool) -> Wish {
    Wish {
        track,
        wanted,
        paused: false,
        priority: 128,
        height: 0,
        pinned,
    }
}

#[test]
fn the_loudest_is_heard_through_one_section_whose_numbers_run_on() {
    let mut meeting = Meeting::new(4, (1, 2), 1);
    meeting.talk(2_000, &[60, 20, 60, 60]);
    meeting.guests[0].heard.clear();
    let mut packets = Vec::new();
    for (levels, expected) in [
        ([60, 20, 60, 60], 1),
        ([60, 60, 20, 60], 2),
        ([60, 60, 60, 20], 3),
        ([60, 20, 60, 60], 1),
    ] {
        meeting.talk(1_000, &levels);
        packets.append(&mut meeting.guests[0].heard);
        meeting.talk(1_000, &levels);
        packets.extend(meeting.guests[0].heard.iter().cloned());
        let heard = meeting.heard(0);
        assert_eq!(heard.keys().copied().collect::<Vec<_>>(), [expected]);
        assert_eq!(heard[&expected], 50, "none is lost");
    }
    assert!(packets.iter().all(|packet| packet.ssrc == packets[0].ssrc));
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
    }
    let offers = meeting.events.iter();
    let offers = offers.filter(|event| matches!(event, Event::Offer { .. }));
    assert_eq!(offers.count(), 0);
    // Those who are not heard cost no more than a look.
    let dropped = &meeting.shard.stats().dropped;
    let quieter = dropped
        .iter()
        .find(|(reason, _)| *reason == DropReason::Quieter);
    assert!(
        quieter.is_some_and(|(_, count)| count > 1_000),
        "{quieter:?}"
    );
}

#[test]
fn who_speaks_hears_the_next_one_and_never_itself() {
    let mut meeting = Meeting::new(4, (1, 2), 1);
    meeting.talk(2_000, &[15, 25, 60, 60]);
    for (place, expected) in [(0, 1), (1, 0), (2, 0), (3, 0)] {
        meeting.heard(place);
        meeting.talk(200, &[15, 25, 60, 60]);
        let heard = meeting.heard(place);
        assert_eq!(heard.keys().copied().collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn nobody_is_cut_in_a_small_room_nor_while_it_grows_and_shrinks() {
    let mut meeting = Meeting::new(4, (1, 4), 3);
    meeting.talk(1_000, &[60, 20, 60, 127]);
    assert_eq!(meeting.heard(0).into_keys().collect::<Vec<_>>(), [1, 2, 3]);
    // A fifth sound: the room selects, and who speaks is heard on.
    let mut lines = [line("a", false, "sendrecv", 0)];
    lines[0].more = LEVEL.to_owned();
    let fifth = connected(meeting.now, &mut meeting.shard, 5, false, &lines);
    meeting.guests.push(fifth);
    meeting.heard(0);
    meeting.talk(1_000, &[60, 20, 60, 80]);
    let heard = meeting.heard(0);
    assert_eq!(heard[&1], 50, "{heard:?}");
    meeting.talk(1_000, &[60, 20, 60, 80]);
    assert_eq!(meeting.heard(0).into_keys().collect::<Vec<_>>(), [1]);
    // Back once there are three.
    for id in [5, 4] {
        let leave = Command::Leave {
            room: ROOM,
            participant: ParticipantId(id),
            reason: LeaveReason::LeftItself,
        };
        meeting.shard.handle_command(meeting.now, leave).unwrap();
        meeting.guests.pop();
    }
    meeting.talk(1_000, &[60, 20, 60]);
    let heard = meeting.heard(0);
    assert_eq!((heard[&1], heard[&2]), (50, 50), "{heard:?}");
}

#[test]
fn a_pinned_voice_is_sent_however_faint_and_an_unwanted_one_never() {
    let mut meeting = Meeting::new(5, (1, 2), 2);
    let levels = [60, 20, 40, 60, 70];
    meeting.talk(1_000, &levels);
    let pinned = meeting.track(4);
    meeting.wish(0, None, Some(wish(pinned, true, true)));
    meeting.heard(0);
    meeting.talk(1_000, &levels);
    assert_eq!(meeting.heard(0), [(1, 50), (4, 50)].into());
    meeting.wish(0, None, Some(wish(pinned, true, false)));
    let unwanted = meeting.track(1);
    meeting.wish(0, None, Some(wish(unwanted, false, false)));
    meeting.heard(0);
    meeting.talk(1_000, &[60, 20, 30, 60, 70]);
    meeting.heard(0);
    meeting.talk(1_000, &[60, 20, 30, 60, 70]);
    assert_eq!(meeting.heard(0), [(2, 50)].into());
    assert_eq!(meeting.heard(3).into_keys().last(), Some(1));
}

#[test]
fn a_participant_has_as_many_slots_as_it_wishes() {
    let mut meeting = Meeting::new(5, (1, 2), 3);
    let levels = [15, 20, 25, 30, 70];
    meeting.talk(1_000, &levels);
    meeting.wish(4, Some(3), None);
    meeting.talk(1_000, &levels);
    for place in [3, 4] {
        meeting.heard(place);
    }
    meeting.talk(400, &levels);
    assert_eq!(meeting.heard(4), [(0, 20), (1, 20), (2, 20)].into());
    assert_eq!(meeting.heard(3), [(0, 20)].into());
}

#[test]
fn sound_without_levels_is_heard_where_there_is_a_place() {
    let mut meeting = Meeting::new(4, (1, 2), 1);
    meeting.talk(1_000, &[60, 127, 60, 60]);
    meeting.heard(0);
    meeting.talk(1_000, &[60, 127, 60, 60]);
    assert_eq!(meeting.heard(0), [(1, 50)].into());
    meeting.talk(1_000, &[60, 127, 25, 60]);
    meeting.heard(0);
    meeting.talk(1_000, &[60, 127, 25, 60]);
    assert_eq!(meeting.heard(0), [(2, 50)].into());
}

#[test]
fn who_comes_late_hears_who_speaks_now() {
    let mut meeting = Meeting::new(4, (1, 2), 1);
    meeting.talk(2_000, &[60, 20, 60, 60]);
    let mut lines = [line("a", false, "recvonly", 0)];
    lines[0].more = LEVEL.to_owned();
    let late = connected(meeting.now, &mut meeting.shard, 5, false, &lines);
    meeting.guests.push(late);
    meeting.talk(200, &[60, 20, 60, 60]);
    let heard = meeting.heard(4);
    assert_eq!(heard.keys().copied().collect::<Vec<_>>(), [1]);
    assert!(heard[&1] >= 9, "{heard:?}");
}

#[test]
fn slots_are_asked_for_once_whatever_the_room_grows_to() {
    let mut meeting = Meeting::new(12, (3, 5), 1);
    meeting.talk(200, &[60; 12]);
    let mut dave = Guest::join(&mut meeting.shard, 99, true);
    let mut lines = [line("a", false, "recvonly", 0)];
    lines[0].more = LEVEL.to_owned();
    dave.negotiate(meeting.now, &mut meeting.shard, &lines);
    dave.nominate(meeting.now, &mut meeting.shard);
    meeting.guests.push(dave);
    meeting.talk(1_000, &[60; 12]);
    let mut offers = Vec::new();
    for event in &meeting.events {
        if let Event::Offer { description, .. } = event {
            offers.push(description.sections.len());
        }
    }
    assert_eq!(offers, [3], "two slots beside the one of its own offer");
}
