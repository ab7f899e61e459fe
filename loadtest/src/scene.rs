//! A script: who joins, publishes, leaves and suffers, and when. One line for each step:
//!
//! ```text
//! 0ms     link delay=50ms jitter=5ms loss=5%    # of those who join from now on
//! 0ms     ada joins r1
//! 10ms    ada publishes audio
//! 10ms    ada publishes video=2 receives        # packets of a frame; a sendrecv m-line
//! 10ms    bob publishes layered=svc             # or vp8 vp9 h264 av1 svc-key
//! 500ms   bob joins r1
//! 2s      ada unpublishes 0                     # her first publication
//! 3s      bob rebinds                           # his NAT forgets
//! 3s      bob restarts                          # ICE, by his own offer
//! 4s      bob is cut
//! 5s      bob is mended
//! 6s      ada mutes 1                           # by the server; unmutes
//! 7s      bob pauses ada                        # all her tracks; resumes, refuses, wants
//! 7s      bob wishes ada 360                    # lines from top to bottom; 0: the largest
//! 8s      ada says goodbye                      # or: ada dies, ada closes, ada is removed
//! 9s      end
//! ```
//!
//! What comes after `#` is a comment. A scene reads what it writes.

use std::collections::BTreeMap;
use std::fmt;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sfu::id::RoomId;
use sfu::shard::Command;
use sfu::shard::command::Wish;
use sfu::shard::stats::Drops;
use sfu::time::{Duration, Instant};
use sfu::units::MediaKind;

use crate::media::VideoCodec;
use crate::robot::publication::{Mode, PublishParameters};
use crate::sim::checks::Violation;
use crate::sim::link::{Bursts, Chance, LinkParameters};
use crate::sim::world::{Farewell, World, WorldError};

/// How pictures are coded, and in what layers.
type Form = (VideoCodec, Mode);

/// Forms of layered pictures, as scenes call them.
const FORMS: [(&str, Form); 6] = [
    ("vp8", (VideoCodec::Vp8, Mode::Simulcast)),
    ("vp9", (VideoCodec::Vp9, Mode::Simulcast)),
    ("h264", (VideoCodec::H264, Mode::Simulcast)),
    ("av1", (VideoCodec::Av1, Mode::Simulcast)),
    ("svc", (VideoCodec::Vp9, Mode::Svc)),
    ("svc-key", (VideoCodec::Vp9, Mode::SvcKey)),
];

/// Lines of a scene.
const LINES_MAX: usize = 10_000;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The links of those who join from now on.
    Link(LinkParameters),
    /// Enters a room, which is made where it is not there yet.
    Joins(String),
    /// Publishes a track.
    Publishes(PublishParameters),
    /// Takes one back, by its number.
    Unpublishes(u8),
    /// Its NAT forgets.
    Rebinds,
    /// Offers new ICE credentials.
    Restarts,
    /// Loses everything, or no more.
    Cut(bool),
    /// One of its tracks is muted by the server, or no more.
    Muted(u8, bool),
    /// Wishes about all tracks of another: (wanted, paused).
    Wishes(String, bool, bool),
    /// Wishes all tracks of another at this height; 0: the largest.
    Sizes(String, u16),
    /// Leaves.
    Leaves(Farewell),
    /// It is over.
    End,
}

/// When, who, what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the scene began.
    pub at: Instant,
    /// Empty where nobody in particular.
    pub who: String,
    /// What.
    pub act: Act,
}

/// A script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// In the order of time.
    pub steps: Vec<Step>,
}

/// A line that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct SceneError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// A scene that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A law did not hold; and what the shard has dropped until then.
    #[error("{0}\n{1}")]
    Law(Violation, String),
    /// A robot's stack would not take what it was sent.
    #[error("robot {0} gave up: {1}")]
    Robot(usize, String),
    /// A refused command, where none should be.
    #[error("the shard refused: {0}")]
    Refused(String),
    /// The world could not be driven.
    #[error("{0}")]
    World(#[from] WorldError),
}

