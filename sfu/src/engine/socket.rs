//! The UDP sockets of one shard: batches in (recvmmsg, GRO, kernel time, local address), runs out
//! (sendmmsg, GSO). The only file that names quinn-udp and socket2.
//!
//! IPv4 and IPv6 have a socket each, so that a remote address has one spelling only.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use arrayvec::ArrayVec;
use quinn_udp::{BATCH_SIZE, EcnCodepoint, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant as Timeout, timeout_at};

use super::EngineError;
use super::bundle::{Bundle, Headers};
use super::config::{EngineConfig, nth_port};
use super::stats::IoStats;
use crate::limits::{DATAGRAM_BYTES, LOCAL_ADDRESSES, OUTBOX_RUNS, SEND_WAIT};
use crate::outbox::{Outbox, Run};
use crate::path::{Ecn, LocalId};

/// What one receive call may give in one message: GRO joins up to 64 datagrams below 64 KiB.
const MESSAGE_BYTES: usize = 1 << 16;

/// How often a port that is free for IPv4 and taken for IPv6 is drawn anew (port 0 only).
const FREE_PORT_TRIES: usize = 16;

/// A socket before its thread starts.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: SocketAddr,
    socket: Socket,
}

/// Every socket of shard `index`, all on one port.
pub(super) fn bind(config: &EngineConfig, index: usize) -> Result<Vec<Bound>, EngineError> {
    let base = config.udp.first().map_or(0, SocketAddr::port);
    if base != 0 {
        return bind_all(config, nth_port(base, index).unwrap_or(0));
    }
    for _ in 1..FREE_PORT_TRIES {
        match bind_all(config, 0) {
            Err(EngineError::Bind { source, .. }) if source.kind() == io::ErrorKind::AddrInUse => {}
            decided => return decided,
        }
    }
    bind_all(config, 0)
}

/// Port 0: the first socket takes a free port, the others the same.
fn bind_all(config: &EngineConfig, mut port: u16) -> Result<Vec<Bound>, EngineError> {
    let mut bound: Vec<Bound> = Vec::with_capacity(config.udp.len());
    for configured in &config.udp {
        let address = SocketAddr::new(configured.ip(), port);
        match open(address, config) {
            Ok(socket) => {
                port = socket.address.port();
                bound.push(socket);
            }
            Err(source) if is_missing_family(&source, address) && config.udp.len() > 1 => {
                tracing::info!(%address, "this host has no IPv6; going on without");
            }
            Err(source) => {
                let cure = cure(source.kind());
                return Err(EngineError::Bind {
                    address,
                    source,
                    cure,
                });
            }
        }
    }
    Ok(bound)
}

fn open(address: SocketAddr, config: &EngineConfig) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // The kernel grants at most rmem_max and wmem_max and does not complain: ask what it became.
    socket.set_recv_buffer_size(config.receive_buffer_bytes)?;
    socket.set_send_buffer_size(config.send_buffer_bytes)?;
    let address = socket.local_addr()?.as_socket().unwrap_or(address);
    // It counts its own bookkeeping in and so says twice what it took.
    let receive_buffer_bytes = socket.recv_buffer_size()? / 2;
    let send_buffer_bytes = socket.send_buffer_size()? / 2;
    let small = receive_buffer_bytes < config.receive_buffer_bytes
        || send_buffer_bytes < config.send_buffer_bytes;
    if small {
        tracing::info!(
            %address, receive_buffer_bytes, send_buffer_bytes,
            "smaller socket buffers than asked for; raise net.core.rmem_max and wmem_max"
        );
    } else {
        tracing::debug!(%address, receive_buffer_bytes, send_buffer_bytes, "UDP socket");
    }
    Ok(Bound { address, socket })
}

/// "Every IPv6 address" on a kernel without IPv6.
fn is_missing_family(error: &io::Error, address: SocketAddr) -> bool {
    let missing = [nix::libc::EAFNOSUPPORT, nix::libc::EADDRNOTAVAIL];
    address.is_ipv6()
        && address.ip().is_unspecified()
        && error
            .raw_os_error()
            .is_some_and(|code| missing.contains(&code))
}

