//! Their descriptions: an offer becomes an answer, an answer ends our offer. First everything is
//! judged, then everything is taken; on an error nothing has changed.

use super::line::{Changes, Line, Maker, Media, Section, names_track};
use super::{
    Change, LocalParameters, Negotiation, OFFER_PATIENCE, OFFER_PAUSE, OfferOutcome,
    OfferedContent, OfferedLine, OfferedMedia, OwnOffer, add_candidates, add_transport, data_text,
    media_text, unusable,
};
use crate::error::CommandError;
use crate::id::Mid;
use crate::limits;
use crate::sdp::description::{
    Description, Direction, Fingerprint, IceCredentials, SdpType, SectionDescription, SectionKind,
    Setup,
};
use crate::sdp::negotiate::{self, MediaPlan};
use crate::time::Instant;
use crate::transport::RemoteParameters;
use crate::units::MediaKind;
use crate::wire::extension::Extension;

/// Their side of the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemoteTransport {
    ice: IceCredentials,
    fingerprints: Vec<Fingerprint>,
    /// Active or passive.
    setup: Setup,
}

/// What one of their m-lines comes to.
#[derive(Debug)]
enum Verdict {
    Stopped,
    Data,
    Media {
        plan: MediaPlan,
        receiving: bool,
        withheld: bool,
        sending: bool,
    },
}

impl Negotiation {
    /// Their offer changes their credentials: our transport needs new ones before the answer.
    #[must_use]
    pub fn is_restart(&self, now: Instant, offer: &Description) -> bool {
        let known = self.remote.as_ref().filter(|_| !self.ignores_offers(now));
        let tagged = offer
            .sections
            .iter()
            .find(|section| is_offered(offer, section));
        known
            .zip(tagged)
            .is_some_and(|(known, tagged)| tagged.ice.as_ref() != Some(&known.ice))
    }

    /// Ours stands, and has not stood for too long.
    fn ignores_offers(&self, now: Instant) -> bool {
        let own = self.offer.as_ref();
        own.is_some_and(|own| now < own.at + OFFER_PATIENCE)
    }

    /// Whether these are the credentials they have said last.
    ///
    /// # Errors
    /// They have described no transport yet, or an offer of ours stands, whose answer says them.
    pub fn knows_credentials(&self, theirs: &IceCredentials) -> Result<bool, CommandError> {
        let Some(remote) = &self.remote else {
            return Err(unusable(None, "no offer has come yet: nothing to restart"));
        };
        if !self.is_stable() {
            return Err(unusable(None, "an offer of ours stands: answer it first"));
        }
        Ok(remote.ice == *theirs)
    }

    /// Both sides restart ICE without a description; all else stays.
    pub fn take_credentials(
        &mut self,
        theirs: IceCredentials,
        ours: IceCredentials,
    ) -> Option<RemoteParameters> {
        let remote = self.remote.as_mut()?;
        remote.ice = theirs;
        self.told = Some(ours);
        self.restart_wanted = false;
        Some(RemoteParameters {
            ice: remote.ice.clone(),
            fingerprints: remote.fingerprints.clone(),
            setup: remote.setup,
        })
    }

    /// Our credentials as they were told last.
    #[must_use]
    pub const fn told(&self) -> Option<&IceCredentials> {
        self.told.as_ref()
    }

