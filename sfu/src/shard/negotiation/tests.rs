//! One exchange after the other, against offers of real browsers.

use std::net::SocketAddr;

use super::*;
use crate::sdp::fixtures;
use crate::sdp::negotiate::plan;
use crate::wire::extension::Extension;

#[test]
fn a_browsers_offer_is_answered_in_kind_and_gives_spare_sections() {
    let table: &[(&str, &str, &[&str])] = &[
        (
            "chromium-sendrecv",
            "sendrecv sendrecv",
            &["ice", "+r0", "+s0", "+r1", "+s1"],
        ),
        (
            "firefox-sendrecv",
            "sendrecv sendrecv",
            &["ice", "+r0", "+s0", "+r1", "+s1"],
        ),
        (
            "chromium-recvonly",
            "sendonly sendonly",
            &["ice", "+s0", "+s1"],
        ),
        (
            "firefox-simulcast",
            "recvonly recvonly",
            &["ice", "+r0", "+r1"],
        ),
        ("chromium-data", "sendrecv", &["ice", "data"]),
        (
            "chromium-everything",
            "sendrecv sendrecv sendonly inactive sendrecv",
            &["ice", "+r0", "+s0", "+r1", "+s1", "+s2", "data"],
        ),
    ];
    for (name, directions, expected) in table {
        let (answer, changes) = Side::new().takes(&fixtures::offer(name));
        assert_eq!(directions_of(&answer), *directions, "{name}");
        assert_eq!(short(&changes), *expected, "{name}");
        assert_eq!(answer.bundle.len(), answer.sections.len(), "{name}");
        for (index, section) in answer.sections.iter().enumerate() {
            assert_eq!(section.setup, Some(Setup::Passive), "{name}");
            assert_eq!(
                section.candidates.len(),
                usize::from(index == 0) * 2,
                "{name}"
            );
            let sends = section.direction.sends() && section.kind != SectionKind::Data;
            assert_eq!(section.msids.len(), usize::from(sends), "{name}");
        }
        assert_eq!(
            answer.sections[0].ssrcs.is_empty(),
            !directions.starts_with("send") || *name == "chromium-data"
        );
    }
}

#[test]
fn sound_and_picture_of_spare_sections_are_one_stream() {
    let (answer, _) = Side::new().takes(&fixtures::offer("chromium-sendrecv"));
    let streams: Vec<_> = answer
        .sections
        .iter()
        .map(|one| one.msids[0].stream.clone())
        .collect();
    assert_eq!(streams, ["plenum-0", "plenum-0"]);
    let rtx = &answer.sections[1].ssrc_groups[0];
    assert_eq!((rtx.semantics.as_str(), rtx.ssrcs.len()), ("FID", 2));
}

#[test]
fn what_may_not_be_sent_is_not_received() {
    let offer = fixtures::offer("chromium-sendrecv");
    let mut side = Side::new();
    side.publish_video = false;
    let (answer, changes) = side.takes(&offer);
    assert_eq!(directions_of(&answer), "sendrecv sendonly");
    assert_eq!(short(&changes), ["ice", "+r0", "+s0", "+s1"]);
    side.publish_video = true;
    assert_eq!(short(&side.takes(&offer).1), ["+r1"]);
    side.publish_audio = false;
    assert_eq!(short(&side.takes(&offer).1), ["-r0"]);

    let mut side = Side::new();
    side.tracks_max = 1;
    let (answer, _) = side.takes(&fixtures::offer("firefox-simulcast"));
    assert_eq!(directions_of(&answer), "recvonly inactive");
    assert_eq!(answer.sections[1].rids_receive, []);
}

#[test]
fn the_same_offer_again_changes_nothing() {
    for (name, _) in fixtures::ALL {
        let offer = fixtures::offer(name);
        let mut side = Side::new();
        let (first, _) = side.takes(&offer);
        let (second, changes) = side.takes(&offer);
        assert_eq!(short(&changes), [""; 0], "{name}");
        assert!(first.sections == second.sections, "{name}");
    }
}

