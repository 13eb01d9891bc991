//! What is fuzzed, and what must hold for any input whatever.
//!
//! Used twice: by the fuzzer, a program per target in `fuzz_targets/`, and by
//! the tests, which try some thousand mutations of `seeds/` at every run.

use std::net::IpAddr;
use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use nusku::channels::fuzzing as channels;
use nusku::clock::Clock;
use nusku::config::Settings;
use nusku::config::import::import_texts;
use nusku::model::{
    ClaimId, ClientId, Identity, Marker, MessageId, ProjectId, QueueName, TextFault, Timestamp,
};
use nusku::service::policy::{Policy, RuleFile, Target as Object, read as read_policy};
use nusku::service::{Service, SignedUrl, fuzzing as service, iso8601};
use nusku::storage::Storage;
use nusku::storage::discard::DiscardDriver;
use nusku::storage::mongodb::fuzzing as mongodb;
use nusku::token_file::{TokenFile, read_moment, write_moment};
use nusku::transport::auth::signed_url;
use nusku::transport::http::fuzzing;
use nusku::transport::websocket::fuzzing as websocket;
use serde_json::Value;
use serde_json::value::RawValue;

/// A target: it panics if its input breaks something.
pub type Target = fn(&[u8]);

/// All targets; the names are those of the programs and of the seeds.
pub const TARGETS: [(&str, Target); 19] = [
    ("post", post),
    ("query", query),
    ("patch", patch),
    ("share", share),
    ("expires", expires),
    ("text_fault", text_fault),
    ("names", names),
    ("bson", bson),
    ("document", document),
    ("bearer", bearer),
    ("token_file", token_file),
    ("policy", policy),
    ("signed_url", signed_url),
    ("zaqar_conf", zaqar_conf),
    ("pickle", pickle),
    ("sealed", sealed),
    ("subscriber", subscriber),
    ("options", options),
    ("frame", frame),
];

/// A post that is accepted is one that a JSON parser reads the same way.
pub fn post(input: &[u8]) {
    let request = Bytes::copy_from_slice(input);
    let Ok(drafts) = fuzzing::post(&request) else { return };
    let bodies: Vec<_> = drafts.iter().map(|draft| draft.body.as_ref()).collect();
    for body in bodies.iter().flatten() {
        let text = body.as_bytes();
        assert!(request.as_ptr_range().contains(&text.as_ptr()), "a copy");
        serde_json::from_slice::<&RawValue>(text).expect("a body is JSON");
    }
    // Numbers beyond a float and deep nesting are no Value.
    let Ok(document) = serde_json::from_slice::<Value>(input) else { return };
    let messages = document["messages"].as_array().expect("a list of messages");
    assert_eq!(messages.len(), drafts.len());
    for (message, body) in messages.iter().zip(bodies) {
        let read = body.map(|body| serde_json::from_slice(body.as_bytes()).expect("as above"));
        assert_eq!(message.get("body").cloned(), read);
    }
}

/// Every way to read a query comes to an end, and what a link says is what its
/// reader gets.
pub fn query(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for name in ["limit", "ids", "echo", ""] {
        let read = fuzzing::parameter(&text, name);
        assert_eq!(read.list.is_some_and(|list| !list.is_empty()), read.text.is_some());
    }
    let _ = fuzzing::conditions(&text);
    if !text.is_empty() {
        let link = fuzzing::link("marker", &text);
        let read = fuzzing::parameter(link.trim_start_matches('?'), "marker");
        assert_eq!(read.text.as_deref(), Some(&*text), "{link}");
    }
}

/// An accepted patch has one change per operation.
pub fn patch(input: &[u8]) {
    if let Ok(changes) = fuzzing::patch(&Bytes::copy_from_slice(input)) {
        let operations: Vec<Value> = serde_json::from_slice(input).expect("a list");
        assert_eq!(operations.len(), changes.len());
    }
}

