//! From Zaqar's configuration to ours, as an operator does it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use nusku::config::{
    AuthStrategy, ClientIdRule, LogFormat, MongodbDriverName, Settings, SmtpMode, SubscriberType,
};

use crate::cli::program::{Server, nusku, request, run};
use crate::support::mongod::{Databases, shared};

const DEFAULTS: &str = include_str!("defaults.conf");
const LIVED_IN: &str = include_str!("zaqar.conf");

/// Imports these files, written in this order; returns what came of it.
fn import(directory: &Path, texts: &[&str], flags: &[&str]) -> (Output, String) {
    let mut arguments = vec!["config".to_owned(), "import".to_owned()];
    for (index, text) in texts.iter().enumerate() {
        let path = directory.join(format!("zaqar{index}.conf"));
        fs::write(&path, text).unwrap();
        arguments.push(path.display().to_string());
    }
    arguments.extend(flags.iter().map(|&flag| flag.to_owned()));
    let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let report = String::from_utf8(output.stderr.clone()).unwrap();
    (output, report)
}

/// The settings that come of one file into which nothing stands in the way.
fn settings(text: &str) -> (Settings, String) {
    let directory = tempfile::tempdir().unwrap();
    let (output, report) = import(directory.path(), &[text], &["--reveal-secrets"]);
    assert_eq!(output.status.code(), Some(0), "{report}");
    let toml = String::from_utf8(output.stdout).unwrap();
    (Settings::parse("the result", &toml).unwrap_or_else(|it| panic!("{it}\n{toml}")), toml)
}

/// Why a file cannot be imported.
fn hindrance(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (output, report) = import(directory.path(), &[text], &[]);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(output.stdout.is_empty());
    let (_, hindrances) = report.split_once("Standing in the way:\n").expect("says so");
    hindrances.to_owned()
}

#[test]
fn zaqars_defaults_are_ours() {
    let (settings, toml) = settings(DEFAULTS);
    assert_eq!(settings.storage.uri, "mongodb://localhost:27017");
    assert_eq!(settings.storage.mongodb.driver, MongodbDriverName::Plain);
    let lines: Vec<_> = toml.lines().filter(|line| line.contains(" = ")).collect();
    // Of these the generator knows the defaults of the library only.
    let expected = [
        "zaqar_key = \"AES256\"",
        "driver = \"mongodb\"",
        "uri = \"mongodb://localhost:27017\"",
        "enabled = false",
        "max_notifier_workers = 10",
    ];
    assert!(!settings.notification.enabled, "Zaqar tells nobody unless it is told to");
    let others =
        lines.iter().filter(|line| !line.starts_with("allow_") && !line.starts_with("expose_"));
    assert!(others.clone().all(|line| expected.contains(line)), "{toml}");
}