#[test]
fn an_offer_that_meets_ours_is_ignored_until_ours_is_answered() {
    let offer = fixtures::offer("chromium-sendrecv");
    let mut side = Side::new();
    side.takes(&offer);
    side.wants(&[(Codec::Vp8, "lin")]);
    let own = side.offers().expect("an offer");
    assert!(matches!(side.try_take(&offer), Ok(OfferOutcome::Ignored)));
    assert!(!side.negotiation.is_stable());
    let changes = side.is_answered(&own, Direction::RecvOnly);
    assert_eq!(short(&changes), ["+ss1"]);
    assert_eq!(side.negotiation.open_sections().count(), 3);
    let mut longer = offer.clone();
    longer.sections.push(own.sections[2].clone());
    longer.sections[2].direction = Direction::RecvOnly;
    longer.bundle.push(longer.sections[2].mid);
    // The model's answer declared no SSRCs; the browser's offer does again.
    assert_eq!(short(&side.takes(&longer).1), ["~r0", "~r1"]);
}

#[test]
fn an_offer_of_ours_that_was_lost_stops_nobody_for_ever() {
    let offer = fixtures::offer("chromium-sendrecv");
    let mut side = Side::new();
    side.takes(&offer);
    side.wants(&[(Codec::Vp8, "lin")]);
    side.offers().expect("an offer");
    side.now += OFFER_PATIENCE;
    assert!(matches!(
        side.try_take(&offer),
        Ok(OfferOutcome::Answer { .. })
    ));
    assert!(side.offers().is_some(), "it is made again");
}

#[test]
fn our_offers_use_the_numbers_the_browser_uses() {
    let table = [
        ("chromium-sendrecv", "111", "96", 4),
        ("firefox-sendrecv", "109", "120", 3),
    ];
    for (name, opus, vp8, mid) in table {
        let mut side = Side::new();
        side.takes(&fixtures::offer(name));
        side.wants(&[
            (Codec::Opus, "lin"),
            (Codec::Vp8, "lin"),
            (Codec::H264, "eve"),
        ]);
        let own = side.offers().expect("an offer");
        assert_eq!(
            directions_of(&own),
            "sendrecv sendrecv sendonly sendonly sendonly",
            "{name}"
        );
        assert_eq!(own.sections[2].formats[0], opus, "{name}");
        assert_eq!(own.sections[3].formats[0], vp8, "{name}");
        let mut seen: Vec<(u8, String)> = Vec::new();
        for section in own.sections.iter().chain(&fixtures::offer(name).sections) {
            let mut extensions = section.extensions.iter();
            let found = extensions
                .find(|one| one.uri == Extension::Mid.uri())
                .expect("mid");
            assert_eq!(found.id, mid, "{name}");
            for payload in &section.payloads {
                let what = format!("{}/{}", payload.name, payload.clock_rate);
                let known = seen
                    .iter()
                    .find(|(number, _)| *number == payload.payload_type);
                assert!(
                    known.is_none_or(|(_, known)| *known == what),
                    "{name}: {known:?} {what}"
                );
                seen.push((payload.payload_type, what));
            }
        }
        let msid = &own.sections[4].msids[0];
        assert_eq!(
            (msid.stream.as_str(), msid.track.as_deref()),
            ("eve", Some("mid-s3"))
        );
    }
}

#[test]
fn what_they_cannot_decode_is_asked_for_once() {
    let mut side = Side::new();
    side.takes(&fixtures::offer("chromium-sendrecv"));
    side.wants(&[(Codec::H265, "eve")]);
    let own = side.offers().expect("an offer");
    let mut answer = side.answer_to(&own, Direction::RecvOnly);
    answer.sections[2]
        .payloads
        .retain(|one| !one.name.eq_ignore_ascii_case("h265"));
    // The section is open for others; the wish is refused.
    assert_eq!(short(&side.hears(&answer)), ["+ss1", "refused eve"]);
    side.wants(&[(Codec::H265, "eve")]);
    assert!(side.negotiation.refuses(&Format::of(Codec::H265)));
    side.now += limits::OFFER_INTERVAL;
    assert_eq!(side.offers(), None);
}

