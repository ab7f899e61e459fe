//! How many connections each source has. A source is an IPv4 address or an IPv6 /64, which is what
//! one host is given. Loopback is not counted: that is a proxy or this machine's own people.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// The counts of one listener. No more entries than it has connections.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    counts: Arc<DashMap<IpAddr, usize>>,
    most: usize,
}

/// Counts a connection while it lives.
#[derive(Debug)]
pub(super) struct Seat(Option<(Arc<DashMap<IpAddr, usize>>, IpAddr)>);

impl Sources {
    /// At most `most` of each; 0: any number.
    pub(super) fn new(most: usize) -> Self {
        Self {
            counts: Arc::default(),
            most,
        }
    }

    /// One more of this address, if it may.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Seat> {
        let address = address.to_canonical();
        if self.most == 0 || address.is_loopback() {
            return Some(Seat(None));
        }
        let source = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        };
        let mut count = self.counts.entry(source).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(count);
        Some(Seat(Some((Arc::clone(&self.counts), source))))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((counts, source)) = self.0.take() else {
            return;
        };
        if let Entry::Occupied(mut count) = counts.entry(source) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_so_many_connections_and_leaves_nothing_behind() {
        let sources = Sources::new(2);
        let enter = |text: &str| sources.enter(text.parse().unwrap());
        let first = enter("203.0.113.7").unwrap();
        let second = enter("::ffff:203.0.113.7").unwrap();
        assert!(enter("203.0.113.7").is_none());
        let other = enter("203.0.113.8").unwrap();
        drop(first);
        let again = enter("203.0.113.7").unwrap();
        let seats = [
            enter("2001:db8::1").unwrap(),
            enter("2001:db8::2:1").unwrap(),
        ];
        assert!(enter("2001:db8::3").is_none());
        assert!(enter("2001:db8:0:1::3").is_some());
        let own: Vec<Seat> = (0..9).map(|_| enter("127.0.0.1").unwrap()).collect();
        drop((second, other, again, seats, own));
        assert!(sources.counts.is_empty());
        assert!(
            Sources::new(0)
                .enter("203.0.113.7".parse().unwrap())
                .is_some()
        );
    }
}
