//! What the emulator is told, a line each, and how it reads them.
//!
//! ```text
//! link NAME [up|down] SETTING...     makes a link or changes it; both directions unless said
//! forward NAME link=LINK to=ADDRESS  a port before ADDRESS
//! pair NAME link=LINK                two ports between two browsers
//! close NAME                         of a forward or a pair
//! stats                              what became of the datagrams
//! in DURATION link ...               the same, later
//! ```
//!
//! Settings: `rate=2M` or `none`; `buffer=250ms` or `62500B`; `delay=25ms`; `jitter=30ms`;
//! `loss=10%`; `bursts=5%x5` (of all packets, mean length) or `none`; `reorder=1%x20ms`;
//! `duplicate=1%`; `cut=on`.

use std::net::SocketAddr;

use sfu::time::Duration;

use crate::sim::link::{Bursts, Chance};

/// Letters of a name.
const NAME_MAX: usize = 32;
/// The longest time that makes sense.
const TIME_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A direction: up is from the near end of a link (the weak participant's) to the far one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heading {
    /// Away from the near end.
    Up,
    /// Towards it.
    Down,
}

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// So many bytes.
    Bytes(u64),
    /// So much at the present rate.
    Time(Duration),
}

impl Default for Buffer {
    fn default() -> Self {
        Self::Time(Duration::from_millis(250))
    }
}

/// One thing that is changed about a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Bits per second; none: no limit.
    Rate(Option<u64>),
    /// The queue.
    Buffer(Buffer),
    /// Propagation.
    Delay(Duration),
    /// Up to this much more; order is kept.
    Jitter(Duration),
    /// Each by itself.
    Loss(Chance),
    /// In bursts.
    Bursts(Option<Bursts>),
    /// Some are overtaken.
    Reorder {
        /// How many.
        chance: Chance,
        /// How much later they come.
        by: Duration,
    },
    /// Some arrive twice.
    Duplicate(Chance),
    /// Nothing passes.
    Cut(bool),
}

/// Changes of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub link: String,
    /// One direction, or both.
    pub heading: Option<Heading>,
    /// What changes.
    pub settings: Vec<Setting>,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Makes or changes a link.
    Change(Change),
    /// The same, later.
    Later(Duration, Change),
    /// A port before an address.
    Forward {
        /// Its name.
        name: String,
        /// What lies between.
        link: String,
        /// Behind it.
        to: SocketAddr,
    },
    /// Two ports, each the way to the other's user.
    Pair {
        /// Its name.
        name: String,
        /// What lies between.
        link: String,
    },
    /// No more of it.
    Close(String),
    /// What became of the datagrams.
    Stats,
}

/// Why a line is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Nothing begins so.
    #[error("unknown order: {0}")]
    Unknown(String),
    /// Something is missing, or too much.
    #[error("not understood: {0}")]
    Malformed(String),
}

impl std::str::FromStr for Order {
    type Err = OrderError;

    fn from_str(line: &str) -> Result<Self, OrderError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let malformed = || OrderError::Malformed(line.trim().to_owned());
        match words.as_slice() {
            ["stats"] => Some(Self::Stats),
            ["close", name] => named(name).map(Self::Close),
            ["link", rest @ ..] => change(rest).map(Self::Change),
            ["in", after, "link", rest @ ..] => {
                time(after).and_then(|after| Some(Self::Later(after, change(rest)?)))
            }
            ["forward", name, link, to] => forward(name, link, to),
            ["pair", name, link] => pair(name, link),
            [] => None,
            ["close" | "in" | "forward" | "pair" | "stats", ..] => None,
            [other, ..] => return Err(OrderError::Unknown((*other).to_owned())),
        }
        .ok_or_else(malformed)
    }
}

fn forward(name: &str, link: &str, to: &str) -> Option<Order> {
    Some(Order::Forward {
        name: named(name)?,
        link: named(link.strip_prefix("link=")?)?,
        to: to.strip_prefix("to=")?.parse().ok()?,
    })
}

