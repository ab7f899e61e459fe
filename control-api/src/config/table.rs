//! Every configuration key: how it is written, what it does. `docs/configuration.md` is this table.

/// How a key's value is written in a variable or a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As text.
    Text,
    /// As a whole number.
    Number,
    /// As `true` or `false`.
    Truth,
    /// As entries separated by commas.
    List,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the file, with dots.
    pub name: &'static str,
    /// Its flag, where it has one.
    pub flag: Option<&'static str>,
    /// How it is written.
    pub kind: Kind,
    /// A value one could write.
    pub example: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Never printed.
    pub is_secret: bool,
}

impl Key {
    /// Its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        let name = self.name.to_ascii_uppercase().replace('.', "__");
        format!("PLENUM_{name}")
    }
}

/// The key of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Tables that may be written as one value: which key that is.
pub(super) const SHORT: &[(&str, &str)] = &[
    ("admin", "admin.address"),
    ("advertise", "advertise.addresses"),
    ("grpc", "grpc.address"),
];

macro_rules! keys {
    ($($name:literal $([$flag:literal])? $kind:ident $example:literal, $what:literal;)*) => {
        /// All keys, in the order of the documentation.
        pub const KEYS: &[Key] = &[
            $(Key {
                name: $name,
                flag: keys!(@flag $($flag)?),
                kind: keys!(@kind $kind),
                example: $example,
                what: $what,
                is_secret: keys!(@secret $kind),
            },)*
        ];
    };
    (@flag) => { None };
    (@flag $flag:literal) => { Some($flag) };
    (@kind Secret) => { Kind::Text };
    (@kind $kind:ident) => { Kind::$kind };
    (@secret Secret) => { true };
    (@secret $kind:ident) => { false };
}

