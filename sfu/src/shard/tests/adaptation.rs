//! A subscriber of a simulcast track behind links of several widths, with feedback as a browser
//! sends it: what it is given, how soon, and how long packets wait.

use std::collections::{BTreeSet, VecDeque};

use super::event::PauseReason;
use super::guest::*;
use super::*;
use crate::wire::twcc::TransportFeedbackWriter;

const FEEDBACK: &str = "a=extmap:5 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
                        a=rtcp-fb:120 transport-cc\r\n";
/// SSRCs of the rungs, lowest first; about 150, 500 and 1,500 kb/s.
const RUNGS: [(u32, usize, usize); 3] = [(31, 1, 650), (32, 3, 750), (33, 7, 960)];
/// Between frames of every rung.
const FRAME: u64 = 40;
/// Between feedbacks.
const TOLD_EVERY: u64 = 50;
/// One way.
const DELAY: Duration = Duration::from_millis(25);

/// The subscriber's link down: a rate, and a queue of 250 ms.
struct Narrow {
    bits_per_second: u64,
    free_at: Instant,
    /// One in so many packets is lost; 0: none.
    loses: usize,
    passed: usize,
    /// Numbers on their way: when they arrive, none: lost.
    flying: VecDeque<(u16, Option<Instant>)>,
    /// The longest wait of the last second or so.
    waits: Vec<(Instant, Duration)>,
    /// Most bytes handed over in one millisecond.
    at_once: usize,
}

impl Narrow {
    fn take(&mut self, now: Instant, numbered: Vec<(u16, usize)>) {
        let bytes = numbered.iter().map(|(_, bytes)| bytes).sum();
        self.at_once = self.at_once.max(bytes);
        for (number, bytes) in numbered {
            self.passed += 1;
            if self.loses > 0 && self.passed.is_multiple_of(self.loses) {
                self.flying.push_back((number, None));
                continue;
            }
            let starts = self.free_at.max(now);
            let wait = starts.since(now);
            if wait > Duration::from_millis(250) {
                self.flying.push_back((number, None));
                continue;
            }
            let bits = (bytes as u64 + 28) * 8;
            self.free_at = starts + Duration::from_micros(bits * 1_000_000 / self.bits_per_second);
            self.waits.push((now, wait));
            self.flying.push_back((number, Some(self.free_at + DELAY)));
        }
    }

    /// What has arrived by now, as feedback says it; none where nothing has.
    fn feedback(&mut self, now: Instant) -> Option<(u16, Vec<Option<Instant>>)> {
        let mut told: Vec<(u16, Option<Instant>)> = Vec::new();
        while let Some(&(number, at)) = self.flying.front() {
            if at.is_some_and(|at| at > now) {
                break;
            }
            told.push((number, at));
            self.flying.pop_front();
        }
        // It begins and ends with what arrived: of the rest nobody knows yet.
        while told.last().is_some_and(|(_, at)| at.is_none()) {
            self.flying.push_front(told.pop()?);
        }
        let first = told.iter().position(|(_, at)| at.is_some())?;
        let base = told.get(first)?.0;
        Some((
            base,
            told.into_iter().skip(first).map(|(_, at)| at).collect(),
        ))
    }

    fn longest_wait(&self, from: Instant) -> Duration {
        let waits = self.waits.iter().filter(|(at, _)| *at >= from);
        waits.map(|(_, wait)| *wait).max().unwrap_or_default()
    }
}

pub(super) struct Scene {
    pub(super) shard: Shard,
    pub(super) publishers: Vec<Guest>,
    pub(super) lin: Guest,
    link: Narrow,
    pub(super) now: Instant,
    pub(super) rungs: std::ops::Range<usize>,
    /// The one of which no key frame comes, whoever asks.
    pub(super) keyless: Option<usize>,
    /// Nobody sends anything yet.
    is_silent: bool,
    sent: u16,
    told: u8,
    pub(super) speaks: bool,
    /// When which rung was shown.
    pub(super) shown: Vec<(Instant, u32)>,
    seen: BTreeSet<u32>,
}

impl Scene {
    pub(super) fn new(kbps: u64) -> Self {
        Self::with(kbps, 1)
    }

    /// So many publish, and begin to send when Lin is there.
    fn beginning(kbps: u64, publishers: u64) -> Self {
        Self::build(kbps, publishers, (0..3, true, false))
    }

    /// One picture of 1,500 kb/s, as who does not publish rungs.
    pub(super) fn single(kbps: u64) -> Self {
        Self::of(kbps, 1, 2..3)
    }

