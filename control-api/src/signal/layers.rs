//! `layers`: what a participant's path carries, what it is given of each picture, and why.

use serde::Serialize;
use sfu::router::allocator::Reason;
use sfu::shard::event::{EstimateFacts, GivenLayer, LayerFacts, LayersFacts};
use sfu::time::Instant;
use sfu::transport::congestion::Cause;

use crate::registry::spec::track_label;

/// All of it, in place of what was told before.
#[derive(Debug, Serialize)]
pub(super) struct LayersOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<EstimateOut>,
    subscriptions: Vec<SubscriptionLayerOut>,
}

#[derive(Debug, Serialize)]
struct EstimateOut {
    bitrate_bps: u64,
    cause: &'static str,
}

#[derive(Debug, Serialize)]
struct LayerOut {
    spatial: u8,
    temporal: u8,
    bitrate_bps: u64,
}

#[derive(Debug, Serialize)]
struct SubscriptionLayerOut {
    track: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<LayerOut>,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed_bitrate_bps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available_bitrate_bps: Option<u64>,
    /// The wished one, where that is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_ms: Option<u64>,
}

impl From<&LayersFacts> for LayersOut {
    fn from(facts: &LayersFacts) -> Self {
        let subscriptions = facts.subscriptions.iter();
        Self {
            estimate: facts.estimate.as_ref().map(EstimateOut::from),
            subscriptions: subscriptions
                .map(|one| SubscriptionLayerOut::new(one, facts.decided_at))
                .collect(),
        }
    }
}

impl From<&EstimateFacts> for EstimateOut {
    fn from(facts: &EstimateFacts) -> Self {
        Self {
            bitrate_bps: facts.bitrate.as_bps(),
            cause: match facts.cause {
                Cause::Growing => "GROWING",
                Cause::Unused => "UNUSED",
                Cause::Queue => "QUEUE",
                Cause::Loss => "LOSS",
                Cause::Silence => "SILENCE",
            },
        }
    }
}

impl From<GivenLayer> for LayerOut {
    fn from(given: GivenLayer) -> Self {
        Self {
            spatial: given.layer.spatial,
            temporal: given.layer.temporal,
            bitrate_bps: given.bitrate.as_bps(),
        }
    }
}

impl SubscriptionLayerOut {
    fn new(facts: &LayerFacts, decided_at: Instant) -> Self {
        let bare = Self {
            track: track_label(facts.track),
            layer: facts.layer.map(LayerOut::from),
            reason: label(&facts.reason),
            needed_bitrate_bps: None,
            available_bitrate_bps: None,
            height: None,
            hold_ms: None,
        };
        match facts.reason {
            Reason::Full | Reason::NotWanted | Reason::NoLayer => bare,
            Reason::WantedSize { height } => Self {
                height: Some(height),
                ..bare
            },
            Reason::Held { until } => Self {
                hold_ms: u64::try_from(until.since(decided_at).as_millis()).ok(),
                ..bare
            },
            Reason::Budget { needed, available }
            | Reason::Paused { needed, available }
            | Reason::MayNotPause { needed, available } => Self {
                needed_bitrate_bps: Some(needed.as_bps()),
                available_bitrate_bps: Some(available.as_bps()),
                ..bare
            },
        }
    }
}

const fn label(reason: &Reason) -> &'static str {
    match reason {
        Reason::Full => "FULL",
        Reason::WantedSize { .. } => "WANTED_SIZE",
        Reason::Budget { .. } => "BUDGET",
        Reason::Paused { .. } => "PAUSED",
        Reason::Held { .. } => "HELD",
        Reason::MayNotPause { .. } => "MAY_NOT_PAUSE",
        Reason::NotWanted => "NOT_WANTED",
        Reason::NoLayer => "NO_LAYER",
    }
}

#[cfg(test)]
mod tests {
    use sfu::id::TrackId;
    use sfu::units::{Bitrate, Layer};

    use super::*;

    #[test]
    fn each_reason_is_told_with_its_figures() {
        let (needed, available) = (Bitrate::from_kbps(150), Bitrate::from_kbps(90));
        let until = Instant::from_millis(3_500);
        for (reason, expected) in [
            (Reason::Full, r#""reason":"FULL""#),
            (
                Reason::WantedSize { height: 360 },
                r#""reason":"WANTED_SIZE","height":360"#,
            ),
            (
                Reason::Budget { needed, available },
                r#""reason":"BUDGET","needed_bitrate_bps":150000,"available_bitrate_bps":90000"#,
            ),
            (
                Reason::Paused { needed, available },
                r#""reason":"PAUSED","needed_bitrate_bps":150000,"available_bitrate_bps":90000"#,
            ),
            (Reason::Held { until }, r#""reason":"HELD","hold_ms":2500"#),
            (
                Reason::MayNotPause { needed, available },
                r#""reason":"MAY_NOT_PAUSE","needed_bitrate_bps":150000,"available_bitrate_bps":90000"#,
            ),
            (Reason::NotWanted, r#""reason":"NOT_WANTED""#),
            (Reason::NoLayer, r#""reason":"NO_LAYER""#),
        ] {
            let facts = LayersFacts {
                estimate: None,
                decided_at: Instant::from_millis(1_000),
                subscriptions: vec![LayerFacts {
                    track: TrackId(1),
                    layer: None,
                    reason,
                }],
            };
            let text = serde_json::to_string(&LayersOut::from(&facts)).unwrap();
            let expected = format!(r#"{{"subscriptions":[{{"track":"t1",{expected}}}]}}"#);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn the_estimate_has_its_cause_and_a_given_layer_its_bitrate() {
        let facts = LayersFacts {
            estimate: Some(EstimateFacts {
                bitrate: Bitrate::from_kbps(700),
                cause: Cause::Queue,
            }),
            decided_at: Instant::ZERO,
            subscriptions: vec![LayerFacts {
                track: TrackId(2),
                layer: Some(GivenLayer {
                    layer: Layer {
                        spatial: 1,
                        temporal: 2,
                    },
                    bitrate: Bitrate::from_kbps(500),
                }),
                reason: Reason::Full,
            }],
        };
        let text = serde_json::to_string(&LayersOut::from(&facts)).unwrap();
        assert_eq!(
            text,
            r#"{"estimate":{"bitrate_bps":700000,"cause":"QUEUE"},"subscriptions":[{"track":"t2","layer":{"spatial":1,"temporal":2,"bitrate_bps":500000},"reason":"FULL"}]}"#
        );
    }
}
