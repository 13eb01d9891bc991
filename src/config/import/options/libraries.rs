//! Options of the libraries that Zaqar is built on.

use super::Kind::{Boolean, Integer, List, Seconds, Text};
use super::{Row, blocking, combined, copy, lost, needless};

const ENDPOINT: &str = "tokens are validated at auth.keystone.auth_url, no catalogue is asked";
const CLIENT_CERTIFICATE: &str = "nusku cannot show a certificate to Keystone";
const DELAYED: &str = "nusku answers 401 to a request without a valid token";
const TOKEN_BIND: &str = "nusku does not check what a token is bound to";
const CATALOG: &str = "nusku does not use the catalogue";
const SERVICE_TYPE: &str = "nusku does not check the access rules of application credentials";
const RETRIES: &str = "nusku has bounds of its own for requests to Keystone, see auth.keystone";
const MEMCACHED: &str = "validated tokens are remembered in the memory of the process";
const CREDENTIAL: &str = "nusku logs in with username, password and project_name, or with \
    application_credential_id";
const TRUSTEE: &str = "nusku knows the trustee by username and domain";
const TRUSTEE_SCOPE: &str = "the trustee acts by the trust of each subscription only";
const ONE_DEFAULT: &str = "each rule has one default";
const NO_SCOPES: &str = "no rule of Zaqar has scope types";
const REMOTE: &str = "nusku asks no other server about a policy, and refuses rules that do";
const CACHE: &str = "nusku caches in the memory of the process";
const REPORTS: &str = "nusku writes no reports on signals";
const PROFILER: &str = "nusku does not take part in traces; their headers do no harm";

