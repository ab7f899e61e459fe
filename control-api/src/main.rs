//! `plenum`: reads its flags, builds everything, serves until a signal. The only `anyhow` in the
//! house.
#![expect(
    clippy::print_stderr,
    reason = "a command line refuses on standard error"
)]

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use control_api::auth::{Authority, TokenRequest};
use control_api::config::flags::{Command, Flags, ServeFlags, TokenFlags};
use control_api::config::print::print;
use control_api::config::table::reference;
use control_api::config::{Config, Loaded, load};
use control_api::drain::{Signals, until_signal};
use control_api::node::{Running, keys};
use control_api::registry::{ParticipantSpec, RoomName};
use control_api::reload::{Reader, Reload};
use control_api::{lan, limits, logs, sign};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The start was refused: what was asked for makes no sense or would be unsafe.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => return misread(&error),
    };
    if matches!(flags.command, Some(Command::Limits)) {
        print_limits();
        return ExitCode::SUCCESS;
    }
    let loaded = load(&flags.serve, std::env::vars_os()).and_then(|loaded| {
        loaded.config.check()?;
        Ok(loaded)
    });
    let mut loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&anyhow::anyhow!("{error}")),
    };
    // Checking leaves nothing behind, so it settles nothing either.
    let is_acting = matches!(flags.command, Some(Command::Token(_)) | None);
    if loaded.config.lan && is_acting {
        let settled = lan::settle(&mut loaded).map_err(anyhow::Error::from);
        let checked = settled.and_then(|()| Ok(loaded.config.check()?));
        if let Err(error) = checked {
            return refuse(&error);
        }
    }
    match flags.command {
        Some(Command::CheckConfig {
            reference: true, ..
        }) => print_reference(),
        Some(Command::CheckConfig { print, .. }) => check_config(&loaded, print),
        Some(Command::Token(token)) => token_of(&loaded.config, &token),
        Some(Command::Limits) | None => serve(loaded.config, flags.serve),
    }
    .unwrap_or_else(|error| refuse(&error))
}

fn refuse(error: &anyhow::Error) -> ExitCode {
    eprintln!("plenum: {error:#}");
    ExitCode::from(REFUSED)
}

/// What was asked for cannot be read: one sentence, as for everything else that is refused.
fn misread(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Help and version are an answer.
        say(error.to_string().trim_end());
        return ExitCode::SUCCESS;
    }
    let words = error.to_string();
    let mut lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let tip = lines.find_map(|line| line.strip_prefix("tip: "));
    let cure = tip.map_or_else(|| "see plenum --help".to_owned(), str::to_owned);
    refuse(&anyhow::anyhow!("{first}; {cure}"))
}

/// Says something on standard output. Whoever read it may be gone by now (`plenum limits | head`),
/// which is no reason to fail.
fn say(text: impl std::fmt::Display) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

fn print_limits() {
    for limit in sfu::limits::ALL.iter().chain(limits::ALL) {
        say(format_args!(
            "{:<32} {:>12}  {}",
            limit.name, limit.value, limit.why
        ));
    }
}

fn check_config(loaded: &Loaded, is_printed: bool) -> anyhow::Result<ExitCode> {
    // Its sentence names the cause; the chain behind it would say so again.
    keys(&loaded.config).map_err(|error| anyhow::anyhow!("{error}"))?;
    loaded.config.check_files()?;
    logs::filter(&loaded.config.log)?;
    if is_printed {
        say(print(&loaded.config, &loaded.sources)?.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn print_reference() -> anyhow::Result<ExitCode> {
    let defaults = toml::Table::try_from(Config::default())?;
    say(reference(&defaults).trim_end());
    Ok(ExitCode::SUCCESS)
}

fn token_of(config: &Config, flags: &TokenFlags) -> anyhow::Result<ExitCode> {
    let keys = keys(config).map_err(|error| anyhow::anyhow!("{error}"))?;
    let keys = keys.context("give --keys-file: its first key signs")?;
    let issued = sign::sign(&Authority::new(keys), config, flags);
    say(issued.map_err(anyhow::Error::msg)?.token);
    Ok(ExitCode::SUCCESS)
}

fn serve(config: Config, flags: ServeFlags) -> anyhow::Result<ExitCode> {
    let filter = Arc::new(logs::start(&config.log)?);
    let reload = Reload {
        flags,
        filter: Arc::clone(&filter),
        reader: Reader::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let signals = Signals::listen()?;
        // Its sentence names the cause; the chain behind it would say so again.
        let running = Running::start(config)
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        running.node.give_filter(filter);
        announce(&running).await?;
        anyhow::Ok(until_signal(running, signals, &reload).await)
    })?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(if ended {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn announce(running: &Running) -> anyhow::Result<()> {
    let node = &running.node;
    if node.is_development() {
        tracing::warn!(
            "development mode: no key is configured and every listener is on loopback, so tokens \
             are optional and rooms come into being at first join"
        );
    }
    if let Err(why) = node.ready() {
        tracing::warn!("not ready: {why}");
    }
    let (http, grpc, admin) = (running.http, running.grpc, running.admin);
    tracing::info!(%http, %grpc, %admin, "plenum {} is up", env!("CARGO_PKG_VERSION"));
    let room = RoomName::new("demo")?;
    if node.config().lan {
        return invite(running, room).await;
    }
    let url = node.urls().page(&room, None);
    if !url.is_empty() {
        tracing::info!("open {url} in two tabs");
        say(url);
    }
    Ok(())
}

/// Makes the room and prints the way in: on standard output, since it is a secret of sorts, and
/// logs are kept.
async fn invite(running: &Running, name: RoomName) -> anyhow::Result<()> {
    let node = &running.node;
    // It stays while nobody is inside: the link is to be good all day.
    let mut spec = node.room_spec(None);
    spec.config.empty_timeout = Duration::ZERO;
    node.registry()
        .create_room(Some(name.clone()), spec)
        .await?;
    let issued = node.authority().issue(&TokenRequest {
        room: name.clone(),
        participant: None,
        spec: ParticipantSpec::default(),
        ttl: limits::TOKEN_TTL_MAX,
        room_config: None,
    })?;
    let url = node.urls().page(&name, Some(&issued.token));
    tracing::info!(
        "everybody in this network may join by the link, for 24 hours; browsers warn of the \
         certificate, which is this machine's own"
    );
    if let Some(code) = lan::qr_code(&url) {
        say(code);
    }
    say(url);
    Ok(())
}