    /// Its publisher declares the SSRCs of its rungs beside their rids, as Firefox does.
    pub(super) fn declaring(kbps: u64) -> Self {
        Self::build(kbps, 1, (0..3, false, true))
    }

    pub(super) fn with(kbps: u64, publishers: u64) -> Self {
        Self::of(kbps, publishers, 0..3)
    }

    /// So many publish these rungs when Lin comes, who is guest 1.
    fn of(kbps: u64, publishers: u64, rungs: std::ops::Range<usize>) -> Self {
        Self::build(kbps, publishers, (rungs, false, false))
    }

    fn build(
        kbps: u64,
        publishers: u64,
        (rungs, is_silent, declares): (std::ops::Range<usize>, bool, bool),
    ) -> Self {
        let mut shard = shard();
        support::create(&mut shard, 7, 50);
        let lin = Guest::join(&mut shard, 1, false);
        let mut publishes = [line("v", true, "sendonly", 0)];
        if rungs.len() > 1 {
            publishes[0].more =
                "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n"
                    .to_owned();
        }
        publishes[0].more += "a=rtcp-fb:120 goog-remb\r\n";
        for (ssrc, ..) in RUNGS.into_iter().filter(|_| declares) {
            publishes[0].more += &format!("a=ssrc:{ssrc} cname:guest\r\n");
        }
        let join = |place| connected(Instant::ZERO, &mut shard, place + 2, false, &publishes);
        let publishers = (0..publishers).map(join).collect();
        let mut scene = Self {
            lin,
            shard,
            publishers,
            link: Narrow {
                bits_per_second: kbps * 1_000,
                free_at: Instant::ZERO,
                loses: 0,
                passed: 0,
                flying: VecDeque::new(),
                waits: Vec::new(),
                at_once: 0,
            },
            now: Instant::from_millis(100),
            rungs,
            keyless: None,
            is_silent,
            sent: 0,
            told: 0,
            speaks: true,
            shown: Vec::new(),
            seen: BTreeSet::new(),
        };
        // The tracks have flowed for a while when somebody comes.
        scene.run(2_000);
        let mids = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
        let hears = mids.iter().take(scene.publishers.len()).map(|mid| {
            let mut hears = line(mid, true, "recvonly", 0);
            hears.more = FEEDBACK.to_owned();
            hears
        });
        let hears: Vec<_> = hears.collect();
        scene.lin.negotiate(scene.now, &mut scene.shard, &hears);
        scene.lin.nominate(scene.now, &mut scene.shard);
        scene
    }

    /// What a packet shows: the publisher by its place times 10, and the rung from 1.
    fn publish(&mut self) {
        for (place, guest) in self.publishers.iter_mut().enumerate() {
            let asked = std::mem::take(&mut guest.plis);
            for rung in self.rungs.clone() {
                let (ssrc, packets, bytes) = RUNGS[rung];
                let rid = ["q", "h", "f"][rung];
                for packet in 0..packets {
                    let is_asked = asked.contains(&ssrc) && self.keyless != Some(rung);
                    let key = packet == 0 && is_asked;
                    let content = u8::try_from(place * 10 + rung + 1).unwrap();
                    let mut payload = picture(key, content);
                    let height = 180_u16 << rung;
                    payload[9..11].copy_from_slice(&height.to_le_bytes());
                    payload.resize(bytes, content);
                    let named = [(9, "v"), (7, rid)];
                    let named = &named[..if self.rungs.len() > 1 { 2 } else { 1 }];
                    let count = u16::try_from(packets).unwrap();
                    let number = self.sent.wrapping_mul(count) + u16::try_from(packet).unwrap();
                    guest.rtp(
                        self.now,
                        &mut self.shard,
                        (120, ssrc, number),
                        named,
                        &payload,
                    );
                }
            }
        }
        self.sent = self.sent.wrapping_add(1);
    }

    fn tell(&mut self) {
        let Some((base, arrivals)) = self.link.feedback(self.now) else {
            return;
        };
        let writer = TransportFeedbackWriter {
            sender: 2,
            media: 1,
            feedback_count: self.told,
        };
        self.told = self.told.wrapping_add(1);
        let mut out = [0; 1_200];
        let written = writer.write(base, arrivals, &mut out).expect("it fits");
        let compound = &out[..written.bytes];
        self.lin.rtcp(self.now, &mut self.shard, compound);
    }