/// The options of each section.
pub(super) const SECTIONS: &[(&str, &[Row])] = &[
    (
        "keystone_authtoken",
        &[
            copy("auth_url", "", "auth.keystone.auth_url", Text),
            copy("username", "", "auth.keystone.username", Text),
            copy("password", "", "auth.keystone.password", Text),
            copy("project_name", "", "auth.keystone.project_name", Text),
            copy("user_domain_id", "", "auth.keystone.user_domain_id", Text),
            copy("user_domain_name", "", "auth.keystone.user_domain_name", Text),
            copy("project_domain_id", "", "auth.keystone.project_domain_id", Text),
            copy("project_domain_name", "", "auth.keystone.project_domain_name", Text),
            copy("application_credential_id", "", "auth.keystone.application_credential_id", Text),
            copy(
                "application_credential_secret",
                "",
                "auth.keystone.application_credential_secret",
                Text,
            ),
            copy("www_authenticate_uri", "", "auth.keystone.www_authenticate_uri", Text),
            combined("auth_version", "", "auth.keystone"),
            needless("interface", ENDPOINT),
            lost("delay_auth_decision", "false", DELAYED),
            copy("http_connect_timeout", "", "auth.keystone.http_connect_timeout", Integer),
            needless("http_request_max_retries", RETRIES),
            needless("cache", MEMCACHED),
            blocking("certfile", "", CLIENT_CERTIFICATE),
            blocking("keyfile", "", CLIENT_CERTIFICATE),
            copy("cafile", "", "auth.keystone.cafile", Text),
            copy("insecure", "false", "auth.keystone.insecure", Boolean),
            needless("region_name", ENDPOINT),
            needless("memcached_servers", MEMCACHED),
            copy("token_cache_time", "300", "auth.keystone.token_cache_time", Seconds),
            needless("memcache_security_strategy", MEMCACHED),
            needless("memcache_secret_key", MEMCACHED),
            needless("memcache_tls_enabled", MEMCACHED),
            needless("memcache_tls_cafile", MEMCACHED),
            needless("memcache_tls_certfile", MEMCACHED),
            needless("memcache_tls_keyfile", MEMCACHED),
            needless("memcache_tls_allowed_ciphers", MEMCACHED),
            needless("memcache_pool_dead_retry", MEMCACHED),
            needless("memcache_pool_maxsize", MEMCACHED),
            needless("memcache_pool_socket_timeout", MEMCACHED),
            needless("memcache_pool_unused_timeout", MEMCACHED),
            needless("memcache_pool_conn_get_timeout", MEMCACHED),
            needless("memcache_use_advanced_pool", MEMCACHED),
            needless("include_service_catalog", CATALOG),
            blocking("enforce_token_bind", "permissive", TOKEN_BIND),
            copy("service_token_roles", "service", "auth.keystone.service_token_roles", List),
            copy(
                "service_token_roles_required",
                "true",
                "auth.keystone.service_token_roles_required",
                Boolean,
            ),
            blocking("service_type", "", SERVICE_TYPE),
            needless("memcache_sasl_enabled", MEMCACHED),
            needless("memcache_username", MEMCACHED),
            needless("memcache_password", MEMCACHED),
            combined("auth_type", "password", "auth.keystone"),
            combined("auth_section", "", "auth.keystone"),
            blocking("user_id", "", CREDENTIAL),
            blocking("project_id", "", CREDENTIAL),
            blocking("application_credential_name", "", CREDENTIAL),
            blocking("trust_id", "", CREDENTIAL),
            blocking("system_scope", "", CREDENTIAL),
            blocking("domain_id", "", CREDENTIAL),
            blocking("domain_name", "", CREDENTIAL),
            needless("timeout", RETRIES),
            needless("split_loggers", RETRIES),
            needless("collect_timing", RETRIES),
        ],
    ),
    (
        "oslo_policy",
        &[
            combined("policy_file", "policy.yaml", "policy.file"),
            combined("policy_dirs", "policy.d", "policy.dirs"),
            copy("policy_default_rule", "default", "policy.default_rule", Text),
            needless("enforce_new_defaults", ONE_DEFAULT),
            needless("enforce_scope", NO_SCOPES),
            needless("remote_content_type", REMOTE),
            needless("remote_ssl_verify_server_crt", REMOTE),
            needless("remote_ssl_ca_crt_file", REMOTE),
            needless("remote_ssl_client_crt_file", REMOTE),
            needless("remote_ssl_client_key_file", REMOTE),
            needless("remote_timeout", REMOTE),
        ],
    ),
    (
        "cors",
        &[
            copy("allowed_origin", "", "cors.allowed_origin", List),
            copy("allow_credentials", "true", "cors.allow_credentials", Boolean),
            copy("max_age", "3600", "cors.max_age", Integer),
            copy("allow_methods", "", "cors.allow_methods", List),
            copy("allow_headers", "", "cors.allow_headers", List),
            copy("expose_headers", "", "cors.expose_headers", List),
        ],
    ),
    (
        "cache",
        &[
            needless("config_prefix", CACHE),
            needless("expiration_time", CACHE),
            needless("backend_expiration_time", CACHE),
            needless("backend", CACHE),
            needless("backend_argument", CACHE),
            needless("proxies", CACHE),
            needless("enabled", CACHE),
            needless("debug_cache_backend", CACHE),
            needless("memcache_servers", CACHE),
            needless("memcache_dead_retry", CACHE),
            needless("memcache_pool_maxsize", CACHE),
            needless("memcache_pool_unused_timeout", CACHE),
            needless("memcache_pool_connection_get_timeout", CACHE),
            needless("memcache_pool_flush_on_reconnect", CACHE),
            needless("memcache_sasl_enabled", CACHE),
            needless("redis_server", CACHE),
            needless("redis_db", CACHE),
            needless("redis_sentinels", CACHE),
            needless("redis_sentinel_service_name", CACHE),
            needless("username", CACHE),
            needless("password", CACHE),
            needless("tls_enabled", CACHE),
            needless("tls_cafile", CACHE),
            needless("tls_certfile", CACHE),
            needless("tls_keyfile", CACHE),
            needless("tls_allowed_ciphers", CACHE),
            needless("socket_timeout", CACHE),
            needless("enable_socket_keepalive", CACHE),
            needless("socket_keepalive_idle", CACHE),
            needless("socket_keepalive_interval", CACHE),
            needless("socket_keepalive_count", CACHE),
            needless("enable_retry_client", CACHE),
            needless("retry_attempts", CACHE),
            needless("retry_delay", CACHE),
            needless("hashclient_retry_attempts", CACHE),
            needless("hashclient_retry_timeout", CACHE),
            needless("hashclient_dead_timeout", CACHE),
        ],
    ),
    (
        "oslo_reports",
        &[
            needless("log_dir", REPORTS),
            needless("file_event_handler", REPORTS),
            needless("file_event_handler_interval", REPORTS),
        ],
    ),
    (
        "profiler",
        &[
            needless("enabled", PROFILER),
            needless("trace_sqlalchemy", PROFILER),
            needless("trace_requests", PROFILER),
            needless("hmac_keys", PROFILER),
            needless("connection_string", PROFILER),
            needless("es_doc_type", PROFILER),
            needless("es_scroll_time", PROFILER),
            needless("es_scroll_size", PROFILER),
            needless("socket_timeout", PROFILER),
            needless("sentinel_service_name", PROFILER),
            needless("filter_error_trace", PROFILER),
            needless("trace_wsgi_transport", PROFILER),
            needless("trace_message_store", PROFILER),
            needless("trace_management_store", PROFILER),
        ],
    ),
    (
        "profiler_jaeger",
        &[needless("service_name_prefix", PROFILER), needless("process_tags", PROFILER)],
    ),
    ("profiler_otlp", &[needless("service_name_prefix", PROFILER)]),
    (
        "trustee",
        &[
            copy("auth_url", "", "notification.trustee.auth_url", Text),
            combined("auth_type", "", "notification.trustee"),
            combined("auth_section", "", "notification.trustee"),
            copy("username", "", "notification.trustee.username", Text),
            blocking("user_id", "", TRUSTEE),
            copy("password", "", "notification.trustee.password", Text),
            copy("user_domain_id", "", "notification.trustee.user_domain_id", Text),
            copy("user_domain_name", "", "notification.trustee.user_domain_name", Text),
            combined("default_domain_id", "", "notification.trustee.user_domain_id"),
            combined("default_domain_name", "", "notification.trustee.user_domain_name"),
            needless("project_id", TRUSTEE_SCOPE),
            needless("project_name", TRUSTEE_SCOPE),
            needless("project_domain_id", TRUSTEE_SCOPE),
            needless("project_domain_name", TRUSTEE_SCOPE),
            needless("trust_id", TRUSTEE_SCOPE),
            needless("system_scope", TRUSTEE_SCOPE),
            needless("domain_id", TRUSTEE_SCOPE),
            needless("domain_name", TRUSTEE_SCOPE),
        ],
    ),
];