    /// Their offer.
    ///
    /// # Errors
    /// It cannot be used, and why; nothing has changed.
    pub fn handle_offer(
        &mut self,
        now: Instant,
        offer: &Description,
        local: &LocalParameters<'_>,
        ssrc: &mut dyn FnMut() -> u32,
    ) -> Result<OfferOutcome, CommandError> {
        if self.ignores_offers(now) {
            return Ok(OfferOutcome::Ignored);
        }
        let restarts = self.is_restart(now, offer);
        let judged = self.judge(offer, local).and_then(|verdicts| {
            let used = |verdict: &Verdict| !matches!(verdict, Verdict::Stopped);
            let mut sections = offer.sections.iter().zip(&verdicts);
            let tagged = sections.find(|(_, verdict)| used(verdict));
            let remote = tagged.map(|(tagged, _)| self.remote_transport(tagged));
            Ok((remote.transpose()?, verdicts))
        });
        // Our transport has new credentials by now; untold by an answer, an offer must tell them.
        self.restart_wanted |= restarts && judged.is_err();
        let (remote, verdicts) = judged?;

        self.handle_rollback();
        if self.remote.is_none() {
            // What was expected has come.
            self.offer_after = now;
        }
        let mut changes = Changes::default();
        let ice = self.take_remote(remote);
        let credentials = match &self.told {
            Some(told) if !restarts => told.clone(),
            Some(_) | None => local.ice.clone(),
        };
        // Both sides have new credentials now; a restart that was waiting has happened.
        self.restart_wanted &= !restarts;
        let mut sections = Vec::with_capacity(verdicts.len());
        for (index, (offered, verdict)) in offer.sections.iter().zip(verdicts).enumerate() {
            self.numbers.learn(offered);
            let section = self.settle(index, offered, verdict, ssrc);
            let mut text = answered_text(&section, offered, local.cname);
            if !text.rejected {
                add_transport(&mut text, &credentials, local.fingerprint, self.our_setup());
            }
            changes.note(self.sections.get(index), &section);
            self.put(index, section);
            sections.push(text);
        }
        self.told = Some(credentials);
        self.forgive();
        let accepted = |mid: &&Mid| {
            sections
                .iter()
                .any(|section| section.mid == **mid && !section.rejected)
        };
        let bundle: Vec<Mid> = offer.bundle.iter().filter(accepted).copied().collect();
        let first = sections
            .iter()
            .find(|section| !section.rejected)
            .map(|section| section.mid);
        let tagged = bundle.first().copied().or(first);
        add_candidates(&mut sections, tagged, local.candidates);
        let mixed = offer.extmap_allow_mixed;
        let answer = self.description(SdpType::Answer, bundle, mixed, sections);
        let changes = gather(ice, changes);
        Ok(OfferOutcome::Answer { answer, changes })
    }

    /// Their answer to our offer.
    ///
    /// # Errors
    /// It is not one; our offer is void then, and made again later where still wanted.
    pub fn handle_answer(
        &mut self,
        now: Instant,
        answer: &Description,
        local: &LocalParameters<'_>,
    ) -> Result<Vec<Change>, CommandError> {
        let Some(own) = self.offer.take() else {
            return Err(unusable(None, "an answer, but no offer stands"));
        };
        let remote = self.check_answer(&own, answer).inspect_err(|_| {
            self.restart_wanted |= own.restarts;
            self.grant_wanted |= own.grants;
            self.offer_after = now + OFFER_PAUSE;
        })?;
        let mut changes = Changes::default();
        let ice = self.take_remote(remote);
        self.told = Some(own.ice);
        // What was asked for is answered now; the shard states what is still missing.
        self.requests.clear();
        let asked_data = |line: &OfferedLine| matches!(line.content, OfferedContent::Data);
        self.data_wanted &= !own.lines.iter().any(asked_data);
        let mut refusals = Vec::new();
        for (index, (line, section)) in own.lines.into_iter().zip(&answer.sections).enumerate() {
            self.numbers.learn(section);
            let usable = is_offered(answer, section);
            self.grant_wanted |= usable && self.is_unasked(&line, (section, own.grants), local);
            let settled = self.settle_answered(line, section, usable, &mut refusals);
            changes.note(self.sections.get(index), &settled);
            self.put(index, settled);
        }
        changes.begins.extend(refusals);
        Ok(gather(ice, changes))
    }

    /// Which of their m-lines can be used, and for what.
    fn judge(
        &self,
        offer: &Description,
        local: &LocalParameters<'_>,
    ) -> Result<Vec<Verdict>, CommandError> {
        if offer.sections.len() < self.sections.len() {
            // RFC 9429 §5.2.2: an m-line never goes away, its port becomes 0.
            let why = format!("m-lines are missing: there were {}", self.sections.len());
            return Err(unusable(None, why));
        }
        if offer.sections.len() > limits::SECTIONS_PER_TRANSPORT {
            return Err(CommandError::LimitReached {
                limit: "SECTIONS_PER_TRANSPORT",
                value: limits::SECTIONS_PER_TRANSPORT as u64,
            });
        }
        let mut tracks = local.tracks_max.min(limits::TRACKS_PER_PARTICIPANT);
        let mut has_data = false;
        let mut unknown = None;
        let mut verdicts = Vec::with_capacity(offer.sections.len());
        for (index, offered) in offer.sections.iter().enumerate() {
            self.check_place(index, offered)?;
            if !is_offered(offer, offered) {
                verdicts.push(Verdict::Stopped);
                continue;
            }
            let verdict = match offered.kind {
                // One SCTP association has all data channels (RFC 8841 §4.3).
                SectionKind::Data if !has_data => {
                    has_data = true;
                    Verdict::Data
                }
                SectionKind::Data | SectionKind::Unknown => Verdict::Stopped,
                SectionKind::Media(kind) => {
                    let verdict = self.judge_media(index, offered, kind, local, &mut tracks)?;
                    if matches!(verdict, Verdict::Stopped) {
                        unknown = unknown.or(Some(index));
                    }
                    verdict
                }
            };
            verdicts.push(verdict);
        }
        let nothing = verdicts
            .iter()
            .all(|verdict| matches!(verdict, Verdict::Stopped));
        match unknown.filter(|_| nothing) {
            Some(section) => Err(CommandError::UnsupportedCodec {
                section,
                offered: offer
                    .sections
                    .get(section)
                    .map(negotiate::names_offered)
                    .unwrap_or_default(),
            }),
            None => Ok(verdicts),
        }
    }