impl Scene {
    /// Reads a script.
    ///
    /// # Errors
    /// The first line that says nothing.
    pub fn parse(text: &str) -> Result<Self, SceneError> {
        let mut steps = Vec::new();
        for (index, line) in text.lines().enumerate().take(LINES_MAX) {
            let line_number = index + 1;
            let line = line.split('#').next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            let step = parse_step(&words).ok_or_else(|| SceneError {
                line: line_number,
                why: format!("not understood: {}", line.trim()),
            })?;
            steps.push(step);
        }
        steps.sort_by_key(|step: &Step| step.at);
        Ok(Self { steps })
    }

    /// A scene that follows from a seed: some rooms, some people, links good and bad, and
    /// everything that can be done.
    #[must_use]
    pub fn random(seed: u64) -> Self {
        Dice {
            chance: ChaCha8Rng::seed_from_u64(seed),
            steps: Vec::new(),
        }
        .scene()
    }

    /// Plays it in a new world.
    ///
    /// # Errors
    /// What went wrong first.
    pub fn play(&self, seed: u64) -> Result<World, Failure> {
        let mut stage = Stage {
            world: World::new(seed)?,
            rooms: BTreeMap::new(),
            people: BTreeMap::new(),
        };
        for step in &self.steps {
            let wait = step.at.since(stage.world.now());
            stage.world.run_for(wait);
            stage.act(step)?;
        }
        stage.world.end();
        stage.check()?;
        Ok(stage.world)
    }

    /// The smallest scene that still fails with this seed, by leaving out step after step.
    #[must_use]
    pub fn minimal(&self, seed: u64) -> Self {
        let mut scene = self.clone();
        let mut size = scene.steps.len() / 2;
        while size > 0 {
            let mut start = 0;
            while start < scene.steps.len() {
                let end = (start + size).min(scene.steps.len());
                let mut fewer = scene.clone();
                fewer.steps.drain(start..end);
                if fewer.play(seed).is_err() {
                    scene = fewer;
                } else {
                    start = end;
                }
            }
            size /= 2;
        }
        scene
    }
}

/// A world with the names that a scene calls things by.
struct Stage {
    world: World,
    rooms: BTreeMap<String, RoomId>,
    people: BTreeMap<String, usize>,
}

impl Stage {
    fn act(&mut self, step: &Step) -> Result<(), Failure> {
        let world = &mut self.world;
        if let Act::Link(link) = &step.act {
            world.set_link(*link);
            return Ok(());
        }
        if let Act::Joins(room) = &step.act {
            let room = *self
                .rooms
                .entry(room.clone())
                .or_insert_with(|| world.create_room());
            let member = world.join(room)?;
            self.people.insert(step.who.clone(), member);
            return Ok(());
        }
        let Some(&member) = self.people.get(&step.who) else {
            return Ok(());
        };
        if world.left(member).is_some() {
            return Ok(());
        }
        match &step.act {
            Act::Link(_) | Act::Joins(_) | Act::End => {}
            Act::Publishes(it) => {
                world.with_robot(member, |robot, now| robot.publish(now, *it))?;
            }
            Act::Unpublishes(track) => {
                world.with_robot(member, |robot, now| robot.unpublish(now, *track))?;
            }
            Act::Rebinds => world.rebind(member),
            Act::Restarts => world.with_robot(member, |robot, now| robot.restart_ice(now))?,
            Act::Cut(cut) => world.set_cut(member, *cut),
            Act::Muted(track, muted) => self.mute(member, *track, *muted),
            Act::Wishes(whom, wanted, paused) => self.wish(member, whom, (*wanted, *paused, 0)),
            Act::Sizes(whom, height) => self.wish(member, whom, (true, false, *height)),
            Act::Leaves(how) => world.leave(member, *how),
        }
        Ok(())
    }

