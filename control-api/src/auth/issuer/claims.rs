//! The claim map: which claim of another issuer's token is which of ours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::SCOPES;

/// The members of our `plenum` claim that another claim may stand for.
const MEMBERS: &[&str] = &[
    "room",
    "display_name",
    "metadata",
    "attributes",
    "kind",
    "permissions",
    "room_config",
    "scopes",
    "rooms",
];

/// One entry of the map: `ours=theirs`. Theirs is a claim's name, or a JSON Pointer (RFC 6901) into
/// the claims where it begins with a slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimRule {
    ours: Ours,
    theirs: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ours {
    /// `sub`.
    Subject,
    /// A member of `plenum`.
    Member(&'static str),
    /// `attributes.NAME`.
    Attribute(String),
}

impl FromStr for ClaimRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is no entry; write \"room=their_claim\", with sub, attributes.NAME, {} \
                 before the =",
                MEMBERS.join(", ")
            )
        };
        let (ours, theirs) = text.split_once('=').ok_or_else(wrong)?;
        let (ours, theirs) = (ours.trim(), theirs.trim());
        let member = MEMBERS.iter().find(|member| **member == ours);
        let ours = match (ours, ours.strip_prefix("attributes."), member) {
            ("sub", ..) => Ours::Subject,
            (_, Some(name), _) if !name.is_empty() => Ours::Attribute(name.to_owned()),
            (_, _, Some(member)) => Ours::Member(member),
            _ => return Err(wrong()),
        };
        if theirs.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            ours,
            theirs: theirs.to_owned(),
        })
    }
}

impl TryFrom<String> for ClaimRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ClaimRule> for String {
    fn from(rule: ClaimRule) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for ClaimRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ours {
            Ours::Subject => write!(f, "sub={}", self.theirs),
            Ours::Member(member) => write!(f, "{member}={}", self.theirs),
            Ours::Attribute(name) => write!(f, "attributes.{name}={}", self.theirs),
        }
    }
}

impl ClaimRule {
    /// Whether both say the same of ours.
    #[must_use]
    pub fn is_rival(&self, other: &Self) -> bool {
        self.ours == other.ours
    }

    fn find<'c>(&self, claims: &'c Value) -> Option<&'c Value> {
        let found = if self.theirs.starts_with('/') {
            claims.pointer(&self.theirs)
        } else {
            claims.get(&self.theirs)
        };
        found.filter(|value| !value.is_null())
    }
}

/// `sub` and `plenum` as ours, of claims as theirs. Without a map they are what they are called;
/// with one, nothing of `plenum` counts that the map does not name.
///
/// # Errors
/// The member that would bound what the token grants, and is not there: unset, it grants all.
pub(super) fn ours(
    rules: &[ClaimRule],
    claims: &Value,
) -> Result<(Option<String>, Value), &'static str> {
    let mut subject = match claims.get("sub") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        // Without a name it would be an invitation, and nobody could put its bearer out by name.
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err("sub");
        }
    };
    if rules.is_empty() {
        let plenum = claims.get("plenum").cloned().unwrap_or(Value::Null);
        return Ok((subject, plenum));
    }
    let mut plenum = Map::new();
    let mut attributes = Map::new();
    for rule in rules {
        let found = rule.find(claims);
        match (&rule.ours, found) {
            // Not another claim in its place: that could be somebody else.
            (Ours::Subject, found) => subject = Some(found.and_then(words).ok_or("sub")?),
            (_, None) => {}
            (Ours::Member(member @ ("scopes" | "rooms")), Some(found)) => {
                let listed = list(found, *member == "scopes");
                if !listed.is_empty() {
                    drop(plenum.insert((*member).to_owned(), listed.into()));
                }
            }
            (Ours::Member("attributes"), Some(Value::Object(found))) => {
                attributes.extend(found.clone());
            }
            (Ours::Member(member), Some(found)) => {
                drop(plenum.insert((*member).to_owned(), found.clone()));
            }
            (Ours::Attribute(name), Some(found)) => {
                let found = words(found).map_or_else(|| found.clone(), Value::String);
                drop(attributes.insert(name.clone(), found));
            }
        }
    }
    if !attributes.is_empty() {
        drop(plenum.insert("attributes".to_owned(), attributes.into()));
    }
    for (bound, grant) in [("rooms", "scopes"), ("permissions", "room")] {
        let is_named = rules.iter().any(|rule| rule.ours == Ours::Member(bound));
        if is_named && plenum.contains_key(grant) && !plenum.contains_key(bound) {
            return Err(bound);
        }
    }
    Ok((subject, plenum.into()))
}

/// Text, numbers and truths as text.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// An array of text, or text with spaces between as `scope` has it (RFC 6749 §3.3). Scopes of others
/// stand beside ours there and are left out.
fn list(value: &Value, are_scopes: bool) -> Vec<Value> {
    let entries: Vec<&str> = match value {
        Value::String(text) => text.split_ascii_whitespace().collect(),
        Value::Array(entries) => entries.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    let is_ours = |entry: &&str| !are_scopes || *entry == "*" || SCOPES.contains(entry);
    entries
        .into_iter()
        .filter(is_ours)
        .map(Value::from)
        .collect()
}
