//! Update masks (AIP-134, AIP-161).

use prost_types::FieldMask;

use crate::status::{Failure, Reason};

/// The fields a mask names, of those that can be changed: `fields`, each with whether the request
/// sets it. No mask: every set field. `*`: all of them; a message: all below it.
pub(super) fn masked(
    resource: &'static str,
    mask: Option<FieldMask>,
    fields: &[(&'static str, bool)],
    absent: &[&str],
) -> Result<Vec<&'static str>, Failure> {
    let named = mask.unwrap_or_default().paths;
    if named.is_empty() {
        let set = fields.iter().filter(|(_, set)| *set);
        return Ok(set.map(|(path, _)| *path).collect());
    }
    let mut paths = Vec::new();
    for name in named {
        let below = format!("{name}.");
        let before = paths.len();
        let matching = |path: &str| name == "*" || path == name || path.starts_with(&below);
        paths.extend(
            fields
                .iter()
                .map(|(path, _)| *path)
                .filter(|path| matching(path)),
        );
        if absent.contains(&name.as_str()) {
            return Err(Failure::absent(format!("{resource}.{name}")));
        }
        if paths.len() == before {
            let known: Vec<_> = fields.iter().map(|(path, _)| *path).collect();
            let why = format!("{name:?} cannot be changed; what can: {}", known.join(", "));
            return Err(Failure {
                reason: Reason::MaskInvalid,
                ..Failure::field("update_mask", why)
            });
        }
    }
    Ok(paths)
}
