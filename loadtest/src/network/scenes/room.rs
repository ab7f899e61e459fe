//! Rooms: the whole shard, robots that publish, and one who watches behind a link: A8, A16, A17, A18,
//! A20.
//!
//! Those who publish are shown nothing themselves. A scene in which a law is broken has no figures:
//! they are NaN, which is no gate's.

use sfu::limits::HANDSHAKE_TIMEOUT;
use sfu::time::{Duration, Instant};

use super::super::figure::Figure;
use super::super::run::Played;
use crate::media::VideoCodec;
use crate::robot::publication::{Mode, Publication, PublishParameters, Rung};
use crate::robot::reception::Received;
use crate::sim::link::{Bottleneck, Chance, LinkParameters};
use crate::sim::world::{Entrance, World, WorldError};

/// What everybody publishes, by number.
const SOUND: u8 = 0;
pub(super) const PICTURE: u8 = 1;
/// About 150, 500 and 1,500 kb/s by rid at 30 pictures a second, in three temporal layers.
const CAMERA: PublishParameters = PublishParameters::layered(VideoCodec::Vp8, Mode::Simulcast);
/// The same at 15 pictures a second, of about 70, 270 and 800 kb/s: where many publish.
pub(super) const SMALL: PublishParameters = PublishParameters {
    interval: Duration::from_micros(66_667),
    rungs: [
        Rung {
            packets: 1,
            bytes: 600,
        },
        Rung {
            packets: 2,
            bytes: 1_100,
        },
        Rung {
            packets: 6,
            bytes: 1_100,
        },
    ],
    ..CAMERA
};
/// 1.3 Mb/s in one encoding: the robots' stack asks for the last hundred packets only, Chromium for
/// the last thousand. Of more pictures the bench would measure that.
const SINGLE: PublishParameters = PublishParameters {
    packet_bytes: 1_060,
    ..PublishParameters::video(5)
};
/// Sound of 32 kb/s.
pub(super) const VOICE: PublishParameters = PublishParameters {
    packet_bytes: 80,
    ..PublishParameters::audio()
};
/// Each way: the round trip from one to another is twice this on both sides.
const DELAY: Duration = Duration::from_millis(25);

/// How long the one who watches waits for what is missing: Chromium's decoder asks for a key frame
/// after three seconds of nothing, its repairs end after ten requests.
const PATIENCE: Duration = Duration::from_secs(1);

/// A room, and the one who watches.
struct Room {
    world: World,
    viewer: usize,
}

impl Room {
    /// So many publish, the first of them talks; after five seconds somebody comes to watch by a
    /// link of `down`.
    fn open(
        seed: u64,
        (count, camera): (usize, PublishParameters),
        down: LinkParameters,
    ) -> Result<Self, WorldError> {
        let mut world = World::new(seed)?;
        world.set_link(LinkParameters::with_delay(DELAY));
        let room = world.create_room();
        for publisher in 0..count {
            let entrance = Entrance {
                subscribes: false,
                ..Entrance::default()
            };
            let member = world.join_as(room, entrance)?;
            let sound = if publisher == 0 {
                VOICE
            } else {
                PublishParameters::silence()
            };
            world.with_robot(member, |robot, now| {
                robot.publish_all(now, &[sound, camera]);
            })?;
        }
        world.run_for(Duration::from_secs(5));
        let entrance = Entrance {
            takes_copies: true,
            patience: PATIENCE,
            ..Entrance::default()
        };
        let viewer = world.join_as(room, entrance)?;
        world.set_link_down(viewer, down);
        // A browser that only watches offers to receive; a robot of ours answers, once it is known.
        world.with_robot(viewer, |robot, now| {
            robot.publish(now, PublishParameters::silence())
        })?;
        Ok(Self { world, viewer })
    }

    fn received(&self, of: usize, track: u8) -> Received {
        let robot = self.world.robot(self.viewer);
        let source = u32::try_from(of).ok().map(|of| (of, track));
        let sources = robot.map(|it| it.receiver().sources());
        let found = source.and_then(|source| sources?.get(&source));
        found.cloned().unwrap_or_default()
    }

    fn last_decoded(&self) -> Option<Instant> {
        self.received(0, PICTURE).last_decoded_at
    }

    /// Until the viewer's transport is up: what was made before counts for nobody. Where the path loses
    /// much a robot's handshake may take long, since its library repeats a flight after 1, 2, 4 and 8 s
    /// (a browser begins with 50 ms).
    fn wait_for_transport(&mut self) {
        let until = self.world.now() + HANDSHAKE_TIMEOUT;
        let is_up = |world: &World| {
            let viewer = world.robot(self.viewer);
            viewer.is_some_and(|robot| robot.connected_at().is_some())
        };
        while !is_up(&self.world) && self.world.now() < until {
            self.world.run_for(Duration::from_millis(100));
        }
    }

