//! Tokens, names, pages and masks that are refused, method by method.

use proto::v1;
use tonic::Code::{self, PermissionDenied, Unauthenticated};

use crate::support::{Bench, create, named, of, refused, seconds, table, with_config};

#[tokio::test]
async fn every_method_needs_a_token_of_its_scope_for_its_room() {
    let mut bench = Bench::guarded("scopes").await;
    async fn each(bench: &Bench, code: Code, reason: &str) {
        let (room, person) = ("rooms/other", "rooms/other/participants/ada");
        refused(bench.create(create("other")), code, reason, "").await;
        refused(bench.get(room), code, reason, "").await;
        refused(bench.update(named(room), &[]), code, reason, "").await;
        let delete = of!(DeleteRoomRequest { name: room });
        refused(bench.delete(delete), code, reason, "").await;
        let issue = of!(IssueTokenRequest { room: room });
        refused(bench.issue(issue), code, reason, "").await;
        refused(bench.get_participant(person), code, reason, "").await;
        let list = of!(ListParticipantsRequest { parent: room });
        refused(bench.participants(list), code, reason, "").await;
        let update = of!(Participant { name: person });
        let update = bench.update_participant(update, &[]);
        refused(update, code, reason, "").await;
        let remove = of!(RemoveParticipantRequest { name: person });
        refused(bench.remove(remove), code, reason, "").await;
    }
    each(&bench, Unauthenticated, "TOKEN_INVALID").await;
    refused(
        bench.list(Default::default()),
        Unauthenticated,
        "TOKEN_INVALID",
        "",
    )
    .await;
    bench.token = "nonsense".into();
    each(&bench, Unauthenticated, "TOKEN_INVALID").await;
    bench.show(&["nodes.read"], &[]);
    each(&bench, PermissionDenied, "SCOPE_MISSING").await;
    refused(
        bench.list(Default::default()),
        PermissionDenied,
        "SCOPE_MISSING",
        "",
    )
    .await;
    bench.show(&["*"], &["acme-*"]);
    each(&bench, PermissionDenied, "SCOPE_MISSING").await;
    // A drawn name might be any.
    refused(
        bench.create(create("")),
        PermissionDenied,
        "SCOPE_MISSING",
        "",
    )
    .await;

    // Lists leave out what the token does not cover.
    bench.create(create("acme-1")).await.unwrap();
    bench.show(&["*"], &[]);
    bench.create(create("other")).await.unwrap();
    assert_eq!(bench.list(Default::default()).await.unwrap().rooms.len(), 2);
    bench.show(&["rooms.read"], &["acme-*"]);
    let seen = bench.list(Default::default()).await.unwrap();
    assert_eq!(seen.rooms.len(), 1);
    assert_eq!(seen.rooms[0].name, "rooms/acme-1");
    bench.running.end().await;
}

#[tokio::test]
async fn what_is_missing_is_not_found_and_removing_it_is_done() {
    let bench = Bench::open().await;
    bench.create(create("standup")).await.unwrap();
    let (nobody, nowhere) = (
        "rooms/standup/participants/ada",
        "rooms/none/participants/ada",
    );
    let people = of!(ListParticipantsRequest {
        parent: "rooms/none"
    });
    table! {
        bench.get("rooms/none") => NotFound "ROOM_NOT_FOUND" at "";
        bench.update(named("rooms/none"), &[]) => NotFound "ROOM_NOT_FOUND" at "";
        bench.participants(people) => NotFound "ROOM_NOT_FOUND" at "";
        bench.get_participant(nowhere) => NotFound "ROOM_NOT_FOUND" at "";
        bench.get_participant(nobody) => NotFound "PARTICIPANT_NOT_FOUND" at "";
        bench.update_participant(of!(Participant { name: nowhere }), &[]) => NotFound "ROOM_NOT_FOUND" at "";
        bench.update_participant(of!(Participant { name: nobody }), &[]) => NotFound "PARTICIPANT_NOT_FOUND" at "";
    }
    for name in [nowhere, nobody] {
        let remove = of!(RemoveParticipantRequest { name: name });
        bench.remove(remove).await.unwrap();
    }
    let delete = of!(DeleteRoomRequest { name: "rooms/none" });
    bench.delete(delete).await.unwrap();
    bench.running.end().await;
}