    /// The server mutes a member's track, known by the publisher's m-line.
    fn mute(&mut self, member: usize, track: u8, muted: bool) {
        let Some((room, _)) = self.world.names(member) else {
            return;
        };
        let mid = self
            .world
            .robot(member)
            .and_then(|it| it.publications().get(usize::from(track)));
        let Some(mid) = mid.and_then(|it| it.mid()).map(|it| it.to_string()) else {
            return;
        };
        let mut tracks = self.world.tracks().values();
        let ours = tracks.find(|it| it.member == member && it.facts.mid.as_str() == mid.trim());
        if let Some(track) = ours.map(|it| it.facts.track) {
            let command = Command::SetTrackMuted { room, track, muted };
            drop(self.world.command(command));
        }
    }

    fn wish(&mut self, member: usize, whom: &str, wish: (bool, bool, u16)) {
        let (Some((room, participant)), Some(&whom)) =
            (self.world.names(member), self.people.get(whom))
        else {
            return;
        };
        let theirs = self.world.tracks().values().filter(|it| it.member == whom);
        let wishes = theirs
            .map(|it| Wish {
                track: it.facts.track,
                wanted: wish.0,
                paused: wish.1,
                priority: 128,
                height: wish.2,
                pinned: false,
            })
            .collect();
        let command = Command::UpdateSubscriptions {
            room,
            participant,
            subscribe_all: None,
            audio_slots: None,
            wishes,
        };
        drop(self.world.command(command));
    }

    /// What did not get through the shard, by reason.
    fn drops(&self) -> String {
        let stats = self.world.shard().stats();
        let some = |drops: &Drops| {
            let reasons = drops.iter().filter(|(_, count)| *count > 0);
            let reasons = reasons.map(|(reason, count)| format!("{} {count}", reason.as_str()));
            reasons.collect::<Vec<_>>().join(", ")
        };
        format!(
            "datagrams dropped: {}; tickets dropped: {}",
            some(&stats.dropped),
            some(&stats.tickets_dropped)
        )
    }

    fn check(&self) -> Result<(), Failure> {
        if let Some(violation) = self.world.violations().first() {
            return Err(Failure::Law(violation.clone(), self.drops()));
        }
        for member in 0..self.world.members() {
            if let Some(why) = self.world.robot(member).and_then(|it| it.failure()) {
                return Err(Failure::Robot(member, why.to_owned()));
            }
        }
        // A signal on its way while its sender leaves finds nobody; anything else is refused wrongly.
        let wrongly = self
            .world
            .refusals()
            .iter()
            .find(|(member, _)| self.world.left(*member).is_none());
        wrongly.map_or(Ok(()), |(member, error)| {
            Err(Failure::Refused(format!("robot {member}: {error}")))
        })
    }
}