#[test]
fn a_section_turned_down_is_told_and_its_place_used_again() {
    let mut side = Side::new();
    side.takes(&fixtures::offer("chromium-sendrecv"));
    side.wants(&[(Codec::Vp8, "lin"), (Codec::Opus, "lin")]);
    let own = side.offers().expect("an offer");
    let mut answer = side.answer_to(&own, Direction::RecvOnly);
    answer.sections[2] = negotiate::reject(&own.sections[2]);
    assert_eq!(short(&side.hears(&answer)), ["+ss2", "refused lin"]);
    assert_eq!(side.negotiation.sections(), 3);
    // A data m-line may not take the place of a media one: Firefox refuses that.
    side.negotiation.request_data();
    side.wants(&[(Codec::Opus, "eve")]);
    side.now += limits::OFFER_INTERVAL;
    let own = side.offers().expect("an offer");
    assert_eq!(mids_of(&own), "0 1 s4 s2 s3");
    assert_eq!(own.sections[4].kind, SectionKind::Data);
    let changes = side.is_answered(&own, Direction::RecvOnly);
    assert_eq!(short(&changes), ["+ss4", "data"]);
    assert_eq!(side.negotiation.poll_timeout(), None);
}

#[test]
fn a_stopped_transceiver_ends_both_ways() {
    let offer = fixtures::offer("chromium-everything");
    let mut side = Side::new();
    side.takes(&offer);
    let mut stopped = offer.clone();
    stopped.sections[1] = negotiate::reject(&offer.sections[1]);
    stopped.bundle.retain(|mid| mid.as_str() != "1");
    let (answer, changes) = side.takes(&stopped);
    assert_eq!(short(&changes), ["-r1", "-s1"]);
    assert!(answer.sections[1].rejected);
    // They may use the place again, under another mid.
    let mut recycled = offer.clone();
    recycled.sections[1].mid = Mid::new("7").unwrap();
    recycled.bundle[1] = recycled.sections[1].mid;
    assert_eq!(short(&side.takes(&recycled).1), ["+r7", "+s7"]);
}

#[test]
fn a_changed_direction_starts_and_stops() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let table: &[(Direction, &[&str])] = &[
        (SendRecv, &["ice", "+r0", "+s0"]),
        (SendOnly, &["-s0"]),
        (Inactive, &["-r0"]),
        (RecvOnly, &["+s0"]),
        (SendRecv, &["+r0"]),
    ];
    let mut side = Side::new();
    let mut offer = fixtures::offer("firefox-sendrecv");
    offer.sections.truncate(1);
    offer.bundle.truncate(1);
    let mut used = Vec::new();
    for (direction, expected) in table {
        offer.sections[0].direction = *direction;
        let (answer, changes) = side.takes(&offer);
        assert_eq!(answer.sections[0].direction, direction.reversed());
        assert_eq!(short(&changes), *expected, "{direction:?}");
        for change in &changes {
            if let Change::SendOpened { ssrc, .. } = change {
                used.push(*ssrc);
            }
        }
    }
    // Opened twice with the same SSRC: its numbers run on, and the table of SSRCs does not fill.
    assert!(matches!(used.as_slice(), [a, b] if a == b), "{used:?}");
}

#[test]
fn an_ice_restart_is_seen_and_answered_with_new_credentials() {
    let mut offer = fixtures::offer("chromium-sendrecv");
    let mut side = Side::new();
    side.takes(&offer);
    assert!(!side.negotiation.is_restart(side.now, &offer));
    // Our transport has newer ones, but they have not asked: an answer may not change them.
    side.ice.ufrag = "newer".to_owned();
    assert_eq!(
        side.takes(&offer).0.sections[0].ice.as_ref().unwrap().ufrag,
        "first"
    );
    for section in &mut offer.sections {
        section.ice.as_mut().unwrap().ufrag = "theirs2".to_owned();
    }
    assert!(side.negotiation.is_restart(side.now, &offer));
    let (answer, changes) = side.takes(&offer);
    assert_eq!(answer.sections[0].ice.as_ref().unwrap().ufrag, "newer");
    assert!(matches!(
        changes.as_slice(),
        [Change::Ice { restart: true, .. }]
    ));

    side.ice.ufrag = "third".to_owned();
    side.negotiation.request_restart();
    let own = side.offers().expect("an offer");
    assert_eq!(own.sections[1].ice.as_ref().unwrap().ufrag, "third");
    side.negotiation.handle_rollback();
    side.now += limits::OFFER_INTERVAL;
    let own = side.offers().expect("the same again");
    side.is_answered(&own, Direction::SendRecv);
    assert_eq!(side.offers(), None);
    assert_eq!(
        side.takes(&offer).0.sections[0].ice.as_ref().unwrap().ufrag,
        "third"
    );
}

