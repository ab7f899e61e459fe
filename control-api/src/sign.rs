//! `plenum token`: what its flags ask for, as a token. What is wrong is one sentence that names the
//! flag and what to write.

use std::time::Duration;

use crate::auth::{Authority, IssuedToken, SCOPES, TokenRequest};
use crate::config::flags::TokenFlags;
use crate::config::{Config, Time};
use crate::registry::{ParticipantName, ParticipantSpec, Permissions, RoomName, TrackSource};
use crate::status::Failure;

/// What may stand in `--permissions`.
const PERMISSIONS: &str = "all, publish_sources=CAMERA (or MICROPHONE, SCREEN, SCREEN_AUDIO, OTHER; \
                           once for each), subscribe, send_data, hidden, admin, record, \
                           tracks_max=2";

/// Signs what the flags ask for.
///
/// # Errors
/// One sentence that names the flag and the cure.
pub fn sign(
    authority: &Authority,
    config: &Config,
    flags: &TokenFlags,
) -> Result<IssuedToken, String> {
    let ttl = flags.ttl.parse::<Time>();
    let ttl = ttl.map_err(|why| format!("--ttl: {why}"))?.0;
    let Some(room) = &flags.room else {
        return sign_backend(authority, flags, ttl);
    };
    for (flag, is_set) in [
        ("--scopes", !flags.scopes.is_empty()),
        ("--rooms", !flags.rooms.is_empty()),
    ] {
        if is_set {
            return Err(format!(
                "{flag} is for a backend's token and --room for a participant's: give one of them"
            ));
        }
    }
    let participant = flags.participant.clone().map(ParticipantName::new);
    let permissions = match &flags.permissions {
        Some(text) => permissions(text)?,
        None => Permissions::default(),
    };
    let request = TokenRequest {
        room: RoomName::new(room.as_str()).map_err(|failure| words("--room", &failure))?,
        participant: participant
            .transpose()
            .map_err(|failure| words("--participant", &failure))?,
        spec: ParticipantSpec {
            display_name: flags.display_name.clone().unwrap_or_default(),
            permissions,
            ..ParticipantSpec::default()
        },
        ttl,
        room_config: flags.create.then(|| config.room_config()),
    };
    authority
        .issue(&request)
        .map_err(|failure| refused(&failure))
}

fn sign_backend(
    authority: &Authority,
    flags: &TokenFlags,
    ttl: Duration,
) -> Result<IssuedToken, String> {
    for (flag, is_set) in [
        ("--participant", flags.participant.is_some()),
        ("--display-name", flags.display_name.is_some()),
        ("--permissions", flags.permissions.is_some()),
        ("--create", flags.create),
    ] {
        if is_set {
            return Err(format!(
                "{flag} is for a participant's token: give --room too"
            ));
        }
    }
    if flags.scopes.is_empty() {
        return Err(
            "give --room for a participant's token or an invitation, or --scopes for a \
                    backend's"
                .to_owned(),
        );
    }
    let is_known = |scope: &str| scope == "*" || SCOPES.contains(&scope);
    if let Some(scope) = flags.scopes.iter().find(|scope| !is_known(scope)) {
        return Err(format!(
            "--scopes: there is no scope {scope:?}; write {}, or * for all",
            SCOPES.join(", ")
        ));
    }
    for pattern in &flags.rooms {
        // What the star stands for is any rest of a room's name.
        let name = pattern.strip_suffix('*').unwrap_or(pattern);
        let is_good = match name {
            "" => pattern == "*",
            name => RoomName::new(name).is_ok(),
        };
        if !is_good {
            return Err(format!(
                "--rooms: {pattern:?} is no pattern; write a room's id, or its beginning and a \
                 star, such as acme-*"
            ));
        }
    }
    authority
        .issue_backend(flags.scopes.clone(), flags.rooms.clone(), ttl)
        .map_err(|failure| refused(&failure))
}

/// As a set message of proto3 JSON: what is not named is not granted.
fn permissions(text: &str) -> Result<Permissions, String> {
    let mut granted = Permissions {
        publish_sources: Some(Vec::new()),
        subscribe: false,
        send_data: false,
        ..Permissions::default()
    };
    for entry in text.split(',').map(str::trim) {
        let wrong = || format!("--permissions: there is no {entry:?}; write some of {PERMISSIONS}");
        let (name, value) = match entry.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (entry, None),
        };
        match (name, value) {
            ("all", None) => {
                granted.publish_sources = None;
                granted.subscribe = true;
                granted.send_data = true;
            }
            ("subscribe", None) => granted.subscribe = true,
            ("send_data", None) => granted.send_data = true,
            ("hidden", None) => granted.hidden = true,
            ("admin", None) => granted.admin = true,
            ("record", None) => granted.record = true,
            ("publish_sources", Some(label)) => {
                let source = TrackSource::from_label(label).ok_or_else(wrong)?;
                if let Some(sources) = &mut granted.publish_sources
                    && !sources.contains(&source)
                {
                    sources.push(source);
                }
            }
            ("tracks_max", Some(most)) => {
                granted.tracks_max = Some(most.parse().map_err(|_| wrong())?);
            }
            _ => return Err(wrong()),
        }
    }
    Ok(granted)
}

/// A refusal of the issue, by the flag that its field came from.
fn refused(failure: &Failure) -> String {
    match failure.field.as_deref() {
        Some("ttl") => "--ttl: write 10s to 24h".to_owned(),
        Some(field) => words(&format!("--{}", field.replace('_', "-")), failure),
        None => failure.message.clone(),
    }
}

/// Its words, with the flag in the place of the field.
fn words(flag: &str, failure: &Failure) -> String {
    let field = failure.field.as_deref().unwrap_or_default();
    let why = failure
        .message
        .strip_prefix(field)
        .unwrap_or(&failure.message);
    format!("{flag}: {}", why.trim_start_matches(": "))
}
