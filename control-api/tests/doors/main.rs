//! The doors from outside: a node in this process, on loopback, with a real engine; plain sockets
//! as its visitors. Every frame of the server is held against its schema.
//!
//! | file | what it shows |
//! |---|---|
//! | `support` | the node, a socket, an HTTP request |
//! | `schema` | the part of JSON Schema our schemas use |
//! | `roster` | joining, leaving, being replaced and removed, data |
//! | `messages` | looks, changes, commands, waiting, messages kept |
//! | `resume` | sockets that die, and others that go on |
//! | `refusals` | what is refused, and how |
//! | `life` | expiry, closed sockets, drain |
//! | `page` | HTTP: page, health, metrics |

#[cfg(test)]
mod life;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod page;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod roster;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod support;