/// What helps against a failed bind.
fn cure(kind: io::ErrorKind) -> &'static str {
    if kind == io::ErrorKind::AddrInUse {
        "the port is in use: stop who holds it, or choose another with --udp address:port"
    } else if kind == io::ErrorKind::PermissionDenied {
        "ports below 1024 need privileges: choose another with --udp address:port"
    } else if kind == io::ErrorKind::AddrNotAvailable {
        "this host has no such address: choose one of its own with --udp address:port"
    } else {
        "choose another address with --udp address:port"
    }
}

/// What a [`LocalId`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Local {
    socket: usize,
    /// Source address of what leaves; none: as the routing table picks.
    ip: Option<IpAddr>,
}

#[derive(Debug)]
struct ShardSocket {
    /// Watched for what comes in only. To be told of room for what goes out as well would wake the
    /// thread for each packet that a receiver or the network card has taken; see [`Patience`].
    io: AsyncFd<Socket>,
    state: UdpSocketState,
    /// Found once at the start. quinn-udp gives GSO up for good after one failed run, which one
    /// unlucky route would do to all others, so its later opinion is not asked.
    gso: bool,
    /// Bound to one address: nothing else can be its source.
    has_one_address: bool,
}

/// The sockets of one shard.
#[derive(Debug)]
pub(super) struct Sockets {
    sockets: Vec<ShardSocket>,
    /// Its first entries are the sockets themselves, in their order.
    locals: Vec<Local>,
    /// Of each run of the outbox at hand: it is on its way.
    taken: Vec<bool>,
}

impl Sockets {
    /// Must be called inside the runtime that will run them.
    pub(super) fn new(bound: Vec<Bound>) -> io::Result<Self> {
        let mut sockets = Vec::with_capacity(bound.len());
        for Bound { socket, address } in bound {
            let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
            let io = watch(socket, Interest::READABLE)?;
            let gso = state.max_gso_segments() > 1;
            sockets.push(ShardSocket {
                io,
                state,
                gso,
                has_one_address: !address.ip().is_unspecified(),
            });
        }
        let locals = (0..sockets.len())
            .map(|socket| Local { socket, ip: None })
            .collect();
        Ok(Self {
            sockets,
            locals,
            taken: Vec::with_capacity(OUTBOX_RUNS),
        })
    }

    pub(super) fn count(&self) -> usize {
        self.sockets.len()
    }

