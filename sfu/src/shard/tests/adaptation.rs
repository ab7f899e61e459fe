//! A subscriber of a simulcast track behind links of several widths, with feedback as a browser
//! sends it: what it is given, how soon, and how long packets wait.

use std::collections::VecDeque;

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
    /// Numbers on their way: when they arrive, none: lost.
    flying: VecDeque<(u16, Option<Instant>)>,
    /// The longest wait of the last second or so.
    waits: Vec<(Instant, Duration)>,
}

impl Narrow {
    fn take(&mut self, now: Instant, numbered: Vec<(u16, usize)>) {
        for (number, bytes) in numbered {
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

struct Scene {
    shard: Shard,
    ada: Guest,
    lin: Guest,
    link: Narrow,
    now: Instant,
    sent: [u16; 3],
    told: u8,
    speaks: bool,
    /// When which rung was shown.
    shown: Vec<(Instant, u32)>,
}

impl Scene {
    fn new(kbps: u64) -> Self {
        let mut shard = shard();
        support::create(&mut shard, 7, 10);
        let mut publishes = [line("v", true, "sendonly", 0)];
        publishes[0].more =
            "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n".to_owned();
        let mut ada = Guest::join(&mut shard, 1, false);
        ada.negotiate(Instant::ZERO, &mut shard, &publishes);
        ada.nominate(Instant::ZERO, &mut shard);
        exchange(Instant::ZERO, &mut shard, &mut [&mut ada]);
        let mut scene = Self {
            lin: Guest::join(&mut shard, 2, false),
            shard,
            ada,
            link: Narrow {
                bits_per_second: kbps * 1_000,
                free_at: Instant::ZERO,
                flying: VecDeque::new(),
                waits: Vec::new(),
            },
            now: Instant::from_millis(100),
            sent: [0; 3],
            told: 0,
            speaks: true,
            shown: Vec::new(),
        };
        // The track has flowed for a while when somebody comes.
        scene.run(2_000);
        let mut hears = [line("v", true, "recvonly", 0)];
        hears[0].more = FEEDBACK.to_owned();
        scene.lin.negotiate(scene.now, &mut scene.shard, &hears);
        scene.lin.nominate(scene.now, &mut scene.shard);
        scene
    }

    fn publish(&mut self) {
        let asked = std::mem::take(&mut self.ada.plis);
        for (rung, (ssrc, packets, bytes)) in RUNGS.into_iter().enumerate() {
            let rid = ["q", "h", "f"][rung];
            for packet in 0..packets {
                let key = packet == 0 && asked.contains(&ssrc);
                let content = u8::try_from(ssrc).unwrap();
                let mut payload = picture(key, content);
                payload.resize(bytes, content);
                let number = self.sent[rung];
                self.sent[rung] = number.wrapping_add(1);
                let named = [(9, "v"), (7, rid)];
                let packet = (120, ssrc, number);
                self.ada
                    .rtp(self.now, &mut self.shard, packet, &named, &payload);
            }
        }
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

    fn run(&mut self, milliseconds: u64) {
        for _ in 0..milliseconds {
            let ms = u64::try_from(self.now.since(Instant::ZERO).as_millis()).unwrap();
            if ms.is_multiple_of(FRAME) {
                self.publish();
            }
            exchange(
                self.now,
                &mut self.shard,
                &mut [&mut self.ada, &mut self.lin],
            );
            let numbered = std::mem::take(&mut self.lin.numbered);
            self.link.take(self.now, numbered);
            for heard in std::mem::take(&mut self.lin.heard) {
                let Some(&content) = heard.payload.last() else {
                    continue;
                };
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

    /// The rung that is shown, and for how long it has been.
    fn shows(&self) -> (u32, Duration) {
        let (since, rung) = self.shown.last().copied().expect("something is shown");
        (rung, self.now.since(since))
    }
}

#[test]
fn a_wide_path_is_given_the_top_rung_soon_and_keeps_it() {
    let mut scene = Scene::new(4_000);
    scene.run(1_500);
    assert_eq!(scene.shows().0, 33, "{:?}", scene.shown);
    scene.run(20_000);
    assert_eq!(scene.shows().0, 33, "{:?}", scene.shown);
    assert!(scene.shown.len() <= 3, "{:?}", scene.shown);
    assert!(scene.shard.stats().probes_out > 0);
}

#[test]
fn a_narrow_path_is_given_what_it_carries_and_nothing_waits_for_long() {
    for (kbps, rung) in [(250, 31), (900, 32)] {
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
    assert_eq!(scene.shows().0, 33, "{:?}", scene.shown);
    scene.link.bits_per_second = 700_000;
    let shrunk = scene.now;
    scene.run(3_500);
    assert_eq!(scene.shows().0, 32, "{:?}", scene.shown);
    let down = scene
        .shown
        .iter()
        .find(|(at, rung)| *at > shrunk && *rung != 33);
    let took = down.expect("it went down").0.since(shrunk);
    assert!(took <= Duration::from_millis(1_000), "{took:?}");
    scene.run(10_000);
    let calm = scene.now;
    scene.run(5_000);
    let wait = scene.link.longest_wait(calm);
    assert!(wait <= Duration::from_millis(100), "{wait:?}");
    scene.link.bits_per_second = 2_500_000;
    scene.run(5_000);
    assert_eq!(scene.shows().0, 33, "{:?}", scene.shown);
}

#[test]
fn who_never_says_what_arrives_is_given_everything() {
    let mut scene = Scene::new(4_000);
    scene.speaks = false;
    scene.run(1_000);
    assert_eq!(scene.shows().0, 31, "{:?}", scene.shown);
    scene.run(2_000);
    assert_eq!(scene.shows().0, 33, "{:?}", scene.shown);
    assert_eq!(scene.shard.stats().probes_out, 0);
}
