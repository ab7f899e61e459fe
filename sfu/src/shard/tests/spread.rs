//! One room on two shards, joined by a pipe in virtual time: everybody sees and hears everybody, only
//! what is wanted is carried, and nothing stays when they have left.

use std::collections::{BTreeSet, VecDeque};

use super::guest::*;
use super::*;

const PIPE: PortId = PortId(4);
const LEVEL: &str = "a=extmap:10 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n";
/// A parcel's way.
const DELAY: Duration = Duration::from_micros(200);

struct Spread {
    shards: [Shard; 2],
    /// With where each one's transport is.
    guests: Vec<(usize, Guest)>,
    now: Instant,
    sent: u16,
    /// On their way: when they arrive, and where.
    parcels: VecDeque<(Instant, usize, Vec<u8>)>,
    events: [Vec<Event>; 2],
    /// Of the publishers with simulcast: bytes carried are counted by this.
    carried: u64,
}

impl Spread {
    fn new(parameters: &RoomParameters) -> Self {
        let shards = [0, 1].map(|index| {
            let mut shard = support::shard_of(index);
            let create = Command::CreateRoom {
                room: ROOM,
                parameters: parameters.clone(),
            };
            shard.handle_command(Instant::ZERO, create).unwrap();
            for _ in 0..2 {
                let open = Command::OpenPipe {
                    room: ROOM,
                    port: PIPE,
                    shard: 1 - index,
                };
                shard.handle_command(Instant::ZERO, open).unwrap();
            }
            shard
        });
        Self {
            shards,
            guests: Vec::new(),
            now: Instant::ZERO,
            sent: 0,
            parcels: VecDeque::new(),
            events: [Vec::new(), Vec::new()],
            carried: 0,
        }
    }

    /// Joins on a shard, publishing sound and picture, with m-lines for so many others.
    fn join(&mut self, shard: usize, id: u64, others: usize) {
        let mids = ["b", "c", "d", "e", "f", "g", "h", "i"];
        let mut sound = line("a", false, "sendonly", 0);
        sound.more = LEVEL.to_owned();
        let mut lines = vec![sound, line("v", true, "sendonly", 0)];
        for place in 0..others {
            lines.push(line(mids[place * 2], false, "recvonly", 0));
            lines.push(line(mids[place * 2 + 1], true, "recvonly", 0));
        }
        self.join_with(shard, id, &lines);
    }

    fn join_with(&mut self, shard: usize, id: u64, lines: &[LineText]) {
        let guest = connected(self.now, &mut self.shards[shard], id, false, lines);
        self.guests.push((shard, guest));
        self.run(10);
    }

