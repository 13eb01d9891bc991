//! Mail, by a command and by SMTP.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nusku::channels::Mail;
use nusku::config::{MailSettings, SmtpMode, SmtpTls};
use nusku::service::SignedUrl;
use nusku::service::notification::channel::{Channel, Content, Outcome};
use serde_json::json;

use super::sink::{Encryption, Quirk, Sink};
use super::tls::certified;
use super::{DOCUMENT, again, defaults, notification, refused, tell};

const TO: &str = "mailto:orders@example.net?subject=New%20order";

fn settings() -> MailSettings {
    let mut settings = defaults().notification.mail;
    "nusku <nusku@example.net>".clone_into(&mut settings.sender);
    settings.timeout = 10;
    settings
}

/// Mail by a script that is run by a shell, as any command may be.
fn by_script(directory: &Path, script: &str) -> Mail {
    let path = directory.join("mailer");
    fs::write(&path, format!("#!/bin/sh\ncd {}\n{script}\n", directory.display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    let mut settings = settings();
    settings.smtp_command = format!("{}  -t  -oi;x $HOME", path.display());
    settings.timeout = 1;
    Mail::new(&settings).unwrap()
}

fn by_smtp(sink: &Sink, change: impl FnOnce(&mut MailSettings)) -> Mail {
    let mut settings = settings();
    settings.smtp_mode = SmtpMode::SelfLocal;
    settings.smtp_host = Some("127.0.0.1".to_owned());
    settings.smtp_port = Some(sink.port());
    settings.smtp_tls = SmtpTls::None;
    change(&mut settings);
    Mail::new(&settings).unwrap()
}

#[tokio::test]
async fn a_command_gets_the_mail_and_its_arguments_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let mail = by_script(directory.path(), "echo \"$#:$1:$2:$3\" > arguments; cat > mail");
    assert_eq!(tell(&mail, TO, json!({})).await, Outcome::Delivered);
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(read("arguments"), "3:-t:-oi;x:$HOME\n", "no shell has seen them");
    let text = read("mail");
    assert!(text.contains("To: orders@example.net\r\n"), "{text}");
    assert!(text.contains("Subject: New order\r\n"), "{text}");
    assert!(text.ends_with(DOCUMENT), "{text}");
}

#[tokio::test]
async fn a_command_that_fails_is_tried_again_and_one_that_hangs_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mail = by_script(directory.path(), "exit 75");
    assert_eq!(again(tell(&mail, TO, json!({})).await), "the mail was not taken");
    let mail = by_script(directory.path(), "echo $$ > pid; exec sleep 1000");
    assert_eq!(again(tell(&mail, TO, json!({})).await), "the mail was not taken in 1 s");
    let pid = fs::read_to_string(directory.path().join("pid")).unwrap();
    // It may take the system a moment to see to it.
    let proc = format!("/proc/{}/stat", pid.trim());
    let lives = || fs::read_to_string(&proc).is_ok_and(|stat| !stat.contains(") Z "));
    for _ in 0..1000 {
        if !lives() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{pid} still runs");
}

#[tokio::test]
async fn without_a_way_there_is_no_mail() {
    let mut settings = settings();
    settings.smtp_command = "/nowhere/sendmail -t".to_owned();
    let reason = "this server is not set up to send mail";
    assert_eq!(refused(tell(&Mail::new(&settings).unwrap(), TO, json!({})).await), reason);
    settings.smtp_mode = SmtpMode::SelfLocal;
    assert_eq!(refused(tell(&Mail::new(&settings).unwrap(), TO, json!({})).await), reason);
}

#[tokio::test]
async fn smtp_takes_the_mail_for_everybody() {
    let sink = Sink::start(None, Encryption::Never);
    let mail = by_smtp(&sink, |settings| {
        settings.smtp_user_name = Some("ann".to_owned());
        settings.smtp_user_password = Some("sesame".to_owned());
    });
    let options = json!({"from": "Ördersystem <o@example.net>", "subject": "grüße\r\nBcc: e@f.g"});
    assert_eq!(
        tell(&mail, "mailto:a@example.net,b@example.net", options).await,
        Outcome::Delivered
    );
    let heard = sink.heard();
    for line in [
        "AUTH PLAIN AGFubgBzZXNhbWU=\r\n",
        "MAIL FROM:<o@example.net>",
        "RCPT TO:<a@example.net>\r\n",
        "RCPT TO:<b@example.net>\r\n",
        "Message-ID: <s1.m1@example.net>\r\n",
        "To: a@example.net, b@example.net\r\n",
    ] {
        assert!(heard.contains(line), "{line}: {heard}");
    }
    assert!(heard.contains(&format!("\r\n\r\n{DOCUMENT}\r\n.\r\n")), "{heard}");
    assert!(!heard.contains("\r\nBcc"), "{heard}");
}

#[tokio::test]
async fn what_a_mail_server_says_decides() {
    let quirks: [(Quirk, bool, &str); 6] = [
        (("RCPT", "450 greylisted"), true, "the mail server answered with 450"),
        (("RCPT", "550 no such user"), false, "the mail server answered with 550"),
        (("MAIL", "530 log in"), true, "the mail server did not take the mail from us"),
        (("EHLO", "garbage"), true, "the mail server could not be reached"),
        (("DATA", ""), true, "the mail was not taken in 1 s"),
        (("MAIL", "421 closing"), true, "the mail server answered with 421"),
    ];
    for (quirk, is_temporary, reason) in quirks {
        let sink = Sink::start(Some(quirk), Encryption::Never);
        let outcome = tell(&by_smtp(&sink, |settings| settings.timeout = 1), TO, json!({})).await;
        let said = if is_temporary { again(outcome) } else { refused(outcome) };
        assert!(said == reason || quirk.1.is_empty(), "{quirk:?}: {said}");
    }
    let gone = Sink::start(None, Encryption::Never).port();
    let sink = Sink::start(None, Encryption::Never);
    let mail = by_smtp(&sink, |settings| settings.smtp_port = Some(gone + 1));
    again(tell(&mail, TO, json!({})).await);
}

#[tokio::test]
async fn a_connection_is_encrypted_or_none_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let (pem, config) = certified("127.0.0.1");
    fs::write(&path, pem).unwrap();
    let sink = Sink::start(None, Encryption::FromTheBeginning(config));
    let known = by_smtp(&sink, |settings| {
        settings.smtp_tls = SmtpTls::Implicit;
        settings.smtp_ca_file = path.to_str().map(str::to_owned);
    });
    assert_eq!(tell(&known, TO, json!({})).await, Outcome::Delivered);
    let unknown = by_smtp(&sink, |settings| settings.smtp_tls = SmtpTls::Implicit);
    assert_eq!(again(tell(&unknown, TO, json!({})).await), "the mail server could not be reached");
    // A server that does not offer it gets neither mail nor password.
    let plain = Sink::start(None, Encryption::Never);
    let insists = by_smtp(&plain, |settings| {
        settings.smtp_tls = SmtpTls::Starttls;
        settings.smtp_user_name = Some("ann".to_owned());
        settings.smtp_user_password = Some("sesame".to_owned());
    });
    again(tell(&insists, TO, json!({})).await);
    let heard = plain.heard();
    assert!(!heard.contains("AUTH") && !heard.contains("MAIL"), "{heard}");
}

