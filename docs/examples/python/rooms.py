"""A backend, by gRPC: makes a room, invites Ada, waits until she is there, puts her out.

How its stubs are made stands in README.md. rooms.py [ADDRESS]; BACKEND_TOKEN where one is needed.
"""

import os
import sys
import time

import grpc
from plenum.v1 import participant_pb2, participant_pb2_grpc
from plenum.v1 import room_pb2, room_pb2_grpc, token_pb2, token_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
rooms = room_pb2_grpc.RoomServiceStub(channel)
tokens = token_pb2_grpc.TokenServiceStub(channel)
participants = participant_pb2_grpc.ParticipantServiceStub(channel)

# In development mode no token is needed; else: plenum token --keys-file FILE --scopes '*'
token = os.environ.get("BACKEND_TOKEN")
call = {"timeout": 5, "metadata": [("authorization", f"Bearer {token}")] if token else None}

config = room_pb2.RoomConfig(participants_max=10)
wanted = room_pb2.Room(display_name="Stand-up", config=config)
room = rooms.CreateRoom(room_pb2.CreateRoomRequest(room_id="standup", room=wanted), **call)
print("made", room.name, flush=True)

invitation = token_pb2.IssueTokenRequest(room=room.name, participant_id="ada", display_name="Ada")
issued = tokens.IssueToken(invitation, **call)
print("open", issued.page_url, flush=True)

inside = []
while not any(ada.state == participant_pb2.Participant.ACTIVE for ada in inside):
    time.sleep(0.2)
    request = participant_pb2.ListParticipantsRequest(parent=room.name)
    inside = participants.ListParticipants(request, **call).participants
for one in inside:
    print("inside", one.name, f"({one.display_name}), tracks:", len(one.tracks), flush=True)

request = participant_pb2.RemoveParticipantRequest(
    name=issued.participant, message="The stand-up is over."
)
participants.RemoveParticipant(request, **call)
print("removed", issued.participant, flush=True)