    /// An m-line keeps its place, and its mid until it is turned down.
    fn check_place(&self, index: usize, offered: &SectionDescription) -> Result<(), CommandError> {
        let known = self.sections.get(index).filter(|known| !known.is_stopped());
        let Some(known) = known.filter(|_| !offered.rejected) else {
            return Ok(());
        };
        if known.mid != offered.mid {
            let why = format!(
                "this m-line had mid {}; m-lines keep their order",
                known.mid
            );
            return Err(unusable(Some(index), why));
        }
        let same = match &known.line {
            Line::Media(media) => offered.kind == SectionKind::Media(media.plan.kind),
            Line::Data { .. } => offered.kind == SectionKind::Data,
            Line::Stopped(_) => true,
        };
        if same {
            return Ok(());
        }
        Err(unusable(
            Some(index),
            "an m-line cannot become one of another kind",
        ))
    }

    fn judge_media(
        &self,
        index: usize,
        offered: &SectionDescription,
        kind: MediaKind,
        local: &LocalParameters<'_>,
        tracks: &mut usize,
    ) -> Result<Verdict, CommandError> {
        if !offered.rtcp_mux {
            return Err(unusable(
                Some(index),
                "a=rtcp-mux is missing; RTCP shares the port here",
            ));
        }
        let Some(mut plan) = negotiate::plan(offered, local.codecs) else {
            return Ok(Verdict::Stopped);
        };
        // One id means one thing on all m-lines (RFC 9143 §9.2); what contradicts is left out.
        for extension in Extension::ALL {
            if let Some(id) = plan.extensions.id(extension)
                && !self.numbers.agrees(extension, id)
            {
                plan.extensions.set(extension, 0);
            }
        }
        let receiving = offered.direction.sends() && local.may_publish(kind) && *tracks > 0;
        *tracks = tracks.saturating_sub(usize::from(receiving));
        Ok(Verdict::Media {
            plan,
            receiving,
            withheld: offered.direction.sends() && !receiving,
            sending: offered.direction.receives(),
        })
    }

    /// What they say of the transport; roles and certificates stay as they are once agreed.
    fn remote_transport(
        &self,
        tagged: &SectionDescription,
    ) -> Result<RemoteTransport, CommandError> {
        let Some(ice) = tagged.ice.clone() else {
            return Err(unusable(None, "a=ice-ufrag and a=ice-pwd are missing"));
        };
        let known = self.remote.as_ref();
        if known.is_some_and(|known| known.fingerprints != tagged.fingerprints) {
            let why = "a=fingerprint: the certificate stays as it was; join anew with another";
            return Err(unusable(None, why));
        }
        let known = known.map(|remote| remote.setup);
        // RFC 8842 §5.3: we answer passive wherever we may; whoever says nothing is active.
        let setup = match (tagged.setup, known) {
            (Some(Setup::Passive), None | Some(Setup::Passive)) => Setup::Passive,
            (None | Some(Setup::ActPass), Some(known)) => known,
            (None | Some(Setup::ActPass), None) => Setup::Active,
            (Some(Setup::Active), None | Some(Setup::Active | Setup::ActPass)) => Setup::Active,
            (Some(Setup::Active), Some(Setup::Passive))
            | (Some(Setup::Passive), Some(Setup::Active | Setup::ActPass)) => {
                return Err(unusable(
                    None,
                    "a=setup: the DTLS roles stay as they were agreed",
                ));
            }
        };
        Ok(RemoteTransport {
            ice,
            fingerprints: tagged.fingerprints.clone(),
            setup,
        })
    }

    const fn our_setup(&self) -> Setup {
        match &self.remote {
            Some(RemoteTransport {
                setup: Setup::Passive,
                ..
            }) => Setup::Active,
            Some(_) | None => Setup::Passive,
        }
    }

