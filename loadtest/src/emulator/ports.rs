//! The emulator's sockets, in real time.
//!
//! A *forward* stands before one address: whoever sends to its port reaches that address from a port
//! of its own, so that the other side can tell them apart. A *pair* stands between two browsers: what
//! comes to one of its ports leaves from the other, to whoever spoke there last.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::Serialize;
use sfu::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::lane::LaneStats;
use super::order::{Heading, Order};
use super::{Emulator, Full, LinkKey};
use crate::net::Clock;

/// Forwards and pairs.
const FLOWS_MAX: usize = 64;
/// Ports of one forward: a browser speaks from each of its network cards, anew after an ICE restart.
const PORTS_PER_FLOW_MAX: usize = 32;
/// Datagrams read and not yet looked at.
const ARRIVED_MAX: usize = 4_096;
/// The largest datagram that is passed.
const DATAGRAM_MAX: usize = 2_048;
/// The longest sleep, where nothing is due.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Why an order is not followed.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// A bound.
    #[error(transparent)]
    Full(#[from] Full),
    /// The socket.
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
    /// A forward or a pair of that name is there.
    #[error("{0} exists")]
    Exists(String),
    /// There is none.
    #[error("{0} does not exist")]
    Unknown(String),
}

/// What is said to an order.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// It is done.
    Done {
        /// True.
        ok: bool,
    },
    /// A forward's port.
    Port {
        /// It.
        port: u16,
    },
    /// A pair's ports.
    Pair {
        /// Of whom is at the near end of the link: it sends up, the other down.
        near: u16,
        /// Of the other.
        far: u16,
    },
    /// What became of the datagrams.
    Stats(Box<Stats>),
}

/// What became of the datagrams.
#[derive(Debug, Default, Serialize)]
pub struct Stats {
    /// Since the start.
    pub at_ms: u64,
    /// Datagrams that left later than they should have, by more than 5 ms, of all: this machine's
    /// doing.
    pub late: u64,
    /// The latest of them, since the last look.
    pub late_ms_max: u64,
    /// Read, but too many at once.
    pub unread: u64,
    /// By link: up, down.
    pub links: BTreeMap<String, [LaneStats; 2]>,
    /// By forward or pair: bytes up, down.
    pub flows: BTreeMap<String, [u64; 2]>,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
struct Parcel {
    /// Leaves from here.
    via: u32,
    /// To this address; none: to whoever spoke there last.
    to: Option<SocketAddr>,
    heading: Heading,
    payload: Vec<u8>,
}

/// A datagram that was read.
struct Arrived {
    port: u32,
    from: SocketAddr,
    at: Instant,
    payload: Vec<u8>,
}

#[derive(Debug)]
enum Role {
    /// Before `to`; who came so far.
    Front {
        to: SocketAddr,
        known: BTreeMap<SocketAddr, u32>,
    },
    /// The way to `to` of one who came to `front`.
    Back {
        front: u32,
        whose: SocketAddr,
        to: SocketAddr,
    },
    /// One of two.
    Half {
        other: u32,
        peer: Option<SocketAddr>,
        heading: Heading,
    },
}

#[derive(Debug)]
struct Port {
    flow: String,
    link: LinkKey,
    socket: Arc<UdpSocket>,
    reader: JoinHandle<()>,
    role: Role,
}

impl Drop for Port {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// The emulator at work.
#[derive(Debug)]
pub struct Ports {
    address: IpAddr,
    clock: Clock,
    emulator: Emulator<Parcel>,
    ports: BTreeMap<u32, Port>,
    flows: BTreeMap<String, [u64; 2]>,
    count: u32,
    late: u64,
    late_max: Duration,
    unread: u64,
    arrived: mpsc::Receiver<Arrived>,
    arrivals: mpsc::Sender<Arrived>,
}

impl Ports {
    /// No ports yet; they will be of `address`.
    #[must_use]
    pub fn new(address: IpAddr, seed: u64) -> Self {
        let (arrivals, arrived) = mpsc::channel(ARRIVED_MAX);
        Self {
            address,
            clock: Clock::start(),
            emulator: Emulator::new(seed),
            ports: BTreeMap::new(),
            flows: BTreeMap::new(),
            count: 0,
            late: 0,
            late_max: Duration::ZERO,
            unread: 0,
            arrived,
            arrivals,
        }
    }

