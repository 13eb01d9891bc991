//! From `storage.uri` and the settings to the options of a client.
//!
//! What is said here about a URI never contains a part of it that could be a
//! password.

use std::path::PathBuf;
use std::time::Duration;

use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, HostInfo, Tls, TlsOptions, WriteConcern,
};

use super::connect::OpenError;
use super::layout::Layout;
use crate::config::{CertificateRule, MongodbDriverName, MongodbSettings};

/// What the server knows our connections by: so one nusku recognises what
/// another one left behind.
pub const APPLICATION: &str = "nusku";

/// The setting that most of this is about.
pub const URI: &str = "storage.uri";

/// Longest time in which a server must accept a connection, unless the URI says
/// otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Options of a URI that are not the operator's choice, in small letters, and
/// the value that changes nothing. Zaqar and pymongo take the short names too.
const DECIDED: [(&str, &str); 13] = [
    ("appname", APPLICATION),
    ("w", "majority"),
    ("j", "true"),
    ("journal", "true"),
    ("wtimeout", "0"),
    ("wtimeoutms", "0"),
    ("readpreference", "primary"),
    ("readpreferencetags", ""),
    ("maxstalenessseconds", "-1"),
    ("readconcernlevel", "majority"),
    ("retrywrites", "true"),
    ("retryreads", "true"),
    ("uuidrepresentation", "standard"),
];

/// A database as the settings name it.
#[derive(Clone)]
pub struct Target {
    connection: ConnectionString,
    tls: Option<TlsOptions>,
    settings: MongodbSettings,
    /// The hosts as the URI names them.
    pub hosts: String,
    /// The layout that is asked for, if one is.
    pub layout: Option<Layout>,
}

impl Target {
    /// Reads the URI and the settings that belong to it. Tells the log of what
    /// it does not follow.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn parse(uri: &str, settings: &MongodbSettings) -> Result<Self, OpenError> {
        let parts = Parts::split(uri)?;
        let layout = layout(parts.fifo, settings.driver)?;
        let text = format!("{}://{}?{}", parts.scheme, parts.place, parts.kept_options());
        let connection = ConnectionString::parse(text).map_err(|error| wrong(&reason(&error)))?;
        if connection.load_balanced == Some(true) {
            return Err(wrong(
                &"loadBalanced=true stands for a sharded cluster, which nusku does \
                not work with: name a replica set or a single server",
            ));
        }
        let tls = tls(&connection, settings)?;
        let hosts = parts.hosts.to_owned();
        Ok(Self { connection, tls, settings: settings.clone(), hosts, layout })
    }

    /// The options of a client. Names of `mongodb+srv` are looked up each time.
    ///
    /// # Errors
    ///
    /// If such a name cannot be looked up.
    pub async fn options(&self) -> mongodb::error::Result<ClientOptions> {
        let max_wait = Duration::from_secs(self.settings.max_wait.into());
        let mut options = ClientOptions::parse(self.connection.clone()).await?;
        options.app_name = Some(APPLICATION.to_owned());
        options.max_pool_size.get_or_insert(self.settings.max_pool_size);
        options.connect_timeout.get_or_insert(CONNECT_TIMEOUT.min(max_wait));
        // Shorter than a request waits, so that it can tell what it waited for.
        options.server_selection_timeout.get_or_insert(max_wait / 2);
        options.write_concern = Some(write_concern());
        options.tls = self.tls.clone().map(Tls::Enabled);
        Ok(options)
    }
}

/// The write concern of whatever is acknowledged: most members have it on disk.
/// A stand-alone server would not wait for its disk without the journal.
#[must_use]
pub fn write_concern() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build()
}

/// A URI taken apart.
struct Parts<'a> {
    /// The scheme without what only Zaqar and nusku know.
    scheme: &'static str,
    /// Whether it was `mongodb.fifo`.
    fifo: bool,
    /// All between the scheme and the options: user, hosts, database.
    place: &'a str,
    hosts: &'a str,
    options: &'a str,
}