    /// Their transport counts from now on; the change, where it is one.
    fn take_remote(&mut self, remote: Option<RemoteTransport>) -> Option<Change> {
        let remote = remote.filter(|remote| self.remote.as_ref() != Some(remote))?;
        let before = self.remote.replace(remote.clone());
        Some(Change::Ice {
            restart: before.is_some_and(|before| before.ice != remote.ice),
            credentials: remote.ice,
            fingerprints: remote.fingerprints,
            setup: remote.setup,
        })
    }

    /// The state their offered m-line leads to.
    fn settle(
        &self,
        index: usize,
        offered: &SectionDescription,
        verdict: Verdict,
        ssrc: &mut dyn FnMut() -> u32,
    ) -> Section {
        let line = match verdict {
            Verdict::Stopped => Line::Stopped(Box::new(negotiate::reject(offered))),
            Verdict::Data => data_line(offered),
            Verdict::Media {
                plan,
                receiving,
                withheld,
                sending,
            } => {
                let known = self
                    .sections
                    .get(index)
                    .filter(|known| known.mid == offered.mid);
                let maker = known.and_then(|known| Some(known.media()?.maker));
                let known = known.and_then(|known| known.sending().or(known.resting.as_ref()));
                let maker = maker.unwrap_or(Maker::They).told(offered, known);
                let known = known.cloned();
                let sending = sending.then(|| {
                    known.unwrap_or_else(|| {
                        self.make_sending(plan.kind, &self.spare_stream(index, plan.kind), ssrc)
                    })
                });
                Line::Media(Box::new(Media {
                    plan,
                    receiving,
                    withheld,
                    sending,
                    maker,
                }))
            }
        };
        Section {
            mid: offered.mid,
            line,
            resting: None,
        }
    }

    /// The stream of a section nobody has asked for: the n-th audio and the n-th video m-line are
    /// one, so that a page that shows `streams[0]` finds sound and picture in it.
    fn spare_stream(&self, index: usize, kind: MediaKind) -> String {
        let before = self.sections.iter().take(index).filter_map(Section::media);
        format!(
            "plenum-{}",
            before.filter(|media| media.plan.kind == kind).count()
        )
    }

    /// Their answer is one to our offer, and what it says of the transport.
    fn check_answer(
        &self,
        own: &OwnOffer,
        answer: &Description,
    ) -> Result<Option<RemoteTransport>, CommandError> {
        if answer.sections.len() != own.lines.len() {
            let why = format!("the answer wants {} m-lines as the offer", own.lines.len());
            return Err(unusable(None, why));
        }
        for (index, (line, section)) in own.lines.iter().zip(&answer.sections).enumerate() {
            let stopped = matches!(line.content, OfferedContent::Stopped);
            if line.mid != section.mid && !stopped && !section.rejected {
                let why = format!("the offer has mid {} here", line.mid);
                return Err(unusable(Some(index), why));
            }
        }
        let tagged = answer
            .sections
            .iter()
            .find(|section| is_offered(answer, section));
        tagged
            .map(|tagged| self.remote_transport(tagged))
            .transpose()
    }

    /// The state our offered m-line leads to.
    fn settle_answered(
        &mut self,
        line: OfferedLine,
        section: &SectionDescription,
        usable: bool,
        refusals: &mut Vec<Change>,
    ) -> Section {
        let mid = line.mid;
        let OfferedMedia {
            plan,
            direction,
            sending,
            request,
            withheld,
            maker,
        } = match line.content {
            OfferedContent::Data if usable => {
                return Section {
                    mid,
                    line: data_line(section),
                    resting: None,
                };
            }
            OfferedContent::Stopped | OfferedContent::Data => {
                return Section {
                    mid,
                    line: stopped_line(mid, section),
                    resting: None,
                };
            }
            OfferedContent::Media(media) => *media,
        };
        let agreed = negotiate::plan_answered(&plan, section).filter(|_| usable);
        let agreed_direction = match &agreed {
            Some(_) => Direction::of(
                direction.sends() && section.direction.receives(),
                direction.receives() && section.direction.sends(),
            ),
            None => Direction::Inactive,
        };
        if let Some(request) = request {
            let carried = agreed
                .as_ref()
                .and_then(|plan| plan.for_format(&request.format));
            let left_out = carried.is_none() && usable && section.direction.receives();
            let known = self.refused.len() >= limits::SDP_PAYLOADS || self.refuses(&request.format);
            if left_out && !known {
                self.refused.push(request.format);
            }
            if carried.is_none() || !agreed_direction.sends() {
                refusals.push(Change::SectionRefused(request));
            }
        }
        if !usable {
            return Section {
                mid,
                line: stopped_line(mid, section),
                resting: None,
            };
        }
        let maker = maker.told(section, sending.as_ref());
        let media = Media {
            plan: agreed.unwrap_or(plan),
            receiving: agreed_direction.receives(),
            // Where we asked for it they have said by now whether they would.
            withheld: (withheld || maker == Maker::We { is_named: true }) && !direction.receives(),
            sending: sending.filter(|_| agreed_direction.sends()),
            maker,
        };
        Section {
            mid,
            line: Line::Media(Box::new(media)),
            resting: None,
        }
    }