/// Draws a scene.
struct Dice {
    chance: ChaCha8Rng,
    steps: Vec<Step>,
}

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.chance.next_u32() % bound.max(1)
    }

    fn add(&mut self, at: u32, who: &str, act: Act) {
        let at = Instant::from_millis(u64::from(at));
        self.steps.push(Step {
            at,
            who: who.to_owned(),
            act,
        });
    }

    fn scene(mut self) -> Scene {
        let people = 2 + self.below(5);
        let rooms = 1 + self.below(2);
        let length = 6_000;
        for number in 0..people {
            let who = format!("p{number}");
            let link = self.link();
            let room = format!("r{}", self.below(rooms));
            let at = self.below(2_000);
            self.add(at, "", Act::Link(link));
            self.add(at, &who, Act::Joins(room));
            self.publications(at, &who);
            for _ in 0..self.below(4) {
                let when = at + 500 + self.below(length - 2_000);
                self.trouble(when, (&who, people));
            }
            if self.below(3) == 0 {
                let farewells = [
                    Farewell::Says,
                    Farewell::Closes,
                    Farewell::Dies,
                    Farewell::Removed,
                ];
                let how = farewells
                    .get(self.below(4) as usize)
                    .copied()
                    .unwrap_or(Farewell::Says);
                let when = at + 1_500 + self.below(length - 3_500);
                self.add(when, &who, Act::Leaves(how));
            }
        }
        self.add(length, "", Act::End);
        self.steps.sort_by_key(|step| step.at);
        Scene { steps: self.steps }
    }

    fn publications(&mut self, at: u32, who: &str) {
        let receives = self.below(3) == 0;
        if self.below(4) > 0 {
            let audio = PublishParameters {
                receives,
                ..PublishParameters::audio()
            };
            self.add(at, who, Act::Publishes(audio));
        }
        if self.below(4) > 0 {
            let packets = u16::try_from(1 + self.below(4)).unwrap_or(1);
            let later = at + self.below(2) * self.below(1_500);
            // A third of all pictures come in several sizes and layers.
            let form = FORMS.get(self.below(3 * 6) as usize);
            let pictures = match form {
                Some((_, (codec, mode))) => PublishParameters::layered(*codec, *mode),
                None => PublishParameters::video(packets),
            };
            let video = PublishParameters {
                receives,
                ..pictures
            };
            self.add(later, who, Act::Publishes(video));
        }
    }

    fn trouble(&mut self, at: u32, who: (&str, u32)) {
        let (who, people) = who;
        match self.below(8) {
            0 => self.add(at, who, Act::Rebinds),
            1 => self.add(at, who, Act::Restarts),
            2 => {
                let cut = 100 + self.below(1_500);
                self.add(at, who, Act::Cut(true));
                self.add(at + cut, who, Act::Cut(false));
            }
            3 => {
                let track = u8::try_from(self.below(2)).unwrap_or(0);
                self.add(at, who, Act::Unpublishes(track));
            }
            4 => {
                let track = u8::try_from(self.below(2)).unwrap_or(0);
                let muted = self.below(1_000);
                self.add(at, who, Act::Muted(track, true));
                self.add(at + muted, who, Act::Muted(track, false));
            }
            5 => {
                let whom = format!("p{}", self.below(people));
                let heights = [180, 360, 0];
                let height = heights.get(self.below(3) as usize).copied();
                self.add(at, who, Act::Sizes(whom, height.unwrap_or_default()));
            }
            6 => {
                let whom = format!("p{}", self.below(people));
                let paused = self.below(1_000);
                self.add(at, who, Act::Wishes(whom.clone(), true, true));
                self.add(at + paused, who, Act::Wishes(whom, true, false));
            }
            _ => {
                let whom = format!("p{}", self.below(people));
                let refused = self.below(1_000);
                self.add(at, who, Act::Wishes(whom.clone(), false, false));
                self.add(at + refused, who, Act::Wishes(whom, true, false));
            }
        }
    }

    fn link(&mut self) -> LinkParameters {
        let delay = Duration::from_millis(u64::from(1 + self.below(120)));
        let clean = LinkParameters::with_delay(delay);
        let jitter = Duration::from_millis(u64::from(self.below(30)));
        match self.below(4) {
            0 => clean,
            1 => LinkParameters {
                jitter,
                loss: Chance::percent(self.below(10)),
                ..clean
            },
            2 => LinkParameters {
                jitter,
                reorder: Chance::percent(self.below(5)),
                reorder_by: Duration::from_millis(u64::from(self.below(60))),
                duplicate: Chance::percent(self.below(5)),
                ..clean
            },
            _ => LinkParameters {
                bursts: Some(Bursts {
                    begin: Chance(self.below(10_000)),
                    end: Chance::percent(25),
                }),
                ..clean
            },
        }
    }
}

