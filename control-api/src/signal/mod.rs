//! The doors of participants: no media logic, the same commands behind each.
//!
//! | file | what it is |
//! |---|---|
//! | [`websocket`] | `/v1/connect`: the socket's life, from `join` to the last frame |
//! | `entrance` | the first messages: looks, then `join` or `resume` |
//! | `socket` | reads, writes and the farewell |
//! | `line` | what outlives a socket: numbers, the last messages, the queue |
//! | `lobby` | a look into a room from outside |
//! | `command` | methods of the API, by permission |
//! | `exchange` | what each message of a browser does |
//! | [`whip`] | `/whip/{room}`: publish by one HTTP exchange (RFC 9725) |
//! | `whep` | `/whep/{room}`: play by one (draft-ietf-wish-whep) |
//! | `follow` | which tracks a WHEP viewer is shown |
//! | `entry` | the way in by WHIP and WHEP: join, offer, answer |
//! | `resource` | what stands for such a participant: PATCH, DELETE |
//! | `request` | body and token of their requests |
//! | `sdpfrag` | trickled candidates and ICE restarts as text |
//! | `join` | a join's token and room; welcome and snapshot |
//! | `incoming` | messages of browsers, as JSON |
//! | `layers` | what is given of each picture, as JSON |
//! | `outgoing` | messages of the server, as JSON |
//! | `digest` | news coalesced into few messages |
//! | `description` | SDP text to values and back |
//! | `rate` | how often a message of each kind may come |

mod command;
mod description;
mod digest;
mod entrance;
mod entry;
mod exchange;
mod follow;
mod incoming;
mod join;
mod layers;
mod line;
mod lobby;
mod outgoing;
mod rate;
mod request;
mod resource;
mod sdpfrag;
mod socket;
pub mod websocket;
mod whep;
pub mod whip;

pub(crate) use line::Lines;
pub(crate) use resource::Resources;
