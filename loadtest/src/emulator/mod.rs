//! A bad network between real programs: UDP that passes here is queued, served at a rate, delayed,
//! lost and reordered as a link is told to, while it runs. Between browsers and a server, or between
//! two browsers.
//!
//! The core is a pure function of what is sent, told and the time, seeded; only [`ports`] reads a
//! clock and owns sockets, and those of this machine alone.
//!
//! | file | what it is |
//! |---|---|
//! | `mod` | links by name, what changes later, what arrives next |
//! | [`lane`] | one direction of a link |
//! | [`order`] | the lines by which it is told |
//! | [`ports`] | the sockets: forwards, pairs, real time |

pub mod lane;
pub mod order;
pub mod ports;

use std::collections::BTreeMap;

use sfu::time::{Duration, Instant};

use lane::{Lane, LaneStats};
use order::{Change, Heading};

/// Links: one for each participant of a large scene.
const LINKS_MAX: usize = 64;
/// Changes that wait for their time: a day of one a minute.
const LATER_MAX: usize = 1_440;

/// A bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no more than {0}")]
pub struct Full(pub &'static str);

/// A link's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkKey(usize);

/// Two lanes, by [`Heading`].
#[derive(Debug)]
struct Lanes<T> {
    name: String,
    up: Lane<T>,
    down: Lane<T>,
}

/// All links; `T` goes through them.
#[derive(Debug)]
pub struct Emulator<T> {
    seed: u64,
    links: Vec<Lanes<T>>,
    later: BTreeMap<(Instant, u64), Change>,
    count: u64,
}

impl<T: Clone> Emulator<T> {
    /// No links; all chance comes from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            links: Vec::new(),
            later: BTreeMap::new(),
            count: 0,
        }
    }

    /// The link of that name; one that only passes on where there was none.
    ///
    /// # Errors
    /// There are too many.
    pub fn link(&mut self, name: &str) -> Result<LinkKey, Full> {
        if let Some(at) = self.links.iter().position(|link| link.name == name) {
            return Ok(LinkKey(at));
        }
        if self.links.len() >= LINKS_MAX {
            return Err(Full("64 links"));
        }
        let at = self.links.len();
        let number = u64::try_from(at).unwrap_or(u64::MAX).saturating_mul(2);
        let seed = self.seed.wrapping_mul(1_000).wrapping_add(number);
        self.links.push(Lanes {
            name: name.to_owned(),
            up: Lane::new(seed),
            down: Lane::new(seed.wrapping_add(1)),
        });
        Ok(LinkKey(at))
    }

    /// Makes or changes a link.
    ///
    /// # Errors
    /// There are too many.
    pub fn change(&mut self, now: Instant, change: &Change) -> Result<(), Full> {
        let key = self.link(&change.link)?;
        for heading in [Heading::Up, Heading::Down] {
            if change.heading.is_some_and(|only| only != heading) {
                continue;
            }
            if let Some(lane) = self.lane(key, heading) {
                for setting in &change.settings {
                    lane.set(now, *setting);
                }
            }
        }
        Ok(())
    }

    /// The same, `after` so long.
    ///
    /// # Errors
    /// There are too many links, or too much waits.
    pub fn change_later(
        &mut self,
        now: Instant,
        after: Duration,
        change: Change,
    ) -> Result<(), Full> {
        self.link(&change.link)?;
        if self.later.len() >= LATER_MAX {
            return Err(Full("1,440 changes that wait"));
        }
        self.count += 1;
        self.later.insert((now + after, self.count), change);
        Ok(())
    }

    /// A datagram of `length` payload bytes sets out.
    pub fn send(&mut self, now: Instant, key: LinkKey, heading: Heading, length: usize, what: T) {
        self.change_due(now);
        if let Some(lane) = self.lane(key, heading) {
            lane.send(now, length, what);
        }
    }

    /// What has arrived by `now`, and when it had; all of one lane before the next.
    pub fn poll(&mut self, now: Instant) -> Option<(Instant, T)> {
        self.change_due(now);
        let mut lanes = self.links.iter_mut().flat_map(Lanes::both);
        lanes.find_map(|lane| lane.poll(now))
    }

    /// When to look again, without anything having been sent or told.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        let lanes = self.links.iter().flat_map(|link| [&link.up, &link.down]);
        let soonest = lanes.filter_map(Lane::next_at).min();
        let later = self.later.keys().next().map(|(at, _)| *at);
        [soonest, later].into_iter().flatten().min()
    }

    /// By link: up, down.
    pub fn take_stats(&mut self) -> BTreeMap<String, [LaneStats; 2]> {
        let mut stats = BTreeMap::new();
        for link in &mut self.links {
            let [up, down] = link.both().map(Lane::take_stats);
            stats.insert(link.name.clone(), [up, down]);
        }
        stats
    }

    fn change_due(&mut self, now: Instant) {
        while let Some(entry) = self
            .later
            .first_entry()
            .filter(|first| first.key().0 <= now)
        {
            let ((at, _), change) = entry.remove_entry();
            // Its link was made when it was told.
            let _: Result<(), Full> = self.change(at, &change);
        }
    }

    fn lane(&mut self, key: LinkKey, heading: Heading) -> Option<&mut Lane<T>> {
        let link = self.links.get_mut(key.0)?;
        Some(match heading {
            Heading::Up => &mut link.up,
            Heading::Down => &mut link.down,
        })
    }
}