    /// Whether runs leave whole, for each socket.
    pub(super) fn gso(&self) -> impl Iterator<Item = bool> + '_ {
        self.sockets.iter().map(|socket| socket.gso)
    }

    /// Ends when any socket may have something.
    pub(super) async fn readable(&self) {
        std::future::poll_fn(|task| {
            let ready = |socket: &ShardSocket| socket.io.poll_read_ready(task).is_ready();
            // `map` then `fold`: every socket must be asked, or it would not wake this task.
            let any = self.sockets.iter().map(ready).fold(false, |a, b| a | b);
            if any {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
    }

    /// One batch from socket `index`; an empty one where it has nothing.
    pub(super) fn receive(&self, index: usize, batch: &mut Batch) -> io::Result<()> {
        batch.filled = 0;
        let Some(socket) = self.sockets.get(index) else {
            return Ok(());
        };
        let mut slices: ArrayVec<IoSliceMut<'_>, BATCH_SIZE> = batch
            .bytes
            .chunks_mut(MESSAGE_BYTES)
            .take(BATCH_SIZE)
            .map(IoSliceMut::new)
            .collect();
        let received = socket.io.try_io(Interest::READABLE, |io| {
            let io = UdpSockRef::from(io);
            batch.filled = socket.state.recv(io, &mut slices, &mut batch.metas)?;
            // The kernel had no more (an error that cut it short is an event of its own): what
            // comes from here on is told anew, and asking a second time would say just that.
            if batch.filled < BATCH_SIZE {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            Ok(())
        });
        match received {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The name of the local address `ip` of socket `index`. Bounded: a further address goes by
    /// the name of the socket alone.
    pub(super) fn local(&mut self, index: usize, ip: Option<IpAddr>) -> LocalId {
        let is_told = self.sockets.get(index).is_some_and(|it| it.has_one_address);
        let ip = ip.filter(|_| !is_told);
        let local = Local { socket: index, ip };
        let known = self.locals.iter().position(|&known| known == local);
        let place = match known {
            Some(place) => place,
            None if self.locals.len() < LOCAL_ADDRESSES => {
                self.locals.push(local);
                self.locals.len() - 1
            }
            None => index,
        };
        LocalId(u32::try_from(place).unwrap_or(0))
    }

    /// Sends every run. What a full socket buffer does not take within `SEND_WAIT`, in all, is
    /// dropped and counted.
    pub(super) async fn send(
        &mut self,
        outbox: &Outbox,
        headers: &mut Headers,
        stats: &mut IoStats,
    ) {
        let mut patience = Patience::default();
        self.taken.clear();
        self.taken.resize(outbox.len(), false);
        for place in 0..outbox.len() {
            let Some(run) = outbox.run(place) else { break };
            let Some(taken) = self.taken.get_mut(place).filter(|taken| !**taken) else {
                continue;
            };
            let Some((socket, source)) = route(&self.sockets, &self.locals, run.path.local) else {
                *taken = true;
                stats.dropped_refused += run.datagrams().count() as u64;
                continue;
            };
            if socket.gso {
                let bundle = Bundle::collect(outbox, &mut self.taken, place);
                let door = Door {
                    socket,
                    source,
                    headers,
                };
                door.send(bundle, outbox, &mut patience, stats).await;
            } else {
                *taken = true;
                send_singly(socket, source, run, &mut patience, stats).await;
            }
        }
    }
}

/// Wakes the runtime's thread for `interest` in `socket`.
fn watch(socket: Socket, interest: Interest) -> io::Result<AsyncFd<Socket>> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for types whose descriptor may change; a Socket's does not"
    )]
    AsyncFd::with_interest(socket, interest)
}

/// The socket behind a local address, and the source address to name.
fn route<'a>(
    sockets: &'a [ShardSocket],
    locals: &[Local],
    local: LocalId,
) -> Option<(&'a ShardSocket, Option<IpAddr>)> {
    let local = locals.get(usize::try_from(local.0).ok()?)?;
    Some((sockets.get(local.socket)?, local.ip))
}

/// How long full socket buffers are still waited for.
#[derive(Debug, Default)]
struct Patience {
    until: Option<Timeout>,
}

impl Patience {
    /// Waits until `socket` takes something again; false where that took too long.
    async fn wait(&mut self, socket: &ShardSocket, stats: &mut IoStats) -> bool {
        let until = *self.until.get_or_insert_with(|| Timeout::now() + SEND_WAIT);
        stats.send_waits += 1;
        let again = socket.io.get_ref().try_clone();
        let Ok(again) = again.and_then(|again| watch(again, Interest::WRITABLE)) else {
            return false;
        };
        timeout_at(until, again.writable()).await.is_ok()
    }
}

/// The way out of a bundle.
struct Door<'a> {
    socket: &'a ShardSocket,
    source: Option<IpAddr>,
    headers: &'a mut Headers,
}