/// An accepted share has nothing that was not in the request.
pub fn share(input: &[u8]) {
    if let Ok(share) = fuzzing::share(&Bytes::copy_from_slice(input)) {
        let fields: Value = serde_json::from_slice(input).expect("an object");
        let given = |name: &str| fields[name].as_array().map_or(0, Vec::len);
        assert_eq!(share.methods.len(), given("methods"));
        if let Some(end) = share.expires {
            expires(end.as_bytes());
        }
    }
}

/// A moment that was read prints as one that reads the same.
pub fn expires(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(moment) = iso8601::parse(text) {
        let printed = moment.format("%Y-%m-%dT%H:%M:%S").to_string();
        assert_eq!(iso8601::parse(&printed), Some(moment), "{text} is {printed}");
    }
}

/// What the quick look over a text finds is what is found the slow way.
pub fn text_fault(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return;
    }
    let found = TextFault::find(text);
    match serde_json::from_str::<Value>(text) {
        Ok(document) => {
            let (large, nul) = (has_large_integer(&document), has_nul_in_key(&document));
            assert!(found.is_err() || !(large || nul), "{text}");
            assert_ne!(found, Err(TextFault::LoneSurrogate), "{text}");
            assert_ne!(found, Err(TextFault::TooDeep), "{text}");
            assert!(found != Err(TextFault::NulInKey) || nul, "{text}");
        }
        // Without a fault, only these are more than a Value can take.
        Err(error) if found.is_ok() => {
            let error = error.to_string();
            let known = ["number out of range", "recursion limit exceeded"];
            assert!(known.iter().any(|known| error.starts_with(known)), "{error}: {text}");
        }
        Err(_) => {}
    }
}

fn has_large_integer(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_u64() && !number.is_i64(),
        Value::Array(items) => items.iter().any(has_large_integer),
        Value::Object(fields) => fields.values().any(has_large_integer),
        _ => false,
    }
}

fn has_nul_in_key(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(has_nul_in_key),
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| key.contains('\0') || has_nul_in_key(value))
        }
        _ => false,
    }
}

/// Ids, markers and names that are read print as what they are.
pub fn names(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(id) = MessageId::parse(text) {
        assert_eq!(id.to_string(), text.to_ascii_lowercase());
        let (seconds, number) = id.parts();
        assert_eq!(MessageId::from_parts(seconds, number), id);
    }
    if let Some(id) = ClaimId::parse(text) {
        assert_eq!(ClaimId::parse(&id.to_string()), Some(id));
    }
    if let Ok(client) = ClientId::parse_uuid(text) {
        assert_eq!(ClientId::parse_any(text), client);
        let ClientId::Uuid(uuid) = client else { panic!("{text} is a UUID and a name") };
        assert_eq!(ClientId::parse_uuid(&uuid.to_string()), Ok(ClientId::Uuid(uuid)));
    }
    if let Some(Marker::Position(position)) = Marker::parse(text) {
        assert_eq!(Marker::parse(&position.to_string()), Some(Marker::Position(position)));
    }
    if let Some(name) = QueueName::parse(text) {
        assert_eq!(name.as_str(), text);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        assert!((1..=64).contains(&text.len()) && text.bytes().all(allowed), "{text}");
    }
}

/// What is stored as BSON reads back as the same value.
pub fn bson(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let stored = mongodb::stored(text);
    let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
    if !is_json || TextFault::find(text).is_err() {
        return;
    }
    let read = match stored {
        Ok(read) => read,
        Err(error) => {
            assert!(error.starts_with("it is nested"), "{error}: {text}");
            return;
        }
    };
    assert_eq!(mongodb::stored(&read).as_ref(), Ok(&read), "{text}");
    // Numbers beyond a float and deep nesting are no Value.
    let Ok(given) = serde_json::from_str::<Value>(text) else { return };
    let read = serde_json::from_str::<Value>(&read).expect("as good as what was given");
    assert!(is_same(&given, &read), "{given} is {read}");
}

