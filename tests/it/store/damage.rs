//! A store whose file was damaged: what is told, what is refused, and that no
//! answer is ever a wrong one.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::{TempDir, tempdir};

use super::{MESSAGES, assert_sound, numbers, post, serve, serving, stop, store};
use crate::cli::program::{Server, refusal, request};

/// Bytes of a page of the file.
const PAGE: u64 = 8192;
/// Messages in the store that is damaged, and bytes of each body.
const MESSAGES_IN: u64 = 6000;
const BODY_BYTES: usize = 3500;

/// A store of a good 20 MiB, made once, never damaged itself.
static SOUND: LazyLock<TempDir> = LazyLock::new(|| {
    let data = tempdir().unwrap();
    let server = serve(data.path());
    let all: Vec<u64> = (0..MESSAGES_IN).collect();
    for some in all.chunks(60) {
        assert_eq!(post(server.address, some, BODY_BYTES).unwrap(), 201);
    }
    let claims = "/v2/queues/q/claims?limit=500";
    assert_eq!(request(server.address, "POST", claims, r#"{"ttl": 43200}"#).unwrap().0, 201);
    stop(server);
    assert_sound(data.path());
    assert!(file_of(data.path()).metadata().unwrap().len() > 20 << 20);
    data
});

fn file_of(dir: &Path) -> PathBuf {
    dir.join("nusku.db")
}

/// A copy of the sound store, to be damaged.
fn copy() -> TempDir {
    let data = tempdir().unwrap();
    fs::copy(file_of(SOUND.path()), file_of(data.path())).unwrap();
    data
}

/// A marker that lies before message `n` of the sound store, and behind the one
/// before it.
fn marker_before(n: u64) -> u64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let conn = rusqlite::Connection::open_with_flags(file_of(SOUND.path()), flags).unwrap();
    let first: u64 = conn.query_row("SELECT min(marker) FROM claimed", [], |r| r.get(0)).unwrap();
    first + n - 1
}

fn open(dir: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(file_of(dir)).unwrap()
}

fn overwrite(dir: &Path, at: u64, bytes: &[u8]) {
    let mut file = open(dir);
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

/// Numbers that look random and are the same in each run (splitmix64).
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn bytes(&mut self, count: u64) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// What `store check` says of a damaged store: one fault a line.
#[track_caller]
fn faults(dir: &Path) -> Vec<String> {
    let output = store(dir, &["check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    let expected = format!("nusku: {} is damaged:", file_of(dir).display());
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(&*expected), "{text}");
    let faults: Vec<_> = lines.map(|line| line.trim().to_owned()).collect();
    assert!(!faults.is_empty(), "{text}");
    faults
}

/// The sentence with which the server refuses to serve a damaged store.
#[track_caller]
fn refused(dir: &Path) -> String {
    let sentence = refusal(&serving(dir).output().unwrap());
    assert!(sentence.contains("the store is damaged ("), "{sentence}");
    assert!(sentence.contains("`nusku store check` tells more"), "{sentence}");
    sentence
}

/// Reads and writes all over a damaged store: what is answered with 200 is
/// right, anything else is 503, and the server lives. Returns how often it was
/// 503, and the log.
fn use_damaged(server: Server) -> (usize, String) {
    let address = server.address;
    let mut unavailable = 0;
    let mut expect = |status: u16, good: u16| {
        assert!(status == good || status == 503, "{status} instead of {good}");
        unavailable += usize::from(status == 503);
    };
    match numbers(address, BODY_BYTES) {
        Ok(numbers) => assert!(numbers.iter().all(|&n| n < MESSAGES_IN)),
        Err(status) => expect(status, 200),
    }
    for n in (0..MESSAGES_IN).step_by(97) {
        let marker = marker_before(n);
        let path = format!("{MESSAGES}?limit=50&marker={marker}&echo=true");
        expect(request(address, "GET", &path, "").unwrap().0, 200);
    }
    for (method, path, body, good) in [
        ("GET", "/v2/queues/q/stats", "", 200),
        ("POST", "/v2/queues/q/claims?limit=1000", "", 201),
        ("DELETE", "/v2/queues/q/messages?pop=1000", "", 200),
        ("GET", "/v2/queues?detailed=true", "", 200),
        ("PUT", "/v2/queues/another", "", 201),
        ("POST", "/v2/queues/q/purge", "", 204),
        ("DELETE", "/v2/queues/q", "", 204),
    ] {
        expect(request(address, method, path, body).unwrap().0, good);
    }
    expect(post(address, &[MESSAGES_IN + 1], BODY_BYTES).unwrap(), 201);
    assert_eq!(request(address, "GET", "/v2/ping", "").unwrap().0, 204, "it lives");
    (unavailable, stop(server))
}

#[test]
fn pages_overwritten_anywhere_are_found_and_never_served() {
    let mut seeded = Seeded(7);
    let pages = file_of(SOUND.path()).metadata().unwrap().len() / PAGE;
    let mut began = 0;
    for round in 0..12 {
        let data = copy();
        let count = 1 + seeded.below(8);
        let first = 1 + seeded.below(pages - count);
        let junk = if round % 3 == 0 {
            vec![0; usize::try_from(count * PAGE).unwrap()]
        } else {
            seeded.bytes(count * PAGE)
        };
        overwrite(data.path(), first * PAGE, &junk);
        faults(data.path());

        match Server::try_spawn(&mut serving(data.path())) {
            Ok(server) => {
                began += 1;
                let (_, log) = use_damaged(server);
                assert!(!log.contains("panic"), "{log}");
            }
            Err(log) => assert!(log.contains("the store is damaged ("), "{log}"),
        }
    }
    assert!(began > 0, "none of the damage was left to be met by requests");
}

#[test]
fn a_single_altered_byte_of_a_body_is_found_and_never_served() {
    let data = copy();
    let mut bytes = Vec::new();
    open(data.path()).read_to_end(&mut bytes).unwrap();
    let needle = b"needle-4711 needle-4711";
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    overwrite(data.path(), at as u64, b"N");
    assert_eq!(faults(data.path()), ["1 bodies are not what was written"]);

    let server = serve(data.path());
    let page = |behind: u64| {
        let behind = marker_before(behind);
        let path = format!("{MESSAGES}?limit=10&marker={behind}&echo=true");
        request(server.address, "GET", &path, "").unwrap()
    };
    let (status, text) = page(4705);
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("Messages could not be listed."), "{text}");
    assert_eq!(page(4690).0, 200);
    assert_eq!(page(4712).0, 200);
    let log = stop(server);
    assert!(log.contains("is not what was written"), "{log}");
}

#[test]
fn a_file_that_is_too_short_is_refused() {
    for lost in [1, PAGE, 5 << 20] {
        let data = copy();
        let whole = file_of(data.path()).metadata().unwrap().len();
        open(data.path()).set_len(whole - lost).unwrap();
        let expected = format!("the file has {} bytes, its header says {whole}", whole - lost);
        assert_eq!(faults(data.path()), [&*expected]);
        assert!(refused(data.path()).contains(&expected));
    }
}

#[test]
fn a_file_without_its_header_is_refused() {
    for junk in [vec![0; 100], vec![0; 16], b"SQLite format 4\0".to_vec()] {
        let data = copy();
        overwrite(data.path(), 0, &junk);
        assert_eq!(faults(data.path()), ["the file does not begin as a database"]);
        assert!(refused(data.path()).contains("the file does not begin as a database"));
        // Nothing of what is left was touched.
        assert_eq!(
            file_of(data.path()).metadata().unwrap().len(),
            file_of(SOUND.path()).metadata().unwrap().len()
        );
    }
}

#[test]
fn an_emptied_file_beside_its_log_is_refused() {
    let data = tempdir().unwrap();
    let server = serve(data.path());
    assert_eq!(post(server.address, &[1], 100).unwrap(), 201);
    server.signal("KILL");
    server.wait();
    open(data.path()).set_len(0).unwrap();
    let log = data.path().join("nusku.db-wal");
    let kept = fs::read(&log).unwrap();
    assert!(!kept.is_empty());
    assert_eq!(faults(data.path()), ["the file is empty, its log is not"]);
    assert!(refused(data.path()).contains("the file is empty, its log is not"));
    assert_eq!(fs::read(&log).unwrap(), kept, "it may be all that is left");
}

#[test]
fn a_table_that_is_gone_is_refused() {
    let data = copy();
    let conn = rusqlite::Connection::open(file_of(data.path())).unwrap();
    conn.execute_batch("DROP TABLE expiry").unwrap();
    drop(conn);
    let expected = "table or index expiry is missing or altered";
    assert_eq!(faults(data.path()), [expected]);
    assert!(refused(data.path()).contains(expected));
}

/// SQLite would take the messages for ones that never had a body.
#[test]
fn what_does_not_match_is_found() {
    const LAST_BUNDLE: &str = "first = (SELECT max(first) FROM bundle)";
    const LAST_RUN: &str = "marker = (SELECT max(marker) FROM ready)";
    let bundle = format!("FROM bundle WHERE {LAST_BUNDLE}");
    let run = format!("FROM ready WHERE {LAST_RUN}");
    for (damage, count, what) in [
        (
            format!("DELETE {bundle}"),
            format!("SELECT count {bundle}"),
            "messages in ready have no body",
        ),
        (format!("DELETE {run}"), format!("SELECT count {run}"), "bodies belong to no message"),
        (
            format!("DELETE FROM bundle_text WHERE {LAST_BUNDLE}"),
            format!("SELECT count {bundle}"),
            "bodies are not what was written",
        ),
        (
            "UPDATE sequence SET next = 5999".to_owned(),
            "SELECT 2".to_owned(),
            "messages have a number that will be given out again",
        ),
        (
            "UPDATE queue SET next = (SELECT max(marker + count) - 2 FROM ready)".to_owned(),
            "SELECT 2".to_owned(),
            "messages have a marker that will be given out again",
        ),
    ] {
        let data = copy();
        let conn = rusqlite::Connection::open(file_of(data.path())).unwrap();
        let count: u64 = conn.query_row(&count, [], |row| row.get(0)).unwrap();
        assert!(count > 1);
        conn.execute_batch(&damage).unwrap();
        drop(conn);
        assert_eq!(faults(data.path()), [format!("{count} {what}")], "{damage}");
    }
}

#[test]
fn a_damaged_small_store_is_refused_at_start() {
    let data = tempdir().unwrap();
    let server = serve(data.path());
    for n in 0..20 {
        assert_eq!(post(server.address, &[n], 50_000).unwrap(), 201);
    }
    stop(server);
    let pages = file_of(data.path()).metadata().unwrap().len() / PAGE;
    assert!(pages * PAGE < 8 << 20);
    let mut seeded = Seeded(3);
    let junk = seeded.bytes(PAGE);
    // A page of the structure, not of a text: the root of a table.
    overwrite(data.path(), 3 * PAGE, &junk);
    assert!(!faults(data.path()).is_empty());
    refused(data.path());
}

/// The look at the start reads a few pages, however large the store is.
#[test]
fn a_large_store_starts_without_being_read_whole() {
    let data = copy();
    // Damage in the middle of the largest table is not found at the start.
    let pages = file_of(data.path()).metadata().unwrap().len() / PAGE;
    overwrite(data.path(), pages / 2 * PAGE, &[0; 8192]);
    let begun = Instant::now();
    let server = serve(data.path());
    assert!(begun.elapsed() < Duration::from_secs(20));
    let (unavailable, log) = use_damaged(server);
    assert!(unavailable > 0, "{log}");
    assert!(log.contains("malformed"), "{log}");
}