impl Door<'_> {
    async fn send(
        self,
        mut bundle: Bundle,
        outbox: &Outbox,
        patience: &mut Patience,
        stats: &mut IoStats,
    ) {
        let Self {
            socket,
            source,
            headers,
        } = self;
        while !bundle.is_empty() {
            match headers.send(socket.io.as_raw_fd(), source, &bundle, outbox) {
                Ok(count) => {
                    stats.send_calls += 1;
                    stats.sends += count as u64;
                    for run in bundle.runs(outbox).take(count) {
                        stats.datagrams_out += run.count();
                        stats.run_lengths.add(run.count());
                    }
                    bundle.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !patience.wait(socket, stats).await {
                        let left = bundle.runs(outbox).map(|run| run.count());
                        stats.dropped_full += left.sum::<u64>();
                        return;
                    }
                }
                Err(_) => {
                    // It is the first one's; the others may be better.
                    let Some(run) = bundle.head(outbox) else {
                        return;
                    };
                    bundle.advance(1);
                    stats.runs_split += u64::from(run.count() > 1);
                    send_singly(socket, source, run, patience, stats).await;
                }
            }
        }
    }
}

/// A run datagram by datagram.
async fn send_singly(
    socket: &ShardSocket,
    source: Option<IpAddr>,
    run: Run<'_>,
    patience: &mut Patience,
    stats: &mut IoStats,
) {
    let mut left = run.count();
    for contents in run.datagrams() {
        let transmit = Transmit {
            destination: run.path.remote,
            ecn: None,
            contents,
            segment_size: None,
            src_ip: source,
        };
        loop {
            let io = UdpSockRef::from(socket.io.get_ref());
            match socket.state.try_send(io, &transmit) {
                Ok(()) => {
                    stats.send_calls += 1;
                    stats.sends += 1;
                    stats.datagrams_out += 1;
                    stats.run_lengths.add(1);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if patience.wait(socket, stats).await {
                        continue;
                    }
                    stats.dropped_full += left;
                    return;
                }
                Err(error) => *refusal(&error, stats) += 1,
            }
            break;
        }
        left -= 1;
    }
}

/// The counter of a datagram the kernel would not send.
fn refusal<'a>(error: &io::Error, stats: &'a mut IoStats) -> &'a mut u64 {
    match error.raw_os_error() {
        Some(nix::libc::EMSGSIZE) => &mut stats.dropped_too_large,
        Some(nix::libc::ENETUNREACH | nix::libc::EHOSTUNREACH | nix::libc::ENETDOWN) => {
            &mut stats.dropped_unreachable
        }
        Some(_) | None => &mut stats.dropped_refused,
    }
}

/// A datagram as it came in.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub(super) remote: SocketAddr,
    pub(super) local: Option<IpAddr>,
    pub(super) ecn: Ecn,
    /// The kernel's wall clock at arrival.
    pub(super) stamp: Option<Duration>,
    pub(super) bytes: &'a mut [u8],
}

/// Room for what one receive call gives; used again and again.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Box<[u8]>,
    metas: [RecvMeta; BATCH_SIZE],
    filled: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; MESSAGE_BYTES * BATCH_SIZE].into_boxed_slice(),
            metas: [RecvMeta::default(); BATCH_SIZE],
            filled: 0,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Every datagram, in the order of arrival; GRO's messages taken apart, each cut at
    /// `DATAGRAM_BYTES`.
    pub(super) fn datagrams(&mut self) -> impl Iterator<Item = Received<'_>> {
        let messages = self.bytes.chunks_mut(MESSAGE_BYTES).zip(&self.metas);
        messages.take(self.filled).flat_map(|(bytes, meta)| {
            let length = meta.len.min(bytes.len());
            let (bytes, _) = bytes.split_at_mut(length);
            bytes.chunks_mut(meta.stride.max(1)).map(|bytes| {
                let length = bytes.len().min(DATAGRAM_BYTES);
                Received {
                    remote: meta.addr,
                    local: meta.dst_ip,
                    ecn: ecn(meta.ecn),
                    stamp: meta.timestamp,
                    bytes: bytes.split_at_mut(length).0,
                }
            })
        })
    }
}

const fn ecn(bits: Option<EcnCodepoint>) -> Ecn {
    match bits {
        None => Ecn::NotEct,
        Some(EcnCodepoint::Ect0) => Ecn::Ect0,
        Some(EcnCodepoint::Ect1) => Ecn::Ect1,
        Some(EcnCodepoint::Ce) => Ecn::Ce,
    }
}
