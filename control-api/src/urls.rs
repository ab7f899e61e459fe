//! The URLs handed out: of `public_url`, else of the HTTP listener. Never of a `Host` header, which
//! is whatever the other side likes.

use std::net::SocketAddr;

use crate::config::Config;
use crate::registry::RoomName;

/// Where people and programs find this node's doors. Each URL is empty where the node listens on
/// every address and was not told its public one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urls {
    /// `https://meet.example`, without a path.
    origin: Option<String>,
}

impl Urls {
    /// For a node whose HTTP listener is at `http`.
    #[must_use]
    pub fn new(config: &Config, http: SocketAddr) -> Self {
        let own = || {
            // The unspecified address is none that anybody could open.
            let known = !http.ip().is_unspecified();
            let scheme = if config.tls_cert.is_some() {
                "https"
            } else {
                "http"
            };
            known.then(|| format!("{scheme}://{http}"))
        };
        Self {
            origin: config.public_url.clone().map(String::from).or_else(own),
        }
    }

    /// A room's page; with a token, one that joins by it.
    #[must_use]
    pub fn page(&self, room: &RoomName, token: Option<&str>) -> String {
        let page = self.under(&format!("/r/{room}"));
        match token {
            // Behind the "#": browsers keep that from servers, proxies and their logs.
            Some(token) if !page.is_empty() => format!("{page}#token={token}"),
            Some(_) | None => page,
        }
    }

    /// The WebSocket.
    #[must_use]
    pub fn connect(&self) -> String {
        // "http" becomes "ws", "https" becomes "wss".
        let url = self.under("/v1/connect");
        url.strip_prefix("http")
            .map_or_else(String::new, |rest| format!("ws{rest}"))
    }

    /// Where a room takes WHIP.
    #[must_use]
    pub fn whip(&self, room: &RoomName) -> String {
        self.under(&format!("/whip/{room}"))
    }

    /// Where a room gives WHEP.
    #[must_use]
    pub fn whep(&self, room: &RoomName) -> String {
        self.under(&format!("/whep/{room}"))
    }

    /// The origin of all of them, as browsers write it.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    fn under(&self, path: &str) -> String {
        let origin = self.origin.as_ref();
        origin.map_or_else(String::new, |origin| format!("{origin}{path}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_of_the_public_url_else_of_the_listener() {
        let room = RoomName::new("standup").unwrap();
        let told = |url: &str| Config {
            public_url: Some(url.parse().unwrap()),
            ..Config::default()
        };
        for (config, http, page, connect, whip) in [
            (
                told("https://meet.example/"),
                "0.0.0.0:1",
                "https://meet.example/r/standup#token=t",
                "wss://meet.example/v1/connect",
                "https://meet.example/whip/standup",
            ),
            (
                told("http://[::1]:8080"),
                "127.0.0.1:1",
                "http://[::1]:8080/r/standup#token=t",
                "ws://[::1]:8080/v1/connect",
                "http://[::1]:8080/whip/standup",
            ),
            (
                Config::default(),
                "127.0.0.1:1",
                "http://127.0.0.1:1/r/standup#token=t",
                "ws://127.0.0.1:1/v1/connect",
                "http://127.0.0.1:1/whip/standup",
            ),
            (Config::default(), "0.0.0.0:1", "", "", ""),
        ] {
            let urls = Urls::new(&config, http.parse().unwrap());
            assert_eq!(urls.page(&room, Some("t")), page);
            assert_eq!(urls.connect(), connect);
            assert_eq!(urls.whip(&room), whip);
            assert_eq!(urls.whep(&room), whip.replace("whip", "whep"));
        }
    }
}
