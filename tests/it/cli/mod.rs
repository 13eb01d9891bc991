//! The command line and the life of the program, as an operator sees them.

pub mod program;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use program::{Server, answer, connect, head, nusku, refusal, request, run, stdout, storage};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

const MESSAGES: &str = "/v2/queues/q/messages";
const ONE_MESSAGE: &str = r#"{"messages": [{"body": "hello"}]}"#;

fn total(address: SocketAddr) -> u64 {
    let (status, body) = request(address, "GET", "/v2/queues/q/stats", "").unwrap();
    assert_eq!(status, 200, "{body}");
    let counts: Value = serde_json::from_str(&body).unwrap();
    counts["messages"]["total"].as_u64().unwrap()
}

/// Words of a command line, as a shell would split them.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in line.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words
}

/// A post that the server has begun to answer and that waits for its body.
fn half_a_post(address: SocketAddr) -> TcpStream {
    let mut stream = connect(address).unwrap();
    let head = head("POST", MESSAGES, ONE_MESSAGE.len());
    write!(stream, "{head}Expect: 100-continue\r\n\r\n").unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[test]
fn tells_its_version() {
    let text = stdout(&run(&["--version"]), 0);
    assert_eq!(text.trim_end(), format!("nusku {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [&["--nonsense"][..], &["config"], &["serve", "--port", "70000"], &["fly"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn refuses_to_start_with_one_sentence() {
    let directory = tempdir().unwrap();
    let uri = storage(directory.path());
    for (arguments, expected) in [
        (vec!["--config", "/nowhere/nusku.toml"], "cannot read the settings file"),
        (vec!["--storage", "redis://me:pass@host"], "no driver for a storage.uri of redis:,"),
        (vec!["--storage", "discard:x"], "expected embedded:DIRECTORY, mongodb://HOSTS or"),
        (vec!["--storage", "nowhere"], "storage.uri is \"nowhere\" (from flag --storage)"),
        (vec!["--log-level", "nusku=loud"], "log.level is \"nusku=loud\" (from flag --log-level)"),
        (vec!["--bind", "203.0.113.7", "--storage", &uri], "cannot listen on 203.0.113.7:8888"),
    ] {
        let sentence = refusal(&run(&arguments));
        assert!(sentence.contains(expected), "{arguments:?}: {sentence}");
        assert!(!sentence.contains("pass"), "{sentence}");
    }
    let output = nusku(&["serve"]).env("NUSKU_TRANSPORT__MAX_MESAGE_TTL", "60").output().unwrap();
    let sentence = refusal(&output);
    assert!(sentence.contains("no setting transport.max_mesage_ttl"), "{sentence}");
    assert!(sentence.contains("NUSKU_TRANSPORT__MAX_MESAGE_TTL"), "{sentence}");
}

#[test]
fn shows_the_settings_in_force_and_takes_them_back() {
    let directory = tempdir().unwrap();
    let file = directory.path().join("nusku.toml");
    std::fs::write(&file, "[http]\nport = 1001\nworkers = 3\n[gc]\ninterval = 7\n").unwrap();
    let shown = stdout(
        &nusku(&["config", "show", "--port", "1003", "--admin-mode", "--log-format", "json"])
            .env("NUSKU_CONFIG", &file)
            .env("NUSKU_HTTP__PORT", "1002")
            .env("NUSKU_GC__INTERVAL", "8")
            .env("NUSKU_SIGNED_URL__SECRET_KEY", "open-sesame")
            .output()
            .unwrap(),
        0,
    );
    for line in ["port = 1003", "workers = 3", "interval = 8", "admin_mode = true"] {
        assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
    }
    assert!(shown.contains("format = \"json\""), "{shown}");
    assert!(!shown.contains("open-sesame"), "{shown}");

    std::fs::write(&file, &shown).unwrap();
    let path = file.to_str().unwrap();
    assert_eq!(
        stdout(&run(&["config", "show", "--config", path]), 0),
        shown.replace("# secret_key is set; --reveal-secrets shows it\n", "")
    );
    let revealed = nusku(&["config", "show", "--reveal-secrets"])
        .env("NUSKU_SIGNED_URL__SECRET_KEY", "open-sesame")
        .output()
        .unwrap();
    assert!(stdout(&revealed, 0).contains("secret_key = \"open-sesame\""));
}

#[test]
fn a_password_is_shown_only_on_request() {
    let uri = "mongodb://me:open-sesame@127.0.0.1:1/?tls=true";
    let mut all = vec!["config", "show", "--storage", uri];
    let shown = stdout(&run(&all), 0);
    assert!(shown.contains("uri = \"mongodb://me:***@127.0.0.1:1/?tls=true\""), "{shown}");
    all.push("--reveal-secrets");
    assert!(stdout(&run(&all), 0).contains(&format!("uri = \"{uri}\"")));

    let looked = refusal(&run(&["store", "inspect", "--storage", uri]));
    assert!(looked.contains("me:***@") && !looked.contains("sesame"), "{looked}");
    // It starts although nobody is there, and says where it will find them.
    let server =
        Server::spawn(&mut nusku(&["--port", "0", "--storage", &uri.replace("tls", "ssl")]));
    assert!(server.greeting[1].contains("mongodb://me:***@127.0.0.1:1/"), "{:?}", server.greeting);
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.contains("out of reach") && !log.contains("sesame"), "{log}");
}

#[test]
fn both_spellings_of_admin_mode_are_the_same() {
    for flag in ["--admin_mode", "--admin-mode"] {
        assert!(stdout(&run(&["config", "show", flag]), 0).contains("admin_mode = true"));
    }
}

#[test]
fn greets_with_an_address_a_place_and_a_command_that_works() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &[]);
    assert_ne!(server.address.port(), 0, "the real port");
    let place = data.path().canonicalize().unwrap();
    assert!(server.greeting[1].ends_with(place.to_str().unwrap()), "{:?}", server.greeting);

    // The command, word for word, sent without curl.
    let command = server.greeting[2].strip_prefix("Try: curl -i ").unwrap();
    let words = words(command);
    let path = words[0].strip_prefix(&format!("http://{}", server.address)).unwrap();
    let (mut headers, mut body) = (String::new(), String::new());
    for pair in words[1..].chunks(2) {
        match pair {
            [flag, header] if flag == "-H" => headers = format!("{headers}{header}\r\n"),
            [flag, data] if flag == "-d" => body += data,
            other => panic!("curl is told {other:?}"),
        }
    }
    let mut stream = connect(server.address).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: nusku\r\nConnection: close\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    assert_eq!(answer(&mut stream).unwrap().0, 201);
}