fn pair(name: &str, link: &str) -> Option<Order> {
    Some(Order::Pair {
        name: named(name)?,
        link: named(link.strip_prefix("link=")?)?,
    })
}

fn named(text: &str) -> Option<String> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let is_name = !text.is_empty() && text.len() <= NAME_MAX && text.chars().all(is_word);
    is_name.then(|| text.to_owned())
}

fn change(words: &[&str]) -> Option<Change> {
    let (name, rest) = words.split_first()?;
    let (heading, rest) = match rest {
        ["up", rest @ ..] => (Some(Heading::Up), rest),
        ["down", rest @ ..] => (Some(Heading::Down), rest),
        rest => (None, rest),
    };
    let settings: Option<Vec<Setting>> = rest.iter().map(|word| setting(word)).collect();
    Some(Change {
        link: named(name)?,
        heading,
        settings: settings?,
    })
}

fn setting(word: &str) -> Option<Setting> {
    let (key, value) = word.split_once('=')?;
    Some(match key {
        "rate" if value == "none" => Setting::Rate(None),
        "rate" => Setting::Rate(Some(rate(value)?)),
        "buffer" => Setting::Buffer(buffer(value)?),
        "delay" => Setting::Delay(time(value)?),
        "jitter" => Setting::Jitter(time(value)?),
        "loss" => Setting::Loss(chance(value)?),
        "bursts" if value == "none" => Setting::Bursts(None),
        "bursts" => Setting::Bursts(Some(bursts(value)?)),
        "reorder" => {
            let (part, by) = value.split_once('x')?;
            let (chance, by) = (chance(part)?, time(by)?);
            Setting::Reorder { chance, by }
        }
        "duplicate" => Setting::Duplicate(chance(value)?),
        "cut" => Setting::Cut(match value {
            "on" => true,
            "off" => false,
            _ => return None,
        }),
        _ => return None,
    })
}

/// `2M`, `600k`, `64000`: 1 kb/s to 4 Gb/s.
fn rate(text: &str) -> Option<u64> {
    let (number, unit) = match text.as_bytes().last()? {
        b'M' => (text.strip_suffix('M')?, 1e6),
        b'k' => (text.strip_suffix('k')?, 1e3),
        _ => (text, 1.0),
    };
    let bits = decimal(number)? * unit;
    (1_000.0..=4e9).contains(&bits).then(|| whole(bits))
}

fn buffer(text: &str) -> Option<Buffer> {
    match text.strip_suffix('B') {
        Some(bytes) => bytes.parse().ok().map(Buffer::Bytes),
        None => time(text).map(Buffer::Time),
    }
}

/// `20ms`, `1.5s`.
fn time(text: &str) -> Option<Duration> {
    let seconds = match text.strip_suffix("ms") {
        Some(millis) => decimal(millis)? / 1e3,
        None => decimal(text.strip_suffix('s')?)?,
    };
    (seconds <= TIME_MAX.as_secs_f64()).then(|| Duration::from_secs_f64(seconds))
}

/// `2.5%`.
fn chance(text: &str) -> Option<Chance> {
    let percent = decimal(text.strip_suffix('%')?)?;
    let millionths = u32::try_from(whole(percent * 10_000.0)).ok()?;
    (percent <= 100.0).then_some(Chance(millionths))
}

/// `5%x4`: 5 % of all packets are lost, four in a burst.
fn bursts(text: &str) -> Option<Bursts> {
    let (part, mean) = text.split_once('x')?;
    let part = decimal(part.strip_suffix('%')?)? / 100.0;
    let mean = decimal(mean)?;
    if mean < 1.0 || part >= 1.0 {
        return None;
    }
    // Gilbert 1960: the bad state has the part begin / (begin + end) of the time, lasts 1 / end.
    let end = 1.0 / mean;
    let begin = (end * part / (1.0 - part)).min(1.0);
    let millionths = |part: f64| u32::try_from(whole(part * 1e6)).ok().map(Chance);
    Some(Bursts {
        begin: millionths(begin)?,
        end: millionths(end)?,
    })
}

