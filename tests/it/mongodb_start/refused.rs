//! What a start ends at, in one sentence that names a setting.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use mongodb::Client;
use mongodb::bson::{Document, doc, serialize_to_vec};
use mongodb::options::ClientOptions;

use super::{Place, open, refusal, settings};
use crate::cli::program;
use crate::support::mongod::Mongod;

#[test]
fn a_wrong_uri_ends_the_program_with_one_sentence() {
    for (uri, expected) in [
        ("mongodb:", "storage.uri: it must begin with mongodb://"),
        ("mongodb://", "storage.uri: after the user name and the password it must have hosts"),
        ("mongodb://me:sesame@127.0.0.1:x", "storage.uri: after the user name"),
        ("mongodb://me:open/sesame@127.0.0.1", "storage.uri: password must be URL encoded"),
        ("mongodb://me:sesame@127.0.0.1/?tsl=true", "storage.uri: tsl is an invalid option"),
        ("mongodb://127.0.0.1/?w=majority&loadBalanced=true", "storage.uri: loadBalanced=true"),
    ] {
        let sentence = program::refusal(&program::run(&["--port", "0", "--storage", uri]));
        assert!(sentence.starts_with(expected), "{uri}: {sentence}");
        assert!(!sentence.contains("sesame"), "{sentence}");
    }
}

#[test]
fn a_setting_out_of_its_range_ends_the_program() {
    for (variable, value, expected) in [
        ("DRIVER", "sql", "storage.mongodb.driver is \"sql\""),
        ("DATABASE", "a.b", "storage.mongodb.database is \"a.b\""),
        ("DATABASE", &"x".repeat(41), "expected 1 to 40 bytes"),
        ("MANAGEMENT_DATABASE", "", "storage.mongodb.management_database is \"\""),
        ("PARTITIONS", "0", "storage.mongodb.partitions is 0"),
        ("MAX_ATTEMPTS", "0", "storage.mongodb.max_attempts is 0"),
        ("MAX_RETRY_SLEEP", "NaN", "storage.mongodb.max_retry_sleep is NaN"),
        ("MAX_RETRY_JITTER", "-0.1", "storage.mongodb.max_retry_jitter is -0.1"),
        ("RECONNECT_SLEEP", "inf", "expected a number from 0.001 to 60"),
        ("RECONNECT_SLEEP", "soon", "expected a number"),
        ("MAX_RECONNECT_ATTEMPTS", "101", "storage.mongodb.max_reconnect_attempts is 101"),
        ("MAX_WAIT", "0", "storage.mongodb.max_wait is 0"),
        ("MAX_POOL_SIZE", "0", "storage.mongodb.max_pool_size is 0"),
        ("THREADS", "65", "storage.mongodb.threads is 65"),
        ("SSL_CA_CERTS", "", "storage.mongodb.ssl_ca_certs is \"\""),
        ("SSL_CERT_REQS", "MAYBE", "expected CERT_REQUIRED or CERT_OPTIONAL or CERT_NONE"),
        ("HOLD_BACK", "3601", "storage.mongodb.hold_back is 3601"),
    ] {
        let mut command = program::nusku(&["config", "show"]);
        let output = command.env(format!("NUSKU_STORAGE__MONGODB__{variable}"), value).output();
        let sentence = program::refusal(&output.unwrap());
        assert!(sentence.contains(expected), "{variable}={value}: {sentence}");
    }
}