impl<T> Lanes<T> {
    const fn both(&mut self) -> [&mut Lane<T>; 2] {
        [&mut self.up, &mut self.down]
    }
}

#[cfg(test)]
mod tests {
    use super::order::Order;
    use super::*;

    /// Tells it these lines at the start.
    fn told(lines: &[&str]) -> Emulator<u64> {
        let mut emulator = Emulator::new(7);
        for line in lines {
            let order: Order = line.parse().expect(line);
            let told = if let Order::Change(change) = order {
                emulator.change(Instant::ZERO, &change)
            } else if let Order::Later(after, change) = order {
                emulator.change_later(Instant::ZERO, after, change)
            } else {
                panic!("{order:?}")
            };
            told.expect("few");
        }
        emulator
    }

    /// Sends 1.5 Mb/s down the link for 60 s; bits that arrived in each second.
    fn seconds(emulator: &mut Emulator<u64>) -> Vec<u64> {
        let key = emulator.link("weak").expect("few");
        let mut seconds = vec![0; 61];
        for number in 0..12_000 {
            let now = Instant::from_millis(number * 5);
            emulator.send(now, key, Heading::Down, 938 - lane::HEADERS, number);
            while let Some((at, _)) = emulator.poll(now) {
                let second = usize::try_from(at.as_millis() / 1_000).expect("few");
                seconds[second] += 938 * 8;
            }
        }
        seconds
    }

    #[test]
    fn a_script_of_rates_is_followed() {
        let seconds = seconds(&mut told(&[
            "link weak down rate=2M buffer=250ms delay=25ms",
            "in 20s link weak down rate=0.6M",
            "in 40s link weak down rate=2M",
        ]));
        for (second, bits) in seconds.iter().enumerate().skip(1).take(58) {
            let expected = match second {
                // The queue that is left at the second change passes, too.
                40 | 41 => 1_400_000..=1_850_000,
                20..40 => 590_000..=700_000,
                _ => 1_480_000..=1_520_000,
            };
            assert!(expected.contains(bits), "{second}: {bits}");
        }
    }

    #[test]
    fn directions_have_settings_of_their_own_and_links_do_too() {
        let mut emulator = told(&[
            "link weak up delay=10ms",
            "link weak down delay=40ms",
            "link other cut=on",
        ]);
        let weak = emulator.link("weak").expect("few");
        let other = emulator.link("other").expect("few");
        for heading in [Heading::Up, Heading::Down] {
            emulator.send(Instant::ZERO, other, heading, 100, 9);
        }
        emulator.send(Instant::ZERO, weak, Heading::Down, 100, 1);
        emulator.send(Instant::ZERO, weak, Heading::Up, 100, 2);
        let mut seen = Vec::new();
        while let Some(at) = emulator.next_at() {
            seen.extend(emulator.poll(at).map(|(at, what)| (at.as_millis(), what)));
        }
        assert_eq!(seen, [(10, 2), (40, 1)]);
    }

    #[test]
    fn the_same_seed_loses_the_same_and_another_does_not() {
        let lost = |seed| {
            let mut emulator = Emulator::new(seed);
            let order = "link weak down loss=10% jitter=20ms reorder=2%x30ms".parse();
            let Ok(Order::Change(change)) = order else {
                panic!("{order:?}");
            };
            emulator.change(Instant::ZERO, &change).expect("few");
            let key = emulator.link("weak").expect("few");
            for number in 0..1_000 {
                let now = Instant::from_millis(number);
                emulator.send(now, key, Heading::Down, 500, number);
            }
            let end = Instant::from_millis(10_000);
            std::iter::from_fn(|| emulator.poll(end)).collect::<Vec<_>>()
        };
        assert_eq!(lost(1), lost(1));
        assert_ne!(lost(1), lost(2));
    }

    #[test]
    fn nothing_grows_without_bound() {
        let mut emulator: Emulator<u64> = Emulator::new(1);
        for number in 0..LINKS_MAX {
            emulator.link(&number.to_string()).expect("room for these");
        }
        assert_eq!(emulator.link("more"), Err(Full("64 links")));
        let Ok(Order::Later(after, change)) = "in 1s link 0 cut=on".parse() else {
            panic!("a later change");
        };
        for _ in 0..LATER_MAX {
            let told = emulator.change_later(Instant::ZERO, after, change.clone());
            told.expect("room for these");
        }
        assert!(emulator.change_later(Instant::ZERO, after, change).is_err());
        emulator.poll(Instant::from_millis(1_000));
        assert_eq!(emulator.next_at(), None);
    }
}
