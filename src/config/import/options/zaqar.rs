//! Zaqar's own options.

use super::Kind::{Boolean, Integer, List, Number, Text};
use super::{Row, blocking, combined, copy, lost, needless};

const SUBSCRIBED: &str = "body:You have chosen to subscribe to the queue: {0}. This queue \
    belongs to project: {1}. To confirm this subscription, click or visit this link below: \
    {2},sender:Zaqar Notifications <no-reply@openstack.org>,topic:Zaqar Notification - \
    Subscription Confirmation";
const UNSUBSCRIBED: &str = "body:You have unsubscribed successfully to the queue: {0}. This queue \
    belongs to project: {1}. To resubscribe this subscription, click or visit this link below: \
    {2},sender:Zaqar Notifications <no-reply@openstack.org>,topic:Zaqar Notification - \
    Unsubscribe Confirmation";
const MAJORITY: &str = "nusku always has a majority of MongoDB's servers confirm a write";
const DEAD: &str = "version 1.1 of the API is gone from Zaqar too";
const FOREGROUND: &str = "nusku stays in the foreground, as service managers want it";
const LOGS: &str = "logs go to stderr; whoever starts nusku sends them elsewhere";
const LOG_RATE: &str = "the number of log lines is not limited";
const LOG_LEVELS: &str = "modules have other names; log.level takes a filter by module";
const LOG_FORMAT: &str = "log lines have a form of their own, see log.format";
const RSA: &str = "Zaqar's RSA never worked; nusku encrypts with AES-256";
const EXTERNAL_PORT: &str = "it stood in the addresses of subscriptions only, which nobody calls";
const INTERNAL: &str = "nusku tells its connections itself; nothing else has to reach it for that";
const ONE_CONNECTION: &str = "one connection serves both stores; what counts is said for the \
    message store";
const OTHER_STORES: &str = "nusku keeps messages in MongoDB or in a store of its own";
const PIPELINES: &str = "nusku takes no plug-ins";