#[test]
fn serves_without_being_told_to() {
    let data = tempdir().unwrap();
    let uri = storage(data.path());
    let server = Server::spawn(&mut nusku(&["--port", "0", "--storage", &uri]));
    assert_eq!(request(server.address, "GET", "/v2/ping", "").unwrap().0, 204);
}

#[test]
fn warns_that_a_discarding_store_keeps_nothing() {
    let server = Server::spawn(&mut nusku(&["--port", "0", "--storage", "discard:"]));
    assert!(server.greeting[1].contains("NOT KEPT"), "{:?}", server.greeting);
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0));
    assert!(log.contains("WARN") && log.contains("NOTHING IS KEPT"), "{log}");
}

#[test]
fn a_data_directory_has_one_server() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &[]);
    let sentence = refusal(&run(&["--port", "0", "--storage", &storage(data.path())]));
    assert!(sentence.contains("in use by another nusku process"), "{sentence}");
    // And the first one is none the worse for it.
    assert_eq!(request(server.address, "POST", MESSAGES, ONE_MESSAGE).unwrap().0, 201);
}

#[test]
fn a_port_in_use_is_told_and_makes_no_store() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = tempdir().unwrap();
    let store = data.path().join("store");
    let sentence = refusal(&run(&["--port", &port, "--storage", &storage(&store)]));
    assert!(sentence.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{sentence}");
    assert!(!store.exists());
}

#[test]
fn a_store_is_looked_after_beside_its_server() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &[]);
    for _ in 0..3 {
        assert_eq!(request(server.address, "POST", MESSAGES, ONE_MESSAGE).unwrap().0, 201);
    }
    let uri = storage(data.path());
    assert!(stdout(&run(&["store", "check", "--storage", &uri]), 0).contains("is sound"));
    let seen = stdout(&run(&["store", "inspect", "--storage", &uri]), 0);
    let line = seen.lines().find(|line| line.ends_with("cli / q")).expect("a line per queue");
    assert_eq!(line.split_whitespace().next(), Some("3"), "three are ready: {seen}");

    let copy = tempdir().unwrap();
    let file = copy.path().join("nusku.db");
    let path = file.to_str().unwrap();
    stdout(&run(&["store", "backup", path, "--storage", &uri]), 0);
    assert_eq!(run(&["store", "backup", path, "--storage", &uri]).status.code(), Some(1));
    let second = Server::start(&copy, &[]);
    assert_eq!(total(second.address), 3, "a backup is a store again");
}