    /// Their answer names, on an m-line of ours, what they would send and do not, since our offer did
    /// not ask for it: their page added a track while our offer was on its way. Chromium finds then
    /// that its answer says all that there is to say, and does not ask its page to negotiate (W3C
    /// webrtc §4.7.3, webrtc-pc #2919): nobody would ever speak of it again. An offer that asked for
    /// such ones already (`was_asked`) is followed by another for what is newly named alone.
    fn is_unasked(
        &self,
        line: &OfferedLine,
        (section, was_asked): (&SectionDescription, bool),
        local: &LocalParameters<'_>,
    ) -> bool {
        let OfferedContent::Media(media) = &line.content else {
            return false;
        };
        let was_named = match media.maker {
            Maker::They => return false,
            Maker::We { is_named } => is_named,
        };
        let is_asked = media.direction.receives() || media.withheld || (was_asked && was_named);
        !is_asked
            && names_track(section, media.sending.as_ref())
            && local.may_publish(media.plan.kind)
            && self.grants_left(local) > 0
    }

    fn put(&mut self, index: usize, mut section: Section) {
        match self.sections.get_mut(index) {
            Some(place) => {
                section.succeed(place);
                *place = section;
            }
            None => self.sections.push(section),
        }
    }

    /// What they show now they no longer refuse.
    fn forgive(&mut self) {
        let plans = self
            .sections
            .iter()
            .filter_map(Section::media)
            .map(|media| &media.plan);
        let plans: Vec<&MediaPlan> = plans.collect();
        self.refused
            .retain(|format| !plans.iter().any(|plan| plan.for_format(format).is_some()));
    }
}

fn gather(ice: Option<Change>, changes: Changes) -> Vec<Change> {
    ice.into_iter()
        .chain(changes.ends)
        .chain(changes.begins)
        .collect()
}

/// It is on, and on the one transport there is: in the BUNDLE group, or alone.
fn is_offered(description: &Description, section: &SectionDescription) -> bool {
    let bundled = if description.bundle.is_empty() {
        let mut sections = description.sections.iter();
        let first = sections.find(|section| is_known(section));
        first.is_some_and(|first| first.mid == section.mid)
    } else {
        description.bundle.contains(&section.mid)
    };
    is_known(section) && bundled
}

fn is_known(section: &SectionDescription) -> bool {
    !section.rejected && section.kind != SectionKind::Unknown
}

fn data_line(theirs: &SectionDescription) -> Line {
    Line::Data {
        sctp_port: theirs.sctp_port.unwrap_or(crate::sdp::write::SCTP_PORT),
        message_bytes_max: theirs.message_bytes_max,
    }
}

/// Turned down, under our name for it.
fn stopped_line(mid: Mid, theirs: &SectionDescription) -> Line {
    let mut text = negotiate::reject(theirs);
    text.mid = mid;
    Line::Stopped(Box::new(text))
}

/// The m-line of our answer, without transport.
fn answered_text(
    section: &Section,
    offered: &SectionDescription,
    cname: &str,
) -> SectionDescription {
    let mut text = match &section.line {
        Line::Stopped(text) => return (**text).clone(),
        Line::Data { .. } => data_text(section.mid),
        Line::Media(media) => {
            let direction = Direction::of(media.sending.is_some(), media.receiving);
            media_text(&media.plan, direction, media.sending.as_ref(), cname)
        }
    };
    text.protocol.clone_from(&offered.protocol);
    // RFC 8285 §6: an extension travels the other way in the answer.
    for extmap in &mut text.extensions {
        let theirs = offered
            .extensions
            .iter()
            .find(|theirs| theirs.id == extmap.id);
        extmap.direction = theirs
            .map(|theirs| theirs.direction.reversed())
            .unwrap_or_default();
    }
    text
}
