//! Runs of many destinations handed over with one `sendmmsg`, each a message that the kernel cuts
//! into segments (UDP GSO). Entering the kernel costs less than a message does, but not nothing.
//!
//! Control data are shared by all messages of a call: the source address, and the segment size. A
//! datagram that is no longer than a segment is not cut, so single ones go along with runs.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::RawFd;

use arrayvec::ArrayVec;
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

use crate::limits::BUNDLE_RUNS;
use crate::outbox::{Outbox, Run};
use crate::path::{LocalId, Path};

/// Runs that leave with one call, as places in an outbox.
#[derive(Debug)]
pub(super) struct Bundle {
    places: ArrayVec<usize, BUNDLE_RUNS>,
    /// What longer messages are cut into; none: there are only single datagrams.
    segment: Option<u16>,
}

/// What a bundle has in common while it is put together.
#[derive(Debug)]
struct Shape {
    local: LocalId,
    segment: Option<usize>,
    longest_single: usize,
}

impl Shape {
    /// Whether `run` may go with the others; from then on it does.
    fn admit(&mut self, run: &Run<'_>) -> bool {
        if run.path.local != self.local {
            return false;
        }
        if run.bytes.len() <= run.segment_size {
            let fits = self
                .segment
                .is_none_or(|segment| run.bytes.len() <= segment);
            if fits {
                self.longest_single = self.longest_single.max(run.bytes.len());
            }
            return fits;
        }
        let fits = match self.segment {
            Some(segment) => segment == run.segment_size,
            None => self.longest_single <= run.segment_size,
        };
        if fits {
            self.segment = Some(run.segment_size);
        }
        fits
    }
}

impl Bundle {
    /// The run at `first`, and those behind it that may go with it; `taken` says of each run
    /// whether it is gone. Runs to one destination keep their order: where one has to wait, those
    /// behind it wait as well.
    pub(super) fn collect(outbox: &Outbox, taken: &mut [bool], first: usize) -> Self {
        let mut places = ArrayVec::new();
        let mut shape: Option<Shape> = None;
        let mut waiting: Option<Path> = None;
        let runs = outbox.runs().zip(taken).enumerate().skip(first);
        for (place, (run, taken)) in runs {
            if *taken {
                continue;
            }
            let shape = shape.get_or_insert(Shape {
                local: run.path.local,
                segment: None,
                longest_single: 0,
            });
            if waiting == Some(run.path) || !shape.admit(&run) {
                waiting = Some(run.path);
                continue;
            }
            *taken = true;
            places.push(place);
            if places.is_full() {
                break;
            }
        }
        let segment = shape.and_then(|shape| shape.segment);
        Self {
            places,
            segment: segment.and_then(|segment| u16::try_from(segment).ok()),
        }
    }

    /// The first run.
    pub(super) fn head<'a>(&self, outbox: &'a Outbox) -> Option<Run<'a>> {
        self.places.first().and_then(|&place| outbox.run(place))
    }

    /// The first `count` are through.
    pub(super) fn advance(&mut self, count: usize) {
        self.places.drain(..count.min(self.places.len()));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All of it.
    pub(super) fn runs<'a>(&self, outbox: &'a Outbox) -> impl Iterator<Item = Run<'a>> {
        self.places.iter().filter_map(|&place| outbox.run(place))
    }
}

/// Message headers for each set of control data: their room is reserved once, and its length is
/// part of what the kernel reads.
#[derive(Debug)]
pub(super) struct Headers {
    plain: MultiHeaders<SockaddrStorage>,
    cut: MultiHeaders<SockaddrStorage>,
    from_v4: MultiHeaders<SockaddrStorage>,
    from_v4_cut: MultiHeaders<SockaddrStorage>,
    from_v6: MultiHeaders<SockaddrStorage>,
    from_v6_cut: MultiHeaders<SockaddrStorage>,
}

impl Headers {
    pub(super) fn new() -> Self {
        let with = |space| MultiHeaders::preallocate(BUNDLE_RUNS, space);
        Self {
            plain: with(None),
            cut: with(Some(nix::cmsg_space!(u16))),
            from_v4: with(Some(nix::cmsg_space!(in_pktinfo))),
            from_v4_cut: with(Some(nix::cmsg_space!(u16, in_pktinfo))),
            from_v6: with(Some(nix::cmsg_space!(in6_pktinfo))),
            from_v6_cut: with(Some(nix::cmsg_space!(u16, in6_pktinfo))),
        }
    }