/// An answer to `own` that does not send and yet names a track on each new m-line.
fn naming(side: &Side, own: &Description) -> Description {
    let mut answer = side.answer_to(own, Direction::RecvOnly);
    for section in answer.sections.iter_mut().skip(2) {
        section.msids = vec![msid("camera", section.mid)];
    }
    answer
}

#[test]
fn a_track_added_while_our_offer_was_on_its_way_is_asked_for() {
    let mut side = Side::new();
    side.takes(&fixtures::offer("chromium-recvonly"));
    side.wants(&[(Codec::Vp8, "lin"), (Codec::Vp8, "eve")]);
    let own = side.offers().expect("an offer");
    assert_eq!(short(&side.hears(&naming(&side, &own))), ["+ss1", "+ss2"]);
    side.now += limits::OFFER_INTERVAL;
    let own = side.offers().expect("what they would send is asked for");
    assert_eq!(directions_of(&own), "sendonly sendonly sendrecv sendrecv");
    let mut answer = naming(&side, &own);
    answer.sections[3].direction = Direction::SendRecv;
    let mut changes = short(&side.hears(&answer));
    changes.retain(|change| !change.starts_with('~'));
    assert_eq!(changes, ["+rs2"]);

    // They would not on the other: once asked is enough, but they stay free to begin.
    side.now += limits::OFFER_INTERVAL;
    assert_eq!(side.offers(), None);
    side.wants(&[(Codec::Vp8, "bob")]);
    let own = side.offers().expect("an offer");
    let directions = "sendonly sendonly sendrecv sendrecv sendonly";
    assert_eq!(directions_of(&own), directions);
}

#[test]
fn who_says_our_names_back_and_does_as_it_is_told_is_asked_for_nothing() {
    let mut side = Side::new();
    side.takes(&fixtures::offer("chromium-recvonly"));
    for stream in ["lin", "eve"] {
        side.wants(&[(Codec::Vp8, stream)]);
        let own = side.offers().expect("an offer");
        let mut answer = side.answer_to(&own, Direction::RecvOnly);
        for (section, offered) in answer.sections.iter_mut().zip(&own.sections) {
            section.msids.clone_from(&offered.msids);
            section.direction = offered.direction.reversed();
        }
        side.hears(&answer);
        side.now += limits::OFFER_INTERVAL;
        assert_eq!(side.offers(), None, "{stream}");
    }
}

#[test]
fn more_names_than_there_is_room_for_are_not_asked_for_in_turns() {
    let mut side = Side::new();
    side.takes(&fixtures::offer("chromium-recvonly"));
    side.tracks_max = 1;
    let mut offers = 0;
    for stream in ["lin", "eve", "bob"] {
        side.wants(&[(Codec::Vp8, stream), (Codec::Vp8, stream)]);
        for _ in 0..20 {
            side.now += limits::OFFER_INTERVAL;
            if let Some(own) = side.offers() {
                side.hears(&naming(&side, &own));
                offers += 1;
            }
        }
    }
    assert!(offers <= 6, "{offers} offers for three wishes");
}

#[test]
fn what_may_not_be_sent_is_not_asked_for_again_and_again() {
    let mut side = Side::new();
    side.publish_video = false;
    side.takes(&fixtures::offer("chromium-recvonly"));
    side.wants(&[(Codec::Vp8, "lin")]);
    let own = side.offers().expect("an offer");
    side.hears(&naming(&side, &own));
    side.now += limits::OFFER_INTERVAL;
    assert_eq!(side.offers(), None, "it may not");
    side.publish_video = true;
    side.tracks_max = 0;
    side.negotiation.request_grants(true, true);
    let own = side.offers().expect("it may now");
    assert_eq!(directions_of(&own), "sendonly sendonly sendonly");
    side.hears(&naming(&side, &own));
    side.now += limits::OFFER_INTERVAL;
    assert_eq!(side.offers(), None, "there is no place for it");
}