    /// Does as told.
    ///
    /// # Errors
    /// It cannot.
    pub async fn follow(&mut self, order: Order) -> Result<Answer, PortError> {
        let now = self.clock.now();
        match order {
            Order::Change(change) => self.emulator.change(now, &change)?,
            Order::Later(after, change) => self.emulator.change_later(now, after, change)?,
            Order::Forward { name, link, to } => {
                let link = self.begin(&name, &link)?;
                let role = Role::Front {
                    to,
                    known: BTreeMap::new(),
                };
                let (_, port) = self.open(&name, link, role).await?;
                self.flows.insert(name, [0, 0]);
                return Ok(Answer::Port { port });
            }
            Order::Pair { name, link } => {
                let link = self.begin(&name, &link)?;
                let half = |other, heading| Role::Half {
                    other,
                    peer: None,
                    heading,
                };
                let next = self.count + 1;
                let (_, near) = self.open(&name, link, half(next + 1, Heading::Up)).await?;
                let (_, far) = self.open(&name, link, half(next, Heading::Down)).await?;
                self.flows.insert(name, [0, 0]);
                return Ok(Answer::Pair { near, far });
            }
            Order::Close(name) => {
                if self.flows.remove(&name).is_none() {
                    return Err(PortError::Unknown(name));
                }
                self.ports.retain(|_, port| port.flow != name);
            }
            Order::Stats => return Ok(Answer::Stats(Box::new(self.take_stats(now)))),
        }
        Ok(Answer::Done { ok: true })
    }

    /// Passes on what comes and what is due, once.
    pub async fn step(&mut self) {
        let now = self.clock.now();
        let sleep = self
            .emulator
            .next_at()
            .map_or(SLEEP_MAX, |at| at.since(now));
        tokio::select! {
            biased;
            arrived = self.arrived.recv() => if let Some(arrived) = arrived {
                self.take(arrived).await;
                // What came with it.
                while let Ok(arrived) = self.arrived.try_recv() {
                    self.take(arrived).await;
                }
            },
            () = tokio::time::sleep(sleep.min(SLEEP_MAX)) => {}
        }
        self.deliver();
    }

    fn deliver(&mut self) {
        let now = self.clock.now();
        while let Some((due, parcel)) = self.emulator.poll(now) {
            let late = now.since(due);
            self.late += u64::from(late > Duration::from_millis(5));
            self.late_max = self.late_max.max(late);
            let Some(port) = self.ports.get(&parcel.via) else {
                continue;
            };
            let to = match (parcel.to, &port.role) {
                (Some(to), _) => Some(to),
                (None, Role::Half { peer, .. }) => *peer,
                (None, Role::Front { .. } | Role::Back { .. }) => None,
            };
            let Some(to) = to else {
                continue;
            };
            // A full socket loses it, as a full network card would.
            let sent = port.socket.try_send_to(&parcel.payload, to).unwrap_or(0);
            if let Some(counts) = self.flows.get_mut(&port.flow) {
                let sent = u64::try_from(sent).unwrap_or(u64::MAX);
                let [up, down] = counts;
                match parcel.heading {
                    Heading::Up => *up += sent,
                    Heading::Down => *down += sent,
                }
            }
        }
    }