    /// Hands a bundle over; how many of its runs the kernel took, in order.
    ///
    /// # Errors
    /// Why the first one was not taken.
    pub(super) fn send(
        &mut self,
        socket: RawFd,
        source: Option<IpAddr>,
        bundle: &Bundle,
        outbox: &Outbox,
    ) -> io::Result<usize> {
        let addresses: ArrayVec<Option<SockaddrStorage>, BUNDLE_RUNS> = bundle
            .runs(outbox)
            .map(|run| Some(run.path.remote.into()))
            .collect();
        let slices: ArrayVec<[IoSlice<'_>; 1], BUNDLE_RUNS> = bundle
            .runs(outbox)
            .map(|run| [IoSlice::new(run.bytes)])
            .collect();
        let (v4, v6) = (packet_info_v4(source), packet_info_v6(source));
        let mut control: ArrayVec<ControlMessage<'_>, 2> = ArrayVec::new();
        if let Some(segment) = &bundle.segment {
            control.push(ControlMessage::UdpGsoSegments(segment));
        }
        let cut = bundle.segment.is_some();
        let headers = match source {
            None if cut => &mut self.cut,
            None => &mut self.plain,
            Some(IpAddr::V4(_)) => {
                control.push(ControlMessage::Ipv4PacketInfo(&v4));
                if cut {
                    &mut self.from_v4_cut
                } else {
                    &mut self.from_v4
                }
            }
            Some(IpAddr::V6(_)) => {
                control.push(ControlMessage::Ipv6PacketInfo(&v6));
                if cut {
                    &mut self.from_v6_cut
                } else {
                    &mut self.from_v6
                }
            }
        };
        let flags = MsgFlags::empty();
        let sent = sendmmsg(socket, headers, &slices, &addresses, &control, flags)?;
        Ok(sent.count())
    }
}

/// RFC 3542 §6.1 for IPv4: leave from this address.
const fn packet_info_v4(source: Option<IpAddr>) -> in_pktinfo {
    let s_addr = match source {
        Some(IpAddr::V4(ip)) => u32::from_ne_bytes(ip.octets()),
        Some(IpAddr::V6(_)) | None => 0,
    };
    in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: in_addr { s_addr },
        ipi_addr: in_addr { s_addr: 0 },
    }
}

const fn packet_info_v6(source: Option<IpAddr>) -> in6_pktinfo {
    let s6_addr = match source {
        Some(IpAddr::V6(ip)) => ip.octets(),
        Some(IpAddr::V4(_)) | None => [0; 16],
    };
    in6_pktinfo {
        ipi6_addr: in6_addr { s6_addr },
        ipi6_ifindex: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(remote: u16) -> Path {
        Path {
            local: LocalId(u32::from(remote / 100)),
            remote: ([127, 0, 0, 1], remote).into(),
        }
    }

    fn put(outbox: &mut Outbox, remote: u16, sizes: &[usize]) {
        for &size in sizes {
            outbox.slot(path(remote), size).expect("room").fill(7);
            outbox.commit(size);
        }
    }

    /// Which destinations leave with each call.
    fn calls(outbox: &Outbox) -> Vec<(Vec<u16>, Option<u16>)> {
        let mut taken = vec![false; outbox.len()];
        let mut calls = Vec::new();
        while let Some(first) = taken.iter().position(|taken| !taken) {
            let bundle = Bundle::collect(outbox, &mut taken, first);
            let remotes = bundle.runs(outbox).map(|run| run.path.remote.port());
            calls.push((remotes.collect(), bundle.segment));
        }
        calls
    }

    #[test]
    fn runs_of_one_size_leave_together_and_single_datagrams_along_with_them() {
        let mut outbox = Outbox::new();
        put(&mut outbox, 1, &[100]);
        put(&mut outbox, 2, &[1_000, 1_000, 400]);
        put(&mut outbox, 3, &[1_000, 1_000]);
        put(&mut outbox, 4, &[1_000]);
        put(&mut outbox, 5, &[1_200, 1_200]);
        put(&mut outbox, 6, &[1_100]);
        assert_eq!(
            calls(&outbox),
            [(vec![1, 2, 3, 4], Some(1_000)), (vec![5, 6], Some(1_200)),]
        );
    }

    #[test]
    fn runs_to_one_destination_keep_their_order() {
        let mut outbox = Outbox::new();
        put(&mut outbox, 1, &[1_000, 1_000, 500]);
        put(&mut outbox, 2, &[1_200, 1_200, 500]);
        put(&mut outbox, 2, &[1_000, 1_000]);
        put(&mut outbox, 3, &[1_000, 1_000]);
        assert_eq!(
            calls(&outbox),
            [
                (vec![1, 3], Some(1_000)),
                (vec![2], Some(1_200)),
                (vec![2], Some(1_000)),
            ]
        );
    }

    #[test]
    fn local_addresses_do_not_mix_and_a_call_has_a_bound() {
        let mut outbox = Outbox::new();
        put(&mut outbox, 1, &[100]);
        put(&mut outbox, 101, &[100]);
        put(&mut outbox, 2, &[100]);
        assert_eq!(calls(&outbox), [(vec![1, 2], None), (vec![101], None)]);
        outbox.clear();
        for remote in 0..100 {
            put(&mut outbox, remote, &[100]);
        }
        let counts: Vec<_> = calls(&outbox).iter().map(|call| call.0.len()).collect();
        assert_eq!(counts, [BUNDLE_RUNS, 100 - BUNDLE_RUNS]);
    }

    #[test]
    fn what_was_not_taken_stays_at_the_head() {
        let mut outbox = Outbox::new();
        for remote in 1..=3 {
            put(&mut outbox, remote, &[100]);
        }
        let mut bundle = Bundle::collect(&outbox, &mut [false; 3], 0);
        bundle.advance(2);
        assert_eq!(bundle.head(&outbox).map(|run| run.path), Some(path(3)));
        bundle.advance(1);
        assert!(bundle.is_empty());
    }
}
