//! The doors of participants: no media logic, the same commands behind each.
//!
//! | file | what it is |
//! |---|---|
//! | [`websocket`] | `/v1/connect`: the socket's life, from `join` to the last frame |
//! | `exchange` | what each message of a browser does |
//! | [`whip`] | `/whip/{room}`: publish by one HTTP exchange (RFC 9725) |
//! | `whep` | `/whep/{room}`: play by one (draft-ietf-wish-whep) |
//! | `follow` | which tracks a WHEP viewer is shown |
//! | `entry` | the way in by WHIP and WHEP: join, offer, answer |
//! | `resource` | what stands for such a participant: PATCH, DELETE |
//! | `request` | body and token of their requests |
//! | `sdpfrag` | trickled candidates and ICE restarts as text |
//! | `join` | the first message: token, room, welcome |
//! | `incoming` | messages of browsers, as JSON |
//! | `outgoing` | messages of the server, as JSON |
//! | `digest` | news coalesced into few messages |
//! | `description` | SDP text to values and back |
//! | `rate` | how often a message of each kind may come |

mod description;
mod digest;
mod entry;
mod exchange;
mod follow;
mod incoming;
mod join;
mod outgoing;
mod rate;
mod request;
mod resource;
mod sdpfrag;
pub mod websocket;
mod whep;
pub mod whip;

pub(crate) use resource::Resources;
