//! `--lan`: a meeting for people in the same network, whose browsers give a page its camera over
//! HTTPS only. Makes a certificate of its own and a signing key once, keeps both in the data
//! directory, and settles where everything listens.
//!
//! The certificate is made anew when this machine's addresses change or its time runs out.

use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use sfu::engine::address::host_addresses;

use crate::clock::{UnixTime, random};
use crate::config::print::Source;
use crate::config::{Config, Loaded};
use crate::discovery::is_private;
use crate::tls::Protocol;

/// Where HTTPS listens unless `--http` says otherwise.
const PORT: u16 = 8_443;
/// Browsers take none that is good for longer than 398 days.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(397 * 24 * 3_600);
/// Less time left than this: a new one is made.
const CERTIFICATE_REST: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Clocks of phones may be this far behind.
const CERTIFICATE_BEFORE: Duration = Duration::from_secs(24 * 3_600);

/// Why `--lan` is refused: one sentence.
#[derive(Debug, thiserror::Error)]
pub enum LanError {
    /// Nobody could reach this machine.
    #[error(
        "--lan: this machine has no address that others in its network could reach: connect it to \
         a network, or give --advertise"
    )]
    NoAddress,
    /// Nowhere to keep things.
    #[error("--lan: there is no home directory to keep its certificate in: give --data-dir")]
    NoFolder,
    /// They cannot be kept there.
    #[error("--data-dir {path}: {why}")]
    Keep {
        /// Where.
        path: String,
        /// What the system says.
        why: String,
    },
}