#[tokio::test]
async fn a_bad_id_is_refused_by_its_field() {
    let bench = Bench::open().await;
    bench.create(create("standup")).await.unwrap();
    for id in ["a b", "-", "a/b", &"x".repeat(129)] {
        let name = &format!("rooms/{id}");
        let person = &format!("rooms/standup/participants/{id}");
        table! {
            bench.create(create(id)) => InvalidArgument "FIELD_INVALID" at "room_id";
            bench.get(name) => InvalidArgument "FIELD_INVALID" at "name";
            bench.update(named(name), &[]) => InvalidArgument "FIELD_INVALID" at "room.name";
            bench.delete(of!(DeleteRoomRequest { name: name })) => InvalidArgument "FIELD_INVALID" at "name";
            bench.issue(of!(IssueTokenRequest { room: name })) => InvalidArgument "FIELD_INVALID" at "room";
            bench.issue(of!(IssueTokenRequest { room: "rooms/a", participant_id: id })) => InvalidArgument "FIELD_INVALID" at "participant_id";
            bench.get_participant(person) => InvalidArgument "FIELD_INVALID" at "name";
            bench.update_participant(of!(Participant { name: person }), &[]) => InvalidArgument "FIELD_INVALID" at "participant.name";
            bench.remove(of!(RemoveParticipantRequest { name: person })) => InvalidArgument "FIELD_INVALID" at "name";
        }
    }
    table! {
        bench.get("standup") => InvalidArgument "FIELD_INVALID" at "name";
        bench.get_participant("rooms/standup") => InvalidArgument "FIELD_INVALID" at "name";
        bench.participants(of!(ListParticipantsRequest { parent: "standup" })) => InvalidArgument "FIELD_INVALID" at "parent";
        bench.participants(of!(ListParticipantsRequest { parent: "rooms/a b" })) => InvalidArgument "FIELD_INVALID" at "parent";
    }
    bench.running.end().await;
}

#[tokio::test]
async fn a_value_that_makes_no_sense_is_refused_by_its_field() {
    let bench = Bench::open().await;
    bench.create(create("standup")).await.unwrap();
    let nobody = || {
        of!(RoomConfig {
            participants_max: Some(0)
        })
    };
    let negative = || {
        of!(RoomConfig {
            empty_timeout: seconds(-1)
        })
    };
    let unknown = || {
        of!(RoomConfig {
            codecs: vec!["video/none".to_owned()]
        })
    };
    let issue = |config| {
        of!(IssueTokenRequest {
            room: "rooms/new",
            room_config: Some(config)
        })
    };
    let mut room = named("rooms/standup");
    room.config = Some(nobody());
    table! {
        bench.create(with_config("new", nobody())) => InvalidArgument "FIELD_INVALID" at "room.config.participants_max";
        bench.create(with_config("new", negative())) => InvalidArgument "FIELD_INVALID" at "room.config.empty_timeout";
        bench.create(with_config("new", unknown())) => InvalidArgument "FIELD_INVALID" at "room.config.codecs";
        bench.update(room, &[]) => InvalidArgument "FIELD_INVALID" at "room.config.participants_max";
        bench.issue(issue(nobody())) => InvalidArgument "FIELD_INVALID" at "room_config.participants_max";
        bench.issue(issue(negative())) => InvalidArgument "FIELD_INVALID" at "room_config.empty_timeout";
        bench.issue(issue(unknown())) => InvalidArgument "FIELD_INVALID" at "room_config.codecs";
        bench.issue(of!(IssueTokenRequest { room: "rooms/new", ttl: seconds(1) })) => InvalidArgument "FIELD_INVALID" at "ttl";
        bench.list(of!(ListRoomsRequest { page_size: -1 })) => InvalidArgument "FIELD_INVALID" at "page_size";
    }
    bench.running.end().await;
}

#[tokio::test]
async fn a_mask_names_what_can_be_changed() {
    let bench = Bench::open().await;
    bench.create(create("standup")).await.unwrap();
    let ada = "rooms/standup/participants/ada";
    for path in [
        "uid",
        "name",
        "create_time",
        "nonsense",
        "",
        "config.nonsense",
        "etag",
    ] {
        table! {
            bench.update(named("rooms/standup"), &[path]) => InvalidArgument "MASK_INVALID" at "update_mask";
            bench.update_participant(of!(Participant { name: ada }), &[path]) => InvalidArgument "MASK_INVALID" at "update_mask";
        }
    }
    let mut room = named("rooms/standup");
    room.config = Some(of!(RoomConfig {
        codecs: vec!["video/VP8".to_owned()]
    }));
    table! {
        bench.update(room, &[]) => InvalidArgument "MASK_INVALID" at "room.config.codecs";
    }
    bench.running.end().await;
}