/// The options of each section.
pub(super) const SECTIONS: &[(&str, &[Row])] = &[
    (
        "DEFAULT",
        &[
            copy("admin_mode", "false", "admin_mode", Boolean),
            copy("pooling", "false", "pooling.enabled", Boolean),
            needless("unreliable", MAJORITY),
            copy("enable_checksum", "false", "enable_checksum", Boolean),
            combined("auth_strategy", "", "auth.strategy"),
            needless("enable_deprecated_api_versions", DEAD),
            needless("daemon", FOREGROUND),
            combined("debug", "false", "log.level"),
            combined("use_json", "false", "log.format"),
            lost("log_config_append", "", LOGS),
            lost("log_file", "", LOGS),
            lost("log_dir", "", LOGS),
            lost("use_syslog", "false", LOGS),
            lost("use_journal", "false", LOGS),
            needless("use_stderr", LOGS),
            lost("rate_limit_interval", "0", LOG_RATE),
            lost("rate_limit_burst", "0", LOG_RATE),
            lost("rate_limit_except_level", "CRITICAL", LOG_RATE),
            lost("default_log_levels", "", LOG_LEVELS),
            needless("watch_log_file", LOG_FORMAT),
            needless("log_date_format", LOG_FORMAT),
            needless("syslog_log_facility", LOG_FORMAT),
            needless("log_color", LOG_FORMAT),
            needless("log_rotate_interval", LOG_FORMAT),
            needless("log_rotate_interval_type", LOG_FORMAT),
            needless("max_logfile_count", LOG_FORMAT),
            needless("max_logfile_size_mb", LOG_FORMAT),
            needless("log_rotation_type", LOG_FORMAT),
            needless("logging_context_format_string", LOG_FORMAT),
            needless("logging_default_format_string", LOG_FORMAT),
            needless("logging_debug_format_suffix", LOG_FORMAT),
            needless("logging_exception_prefix", LOG_FORMAT),
            needless("logging_user_identity_format", LOG_FORMAT),
            needless("publish_errors", LOG_FORMAT),
            needless("instance_format", LOG_FORMAT),
            needless("instance_uuid_format", LOG_FORMAT),
            needless("fatal_deprecations", LOG_FORMAT),
        ],
    ),
    (
        "transport",
        &[
            copy("default_message_ttl", "3600", "transport.default_message_ttl", Integer),
            copy("default_message_delay", "0", "transport.default_message_delay", Integer),
            copy("default_claim_ttl", "300", "transport.default_claim_ttl", Integer),
            copy("default_claim_grace", "60", "transport.default_claim_grace", Integer),
            copy("default_subscription_ttl", "3600", "transport.default_subscription_ttl", Integer),
            copy("max_queues_per_page", "20", "transport.max_queues_per_page", Integer),
            copy("max_messages_per_page", "20", "transport.max_messages_per_page", Integer),
            copy(
                "max_subscriptions_per_page",
                "20",
                "transport.max_subscriptions_per_page",
                Integer,
            ),
            copy(
                "max_messages_per_claim_or_pop",
                "20",
                "transport.max_messages_per_claim_or_pop",
                Integer,
            ),
            copy("max_queue_metadata", "65536", "transport.max_queue_metadata", Integer),
            copy("max_messages_post_size", "262144", "transport.max_messages_post_size", Integer),
            copy("max_message_ttl", "1209600", "transport.max_message_ttl", Integer),
            copy("max_message_delay", "900", "transport.max_message_delay", Integer),
            copy("max_claim_ttl", "43200", "transport.max_claim_ttl", Integer),
            copy("max_claim_grace", "43200", "transport.max_claim_grace", Integer),
            copy(
                "subscriber_types",
                "http,https,mailto,trust+http,trust+https",
                "transport.subscriber_types",
                List,
            ),
            copy("max_flavors_per_page", "20", "transport.max_flavors_per_page", Integer),
            copy("max_pools_per_page", "20", "transport.max_pools_per_page", Integer),
            copy("client_id_uuid_safe", "strict", "transport.client_id_uuid_safe", Text),
            copy("min_length_client_id", "10", "transport.min_length_client_id", Integer),
            copy("max_length_client_id", "36", "transport.max_length_client_id", Integer),
            copy(
                "message_delete_with_claim_id",
                "false",
                "transport.message_delete_with_claim_id",
                Boolean,
            ),
            blocking("message_encryption_algorithms", "AES256", RSA),
            copy("message_encryption_key", "", "encryption.zaqar_key", Text),
        ],
    ),
    (
        "drivers",
        &[
            combined("transport", "wsgi", "websocket.enabled"),
            combined("message_store", "mongodb", "storage.uri, storage.mongodb.driver"),
            combined("management_store", "mongodb", "storage.uri"),
        ],
    ),
    (
        "drivers:transport:wsgi",
        &[copy("bind", "127.0.0.1", "http.bind", Text), copy("port", "8888", "http.port", Integer)],
    ),
    (
        "drivers:transport:websocket",
        &[
            copy("bind", "127.0.0.1", "websocket.bind", Text),
            copy("port", "9000", "websocket.port", Integer),
            needless("external_port", EXTERNAL_PORT),
            needless("notification_bind", INTERNAL),
            needless("notification_port", INTERNAL),
        ],
    ),
    (
        "drivers:message_store:mongodb",
        &[
            copy("ssl_keyfile", "", "storage.mongodb.ssl_keyfile", Text),
            copy("ssl_certfile", "", "storage.mongodb.ssl_certfile", Text),
            copy("ssl_cert_reqs", "CERT_REQUIRED", "storage.mongodb.ssl_cert_reqs", Text),
            copy("ssl_ca_certs", "", "storage.mongodb.ssl_ca_certs", Text),
            combined("uri", "", "storage.uri"),
            copy("database", "zaqar", "storage.mongodb.database", Text),
            copy("max_attempts", "1000", "storage.mongodb.max_attempts", Integer),
            copy("max_retry_sleep", "0.1", "storage.mongodb.max_retry_sleep", Number),
            copy("max_retry_jitter", "0.005", "storage.mongodb.max_retry_jitter", Number),
            copy("max_reconnect_attempts", "10", "storage.mongodb.max_reconnect_attempts", Integer),
            copy("reconnect_sleep", "0.02", "storage.mongodb.reconnect_sleep", Number),
            copy("partitions", "2", "storage.mongodb.partitions", Integer),
        ],
    ),
    (
        "drivers:management_store:mongodb",
        &[
            lost("ssl_keyfile", "", ONE_CONNECTION),
            lost("ssl_certfile", "", ONE_CONNECTION),
            lost("ssl_cert_reqs", "CERT_REQUIRED", ONE_CONNECTION),
            lost("ssl_ca_certs", "", ONE_CONNECTION),
            combined("uri", "", "storage.uri"),
            combined("database", "zaqar", "storage.mongodb.management_database"),
            lost("max_attempts", "1000", ONE_CONNECTION),
            lost("max_retry_sleep", "0.1", ONE_CONNECTION),
            lost("max_retry_jitter", "0.005", ONE_CONNECTION),
            lost("max_reconnect_attempts", "10", ONE_CONNECTION),
            lost("reconnect_sleep", "0.02", ONE_CONNECTION),
        ],
    ),
    (
        "drivers:message_store:redis",
        &[
            needless("uri", OTHER_STORES),
            needless("max_reconnect_attempts", OTHER_STORES),
            needless("reconnect_sleep", OTHER_STORES),
        ],
    ),
    (
        "drivers:management_store:redis",
        &[
            needless("uri", OTHER_STORES),
            needless("max_reconnect_attempts", OTHER_STORES),
            needless("reconnect_sleep", OTHER_STORES),
        ],
    ),
    (
        "drivers:message_store:swift",
        &[
            needless("auth_url", OTHER_STORES),
            needless("uri", OTHER_STORES),
            needless("insecure", OTHER_STORES),
            needless("project_domain_id", OTHER_STORES),
            needless("project_domain_name", OTHER_STORES),
            needless("user_domain_id", OTHER_STORES),
            needless("user_domain_name", OTHER_STORES),
            needless("region_name", OTHER_STORES),
            needless("interface", OTHER_STORES),
        ],
    ),
    ("drivers:management_store:sqlalchemy", &[needless("uri", OTHER_STORES)]),
    (
        "storage",
        &[
            combined("message_pipeline", "", "notification.enabled"),
            lost("queue_pipeline", "", PIPELINES),
            lost("claim_pipeline", "", PIPELINES),
            lost("subscription_pipeline", "", PIPELINES),
            lost("topic_pipeline", "", PIPELINES),
        ],
    ),
    (
        "notification",
        &[
            copy("smtp_mode", "third_part", "notification.mail.smtp_mode", Text),
            copy("smtp_host", "", "notification.mail.smtp_host", Text),
            copy("smtp_port", "", "notification.mail.smtp_port", Integer),
            copy("smtp_user_name", "", "notification.mail.smtp_user_name", Text),
            copy("smtp_user_password", "", "notification.mail.smtp_user_password", Text),
            copy(
                "smtp_command",
                "/usr/sbin/sendmail -t -oi",
                "notification.mail.smtp_command",
                Text,
            ),
            copy("max_notifier_workers", "10", "notification.max_notifier_workers", Integer),
            copy("require_confirmation", "false", "notification.require_confirmation", Boolean),
            copy(
                "external_confirmation_url",
                "",
                "notification.mail.external_confirmation_url",
                Text,
            ),
            combined(
                "subscription_confirmation_email_template",
                SUBSCRIBED,
                "notification.mail.subscription_confirmation_email_template",
            ),
            combined(
                "unsubscribe_confirmation_email_template",
                UNSUBSCRIBED,
                "notification.mail.unsubscribe_confirmation_email_template",
            ),
        ],
    ),
    ("signed_url", &[copy("secret_key", "", "signed_url.secret_key", Text)]),
    (
        "pooling:catalog",
        &[copy("enable_virtual_pool", "false", "pooling.enable_virtual_pool", Boolean)],
    ),
];
