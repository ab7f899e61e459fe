//! WHIP and WHEP from outside: a node in this process, on loopback, with a real engine; requests by
//! hand over plain sockets, so that every byte of a header is ours.
//!
//! | file | what it shows |
//! |---|---|
//! | `support` | the node, a request, offers as text |
//! | `publish` | POST to `/whip/{room}`: what is taken, what is refused, what the answer says |
//! | `view` | POST to `/whep/{room}` |
//! | `change` | PATCH and DELETE of what a POST made |
//! | `origins` | OPTIONS and pages of other origins |
//! | `tokens` | who may, outside development |
//! | `life` | presence: who is told, and when it ends |

#[cfg(test)]
mod change;
#[cfg(test)]
mod life;
#[cfg(test)]
mod origins;
#[cfg(test)]
mod publish;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod view;