impl<'a> Parts<'a> {
    fn split(uri: &'a str) -> Result<Self, OpenError> {
        let Some((scheme, rest)) = uri.split_once("://") else {
            return Err(wrong(&"it must begin with mongodb://"));
        };
        let (scheme, fifo) = match scheme {
            "mongodb" => ("mongodb", false),
            "mongodb.fifo" => ("mongodb", true),
            "mongodb+srv" => ("mongodb+srv", false),
            _ => {
                return Err(wrong(
                    &"it must begin with mongodb://, mongodb.fifo:// or mongodb+srv://",
                ));
            }
        };
        let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
        if options.contains('@') {
            return Err(wrong(
                &"an @ or ? in the user name, the password or an option must be \
                written as %40 or %3F",
            ));
        }
        let after_user = place.rsplit_once('@').map_or(place, |(_, after)| after);
        let (hosts, _) = after_user.split_once('/').unwrap_or((after_user, ""));
        if !hosts.split(',').all(is_host) {
            return Err(wrong(
                &"after the user name and the password it must have hosts, each as \
                NAME or NAME:PORT, with commas between them",
            ));
        }
        Ok(Self { scheme, fifo, place, hosts, options })
    }

    /// The options without those that are decided.
    fn kept_options(&self) -> String {
        let is_kept = |option: &&str| {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let name = name.to_lowercase();
            let Some((_, neutral)) = DECIDED.iter().find(|(decided, _)| *decided == name) else {
                return true;
            };
            if !value.eq_ignore_ascii_case(neutral) {
                tracing::warn!(
                    "storage.uri has {option}, which is not followed: nusku decides by itself how \
                     it writes (to a majority and its journal), reads (from the primary) and what \
                     it is called"
                );
            }
            false
        };
        let kept: Vec<_> = self.options.split('&').filter(is_kept).collect();
        kept.join("&")
    }
}

/// Whether this is a host, perhaps with a port.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, "")) => (name, None),
            Some((name, port)) => (name, Some(port.strip_prefix(':').unwrap_or(""))),
            None => return false,
        },
        None => text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port))),
    };
    !name.is_empty() && port.is_none_or(|port| port.parse().is_ok_and(|port: u16| port != 0))
}

fn layout(fifo: bool, driver: MongodbDriverName) -> Result<Option<Layout>, OpenError> {
    match (fifo, driver) {
        (true, MongodbDriverName::Plain) => Err(OpenError::setting(
            "storage.mongodb.driver",
            &"it is mongodb, but storage.uri begins with mongodb.fifo://",
        )),
        (true, _) | (false, MongodbDriverName::Fifo) => Ok(Some(Layout::Fifo)),
        (false, MongodbDriverName::Plain) => Ok(Some(Layout::Plain)),
        (false, MongodbDriverName::Auto) => Ok(None),
    }
}

/// What the URI and the settings say about encryption; `None` for none.
fn tls(
    connection: &ConnectionString,
    settings: &MongodbSettings,
) -> Result<Option<TlsOptions>, OpenError> {
    let mut tls = match &connection.tls {
        Some(Tls::Enabled(tls)) => tls.clone(),
        None if matches!(connection.host_info, HostInfo::DnsRecord(_)) => TlsOptions::default(),
        _ => return no_tls(settings).map(|()| None),
    };
    if let Some(path) = &settings.ssl_ca_certs {
        tls.ca_file_path = Some(pem("storage.mongodb.ssl_ca_certs", path, &[CERTIFICATE])?);
    }
    match (&settings.ssl_certfile, &settings.ssl_keyfile) {
        (None, Some(_)) => {
            return Err(OpenError::setting(
                "storage.mongodb.ssl_keyfile",
                &"a key needs its certificate: put both in one file and name it in \
                  storage.mongodb.ssl_certfile",
            ));
        }
        (Some(certificate), Some(key)) if certificate != key => {
            return Err(OpenError::setting(
                "storage.mongodb.ssl_keyfile",
                &"the key must be in the file of the certificate: join both and name that file in \
                  storage.mongodb.ssl_certfile",
            ));
        }
        (Some(path), _) => {
            let kinds = [CERTIFICATE, PRIVATE_KEY];
            tls.cert_key_file_path = Some(pem("storage.mongodb.ssl_certfile", path, &kinds)?);
        }
        (None, None) => {}
    }
    if settings.ssl_cert_reqs == CertificateRule::None {
        tracing::warn!(
            "storage.mongodb.ssl_cert_reqs is CERT_NONE: the server's certificate is not checked, \
             anybody in between can read and change everything"
        );
        tls.allow_invalid_certificates = Some(true);
    }
    Ok(Some(tls))
}

