//! The process as people run it: what signals do, what it answers while it starts and ends, and
//! what `plenum token` signs.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod drain;
#[cfg(test)]
mod issuer;
mod logs;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod ready;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod support;
#[cfg(test)]
mod token;
