//! The range of every setting, and how settings must fit together.

use std::fmt;
use std::ops::RangeInclusive;

use tracing_subscriber::EnvFilter;

use super::{
    EmbeddedSettings, Limits, MongodbSettings, Settings, auth, cors, encryption, http,
    notification, policy, pooling, shown_uri, waiting, websocket,
};

/// Lives, graces and delays are kept as 32-bit seconds.
const LONGEST: u64 = u32::MAX as u64;
/// The shortest life of a message or a claim, and the shortest grace: fixed by
/// the API, in seconds.
const SHORTEST: u64 = 60;
/// A page is built in memory, as is the body of a request.
const LARGEST_PAGE: u64 = 10_000;
const LARGEST_BODY: u64 = 64 << 20;

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The setting, in full.
    pub(super) key: &'static str,
    /// What it is set to.
    pub(super) found: String,
    /// What it could be set to.
    pub(super) expected: String,
}

pub(super) type Check = Result<(), Fault>;

pub(super) fn check(settings: &Settings) -> Check {
    check_lives(&settings.transport)?;
    check_sizes(&settings.transport)?;
    auth::check(&settings.auth)?;
    policy::check(&settings.policy)?;
    check_text("signed_url.secret_key", settings.signed_url.secret_key.as_deref())?;
    http::check(&settings.http)?;
    websocket::check(&settings.websocket)?;
    cors::check(&settings.cors)?;
    encryption::check(&settings.encryption)?;
    check_storage_uri(&settings.storage.uri)?;
    check_embedded(&settings.storage.embedded)?;
    check_mongodb(&settings.storage.mongodb)?;
    waiting::check(&settings.waiting)?;
    notification::check(&settings.notification)?;
    pooling::check(&settings.pooling)?;
    within("gc.interval", settings.gc.interval, 1..=86_400)?;
    check_log_level(&settings.log.level)
}

fn check_lives(limits: &Limits) -> Check {
    for (key, value) in [
        ("transport.max_message_ttl", limits.max_message_ttl),
        ("transport.max_claim_ttl", limits.max_claim_ttl),
        ("transport.max_claim_grace", limits.max_claim_grace),
        ("transport.default_subscription_ttl", limits.default_subscription_ttl),
    ] {
        within(key, value, SHORTEST..=LONGEST)?;
    }
    for (key, value, shortest, (longest_key, longest)) in [
        (
            "transport.default_message_ttl",
            limits.default_message_ttl,
            SHORTEST,
            ("transport.max_message_ttl", limits.max_message_ttl),
        ),
        (
            "transport.default_message_delay",
            limits.default_message_delay,
            0,
            ("transport.max_message_delay", limits.max_message_delay),
        ),
        (
            "transport.default_claim_ttl",
            limits.default_claim_ttl,
            SHORTEST,
            ("transport.max_claim_ttl", limits.max_claim_ttl),
        ),
        (
            "transport.default_claim_grace",
            limits.default_claim_grace,
            SHORTEST,
            ("transport.max_claim_grace", limits.max_claim_grace),
        ),
    ] {
        if !(shortest..=u64::from(longest)).contains(&u64::from(value)) {
            let expected = format!("{shortest} to {longest} seconds, which is {longest_key}");
            return Err(fault(key, value, expected));
        }
    }
    Ok(())
}

fn check_sizes(limits: &Limits) -> Check {
    for (key, value) in [
        ("transport.max_queues_per_page", limits.max_queues_per_page),
        ("transport.max_messages_per_page", limits.max_messages_per_page),
        ("transport.max_subscriptions_per_page", limits.max_subscriptions_per_page),
        ("transport.max_messages_per_claim_or_pop", limits.max_messages_per_claim_or_pop),
        ("transport.max_pools_per_page", limits.max_pools_per_page),
        ("transport.max_flavors_per_page", limits.max_flavors_per_page),
    ] {
        within(key, value, 1..=LARGEST_PAGE)?;
    }
    within("transport.max_queue_metadata", limits.max_queue_metadata, 1..=LARGEST_BODY)?;
    within("transport.max_messages_post_size", limits.max_messages_post_size, 1..=LARGEST_BODY)?;
    within("transport.max_wait", limits.max_wait, 0..=3_600)?;
    within("transport.max_length_client_id", limits.max_length_client_id, 1..=300)?;
    if !(1..=limits.max_length_client_id).contains(&limits.min_length_client_id) {
        let expected = format!(
            "1 to {}, which is transport.max_length_client_id",
            limits.max_length_client_id
        );
        let found = limits.min_length_client_id;
        return Err(fault("transport.min_length_client_id", found, expected));
    }
    Ok(())
}