    pub(super) fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            let ms = u64::try_from(self.now.since(Instant::ZERO).as_millis()).unwrap();
            if ms.is_multiple_of(FRAME) && !self.is_silent {
                self.publish();
            }
            let mut guests: Vec<&mut Guest> = self.publishers.iter_mut().collect();
            guests.push(&mut self.lin);
            exchange(self.now, &mut self.shard, &mut guests);
            let numbered = std::mem::take(&mut self.lin.numbered);
            self.link.take(self.now, numbered);
            for heard in std::mem::take(&mut self.lin.heard) {
                let Some(&content) = heard.payload.last() else {
                    continue;
                };
                self.seen.insert(content.into());
                if self
                    .shown
                    .last()
                    .is_none_or(|(_, shown)| *shown != content.into())
                {
                    self.shown.push((self.now, content.into()));
                }
            }
            if ms.is_multiple_of(TOLD_EVERY) && self.speaks && self.lin.host.is_some() {
                self.tell();
            }
            self.now += Duration::from_millis(1);
        }
    }

    /// What is seen within so many milliseconds, each once.
    fn seen(&mut self, milliseconds: u64) -> Vec<u32> {
        self.seen.clear();
        self.run(milliseconds);
        self.seen.iter().copied().collect()
    }

    /// Why each of Lin's subscriptions is paused, by the events since the last call.
    pub(super) fn paused(&mut self) -> Vec<Option<PauseReason>> {
        let mut paused = Vec::new();
        for event in events(&mut self.shard) {
            if let Event::SubscriptionsChanged {
                participant,
                subscriptions,
                ..
            } = event
                && participant == self.lin.id
            {
                paused = subscriptions.iter().map(|facts| facts.paused).collect();
            }
        }
        paused
    }

    pub(super) fn track(&self, publisher: usize) -> TrackId {
        let owner = self.publishers[publisher].id;
        let room = self.shard.rooms.iter().next().expect("a room").1;
        let member = room.member(owner).expect("inside");
        room.members.get(member.index()).unwrap().published[0].id
    }

    pub(super) fn wish(&mut self, publisher: usize, priority: u8, height: u16) {
        let track = self.track(publisher);
        let command = Command::UpdateSubscriptions {
            room: ROOM,
            participant: self.lin.id,
            subscribe_all: None,
            audio_slots: None,
            wishes: vec![command::Wish {
                track,
                wanted: true,
                paused: false,
                priority,
                height,
                pinned: false,
            }],
        };
        let done = self.shard.handle_command(self.now, command);
        assert!(done.is_ok(), "{done:?}");
    }

    /// One in so many packets is lost from now on.
    pub(super) fn lose(&mut self, one_in: usize) {
        self.link.loses = one_in;
    }

    /// The link has another width from now on.
    pub(super) fn narrow(&mut self, kbps: u64) {
        self.link.bits_per_second = kbps * 1_000;
    }

    /// The rung that is shown, and for how long it has been.
    pub(super) fn shows(&self) -> (u32, Duration) {
        let (since, rung) = self.shown.last().copied().expect("something is shown");
        (rung, self.now.since(since))
    }
}

/// So many seconds in which Lin says by REMB that it takes so much.
fn takes(scene: &mut Scene, kbps: u64, seconds: u64) {
    for _ in 0..seconds {
        let mut out = [0; 64];
        let mut writer = crate::wire::rtcp::CompoundWriter::new(&mut out);
        assert!(writer.remb(2, crate::units::Bitrate::from_kbps(kbps), &[1]));
        let len = writer.len();
        scene
            .lin
            .rtcp(scene.now, &mut scene.shard, out.get(..len).unwrap_or(&[]));
        scene.run(1_000);
    }
}

/// Nothing of what begins is measured, and the best of all would be 11 Mb/s.
#[test]
fn what_begins_all_at_once_begins_at_its_lowest_on_a_narrow_path() {
    for (kbps, publishers) in [(300, 1), (300, 7), (1_000, 7)] {
        let mut scene = Scene::beginning(kbps, publishers);
        scene.run(300);
        scene.is_silent = false;
        let seen = scene.seen(1_000);
        assert!(!seen.is_empty());
        let lowest = seen.iter().all(|content| content % 10 == 1);
        assert!(lowest, "{kbps}, {publishers}: {seen:?}");
        let waited = scene.link.longest_wait(Instant::ZERO);
        let most = Duration::from_millis(240);
        assert!(waited < most, "{kbps}, {publishers}: {waited:?}");
        // All that fits at its lowest, about 140 kb/s each with headers, begins in that second, but
        // for one that waits for the next probe.
        let who = |seen: &[u32]| {
            seen.iter()
                .map(|it| it / 10)
                .collect::<BTreeSet<u32>>()
                .len()
        };
        let fits = usize::try_from(kbps * 92 / 100 / 140)
            .unwrap()
            .min(scene.publishers.len());
        let least = fits.saturating_sub(1).max(1);
        assert!(who(&seen) >= least, "{kbps}, {publishers}: {seen:?}");
        // And goes on with no queue: what is given may cost a little more than is known to fit.
        scene.run(4_000);
        let settled = scene.now;
        let seen = scene.seen(2_000);
        let kept = fits..=fits + 1;
        assert!(kept.contains(&who(&seen)), "{kbps}, {publishers}: {seen:?}");
        let waited = scene.link.longest_wait(settled);
        let most = Duration::from_millis(100);
        assert!(waited < most, "{kbps}, {publishers}: {waited:?}");
    }
}