/// Refuses settings that would say nothing without encryption.
fn no_tls(settings: &MongodbSettings) -> Result<(), OpenError> {
    for (setting, path) in [
        ("storage.mongodb.ssl_ca_certs", &settings.ssl_ca_certs),
        ("storage.mongodb.ssl_certfile", &settings.ssl_certfile),
        ("storage.mongodb.ssl_keyfile", &settings.ssl_keyfile),
    ] {
        if path.is_some() {
            return Err(OpenError::setting(setting, &"it is set, but storage.uri has no tls=true"));
        }
    }
    Ok(())
}

/// How the parts of a PEM file begin.
const CERTIFICATE: &str = "BEGIN CERTIFICATE-----";
const PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// The path of a file that has parts of these kinds; the library takes a file
/// without any and then trusts nobody.
fn pem(setting: &'static str, path: &str, kinds: &[&str]) -> Result<PathBuf, OpenError> {
    let wrong = |reason: &dyn std::fmt::Display| {
        OpenError::setting(setting, &format_args!("cannot use {path}: {reason}"))
    };
    let text = std::fs::read(path).map_err(|error| wrong(&error))?;
    let text = String::from_utf8_lossy(&text);
    for kind in kinds {
        if !text.contains(kind) {
            let kind = kind.trim_end_matches('-').trim_start_matches("BEGIN ").to_lowercase();
            return Err(wrong(&format_args!("it has no {kind} in PEM form")));
        }
    }
    if kinds.contains(&PRIVATE_KEY) && text.contains("ENCRYPTED") {
        return Err(wrong(&"the private key in it is encrypted, which nusku cannot read"));
    }
    Ok(path.into())
}

fn wrong(reason: &dyn std::fmt::Display) -> OpenError {
    OpenError::setting(URI, reason)
}