/// To Python, and so in a store that Python reads, -0 is an integer.
fn is_same(given: &Value, read: &Value) -> bool {
    match (given, read) {
        (Value::Array(given), Value::Array(read)) => {
            given.len() == read.len() && given.iter().zip(read).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(given), Value::Object(read)) => {
            let is_kept = |(name, value)| read.get(name).is_some_and(|read| is_same(value, read));
            given.keys().eq(read.keys()) && given.iter().all(is_kept)
        }
        (Value::Number(given), Value::Number(read)) if given.as_f64() == Some(0.0) => {
            read.as_f64() == Some(0.0)
        }
        _ => given == read,
    }
}

/// Whatever is in a database reads as something that can be shown, or not.
pub fn document(input: &[u8]) {
    if let Ok(message) = mongodb::message(input) {
        let body = std::str::from_utf8(message.body.as_bytes()).expect("a body is text");
        assert!(!body.is_empty());
    }
    if let Ok(metadata) = mongodb::metadata(input) {
        assert!(metadata.to_text().starts_with('{'));
    }
}

/// What is taken for a token stands in the header, as one word.
pub fn bearer(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Some(token) = fuzzing::bearer(text) {
        assert!(text.trim_end_matches(' ').ends_with(token), "{text}");
        assert_eq!(token.trim_matches(' '), token, "{text}");
        let written = format!("Bearer {token}");
        assert_eq!(fuzzing::bearer(&written), Some(token), "{text}");
    }
}

/// A good file has what it says, once; a bad one is refused on one line.
pub fn token_file(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let file = match TokenFile::parse(text) {
        Ok(file) => file,
        Err(reason) => return assert!(!reason.contains('\n'), "{reason}"),
    };
    for (index, entry) in file.entries().iter().enumerate() {
        assert!(file.entries()[..index].iter().all(|other| other.id != entry.id), "{text}");
        if let Some(moment) = entry.expires {
            assert_eq!(read_moment(&write_moment(moment)), Some(moment), "{text}");
        }
    }
}

/// A policy that is read can be asked, and read back from what it prints.
pub fn policy(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(rules) = read_policy(&text) else { return };
    let compile = |rules| {
        let file = RuleFile { path: "input".to_owned(), rules };
        Policy::new(&[("queues:get", "")], &[file], "default")
    };
    let Ok(policy) = compile(rules) else { return };
    let caller = Identity { roles: vec!["admin".to_owned()], ..Identity::default() };
    let target = Object { project_id: Some("acme"), queue_name: Some("jobs"), topic_name: None };
    let printed = policy.to_string();
    let again = compile(read_policy(&printed).expect("a policy file")).expect("rules");
    assert_eq!(policy.allows(0, &caller, &target), again.allows(0, &caller, &target));
}

