//! Permissions shown with a request: pre-signed URLs.

use crate::model::ProjectId;
use crate::service::{Service, SignedUrl};

/// Whether `url` was signed here for `project`, has not ended, and covers this
/// request.
///
/// A path covers itself and what lies below it, segment by segment. Zaqar
/// searches for it as a regular expression instead, and a URL for the queue
/// `a.b` opens `aXb` there.
#[must_use]
pub fn allows(
    service: &Service,
    project: &ProjectId,
    url: &SignedUrl,
    method: &str,
    path: &str,
) -> bool {
    url.methods.iter().any(|allowed| allowed == method)
        && url.paths.iter().any(|allowed| covers(allowed, path))
        && service.is_signed(project, url)
}

/// Whether the path is `allowed` or lies below it. What looks like a way up leads
/// nowhere: somebody on the way here might follow it.
#[must_use]
pub fn covers(allowed: &str, path: &str) -> bool {
    let below = path.strip_prefix(allowed).filter(|_| !allowed.is_empty());
    below.is_some_and(|rest| {
        let is_below = rest.is_empty() || rest.starts_with('/');
        is_below && !rest.split('/').any(|segment| matches!(segment, "." | ".."))
    })
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_path_covers_whole_segments() {
        let allowed = "/v2/queues/a.b/messages";
        assert!(covers(allowed, "/v2/queues/a.b/messages"));
        assert!(covers(allowed, "/v2/queues/a.b/messages/6c1f"));
        assert!(!covers(allowed, "/v2/queues/aXb/messages"));
        assert!(!covers(allowed, "/v2/queues/a.b/messages2"));
        assert!(!covers(allowed, "/x/v2/queues/a.b/messages"));
        assert!(!covers(allowed, "/v2/queues/a.b"));
        assert!(!covers(allowed, "/v2/queues/a.b/messages/../stats"));
        assert!(!covers(allowed, "/v2/queues/a.b/messages/."));
        assert!(!covers("", "/v2/queues/a.b/messages"));
        assert!(covers("/v2/queues/../messages", "/v2/queues/../messages/6c1f"));
    }
}
