//! A23: six people who see each other, two of them by narrow ways, with publishers that send all
//! sizes of their pictures all the time, and with such that send what they are asked for.

use sfu::time::Duration;

use super::super::figure::Figure;
use super::super::run::Played;
use super::room::{PICTURE, SMALL, VOICE, narrow, told, value};
use crate::robot::Robot;
use crate::robot::publication::{PublishParameters, RIDS};
use crate::robot::reception::Received;
use crate::sim::link::LinkParameters;
use crate::sim::world::{Entrance, World, WorldError};

const PEOPLE: usize = 6;
/// Those behind narrow ways, who come last; in b/s, before and after the fall.
const NARROW: [(usize, [f64; 3]); 2] = [(4, [0.35e6; 3]), (5, [1.5e6, 0.4e6, 1.5e6])];
/// How long each part of it lasts.
const PART: Duration = Duration::from_secs(20);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);
/// A picture that stands for longer is frozen.
const STANDS: Duration = Duration::from_millis(500);
/// Where pictures stand for less than a third of a percent of the time, that third counts, in seconds:
/// there is nothing to be saved.
const STANDS_LITTLE: f64 = 2.0;

/// What is read off one conference.
#[derive(Clone, Copy, Debug, Default)]
struct Conference {
    /// Seconds that pictures of the narrow ones stand, given or not.
    stands: f64,
    /// Mbit that were sent and shown by nobody.
    wasted: f64,
    /// Changes a minute of what one with a wide way is shown of a track: of the worst.
    flips: f64,
    /// The same of those with a narrow one.
    switches: f64,
}

fn received(world: &World, viewer: usize, of: usize) -> Option<&Received> {
    let of = u32::try_from(of).ok()?;
    let receiver = world.robot(viewer)?.receiver();
    receiver.sources().get(&(of, PICTURE))
}

/// Bits a second of a size.
#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn rate(encoding: usize) -> f64 {
    let rung = SMALL.rungs.get(encoding);
    rung.map_or(0.0, |it| {
        f64::from(it.packets) * it.bytes as f64 * 8.0 / SMALL.interval.as_secs_f64()
    })
}

/// Whether a picture stands before a viewer.
fn stands(world: &World, viewer: usize, of: usize) -> bool {
    let last = received(world, viewer, of).and_then(|it| it.last_decoded_at);
    last.is_none_or(|at| world.now().since(at) > STANDS)
}

/// Which encodings of a picture are sent, and seen by nobody.
fn idle(world: &World, of: usize) -> impl Iterator<Item = usize> {
    let viewers = (0..PEOPLE).filter(|viewer| *viewer != of && !stands(world, *viewer, of));
    let shown = viewers.filter_map(|viewer| received(world, viewer, of)?.shown.last());
    let shown: Vec<u8> = shown.map(|it| it.encoding).collect();
    let publications = world.robot(of).map(Robot::publications);
    let picture = publications.and_then(|all| all.get(usize::from(PICTURE)));
    let encodings = (0..).take(RIDS.len());
    let sent = encodings.filter(move |it| picture.is_some_and(|picture| picture.is_sent(*it)));
    sent.filter(move |it| !shown.contains(it)).map(usize::from)
}

impl Conference {
    fn look(&mut self, world: &World) {
        let seconds = LOOK.as_secs_f64();
        let idle = (0..PEOPLE).flat_map(|of| idle(world, of));
        self.wasted += idle.map(rate).sum::<f64>() * seconds / 1e6;
        let narrow = views().filter(|it| is_narrow(it.0));
        let standing = narrow.filter(|&(viewer, of)| stands(world, viewer, of));
        self.stands += standing.map(|_| seconds).sum::<f64>();
    }
}

fn is_narrow(viewer: usize) -> bool {
    NARROW.iter().any(|it| it.0 == viewer)
}

/// Everybody with those it sees.
fn views() -> impl Iterator<Item = (usize, usize)> {
    let pairs = (0..PEOPLE).flat_map(|viewer| (0..PEOPLE).map(move |of| (viewer, of)));
    pairs.filter(|(viewer, of)| viewer != of)
}