#[tokio::test]
async fn whoever_may_not_in_is_told_so() {
    let mongod = Mongod::start_with(&["--auth"]);
    let host = format!("127.0.0.1:{}", mongod.port());
    let admin = Client::with_uri_str(format!("mongodb://{host}/")).await.unwrap().database("admin");
    let user = |name: &str, role: &str| {
        doc! { "createUser": name, "pwd": "sesame", "roles": [role] }
    };
    // Nobody is there yet, so anybody may make the first user.
    admin.run_command(user("root", "root")).await.unwrap();
    let uri = |user: &str| format!("mongodb://{user}@{host}/");
    let mut options = ClientOptions::parse(uri("root:sesame")).await.unwrap();
    options.direct_connection = Some(true);
    let admin = Client::with_options(options).unwrap().database("admin");
    admin.run_command(user("worker", "readWriteAnyDatabase")).await.unwrap();
    admin.run_command(user("reader", "readAnyDatabase")).await.unwrap();
    let settings = settings("guarded");

    let said = refusal(&uri("worker:open"), &settings).await;
    assert!(said.starts_with("storage.uri: MongoDB does not accept the user name"), "{said}");
    let said = refusal(&format!("mongodb://{host}/"), &settings).await;
    assert!(said.starts_with("storage.uri: the user has not the rights"), "{said}");
    assert!(said.contains("requires authentication"), "{said}");
    let said = refusal(&uri("reader:sesame"), &settings).await;
    assert!(said.starts_with("storage.uri: the user has not the rights"), "{said}");

    open(&uri("worker:sesame"), &settings).await.unwrap();
    // With all the indexes there, a write is what a reader fails at.
    let said = refusal(&uri("reader:sesame"), &settings).await;
    assert!(said.contains("not authorized on guarded_"), "{said}");
    assert!(!said.contains("sesame"), "{said}");
}

#[tokio::test]
async fn a_server_of_another_set_is_refused() {
    let place = Place::new().await;
    let uri = place.uri().replace("replicaSet=rs", "replicaSet=other");
    let said = refusal(&uri, &place.settings()).await;
    assert!(said.starts_with("storage.uri: ") && said.contains("replicaSet"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    let old = doc! { "isWritablePrimary": true, "minWireVersion": 0, "maxWireVersion": 6 };
    let said = refusal(&pretend(old), &settings("any")).await;
    assert!(said.starts_with("storage.uri: ") && said.contains("4.4"), "{said}");
}

#[tokio::test]
async fn a_sharded_cluster_is_refused() {
    let router = doc! { "isWritablePrimary": true, "maxWireVersion": 17, "msg": "isdbgrid" };
    let said = refusal(&pretend(router), &settings("any")).await;
    assert!(said.starts_with("storage.uri: ") && said.contains("is a mongos"), "{said}");
}

#[tokio::test]
async fn something_else_than_mongodb_is_refused() {
    let uri = serve(|mut client| {
        let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let said = refusal(&uri, &settings("any")).await;
    assert!(said.starts_with("storage.uri: ") && said.contains("is no MongoDB"), "{said}");
}

/// A server that answers whatever is asked like this; its URI.
fn pretend(mut hello: Document) -> String {
    hello.extend(doc! { "ok": 1, "helloOk": true, "maxBsonObjectSize": 16_777_216,
    "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000 });
    serve(move |mut client| while answer(&mut client, &hello).is_ok() {})
}

/// Runs `talk` with every client, on a port that is free.
fn serve(talk: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("mongodb://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let talk = talk.clone();
            std::thread::spawn(move || talk(client.unwrap()));
        }
    });
    uri
}

/// Answers one request in the way it was made: of today (`OP_MSG`) or of old,
/// as is the first word to an unknown server.
fn answer(client: &mut TcpStream, reply: &Document) -> std::io::Result<()> {
    const OP_REPLY: i32 = 1;
    const OP_MSG: i32 = 2013;
    let number = |bytes: &[u8]| i32::from_le_bytes(bytes.try_into().unwrap());
    let mut head = [0; 16];
    client.read_exact(&mut head)?;
    let mut request = vec![0; usize::try_from(number(&head[..4])).unwrap() - head.len()];
    client.read_exact(&mut request)?;
    let document = serialize_to_vec(reply).unwrap();
    let (code, before) = match number(&head[12..]) {
        OP_MSG => (OP_MSG, vec![0; 5]),
        // Flags, a cursor, a position; then how many documents there are.
        _ => (OP_REPLY, [&[0; 16][..], &1_i32.to_le_bytes()].concat()),
    };
    let length = i32::try_from(16 + before.len() + document.len()).unwrap();
    let mut answer = Vec::new();
    for word in [length, 1, number(&head[4..8]), code] {
        answer.extend(word.to_le_bytes());
    }
    answer.extend(before);
    answer.extend(document);
    client.write_all(&answer)
}