#[test]
fn a_damaged_or_missing_store_is_told() {
    let data = tempdir().unwrap();
    let uri = storage(data.path());
    for command in [&["store", "check"][..], &["store", "inspect"], &["store", "backup", "copy"]] {
        let arguments = [command, &["--storage", &uri]].concat();
        assert!(refusal(&run(&arguments)).contains("holds no nusku store"), "{command:?}");
    }
    std::fs::write(data.path().join("nusku.db"), "not a database, and longer than a header")
        .unwrap();
    assert!(refusal(&run(&["--storage", &uri])).contains("damaged"));
    let check = run(&["store", "check", "--storage", &uri]);
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    assert!(String::from_utf8(check.stderr).unwrap().contains("is damaged:\n"));
    assert!(refusal(&run(&["store", "check", "--storage", "discard:"])).contains("embedded"));
}

#[test]
fn ping_tells_a_server_from_none() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &[]);
    let url = format!("http://{}", server.address);
    stdout(&run(&["ping", &url]), 0);
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    assert!(refusal(&run(&["ping", &url])).contains("does not answer"));
    assert!(refusal(&run(&["ping", "ftp://127.0.0.1"])).contains("http://HOST:PORT"));
}

#[test]
fn ping_knows_an_encrypted_server_by_its_certificate() {
    let data = tempdir().unwrap();
    let path = |name: &str| data.path().join(name).display().to_string();
    let write = |name: &str| {
        // For another name than the one by which the server is asked.
        let made = rcgen::generate_simple_self_signed(vec!["queues.example".to_owned()]).unwrap();
        std::fs::write(path(&format!("{name}.pem")), made.cert.pem()).unwrap();
        std::fs::write(path(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    };
    write("server");
    write("other");
    let settings = |port: u16| {
        format!(
            "[http]\nport = {port}\nbind = \"127.0.0.1\"\n[http.tls]\ncertificate = {:?}\nkey = {:?}\n",
            path("server.pem"),
            path("server.key")
        )
    };
    let config = path("nusku.toml");
    std::fs::write(&config, settings(0)).unwrap();
    let server = Server::start(&data, &["--config", &config]);
    let url = format!("https://{}", server.address);

    std::fs::write(&config, settings(server.address.port())).unwrap();
    stdout(&run(&["ping", "--config", &config]), 0);
    stdout(&run(&["ping", &url, "--certificate", &path("server.pem")]), 0);
    let stranger = refusal(&run(&["ping", &url, "--certificate", &path("other.pem")]));
    assert!(stranger.contains("another certificate"), "{stranger}");
    assert!(refusal(&run(&["ping", &url])).contains("does not answer"), "nobody vouches for it");
    let missing = refusal(&run(&["ping", &url, "--certificate", &path("none.pem")]));
    assert!(missing.contains("none.pem"), "{missing}");
    let plain = refusal(&run(&["ping", &format!("http://{}", server.address)]));
    assert!(plain.contains("does not answer"), "{plain}");
    let both = run(&["ping", &url, "--config", &config]);
    assert_eq!(both.status.code(), Some(2), "a usage error");
}

#[test]
fn ping_believes_only_a_204() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", other.local_addr().unwrap());
    for (reply, expected) in [
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "answers 503"),
        ("SSH-2.0-x 204\r\n", "is not HTTP"),
    ] {
        let other = other.try_clone().unwrap();
        let served = std::thread::spawn(move || {
            let (stream, _) = other.accept().unwrap();
            let mut reader = BufReader::new(&stream);
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                reader.read_line(&mut line).unwrap();
            }
            (&stream).write_all(reply.as_bytes()).unwrap();
        });
        let sentence = refusal(&run(&["ping", &url]));
        served.join().unwrap();
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
fn sigterm_under_load_loses_nothing_that_was_acknowledged() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &["--log-level", "warn"]);
    let (address, stop) = (server.address, AtomicBool::new(false));
    let mut late = half_a_post(address);

    let acknowledged: u64 = std::thread::scope(|scope| {
        let load: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut acknowledged = 0;
                    while !stop.load(Ordering::Relaxed) {
                        match request(address, "POST", MESSAGES, ONE_MESSAGE) {
                            Ok((status, body)) => assert_eq!(status, 201, "{body}"),
                            // Nobody listens any more.
                            Err(_) => break,
                        }
                        acknowledged += 1;
                    }
                    acknowledged
                })
            })
            .collect();
        while total(address) < 20 {}
        server.signal("TERM");
        server.wait_until_closed();
        stop.store(true, Ordering::Relaxed);

        // In flight since before the signal: still answered, and kept.
        late.write_all(ONE_MESSAGE.as_bytes()).unwrap();
        let (status, body) = answer(&mut late).unwrap();
        assert_eq!(status, 201, "{body}");
        1 + load.into_iter().map(|load| load.join().unwrap()).sum::<u64>()
    });
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");

    let server = Server::start(&data, &[]);
    let kept = total(server.address);
    // A post whose answer met a closed connection may have been kept as well.
    assert!((acknowledged..=acknowledged + 4).contains(&kept), "{acknowledged}, kept {kept}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let data = tempdir().unwrap();
    let server = Server::start(&data, &[]);
    let _in_flight = half_a_post(server.address);
    server.signal("INT");
    server.wait_until_closed();
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("stopped at once"), "{log}");
}