/// A number that is none of infinity, NaN, less than nothing.
fn decimal(text: &str) -> Option<f64> {
    let is_plain = text
        .chars()
        .all(|each| each.is_ascii_digit() || each == '.');
    let value: f64 = text.parse().ok().filter(|_| is_plain)?;
    value.is_finite().then_some(value)
}

/// Rounded; callers bound it before.
fn whole(value: f64) -> u64 {
    // A duration counts whole nanoseconds exactly as far as any rate here goes.
    let nanos = Duration::try_from_secs_f64(value.round() / 1e9).unwrap_or_default();
    u64::try_from(nanos.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Option<Order>) {
        assert_eq!(line.parse().ok(), expected, "{line}");
    }

    fn weak(heading: Option<Heading>, settings: &[Setting]) -> Change {
        Change {
            link: "weak".to_owned(),
            heading,
            settings: settings.to_vec(),
        }
    }

    #[test]
    fn lines_are_orders() {
        let millis = Duration::from_millis;
        let name = || "weak".to_owned();
        check("stats", Some(Order::Stats));
        check(" close weak ", Some(Order::Close(name())));
        check(
            "link weak down rate=0.6M buffer=62500B",
            Some(Order::Change(weak(
                Some(Heading::Down),
                &[
                    Setting::Rate(Some(600_000)),
                    Setting::Buffer(Buffer::Bytes(62_500)),
                ],
            ))),
        );
        check(
            "in 20s link weak rate=none buffer=250ms delay=25ms jitter=1.5ms loss=2.5% cut=off",
            Some(Order::Later(
                Duration::from_secs(20),
                weak(
                    None,
                    &[
                        Setting::Rate(None),
                        Setting::Buffer(Buffer::Time(millis(250))),
                        Setting::Delay(millis(25)),
                        Setting::Jitter(Duration::from_micros(1_500)),
                        Setting::Loss(Chance(25_000)),
                        Setting::Cut(false),
                    ],
                ),
            )),
        );
        check(
            "link weak up bursts=20%x4 reorder=1%x20ms duplicate=0.5% bursts=none",
            Some(Order::Change(weak(
                Some(Heading::Up),
                &[
                    Setting::Bursts(Some(Bursts {
                        begin: Chance(62_500),
                        end: Chance(250_000),
                    })),
                    Setting::Reorder {
                        chance: Chance(10_000),
                        by: millis(20),
                    },
                    Setting::Duplicate(Chance(5_000)),
                    Setting::Bursts(None),
                ],
            ))),
        );
        check(
            "forward ada link=weak to=127.0.0.1:7000",
            Some(Order::Forward {
                name: "ada".to_owned(),
                link: name(),
                to: SocketAddr::from(([127, 0, 0, 1], 7_000)),
            }),
        );
        check(
            "pair twin link=weak",
            Some(Order::Pair {
                name: "twin".to_owned(),
                link: name(),
            }),
        );
    }

    #[test]
    fn rates_are_exact() {
        for (text, bits) in [("2M", 2_000_000), ("64k", 64_000), ("1234567", 1_234_567)] {
            assert_eq!(rate(text), Some(bits), "{text}");
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            "link",
            "link weak rate",
            "link weak rate=fast",
            "link weak rate=0",
            "link weak rate=1e9",
            "link weak rate=NaN",
            "link weak rate=inf",
            "link weak loss=101%",
            "link weak loss=-1%",
            "link weak delay=10",
            "link weak delay=90000s",
            "link weak bursts=100%x2",
            "link weak bursts=5%x0.5",
            "link weak colour=blue",
            "link we/ak rate=1M",
            "link aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa rate=1M",
            "link weak cut=maybe",
            "in soon link weak rate=1M",
            "in 1s stats",
            "forward ada link=weak to=nowhere",
            "forward ada to=127.0.0.1:1 link=weak",
            "pair twin",
            "stats please",
            "dance",
        ] {
            check(line, None);
        }
    }
}
