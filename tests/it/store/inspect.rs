//! `nusku store inspect`, and stores that are refused.

use std::fs;

use rusqlite::Connection;
use tempfile::tempdir;

use super::{Load, assert_sound, post, serve, serving, stop, store};
use crate::cli::program::{refusal, request, stdout};

#[test]
fn tells_what_a_queue_holds_running_or_not() {
    let data = tempdir().unwrap();
    let server = serve(data.path());
    assert_eq!(post(server.address, &[1, 2, 3, 4, 5], 100).unwrap(), 201);
    let claims = "/v2/queues/q/claims?limit=2";
    assert_eq!(request(server.address, "POST", claims, "").unwrap().0, 201);
    let body = r#"{"_default_message_delay": 600}"#;
    assert_eq!(request(server.address, "PUT", "/v2/queues/late", body).unwrap().0, 201);
    let one = r#"{"messages": [{"body": "12345678"}]}"#;
    assert_eq!(request(server.address, "POST", "/v2/queues/late/messages", one).unwrap().0, 201);

    let expected = [
        ["0", "0", "1", "10", "cli", "/", "late"].as_slice(),
        &["3", "2", "0", "575", "cli", "/", "q"],
    ];
    let check = || {
        let text = stdout(&store(data.path(), &["inspect"]), 0);
        let lines: Vec<Vec<_>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(text.contains("\n2 queues\n"), "{text}");
        for row in expected {
            assert!(lines.iter().any(|line| line == row), "{row:?} in {text}");
        }
    };
    check();
    stop(server);
    check();
    assert_sound(data.path());
}

#[test]
fn looks_at_a_store_that_changes() {
    let data = tempdir().unwrap();
    let server = serve(data.path());
    let load = Load::new();
    load.around(server.address, 500, || {
        for _ in 0..3 {
            let text = stdout(&store(data.path(), &["inspect"]), 0);
            assert!(text.contains("\n1 queues\n"), "{text}");
            assert_sound(data.path());
        }
    });
    assert_eq!(stop(server), "");
}

#[test]
fn there_must_be_a_store() {
    let data = tempdir().unwrap();
    let missing = format!("{} holds no nusku store", data.path().display());
    let copy = data.path().join("copy").to_str().unwrap().to_owned();
    for arguments in [&["check"][..], &["inspect"], &["backup", &copy]] {
        assert_eq!(refusal(&store(data.path(), arguments)), missing);
        assert!(fs::read_dir(data.path()).unwrap().next().is_none(), "nothing was made");
    }
    let output = crate::cli::program::run(&["store", "check", "--storage", "discard:"]);
    assert!(refusal(&output).contains("only an embedded: store can be looked into"));
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let data = tempdir().unwrap();
    let file = data.path().join("nusku.db");
    let other = Connection::open(&file).unwrap();
    other.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (17)").unwrap();
    drop(other);
    let bytes = fs::read(&file).unwrap();

    let refused = "nusku.db in the data directory was not made by nusku";
    assert!(refusal(&serving(data.path()).output().unwrap()).ends_with(refused));
    for command in ["check", "inspect"] {
        assert_eq!(refusal(&store(data.path(), &[command])), refused);
    }
    assert_eq!(fs::read(&file).unwrap(), bytes, "not a byte was written");
}

#[test]
fn a_file_of_a_later_version_is_refused_and_left_alone() {
    let data = tempdir().unwrap();
    stop(serve(data.path()));
    let file = data.path().join("nusku.db");
    let later = Connection::open(&file).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    // A later version may have any tables.
    later.execute_batch("DROP TABLE expiry; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(later);
    let bytes = fs::read(&file).unwrap();

    let refused = "the store has layout 99, this nusku knows up to 6: use the newer nusku";
    assert!(refusal(&serving(data.path()).output().unwrap()).ends_with(refused));
    for command in ["check", "inspect"] {
        assert_eq!(refusal(&store(data.path(), &[command])), refused);
    }
    assert_eq!(fs::read(&file).unwrap(), bytes, "not a byte was written");
}
