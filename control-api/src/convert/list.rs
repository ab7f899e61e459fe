//! What is asked of a list. The registry binds a page token to its query, the filter included.

use crate::registry::PageRequest;
use crate::status::Failure;

/// What is asked of a list.
pub(crate) fn page(size: i32, token: String, filter: &str) -> Result<PageRequest, Failure> {
    let size = usize::try_from(size)
        .map_err(|_| Failure::field("page_size", "must not be below 0; 0 means 100"))?;
    Ok(PageRequest {
        size,
        token,
        filter: filter.trim().to_owned(),
    })
}