    /// Something was read.
    async fn take(&mut self, arrived: Arrived) {
        let Arrived {
            port: key,
            from,
            at,
            payload,
        } = arrived;
        let Some(port) = self.ports.get_mut(&key) else {
            return;
        };
        let link = port.link;
        let (via, to, heading) = match &mut port.role {
            Role::Half {
                other,
                peer,
                heading,
            } => {
                *peer = Some(from);
                (*other, None, *heading)
            }
            Role::Back { front, whose, to } if from == *to => (*front, Some(*whose), Heading::Down),
            // Nobody else has a reason to speak to it.
            Role::Back { .. } => return,
            Role::Front { to, known } => {
                let to = *to;
                let back = match known.get(&from) {
                    Some(back) => Some(*back),
                    None if known.len() >= PORTS_PER_FLOW_MAX => None,
                    None => self.back(key, from, to).await,
                };
                let Some(back) = back else {
                    self.unread += 1;
                    return;
                };
                (back, Some(to), Heading::Up)
            }
        };
        let length = payload.len();
        let parcel = Parcel {
            via,
            to,
            heading,
            payload,
        };
        self.emulator.send(at, link, heading, length, parcel);
    }

    /// A way to the address behind a forward, for one who came to it.
    async fn back(&mut self, front: u32, whose: SocketAddr, to: SocketAddr) -> Option<u32> {
        let (flow, link) = self
            .ports
            .get(&front)
            .map(|port| (port.flow.clone(), port.link))?;
        let role = Role::Back { front, whose, to };
        let (key, _) = self.open(&flow, link, role).await.ok()?;
        if let Some(Role::Front { known, .. }) =
            self.ports.get_mut(&front).map(|port| &mut port.role)
        {
            known.insert(whose, key);
        }
        Some(key)
    }

    fn begin(&mut self, name: &str, link: &str) -> Result<LinkKey, PortError> {
        if self.flows.contains_key(name) {
            return Err(PortError::Exists(name.to_owned()));
        }
        if self.flows.len() >= FLOWS_MAX {
            return Err(Full("64 forwards and pairs").into());
        }
        Ok(self.emulator.link(link)?)
    }

    async fn open(&mut self, flow: &str, link: LinkKey, role: Role) -> io::Result<(u32, u16)> {
        let socket = Arc::new(UdpSocket::bind(SocketAddr::new(self.address, 0)).await?);
        // Before the runtime has heard that it may be written to, the first datagram would be lost.
        socket.writable().await?;
        let port = socket.local_addr()?.port();
        self.count += 1;
        let key = self.count;
        let reader = read(key, Arc::clone(&socket), self.clock, self.arrivals.clone());
        let reader = tokio::spawn(reader);
        let flow = flow.to_owned();
        self.ports.insert(
            key,
            Port {
                flow,
                link,
                socket,
                reader,
                role,
            },
        );
        Ok((key, port))
    }

    fn take_stats(&mut self, now: Instant) -> Stats {
        Stats {
            at_ms: now.as_millis(),
            late: self.late,
            late_ms_max: u64::try_from(std::mem::take(&mut self.late_max).as_millis())
                .unwrap_or(u64::MAX),
            unread: self.unread,
            links: self.emulator.take_stats(),
            flows: self.flows.clone(),
        }
    }
}

/// Reads a port for as long as it is there.
async fn read(port: u32, socket: Arc<UdpSocket>, clock: Clock, arrivals: mpsc::Sender<Arrived>) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        // A port that is not reachable comes back as an error of the next read.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let payload = buffer.get(..length).unwrap_or_default().to_vec();
        let arrived = Arrived {
            port,
            from,
            at: clock.now(),
            payload,
        };
        // Waiting leaves the rest in the socket, which has a bound of its own.
        if arrivals.send(arrived).await.is_err() {
            return;
        }
    }
}

