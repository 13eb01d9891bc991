//! Tokens of our own, from the command that makes them to the request.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::{TempDir, tempdir};

use crate::cli::program::{PATIENCE, Server, nusku, refusal, run, stdout, storage};
use crate::support::{CLIENT, Request};

/// A file of tokens and a server that goes by it.
struct House {
    directory: TempDir,
    file: String,
}

impl House {
    fn new() -> Self {
        let directory = tempdir().unwrap();
        let file = directory.path().join("tokens.toml").display().to_string();
        Self { directory, file }
    }

    /// Makes a token.
    fn create(&self, arguments: &[&str]) -> String {
        let mut all = vec!["token", "create", "--file", &self.file];
        all.extend(arguments);
        let token = stdout(&run(&all), 0);
        assert_eq!(token.lines().count(), 1, "{token}");
        token.trim_end().to_owned()
    }

    fn list(&self) -> String {
        stdout(&run(&["token", "list", "--file", &self.file]), 0)
    }

    fn command(&self) -> std::process::Command {
        let storage = storage(&self.directory.path().join("data"));
        let mut command = nusku(&["serve", "--port", "0", "--admin-mode", "--storage", &storage]);
        command.env("NUSKU_AUTH__STRATEGY", "tokens").env("NUSKU_AUTH__TOKENS__FILE", &self.file);
        command
    }

    fn serve(&self) -> Server {
        Server::spawn(&mut self.command())
    }
}

fn get(server: &Server, path: &str, token: &str) -> Request {
    Request::new(server.address, "GET", path)
        .header("Client-ID", CLIENT)
        .header("X-Auth-Token", token)
}

/// Asks until the answer has this status.
#[track_caller]
fn wait_for(server: &Server, token: &str, status: u16) {
    let deadline = Instant::now() + PATIENCE;
    while get(server, "/v2/queues", token).expect_any().status != status {
        assert!(Instant::now() < deadline, "never answered with {status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_token_says_who_is_calling() {
    let house = House::new();
    let ann = house.create(&["--project", "acme", "--user", "ann", "--role", "member"]);
    let boss = house.create(&["--project", "acme", "--role", "x", "--role", "admin"]);
    let other = house.create(&["--project", "globex", "--expires", "90"]);
    let server = house.serve();
    assert!(server.greeting[2].contains("X-Auth-Token: TOKEN"), "{:?}", server.greeting);
    get(&server, "/v2/queues", &ann).expect(200);
    get(&server, "/v2/queues", "")
        .without("X-Auth-Token")
        .header("Authorization", &format!("Bearer {ann}"))
        .expect(200);
    Request::new(server.address, "PUT", "/v2/queues/q")
        .header("Client-ID", CLIENT)
        .header("X-Auth-Token", &ann)
        .header("X-Project-ID", "globex")
        .body("{}")
        .expect(201);
    let queues = |token: &str| {
        let listing = get(&server, "/v2/queues", token).expect(200).json();
        listing["queues"].as_array().unwrap().len()
    };
    assert_eq!((queues(&boss), queues(&other)), (1, 0));
    get(&server, "/v2/health", &ann).header("X-Roles", "admin").expect(403);
    get(&server, "/v2/health", &boss).expect(200);
    for wrong in ["", "nsk_", "nsk_AAAA", &ann.to_uppercase(), &format!("{ann}x")] {
        let answer = super::unauthorized(get(&server, "/nowhere", wrong));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"nusku\""));
    }
    Request::new(server.address, "GET", "/").expect(300);
}