/// Settles what `--lan` stands for. What was set by hand stays.
///
/// # Errors
/// No address, or nowhere to keep the certificate.
pub fn settle(loaded: &mut Loaded) -> Result<(), LanError> {
    let addresses = addresses(&loaded.config);
    let first = *addresses.first().ok_or(LanError::NoAddress)?;
    let folder = folder(&loaded.config, |name| {
        std::env::var_os(name).map(PathBuf::from)
    })?;
    let kept = |error: io::Error| LanError::Keep {
        path: folder.display().to_string(),
        why: error.to_string(),
    };
    let mut builder = fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(kept)?;
    let (config, sources) = (&mut loaded.config, &mut loaded.sources);
    let mut settled = Vec::new();
    if !sources.contains_key("http") {
        let any: IpAddr = match first {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        config.http = SocketAddr::new(any, PORT);
        settled.push("http");
    }
    if config.public_url.is_none() && config.http.port() != 0 {
        let ip = Some(config.http.ip()).filter(|ip| !ip.is_unspecified());
        let place = SocketAddr::new(ip.unwrap_or(first), config.http.port());
        config.public_url = format!("https://{place}").parse().ok();
        settled.push("public_url");
    }
    if config.keys.is_none() && config.keys_file.is_none() {
        config.keys_file = Some(signing_key(&folder).map_err(kept)?);
        settled.push("keys_file");
    }
    if config.tls_cert.is_none() && config.tls_key.is_none() {
        certificate(config, &folder, &addresses, UnixTime::now()).map_err(kept)?;
        settled.extend(["tls_cert", "tls_key"]);
    }
    if !config.advertise.private {
        config.advertise.private = true;
        settled.push("advertise.private");
    }
    sources.extend(settled.into_iter().map(|key| (key, Source::Lan)));
    Ok(())
}

/// The addresses others in the network may reach, the likeliest first.
fn addresses(config: &Config) -> Vec<IpAddr> {
    let advertised: Vec<IpAddr> = config.advertise.addresses.iter().map(|it| it.ip).collect();
    let mut addresses = if advertised.is_empty() {
        host_addresses()
    } else {
        advertised
    };
    // At home and in offices it is a private IPv4 address.
    addresses.sort_by_key(|&address| (address.is_ipv6(), !is_private(address)));
    addresses
}

/// `--data-dir`, else where the desktop's conventions put such things.
fn folder(
    config: &Config,
    variable: impl Fn(&str) -> Option<PathBuf>,
) -> Result<PathBuf, LanError> {
    if let Some(folder) = &config.data_dir {
        return Ok(folder.clone());
    }
    // A relative one is to be ignored (XDG Base Directory Specification).
    let xdg = variable("XDG_DATA_HOME").filter(|path| path.is_absolute());
    let home = || variable("HOME").filter(|path| path.is_absolute());
    xdg.or_else(|| home().map(|home| home.join(".local/share")))
        .map(|data| data.join("plenum"))
        .ok_or(LanError::NoFolder)
}

/// The file of the one signing key, drawn if it is not there yet.
fn signing_key(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("lan.keys");
    if !path.try_exists()? {
        let secret = random::<32>().map_err(io::Error::other)?;
        let line = format!("lan: {}\n", URL_SAFE_NO_PAD.encode(secret));
        write(&path, line.as_bytes())?;
    }
    Ok(path)
}

/// Puts a certificate for these addresses into the configuration: the kept one, if it still does.
fn certificate(
    config: &mut Config,
    folder: &Path,
    addresses: &[IpAddr],
    now: UnixTime,
) -> io::Result<()> {
    let (cert, key) = (folder.join("lan.crt"), folder.join("lan.key"));
    config.tls_cert = Some(cert.clone());
    config.tls_key = Some(key.clone());
    let mut names: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    names.sort();
    let names = format!("for {}", names.join(" "));
    let is_good = config
        .http_tls()
        .is_some_and(|files| files.check(Protocol::Http1).is_ok());
    if is_good && is_kept(&fs::read_to_string(&cert)?, &names, now) {
        return Ok(());
    }
    let until = now.after(CERTIFICATE_LIFE);
    let (certificate, private) = draw(addresses, now, until).map_err(io::Error::other)?;
    // What stands before the first line of dashes is for people and for us (RFC 7468 §2).
    let text = format!("{names}\nuntil {}\n{certificate}", until.as_secs());
    write(&key, private.as_bytes())?;
    write(&cert, text.as_bytes())
}

fn is_kept(text: &str, names: &str, now: UnixTime) -> bool {
    let mut lines = text.lines();
    let same = lines.next() == Some(names);
    let until = lines.next().and_then(|line| line.strip_prefix("until "));
    let until = until.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    same && until > now.after(CERTIFICATE_REST).as_secs()
}

fn draw(
    addresses: &[IpAddr],
    now: UnixTime,
    until: UnixTime,
) -> Result<(String, String), rcgen::Error> {
    let own: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let mut names = vec!["localhost".to_owned()];
    // rcgen reads addresses as such.
    names.extend(addresses.iter().chain(&own).map(ToString::to_string));
    let mut parameters = CertificateParams::new(names)?;
    let epoch = date_time_ymd(1970, 1, 1);
    let before = Duration::from_secs(now.as_secs()).saturating_sub(CERTIFICATE_BEFORE);
    parameters.not_before = epoch + before;
    parameters.not_after = epoch + Duration::from_secs(until.as_secs());
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Writes a file that only its owner reads, all of it or nothing.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// A QR code for a terminal: light squares are drawn, so that a dark terminal shows it as cameras
/// expect it. None where the text is longer than any code.
#[must_use]
pub fn qr_code(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let mut drawn = code.render::<Dense1x2>();
    let drawn = drawn
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark);
    Some(drawn.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn scratch(test: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("plenum-lan-{test}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_certificate_is_kept_until_addresses_or_time_say_otherwise() {
        let folder = scratch("certificate");
        let addresses = |text: &[&str]| -> Vec<IpAddr> {
            text.iter().map(|text| text.parse().unwrap()).collect()
        };
        let now = UnixTime::now();
        let mut seen = Vec::new();
        let mut config = Config::default();
        for (addresses, now, is_new) in [
            (addresses(&["192.168.1.2", "fd00::2"]), now, true),
            (addresses(&["192.168.1.2", "fd00::2"]), now, false),
            (addresses(&["fd00::2", "192.168.1.2"]), now, false),
            (addresses(&["192.168.1.3"]), now, true),
            (
                addresses(&["192.168.1.3"]),
                now.after(Duration::from_secs(3_600)),
                false,
            ),
            (
                addresses(&["192.168.1.3"]),
                now.after(CERTIFICATE_LIFE),
                true,
            ),
        ] {
            certificate(&mut config, &folder, &addresses, now).unwrap();
            let text = fs::read_to_string(folder.join("lan.crt")).unwrap();
            assert_eq!(!seen.contains(&text), is_new, "{addresses:?} {now:?}");
            seen.push(text);
            config.check_files().unwrap();
        }
        fs::write(folder.join("lan.key"), "broken").unwrap();
        let later = now.after(CERTIFICATE_LIFE);
        certificate(&mut config, &folder, &addresses(&["192.168.1.3"]), later).unwrap();
        config.check_files().unwrap();
        for name in ["lan.crt", "lan.key"] {
            let mode = fs::metadata(folder.join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_signing_key_is_drawn_once() {
        let folder = scratch("key");
        let path = signing_key(&folder).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        crate::auth::Keys::parse(&first).unwrap();
        signing_key(&folder).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn things_are_kept_where_the_desktop_keeps_such_things() {
        let config = Config::default();
        for (xdg, home, expected) in [
            (Some("/x"), Some("/h"), Some("/x/plenum")),
            (Some("x"), Some("/h"), Some("/h/.local/share/plenum")),
            (None, Some("/h"), Some("/h/.local/share/plenum")),
            (None, None, None),
        ] {
            let variable = |name: &str| {
                let value = if name == "HOME" { home } else { xdg };
                value.map(PathBuf::from)
            };
            let found = folder(&config, variable).ok();
            assert_eq!(found, expected.map(PathBuf::from));
        }
    }

    #[test]
    fn what_was_set_by_hand_stays() {
        let folder = scratch("settle");
        let mut loaded = Loaded::default();
        loaded.config.lan = true;
        loaded.config.data_dir = Some(folder.clone());
        loaded.config.advertise.addresses = vec!["192.168.1.2".parse().unwrap()];
        let mut by_hand = loaded.clone();
        settle(&mut loaded).unwrap();
        assert_eq!(loaded.config.http.to_string(), "0.0.0.0:8443");
        let url = loaded.config.public_url.clone().map(String::from);
        assert_eq!(url.as_deref(), Some("https://192.168.1.2:8443"));
        assert!(loaded.config.grpc.address.ip().is_loopback());
        assert!(!loaded.config.is_development() && loaded.config.check().is_ok());
        assert_eq!(loaded.sources.get("tls_cert"), Some(&Source::Lan));

        by_hand.config.http = "192.168.1.2:9000".parse().unwrap();
        by_hand.sources.insert("http", Source::Flag("--http"));
        by_hand.config.public_url = Some("https://meet.example".parse().unwrap());
        settle(&mut by_hand).unwrap();
        assert_eq!(by_hand.config.http.port(), 9_000);
        let url = by_hand.config.public_url.map(String::from);
        assert_eq!(url.as_deref(), Some("https://meet.example"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_link_is_a_square_of_squares() {
        let link = format!("https://192.168.1.2:8443/r/demo#token={}", "x".repeat(400));
        let code = qr_code(&link).unwrap();
        let widths: Vec<usize> = code.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|&width| width == widths[0]));
        // Two rows of squares in each line.
        assert_eq!(widths.len(), widths[0].div_ceil(2));
        assert!(
            code.lines()
                .next()
                .unwrap()
                .chars()
                .all(|square| square == '█')
        );
        assert!(qr_code(&"x".repeat(5_000)).is_none());
    }
}