#[test]
fn what_is_in_flight_is_waited_for_no_longer_than_the_setting_says() {
    let data = tempdir().unwrap();
    let uri = storage(data.path());
    let mut command = nusku(&["--port", "0", "--storage", &uri]);
    let server = Server::spawn(command.env("NUSKU_HTTP__SHUTDOWN_TIMEOUT", "1"));
    let mut in_flight = half_a_post(server.address);
    server.signal("TERM");
    assert_eq!(server.wait().0, Some(0));
    assert!(answer(&mut in_flight).is_err(), "cut off");
}

/// Serves one post with these log settings; returns the log.
fn log_of_a_post(data: &TempDir, arguments: &[&str]) -> String {
    let server = Server::start(data, arguments);
    assert_eq!(request(server.address, "POST", MESSAGES, ONE_MESSAGE).unwrap().0, 201);
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
    log
}

#[test]
fn a_request_has_a_log_line_for_machines() {
    let data = tempdir().unwrap();
    let log = log_of_a_post(&data, &["--log-format", "json"]);
    let lines: Vec<BTreeMap<String, Value>> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let requests: Vec<_> = lines.iter().filter(|line| line.contains_key("request.id")).collect();
    assert_eq!(requests.len(), 1, "{log}");
    let line = requests[0];
    assert!(line["request.id"].as_str().unwrap().starts_with("req-"), "{line:?}");
    assert_eq!(line["project.id"], "cli");
    assert_eq!(line["http.method"], "POST");
    assert_eq!(line["http.route"], "/v2/queues/{queue}/messages");
    assert_eq!(line["http.status"], 201);
    assert!(line["duration.us"].is_u64(), "{line:?}");
    assert_eq!(line["level"], "INFO");
}

#[test]
fn a_request_has_a_log_line_for_people() {
    let data = tempdir().unwrap();
    let log = log_of_a_post(&data, &["--log-format", "text"]);
    let lines: Vec<_> = log.lines().filter(|line| line.contains("request.id")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    for part in ["request.id=\"req-", "project.id=\"cli\"", "http.status=201", "duration.us="] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
    assert!(lines[0].contains("http.route=\"/v2/queues/{queue}/messages\""), "{}", lines[0]);
    assert!(!log.contains('\u{1b}'), "no colours into a file");
}

#[test]
fn log_lines_of_requests_can_be_switched_off() {
    let data = tempdir().unwrap();
    let log = log_of_a_post(&data, &["--log-level", "warn"]);
    assert_eq!(log, "", "nothing to warn about");
    let uri = storage(data.path());
    let mut command = nusku(&["--port", "0", "--storage", &uri]);
    let server = Server::spawn(command.env("NUSKU_LOG__REQUESTS", "false"));
    assert_eq!(request(server.address, "GET", "/v2/ping", "").unwrap().0, 204);
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.contains("stopping") && !log.contains("request.id"), "{log}");
}