#[test]
fn at_most_one_offer_leaves_in_a_hundred_milliseconds() {
    let mut side = Side::new();
    side.takes(&fixtures::offer("chromium-recvonly"));
    side.wants(&[(Codec::Vp8, "lin")]);
    let own = side.offers().expect("an offer");
    side.is_answered(&own, Direction::RecvOnly);
    side.wants(&[(Codec::Vp8, "eve")]);
    let due = side.negotiation.poll_timeout().expect("a wish");
    assert_eq!(due.since(side.now), limits::OFFER_INTERVAL);
    assert_eq!(side.offers(), None);
    side.now = due;
    assert!(side.offers().is_some());
}

#[test]
fn dtls_roles_follow_the_first_offer_and_stay() {
    let mut offer = fixtures::offer("chromium-sendrecv");
    let roles = |offer: &mut Description, setup| {
        offer
            .sections
            .iter_mut()
            .for_each(|section| section.setup = setup);
    };
    let mut side = Side::new();
    roles(&mut offer, Some(Setup::Passive));
    let (answer, changes) = side.takes(&offer);
    assert_eq!(answer.sections[0].setup, Some(Setup::Active));
    assert!(matches!(
        changes[0],
        Change::Ice {
            setup: Setup::Passive,
            ..
        }
    ));
    roles(&mut offer, Some(Setup::ActPass));
    let (answer, changes) = side.takes(&offer);
    assert_eq!(answer.sections[0].setup, Some(Setup::Active));
    assert_eq!(short(&changes), [""; 0]);
    roles(&mut offer, Some(Setup::Active));
    assert!(side.try_take(&offer).is_err());
}

#[test]
fn a_single_m_line_nobody_knows_is_turned_down_in_place() {
    let mut offer = fixtures::offer("chromium-sendrecv");
    offer.sections[0].payloads.retain(|one| one.name == "G722");
    let (answer, changes) = Side::new().takes(&offer);
    assert!(answer.sections[0].rejected);
    assert_eq!(answer.sections[0].formats, offer.sections[0].formats);
    assert_eq!(mids_of(&answer), "0 1");
    assert_eq!(answer.bundle.len(), 1);
    assert_eq!(answer.sections[1].candidates.len(), 2);
    assert_eq!(short(&changes), ["ice", "+r1", "+s1"]);
    offer.sections[1].kind = SectionKind::Unknown;
    let error = Side::new().try_take(&offer).expect_err("nothing is usable");
    let offered = "G722".to_owned();
    assert_eq!(
        error,
        CommandError::UnsupportedCodec {
            section: 0,
            offered
        }
    );
}

#[test]
fn an_offer_that_cannot_be_used_changes_nothing() {
    let good = fixtures::offer("chromium-everything");
    let mut fewer = good.clone();
    fewer.sections.pop();
    fewer.bundle.pop();
    let mut swapped = good.clone();
    swapped.sections.swap(0, 1);
    let mut unmuxed = good.clone();
    unmuxed.sections[2].rtcp_mux = false;
    let mut turned = good.clone();
    turned.sections[0].kind = SectionKind::Media(MediaKind::Video);
    let mut other = good.clone();
    for section in &mut other.sections {
        section.fingerprints = vec![Fingerprint::Sha256([1; 32])];
    }
    let mut many = good.clone();
    many.sections
        .resize(limits::SECTIONS_PER_TRANSPORT + 1, good.sections[0].clone());
    for (name, bad) in [
        ("fewer", fewer),
        ("swapped", swapped),
        ("unmuxed", unmuxed),
        ("turned", turned),
        ("other", other),
        ("many", many),
    ] {
        let mut side = Side::new();
        side.takes(&good);
        assert!(side.try_take(&bad).is_err(), "{name}");
        assert_eq!(short(&side.takes(&good).1), [""; 0], "{name}");
    }
}

