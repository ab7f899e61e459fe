//! Offers as Chromium 156 and Firefox 153 ESR wrote them, and chance for tests.

use super::{Description, parse};
use crate::sdp::description::SdpType;

macro_rules! fixtures {
    ($($name:literal,)*) => {
        /// All of them, by name.
        pub(crate) const ALL: &[(&str, &str)] = &[$(
            ($name, include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sdp/", $name, ".sdp"
            ))),
        )*];
    };
}

fixtures! {
    "chromium-data",
    "chromium-everything",
    "chromium-recvonly",
    "chromium-screen",
    "chromium-sendrecv",
    "chromium-sendrecv-trickle",
    "chromium-simulcast",
    "firefox-data",
    "firefox-everything",
    "firefox-recvonly",
    "firefox-screen",
    "firefox-sendrecv",
    "firefox-sendrecv-trickle",
    "firefox-simulcast",
}

/// One of them as text.
pub(crate) fn text(name: &str) -> &'static str {
    ALL.iter()
        .find(|(known, _)| *known == name)
        .expect("a fixture of that name")
        .1
}

/// One of them as an offer.
pub(crate) fn offer(name: &str) -> Description {
    parse(SdpType::Offer, text(name)).expect("fixtures can be used")
}

/// Chance from a seed (SplitMix64).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// 0 to `end` - 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).expect("below a usize")
    }
}
