//! Settings: every option is documented, later places win, nothing wrong is
//! passed over.

use std::collections::BTreeMap;
use std::path::PathBuf;

use figment::value::Value;
use nusku::config::{DEFAULTS, Flag, LogFormat, Settings, Sources};
use tempfile::TempDir;

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn flag(name: &'static str, key: &'static str, value: impl Into<Value>) -> Flag {
    Flag { name, key, value: value.into() }
}

/// A settings file that lives as long as the directory it is in.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("custom.toml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

fn load_file(text: &str) -> Result<Settings, String> {
    let (_directory, path) = file(text);
    let sources = Sources { file: Some(path), ..Sources::default() };
    Settings::load(&sources).map_err(|error| error.to_string())
}

fn load_environment(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let sources = Sources { environment: environment(variables), ..Sources::default() };
    Settings::load(&sources).map_err(|error| error.to_string())
}

/// The sentence that refuses these settings.
#[track_caller]
fn refusal(loaded: Result<Settings, String>) -> String {
    let sentence = loaded.expect_err("these settings must be refused");
    assert!(!sentence.contains('\n'), "one line: {sentence}");
    sentence
}

/// `(line, table.key)` of each option in the manual, commented-out ones too.
fn documented_options() -> Vec<(usize, String)> {
    let mut table = String::new();
    let mut options = Vec::new();
    for (number, line) in DEFAULTS.lines().enumerate() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = format!("{name}.");
        }
        let bare = line.strip_prefix("# ").unwrap_or(line);
        if let Some((key, _)) = bare.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        {
            options.push((number, format!("{table}{key}")));
        }
    }
    options
}

