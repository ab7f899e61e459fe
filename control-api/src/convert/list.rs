//! What is asked of a list. A page token is bound to its filter here, and to the rest of its query
//! by the registry.

use crate::registry::PageRequest;
use crate::status::{Failure, Reason};

/// What is asked of a list.
pub(crate) fn page(size: i32, token: &str, filter: &str) -> Result<PageRequest, Failure> {
    let size = usize::try_from(size)
        .map_err(|_| Failure::field("page_size", "must not be below 0; 0 means 100"))?;
    let token = match (token, bound(filter)) {
        ("", _) => "",
        (token, None) if !token.contains('.') => token,
        (token, binding) => {
            let (token, own) = token.split_once('.').unwrap_or((token, ""));
            if binding.as_deref() != Some(own) {
                let why = "not of this list, or too old";
                return Err(Failure {
                    reason: Reason::PageTokenInvalid,
                    ..Failure::field("page_token", why)
                });
            }
            token
        }
    };
    Ok(PageRequest {
        size,
        token: token.to_owned(),
    })
}

/// The token of the page after this, for the same filter alone.
pub(crate) fn next_page_token(token: String, filter: &str) -> String {
    match bound(filter) {
        Some(binding) if !token.is_empty() => format!("{token}.{binding}"),
        Some(_) | None => token,
    }
}

/// What stands in a page token for a filter; none: there is no filter.
fn bound(filter: &str) -> Option<String> {
    let filter = filter.trim();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, filter.as_bytes());
    let short = digest.as_ref().iter().take(8);
    (!filter.is_empty()).then(|| short.map(|byte| format!("{byte:02x}")).collect())
}
