//! Every method × every way to call it wrongly or again: a table made from the descriptors. What a
//! cell expects follows from the method's verb, its service, and the fields of its request; a cell
//! that does not apply says so by the same rules.

use prost_reflect::{DynamicMessage, Kind, MethodDescriptor, Value};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::dynamic::{call, methods, set, short, text};
use crate::support::{Bench, OFFER, create, of, participant_token};
use proto::v1;

/// What a cell shows: OK, or a code with its reason.
type Cell = (Code, &'static str);

const FINE: Cell = (Code::Ok, "");

/// Services and methods that do nothing yet, as `absent.rs` has them.
fn acts(method: &MethodDescriptor) -> bool {
    !crate::absent::is_absent(&short(method))
}

/// Where in the request a method names what it is about, and how such a name is made: `{r}` a room,
/// `{p}` a participant, `{t}` a track. None: it is about nothing that exists.
fn subject(method: &MethodDescriptor) -> Option<(String, &'static str)> {
    const ROOM: &str = "rooms/{r}";
    const PERSON: &str = "rooms/{r}/participants/{p}";
    let service = method.parent_service();
    let has = |field: &str| method.input().get_field_by_name(field).is_some();
    let name = match service.name() {
        "RoomService" | "TokenService" | "EventService" => ROOM,
        "ParticipantService" if has("parent") => ROOM,
        "ParticipantService" | "SubscriptionService" => PERSON,
        "TransportService" if has("room") => ROOM,
        "TransportService" => "rooms/{r}/participants/{p}/transport",
        "TrackService" if has("parent") => ROOM,
        "TrackService" => "rooms/{r}/tracks/{t}",
        _ => return None,
    };
    let holder = method.input().fields().find(|field| {
        let updates = method.name().starts_with("Update") && !field.is_list();
        updates
            && matches!(field.kind(), Kind::Message(it) if it.get_field_by_name("name").is_some())
    });
    let field = ["name", "parent"].into_iter().find(|field| has(field));
    let path = match (field, holder) {
        (Some(field), _) => field.to_owned(),
        (None, Some(holder)) => format!("{}.name", holder.name()),
        (None, None) if is_name(method, "room") => "room".to_owned(),
        (None, None) => return None,
    };
    Some((path, name))
}

fn is_name(method: &MethodDescriptor, field: &str) -> bool {
    let field = method.input().get_field_by_name(field);
    field.is_some_and(|field| field.kind() == Kind::String)
}

/// Where it honours an etag.
fn etag(method: &MethodDescriptor) -> Option<String> {
    let changes = ["Update", "Delete"];
    if !changes.iter().any(|verb| method.name().starts_with(verb)) {
        return None;
    }
    method.input().fields().find_map(|field| {
        let kind = field.kind();
        if field.name() == "etag" && kind == Kind::String {
            return Some("etag".to_owned());
        }
        let below = kind.as_message()?.get_field_by_name("etag");
        below.map(|_| format!("{}.etag", field.name()))
    })
}

/// A room with two people inside who publish, and what of it has which name.
struct Scene {
    room: String,
    people: Vec<String>,
    tracks: Vec<String>,
}

impl Scene {
    async fn new(bench: &Bench, room: &str) -> Self {
        bench.create(create(room)).await.unwrap();
        let mut people = Vec::new();
        for name in ["ada", "lin"] {
            let request = of!(CreateTransportRequest {
                room: format!("rooms/{room}"),
                participant_id: name,
                sdp_offer: OFFER
            });
            let method = "TransportService/CreateTransport";
            bench
                .call::<_, v1::Transport>(method, request)
                .await
                .unwrap();
            people.push(name.to_owned());
        }
        let request = of!(ListTracksRequest {
            parent: format!("rooms/{room}")
        });
        let listed: v1::ListTracksResponse = bench
            .call("TrackService/ListTracks", request)
            .await
            .unwrap();
        let id = |track: &v1::Track| track.name.rsplit('/').next().unwrap().to_owned();
        let tracks: Vec<_> = listed.tracks.iter().map(id).collect();
        assert!(tracks.len() >= 2, "{listed:?}");
        Self {
            room: room.to_owned(),
            people,
            tracks,
        }
    }

    /// Names of the first, or of the second of everything; of what is not there; of no id at all.
    fn name(&self, pattern: &str, which: usize) -> String {
        pattern
            .replace("{r}", &self.room)
            .replace("{p}", &self.people[which])
            .replace("{t}", &self.tracks[which])
    }
}

/// A request that is good, about `name`, where the method is about something.
fn request(method: &MethodDescriptor, name: Option<&str>) -> DynamicMessage {
    let mut message = DynamicMessage::new(method.input());
    if let (Some((path, _)), Some(name)) = (subject(method), name) {
        set(&mut message, &path, Value::String(name.to_owned()));
    }
    for (field, value) in [
        ("destination_room", "rooms/elsewhere"),
        ("sdp_offer", OFFER),
    ] {
        let oneof = |field: &str| {
            let field = method.input().get_field_by_name(field);
            field.is_some_and(|field| field.containing_oneof().is_some())
        };
        if is_name(method, field) && !oneof(field) {
            set(&mut message, field, Value::String(value.to_owned()));
        }
    }
    message
}

async fn cell(
    bench: &Bench,
    method: &MethodDescriptor,
    message: &DynamicMessage,
) -> (Code, String, String) {
    seen(call(bench, method, message, None).await)
}

fn seen(answer: Result<DynamicMessage, tonic::Status>) -> (Code, String, String) {
    match answer {
        Ok(_) => (Code::Ok, String::new(), String::new()),
        Err(status) => {
            let details = status.get_error_details();
            let reason = details.error_info().map(|info| info.reason.clone());
            let violations = details.bad_request().map(|it| it.field_violations.clone());
            let field = violations.unwrap_or_default();
            let field = field.first().map(|it| it.field.clone());
            (
                status.code(),
                reason.unwrap_or_default(),
                field.unwrap_or_default(),
            )
        }
    }
}

/// All cells that are not as they should be, and how many were looked at.
#[derive(Default)]
struct Table {
    cells: usize,
    wrong: Vec<String>,
}

impl Table {
    fn look(&mut self, place: &str, seen: &(Code, String, String), expected: Cell) {
        self.cells += 1;
        if (seen.0, seen.1.as_str()) != expected {
            self.wrong
                .push(format!("{place}: {seen:?}, expected {expected:?}"));
        }
    }

    fn done(self, column: &str, at_least: usize) {
        assert!(
            self.wrong.is_empty(),
            "{column}:\n{}",
            self.wrong.join("\n")
        );
        assert!(self.cells >= at_least, "{column}: {} cells", self.cells);
    }
}

fn absent_or(method: &MethodDescriptor, expected: Cell) -> Cell {
    if acts(method) {
        expected
    } else {
        (Code::Unimplemented, "FEATURE_ABSENT")
    }
}

fn open_to_any_token(method: &MethodDescriptor) -> bool {
    method.parent_service().name() == "ServerService"
}

#[tokio::test]
async fn no_token_a_participants_token_and_a_wrong_scope_are_refused() {
    let mut bench = Bench::guarded("matrix-tokens").await;
    let mut table = Table::default();
    for method in methods() {
        let message = request(&method, Some("rooms/none"));
        let place = |column: &str| format!("{} with {column}", short(&method));
        bench.token = String::new();
        let cell_seen = cell(&bench, &method, &message).await;
        table.look(
            &place("no token"),
            &cell_seen,
            (Code::Unauthenticated, "TOKEN_INVALID"),
        );

        let (own, scope) = match open_to_any_token(&method) {
            true => (FINE, FINE),
            false => (
                (Code::PermissionDenied, "TOKEN_KIND"),
                (Code::PermissionDenied, "SCOPE_MISSING"),
            ),
        };
        bench.token = participant_token("rooms-none");
        let cell_seen = cell(&bench, &method, &message).await;
        table.look(&place("a participant's token"), &cell_seen, own);

        let other = match method.parent_service().name() {
            "DiagnosticsService" => "stats.read",
            _ => "diagnostics.read",
        };
        bench.show(&[other], &[]);
        let cell_seen = cell(&bench, &method, &message).await;
        table.look(&place("a wrong scope"), &cell_seen, scope);
    }
    table.done("tokens", 3 * 60);
    bench.running.end().await;
}

#[tokio::test]
async fn nothing_begins_after_its_deadline() {
    let bench = Bench::open().await;
    let mut table = Table::default();
    for method in methods() {
        let message = request(&method, Some("rooms/none"));
        let seen = seen(call(&bench, &method, &message, Some("0n")).await);
        // The library may give up by itself before the answer is there.
        let gave_up = seen.0 == Code::Cancelled;
        let code = if gave_up {
            Code::DeadlineExceeded
        } else {
            seen.0
        };
        let seen = (code, seen.1, seen.2);
        table.look(&short(&method), &seen, (Code::DeadlineExceeded, ""));
    }
    table.done("deadline", 60);
    bench.running.end().await;
}

/// What a call about something that is not there answers.
fn missing(method: &MethodDescriptor, pattern: &str, room_is_there: bool) -> Cell {
    let done = ["Delete", "Remove", "Unpublish"];
    if done.iter().any(|verb| method.name().starts_with(verb)) {
        return FINE;
    }
    // A token may be for a room to come, and so may a revocation; what happened in a room can be
    // asked for when it is gone.
    if ["TokenService", "EventService"].contains(&method.parent_service().name()) {
        return FINE;
    }
    match (room_is_there, pattern) {
        (false, _) => (Code::NotFound, "ROOM_NOT_FOUND"),
        (true, pattern) if pattern.contains("{p}") => (Code::NotFound, "PARTICIPANT_NOT_FOUND"),
        (true, pattern) if pattern.contains("{t}") => (Code::NotFound, "TRACK_NOT_FOUND"),
        (true, _) => FINE,
    }
}

#[tokio::test]
async fn what_is_missing_and_what_is_no_id_is_refused() {
    let mut bench = Bench::guarded("matrix-missing").await;
    bench.show(&["*"], &[]);
    for room in ["there", "elsewhere"] {
        bench.create(create(room)).await.unwrap();
    }
    let (mut gone, mut bad) = (Table::default(), Table::default());
    for method in methods() {
        let Some((path, pattern)) = subject(&method) else {
            continue;
        };
        let fill = |room: &str, id: &str| {
            let track = if id == "none" { "tdead" } else { id };
            let name = pattern.replace("{r}", room).replace("{p}", id);
            name.replace("{t}", track)
        };
        let message = request(&method, Some(&fill("none", "none")));
        let cell_seen = cell(&bench, &method, &message).await;
        let expected = absent_or(&method, missing(&method, pattern, false));
        gone.look(
            &format!("{} in no room", short(&method)),
            &cell_seen,
            expected,
        );
        if pattern != "rooms/{r}" {
            let message = request(&method, Some(&fill("there", "none")));
            let cell_seen = cell(&bench, &method, &message).await;
            let expected = absent_or(&method, missing(&method, pattern, true));
            gone.look(
                &format!("{} of nobody", short(&method)),
                &cell_seen,
                expected,
            );
        }
        for name in [
            fill("a b", "none"),
            fill("-x/y", "none"),
            fill("there", "a b"),
            "?".into(),
        ] {
            if name == fill("there", "x") {
                continue;
            }
            let fine = pattern == "rooms/{r}" && name == "rooms/there";
            if fine {
                continue;
            }
            let message = request(&method, Some(&name));
            let cell_seen = cell(&bench, &method, &message).await;
            let expected = absent_or(&method, (Code::InvalidArgument, "FIELD_INVALID"));
            bad.look(
                &format!("{} of {name:?}", short(&method)),
                &cell_seen,
                expected,
            );
            if acts(&method) && cell_seen.2 != path {
                bad.wrong.push(format!(
                    "{}: at {:?}, not {path}",
                    short(&method),
                    cell_seen.2
                ));
            }
        }
    }
    gone.done("missing", 30);
    bad.done("bad ids", 70);
    bench.running.end().await;
}

#[tokio::test]
async fn a_repeat_is_answered_alike_and_another_request_is_refused() {
    let bench = Bench::open().await;
    bench.create(create("elsewhere")).await.unwrap();
    let mut table = Table::default();
    for (number, method) in methods().into_iter().enumerate() {
        if method.input().get_field_by_name("request_id").is_none() {
            continue;
        }
        let place = |column: &str| format!("{} {column}", short(&method));
        let id = || Value::String(format!("id{number}"));
        let scene = Scene::new(&bench, &format!("repeat{number}")).await;
        let name = |which| subject(&method).map(|(_, pattern)| scene.name(pattern, which));
        let mut message = request(&method, name(0).as_deref());
        set(&mut message, "request_id", id());
        let first = call(&bench, &method, &message, None).await;
        let again = call(&bench, &method, &message, None).await;
        let alike = match (&first, &again) {
            (Ok(first), Ok(again)) => first == again,
            (Err(first), Err(again)) => {
                first.code() == again.code() && first.message() == again.message()
            }
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        };
        if !alike {
            table
                .wrong
                .push(format!("{}: {first:?} then {again:?}", place("repeated")));
        }
        let expected = match method.name() {
            // Nobody waits in these rooms.
            "AdmitParticipant" => (Code::FailedPrecondition, "NOT_WAITING"),
            _ => FINE,
        };
        table.look(&place("once"), &seen(first), absent_or(&method, expected));

        let mut other = request(&method, name(1).as_deref());
        set(&mut other, "request_id", id());
        if other == message {
            // About the whole room, or about nothing: another room.
            let room = Value::String("rooms/elsewhere".to_owned());
            match subject(&method) {
                Some((path, _)) => set(&mut other, &path, room),
                None if is_name(&method, "room_id") => {
                    set(&mut other, "room_id", Value::String("elsewhere".to_owned()));
                }
                None => continue,
            }
        }
        let changed = cell(&bench, &method, &other).await;
        let reused = (Code::InvalidArgument, "REQUEST_ID_REUSED");
        table.look(&place("changed"), &changed, absent_or(&method, reused));
    }
    table.done("request_id", 30);
    bench.running.end().await;
}

#[tokio::test]
async fn a_stale_etag_is_refused_and_the_present_one_is_not() {
    let bench = Bench::open().await;
    let mut table = Table::default();
    for (number, method) in methods().into_iter().enumerate() {
        let Some(path) = etag(&method) else { continue };
        let scene = Scene::new(&bench, &format!("etag{number}")).await;
        let (_, pattern) = subject(&method).unwrap_or_default();
        let name = scene.name(pattern, 0);
        let mut message = request(&method, Some(&name));
        set(&mut message, &path, Value::String("stale".to_owned()));
        let stale = cell(&bench, &method, &message).await;
        let expected = absent_or(&method, (Code::Aborted, "ETAG_MISMATCH"));
        table.look(&format!("{} stale", short(&method)), &stale, expected);
        if !acts(&method) {
            continue;
        }
        let present = match pattern {
            "rooms/{r}" => bench.get(&name).await.unwrap().etag,
            _ => bench.get_participant(&name).await.unwrap().etag,
        };
        assert!(!present.is_empty());
        set(&mut message, &path, Value::String(present));
        let fine = cell(&bench, &method, &message).await;
        table.look(&format!("{} present", short(&method)), &fine, FINE);
    }
    table.done("etag", 6);
    bench.running.end().await;
}

#[tokio::test]
async fn a_second_page_follows_the_first_and_is_of_its_query_alone() {
    let bench = Bench::open().await;
    let scene = Scene::new(&bench, "pages").await;
    let other = Scene::new(&bench, "other").await;
    let mut table = Table::default();
    for method in methods() {
        if method.input().get_field_by_name("page_token").is_none() || !acts(&method) {
            continue;
        }
        let name = |scene: &Scene| subject(&method).map(|(_, pattern)| scene.name(pattern, 0));
        let mut message = request(&method, name(&scene).as_deref());
        set(&mut message, "page_size", Value::I32(1));
        let first = call(&bench, &method, &message, None).await.unwrap();
        let token = text(&first, "next_page_token");
        assert!(!token.is_empty(), "{}: {first:?}", short(&method));
        set(&mut message, "page_token", Value::String(token.clone()));
        let second = call(&bench, &method, &message, None).await;
        table.look(&short(&method), &seen(second.clone()), FINE);
        let items = |page: &DynamicMessage| {
            let list = method.output().get_field(1).unwrap();
            page.get_field(&list).into_owned()
        };
        assert_ne!(items(&first), items(&second.unwrap()), "{}", short(&method));

        let invalid = (Code::InvalidArgument, "PAGE_TOKEN_INVALID");
        if let Some(name) = name(&other) {
            let mut message = request(&method, Some(&name));
            set(&mut message, "page_token", Value::String(token.clone()));
            let seen = cell(&bench, &method, &message).await;
            table.look(&format!("{} of another", short(&method)), &seen, invalid);
        }
        if is_name(&method, "filter") {
            let field = match method.parent_service().name() {
                "EventService" => "type",
                "TrackService" => "participant",
                _ => "name",
            };
            let filter = |text: &str| Value::String(text.to_owned());
            set(&mut message, "filter", filter(&format!("{field} = \"*\"")));
            let seen = cell(&bench, &method, &message).await;
            table.look(
                &format!("{} otherwise filtered", short(&method)),
                &seen,
                invalid,
            );
            set(&mut message, "filter", filter("nonsense = \"x\""));
            let seen = cell(&bench, &method, &message).await;
            let wrong = (Code::InvalidArgument, "FILTER_INVALID");
            table.look(&format!("{} of nonsense", short(&method)), &seen, wrong);
        }
    }
    table.done("pages", 12);
    bench.running.end().await;
}