    /// Lets time pass; parcels travel, and arrive in their order.
    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds * 5 {
            for index in 0..2 {
                let own = self.guests.iter_mut();
                let own = own.filter(|(shard, _)| *shard == index);
                let mut own: Vec<&mut Guest> = own.map(|(_, guest)| guest).collect();
                exchange(self.now, &mut self.shards[index], &mut own);
                let mut parcel = Vec::new();
                while let Some((to, port)) = self.shards[index].poll_pipe(&mut parcel) {
                    assert_eq!((usize::from(to), port), (1 - index, PIPE));
                    self.carried += parcel.len() as u64;
                    let arrival = (self.now + DELAY, to.into(), std::mem::take(&mut parcel));
                    self.parcels.push_back(arrival);
                }
                self.events[index].extend(events(&mut self.shards[index]));
            }
            self.now += DELAY;
            while let Some((at, to, parcel)) = self.parcels.pop_front() {
                if at > self.now {
                    self.parcels.push_front((at, to, parcel));
                    break;
                }
                self.shards[to].handle_parcel(self.now, PIPE, &parcel);
            }
        }
    }

    /// Each sends a sound and a picture every 20 ms; what it shows is its own id.
    fn talk(&mut self, milliseconds: u64, speaks: impl Fn(u64) -> bool) {
        for _ in 0..milliseconds / 20 {
            self.sent += 1;
            for (shard, guest) in &mut self.guests {
                let id = guest.id.0;
                let content = u8::try_from(id).unwrap();
                let ssrc = 10 * u32::try_from(id).unwrap();
                let key = self.sent == 1 || guest.plis.contains(&(ssrc + 1));
                guest.plis.clear();
                let shard = &mut self.shards[*shard];
                if speaks(id) {
                    let packet = (96, ssrc, self.sent);
                    let named = [(9, "a"), (10, "\u{14}")];
                    guest.rtp(self.now, shard, packet, &named, &sound(content));
                }
                let packet = (120, ssrc + 1, self.sent);
                guest.rtp(self.now, shard, packet, &[(9, "v")], &picture(key, content));
            }
            self.run(20);
        }
    }

    /// The first sends one picture in each of the sizes it is asked for.
    fn send_rungs(&mut self, asked: &mut BTreeSet<&'static str>) {
        self.sent += 1;
        let (_, guest) = &mut self.guests[0];
        for (rung, rid) in ["q", "h", "f"].into_iter().enumerate() {
            if !asked.contains(rid) {
                continue;
            }
            let ssrc = 31 + u32::try_from(rung).unwrap();
            let key = self.sent == 1 || guest.plis.contains(&ssrc);
            let mut payload = picture(key, u8::try_from(rung + 1).unwrap());
            payload[9..11].copy_from_slice(&(180_u16 << rung).to_le_bytes());
            payload.resize(200 << rung, u8::try_from(rung + 1).unwrap());
            let packet = (120, ssrc, self.sent);
            let named = [(9, "v"), (7, rid)];
            guest.rtp(self.now, &mut self.shards[0], packet, &named, &payload);
        }
        guest.plis.clear();
        self.run(20);
        for event in std::mem::take(&mut self.events[0]) {
            if let Event::EncodingsWanted { tracks, .. } = event {
                let has = |rid: &&str| tracks[0].rids.iter().any(|it| it.as_str() == *rid);
                *asked = ["q", "h", "f"].into_iter().filter(has).collect();
            }
        }
    }

    /// Whose sounds and pictures each has received since the last call.
    fn seen(&mut self) -> Vec<(BTreeSet<u8>, BTreeSet<u8>)> {
        let last = |heard: &Heard| *heard.payload.last().unwrap();
        let seen = self.guests.iter_mut().map(|(_, guest)| {
            let heard = std::mem::take(&mut guest.heard);
            let (sounds, pictures): (Vec<Heard>, Vec<Heard>) =
                heard.into_iter().partition(|it| it.payload_type == 96);
            (
                sounds.iter().map(last).collect(),
                pictures.iter().map(last).collect(),
            )
        });
        seen.collect()
    }

    fn shard_of(&mut self, id: u64) -> &mut Shard {
        let found = self.guests.iter().find(|(_, guest)| guest.id.0 == id);
        &mut self.shards[found.unwrap().0]
    }

    fn leave(&mut self, id: u64) {
        let now = self.now;
        let leave = Command::Leave {
            room: ROOM,
            participant: ParticipantId(id),
            reason: LeaveReason::LeftItself,
        };
        self.shard_of(id).handle_command(now, leave).unwrap();
        self.guests.retain(|(_, guest)| guest.id.0 != id);
        self.run(1);
    }

    /// The tracks of a participant, as its own shard tells the world.
    fn tracks(&self, id: u64) -> Vec<TrackId> {
        let (shard, guest) = self.guests.iter().find(|(_, it)| it.id.0 == id).unwrap();
        tracks_of(&self.events[*shard], guest)
    }

    /// Who was told to speak loudest last, on each shard.
    fn speakers(&self) -> [Option<u64>; 2] {
        [0, 1].map(|index| {
            let told = self.events[index].iter().rev();
            let mut told = told.filter_map(|event| {
                if let Event::SpeakersChanged { speakers, .. } = event {
                    Some(speakers)
                } else {
                    None
                }
            });
            Some(told.next()?.first()?.participant.0)
        })
    }
}

fn wish(participant: u64, track: TrackId, paused: bool) -> Command {
    Command::UpdateSubscriptions {
        room: ROOM,
        participant: ParticipantId(participant),
        subscribe_all: None,
        audio_slots: None,
        wishes: vec![command::Wish {
            track,
            wanted: true,
            paused,
            priority: 128,
            height: 0,
            pinned: false,
        }],
    }
}

fn four() -> Spread {
    let mut spread = Spread::new(&RoomParameters::default());
    for (shard, id) in [(0, 1), (1, 2), (0, 3), (1, 4)] {
        spread.join(shard, id, 3);
    }
    spread
}

