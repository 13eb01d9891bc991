//! The ranges that several verbs check, and the sentences that tell of them.

use super::{Error, Result};

/// Shortest life of a message, in seconds. Zaqar has no option for it.
pub(super) const MESSAGE_TTL_MIN: u32 = 60;
/// Shortest life of a claim, in seconds. Zaqar has no option for it.
pub(super) const CLAIM_TTL_MIN: u32 = 60;
/// Shortest grace of a claim, in seconds. Zaqar has no option for it.
pub(super) const CLAIM_GRACE_MIN: u32 = 60;
/// Entries of a page, and messages of a claim, if the request does not say how
/// many. As in Zaqar it holds even where the configured maximum is smaller.
const PAGE_DEFAULT: u32 = 10;

/// `value`, if it lies within `min..=max`.
pub(super) fn within(value: i64, min: u32, max: u32) -> Option<u32> {
    u32::try_from(value).ok().filter(|value| (min..=max).contains(value))
}

/// How many messages to list or to claim.
pub(super) fn message_limit(limit: Option<i64>, max: u32) -> Result<u32> {
    page(limit, max, || too_many_messages(max))
}

/// How many subscriptions to list.
pub(super) fn subscription_limit(limit: Option<i64>, max: u32) -> Result<u32> {
    message_limit(limit, max)
}

/// The error of a page or a list of ids that is empty or longer than `max`.
pub(super) fn too_many_messages(max: u32) -> Error {
    Error::InvalidRequest(format!("Limit must be at least 1 and may not be greater than {max}."))
}

/// How many queues to list; Zaqar words it differently here.
pub(super) fn queue_limit(limit: Option<i64>, max: u32) -> Result<u32> {
    page(limit, max, || {
        Error::InvalidRequest(format!("Limit must be at least 1 and no greater than {max}."))
    })
}

fn page(limit: Option<i64>, max: u32, error: impl FnOnce() -> Error) -> Result<u32> {
    limit.map_or(Ok(PAGE_DEFAULT), |limit| within(limit, 1, max).ok_or_else(error))
}

/// The sentence about a message's life, also that of dead letters.
pub(super) fn message_ttl_sentence(max: u32) -> String {
    format!(
        "The TTL for a message may not exceed {max} seconds, \
         and must be at least {MESSAGE_TTL_MIN} seconds long."
    )
}

#[cfg(test)]
mod tests {
    use super::{message_limit, queue_limit, within};

    #[test]
    fn ranges_include_their_ends() {
        for (value, inside) in
            [(59, false), (60, true), (61, true), (i64::MAX, false), (-60, false), (1 << 32, false)]
        {
            assert_eq!(within(value, 60, 61).is_some(), inside, "{value}");
        }
    }

    #[test]
    fn pages_have_one_to_twenty_entries() {
        assert_eq!(message_limit(None, 20), Ok(10));
        assert_eq!(message_limit(None, 5), Ok(10), "the default is not cut");
        assert_eq!(message_limit(Some(1), 20), Ok(1));
        assert_eq!(queue_limit(Some(20), 20), Ok(20));
        for bad in [0, -1, 21, i64::MIN] {
            assert_eq!(
                message_limit(Some(bad), 20).unwrap_err().to_string(),
                "Limit must be at least 1 and may not be greater than 20."
            );
            assert_eq!(
                queue_limit(Some(bad), 20).unwrap_err().to_string(),
                "Limit must be at least 1 and no greater than 20."
            );
        }
    }
}
