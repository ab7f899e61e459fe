//! `web/`, embedded at build time. `/` and `/r/{room}` are the page; other files stand under their
//! own paths. Nothing a page loads comes from elsewhere, and the policy says so.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::origin;

struct Asset {
    path: &'static str,
    media_type: &'static str,
    plain: Body,
    gzip: Body,
}

/// What is sent, and the entity tag that tells it from any other.
struct Body {
    tag: &'static str,
    bytes: &'static [u8],
}

static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

pub(super) async fn answer(request: Request) -> Response {
    let (method, headers) = (request.method(), request.headers());
    if method != Method::GET && method != Method::HEAD {
        // RFC 9110 §15.5.6: what is allowed stands beside it.
        return (
            StatusCode::METHOD_NOT_ALLOWED,
            [(header::ALLOW, "GET, HEAD")],
        )
            .into_response();
    }
    let Some(asset) = find(request.uri()) else {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    };
    let body = if takes_gzip(headers) {
        &asset.gzip
    } else {
        &asset.plain
    };
    let known = headers.get(header::IF_NONE_MATCH);
    let known = known
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut response = if known.split(',').any(|tag| tag.trim() == body.tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        body.bytes.into_response()
    };
    let policy = policy(headers);
    let answered = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, asset.media_type),
        (header::ETAG, body.tag),
        // The tag is asked for each time, so that a new build is seen at once.
        (header::CACHE_CONTROL, "no-cache"),
        (header::VARY, "accept-encoding"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        answered.insert(name, HeaderValue::from_static(value));
    }
    if std::ptr::eq(body, &raw const asset.gzip) {
        answered.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        answered.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Whether `Accept-Encoding` names gzip and does not forbid it (RFC 9110 §12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
            name.trim().eq_ignore_ascii_case("gzip") && weight.parse::<f32>().is_ok_and(|q| q > 0.0)
        })
}

fn find(uri: &Uri) -> Option<&'static Asset> {
    let path = match uri.path() {
        "/" => "/index.html",
        path if is_room(path) => "/index.html",
        path => path,
    };
    ASSETS.iter().find(|asset| asset.path == path)
}

fn is_room(path: &str) -> bool {
    let room = path.strip_prefix("/r/");
    room.is_some_and(|room| !room.is_empty() && !room.contains('/'))
}

fn policy(headers: &HeaderMap) -> String {
    // Not every browser takes 'self' for ws: and wss: of the same host, so that is spelled out.
    let host = origin::host(headers);
    let sockets = host
        .map(|host| format!(" ws://{host} wss://{host}"))
        .unwrap_or_default();
    format!(
        "default-src 'self'; connect-src 'self'{sockets}; img-src 'self' data: blob:; \
         media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    )
}

#[cfg(test)]
#[path = "../../build/comments.rs"]
mod comments;

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (accepted, expected) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("br", false),
            ("", false),
            ("gzipped", false),
        ] {
            let value = HeaderValue::from_static(accepted);
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value)]);
            assert_eq!(takes_gzip(&headers), expected, "{accepted:?}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn what_is_packed_is_what_is_sent_plain() {
        assert!(ASSETS.len() > 10);
        for asset in ASSETS {
            let mut unpacked = Vec::new();
            let read = GzDecoder::new(asset.gzip.bytes).read_to_end(&mut unpacked);
            assert!(read.is_ok(), "{}", asset.path);
            assert_eq!(unpacked, asset.plain.bytes, "{}", asset.path);
        }
    }

    #[test]
    fn rooms_are_the_page_and_other_paths_are_files() {
        for (path, expected) in [
            ("/", Some("/index.html")),
            ("/r/standup", Some("/index.html")),
            ("/app.js", Some("/app.js")),
            ("/r/", None),
            ("/r/a/b", None),
            ("/../Cargo.toml", None),
            ("/package.json", None),
        ] {
            let uri: Uri = path.parse().unwrap();
            assert_eq!(find(&uri).map(|asset| asset.path), expected, "{path}");
        }
    }
}