/// All of them are there; the first one talks.
fn enter(world: &mut World, obeys: bool) -> Result<(), WorldError> {
    world.set_link(LinkParameters::with_delay(Duration::from_millis(25)));
    let room = world.create_room();
    for person in 0..PEOPLE {
        let entrance = Entrance {
            obeys,
            ..Entrance::default()
        };
        let member = world.join_as(room, entrance)?;
        if let Some((_, [rate, ..])) = NARROW.iter().find(|it| it.0 == member) {
            world.set_link_down(member, narrow(*rate, 62_500));
        }
        let sound = if person == 0 {
            VOICE
        } else {
            PublishParameters::silence()
        };
        world.with_robot(member, |robot, now| {
            robot.publish_all(now, &[sound, SMALL]);
        })?;
    }
    Ok(())
}

/// How often what everybody is shown of everybody has changed, as `views` has them.
fn shown(world: &World) -> Vec<usize> {
    let shown = views().map(|(viewer, of)| received(world, viewer, of));
    shown.map(|it| it.map_or(0, |it| it.shown.len())).collect()
}

/// The most changes a minute of one picture before the viewers that are meant.
#[expect(clippy::cast_precision_loss, reason = "a few")]
fn worst(changes: &[((usize, usize), usize)], is_meant: impl Fn(usize) -> bool) -> f64 {
    let meant = changes.iter().filter(|it| is_meant(it.0.0));
    let most = meant.map(|it| it.1).max().unwrap_or_default();
    most as f64 * 60.0 / (3.0 * PART.as_secs_f64())
}

/// What is seen of one; none: a law was broken in it.
fn confer(seed: u64, obeys: bool) -> Result<Option<Conference>, WorldError> {
    let mut world = World::new(seed)?;
    enter(&mut world, obeys)?;
    // What nobody wants is no longer sent by then.
    world.run_for(Duration::from_secs(15));
    let mut seen = Conference::default();
    let before = shown(&world);
    for part in 0..3 {
        for (viewer, rates) in NARROW {
            if let Some(rate) = rates.get(part) {
                world.set_link_down(viewer, narrow(*rate, 62_500));
            }
        }
        let until = world.now() + PART;
        while world.now() < until {
            world.run_for(LOOK);
            seen.look(&world);
        }
    }
    let changes = before.iter().zip(shown(&world)).map(|(was, is)| is - was);
    let changes: Vec<_> = views().zip(changes).collect();
    seen.flips = worst(&changes, |viewer| !is_narrow(viewer));
    seen.switches = worst(&changes, is_narrow);
    world.end();
    Ok(world.violations().is_empty().then_some(seen))
}

pub(super) fn conference(seed: u64) -> (Vec<Figure>, Played) {
    let play = || -> Result<Vec<f64>, WorldError> {
        let Some((all, asked)) = confer(seed, false)?.zip(confer(seed, true)?) else {
            return Ok(Vec::new());
        };
        let part = |of: f64, least: f64, is: f64| is / of.max(least) * 100.0;
        Ok(vec![
            part(all.stands, STANDS_LITTLE, asked.stands),
            100.0 - part(all.wasted, 0.0, asked.wasted),
            asked.flips,
            asked.switches,
        ])
    };
    let values = play();
    told(vec![
        Figure::less(
            "A23",
            "only what is asked for: time that pictures stand, % of before",
            (75.0, 65.0),
            value(&values, 0),
        ),
        Figure::more(
            "A23",
            "same: less is sent that nobody is shown, %",
            (30.0, 50.0, 100.0),
            value(&values, 1),
        ),
        Figure::less(
            "A18",
            "same: flips a minute of what the other four see",
            (1.0, 0.0),
            value(&values, 2),
        ),
        Figure::less(
            "A17",
            "same: switches a minute of what the two narrow ones see",
            (4.0, 2.0),
            value(&values, 3),
        ),
    ])
}