#[tokio::test]
async fn a_connection_is_encrypted_before_anything_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let (pem, config) = certified("127.0.0.1");
    fs::write(&path, pem).unwrap();
    let sink = Sink::start(None, Encryption::OnRequest(config));
    let to_sink = |ca_file: Option<&str>| {
        by_smtp(&sink, |settings| {
            settings.smtp_tls = SmtpTls::Starttls;
            settings.smtp_ca_file = ca_file.map(str::to_owned);
            settings.smtp_user_name = Some("ann".to_owned());
            settings.smtp_user_password = Some("sesame".to_owned());
        })
    };
    again(tell(&to_sink(None), TO, json!({})).await);
    assert!(!sink.heard().contains("AUTH"), "its certificate is not trusted: {}", sink.heard());
    assert_eq!(tell(&to_sink(path.to_str()), TO, json!({})).await, Outcome::Delivered);
    let heard = sink.heard();
    let (plain, encrypted) = heard.rsplit_once("(encrypted)").unwrap();
    assert!(!plain.contains("AUTH") && !plain.contains("MAIL"), "{heard}");
    assert!(encrypted.contains("AUTH PLAIN ") && encrypted.contains("MAIL FROM:<"), "{heard}");
}

#[tokio::test]
async fn a_mail_asks_for_a_confirmation() {
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings();
    let path = directory.path().join("mailer");
    let script = format!("#!/bin/sh\ncat > {}/mail\n", directory.path().display());
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    settings.smtp_command = path.display().to_string();
    let ask = |settings: &MailSettings, is_goodbye| {
        let mail = Mail::new(settings).unwrap();
        let mut asked = notification(TO, json!({"from": "x@y.z"}));
        let url = SignedUrl {
            paths: vec!["/v2/queues/orders/subscriptions/s1/confirm".to_owned()],
            methods: vec!["PUT".to_owned()],
            expires: "2031-05-01T12:00:00".to_owned(),
            signature: "82407b".to_owned(),
        };
        asked.content = Content::Confirmation { is_goodbye, url, endpoint: None };
        async move { mail.deliver(&asked).await }
    };
    let reason = refused(ask(&settings, false).await);
    assert!(reason.contains("not set up to ask for a confirmation"), "{reason}");

    settings.external_confirmation_url = Some("https://c.example/x".to_owned());
    settings.unsubscribe_confirmation_email_template.topic = "Bye".to_owned();
    for (is_goodbye, topic) in [(false, "Please confirm your subscription"), (true, "Bye")] {
        assert_eq!(ask(&settings, is_goodbye).await, Outcome::Delivered);
        let text = fs::read_to_string(directory.path().join("mail")).unwrap();
        assert!(text.contains(&format!("Subject: {topic}\r\n")), "{text}");
        assert!(text.contains("no-reply@localhost"), "the template says from whom: {text}");
        let text = text.replace("=\r\n", "").replace("=3D", "=");
        let link = "https://c.example/x?Signature=82407b&Methods=PUT\
            &Paths=%2Fv2%2Fqueues%2Forders%2Fsubscriptions%2Fs1%2Fconfirm&Project=acme\
            &Expires=2031-05-01T12%3A00%3A00&Url=&Queue=orders";
        assert!(text.contains(link), "{text}");
        assert!(text.contains("the queue orders of the project acme"), "{text}");
    }
}