/// What the library says, without its preamble.
fn reason(error: &mongodb::error::Error) -> String {
    match error.kind.as_ref() {
        mongodb::error::ErrorKind::InvalidArgument { message, .. } => message.clone(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn settings() -> MongodbSettings {
        Settings::defaults().unwrap().storage.mongodb
    }

    fn refusal(uri: &str, settings: &MongodbSettings) -> String {
        let refused = Target::parse(uri, settings).err();
        refused.unwrap_or_else(|| panic!("{uri} is accepted")).to_string()
    }

    #[test]
    fn a_wrong_uri_is_refused_without_a_word_of_the_password() {
        for uri in [
            "mongodb:",
            "mongodb:/user:sesame@host",
            "mongodb://",
            "mongodb://user:sesame",
            "mongodb://user:sesame@",
            "mongodb://user:sesame@host:0",
            "mongodb://user:sesame@host:port",
            "mongodb://user:sesame@[::1",
            "mongodb://user:sesame@[::1]9",
            "mongodb://user:sesame@a,,b",
            "mongodb://user:ses:ame@host",
            "mongodb://user:open/sesame@host",
            "mongodb://user:open?sesame@host",
            "mongodb://user:open@sesame@host",
            "mongodb://user:open#sesame@host",
            "mongodb://user:sesame@host/a$b",
            "mongodb://user:sesame@host/?nonsense=1",
            "mongodb://user:sesame@host/?tls",
            "mongodb://user:sesame@host/?tls=perhaps",
            "mongodb://user:sesame@host/?loadBalanced=true",
            "mongodb://user:sesame@host/?authMechanism=GUESS",
            "mongodb+srv://user:sesame@a,b",
            "mongodb+srv://user:sesame@host:1",
        ] {
            let said = refusal(uri, &settings());
            assert!(said.starts_with("storage.uri: ") && !said.contains("sesame"), "{uri}: {said}");
        }
    }

    #[tokio::test]
    async fn what_must_not_be_chosen_is_decided() {
        let uri = "mongodb.fifo://user:sesame@a,b:1,[::1]:2/db?w=0&j=false&journal=false\
            &readPreference=nearest&readConcernLevel=available&retryWrites=false&replicaSet=rs&appName=x";
        let target = Target::parse(uri, &settings()).unwrap();
        assert_eq!(target.layout, Some(Layout::Fifo));
        assert_eq!(target.hosts, "a,b:1,[::1]:2");
        assert!(target.tls.is_none());
        let options = target.options().await.unwrap();
        assert_eq!(options.write_concern, Some(write_concern()));
        assert_eq!(options.repl_set_name.as_deref(), Some("rs"));
        assert_eq!(options.app_name.as_deref(), Some(APPLICATION));
        assert!(options.selection_criteria.is_none() && options.read_concern.is_none());
        assert_ne!(options.retry_writes, Some(false));
        assert_eq!(options.hosts.len(), 3);
    }

    #[tokio::test]
    async fn the_settings_hold_where_the_uri_says_nothing() {
        let settings = settings();
        let options = Target::parse("mongodb://host", &settings).unwrap().options().await.unwrap();
        assert_eq!(options.max_pool_size, Some(settings.max_pool_size));
        let uri = "mongodb://host/?maxPoolSize=7&connectTimeoutMS=5";
        let options = Target::parse(uri, &settings).unwrap().options().await.unwrap();
        assert_eq!(options.max_pool_size, Some(7));
        assert_eq!(options.connect_timeout, Some(Duration::from_millis(5)));
    }

    #[test]
    fn the_scheme_and_the_driver_must_agree() {
        use MongodbDriverName::{Auto, Fifo, Plain};
        let layout = |uri, driver| {
            let settings = MongodbSettings { driver, ..settings() };
            Target::parse(uri, &settings).map(|target| target.layout).map_err(|e| e.to_string())
        };
        assert_eq!(layout("mongodb://a", Auto), Ok(None));
        assert_eq!(layout("mongodb://a", Plain), Ok(Some(Layout::Plain)));
        assert_eq!(layout("mongodb+srv://a.b.c", Fifo), Ok(Some(Layout::Fifo)));
        assert_eq!(layout("mongodb.fifo://a", Auto), Ok(Some(Layout::Fifo)));
        assert!(layout("mongodb.fifo://a", Plain).unwrap_err().contains("storage.mongodb.driver"));
    }

    type Change<'a> = &'a dyn Fn(&mut MongodbSettings);

    #[test]
    fn certificates_are_looked_at_before_they_are_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name).to_str().unwrap().to_owned();
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let empty = file("empty", "");
        let certificate = file("ca", "-----BEGIN CERTIFICATE-----\n");
        let both = "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n";
        let both = file("both", both);
        let missing = Some("/nonexistent/ca.pem".to_owned());

        let tls = "mongodb://a/?tls=true";
        let cases: [(&str, &str, Change); 8] = [
            (tls, "ssl_ca_certs", &|s| s.ssl_ca_certs = missing.clone()),
            (tls, "ssl_ca_certs", &|s| s.ssl_ca_certs = empty.clone()),
            (tls, "ssl_certfile", &|s| s.ssl_certfile = certificate.clone()),
            (tls, "ssl_keyfile", &|s| s.ssl_keyfile = both.clone()),
            (tls, "ssl_keyfile", &|s| {
                (s.ssl_certfile, s.ssl_keyfile) = (certificate.clone(), both.clone());
            }),
            ("mongodb://a", "ssl_ca_certs", &|s| s.ssl_ca_certs = certificate.clone()),
            ("mongodb://a/?ssl=false", "ssl_certfile", &|s| s.ssl_certfile = both.clone()),
            ("mongodb://a", "ssl_keyfile", &|s| s.ssl_keyfile = both.clone()),
        ];
        for (uri, setting, change) in cases {
            let mut settings = settings();
            change(&mut settings);
            let said = refusal(uri, &settings);
            assert!(said.starts_with(&format!("storage.mongodb.{setting}: ")), "{said}");
        }
        let mut good = settings();
        good.ssl_ca_certs = certificate;
        (good.ssl_certfile, good.ssl_keyfile) = (both.clone(), both);
        let tls = Target::parse("mongodb://a/?ssl=true", &good).unwrap().tls.unwrap();
        assert!(tls.ca_file_path.is_some() && tls.cert_key_file_path.is_some());
        assert_eq!(tls.allow_invalid_certificates, None);
        good.ssl_cert_reqs = CertificateRule::None;
        let tls = Target::parse("mongodb://a/?ssl=true", &good).unwrap().tls.unwrap();
        assert_eq!(tls.allow_invalid_certificates, Some(true));
    }
}
