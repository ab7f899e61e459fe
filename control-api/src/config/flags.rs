//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A WebRTC SFU: open the printed address in two browser tabs.
#[derive(Debug, Parser)]
#[command(name = "plenum", version, about, disable_help_subcommand = true)]
pub struct Flags {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub serve: ServeFlags,
}

/// Flags that stand for configuration keys.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeFlags {
    /// Page, WebSocket and health [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub http: Option<String>,
    /// HTTPS: the certificate chain in PEM, taken anew when the file changes
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// HTTPS: the private key in PEM
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// HTTPS on 8443 with an own certificate, for browsers in the same network
    #[arg(long, global = true)]
    pub lan: bool,
    /// gRPC [default: 127.0.0.1:50051]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub grpc: Option<String>,
    /// Metrics and health [default: 127.0.0.1:9464]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub admin: Option<String>,
    /// What browsers reach this node by; every URL handed out begins with it
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// Media; shard i listens i ports above [default: 10000]
    #[arg(long, global = true, value_name = "[ADDRESS:]PORT")]
    pub udp: Option<String>,
    /// An address browsers are told instead of the host's own; repeatable
    #[arg(long, global = true, value_name = "ADDRESS[:PORT]")]
    pub advertise: Vec<String>,
    /// Threads of the media plane [default: CPU quota]
    #[arg(long, global = true, value_name = "COUNT")]
    pub shards: Option<String>,
    /// Signing keys, one "key-id: secret" per line
    #[arg(long, global = true, value_name = "FILE")]
    pub keys_file: Option<String>,
    /// What is kept: certificate and key of --lan [default: ~/.local/share/plenum]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<String>,
    /// Configuration in TOML
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// "text" or "json"
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// What to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prints every bound with its reason
    Limits,
    /// Reads the configuration as a start would, and says what is wrong
    CheckConfig {
        /// Prints the effective configuration and where each value comes from
        #[arg(long)]
        print: bool,
        /// Prints docs/configuration.md: every key
        #[arg(long, conflicts_with = "print")]
        reference: bool,
    },
    /// Signs a token with the first key of --keys-file
    Token(TokenFlags),
}

/// What a token says. What goes with what is said by [`crate::sign`], in words of its own.
#[derive(Clone, Debug, Default, Args)]
pub struct TokenFlags {
    /// The room, for a participant's token or an invitation
    #[arg(long, value_name = "ROOM")]
    pub room: Option<String>,
    /// The participant; without it, an invitation: each join gets an id of its own
    #[arg(long, value_name = "ID")]
    pub participant: Option<String>,
    /// The name people see
    #[arg(long, value_name = "NAME")]
    pub display_name: Option<String>,
    /// What the participant may do, separated by commas: all, publish_sources=CAMERA, subscribe,
    /// send_data, hidden, admin, record, tracks_max=2 [default: all]
    #[arg(long, value_name = "LIST")]
    pub permissions: Option<String>,
    /// Makes the room, should it be missing
    #[arg(long)]
    pub create: bool,
    /// A backend's scopes, separated by commas; "*" for all
    #[arg(long, value_name = "SCOPES", value_delimiter = ',')]
    pub scopes: Vec<String>,
    /// The rooms a backend's token covers, separated by commas, such as "acme-*,lobby" [default:
    /// all]
    #[arg(long, value_name = "ROOMS", value_delimiter = ',')]
    pub rooms: Vec<String>,
    /// How long it is good for, 10s to 24h
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub ttl: String,
}