#[test]
fn every_kind_of_option_finds_its_setting() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("nusku.toml");
    let flags = ["--output", output.to_str().unwrap(), "--force"];
    let (done, report) = import(directory.path(), &[LIVED_IN], &flags);
    assert_eq!(done.status.code(), Some(0), "{report}");
    assert_eq!(fs::metadata(&output).unwrap().permissions().mode() & 0o777, 0o600);
    let toml = fs::read_to_string(&output).unwrap();
    let settings = Settings::parse("the result", &toml).unwrap();

    assert!(settings.admin_mode && settings.enable_checksum);
    assert_eq!((settings.log.level.as_str(), settings.log.format), ("debug", LogFormat::Json));
    let limits = &settings.transport;
    assert_eq!((limits.default_message_ttl, limits.max_message_ttl), (7200, 86_400));
    assert_eq!((limits.max_messages_per_page, limits.max_messages_post_size), (50, 1 << 20));
    assert_eq!(limits.client_id_uuid_safe, ClientIdRule::Off);
    assert!(limits.message_delete_with_claim_id);
    assert_eq!((settings.http.bind.as_str(), settings.http.port), ("127.0.0.1", 0));
    let mongodb = &settings.storage.mongodb;
    assert_eq!(mongodb.driver, MongodbDriverName::Fifo);
    assert_eq!((mongodb.database.as_str(), mongodb.queue_database()), ("messages", "zaqar"));
    assert_eq!((mongodb.partitions, mongodb.max_attempts), (4, 1000));
    assert!((mongodb.reconnect_sleep - 0.05).abs() < 1e-9);
    assert_eq!(settings.signed_url.secret_key.as_deref(), Some("sesame-of-urls"));
    assert!(settings.notification.enabled && settings.notification.require_confirmation);
    assert_eq!(limits.default_subscription_ttl, 600);
    assert_eq!(settings.policy.default_rule, "fallback");
    assert_eq!(settings.auth.strategy, AuthStrategy::Keystone);
    let keystone = &settings.auth.keystone;
    assert_eq!(keystone.auth_url.as_deref(), Some("https://messaging.example.net/identity"));
    assert_eq!(keystone.www_authenticate_uri.as_deref(), Some("https://id.example.net/v3"));
    assert_eq!(keystone.password.as_deref(), Some("sesame-$of-keystone"));
    assert_eq!(keystone.project_name.as_deref(), Some("service"));
    assert_eq!(keystone.user_domain_id.as_deref(), Some("default"));
    assert_eq!(keystone.project_domain_id.as_deref(), Some("default"));
    assert_eq!(keystone.service_token_roles, ["service", "admin"]);
    assert_eq!(keystone.token_cache_time, 0);

    for line in [
        "[DEFAULT] colour (",
        "[DEFAULT] log_dir (",
        "line 5): logs go to stderr",
        "[cache] enabled (",
        "[drivers:management_store:mongodb] max_attempts (",
        "storage.mongodb.max_attempts must be an integer from 1 to 1000000",
    ] {
        assert!(report.contains(line), "{line}: {report}");
    }
    // A default that somebody wrote down is nothing to carry over.
    assert!(!toml.contains("max_queues_per_page"));
    assert!(toml.contains("zaqar0.conf, line 14\ndefault_message_ttl = 7200\n"), "{toml}");
}

