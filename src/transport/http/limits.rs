//! How large the head of a request may be.
//!
//! Checked before anything else looks at it. The implementation below us has
//! limits of its own, that no setting can raise, and answers them without a
//! document: 128 KiB of head and 96 headers with 431, a path and query of more
//! than 65534 bytes with 400. What is too slow to arrive is its business too
//! (408, in [`super::serve`]), except for bodies (`super::body`).

use actix_web::dev::RequestHead;

use super::error::ApiError;
use crate::config::HttpSettings;

/// The largest head that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    uri_bytes: usize,
    header_bytes: usize,
    headers: usize,
}

impl HeadLimits {
    /// The limits that `settings` name.
    pub fn new(settings: &HttpSettings) -> Self {
        let HttpSettings { max_uri_bytes, max_header_bytes, max_headers, .. } = settings;
        Self { uri_bytes: *max_uri_bytes, header_bytes: *max_header_bytes, headers: *max_headers }
    }

    /// Refuses a head that is larger.
    ///
    /// # Errors
    ///
    /// 414 or 431, with the limit that was exceeded.
    pub fn check(&self, head: &RequestHead) -> Result<(), ApiError> {
        let uri = head.uri.path_and_query().map_or(0, |it| it.as_str().len());
        if uri > self.uri_bytes {
            let limit = self.uri_bytes;
            return Err(ApiError::uri_too_long(format!(
                "The path and query of a request may not exceed {limit} bytes."
            )));
        }
        if head.headers.len() > self.headers {
            let limit = self.headers;
            return Err(ApiError::headers_too_large(format!(
                "A request may not have more than {limit} headers."
            )));
        }
        let sizes = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        if sizes.sum::<usize>() > self.header_bytes {
            let limit = self.header_bytes;
            return Err(ApiError::headers_too_large(format!(
                "The headers of a request may not exceed {limit} bytes."
            )));
        }
        Ok(())
    }
}