    /// Lets so much time pass; the longest meanwhile between two pictures of the first publisher.
    fn longest_gap(&mut self, lasts: Duration) -> Duration {
        let until = self.world.now() + lasts;
        let (mut last, mut longest) = (self.last_decoded(), Duration::ZERO);
        while self.world.now() < until {
            self.world.run_for(Duration::from_millis(5));
            let now = self.last_decoded();
            let upto = now.unwrap_or_else(|| self.world.now());
            longest = longest.max(last.map_or(Duration::ZERO, |last| upto.since(last)));
            let stands = now.map_or(Duration::ZERO, |now| self.world.now().since(now));
            longest = longest.max(stands);
            last = now;
        }
        longest
    }

    fn with_picture(
        &mut self,
        of: usize,
        act: impl FnOnce(&mut Publication),
    ) -> Result<(), WorldError> {
        self.world.with_robot(of, |robot, _| {
            robot.publication_mut(PICTURE).map(act);
        })
    }

    /// Whether the first publisher's picture is given, as the viewer is told.
    fn gives_first(&self) -> bool {
        let tracks = self.world.tracks().values();
        let mut firsts = tracks.filter(|it| it.member == 0).map(|it| it.facts.track);
        let given = self.world.given(self.viewer);
        firsts.any(|track| {
            given.is_some_and(|it| {
                let mut subscriptions = it.subscriptions.iter();
                subscriptions.any(|it| it.track == track && it.layer.is_some())
            })
        })
    }

    /// The figure, unless a law was broken.
    fn end(mut self, figures: Vec<f64>) -> Vec<f64> {
        self.world.end();
        let holds = self.world.violations().is_empty();
        let judged = |value| if holds { value } else { f64::NAN };
        figures.into_iter().map(judged).collect()
    }
}

/// A link that carries so much, with a queue of so many bytes.
pub(super) fn narrow(bits_per_second: f64, queue_bytes: u64) -> LinkParameters {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate"
    )]
    let bits_per_second = bits_per_second as u64;
    LinkParameters {
        bottleneck: Some(Bottleneck {
            bits_per_second,
            queue_bytes,
        }),
        ..LinkParameters::with_delay(DELAY)
    }
}

/// There is no link to draw.
pub(super) fn told(figures: Vec<Figure>) -> (Vec<Figure>, Played) {
    let played = Played {
        samples: Vec::new(),
        flows: Vec::new(),
    };
    (figures, played)
}

/// The value at a place, NaN where the scene could not be played.
pub(super) fn value(values: &Result<Vec<f64>, WorldError>, place: usize) -> f64 {
    let found = values.as_ref().ok().and_then(|values| values.get(place));
    found.copied().unwrap_or(f64::NAN)
}

/// What is missing for good of a publication's frames, of a hundred, from one moment to the end.
/// What was not whole yet at that moment and is later makes up for as much.
fn missing(before: &Received, after: &Received) -> f64 {
    let newest = |it: &Received| f64::from(it.span.map_or(0, |(_, newest)| newest));
    let wanted = newest(after) - newest(before);
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let whole = (after.whole - before.whole) as f64;
    (wanted - whole).max(0.0) / wanted * 100.0
}