fn parse_step(words: &[&str]) -> Option<Step> {
    let (at, rest) = words.split_first()?;
    let at = Instant::ZERO + parse_duration(at)?;
    let (who, act) = match rest {
        ["end"] => ("", Act::End),
        ["link", parts @ ..] => ("", Act::Link(parse_link(parts)?)),
        [who, act @ ..] => (*who, parse_act(act)?),
        [] => return None,
    };
    Some(Step {
        at,
        who: who.to_owned(),
        act,
    })
}

fn parse_act(words: &[&str]) -> Option<Act> {
    let track = |text: &str| text.parse().ok();
    let wish = |whom: &str, wanted, paused| Act::Wishes(whom.to_owned(), wanted, paused);
    Some(match words {
        ["joins", room] => Act::Joins((*room).to_owned()),
        ["publishes", what, rest @ ..] => Act::Publishes(parse_publication(what, rest)?),
        ["unpublishes", number] => Act::Unpublishes(track(number)?),
        ["rebinds"] => Act::Rebinds,
        ["restarts"] => Act::Restarts,
        ["is", "cut"] => Act::Cut(true),
        ["is", "mended"] => Act::Cut(false),
        ["mutes", number] => Act::Muted(track(number)?, true),
        ["unmutes", number] => Act::Muted(track(number)?, false),
        ["pauses", whom] => wish(whom, true, true),
        ["resumes" | "wants", whom] => wish(whom, true, false),
        ["refuses", whom] => wish(whom, false, false),
        ["wishes", whom, height] => Act::Sizes((*whom).to_owned(), height.parse().ok()?),
        ["says", "goodbye"] => Act::Leaves(Farewell::Says),
        ["closes"] => Act::Leaves(Farewell::Closes),
        ["dies"] => Act::Leaves(Farewell::Dies),
        ["is", "removed"] => Act::Leaves(Farewell::Removed),
        _ => return None,
    })
}

fn parse_publication(what: &str, rest: &[&str]) -> Option<PublishParameters> {
    let receives = match rest {
        [] => false,
        ["receives"] => true,
        _ => return None,
    };
    let parameters = match what.split_once('=') {
        None if what == "audio" => PublishParameters::audio(),
        Some(("video", packets)) => PublishParameters::video(packets.parse().ok()?),
        Some(("layered", form)) => {
            let (_, form) = FORMS.into_iter().find(|(name, _)| *name == form)?;
            PublishParameters::layered(form.0, form.1)
        }
        _ => return None,
    };
    Some(PublishParameters {
        receives,
        ..parameters
    })
}

fn parse_link(parts: &[&str]) -> Option<LinkParameters> {
    let mut link = LinkParameters::default();
    for part in parts {
        let (name, value) = part.split_once('=')?;
        match name {
            "delay" => link.delay = parse_duration(value)?,
            "jitter" => link.jitter = parse_duration(value)?,
            "loss" => link.loss = parse_chance(value)?,
            "duplicate" => link.duplicate = parse_chance(value)?,
            "reorder" => {
                let (chance, by) = value.split_once('/')?;
                (link.reorder, link.reorder_by) = (parse_chance(chance)?, parse_duration(by)?);
            }
            "bursts" => {
                let (begin, end) = value.split_once('/')?;
                let (begin, end) = (parse_chance(begin)?, parse_chance(end)?);
                link.bursts = Some(Bursts { begin, end });
            }
            _ => return None,
        }
    }
    Some(link)
}

