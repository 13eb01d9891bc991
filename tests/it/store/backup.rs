//! `nusku store backup`: a copy that is a store again.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use super::{Load, assert_sound, numbers, post, serve, stop, store};
use crate::cli::program::{refusal, request, stdout};

/// Backs the store in `dir` up; returns a directory with the copy as its store.
fn restored(dir: &Path) -> TempDir {
    let elsewhere = tempdir().unwrap();
    let copy = elsewhere.path().join("nusku.db");
    let text = stdout(&store(dir, &["backup", copy.to_str().unwrap()]), 0);
    assert_eq!(text, format!("The store is copied to {}\n", copy.display()));
    let files: Vec<_> = fs::read_dir(elsewhere.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "the copy is one file: {files:?}");
    elsewhere
}

#[test]
fn a_backup_under_load_has_all_that_was_acknowledged_before() {
    let data = tempdir().unwrap();
    let server = serve(data.path());
    let load = Load::new();
    let (before, copy) = load.around(server.address, 2000, || {
        let claims = "/v2/queues/q/claims?limit=10";
        assert_eq!(request(server.address, "POST", claims, r#"{"ttl": 43200}"#).unwrap().0, 201);
        let before = load.acknowledged();
        let copy = restored(data.path());
        load.wait_for(1);
        (before, copy)
    });
    assert_eq!(stop(server), "");

    assert_sound(copy.path());
    let server = serve(copy.path());
    let kept = numbers(server.address, 2000).unwrap();
    assert!(kept.is_superset(&before), "{:?} are not in the copy", before.difference(&kept));
    let (_, stats) = request(server.address, "GET", "/v2/queues/q/stats", "").unwrap();
    assert!(stats.contains("\"claimed\":10"), "{stats}");
    stop(server);
}

#[test]
fn a_claim_goes_on_in_the_copy() {
    let data = tempdir().unwrap();
    let server = serve(data.path());
    assert_eq!(post(server.address, &[1, 2, 3], 100).unwrap(), 201);
    let (status, text) =
        request(server.address, "POST", "/v2/queues/q/claims?limit=2", r#"{"ttl": 43200}"#)
            .unwrap();
    assert_eq!(status, 201);
    let claim: Value = serde_json::from_str(&text).unwrap();
    let href = claim["messages"][0]["href"].as_str().unwrap();
    let (_, id) = href.split_once("claim_id=").unwrap();

    let copy = restored(data.path());
    // What happens after the copy does not touch it.
    assert_eq!(request(server.address, "DELETE", href, "").unwrap().0, 204);
    stop(server);

    let server = serve(copy.path());
    let path = format!("/v2/queues/q/claims/{id}");
    let (status, text) = request(server.address, "GET", &path, "").unwrap();
    assert_eq!(status, 200, "{text}");
    let kept: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(kept["messages"].as_array().unwrap().len(), 2);
    let bare = href.split('?').next().unwrap();
    assert_eq!(request(server.address, "DELETE", bare, "").unwrap().0, 403, "still held");
    assert_eq!(request(server.address, "DELETE", href, "").unwrap().0, 204);
    // New messages come behind the old ones, under ids of their own.
    assert_eq!(post(server.address, &[4], 100).unwrap(), 201);
    assert_eq!(numbers(server.address, 100).unwrap().into_iter().collect::<Vec<_>>(), [2, 3, 4]);
    stop(server);
    assert_sound(copy.path());
}

#[test]
fn a_stopped_store_can_be_backed_up() {
    let data = tempdir().unwrap();
    let server = serve(data.path());
    assert_eq!(post(server.address, &[1, 2, 3], 5000).unwrap(), 201);
    stop(server);
    let copy = restored(data.path());
    let server = serve(copy.path());
    assert_eq!(numbers(server.address, 5000).unwrap().len(), 3);
}

#[test]
fn a_killed_server_leaves_a_store_that_can_be_backed_up() {
    let data = tempdir().unwrap();
    let server = serve(data.path());
    assert_eq!(post(server.address, &[1, 2, 3], 5000).unwrap(), 201);
    server.signal("KILL");
    assert_eq!(server.wait().0, None);
    let copy = restored(data.path());
    assert_sound(copy.path());
    let server = serve(copy.path());
    assert_eq!(numbers(server.address, 5000).unwrap().len(), 3);
}

#[test]
fn a_backup_replaces_nothing() {
    let data = tempdir().unwrap();
    stop(serve(data.path()));
    let target = data.path().join("copy.db");
    for taken in ["copy.db", "copy.db.partial"] {
        let path = data.path().join(taken);
        fs::write(&path, "precious").unwrap();
        let sentence = refusal(&store(data.path(), &["backup", target.to_str().unwrap()]));
        assert!(
            sentence.contains(&format!("cannot write the backup {}", path.display())),
            "{sentence}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        assert!(!target.exists());
    }
    let nowhere = data.path().join("no/such/place.db");
    let sentence = refusal(&store(data.path(), &["backup", nowhere.to_str().unwrap()]));
    assert!(sentence.contains("unable to open database"), "{sentence}");
}

/// A copy of a large store takes minutes, in which the log cannot be wound
/// back. That must not stop the posts.
#[test]
fn who_reads_for_long_does_not_hold_up_posts() {
    let data = tempdir().unwrap();
    let server = serve(data.path());
    assert_eq!(post(server.address, &[0], 100).unwrap(), 201);
    let reader =
        Connection::open_with_flags(data.path().join("nusku.db"), OpenFlags::SQLITE_OPEN_READ_ONLY)
            .unwrap();
    let snapshot = reader.unchecked_transaction().unwrap();
    let seen: u64 = snapshot.query_row("SELECT count(*) FROM body", [], |r| r.get(0)).unwrap();

    // More than 64 MiB of log, from when on the writer tries to wind it back.
    for n in 0..290 {
        assert_eq!(post(server.address, &[n], 250_000).unwrap(), 201);
    }
    let begun = Instant::now();
    for n in 1000..1012 {
        assert_eq!(post(server.address, &[n], 100).unwrap(), 201);
        // The checkpointer looks ten times a second.
        std::thread::sleep(Duration::from_millis(150));
    }
    // If each attempt waited for the reader, this took a minute.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let still: u64 = snapshot.query_row("SELECT count(*) FROM body", [], |r| r.get(0)).unwrap();
    assert_eq!(seen, still, "the reader saw one state all the time");
}
