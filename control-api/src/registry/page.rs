//! Pages of a list: a cursor over (create time, uid), which a ULID is in itself, bound to its query
//! and good for an hour.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::{Ulid, UnixTime};
use crate::limits::{PAGE_BYTES, PAGE_SIZE, PAGE_SIZE_MAX, PAGE_TOKEN_TTL};
use crate::status::{Failure, Reason};

/// What a caller asks of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Items wanted; 0: `PAGE_SIZE`; at most `PAGE_SIZE_MAX` are given.
    pub size: usize,
    /// From the page before; empty: the first.
    pub token: String,
    /// What is asked for, as the caller wrote it: pages belong to it. It is for the list's `keep` to
    /// act on it.
    pub filter: String,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In order of creation.
    pub items: Vec<T>,
    /// For the next page; empty: this was the last.
    pub next_token: String,
}

/// Something that is listed.
pub(crate) trait Item {
    /// Its place in the order of creation.
    fn uid(&self) -> Ulid;
    /// What it weighs in an answer, roughly: what callers can make large.
    fn bytes(&self) -> usize;
}

/// Cuts the page out of all items of the list `query`. It ends early where it would weigh more than
/// `PAGE_BYTES`, after one item at least.
pub(crate) fn cut<T: Item>(
    request: &PageRequest,
    query: &str,
    mut items: Vec<T>,
) -> Result<Page<T>, Failure> {
    let now = UnixTime::now();
    let query = format!("{query}?{}", request.filter);
    let query = query.as_str();
    let after = match request.token.as_str() {
        "" => None,
        token => Some(read(token, query, now)?),
    };
    let size = match request.size {
        0 => PAGE_SIZE,
        size => size.min(PAGE_SIZE_MAX),
    };
    items.retain(|item| after.is_none_or(|after| item.uid() > after));
    items.sort_by_key(Item::uid);
    let mut bytes = 0_usize;
    let fitting = items.iter().take(size).take_while(|item| {
        bytes = bytes.saturating_add(item.bytes());
        bytes <= PAGE_BYTES
    });
    let size = fitting.count().max(1);
    let more = items.len() > size;
    items.truncate(size);
    let next_token = match items.last() {
        Some(last) if more => write(last.uid(), query, now),
        Some(_) | None => String::new(),
    };
    Ok(Page { items, next_token })
}

const VERSION: u8 = 1;

fn write(last: Ulid, query: &str, now: UnixTime) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend(last.as_u128().to_be_bytes());
    bytes.extend(now.as_millis().to_be_bytes());
    bytes.extend(digest(query));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn read(token: &str, query: &str, now: UnixTime) -> Result<Ulid, Failure> {
    let wrong = || Failure {
        reason: Reason::PageTokenInvalid,
        ..Failure::field("page_token", "not of this list, or too old")
    };
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    let rest = bytes.strip_prefix(&[VERSION]).ok_or_else(wrong)?;
    let (uid, rest) = rest.split_first_chunk::<16>().ok_or_else(wrong)?;
    let (time, query_digest) = rest.split_first_chunk::<8>().ok_or_else(wrong)?;
    let time = UnixTime::from_millis(u64::from_be_bytes(*time));
    if query_digest != digest(query) || now > time.after(PAGE_TOKEN_TTL) {
        return Err(wrong());
    }
    Ok(Ulid::from_u128(u128::from_be_bytes(*uid)))
}

fn digest(query: &str) -> [u8; 8] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, query.as_bytes());
    let mut short = [0; 8];
    for (to, from) in short.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three of them fill a page.
    impl Item for Ulid {
        fn uid(&self) -> Ulid {
            *self
        }
        fn bytes(&self) -> usize {
            PAGE_BYTES / 3
        }
    }

    fn page(size: usize, token: &str, query: &str) -> Result<Page<Ulid>, Failure> {
        let (token, all) = (token.into(), (1..=5).rev().map(Ulid::from_u128).collect());
        let filter = String::new();
        let request = PageRequest {
            size,
            token,
            filter,
        };
        cut(&request, query, all)
    }

    #[test]
    fn a_page_that_would_weigh_too_much_ends_early() {
        let first = page(5, "", "rooms").unwrap();
        assert_eq!(first.items.len(), 3);
        assert_eq!(page(5, &first.next_token, "rooms").unwrap().items.len(), 2);
    }

    #[test]
    fn pages_follow_each_other_without_a_gap_or_a_repeat() {
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let page = page(2, &token, "rooms").unwrap();
            seen.extend(page.items);
            token = page.next_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, (1..=5).map(Ulid::from_u128).collect::<Vec<_>>());
    }

    #[test]
    fn a_token_of_another_list_or_from_too_long_ago_is_refused() {
        let token = page(2, "", "rooms").unwrap().next_token;
        let old = write(Ulid::from_u128(2), "rooms?", UnixTime::from_millis(5));
        for (token, query) in [
            (token.as_str(), "rooms/a/participants"),
            (&old, "rooms"),
            ("?", "rooms"),
            ("AQ", "rooms"),
        ] {
            let failure = page(2, token, query).unwrap_err();
            assert_eq!(failure.reason, Reason::PageTokenInvalid, "{token}");
        }
    }
}