#[test]
fn everybody_sees_and_hears_everybody_and_nothing_stays_when_they_have_left() {
    let mut spread = four();
    spread.talk(1_000, |_| true);
    spread.seen();
    spread.talk(200, |_| true);
    for (place, (sounds, pictures)) in spread.seen().into_iter().enumerate() {
        let own = u8::try_from(place + 1).unwrap();
        let others: BTreeSet<u8> = (1..=4).filter(|id| *id != own).collect();
        assert_eq!((&sounds, &pictures), (&others, &others), "guest {own}");
    }
    let sizes = spread.shards.each_ref().map(Shard::sizes);
    assert_eq!(
        sizes.map(|it| (it.participants, it.tracks)),
        [(2, 8), (2, 8)]
    );
    for shard in &spread.shards {
        assert_eq!(shard.stats().pipe_refused, 0);
        assert_eq!(shard.stats().pipe_packets_dropped, 0);
    }
    let joined = spread.shards.each_ref().map(|it| it.stats().nacks_out);
    assert_eq!(joined, [0, 0]);
    // Only its own shard speaks of a participant's coming, tracks and going.
    let foreign = |event: &&Event| matches!(event, Event::TrackChanged { facts, .. } if facts.participant.0 % 2 == 0);
    assert_eq!(spread.events[0].iter().filter(foreign).count(), 0);
    spread.leave(4);
    let sizes = spread.shards.each_ref().map(Shard::sizes);
    assert_eq!(sizes.map(|it| it.tracks), [6, 6]);
    spread.talk(200, |_| true);
    spread.seen();
    spread.talk(200, |_| true);
    assert_eq!(spread.seen()[0].1, BTreeSet::from([2, 3]));
    // Who comes then takes a place that was another's.
    spread.join(1, 5, 3);
    spread.talk(1_000, |_| true);
    spread.seen();
    spread.talk(200, |_| true);
    assert_eq!(spread.seen()[0].1, BTreeSet::from([2, 3, 5]));
    for id in [1, 2, 3, 5] {
        spread.leave(id);
    }
    let sizes = spread.shards.each_ref().map(Shard::sizes);
    for sizes in sizes {
        assert_eq!(
            (sizes.tracks, sizes.encodings, sizes.history_pages),
            (0, 0, 0)
        );
    }
    let now = spread.now;
    for shard in &mut spread.shards {
        let delete = Command::DeleteRoom {
            room: ROOM,
            reason: LeaveReason::RoomDeleted,
        };
        shard.handle_command(now, delete).unwrap();
        assert_eq!(shard.sizes(), TableSizes::default());
        // What was still on its way leads nowhere.
        shard.handle_parcel(now, PIPE, &[0, 2, 2, 8]);
    }
}

#[test]
fn both_shards_agree_on_who_speaks() {
    let mut spread = four();
    spread.talk(2_000, |id| id == 2);
    assert_eq!(spread.speakers(), [Some(2), Some(2)]);
    spread.talk(4_000, |id| id == 1);
    assert_eq!(spread.speakers(), [Some(1), Some(1)]);
}

#[test]
fn a_large_room_hears_its_loudest_from_either_shard() {
    let mut spread = Spread::new(&RoomParameters {
        audio_slots: 1,
        audio_slots_above: 2,
        ..RoomParameters::default()
    });
    for (shard, id) in [(0, 1), (1, 2), (0, 3), (1, 4)] {
        spread.join(shard, id, 1);
    }
    spread.talk(2_000, |id| id == 2);
    spread.seen();
    spread.talk(200, |id| id == 2);
    let sounds: Vec<BTreeSet<u8>> = spread.seen().into_iter().map(|(it, _)| it).collect();
    let two = BTreeSet::from([2]);
    assert_eq!(sounds, [two.clone(), BTreeSet::new(), two.clone(), two]);
    spread.talk(4_000, |id| id == 3);
    spread.seen();
    spread.talk(200, |id| id == 3);
    let sounds: Vec<BTreeSet<u8>> = spread.seen().into_iter().map(|(it, _)| it).collect();
    let three = BTreeSet::from([3]);
    assert_eq!(
        sounds,
        [three.clone(), three.clone(), BTreeSet::new(), three]
    );
}