/// Parts in a million, or whole per cent.
fn parse_chance(text: &str) -> Option<Chance> {
    match text.strip_suffix('%') {
        Some(percent) => percent.parse().ok().map(Chance::percent),
        None => text.strip_suffix("ppm")?.parse().ok().map(Chance),
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok().map(Duration::from_millis),
        None => text
            .strip_suffix('s')?
            .parse()
            .ok()
            .map(Duration::from_secs),
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(f, "{}ms\t", step.at.as_millis())?;
            if !step.who.is_empty() {
                write!(f, "{} ", step.who)?;
            }
            writeln!(f, "{}", step.act)?;
        }
        Ok(())
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(link) => write_link(link, f),
            Self::Joins(room) => write!(f, "joins {room}"),
            Self::Publishes(it) => {
                match it.kind {
                    MediaKind::Audio => write!(f, "publishes audio")?,
                    MediaKind::Video if it.mode == Mode::Single => {
                        write!(f, "publishes video={}", it.packets)?;
                    }
                    MediaKind::Video => {
                        let is_it = |form: &&(&str, Form)| form.1 == (it.codec, it.mode);
                        let form = FORMS.iter().find(is_it);
                        write!(f, "publishes layered={}", form.map_or("", |form| form.0))?;
                    }
                }
                f.write_str(if it.receives { " receives" } else { "" })
            }
            Self::Unpublishes(track) => write!(f, "unpublishes {track}"),
            Self::Rebinds => f.write_str("rebinds"),
            Self::Restarts => f.write_str("restarts"),
            Self::Cut(true) => f.write_str("is cut"),
            Self::Cut(false) => f.write_str("is mended"),
            Self::Muted(track, true) => write!(f, "mutes {track}"),
            Self::Muted(track, false) => write!(f, "unmutes {track}"),
            Self::Wishes(whom, true, true) => write!(f, "pauses {whom}"),
            Self::Wishes(whom, true, false) => write!(f, "resumes {whom}"),
            Self::Wishes(whom, false, _) => write!(f, "refuses {whom}"),
            Self::Sizes(whom, height) => write!(f, "wishes {whom} {height}"),
            Self::Leaves(Farewell::Says) => f.write_str("says goodbye"),
            Self::Leaves(Farewell::Closes) => f.write_str("closes"),
            Self::Leaves(Farewell::Dies) => f.write_str("dies"),
            Self::Leaves(Farewell::Removed) => f.write_str("is removed"),
            Self::End => f.write_str("end"),
        }
    }
}

fn write_link(link: &LinkParameters, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "link delay={}ms jitter={}ms",
        link.delay.as_millis(),
        link.jitter.as_millis()
    )?;
    write!(
        f,
        " loss={}ppm duplicate={}ppm",
        link.loss.0, link.duplicate.0
    )?;
    write!(
        f,
        " reorder={}ppm/{}ms",
        link.reorder.0,
        link.reorder_by.as_millis()
    )?;
    match link.bursts {
        Some(bursts) => write!(f, " bursts={}ppm/{}ppm", bursts.begin.0, bursts.end.0),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_reads_what_it_writes() {
        for seed in 0..200 {
            let scene = Scene::random(seed);
            assert_eq!(Scene::parse(&scene.to_string()), Ok(scene), "seed {seed}");
        }
    }

    #[test]
    fn layered_pictures_are_written_as_they_are_read() {
        for (form, _) in FORMS {
            let text = format!("0ms\tada publishes layered={form} receives\n");
            let scene = Scene::parse(&text).expect("a scene");
            assert_eq!(scene.to_string(), text);
        }
        assert!(Scene::parse("0ms ada publishes layered=tape").is_err());
    }

    #[test]
    fn the_example_above_is_a_scene() {
        let text: String = include_str!("scene.rs")
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .skip_while(|line| !line.contains("```text"))
            .skip(1)
            .take_while(|line| !line.contains("```"))
            .map(|line| format!("{}\n", line.trim_start_matches("//!")))
            .collect();
        assert_eq!(Scene::parse(&text).map(|scene| scene.steps.len()), Ok(16));
    }

    #[test]
    fn a_line_that_says_nothing_is_named() {
        let check = |text: &str, line: usize| {
            assert_eq!(
                Scene::parse(text).map_err(|error| error.line),
                Err(line),
                "{text}"
            );
        };
        check("0ms ada joins r1\n1 ada publishes audio", 2);
        check("0ms ada sings", 1);
        check("0ms ada publishes video", 1);
        check("\n\n0ms link delay=5", 3);
        check("0ms", 1);
    }
}
