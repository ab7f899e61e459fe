//! Counters as Prometheus text. Names of counters are the fields of `ShardStats`, `IoStats` and
//! `TableSizes`; drops carry their reason as a label.

use std::fmt::{Display, Write};

use sfu::engine::handle::{CallError, ShardInspection};

use crate::node::Node;
use crate::status::{Failure, Reason};

/// The whole page.
///
/// # Errors
/// `NODE_OVERLOADED` where a shard is too busy to say.
pub async fn text(node: &Node) -> Result<String, Failure> {
    let inspected = node.registry().engine().inspect().await;
    let shards = inspected.map_err(|error| match error {
        CallError::Busy => Failure::of(Reason::NodeOverloaded),
        CallError::Closed | CallError::Command(_) => Failure::of(Reason::NodeDraining),
    })?;
    let mut page = Page::default();
    let (rooms, participants) = node.registry().counts();
    page.one("plenum_rooms", "gauge", "Rooms.", rooms);
    page.one(
        "plenum_participants",
        "gauge",
        "Participants.",
        participants,
    );
    page.one(
        "plenum_sockets",
        "gauge",
        "Open WebSockets.",
        node.sockets(),
    );
    page.one(
        "plenum_ready",
        "gauge",
        "1 while ready.",
        u8::from(node.ready().is_ok()),
    );
    if let Some(bytes) = resident_bytes() {
        page.one(
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory.",
            bytes,
        );
    }
    issuer(&mut page, node);
    counters(&mut page, &shards);
    drops(&mut page, &shards);
    tables(&mut page, &shards);
    sockets(&mut page, &shards);
    Ok(page.0)
}

