//! Which pages may connect: those we serve, those `cors.origins` names, in development those of
//! this machine. Programs that are no browsers send no `Origin` and are not concerned.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use crate::status::{Failure, Reason};

/// The host (with port) this request asked for, if it is one.
pub(super) fn host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(header::HOST)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte);
    (!host.is_empty() && host.len() <= 255 && host.bytes().all(plain)).then_some(host)
}

/// Refuses a page from elsewhere.
///
/// # Errors
/// `ORIGIN_REFUSED`.
pub(crate) fn check(
    headers: &HeaderMap,
    allowed: &[String],
    development: bool,
) -> Result<(), Failure> {
    let refuse = |why: &str| Err(Failure::new(Reason::OriginRefused, why));
    let host = host(headers);
    // A name that was made to point at this machine (DNS rebinding) is not this machine: without
    // tokens, only its own names count.
    if development && !host.is_some_and(is_loopback) {
        return refuse("in development mode the host must be a loopback address or localhost");
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let Ok(origin) = origin.to_str() else {
        return refuse("the origin cannot be read");
    };
    if allowed.iter().any(|known| known == origin) {
        return Ok(());
    }
    let origin_host = origin.split_once("://").map(|(_, host)| host);
    let same = origin_host.is_some() && origin_host == host;
    if same || (development && origin_host.is_some_and(is_loopback)) {
        return Ok(());
    }
    refuse("this origin is not allowed; list it in cors.origins")
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_from_elsewhere_are_refused() {
        let allowed = vec!["https://meet.example".to_owned()];
        for (host, origin, development, good) in [
            ("localhost:8080", None, true, true),
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080"), true, true),
            ("127.0.0.1:8080", Some("http://localhost:5000"), true, true),
            ("[::1]:8080", Some("http://[::1]:8080"), true, true),
            ("127.0.0.1:8080", Some("http://evil.example"), true, false),
            ("127.0.0.1:8080", Some("null"), true, false),
            (
                "rebound.example:8080",
                Some("http://rebound.example:8080"),
                true,
                false,
            ),
            (
                "127.0.0.1.evil.example",
                Some("http://127.0.0.1.evil.example"),
                true,
                false,
            ),
            ("sfu.example", Some("https://sfu.example"), false, true),
            ("sfu.example", Some("https://meet.example"), false, true),
            ("sfu.example", Some("http://localhost"), false, false),
            (
                "sfu.example",
                Some("https://meet.example.evil.example"),
                false,
                false,
            ),
            ("sfu.example", None, false, true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            let checked = check(&headers, &allowed, development);
            assert_eq!(checked.is_ok(), good, "{host} {origin:?} {development}");
        }
    }
}