/// Whether this build has a driver for the URI is the bootstrap's business.
fn check_storage_uri(uri: &str) -> Check {
    let fits = match uri.split_once(':') {
        Some(("embedded", directory)) => !directory.is_empty(),
        Some(("discard", rest)) => rest.is_empty(),
        Some((scheme, _)) => !scheme.is_empty(),
        None => false,
    };
    if fits {
        return Ok(());
    }
    let found = format!("{:?}", shown_uri(uri));
    Err(fault("storage.uri", found, "embedded:DIRECTORY, mongodb://HOSTS or discard:"))
}

pub(super) fn check_embedded(embedded: &EmbeddedSettings) -> Check {
    let key = "storage.embedded.max_requests_per_commit";
    within(key, embedded.max_requests_per_commit, 1..=65_536)?;
    let key = "storage.embedded.max_waiting_requests";
    within(key, embedded.max_waiting_requests, 1..=1_048_576)?;
    within("storage.embedded.readers", embedded.readers, 1..=64)?;
    within("storage.embedded.writer_cache_mib", embedded.writer_cache_mib, 1..=65_536)?;
    within("storage.embedded.reader_cache_mib", embedded.reader_cache_mib, 1..=65_536)?;
    within("storage.embedded.body_cache_mib", embedded.body_cache_mib, 0..=65_536)
}

pub(super) fn check_mongodb(mongodb: &MongodbSettings) -> Check {
    check_database("storage.mongodb.database", &mongodb.database)?;
    if let Some(database) = &mongodb.management_database {
        check_database("storage.mongodb.management_database", database)?;
    }
    within("storage.mongodb.partitions", mongodb.partitions, 1..=1024)?;
    within("storage.mongodb.max_attempts", mongodb.max_attempts, 1..=1_000_000)?;
    for (key, value, shortest) in [
        ("storage.mongodb.max_retry_sleep", mongodb.max_retry_sleep, 0.0),
        ("storage.mongodb.max_retry_jitter", mongodb.max_retry_jitter, 0.0),
        ("storage.mongodb.reconnect_sleep", mongodb.reconnect_sleep, 0.001),
    ] {
        if !(shortest..=60.0).contains(&value) {
            return Err(fault(key, value, format!("a number from {shortest} to 60")));
        }
    }
    let key = "storage.mongodb.max_reconnect_attempts";
    within(key, mongodb.max_reconnect_attempts, 0..=100)?;
    within("storage.mongodb.max_wait", mongodb.max_wait, 1..=3_600)?;
    within("storage.mongodb.max_pool_size", mongodb.max_pool_size, 1..=10_000)?;
    within("storage.mongodb.threads", mongodb.threads, 1..=64)?;
    check_text("storage.mongodb.ssl_ca_certs", mongodb.ssl_ca_certs.as_deref())?;
    check_text("storage.mongodb.ssl_certfile", mongodb.ssl_certfile.as_deref())?;
    check_text("storage.mongodb.ssl_keyfile", mongodb.ssl_keyfile.as_deref())?;
    within("storage.mongodb.hold_back", mongodb.hold_back, 0..=3_600)?;
    within("storage.mongodb.watch_interval", mongodb.watch_interval, 1..=3_600)
}

/// With what is appended to it, the name of a database may have 63 bytes.
fn check_database(key: &'static str, name: &str) -> Check {
    let is_legal = |it: char| !"/\\. \"$*<>:|?\0".contains(it);
    if (1..=40).contains(&name.len()) && name.chars().all(is_legal) {
        return Ok(());
    }
    Err(fault(key, format!("{name:?}"), "1 to 40 bytes, none of /\\. \"$*<>:|?"))
}

fn check_log_level(level: &str) -> Check {
    match EnvFilter::try_new(level) {
        Ok(_) if !level.trim().is_empty() => Ok(()),
        _ => Err(fault(
            "log.level",
            format!("{level:?}"),
            "error, warn, info, debug, trace or a filter such as \"warn,nusku::tasks=debug\"",
        )),
    }
}

pub(super) fn check_text(key: &'static str, text: Option<&str>) -> Check {
    match text {
        Some("") => Err(fault(key, "\"\"", "a text that is not empty")),
        _ => Ok(()),
    }
}

pub(super) fn within(
    key: &'static str,
    value: impl TryInto<u64> + fmt::Display + Copy,
    range: RangeInclusive<u64>,
) -> Check {
    if value.try_into().is_ok_and(|value| range.contains(&value)) {
        return Ok(());
    }
    let expected = format!("an integer from {} to {}", range.start(), range.end());
    Err(fault(key, value, expected))
}

pub(super) fn fault(
    key: &'static str,
    found: impl fmt::Display,
    expected: impl Into<String>,
) -> Fault {
    Fault { key, found: format!("{found}"), expected: expected.into() }
}