/// A wide path is not known to be one when somebody comes; nine key frames fit it all the same.
#[test]
fn who_comes_by_a_wide_path_sees_all_of_nine_soon_and_each_at_its_best_in_time() {
    let mut scene = Scene::with(30_000, 9);
    let soon = scene.seen(1_000);
    let who = |seen: &[u32]| -> BTreeSet<u32> { seen.iter().map(|content| content / 10).collect() };
    assert_eq!(who(&soon).len(), 9, "{soon:?}");
    scene.run(4_000);
    let best = scene.seen(1_000);
    assert!(best.iter().all(|content| content % 10 == 3), "{best:?}");
    assert_eq!(who(&best).len(), 9);
}

#[test]
fn who_says_only_how_much_it_takes_is_given_that_much() {
    let mut scene = Scene::new(4_000);
    scene.speaks = false;
    scene.run(500);
    for (kbps, rung) in [(800, 2), (3_000, 3), (250, 1), (3_000, 3)] {
        takes(&mut scene, kbps, 6);
        assert_eq!(scene.shows().0, rung, "{kbps}: {:?}", scene.shown);
    }
    takes(&mut scene, 250, 3);
    assert_eq!(scene.shows().0, 1, "{:?}", scene.shown);
    // It says no more: what it said is too old to count, and nothing is known.
    scene.run(10_000);
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
    assert_eq!(
        scene.shard.stats().probes_out,
        0,
        "no probe would be told of"
    );
}

#[test]
fn what_a_receiver_says_it_takes_is_a_ceiling_over_what_its_path_carries() {
    let mut scene = Scene::new(4_000);
    scene.run(500);
    takes(&mut scene, 800, 8);
    assert_eq!(scene.shows().0, 2, "{:?}", scene.shown);
    takes(&mut scene, 9_000, 8);
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
}

#[test]
fn a_wide_path_is_given_the_top_rung_soon_and_keeps_it() {
    let mut scene = Scene::new(4_000);
    scene.run(1_500);
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
    scene.run(20_000);
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
    assert!(scene.shown.len() <= 3, "{:?}", scene.shown);
    assert!(scene.shard.stats().probes_out > 0);
}

#[test]
fn a_narrow_path_is_given_what_it_carries_and_nothing_waits_for_long() {
    for (kbps, rung) in [(250, 1), (900, 2)] {
        let mut scene = Scene::new(kbps);
        scene.run(6_000);
        assert_eq!(scene.shows().0, rung, "{kbps}: {:?}", scene.shown);
        let first = scene.link.longest_wait(Instant::ZERO);
        assert!(first <= Duration::from_millis(400), "{kbps}: {first:?}");
        let settled = scene.now;
        let changes = scene.shown.len();
        scene.run(30_000);
        assert_eq!(scene.shows().0, rung, "{kbps}: {:?}", scene.shown);
        assert!(
            scene.shown.len() - changes <= 2,
            "{kbps}: {:?}",
            scene.shown
        );
        let wait = scene.link.longest_wait(settled);
        assert!(wait <= Duration::from_millis(100), "{kbps}: {wait:?}");
    }
}

#[test]
fn a_path_that_shrinks_is_given_less_at_once_and_more_again_when_it_has_grown() {
    let mut scene = Scene::new(2_500);
    scene.run(10_000);
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
    scene.link.bits_per_second = 700_000;
    let shrunk = scene.now;
    scene.run(3_500);
    assert_eq!(scene.shows().0, 2, "{:?}", scene.shown);
    let down = scene
        .shown
        .iter()
        .find(|(at, rung)| *at > shrunk && *rung != 3);
    let took = down.expect("it went down").0.since(shrunk);
    assert!(took <= Duration::from_millis(1_000), "{took:?}");
    scene.run(10_000);
    let calm = scene.now;
    scene.run(5_000);
    let wait = scene.link.longest_wait(calm);
    assert!(wait <= Duration::from_millis(100), "{wait:?}");
    scene.link.bits_per_second = 2_500_000;
    scene.run(5_000);
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
}