/// Every setting there is, from the types.
fn existing_options() -> Vec<String> {
    fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
        match value.as_dict() {
            Some(table) => table.iter().for_each(|(name, value)| {
                walk(
                    value,
                    &format!("{path}{}{name}", if path.is_empty() { "" } else { "." }),
                    found,
                );
            }),
            None => found.push(path.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(&Value::serialize(Settings::defaults().unwrap()).unwrap(), "", &mut found);
    found
}

#[test]
fn every_option_is_in_the_manual_with_a_comment_above() {
    let lines: Vec<_> = DEFAULTS.lines().collect();
    let mut documented = Vec::new();
    for (number, option) in documented_options() {
        let above = number.checked_sub(1).map_or("", |above| lines[above]);
        assert!(above.starts_with("# "), "{option} has no comment above");
        documented.push(option);
    }
    let mut existing = existing_options();
    documented.sort();
    existing.sort();
    assert_eq!(documented, existing);
}

#[test]
fn file_environment_and_flags_win_in_this_order() {
    let (_directory, path) = file("[http]\nport = 1001\nworkers = 3\n[gc]\ninterval = 60\n");
    let settings = Settings::load(&Sources {
        file: Some(path),
        environment: environment(&[("NUSKU_HTTP__PORT", "1002"), ("NUSKU_GC__INTERVAL", "61")]),
        flags: vec![flag("--port", "http.port", 1003)],
    })
    .unwrap();
    assert_eq!(settings.http.port, 1003, "the flag wins over all");
    assert_eq!(settings.gc.interval, 61, "the environment wins over the file");
    assert_eq!(settings.http.workers, 3, "the file wins over the defaults");
    assert_eq!(settings.http.bind, "127.0.0.1", "the default stays");
}

#[test]
fn the_environment_names_the_file_unless_a_flag_does() {
    let (_one, from_variable) = file("[gc]\ninterval = 11\n");
    let (_two, from_flag) = file("[gc]\ninterval = 12\n");
    let variables = [("NUSKU_CONFIG", from_variable.to_str().unwrap())];
    assert_eq!(load_environment(&variables).unwrap().gc.interval, 11);
    let environment = environment(&variables);
    let sources = Sources { file: Some(from_flag), environment, flags: Vec::new() };
    assert_eq!(Settings::load(&sources).unwrap().gc.interval, 12);
}

#[test]
fn variables_are_read_as_the_type_of_what_they_set() {
    let settings = load_environment(&[
        ("NUSKU_ADMIN_MODE", "true"),
        ("NUSKU_SIGNED_URL__SECRET_KEY", "12345"),
        ("NUSKU_STORAGE__EMBEDDED__READERS", "7"),
        ("NUSKU_LOG__FORMAT", "json"),
        ("NUSKU_TRANSPORT__CLIENT_ID_UUID_SAFE", "off"),
        ("UNRELATED", "left alone"),
    ])
    .unwrap();
    assert!(settings.admin_mode);
    assert_eq!(settings.signed_url.secret_key.as_deref(), Some("12345"), "digits stay a text");
    assert_eq!(settings.storage.embedded.readers, 7);
    assert_eq!(settings.log.format, LogFormat::Json);
}

#[test]
fn unknown_names_are_refused_wherever_they_are() {
    let in_file = refusal(load_file("[transport]\nmax_mesage_ttl = 60\n"));
    assert!(in_file.contains("no setting transport.max_mesage_ttl"), "{in_file}");
    assert!(in_file.contains("custom.toml"), "{in_file}");
    assert!(in_file.contains("max_message_ttl"), "says what there is: {in_file}");

    let in_environment = refusal(load_environment(&[("NUSKU_STORAGE__EMBEDDED__READER", "2")]));
    assert!(in_environment.contains("no setting storage.embedded.reader"), "{in_environment}");
    assert!(in_environment.contains("NUSKU_STORAGE__EMBEDDED__READER"), "{in_environment}");

    for odd in ["NUSKU_", "NUSKU_PORT", "NUSKU_HTTP____PORT", "NUSKU_HTTP__PORT__"] {
        assert!(load_environment(&[(odd, "1")]).is_err(), "{odd} must be refused");
    }
    let section = refusal(load_file("[webhooks]\nport = 9000\n"));
    assert!(section.contains("no setting webhooks"), "{section}");
}

#[test]
fn variables_of_the_tests_are_no_settings() {
    load_environment(&[("NUSKU_CRASH_ROUNDS", "200"), ("NUSKU_OBSERVER_SEED", "7")]).unwrap();
    assert!(load_environment(&[("NUSKU_CRASH", "200")]).is_err());
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table with a line for each setting")]
fn a_bad_value_is_refused_with_its_name_its_place_and_what_is_expected() {
    for (text, key, expected) in [
        ("[http]\nport = \"x\"", "http.port is \"x\"", "an integer from 0 to 65535"),
        ("[http]\nport = 70000", "http.port is 70000", "an integer from 0 to 65535"),
        ("[http]\nworkers = -1", "http.workers is -1", "an integer, 0 or more"),
        ("[http]\nworkers = 1000", "http.workers is 1000", "an integer from 0 to 512"),
        ("http = 5", "http is 5", "a table"),
        ("[http.port]\nx = 1", "http.port is a table", "an integer from 0 to 65535"),
        ("admin_mode = 1", "admin_mode is 1", "true or false"),
        ("[log]\nformat = \"xml\"", "log.format is \"xml\"", "text or json"),
        ("[log]\nlevel = \"nusku=loud\"", "log.level is \"nusku=loud\"", "error, warn, info"),
        ("[log]\nlevel = \"\"", "log.level is \"\"", "error, warn, info"),
        ("[storage]\nuri = \"nowhere\"", "storage.uri is \"nowhere\"", "embedded:DIRECTORY"),
        ("[storage]\nuri = \"embedded:\"", "storage.uri is \"embedded:\"", "embedded:DIRECTORY"),
        ("[gc]\ninterval = 0", "gc.interval is 0", "an integer from 1 to 86400"),
        ("[signed_url]\nsecret_key = \"\"", "signed_url.secret_key", "not empty"),
        (
            "[auth]\nstrategy = \"trust\"",
            "auth.strategy is \"trust\"",
            "noauth or keystone or tokens",
        ),
        ("[auth.tokens]\nfile = \"\"", "auth.tokens.file is \"\"", "not empty"),
        ("[auth.keystone]\nusername = \"\"", "auth.keystone.username is \"\"", "not empty"),
        ("[auth.keystone]\nmax_requests = 0", "auth.keystone.max_requests is 0", "1 to 1000"),
        (
            "[auth.keystone]\ntoken_cache_time = 86401",
            "auth.keystone.token_cache_time is 86401",
            "an integer from 0 to 86400",
        ),
        (
            "[auth.keystone]\nservice_token_roles = [\"\"]",
            "auth.keystone.service_token_roles is a list with an empty role",
            "a list of roles",
        ),
        ("[http]\nmax_uri_bytes = 65535", "http.max_uri_bytes is 65535", "from 1024 to 65534"),
        ("[http]\nmax_headers = 97", "http.max_headers is 97", "from 8 to 96"),
        ("[http]\nhead_timeout = 0", "http.head_timeout is 0", "from 1 to 3600"),
        ("[http]\ntrusted_proxies = [\"::1\", \"lan\"]", "is \"lan\"", "10.0.0.0/8"),
        ("[http]\nforwarded_header = \"Via\"", "is \"Via\"", "X-Forwarded-For or Forwarded"),
        (
            "[http.tls]\nkey = \"a\"",
            "http.tls.key is \"a\"",
            "http.tls.certificate, which is unset",
        ),
        (
            "[http.tls]\ncertificate = \"a\"",
            "http.tls.certificate is \"a\"",
            "http.tls.key, which is unset",
        ),
        ("[cors]\nallowed_origin = [\"a.net\"]", "cors.allowed_origin is \"a.net\"", "https://"),
        ("[cors]\nallow_headers = [\"\"]", "cors.allow_headers is \"\"", "HTTP methods or headers"),
        ("[encryption]\nkeys = [\"sesame\"]", "encryption.keys", "ID:SECRET"),
        ("[encryption]\nkeys = [\"k:open-sesame\"]", "encryption.keys", "32 characters after k:"),
        (
            "[encryption]\nkeys = [\"k:open-sesame-open-sesame-open-sesame\", \
             \"k:shut-sesame-shut-sesame-shut-sesame\"]",
            "encryption.keys",
            "only one key of the id k",
        ),
        ("[encryption]\nkeys = [271828]", "encryption.keys", "a text"),
        ("[transport]\nmax_claim_ttl = 59", "max_claim_ttl is 59", "from 60 to"),
        ("[transport]\nmax_messages_per_page = 0", "max_messages_per_page is 0", "from 1 to"),
        (
            "[transport]\ndefault_message_ttl = 61\nmax_message_ttl = 60",
            "transport.default_message_ttl is 61",
            "60 to 60 seconds, which is transport.max_message_ttl",
        ),
        (
            "[transport]\nmin_length_client_id = 37",
            "transport.min_length_client_id is 37",
            "1 to 36, which is transport.max_length_client_id",
        ),
    ] {
        let sentence = refusal(load_file(text));
        assert!(sentence.contains(key), "{text}: {sentence}");
        assert!(sentence.contains("custom.toml"), "{text}: {sentence}");
        assert!(sentence.contains(expected), "{text}: {sentence}");
        for secret in ["sesame", "271828"] {
            assert!(!sentence.contains(secret), "{text}: {sentence}");
        }
    }
    let variable = refusal(load_environment(&[("NUSKU_TRANSPORT__MAX_MESSAGE_TTL", "an hour")]));
    assert_eq!(
        variable,
        "transport.max_message_ttl is \"an hour\" (from environment variable \
         NUSKU_TRANSPORT__MAX_MESSAGE_TTL), expected an integer from 0 to 4294967295"
    );
    let flags = vec![flag("--storage", "storage.uri", "nowhere")];
    let sources = Sources { flags, ..Sources::default() };
    let sentence = Settings::load(&sources).unwrap_err().to_string();
    assert!(sentence.contains("(from flag --storage)"), "{sentence}");
}

#[test]
fn limits_hold_at_their_edges() {
    for text in [
        "[transport]\ndefault_message_ttl = 60\nmax_message_ttl = 60",
        "[transport]\nmax_message_delay = 0",
        "[transport]\nmax_messages_post_size = 67108864",
        "[transport]\nmin_length_client_id = 36",
        "[http]\nshutdown_timeout = 0",
        "[gc]\ninterval = 86400",
    ] {
        if let Err(sentence) = load_file(text) {
            panic!("{text}: {sentence}");
        }
    }
    assert!(load_file("[transport]\nmax_messages_post_size = 67108865").is_err());
    assert!(load_file("[gc]\ninterval = 86401").is_err());
}

#[test]
fn a_file_that_is_missing_or_not_toml_is_refused() {
    let missing = load_environment(&[("NUSKU_CONFIG", "/nowhere/nusku.toml")]);
    assert!(refusal(missing).contains("cannot read the settings file /nowhere/nusku.toml"));
    let sentence = refusal(load_file("[http]\nport = = 1\n"));
    assert!(sentence.contains("custom.toml is not valid TOML: line 2"), "{sentence}");
}

#[test]
fn secrets_are_shown_only_when_asked_for() {
    let settings = load_environment(&[("NUSKU_SIGNED_URL__SECRET_KEY", "open-sesame")]).unwrap();
    assert!(!format!("{settings:?}").contains("open-sesame"));
    let hidden = settings.to_toml(false).unwrap();
    assert!(!hidden.contains("open-sesame"));
    assert!(hidden.contains("# secret_key is set"));
    assert!(settings.to_toml(true).unwrap().contains("secret_key = \"open-sesame\""));

    let sentence = refusal(load_file("[signed_url]\nsecret_key = 271828\n"));
    assert!(!sentence.contains("271828"), "{sentence}");
}

#[test]
fn keys_of_bodies_are_no_less_secret() {
    let (new, old) =
        ("new:open-sesame-open-sesame-open-sesame", "old:shut-sesame-shut-sesame-shut-sesame");
    let settings = load_environment(&[
        ("NUSKU_ENCRYPTION__KEYS", &format!("{new}, {old}")),
        ("NUSKU_ENCRYPTION__ZAQAR_KEY", "sesame"),
    ])
    .unwrap();
    assert_eq!(settings.encryption.keys, [new, old]);
    let debug = format!("{settings:?}");
    assert!(!debug.contains("sesame") && debug.contains("\"new\", \"old\""), "{debug}");
    let hidden = settings.to_toml(false).unwrap();
    assert!(!hidden.contains("sesame"), "{hidden}");
    for name in ["keys", "zaqar_key"] {
        assert!(hidden.contains(&format!("# {name} is set; --reveal-secrets shows it\n")));
    }
    assert!(settings.to_toml(true).unwrap().contains(new));
}

#[test]
fn a_strategy_wants_all_it_needs() {
    let complete = [
        ("auth_url", "\"http://127.0.0.1:5000\""),
        ("username", "\"nusku\""),
        ("password", "\"open-sesame\""),
        ("user_domain_name", "\"Default\""),
        ("project_name", "\"service\""),
        ("project_domain_name", "\"Default\""),
    ];
    let text = |without: &str| {
        let given = complete.iter().filter(|(name, _)| *name != without);
        let lines: Vec<_> = given.map(|(name, value)| format!("{name} = {value}\n")).collect();
        format!("[auth]\nstrategy = \"keystone\"\n[auth.keystone]\n{}", lines.concat())
    };
    let settings = load_file(&text("")).unwrap();
    assert!(!format!("{settings:?}").contains("open-sesame"));
    for (name, _) in complete {
        let sentence = refusal(load_file(&text(name)));
        let unset = format!("auth.keystone.{name} is unset");
        assert!(sentence.contains(&unset) && sentence.contains("\"keystone\""), "{sentence}");
        assert!(!sentence.contains("open-sesame"), "{sentence}");
    }
    load_file(&format!("{}user_domain_id = \"default\"\n", text("user_domain_name"))).unwrap();

    let sentence = refusal(load_file("[auth]\nstrategy = \"tokens\"\n"));
    assert!(sentence.contains("auth.tokens.file is unset (set nowhere)"), "{sentence}");

    let credential = "[auth]\nstrategy = \"keystone\"\n[auth.keystone]\n\
                      auth_url = \"https://id\"\napplication_credential_id = \"1\"\n";
    let sentence = refusal(load_file(credential));
    assert!(
        sentence.contains("auth.keystone.application_credential_secret is unset"),
        "{sentence}"
    );
    load_file(&format!("{credential}application_credential_secret = \"x\"\n")).unwrap();
}

#[test]
fn addresses_of_keystone_are_plain() {
    for (url, fits) in [
        ("http://id:5000/v3", true),
        ("https://[::1]:5000/identity", true),
        ("id:5000", false),
        ("ftp://id", false),
        ("http://", false),
        ("http://me:sesame@id", false),
        ("http://id/?token=sesame", false),
        ("http://id/#sesame", false),
        ("http://id/v2.0/", false),
        ("http://id/\\\" sesame=\\\"", false),
    ] {
        for name in ["auth_url", "www_authenticate_uri"] {
            let loaded = load_file(&format!("[auth.keystone]\n{name} = \"{url}\"\n"));
            assert_eq!(loaded.is_ok(), fits, "{url}");
            if let Err(sentence) = loaded {
                assert!(sentence.contains(&format!("auth.keystone.{name}")), "{sentence}");
                assert!(!sentence.contains("sesame"), "{sentence}");
            }
        }
    }
}

#[test]
fn a_list_has_commas_in_the_environment() {
    let name = "NUSKU_AUTH__KEYSTONE__SERVICE_TOKEN_ROLES";
    let roles = |text| load_environment(&[(name, text)]).unwrap().auth.keystone.service_token_roles;
    assert_eq!(roles("service, glance"), ["service", "glance"]);
    assert_eq!(roles(""), [""; 0]);
}

#[test]
fn every_secret_is_hidden() {
    let settings = load_environment(&[
        ("NUSKU_AUTH__KEYSTONE__PASSWORD", "open-sesame"),
        ("NUSKU_AUTH__KEYSTONE__APPLICATION_CREDENTIAL_SECRET", "open-barley"),
    ])
    .unwrap();
    let hidden = settings.to_toml(false).unwrap();
    for (name, secret) in
        [("password", "open-sesame"), ("application_credential_secret", "open-barley")]
    {
        assert!(!hidden.contains(secret) && hidden.contains(&format!("# {name} is set")));
        assert!(settings.to_toml(true).unwrap().contains(secret));
    }
    load_file(&hidden).unwrap();
    let sentence = refusal(load_file("[auth.keystone]\npassword = 271828\n"));
    assert!(!sentence.contains("271828"), "{sentence}");
}

#[test]
fn what_is_shown_can_be_loaded_again() {
    let (_directory, path) = file("admin_mode = true\n[transport]\nmax_claim_ttl = 600\n");
    let settings = Settings::load(&Sources { file: Some(path), ..Sources::default() }).unwrap();
    let shown = settings.to_toml(true).unwrap();
    let again = load_file(&shown).unwrap();
    assert_eq!(again.to_toml(true).unwrap(), shown);
    assert!(again.admin_mode);
    assert_eq!(again.transport.max_claim_ttl, 600);
}