#[test]
fn secrets_are_in_the_file_and_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let (shown, report) = import(directory.path(), &[LIVED_IN], &["--force"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(!report.contains("sesame") && !shown.contains("sesame"), "{report}{shown}");
    assert!(shown.contains("mongodb://zaqar:***@db1"), "{shown}");
    assert!(shown.contains("# password is a secret"), "{shown}");

    let output = directory.path().join("nusku.toml");
    let flags = ["--force", "--output", output.to_str().unwrap()];
    let (done, report) = import(directory.path(), &[LIVED_IN], &flags);
    assert!(!report.contains("sesame") && !done.stdout.windows(6).any(|it| it == b"sesame"));
    let text = fs::read_to_string(&output).unwrap();
    for secret in ["sesame-of-mongodb", "sesame-of-urls", "sesame-$of-keystone"] {
        assert!(text.contains(secret), "{secret}");
    }
    // A file that is there already is somebody's.
    let (refused, report) = import(directory.path(), &[LIVED_IN], &flags);
    assert_eq!(refused.status.code(), Some(1));
    assert!(report.contains("cannot write"), "{report}");
}

#[test]
fn what_an_operator_relies_on_stands_in_the_way() {
    for (text, sentence) in [
        ("[DEFAULT]\nauth_strategy = ldap", "[DEFAULT] auth_strategy ("),
        ("[DEFAULT]\nadmin_mode = perhaps", "its value is not a boolean"),
        ("[transport]\nmax_claim_ttl = ${max_claim_tll}", "the name of no option"),
        ("[transport]\nmax_claim_ttl = 7", "transport.max_claim_ttl must be"),
        ("[drivers]\ntransport = avian", "nusku serves HTTP and WebSockets only"),
        ("[drivers]\nmessage_store = redis", "[drivers] message_store ("),
        ("[drivers]\nmanagement_store = sqlalchemy", "[drivers] management_store ("),
        ("[transport]\nmessage_encryption_algorithms = RSA", "Zaqar's RSA never worked"),
        (
            "[drivers:message_store:mongodb]\nuri = mongodb://a\n\
             [drivers:management_store:mongodb]\nuri = mongodb://b",
            "in one MongoDB",
        ),
        (
            "[DEFAULT]\nauth_strategy = keystone\n[keystone_authtoken]\nauth_url = http://k\n\
             auth_type = v3oidcpassword\n",
            "application credential of v3 only",
        ),
        (
            "[DEFAULT]\nauth_strategy = keystone\n[keystone_authtoken]\nauth_url = http://k\n\
             enforce_token_bind = required\n",
            "[keystone_authtoken] enforce_token_bind (",
        ),
        (
            "[DEFAULT]\nauth_strategy = keystone\n[trustee]\nauth_type = v3totp\nuser_id = 1\n",
            "[trustee] auth_type (",
        ),
        ("[DEFAULT]\nauth_strategy = keystone\n", "setting auth.keystone.auth_url (needed)"),
    ] {
        let hindrance = hindrance(text);
        assert!(hindrance.contains(sentence), "{text}: {hindrance}");
    }
}

#[test]
fn what_keystone_would_be_told_is_left_out_without_keystone() {
    let text = "[keystone_authtoken]\nauth_url = http://k\npassword = sesame\nenforce_token_bind = required\n";
    let (settings, toml) = settings(text);
    assert_eq!(settings.auth.strategy, AuthStrategy::Noauth);
    assert!(!toml.contains("sesame"), "{toml}");
}

#[test]
fn the_ways_to_reach_subscribers_come_along() {
    let text = "[DEFAULT]\nauth_strategy = keystone\n[transport]\n\
        subscriber_types = http,trust+https\n[keystone_authtoken]\nauth_url = http://k\n\
        username = u\npassword = p\nproject_name = s\nuser_domain_name = d\n\
        project_domain_name = d\n[notification]\nsmtp_mode = self_local\nsmtp_host = mail\n\
        smtp_port = 466\nsmtp_user_name = ann\nsmtp_user_password = sesame\n\
        external_confirmation_url = http://c/\nsubscription_confirmation_email_template = \
        topic:Hi,body:Dear {0}, see {2},sender:a@b.c\n[trustee]\nauth_type = password\n\
        username = z\npassword = sesame2\ndefault_domain_id = default\nproject_name = x\n";
    let (settings, toml) = settings(text);
    let types = &settings.transport.subscriber_types;
    assert_eq!(types, &[SubscriberType::Http, SubscriberType::TrustHttps]);
    let mail = &settings.notification.mail;
    assert_eq!((mail.smtp_mode, mail.smtp_port), (SmtpMode::SelfLocal, Some(466)));
    assert_eq!(mail.smtp_user_password.as_deref(), Some("sesame"));
    assert_eq!(mail.external_confirmation_url.as_deref(), Some("http://c/"));
    let template = &mail.subscription_confirmation_email_template;
    assert_eq!((template.topic.as_str(), template.body.as_str()), ("Hi", "Dear {0}, see {2}"));
    assert_eq!(template.sender, "a@b.c");
    let trustee = &settings.notification.trustee;
    assert_eq!(trustee.username.as_deref(), Some("z"));
    assert_eq!(trustee.user_domain_id.as_deref(), Some("default"), "{toml}");

    let directory = tempfile::tempdir().unwrap();
    let (shown, report) = import(directory.path(), &[text], &[]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(!shown.contains("sesame") && !report.contains("sesame"), "{shown}{report}");
}

#[test]
fn the_websocket_front_end_comes_along() {
    let (websocket, _) = settings(
        "[drivers]\ntransport = websocket\n\
         [drivers:transport:websocket]\nbind = 127.0.0.2\nport = 9001\nnotification_port = 5\n",
    );
    let websocket = websocket.websocket;
    assert!(websocket.enabled);
    assert_eq!((websocket.bind.as_str(), websocket.port), ("127.0.0.2", 9001));
}

#[test]
fn the_section_that_auth_section_names_counts() {
    let text = "[DEFAULT]\nauth_strategy = keystone\n[keystone_authtoken]\nauth_section = here\n\
        [here]\nauth_url = http://k\nusername = u\npassword = p\nproject_name = s\n\
        user_domain_name = d\nproject_domain_name = d\n";
    let (settings, _) = settings(text);
    assert_eq!(settings.auth.keystone.username.as_deref(), Some("u"));
}

#[test]
fn later_files_count_more() {
    let directory = tempfile::tempdir().unwrap();
    let first = "[transport]\nmax_claim_ttl = 400\nmax_message_delay = 7\n";
    let (output, report) =
        import(directory.path(), &[first, "[transport]\nmax_claim_ttl=500\n"], &[]);
    let toml = String::from_utf8(output.stdout).unwrap();
    assert!(
        toml.contains("max_claim_ttl = 500\n") && toml.contains("max_message_delay = 7\n"),
        "{toml}{report}"
    );
}

#[test]
fn the_policy_beside_the_configuration_comes_along() {
    let directory = tempfile::tempdir().unwrap();
    let policy = directory.path().join("policy.yaml");
    fs::write(&policy, "queues:create: role:writer\n").unwrap();
    fs::create_dir(directory.path().join("policy.d")).unwrap();
    let (output, report) = import(directory.path(), &["[DEFAULT]\n"], &[]);
    let toml = String::from_utf8(output.stdout).unwrap();
    let settings =
        Settings::parse("the result", &toml).unwrap_or_else(|it| panic!("{it} {report}"));
    assert_eq!(settings.policy.file, Some(policy.display().to_string()));
    assert_eq!(settings.policy.dirs.len(), 1);

    fs::write(&policy, "queues:create: http://decide.example.net/\n").unwrap();
    let (output, report) = import(directory.path(), &["[DEFAULT]\n"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(report.contains("line 1, rule queues:create:"), "{report}");

    let named = "[oslo_policy]\npolicy_file = other.yaml\n";
    let (_, report) = import(directory.path(), &[named], &[]);
    assert!(report.contains("there is no such file"), "{report}");
}

#[test]
fn what_is_no_configuration_is_refused_with_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let (output, report) = import(directory.path(), &["[DEFAULT]\nnonsense\n"], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(report.ends_with("line 2: it is neither a section nor NAME = VALUE\n"), "{report}");
    let output = run(&["config", "import", "/nowhere/zaqar.conf"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(run(&["config", "import"]).status.code(), Some(2));
}

#[test]
fn the_table_names_every_option() {
    let output = run(&["config", "import", "--list"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    for option in DEFAULTS.lines().filter_map(|line| Some(line.split_once(" = ")?.0)) {
        assert!(printed.contains(&format!("] {option}` |")), "{option}");
    }
    let kept = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/etc/zaqar-options.md"));
    assert!(kept.unwrap().ends_with(&printed), "print it anew into etc/zaqar-options.md");
}

#[actix_web::test]
async fn a_server_starts_with_the_result() {
    let databases = Databases::on(shared::single().await);
    let text = format!(
        "[drivers:message_store:mongodb]\nuri = {}\ndatabase = {1}\npartitions = 3\n\
         [drivers:management_store:mongodb]\nuri = {0}\ndatabase = {1}\n\
         [drivers:transport:wsgi]\nport = 0\n[signed_url]\nsecret_key = sesame\n",
        databases.uri, databases.prefix
    );
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("nusku.toml");
    let (_, report) = import(directory.path(), &[&text], &["--output", output.to_str().unwrap()]);
    let command = &mut nusku(&["serve", "--config", output.to_str().unwrap()]);
    let server = Server::try_spawn(command).unwrap_or_else(|log| panic!("{log}{report}"));
    let (status, _) = request(server.address, "PUT", "/v2/queues/moved", "").unwrap();
    assert_eq!(status, 201);
    let (status, body) = request(server.address, "POST", "/v2/queues/moved/share", "{}").unwrap();
    assert_eq!(status, 200, "{body}");
}
