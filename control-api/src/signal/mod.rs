//! The doors of participants: no media logic, the same commands behind each.
//!
//! | file | what it is |
//! |---|---|
//! | [`websocket`] | `/v1/connect`: the socket's life, from `join` to the last frame |
//! | `exchange` | what each message of a browser does |
//! | `join` | the first message: token, room, welcome |
//! | `incoming` | messages of browsers, as JSON |
//! | `outgoing` | messages of the server, as JSON |
//! | `digest` | news coalesced into few messages |
//! | `description` | SDP text to values and back |
//! | `rate` | how often a message of each kind may come |

mod description;
mod digest;
mod exchange;
mod incoming;
mod join;
mod outgoing;
mod rate;
pub mod websocket;