pub(super) fn loss(
    seed: u64,
    percent: u32,
    what: [&'static str; 2],
    gates: [(f64, f64); 2],
) -> (Vec<Figure>, Played) {
    let play = || -> Result<Vec<f64>, WorldError> {
        let down = LinkParameters {
            loss: Chance::percent(percent),
            ..narrow(5e6, 156_250)
        };
        let mut room = Room::open(seed, (1, SINGLE), down)?;
        room.wait_for_transport();
        // Copies come when it is known that the path loses.
        room.world.run_for(Duration::from_secs(10));
        let tracks = [PICTURE, SOUND];
        let before = tracks.map(|track| room.received(0, track));
        room.world.run_for(Duration::from_secs(60));
        // Nothing more is made; what is on its way arrives.
        room.world.with_robot(0, |robot, _| robot.fall_silent())?;
        room.world.run_for(Duration::from_secs(2));
        let after = tracks.map(|track| room.received(0, track));
        let pairs = before.iter().zip(&after);
        let figures = pairs.map(|(before, after)| missing(before, after));
        Ok(room.end(figures.collect()))
    };
    let values = play();
    let [pictures, sound] = what;
    let [of_pictures, of_sound] = gates;
    told(vec![
        Figure::less("A8", pictures, of_pictures, value(&values, 0)),
        Figure::less("A8", sound, of_sound, value(&values, 1)),
    ])
}

pub(super) fn layer_stops(seed: u64) -> (Vec<Figure>, Played) {
    let play = || -> Result<Vec<f64>, WorldError> {
        let mut room = Room::open(seed, (1, CAMERA), narrow(5e6, 156_250))?;
        room.world.run_for(Duration::from_secs(8));
        room.with_picture(0, |picture| picture.set_sent(2, false))?;
        let gap = room.longest_gap(Duration::from_secs(5));
        Ok(room.end(vec![gap.as_secs_f64() * 1e3]))
    };
    let values = play();
    told(vec![Figure::less(
        "A16",
        "best rung stops: longest gap of pictures, ms",
        (500.0, 250.0),
        value(&values, 0),
    )])
}

pub(super) fn halves(seed: u64) -> (Vec<Figure>, Played) {
    let play = || -> Result<Vec<f64>, WorldError> {
        let mut room = Room::open(seed, (1, CAMERA), narrow(2e6, 62_500))?;
        room.world.run_for(Duration::from_secs(10));
        let viewer = room.viewer;
        room.world.set_link_down(viewer, narrow(1e6, 62_500));
        let gap = room.longest_gap(Duration::from_secs(10));
        Ok(room.end(vec![gap.as_secs_f64() * 1e3]))
    };
    let values = play();
    told(vec![Figure::less(
        "A16",
        "2 to 1 Mb/s: longest gap of pictures, ms",
        (500.0, 250.0),
        value(&values, 0),
    )])
}

pub(super) fn shrinks(seed: u64) -> (Vec<Figure>, Played) {
    const PUBLISHERS: usize = 25;
    const STEP: Duration = Duration::from_secs(12);
    let play = || -> Result<Vec<f64>, WorldError> {
        let mut room = Room::open(seed, (PUBLISHERS, SMALL), narrow(8e6, 250_000))?;
        let viewer = room.viewer;
        room.world.run_for(Duration::from_secs(15));
        let shown = |room: &Room| -> Vec<usize> {
            let pictures = (0..PUBLISHERS).map(|of| room.received(of, PICTURE).shown.len());
            pictures.collect()
        };
        let before = shown(&room);
        let mut paused = Duration::ZERO;
        let steps = [6e6, 4.5e6, 3.2e6, 2.2e6, 1.5e6];
        for rate in steps {
            room.world.set_link_down(viewer, narrow(rate, 250_000));
            let until = room.world.now() + STEP;
            while room.world.now() < until {
                room.world.run_for(Duration::from_millis(100));
                if !room.gives_first() {
                    paused += Duration::from_millis(100);
                }
            }
        }
        let changes = before.iter().zip(shown(&room)).map(|(was, is)| is - was);
        let most = changes.max().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let a_minute = most as f64 * 60.0 / (STEP.as_secs_f64() * steps.len() as f64);
        Ok(room.end(vec![paused.as_secs_f64(), a_minute]))
    };
    let values = play();
    told(vec![
        Figure::less(
            "A17",
            "25 pictures, 8 to 1.5 Mb/s: speaker paused, s",
            (0.0, 0.0),
            value(&values, 0),
        ),
        Figure::less(
            "A17",
            "same: switches a minute, of the worst track",
            (4.0, 2.0),
            value(&values, 1),
        ),
    ])
}

pub(super) fn trembles(seed: u64) -> (Vec<Figure>, Played) {
    /// What the largest needs, with all that is paid before pictures.
    const BOUNDARY: f64 = 1.78e6;
    const SECONDS: u32 = 300;
    let play = || -> Result<Vec<f64>, WorldError> {
        let mut room = Room::open(seed, (1, CAMERA), narrow(BOUNDARY, 62_500))?;
        let viewer = room.viewer;
        let mut random = fastrand::Rng::with_seed(seed);
        room.world.run_for(Duration::from_secs(20));
        let before = room.received(0, PICTURE).shown.len();
        for _ in 0..SECONDS {
            let part = 0.9 + 0.2 * random.f64();
            let link = narrow(BOUNDARY * part, 62_500);
            room.world.set_link_down(viewer, link);
            room.world.run_for(Duration::from_secs(1));
        }
        let flips = room.received(0, PICTURE).shown.len() - before;
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let a_minute = flips as f64 * 60.0 / f64::from(SECONDS);
        Ok(room.end(vec![a_minute]))
    };
    let values = play();
    told(vec![Figure::less(
        "A18",
        "a path of +-10 % at a boundary: flips a minute",
        (1.0, 0.0),
        value(&values, 0),
    )])
}

pub(super) fn newcomer(seed: u64) -> (Vec<Figure>, Played) {
    let play = || -> Result<Vec<f64>, WorldError> {
        let mut room = Room::open(seed, (9, CAMERA), narrow(0.3e6, 62_500))?;
        let viewer = room.viewer;
        room.world.take_waited(viewer);
        room.world.run_for(Duration::from_secs(5));
        let waited = room.world.take_waited(viewer).as_secs_f64() * 1e3;
        let gap = room.received(0, SOUND).freeze_max.as_secs_f64() * 1e3;
        let is_heard = room.received(0, SOUND).frames > 100;
        let gap = if is_heard { gap } else { f64::NAN };
        Ok(room.end(vec![waited, gap]))
    };
    let values = play();
    told(vec![
        Figure::less(
            "A20",
            "300 kb/s, 9 x 1.5 Mb/s: worst queue, ms",
            (400.0, 200.0),
            value(&values, 0),
        ),
        Figure::less(
            "A20",
            "same: longest gap of sound, ms",
            (100.0, 100.0),
            value(&values, 1),
        ),
    ])
}