#[test]
fn changes_of_the_file_take_effect_while_the_server_runs() {
    let house = House::new();
    let first = house.create(&["--project", "acme"]);
    let server = house.serve();
    get(&server, "/v2/queues", &first).expect(200);

    let second = house.create(&["--project", "acme"]);
    wait_for(&server, &second, 200);
    let listing = house.list();
    let id = listing.lines().nth(1).unwrap().split(' ').next().unwrap();
    let revoked = stdout(&run(&["token", "revoke", id, "--file", &house.file]), 0);
    assert!(revoked.contains(id), "{revoked}");
    wait_for(&server, &first, 401);

    // Gone, made anew, and edited back.
    let good = fs::read_to_string(&house.file).unwrap();
    fs::remove_file(&house.file).unwrap();
    let third = house.create(&["--project", "acme"]);
    wait_for(&server, &third, 200);
    get(&server, "/v2/queues", &second).expect(401);
    fs::write(&house.file, good).unwrap();
    wait_for(&server, &second, 200);
    server.signal("TERM");
    let (_, log) = server.wait();
    assert!(log.contains("the token file was read again"), "{log}");
    for token in [first, second, third] {
        assert!(!log.contains(&token));
    }
}

#[test]
fn a_server_without_its_file_does_not_start() {
    let house = House::new();
    let refused = |house: &House| refusal(&house.command().output().unwrap());
    let sentence = refused(&house);
    assert!(sentence.contains(&house.file) && sentence.contains("No such file"), "{sentence}");
    fs::write(&house.file, "[[token]]\nid = \"a\"\n").unwrap();
    let sentence = refused(&house);
    assert!(sentence.contains("line 1: missing field `hash`"), "{sentence}");
    assert!(!Path::new(&house.directory.path().join("data")).exists(), "no store was made");
}

#[test]
fn ping_can_show_a_token() {
    let house = House::new();
    let file = house.directory.path().join("ping").display().to_string();
    fs::write(&file, house.create(&["--project", "ping"]) + "\n").unwrap();
    let server = house.serve();
    let url = format!("http://{}", server.address);
    let without = stdout(&run(&["ping", &url]), 0);
    assert!(without.contains("with a token") && !without.contains("store answer"), "{without}");
    let with = stdout(&run(&["ping", &url, "--token-file", &file]), 0);
    assert!(with.contains("store answer"), "{with}");
    for (text, expected) in [("nsk_wrong", "answers 401"), ("", "no token"), ("a\r\nb", "no token")]
    {
        fs::write(&file, text).unwrap();
        let sentence = refusal(&run(&["ping", &url, "--token-file", &file]));
        assert!(sentence.contains(expected), "{sentence}");
    }
}

#[test]
fn tokens_are_listed_without_what_they_are() {
    let house = House::new();
    let token = house.create(&[
        "--project",
        "acme",
        "--user",
        "ann",
        "--role",
        "a",
        "--role",
        "b",
        "--expires",
        "2100-01-01",
    ]);
    let listing = house.list();
    let line = listing.lines().nth(1).unwrap();
    assert!(line.ends_with("2100-01-01T00:00:00Z  acme / ann / a,b"), "{line}");
    assert!(!listing.contains(&token) && !listing.contains("sha256"), "{listing}");
    // The settings can name the file.
    let listed = nusku(&["token", "list"]).env("NUSKU_AUTH__TOKENS__FILE", &house.file).output();
    assert_eq!(stdout(&listed.unwrap(), 0), listing);
}

#[test]
fn wrong_commands_change_nothing() {
    let house = House::new();
    for (arguments, expected) in [
        (&["create", "--project", "acme", "--expires", "yesterday"][..], "--expires is"),
        (&["create", "--project", "acme", "--expires", "2020-01-01"], "a date ahead"),
        (&["create", "--project", ""], "project has not 1 to 256 characters"),
        (&["create", "--project", "a\nb"], "a control character"),
        (&["create", "--project", "acme", "--role", ""], "the user or a role is empty"),
        (&["revoke", "nobody"], "it does not exist"),
        (&["list"], "No such file"),
    ] {
        let mut all = vec!["token"];
        all.extend(arguments);
        all.extend(["--file", &house.file]);
        let sentence = refusal(&run(&all));
        assert!(sentence.contains(expected), "{arguments:?}: {sentence}");
    }
    assert!(!Path::new(&house.file).exists());
    let sentence = refusal(&run(&["token", "list"]));
    assert!(sentence.contains("auth.tokens.file"), "{sentence}");
}
