//! Subscriptions: what is wished, and what became of it.

use std::collections::BTreeMap;

use prost_types::FieldMask;
use proto::v1;
use sfu::id::TrackId;
use sfu::router::allocator::Reason;
use sfu::shard::command::Wish;
use sfu::shard::event::{LayerFacts, PauseReason};
use sfu::units::Bitrate;

use super::mask::masked;
use super::name::{participant_path, subscription_name};
use crate::registry::spec::track_label;
use crate::registry::{ParticipantName, RoomName, SubscriptionView};
use crate::status::Failure;

/// A subscription for an answer. What is not chosen by the server yet has no layer and no bitrate.
pub(crate) fn subscription(
    (room, participant): (&RoomName, &ParticipantName),
    view: &SubscriptionView,
) -> v1::Subscription {
    let owner = participant_path(room, participant);
    let facts = view.facts.as_ref();
    let mid = facts.and_then(|facts| facts.mid.as_ref());
    let paused = facts.and_then(|facts| facts.paused);
    // A decision about what is paused for another reason is an old one.
    let is_decided = matches!(paused, None | Some(PauseReason::Bandwidth { .. }));
    let layer = view.layer.filter(|_| is_decided);
    let given = layer.and_then(|layer| layer.layer);
    let (needed, available) = figures(layer, paused);
    v1::Subscription {
        name: format!("{owner}/subscriptions/{}", track_label(view.track)),
        wish: Some(v1::Wish {
            height: view.wish.height.into(),
            priority: view.wish.priority.into(),
            paused: view.wish.paused,
            unwanted: !view.wish.wanted,
            pinned: view.wish.pinned,
            ..v1::Wish::default()
        }),
        pause_reason: paused
            .map_or(v1::subscription::PauseReason::Unspecified, pause_reason)
            .into(),
        layer_spatial: given.map_or(0, |given| given.layer.spatial.into()),
        layer_temporal: given.map_or(0, |given| given.layer.temporal.into()),
        bitrate_bps: given.map_or(0, |given| bps(given.bitrate)),
        layer_reason: layer
            .map_or(v1::subscription::LayerReason::Unspecified, |layer| {
                layer_reason(layer.reason)
            })
            .into(),
        needed_bitrate_bps: needed,
        available_bitrate_bps: available,
        mid: mid.map(ToString::to_string).unwrap_or_default(),
    }
}

/// What is needed and what there is, where a bitrate is the reason of anything.
fn figures(layer: Option<LayerFacts>, paused: Option<PauseReason>) -> (i64, i64) {
    if let Some(PauseReason::Bandwidth { needed, available }) = paused {
        return (bps(needed), bps(available));
    }
    match layer.map(|layer| layer.reason) {
        Some(
            Reason::Budget { needed, available }
            | Reason::Paused { needed, available }
            | Reason::MayNotPause { needed, available },
        ) => (bps(needed), bps(available)),
        Some(
            Reason::Full
            | Reason::WantedSize { .. }
            | Reason::Held { .. }
            | Reason::NotWanted
            | Reason::NoLayer,
        )
        | None => (0, 0),
    }
}

const fn layer_reason(reason: Reason) -> v1::subscription::LayerReason {
    use v1::subscription::LayerReason as Out;
    match reason {
        Reason::Full => Out::Full,
        Reason::WantedSize { .. } => Out::WantedSize,
        Reason::Budget { .. } => Out::Budget,
        Reason::Paused { .. } => Out::Paused,
        Reason::Held { .. } => Out::Held,
        Reason::MayNotPause { .. } => Out::MayNotPause,
        Reason::NotWanted => Out::NotWanted,
        Reason::NoLayer => Out::NoLayer,
    }
}

fn bps(bitrate: Bitrate) -> i64 {
    i64::try_from(bitrate.as_bps()).unwrap_or(i64::MAX)
}

const fn pause_reason(reason: PauseReason) -> v1::subscription::PauseReason {
    use v1::subscription::PauseReason as Out;
    match reason {
        PauseReason::Wished => Out::Wished,
        PauseReason::CodecUnsupported => Out::CodecUnsupported,
        PauseReason::Muted => Out::Muted,
        PauseReason::LimitReached => Out::LimitReached,
        PauseReason::Quieter => Out::Quieter,
        PauseReason::Bandwidth { .. } => Out::Bandwidth,
    }
}

/// What is wished of tracks, on top of what was wished before.
pub(crate) fn wishes(
    owner: (&RoomName, &ParticipantName),
    stated: Vec<v1::Subscription>,
    mask: Option<&FieldMask>,
    before: &BTreeMap<TrackId, Wish>,
) -> Result<Vec<Wish>, Failure> {
    let read = |stated: v1::Subscription| {
        let track = subscription_name("subscriptions.name", &stated.name, owner)?;
        let plain = Wish {
            track,
            wanted: true,
            paused: false,
            priority: PRIORITY,
            height: 0,
            pinned: false,
        };
        let before = before.get(&track).copied().unwrap_or(plain);
        wish(&stated.wish.unwrap_or_default(), mask, (before, plain))
    };
    stated.into_iter().map(read).collect()
}

/// The priority where nothing is said.
const PRIORITY: u8 = 128;

fn wish(
    stated: &v1::Wish,
    mask: Option<&FieldMask>,
    (before, plain): (Wish, Wish),
) -> Result<Wish, Failure> {
    const ABSENT: &[&str] = &["wish.width", "wish.frame_rate"];
    for (set, field) in [
        (stated.width != 0, "subscriptions.wish.width"),
        (stated.frame_rate != 0, "subscriptions.wish.frame_rate"),
    ] {
        if set {
            return Err(Failure::absent(field));
        }
    }
    let fields = [
        ("wish.height", stated.height != 0),
        ("wish.priority", stated.priority != 0),
        ("wish.paused", stated.paused),
        ("wish.unwanted", stated.unwanted),
        ("wish.pinned", stated.pinned),
    ];
    let height = u16::try_from(stated.height)
        .map_err(|_| Failure::field("subscriptions.wish.height", "from 0 to 65535"))?;
    let priority = match stated.priority {
        0 => plain.priority,
        priority => u8::try_from(priority)
            .map_err(|_| Failure::field("subscriptions.wish.priority", "from 1 to 255"))?,
    };
    let mut wish = before;
    for path in masked("subscriptions", mask.cloned(), &fields, ABSENT)? {
        match path {
            "wish.height" => wish.height = height,
            "wish.priority" => wish.priority = priority,
            "wish.paused" => wish.paused = stated.paused,
            "wish.pinned" => wish.pinned = stated.pinned,
            "wish.unwanted" => wish.wanted = !stated.unwanted,
            _ => {}
        }
    }
    Ok(wish)
}