/// Does what the lines say until they end, and tells each answer; one line of JSON each.
///
/// # Errors
/// Nobody takes the answers any more.
pub async fn emulate(
    mut ports: Ports,
    mut lines: mpsc::Receiver<String>,
    mut say: impl FnMut(&str) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        tokio::select! {
            line = lines.recv() => {
                let Some(line) = line else {
                    return Ok(());
                };
                let answer = match line.parse() {
                    Ok(order) => ports.follow(order).await.map_err(|error| error.to_string()),
                    Err(error) => Err(format!("{error}")),
                };
                let text = match answer {
                    Ok(answer) => serde_json::to_string(&answer),
                    Err(error) => serde_json::to_string(&serde_json::json!({ "error": error })),
                };
                say(&text.map_err(io::Error::other)?)?;
            }
            () = ports.step() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Real sockets of the loopback, of programs that speak through an emulator.
    async fn socket() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0").await.expect("a port")
    }

    /// Follows these lines, and passes on from then on; the answers.
    async fn told(lines: &[String]) -> Vec<serde_json::Value> {
        let (tell, told) = mpsc::channel(8);
        let (said, mut answers) = mpsc::channel(8);
        let ports = Ports::new(IpAddr::from([127, 0, 0, 1]), 1);
        tokio::spawn(emulate(ports, told, move |answer| {
            said.try_send(answer.to_owned()).map_err(io::Error::other)
        }));
        let mut values = Vec::new();
        for line in lines {
            tell.send(line.clone()).await.expect("it listens");
            let answer = answers.recv().await.expect("it answers");
            values.push(serde_json::from_str(&answer).expect("JSON"));
        }
        // It ends with its input; these tests end first.
        std::mem::forget(tell);
        values
    }

    fn port(answer: &serde_json::Value, name: &str) -> SocketAddr {
        let number = answer[name].as_u64().expect("a port");
        SocketAddr::from(([127, 0, 0, 1], u16::try_from(number).expect("a port")))
    }

    async fn hears(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 64];
        let (length, from) = socket.recv_from(&mut buffer).await.expect("read");
        (buffer[..length].to_vec(), from)
    }

    #[tokio::test]
    async fn a_forward_shows_each_of_its_users_by_a_port_of_its_own_and_leads_back() {
        let (server, ada, lin) = (socket().await, socket().await, socket().await);
        let to = server.local_addr().expect("bound");
        let answers = told(&[format!("forward way link=weak to={to}")]).await;
        let front = port(&answers[0], "port");
        let mut ways = Vec::new();
        for (user, word) in [(&ada, b"ada"), (&lin, b"lin")] {
            user.send_to(word, front).await.expect("sent");
            let (heard, way) = hears(&server).await;
            assert_eq!(heard, word);
            ways.push(way);
        }
        assert_ne!(ways[0], ways[1]);
        for (user, way) in [(&ada, ways[0]), (&lin, ways[1])] {
            server.send_to(b"answer", way).await.expect("sent");
            assert_eq!(hears(user).await, (b"answer".to_vec(), front));
        }
    }

    #[tokio::test]
    async fn a_pair_leads_to_whoever_spoke_at_its_other_port() {
        let (ada, lin) = (socket().await, socket().await);
        let answers = told(&["pair twin link=weak".to_owned()]).await;
        let (near, far) = (port(&answers[0], "near"), port(&answers[0], "far"));
        ada.send_to(b"who is there?", near).await.expect("sent");
        // Which of the two is read first is open: until then there is nobody to lead to.
        let mut again = tokio::time::interval(Duration::from_millis(10));
        let heard = loop {
            tokio::select! {
                heard = hears(&ada) => break heard,
                _ = again.tick() => lin.send_to(b"to ada", far).await.expect("sent"),
            };
        };
        assert_eq!(heard, (b"to ada".to_vec(), near));
        ada.send_to(b"to lin", near).await.expect("sent");
        let mut heard = hears(&lin).await;
        if heard.0 == b"who is there?" {
            heard = hears(&lin).await;
        }
        assert_eq!(heard, (b"to lin".to_vec(), far));
    }

    #[tokio::test]
    async fn each_line_has_its_answer() {
        let lines = [
            "link weak rate=2M",
            "pair a link=weak",
            "pair a link=weak",
            "close b",
            "stats",
            "sing",
        ];
        let answers = told(&lines.map(str::to_owned)).await;
        assert_eq!(answers[0], serde_json::json!({ "ok": true }));
        assert_eq!(answers[2], serde_json::json!({ "error": "a exists" }));
        assert_eq!(
            answers[3],
            serde_json::json!({ "error": "b does not exist" })
        );
        assert_eq!(answers[4]["links"]["weak"][1]["delivered"], 0);
        assert_eq!(
            answers[5],
            serde_json::json!({ "error": "unknown order: sing" })
        );
    }
}