#[test]
fn m_lines_outside_the_group_are_turned_down() {
    let mut offer = fixtures::offer("chromium-sendrecv");
    offer.bundle.pop();
    assert!(Side::new().takes(&offer).0.sections[1].rejected);
    offer.bundle.clear();
    let (answer, changes) = Side::new().takes(&offer);
    assert!(!answer.sections[0].rejected && answer.sections[1].rejected);
    assert_eq!(short(&changes), ["ice", "+r0", "+s0"]);
}

#[test]
fn an_answer_that_is_none_voids_our_offer() {
    let mut side = Side::new();
    side.takes(&fixtures::offer("chromium-sendrecv"));
    side.wants(&[(Codec::Vp8, "lin")]);
    let own = side.offers().expect("an offer");
    let mut short_of = side.answer_to(&own, Direction::RecvOnly);
    short_of.sections.pop();
    assert!(side.try_hear(&short_of).is_err());
    assert!(side.negotiation.is_stable());
    side.now += limits::OFFER_INTERVAL;
    assert_eq!(side.offers(), None, "not at once");
    side.now += OFFER_PAUSE;
    let own = side.offers().expect("an offer");
    assert_eq!(
        short(&side.is_answered(&own, Direction::RecvOnly)),
        ["+ss2"]
    );
    let unasked = side.answer_to(&own, Direction::RecvOnly);
    assert!(side.try_hear(&unasked).is_err());
}

#[test]
fn m_lines_end_at_their_limit() {
    let mut side = Side::new();
    side.takes(&fixtures::offer("chromium-sendrecv"));
    side.wants(&vec![(Codec::Opus, "lin"); 200]);
    let own = side.offers().expect("an offer");
    assert_eq!(own.sections.len(), limits::SECTIONS_PER_TRANSPORT);
    side.is_answered(&own, Direction::RecvOnly);
    side.wants(&[(Codec::Opus, "lin")]);
    assert_eq!(side.offers(), None);
    assert_eq!(side.negotiation.poll_timeout(), None);
}

#[test]
fn we_may_speak_first() {
    let mut side = Side::new();
    side.wants(&[(Codec::Opus, "lin"), (Codec::Vp8, "lin")]);
    let own = side.offers().expect("an offer");
    assert_eq!(own.sections[0].setup, Some(Setup::ActPass));
    let changes = side.is_answered(&own, Direction::RecvOnly);
    assert_eq!(short(&changes), ["ice", "+ss1", "+ss2"]);
}

/// Our side with what a shard lends it.
pub(super) struct Side {
    pub(super) negotiation: Negotiation,
    pub(super) ice: IceCredentials,
    pub(super) now: Instant,
    publish_audio: bool,
    publish_video: bool,
    tracks_max: usize,
    ssrcs: u32,
    their_ice: IceCredentials,
    their_fingerprints: Vec<Fingerprint>,
}

impl Side {
    pub(super) fn new() -> Self {
        Self {
            negotiation: Negotiation::new(1),
            ice: IceCredentials {
                ufrag: "first".to_owned(),
                password: "passwordpasswordpassword".to_owned(),
            },
            now: Instant::from_millis(1_000),
            publish_audio: true,
            publish_video: true,
            tracks_max: 16,
            ssrcs: 0,
            their_ice: IceCredentials {
                ufrag: "theirs".to_owned(),
                password: "p".repeat(22),
            },
            their_fingerprints: vec![Fingerprint::Sha256([9; 32])],
        }
    }