#[test]
fn a_mute_and_the_end_of_a_track_reach_the_other_shard() {
    let mut spread = four();
    spread.talk(1_000, |_| true);
    let [sound, _] = spread.tracks(2)[..] else {
        panic!("{:?}", spread.tracks(2));
    };
    let mute = |muted| Command::SetTrackMuted {
        room: ROOM,
        track: sound,
        muted,
    };
    let now = spread.now;
    spread.shards[1].handle_command(now, mute(true)).unwrap();
    spread.run(5);
    spread.seen();
    spread.talk(200, |_| true);
    assert_eq!(spread.seen()[0].0, BTreeSet::from([3, 4]));
    let why = spread.events[0].iter().rev().find_map(|event| {
        if let Event::SubscriptionsChanged {
            participant,
            subscriptions,
            ..
        } = event
            && participant.0 == 1
        {
            let mut found = subscriptions.iter();
            found.find(|it| it.track == sound).map(|it| it.paused)
        } else {
            None
        }
    });
    assert_eq!(why, Some(Some(event::PauseReason::Muted)));
    let now = spread.now;
    spread.shards[1].handle_command(now, mute(false)).unwrap();
    spread.talk(200, |_| true);
    assert_eq!(spread.seen()[0].0, BTreeSet::from([2, 3, 4]));
    let end = Command::UnpublishTrack {
        room: ROOM,
        track: sound,
    };
    let now = spread.now;
    spread.shards[1].handle_command(now, end).unwrap();
    spread.run(5);
    spread.seen();
    spread.talk(200, |_| true);
    assert_eq!(spread.seen()[0].0, BTreeSet::from([3, 4]));
}

#[test]
fn a_wish_may_come_before_the_track_it_is_for() {
    let mut spread = four();
    spread.talk(1_000, |_| true);
    let picture = spread.tracks(2)[1];
    let now = spread.now;
    spread.shards[0]
        .handle_command(now, wish(1, picture, true))
        .unwrap();
    spread.run(5);
    spread.seen();
    spread.talk(200, |_| true);
    assert_eq!(spread.seen()[0].1, BTreeSet::from([3, 4]));
    let now = spread.now;
    spread.shards[0]
        .handle_command(now, wish(1, TrackId(99), true))
        .unwrap();
    spread.shards[0]
        .handle_command(now, wish(1, picture, false))
        .unwrap();
    spread.talk(400, |_| true);
    assert_eq!(spread.seen()[0].1, BTreeSet::from([2, 3, 4]));
}

#[test]
fn a_publisher_is_asked_for_what_is_wanted_on_the_other_shard() {
    let mut spread = Spread::new(&RoomParameters::default());
    let mut picture_line = line("v", true, "sendonly", 0);
    picture_line.more =
        "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n".to_owned();
    spread.join_with(0, 1, &[picture_line]);
    spread.join_with(1, 2, &[line("w", true, "recvonly", 0)]);
    let mut asked = BTreeSet::from(["q", "h", "f"]);
    let mut send = |spread: &mut Spread, milliseconds: u64| {
        let carried = spread.carried;
        for _ in 0..milliseconds / 20 {
            spread.send_rungs(&mut asked);
        }
        let bytes = (spread.carried - carried) * 20 / milliseconds;
        (asked.iter().copied().collect::<String>(), bytes)
    };
    let picture_track = spread.tracks(1)[0];
    send(&mut spread, 4_000);
    assert_eq!(
        spread.seen()[1].1.last(),
        Some(&3),
        "the best, as on one shard"
    );
    let (asked_for, _) = send(&mut spread, 10_000);
    // Their order is the alphabet's.
    assert_eq!(asked_for, "fq", "what is shown, and the lowest");
    let pause = |spread: &mut Spread, paused| {
        let wish = wish(2, picture_track, paused);
        let now = spread.now;
        spread.shards[1].handle_command(now, wish).unwrap();
    };
    pause(&mut spread, true);
    let (asked_for, _) = send(&mut spread, 24_000);
    assert_eq!(asked_for, "", "nobody looks on either shard");
    assert_eq!(send(&mut spread, 1_000).1, 0, "nothing is carried");
    spread.seen();
    pause(&mut spread, false);
    let (asked_for, _) = send(&mut spread, 2_000);
    assert!(asked_for.contains('f'), "{asked_for}");
    spread.seen();
    send(&mut spread, 1_000);
    assert_eq!(spread.seen()[1].1, BTreeSet::from([3]));
}

#[test]
fn a_pipe_that_is_closed_takes_along_what_came_through_it() {
    let mut spread = four();
    spread.talk(1_000, |_| true);
    let close = Command::ClosePort { port: PIPE };
    for shard in &mut spread.shards {
        shard.handle_command(spread.now, close.clone()).unwrap();
        assert_eq!((shard.sizes().tracks, shard.sizes().ports), (4, 0));
    }
    spread.talk(200, |_| true);
    spread.seen();
    spread.talk(200, |_| true);
    assert_eq!(spread.seen()[0].1, BTreeSet::from([3]));
}
