//! Descriptors as Chromium 156 sent them, and structures from tables like those of A.10.2.

use arrayvec::ArrayVec;

use super::{Dependencies, DependencyStructure, Indication, Indications, Resolution, Template};
use crate::units::Layer;

macro_rules! captures {
    ($($name:literal,)*) => {
        /// All of them, by name: values in the order they were sent, one a line.
        pub(crate) const CAPTURES: &[(&str, &str)] = &[$(
            ($name, include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/dependency_descriptor/", $name, ".hex"
            ))),
        )*];
    };
}

captures! {
    "chromium-av1-l1t3",
    "chromium-av1-l3t3",
    "chromium-av1-s2t3",
    "chromium-vp8-l1t3",
    "chromium-vp9-l3t3-key",
}

/// The values of a capture.
pub(crate) fn capture(name: &str) -> Vec<Vec<u8>> {
    let found = CAPTURES.iter().find(|(known, _)| *known == name);
    let (_, text) = found.unwrap_or_else(|| panic!("no capture {name}"));
    text.lines().map(bytes).collect()
}

/// Hex as bytes.
pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// One row of a table: spatial and temporal layer, indications, frame and chain differences.
pub(crate) type Row<'a> = (u8, u8, &'a str, &'a [u16], &'a [u8]);

/// The symbols of table A.1 as values.
pub(crate) fn indications(symbols: &str) -> Indications {
    let mut indications = Indications::default();
    for (symbol, target) in symbols.chars().zip(0..) {
        let indication = match symbol {
            '-' => Indication::NotPresent,
            'D' => Indication::Discardable,
            'S' => Indication::Switch,
            'R' => Indication::Required,
            other => panic!("no indication {other}"),
        };
        indications.set(target, indication);
    }
    indications
}

/// The templates of a table.
pub(crate) fn templates<const N: usize>(rows: &[Row<'_>]) -> ArrayVec<Template, N> {
    let template = |&(spatial, temporal, symbols, frame_diffs, chain_diffs): &Row<'_>| Template {
        layer: Layer { spatial, temporal },
        dependencies: Dependencies {
            indications: indications(symbols),
            frame_diffs: frame_diffs.iter().copied().collect(),
            chain_diffs: chain_diffs.iter().copied().collect(),
        },
    };
    rows.iter().map(template).collect()
}

/// A structure from its table.
pub(crate) fn structure(
    template_id_offset: u8,
    rows: &[Row<'_>],
    protected_by: &[u8],
    sizes: &[(u32, u32)],
) -> DependencyStructure {
    let targets = u8::try_from(rows[0].2.len()).unwrap();
    let resolution = |&(width, height): &(u32, u32)| Resolution { width, height };
    DependencyStructure::new(
        template_id_offset,
        targets,
        templates(rows),
        protected_by.iter().copied().collect(),
        sizes.iter().map(resolution).collect(),
    )
    .expect("a consistent table")
}

/// A.10.2.1: one spatial layer with three temporal layers.
pub(crate) const L1T3: &[Row<'_>] = &[
    (0, 0, "SSS", &[], &[0]),
    (0, 0, "SSS", &[4], &[4]),
    (0, 1, "SD-", &[2], &[2]),
    (0, 2, "D--", &[1], &[1]),
    (0, 2, "D--", &[1], &[3]),
];

/// A.10.2.2: three spatial layers, each leaning on the one below, with three temporal layers.
pub(crate) const L3T3: &[Row<'_>] = &[
    (0, 0, "SSSSSSSSS", &[], &[0, 0, 0]),
    (0, 0, "RRRRRRSSS", &[12], &[12, 11, 10]),
    (0, 1, "RR-RR-SD-", &[6], &[6, 5, 4]),
    (0, 2, "R--R--D--", &[3], &[3, 2, 1]),
    (0, 2, "R--R--D--", &[3], &[9, 8, 7]),
    (1, 0, "SSSSSS---", &[1], &[1, 1, 1]),
    (1, 0, "RRRSSS---", &[12, 1], &[1, 1, 1]),
    (1, 1, "RR-SD----", &[6, 1], &[7, 6, 5]),
    (1, 2, "R--D-----", &[3, 1], &[4, 3, 2]),
    (1, 2, "R--D-----", &[3, 1], &[10, 9, 8]),
    (2, 0, "SSS------", &[1], &[2, 1, 1]),
    (2, 0, "SSS------", &[12, 1], &[2, 1, 1]),
    (2, 1, "SD-------", &[6, 1], &[8, 7, 6]),
    (2, 2, "D--------", &[3, 1], &[5, 4, 3]),
    (2, 2, "D--------", &[3, 1], &[11, 10, 9]),
];

/// What protects the decode targets of [`L3T3`].
pub(crate) const L3T3_PROTECTED_BY: &[u8] = &[2, 2, 2, 1, 1, 1, 0, 0, 0];