    fn with<T>(
        &mut self,
        act: impl FnOnce(&mut Negotiation, Instant, &LocalParameters<'_>, &mut dyn FnMut() -> u32) -> T,
    ) -> T {
        let candidates: [SocketAddr; 2] = [
            "127.0.0.1:10000".parse().unwrap(),
            "[::1]:10000".parse().unwrap(),
        ];
        let local = LocalParameters {
            ice: &self.ice,
            fingerprint: [7; 32],
            candidates: &candidates,
            codecs: &[],
            cname: "ada",
            publish_audio: self.publish_audio,
            publish_video: self.publish_video,
            tracks_max: self.tracks_max,
        };
        let ssrcs = &mut self.ssrcs;
        act(&mut self.negotiation, self.now, &local, &mut || {
            *ssrcs += 1;
            *ssrcs
        })
    }

    pub(super) fn try_take(&mut self, offer: &Description) -> Result<OfferOutcome, CommandError> {
        self.with(|negotiation, now, local, ssrc| negotiation.handle_offer(now, offer, local, ssrc))
    }

    fn takes(&mut self, offer: &Description) -> (Description, Vec<Change>) {
        match self.try_take(offer) {
            Ok(OfferOutcome::Answer { answer, changes }) => {
                let theirs = &offer.sections[0];
                self.their_ice = theirs.ice.clone().unwrap_or_else(|| self.their_ice.clone());
                self.their_fingerprints.clone_from(&theirs.fingerprints);
                (answer, changes)
            }
            other => panic!("no answer: {other:?}"),
        }
    }

    /// What an answer changes; that the model declares no SSRCs is no news.
    pub(super) fn hears(&mut self, answer: &Description) -> Vec<Change> {
        let mut changes = self.try_hear(answer).expect("an answer that can be used");
        changes.retain(|change| !matches!(change, Change::ReceiveUpdated(_)));
        changes
    }

    fn try_hear(&mut self, answer: &Description) -> Result<Vec<Change>, CommandError> {
        self.with(|negotiation, now, local, _| negotiation.handle_answer(now, answer, local))
    }

    /// What a browser answers that wants `direction` on new m-lines, and the others as they are.
    fn answer_to(&self, offer: &Description, direction: Direction) -> Description {
        let mut answer = offer.clone();
        answer.sdp_type = SdpType::Answer;
        for (section, offered) in answer.sections.iter_mut().zip(&offer.sections) {
            let allowed = offered.direction.reversed();
            let new = offered.mid.as_str().starts_with('s');
            // What is planned is what the browser does with the m-line.
            let mut seen = offered.clone();
            seen.direction = allowed;
            let media = plan(&seen, &[]).filter(|_| !offered.rejected);
            if let Some(media) = media {
                let wish = if new { direction } else { allowed };
                let direction = Direction::of(
                    wish.sends() && allowed.sends(),
                    wish.receives() && allowed.receives(),
                );
                *section = negotiate::describe(&media, direction);
            }
            add_transport(section, &self.their_ice, [9; 32], Setup::Active);
            section.fingerprints.clone_from(&self.their_fingerprints);
        }
        answer
    }

    fn is_answered(&mut self, offer: &Description, direction: Direction) -> Vec<Change> {
        let answer = self.answer_to(offer, direction);
        self.hears(&answer)
    }

    pub(super) fn offers(&mut self) -> Option<Description> {
        self.with(|negotiation, now, local, ssrc| negotiation.poll_offer(now, local, ssrc))
    }

    fn wants(&mut self, wanted: &[(Codec, &str)]) {
        let requests: Vec<_> = wanted
            .iter()
            .map(|(codec, stream)| request(*codec, stream))
            .collect();
        self.negotiation.set_requests(&requests);
    }
}

pub(super) fn request(codec: Codec, stream: &str) -> SectionRequest {
    SectionRequest {
        kind: codec.kind(),
        format: Format::of(codec),
        stream: stream.to_owned(),
    }
}

fn directions_of(description: &Description) -> String {
    let directions = description
        .sections
        .iter()
        .map(|one| one.direction.as_str());
    directions.collect::<Vec<_>>().join(" ")
}

fn mids_of(description: &Description) -> String {
    description
        .sections
        .iter()
        .map(|one| one.mid.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Changes in a word each: `+r0` receive started on mid 0, `~` updated, `-` stopped; `s` send.
fn short(changes: &[Change]) -> Vec<String> {
    let word = |change: &Change| match change {
        Change::Ice { .. } => "ice".to_owned(),
        Change::ReceiveStarted(plan) => format!("+r{}", plan.mid),
        Change::ReceiveUpdated(plan) => format!("~r{}", plan.mid),
        Change::ReceiveStopped(mid) => format!("-r{mid}"),
        Change::SendOpened { plan, .. } => format!("+s{}", plan.mid),
        Change::SendUpdated(plan) => format!("~s{}", plan.mid),
        Change::SendClosed(mid) => format!("-s{mid}"),
        Change::SectionRefused(request) => format!("refused {}", request.stream),
        Change::Data { .. } => "data".to_owned(),
    };
    changes.iter().map(word).collect()
}