#[test]
fn who_never_says_what_arrives_is_given_everything() {
    let mut scene = Scene::new(4_000);
    scene.speaks = false;
    scene.run(1_000);
    assert_eq!(scene.shows().0, 1, "{:?}", scene.shown);
    scene.run(2_000);
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
    assert_eq!(scene.shard.stats().probes_out, 0);
}

#[test]
fn a_picture_is_no_larger_than_it_is_shown() {
    let mut scene = Scene::new(4_000);
    scene.wish(0, 128, 360);
    scene.run(5_000);
    assert_eq!(scene.shows().0, 2, "{:?}", scene.shown);
    scene.wish(0, 128, 0);
    scene.run(2_000);
    assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
    scene.wish(0, 128, 180);
    scene.run(1_000);
    assert_eq!(scene.shows().0, 1, "{:?}", scene.shown);
}

#[test]
fn what_a_path_does_not_carry_is_paused_and_comes_back_when_it_does() {
    let mut scene = Scene::with(400, 5);
    scene.wish(3, 250, 0);
    scene.run(4_000);
    let first = scene.link.longest_wait(Instant::ZERO);
    assert!(first <= Duration::from_millis(400), "{first:?}");
    let seen = scene.seen(6_000);
    assert!(seen.contains(&31), "what matters most is shown: {seen:?}");
    assert!(seen.len() <= 3, "two pictures fit: {seen:?}");
    let paused = scene.paused();
    let lacking = paused.iter().flatten().filter(|reason| {
        matches!(reason, PauseReason::Bandwidth { needed, available } if needed > available)
    });
    assert_eq!(lacking.count() + seen.len(), 5, "{paused:?} {seen:?}");
    let settled = scene.link.longest_wait(scene.now - Duration::from_secs(5));
    assert!(settled <= Duration::from_millis(100), "{settled:?}");
    scene.link.bits_per_second = 12_000_000;
    scene.run(6_000);
    let seen = scene.seen(1_000);
    assert_eq!(seen, [3, 13, 23, 33, 43], "all of it fits");
    assert_eq!(scene.paused(), [None; 5]);
}

#[test]
fn a_picture_without_rungs_begins_at_once_and_is_paused_where_it_floods_the_path() {
    for (kbps, carried) in [(4_000, true), (500, false)] {
        let mut scene = Scene::single(kbps);
        let begun = scene.seen(300);
        assert_eq!(begun, [3], "{kbps}: it begins");
        scene.run(8_000);
        let seen = scene.seen(3_000);
        assert_eq!(!seen.is_empty(), carried, "{kbps}: {seen:?}");
        let lacks = matches!(scene.paused()[..], [Some(PauseReason::Bandwidth { .. })]);
        assert_eq!(lacks, !carried, "{kbps}");
        // Nothing is sent, so nothing is heard: probes find out all the same that it fits now.
        scene.link.bits_per_second = 4_000_000;
        scene.run(5_000);
        assert_eq!(scene.seen(500), [3], "{kbps}: it is back");
    }
}

#[test]
fn a_frame_leaves_no_faster_than_the_path_needs_unless_nobody_says_what_it_carries() {
    for (speaks, most) in [(true, 4_000), (false, 7_500)] {
        let mut scene = Scene::new(2_500);
        scene.speaks = speaks;
        scene.run(6_000);
        assert_eq!(scene.shows().0, 3, "{:?}", scene.shown);
        scene.link.at_once = 0;
        scene.run(2_000);
        let at_once = scene.link.at_once;
        // A frame of the top rung is seven packets of a thousand bytes.
        let expected = (most - 3_500)..=most;
        assert!(expected.contains(&at_once), "{speaks}: {at_once}");
    }
}

#[test]
fn a_screen_is_shown_before_cameras() {
    let mut scene = Scene::with(250, 4);
    let command = Command::SetTrackContent {
        room: ROOM,
        track: scene.track(2),
        screen: true,
    };
    let done = scene.shard.handle_command(scene.now, command);
    assert!(done.is_ok(), "{done:?}");
    scene.run(4_000);
    assert_eq!(scene.seen(4_000), [21]);
}