/// Another issuer's keys, where there is one.
fn issuer(page: &mut Page, node: &Node) {
    let Some(issuer) = node.authority().issuer() else {
        return;
    };
    let counts = issuer.counts();
    page.one(
        "plenum_jwks_keys",
        "gauge",
        "Keys of the issuer in use.",
        counts.keys,
    );
    page.head(
        "plenum_jwks_fetches_total",
        "counter",
        "Sets of the issuer's keys asked for, by outcome.",
    );
    for (outcome, count) in [("taken", counts.taken), ("failed", counts.failed)] {
        page.line(format_args!(
            "plenum_jwks_fetches_total{{outcome=\"{outcome}\"}} {count}"
        ));
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(format_args!("{name} {value}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String does not fail.
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }

    fn by_shard<V: Display>(
        &mut self,
        head: (&str, &str, &str),
        shards: &[ShardInspection],
        value: impl Fn(&ShardInspection) -> V,
    ) {
        let (name, kind, help) = head;
        self.head(name, kind, help);
        for (index, shard) in shards.iter().enumerate() {
            self.line(format_args!("{name}{{shard=\"{index}\"}} {}", value(shard)));
        }
    }
}

macro_rules! table {
    ($page:expr, $shards:expr, $kind:literal, $part:expr, $suffix:literal, {
        $($field:ident: $help:literal,)*
    }) => {
        $($page.by_shard(
            (concat!("plenum_", stringify!($field), $suffix), $kind, $help),
            $shards,
            |shard| $part(shard).$field,
        );)*
    };
}

fn counters(page: &mut Page, shards: &[ShardInspection]) {
    table!(page, shards, "counter", |it: &ShardInspection| it.inspection.stats.clone(), "_total", {
        datagrams_in: "Datagrams received.",
        bytes_in: "Their bytes.",
        forwarded: "Media packets that reached a track.",
        consumed: "STUN, DTLS, RTCP and SCTP datagrams acted upon.",
        datagrams_out: "Datagrams put into the outbox.",
        bytes_out: "Their bytes.",
        packets_out: "Media packets sent, retransmissions included.",
        retransmissions_out: "Retransmissions among them.",
        nacks_in: "Sequence numbers asked for by subscribers.",
        nacks_out: "Sequence numbers asked of publishers.",
        keyframe_requests_in: "PLI and FIR received.",
        keyframe_requests_out: "PLI sent.",
        handshakes: "Handshakes completed.",
        runs_out: "Runs put into the outbox.",
        joins: "Participants that joined.",
        pipe_packets_out: "Media packets handed to other shards.",
        pipe_packets_dropped: "Media packets not handed to another shard: too much waited for it.",
        pipe_packets_in: "Media packets that came from other shards.",
        pipe_refused: "Messages of other shards that led nowhere.",
        data_messages_in: "Data channel messages received.",
        data_messages_out: "Data channel messages sent.",
    });
}

fn drops(page: &mut Page, shards: &[ShardInspection]) {
    page.head(
        "plenum_dropped_total",
        "counter",
        "Datagrams dropped, by reason.",
    );
    for (index, shard) in shards.iter().enumerate() {
        for (reason, count) in shard.inspection.stats.dropped.iter() {
            let reason = reason.as_str();
            page.line(format_args!(
                "plenum_dropped_total{{shard=\"{index}\",reason=\"{reason}\"}} {count}"
            ));
        }
    }
    page.head(
        "plenum_tickets_dropped_total",
        "counter",
        "Packets not sent, by reason.",
    );
    for (index, shard) in shards.iter().enumerate() {
        for (reason, count) in shard.inspection.stats.tickets_dropped.iter() {
            let reason = reason.as_str();
            page.line(format_args!(
                "plenum_tickets_dropped_total{{shard=\"{index}\",reason=\"{reason}\"}} {count}"
            ));
        }
    }
}

fn tables(page: &mut Page, shards: &[ShardInspection]) {
    table!(page, shards, "gauge", |it: &ShardInspection| it.inspection.sizes, "_held", {
        rooms: "Rooms of a shard.",
        participants: "Participants of a shard, each with its transport.",
        tracks: "Published tracks.",
        encodings: "Their encodings.",
        sections: "Outgoing m-lines.",
        subscriptions: "Wishes.",
        paths: "Proved paths.",
        timers: "Timers in the wheel.",
        history_pages: "Pages of packet history in use.",
        ports: "Plaintext doors.",
    });
}

fn sockets(page: &mut Page, shards: &[ShardInspection]) {
    table!(page, shards, "counter", |it: &ShardInspection| it.io, "_total", {
        batches_in: "Receive batches.",
        receive_errors: "Failed receives.",
        sends: "GSO runs and single datagrams sent.",
        send_calls: "Calls they were sent with.",
        parcels_out: "Batches of messages handed to other shards.",
        parcels_in: "Batches of messages that came from other shards.",
        runs_split: "Runs resent datagram by datagram.",
        send_waits: "Waits for a writable socket.",
        panics: "Bugs that cost a room.",
    });
    run_lengths(page, shards);
}

/// How many datagrams go with one message of the kernel's: what segmentation (GSO) is worth.
fn run_lengths(page: &mut Page, shards: &[ShardInspection]) {
    let name = "plenum_run_datagrams";
    page.head(name, "histogram", "Datagrams in a GSO run or alone.");
    for (index, shard) in shards.iter().enumerate() {
        for (bound, count) in shard.io.run_lengths.up_to() {
            page.line(format_args!(
                "{name}_bucket{{shard=\"{index}\",le=\"{bound}\"}} {count}"
            ));
        }
        let (sends, datagrams) = (shard.io.sends, shard.io.datagrams_out);
        page.line(format_args!(
            "{name}_bucket{{shard=\"{index}\",le=\"+Inf\"}} {sends}"
        ));
        page.line(format_args!("{name}_sum{{shard=\"{index}\"}} {datagrams}"));
        page.line(format_args!("{name}_count{{shard=\"{index}\"}} {sends}"));
    }
}

/// Memory of this process that is in RAM, where the system says it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}
