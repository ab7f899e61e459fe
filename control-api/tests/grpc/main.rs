//! gRPC from outside: a node in this process, on loopback, with a real engine; tonic as the caller.
//!
//! | file | what it shows |
//! |---|---|
//! | `support` | the node, the caller, what a refusal looks like |
//! | `life` | rooms, participants and tokens, made and ended |
//! | `refusals` | tokens, names, pages and masks that are refused, method by method |
//! | `watch` | events, cut and taken up again |
//! | `absent` | what nothing acts on yet; deadlines, sizes, health |

#[cfg(test)]
mod absent;
#[cfg(test)]
mod life;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod support;
#[cfg(test)]
mod watch;
