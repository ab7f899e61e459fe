//! gRPC from outside: a node in this process, on loopback, with a real engine; tonic as the caller.
//!
//! | file | what it shows |
//! |---|---|
//! | `support` | the node, the caller, what a refusal looks like |
//! | `life` | rooms, participants and tokens, made and ended |
//! | `refusals` | tokens, names, pages and masks that are refused, method by method |
//! | `watch` | events, cut and taken up again |
//! | `dynamic` | calls by descriptors |
//! | `matrix` | every method × every way to call it wrongly or again |
//! | `conventions` | reflection, the server about itself, silent connections, repeats |
//! | `absent` | what nothing acts on yet; deadlines, sizes, health |

#[cfg(test)]
mod absent;
#[cfg(test)]
mod conventions;
#[cfg(test)]
mod dynamic;
#[cfg(test)]
mod life;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod support;
#[cfg(test)]
mod watch;