/// Whatever is shown as a permission, nobody gets in but with the one signature
/// that was made, and only where it leads.
pub fn signed_url(input: &[u8]) {
    const SIGNED: &str = "d28a3609e3abde0907804b2f02c687a256f4c19495f62e2d05c3e40d34ca77a6";
    const QUEUE: &str = "/v2/queues/invoices";
    static SERVICE: LazyLock<Service> = LazyLock::new(|| {
        let mut settings = Settings::defaults().expect("defaults");
        settings.signed_url.secret_key = Some("blue-lantern".to_owned());
        let driver = DiscardDriver::new();
        let storage = Storage { control: driver.clone(), data: driver };
        Service::new(storage, Clock::manual(Timestamp::from_seconds(1_900_000_000)), &settings)
    });
    let text = String::from_utf8_lossy(input);
    let mut lines = text.lines().map(str::to_owned);
    let mut line = || lines.next().unwrap_or_default();
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    let (project, method, path) = (line(), line(), line());
    let (paths, methods) = (list(&line()), list(&line()));
    let url = SignedUrl { paths, methods, expires: line(), signature: line() };
    let project = ProjectId::new(&project);
    if signed_url::allows(&SERVICE, &project, &url, &method, &path) {
        assert!(url.signature.eq_ignore_ascii_case(SIGNED) && project.as_str() == "proj-blue");
        assert!(["GET", "POST"].contains(&method.as_str()));
        let below = ["messages", "claims"].map(|it| format!("{QUEUE}/{it}"));
        assert!(below.iter().any(|allowed| {
            let rest = path.strip_prefix(allowed.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }));
    }
}

/// Whatever a configuration of Zaqar says, the result can be printed, and it
/// loads if nothing stands in the way.
pub fn zaqar_conf(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let texts = [("zaqar.conf".to_owned(), text.into_owned())];
    let Ok(import) = import_texts(&texts, Path::new("/nowhere")) else { return };
    let toml = import.to_toml(true);
    if import.hindrances() == 0 {
        Settings::parse("the result", &toml).expect("settings");
    }
    let _ = (import.to_toml(false), import.report());
}

/// What Zaqar encrypted is JSON, however odd, or is refused; a string of its own
/// is never taken for a program.
pub fn pickle(input: &[u8]) {
    let Some(body) = service::zaqar_body(input) else { return };
    serde_json::from_slice::<&RawValue>(body.as_bytes()).expect("a body is JSON");
    if let Ok(text) = std::str::from_utf8(input) {
        let same: String = serde_json::from_slice(body.as_bytes()).expect("a string");
        assert_eq!(same, text);
    }
}

/// Nothing but what was sealed opens, and then it is JSON.
pub fn sealed(input: &[u8]) {
    let Some(body) = service::open(input) else { return };
    serde_json::from_slice::<&RawValue>(body.as_bytes()).expect("a body is JSON");
}

/// Whoever is called has one name or address, and none that only this machine can
/// reach; whoever is written to has a mailbox on one line.
pub fn subscriber(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some((host, is_refused)) = channels::webhook(&text) {
        assert!(!host.is_empty() && !host.contains(['@', '/', ' ', '\r', '\n']), "{text}: {host}");
        let is_here = ["127.", "10.", "169.254.", "192.168.", "[::1]", "[::ffff:7f"]
            .iter()
            .any(|start| host.starts_with(start))
            && host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        assert!(is_refused || !is_here, "{text}: {host}");
    }
    if let Some((mailboxes, _)) = channels::recipients(&text) {
        assert!((1..=10).contains(&mailboxes.len()), "{text}");
        for mailbox in mailboxes {
            assert!(mailbox.contains('@') && !mailbox.contains(char::is_control), "{text}");
        }
    }
}

/// What a subscription has to say about its requests breaks none of them.
pub fn options(input: &[u8]) {
    const DOCUMENT: &str = "{\"ttl\": 60}";
    let Ok(Value::Object(options)) = serde_json::from_slice(input) else { return };
    if let Some(body) = channels::body(&options, DOCUMENT) {
        let template = options.get("post_data").and_then(Value::as_str).unwrap_or_default();
        assert!(template.is_empty() == (body == DOCUMENT) || body.contains(DOCUMENT), "{body}");
    }
    if let Some(names) = options.get("post_headers").and_then(channels::headers) {
        for name in names {
            let is_framing = ["host", "content-length", "transfer-encoding", "connection"];
            assert!(!is_framing.contains(&name.as_str()), "{name}");
        }
    }
}

/// Whatever comes on a WebSocket is told in a reply that is JSON, without what is
/// secret in it; and what can be said in MessagePack means the same in both.
pub fn frame(input: &[u8]) {
    for is_binary in [false, true] {
        let reply = websocket::told(input, is_binary);
        let text = std::str::from_utf8(&reply).expect("a reply is text");
        serde_json::from_str::<&RawValue>(text).expect("a reply is JSON");
        if let Ok(reply) = serde_json::from_str::<Value>(text) {
            let headers = reply["request"]["headers"].as_object().expect("an object");
            assert!(headers.keys().all(|name| !name.eq_ignore_ascii_case("x-auth-token")));
        }
    }
    if let Some(text) = websocket::unpacked(input) {
        let Ok(value) = serde_json::from_slice::<Value>(&text) else { return };
        let packed = websocket::packed(&text).expect("it was MessagePack");
        let again = websocket::unpacked(&packed).expect("MessagePack");
        assert_eq!(serde_json::from_slice::<Value>(&again).ok(), Some(value));
    }
}
