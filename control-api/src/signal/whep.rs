//! WHEP (draft-ietf-wish-whep): POST to `/whep/{room}` plays by one offer and one answer. What is
//! shown: `?track=` (it may stand there more than once), `?participant=`, or whoever speaks.
//!
//! The answer comes at once, whether or not there is anything to show yet: the m-lines are open and
//! carry media as soon as somebody publishes. Players ask once and rarely again, so the draft's
//! other way, 409 until somebody publishes, would leave them dark.
//!
//! What a section shows changes without SDP: its numbering runs on under the next track.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use sfu::sdp::Description;
use sfu::sdp::description::{Direction, SectionKind};
use sfu::shard::command::Wish;
use sfu::units::MediaKind;
use tokio::time::{Instant, sleep_until};
use tracing::Instrument as _;

use super::entry::{Entry, carried_through, check_usable, unusable};
use super::follow::{Follow, Places, Rule};
use super::request::{self, OwnWords};
use super::whip::forget;
use crate::http::problem::Refusal;
use crate::node::Node;
use crate::registry::spec::{not_permitted, track_from_label};
use crate::registry::{
    Door, NewsReceiver, ParticipantName, RoomName, RoomNews, Seat, TooSlow, Wishes,
};
use crate::status::{Failure, Reason};

/// Wishes that were refused (a track is gone, a permission is missing) are stated again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// POST of a viewer.
pub(super) async fn view(
    State(node): State<Node>,
    Path(room): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let grant = request::grant(&node, request.headers()).await?;
    let room = RoomName::new(room)?;
    let rule = rule(&request::query(request.uri())?)?;
    let mut offer = request::offer(&request::post(request).await?)?;
    only_receiving(&mut offer)?;
    check_usable(&offer)?;
    // Here `participant` names who is watched; who watches is the token's matter.
    let join = request::join(&node, room, grant, OwnWords::default(), Door::Whep)?;
    if !join.spec.permissions.subscribe {
        return Err(not_permitted("subscribe").into());
    }
    let places = Places::of(&offer);
    carried_through(async move {
        let entry = Entry::join(&node, join).await?;
        let seat = entry.seat();
        let (response, id, joined) = entry.answer(offer).await?;
        let follow = Follow::new(rule, places, &joined.view.name, &joined.others);
        let span = tracing::info_span!("whep", room = %joined.room.name);
        let stay = async move {
            stay(&node, seat, follow, joined.news).await;
            forget(&node, &id);
        };
        drop(tokio::spawn(stay.instrument(span)));
        Ok(response)
    })
    .await
}

/// Keeps the wishes in line with what is to be shown, until the participant is gone.
async fn stay(node: &Node, seat: Seat, mut follow: Follow, mut news: NewsReceiver) {
    let mut batch = Vec::new();
    let mut again_at = None::<Instant>;
    loop {
        let now = Instant::now();
        if again_at.is_none_or(|at| at <= now) {
            let wishes = follow.wishes(now);
            again_at = match state(node, seat, &wishes).await {
                Ok(()) => {
                    follow.stated(&wishes);
                    None
                }
                Err(failure) => {
                    tracing::debug!(reason = %failure.reason, "wishes refused");
                    Some(now + AGAIN_AFTER)
                }
            };
        }
        let wake_at = again_at.or_else(|| follow.due());
        let sleep = sleep_until(wake_at.unwrap_or(now + AGAIN_AFTER));
        tokio::select! {
            told = news.receive(&mut batch) => {
                match told {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(TooSlow) => {
                        // What is shown goes on; who speaks is not followed any more.
                        tracing::warn!("a viewer's news came faster than they were read");
                        return news.ended().await;
                    }
                }
                let now = Instant::now();
                for one in batch.drain(..) {
                    if matches!(one, RoomNews::Leave { .. }) {
                        return;
                    }
                    follow.hear(now, one);
                }
            }
            () = sleep, if wake_at.is_some() => {}
        }
    }
}

async fn state(node: &Node, seat: Seat, wishes: &[Wish]) -> Result<(), Failure> {
    if wishes.is_empty() {
        return Ok(());
    }
    let wishes = Wishes {
        tracks: wishes.to_vec(),
        ..Wishes::default()
    };
    node.registry().subscribe(seat, wishes).await
}

/// What a query asks to be shown.
fn rule(query: &[(String, String)]) -> Result<Rule, Failure> {
    let values = |wanted: &'static str| {
        let found = query.iter().filter(move |(name, _)| name == wanted);
        found.map(|(_, value)| value.as_str())
    };
    let track = |label| track_from_label(label).ok_or_else(|| Failure::of(Reason::TrackNotFound));
    let tracks: Vec<_> = values("track").map(track).collect::<Result<_, _>>()?;
    if !tracks.is_empty() {
        return Ok(Rule::Tracks(tracks));
    }
    Ok(match values("participant").next_back() {
        Some(name) => Rule::Participant(ParticipantName::new(name)?),
        None => Rule::Speaker,
    })
}

/// A player receives; one that offers both ways is answered `sendonly` all the same.
fn only_receiving(offer: &mut Description) -> Result<(), Failure> {
    let is_media = |kind| matches!(kind, SectionKind::Media(_));
    let mut sections = offer.sections.iter();
    let wrong = sections.position(|it| is_media(it.kind) && it.direction == Direction::SendOnly);
    if let Some(index) = wrong {
        return Err(unusable(offer, index, "a player's is recvonly"));
    }
    let mut receives = false;
    for section in offer.sections.iter_mut().filter(|it| is_media(it.kind)) {
        if section.direction.receives() {
            section.direction = Direction::RecvOnly;
            receives |= !section.rejected;
        }
    }
    if receives {
        return Ok(());
    }
    let why = "nothing would be played: there is no audio and no video m-line that receives";
    Err(Failure::new(Reason::SdpInvalid, why))
}

impl Places {
    /// The m-lines of an offer that receive.
    fn of(offer: &Description) -> Self {
        let count = |kind| {
            let sections = offer.sections.iter();
            let open = sections.filter(|it| !it.rejected && it.direction.receives());
            open.filter(|it| it.kind == SectionKind::Media(kind))
                .count()
        };
        Self {
            audio: count(MediaKind::Audio),
            video: count(MediaKind::Video),
        }
    }
}
