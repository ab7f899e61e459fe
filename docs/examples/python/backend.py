"""An app backend: makes a room, watches it, invites somebody, locks it, ends it. docs/backend.md.

PLENUM_GRPC is where the server listens; BACKEND_TOKEN, where one is needed.
"""

import os
import uuid

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from plenum.v1 import event_pb2, event_pb2_grpc, room_pb2, room_pb2_grpc
from plenum.v1 import token_pb2, token_pb2_grpc

channel = grpc.insecure_channel(os.environ.get("PLENUM_GRPC", "127.0.0.1:50051"))
rooms = room_pb2_grpc.RoomServiceStub(channel)
tokens = token_pb2_grpc.TokenServiceStub(channel)
events = event_pb2_grpc.EventServiceStub(channel)

token = os.environ.get("BACKEND_TOKEN")
metadata = [("authorization", f"Bearer {token}")] if token else None
call = {"timeout": 10, "metadata": metadata}

# What is there, then what happens; a resume_token goes on where a stream was cut.
stream = events.WatchEvents(
    event_pb2.WatchEventsRequest(parent="rooms/-", snapshot=True), timeout=60, metadata=metadata
)
for item in stream:
    if item.HasField("snapshot_end"):
        break

# A retry with the same request_id makes no second room.
wanted = room_pb2.CreateRoomRequest(
    room_id="python",
    room=room_pb2.Room(display_name="Stand-up"),
    request_id=str(uuid.uuid4()),
)
room = rooms.CreateRoom(wanted, **call)
assert rooms.CreateRoom(wanted, **call).uid == room.uid
print("made", room.name)

issued = tokens.IssueToken(
    token_pb2.IssueTokenRequest(room=room.name, participant_id="ada", display_name="Ada"), **call
)
print("open", issued.page_url.split("#")[0])

# The mask says what changes, the etag that nobody else changed it meanwhile.
lock = room_pb2.UpdateRoomRequest(
    room=room_pb2.Room(name=room.name, etag=room.etag, locked=True),
    update_mask=FieldMask(paths=["locked"]),
)
print("locked", str(rooms.UpdateRoom(lock, **call).locked).lower())
try:
    rooms.UpdateRoom(lock, **call)
except grpc.RpcError as error:
    print("again", error.code().name)

rooms.DeleteRoom(room_pb2.DeleteRoomRequest(name=room.name, message="See you."), **call)
for item in stream:
    if item.HasField("event") and item.event.room == room.name:
        print("event", item.event.sequence, item.event.type)
        if item.event.type == "room.deleted":
            break
stream.cancel()