keys! {
    "http" ["--http"] Text "127.0.0.1:8080", "The page, `/v1/connect`, WHIP, WHEP and health: an address and a port. Beyond loopback it needs signing keys.";
    "http_connections_per_source" Number "100", "HTTP connections of one address (IPv6: of one /64) at the same time, WebSockets not counted once they are open; 0: any number. Loopback is not counted. Raise it behind a proxy on another machine.";
    "tls_cert" ["--tls-cert"] Text "/etc/plenum/tls.crt", "HTTPS on `http`: the certificate chain in PEM. Taken anew within seconds when the file changes; a new file that is no good keeps the old one.";
    "tls_key" ["--tls-key"] Text "/etc/plenum/tls.key", "The private key of `tls_cert`, in PEM.";
    "public_url" ["--public-url"] Text "https://meet.example", "What browsers and backends reach this node by: every URL handed out begins with it. Unset: the address of `http`.";
    "lan" ["--lan"] Truth "true", "For a meeting in the same network: HTTPS on 0.0.0.0:8443 with an own certificate, media on the addresses of this network, a key drawn once; all of it kept in `data_dir`. Prints an invitation and its QR code.";
    "grpc.address" ["--grpc"] Text "127.0.0.1:50051", "gRPC for backends: an address and a port. `grpc` may be written for it. Beyond loopback it needs signing keys and TLS.";
    "grpc.plaintext" Truth "true", "Lets gRPC listen beyond loopback without TLS: for a proxy that encrypts.";
    "grpc.tls_cert" Text "/etc/plenum/grpc.crt", "TLS on gRPC: the certificate chain in PEM, taken anew when it changes.";
    "grpc.tls_key" Text "/etc/plenum/grpc.key", "The private key of `grpc.tls_cert`, in PEM.";
    "grpc.client_ca" Text "/etc/plenum/backends.crt", "Backends must show a certificate of one of these authorities (PEM). One that does needs no token; a token it shows is still checked and bounds it.";
    "admin.address" ["--admin"] Text "127.0.0.1:9464", "Metrics, health and `/log-level`: an address and a port. `admin` may be written for it. Beyond loopback it needs signing keys, and metrics and the log level need a backend's token.";
    "admin.tls_cert" Text "/etc/plenum/admin.crt", "TLS on `admin`: the certificate chain in PEM, taken anew when it changes.";
    "admin.tls_key" Text "/etc/plenum/admin.key", "The private key of `admin.tls_cert`, in PEM.";
    "admin.client_ca" Text "/etc/plenum/operators.crt", "Callers of `admin` must show a certificate of one of these authorities (PEM), and need no token then.";
    "udp" ["--udp"] Text "10000", "Media: a port on every address of the host, or one address with a port. Shard `i` listens `i` ports above.";
    "advertise.addresses" ["--advertise"] List "203.0.113.7", "Addresses browsers are told instead of the host's own, each with or without the port that shard 0 has outside. `advertise` may be written for it; the flag may be repeated.";
    "advertise.private" Truth "true", "Private addresses of this host (10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7) are told too: for browsers in the same network.";
    "stun.servers" List "stun.example.org:3478", "STUN servers to ask at the start, where the host has no public address of its own, which address others see: hosts with ports.";
    "shards" ["--shards"] Number "2", "Threads of the media plane, each with a UDP port of its own. Unset: the CPU quota within the affinity mask.";
    "shard_participants" Number "200", "Participants of a shard from which on newcomers to its rooms go to a shard that has fewer: the room is on both then, and each packet wanted there is carried over once. Nobody is moved. Data channels reach those of the same shard only. 0: rooms stay whole.";
    "keys" Secret "main: at least 32 bytes of secret", "Signing keys, one `key-id: secret` per line; the first one signs. Better kept in a file, see `keys_file`. No key at all, and everything on loopback: development mode.";
    "keys_file" ["--keys-file"] Text "/etc/plenum/keys", "A file with what `keys` would hold. Taken anew by SIGHUP: tokens of a key that is gone are refused, who is inside stays.";
    "ice.servers" List "stun:stun.example.org:3478", "STUN and TURN servers that clients are told: by the WebSocket when somebody joins or resumes, and in `Link` headers of WHIP and WHEP. URLs as RFC 7064 and RFC 7065 write them, such as `turn:turn.example.org:3478?transport=udp`. A node with an address that clients reach needs none.";
    "ice.turn_secret" Secret "at least 32 bytes of secret, as the TURN server has them", "What the TURN servers of `ice.servers` share with this node (coturn: `static-auth-secret`): names and passwords that hold for `ice.turn_ttl` are made of it. Better kept in a file, see `ice.turn_secret_file`.";
    "ice.turn_secret_file" Text "/etc/plenum/turn", "A file with what `ice.turn_secret` would hold.";
    "ice.turn_ttl" Text "12h", "How long a name and password for TURN hold, from when a client is told them.";
    "jwks.url" Text "https://login.example/keys", "Another issuer's public keys (JWKS; EdDSA and RS256), whose tokens are taken beside those of `keys`: https, or http on loopback. The last good set stays in use while the issuer cannot be reached; redirects are not followed.";
    "jwks.file" Text "/etc/plenum/jwks.json", "A file with what `jwks.url` would answer.";
    "jwks.ca" Text "/etc/plenum/login.crt", "Whose certificates `jwks.url` may show (PEM). Unset: the system's authorities.";
    "jwks.issuer" Text "https://login.example", "The `iss` of that issuer's tokens.";
    "jwks.audience" Text "plenum", "The `aud` of that issuer's tokens.";
    "jwks.claims" List "room=https://acme.example/room", "The claim map, `ours=theirs`: sub, room, display_name, metadata, attributes, attributes.NAME, kind, permissions, room_config, scopes or rooms, and the name of their claim or a JSON Pointer to it. Unset: they write a `plenum` claim as we do; set: only what the map names counts.";
    "jwks.refresh" Text "5m", "How often that issuer's keys are asked for, 10 s to 24 h. For a token of a key that is not known they are asked for at once, every 10 s at most.";
    "data_dir" ["--data-dir"] Text "/var/lib/plenum", "Where the certificate and the key of `lan` are kept. Unset: `$XDG_DATA_HOME/plenum`, else `~/.local/share/plenum`.";
    "cors.origins" List "https://app.example", "Pages of other origins that may connect: scheme, host and port as browsers write them.";
    "drain.timeout" Text "30s", "How long participants may stay after SIGTERM.";
    "room.empty_timeout" Text "5m", "An empty room goes after this long, where its maker says nothing; 0: never.";
    "room.resume_window" Text "30s", "A participant whose socket closed may come back for this long, where the room's maker says nothing.";
    "room.participants_max" Number "50", "Participants of a room at the same time, where its maker says nothing.";
    "room.audio_slots" Number "5", "Voices sent to each participant at the same time in a large room, 1 to 10: the loudest, in as many m-lines that never change. See audio.md.";
    "room.audio_slots_above" Number "20", "A room with more sounds published than this, 1 to 100, is a large one; in a smaller one everybody is heard.";
    "log.format" ["--log-format"] Text "json", "`text` for people or `json` for machines, on standard error.";
    "log.level" Text "info", "`error`, `warn`, `info`, `debug`, or directives such as `info,sfu=debug`. Changed in a running process by SIGHUP, or by `PUT /log-level` on `admin` with the new one as body, which lasts until the next of either.";
    "log.addresses" Text "prefix", "Addresses of people in the log: `none`, their `prefix` (/24, IPv6 /48) or in `full`.";
    "media.receive_buffer_bytes" Number "4194304", "`SO_RCVBUF` asked for of each media socket.";
    "media.send_buffer_bytes" Number "4194304", "`SO_SNDBUF` asked for of each media socket.";
}

/// `docs/configuration.md`.
#[must_use]
pub fn reference(defaults: &toml::Table) -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         <!-- Made by `plenum check-config --reference > docs/configuration.md`. -->\n\n\
         Flags beat environment variables, which beat the file of `--config` (TOML; its variable \
         is `PLENUM_CONFIG`), which beats defaults. Nested keys are written with two underscores \
         in variables, lists with commas. Unknown keys are refused, and so is what would be \
         unsafe: with one sentence and exit code 2. SIGHUP reads everything anew and takes keys, \
         certificates, another issuer's keys, ICE servers and `log.level`; where anything is wrong, nothing \
         changes, and what needs a restart is named in the log. Variables that Kubernetes makes for a Service \
         named `plenum` are passed over.\n\n\
         `plenum check-config` says whether a start would be refused; with `--print` it shows \
         every value and where it comes from, secrets left out. Durations are `500ms`, `30s`, \
         `5m`, `2h` or `0`.\n\n\
         Development mode is: no signing key, and HTTP, gRPC and admin on loopback. Then tokens \
         are optional and rooms come into being at first join.\n\n\
         | key | flag | variable | default | what it does |\n|---|---|---|---|---|\n",
    );
    for key in KEYS {
        let default = super::print::value(defaults, key.name);
        let default = default.map_or_else(|| "unset".to_owned(), |value| format!("`{value}`"));
        let flag = key
            .flag
            .map_or_else(String::new, |flag| format!("`{flag}`"));
        text.push_str(&format!(
            "| `{}` | {flag} | `{}` | {default} | {} For example `{}`. |\n",
            key.name,
            key.variable(),
            key.what,
            key.example,
        ));
    }
    text
}
