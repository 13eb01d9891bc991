//! Rules about the sources that no compiler checks.
//!
//! Each rule is a function from text to faults, tried on a made-up violation
//! below, so that a rule that finds nothing is known to be able to.

use std::fs;
use std::path::{Path, PathBuf};

/// Who may not name whom. The first that is a prefix of the path holds, so an
/// exception stands before its rule.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "src/model/",
        &["crate::storage", "crate::service", "crate::transport", "actix_web", "rusqlite"],
    ),
    (
        "src/storage/embedded/",
        &["crate::service", "crate::transport", "actix_web", "storage::discard"],
    ),
    (
        "src/storage/",
        &["crate::service", "crate::transport", "actix_web", "EmbeddedDriver", "rusqlite"],
    ),
    (
        "src/service/",
        &[
            "crate::transport",
            "actix_web",
            "rusqlite",
            "mongodb",
            "EmbeddedDriver",
            "DiscardDriver",
        ],
    ),
    ("src/transport/", &["rusqlite", "mongodb", "EmbeddedDriver", "DiscardDriver", "embedded::"]),
    ("src/tasks/", &["crate::service", "crate::transport", "actix_web", "rusqlite", "embedded::"]),
    ("src/config/", &["crate::service", "crate::storage", "crate::transport", "actix_web"]),
    ("src/bench/", &["crate::service", "crate::storage", "crate::transport", "actix_web"]),
    ("src/cli/", &["crate::transport", "crate::service", "EmbeddedDriver", "DiscardDriver"]),
    ("src/token_file/", &["crate::storage", "crate::service", "crate::transport", "actix_web"]),
    ("src/http_client/", &["crate::"]),
    ("src/channels/", &["crate::storage", "crate::transport", "actix_web", "rusqlite", "mongodb"]),
    ("src/keystone/", &["crate::storage", "crate::service", "crate::transport", "actix_web"]),
    ("src/clock.rs", &["crate::storage", "crate::service", "crate::transport"]),
];

/// The only places that know how a server is put together.
const MAY_NAME_BOOTSTRAP: &[&str] = &["src/cli/", "src/lib.rs", "src/bootstrap.rs"];

/// What an unfinished place is marked with.
const UNFINISHED: &[&str] = &["todo!(", "unimplemented!(", "TODO", "FIXME"];

const LINES_MAX: usize = 500;

/// The code without its comments: a comment may mention anybody.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let without_comment = |line: &str| line.trim_start().starts_with("//");
    text.lines().enumerate().filter(move |(_, line)| !without_comment(line))
}

fn layering(path: &str, text: &str) -> Vec<String> {
    let rule = LAYERS.iter().find(|(prefix, _)| path.starts_with(prefix));
    let mut forbidden: Vec<&str> = rule.map_or(Vec::new(), |(_, names)| names.to_vec());
    if !MAY_NAME_BOOTSTRAP.iter().any(|prefix| path.starts_with(prefix)) {
        forbidden.push("crate::bootstrap");
    }
    let mut faults = Vec::new();
    for (number, line) in code(text) {
        for name in forbidden.iter().filter(|name| line.contains(**name)) {
            faults.push(format!("{path}:{}: names {name}", number + 1));
        }
    }
    faults
}

fn module_doc(path: &str, text: &str) -> Vec<String> {
    let has_one = text.starts_with("//!");
    if has_one { Vec::new() } else { vec![format!("{path}: does not begin with //!")] }
}

fn length(path: &str, text: &str) -> Vec<String> {
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
    if lines <= LINES_MAX {
        return Vec::new();
    }
    vec![format!("{path}: {lines} lines before its tests, more than {LINES_MAX}")]
}

fn unfinished(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for mark in UNFINISHED.iter().filter(|mark| line.contains(**mark)) {
            faults.push(format!("{path}:{}: {mark}", number + 1));
        }
    }
    faults
}

/// Every option, set or commented out, has a comment right above it, and every
/// section too.
fn undocumented_options(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut above = "";
    for line in text.lines() {
        let setting = line.strip_prefix("# ").unwrap_or(line);
        let is_option = setting
            .split_once(" = ")
            .is_some_and(|(name, _)| name.chars().all(|it| it.is_ascii_lowercase() || it == '_'));
        if (is_option || line.starts_with('[')) && !above.starts_with("# ") {
            faults.push(format!("{line:?} has no comment above it"));
        }
        above = line;
    }
    faults
}

/// Whether a word in backticks means a place in this repository.
fn is_path(word: &str) -> bool {
    const TOP: &[&str] = &["src/", "tests/", "etc/", "tools/", "api-ref/", "benches/", ".ci/"];
    let is_top_level = TOP.iter().any(|top| word.starts_with(top));
    let is_file = !word.contains(['/', ' ', ':'])
        && [".md", ".toml"].iter().any(|extension| word.ends_with(extension));
    let is_pattern = word.contains(['<', '*', '{', ' ']);
    (is_top_level || is_file) && !is_pattern
}

/// Paths in backticks that `exists` does not know; none at all is a fault too.
fn missing_paths(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let paths: Vec<_> = text.split('`').skip(1).step_by(2).filter(|word| is_path(word)).collect();
    if paths.is_empty() {
        return vec!["it names no path at all".to_owned()];
    }
    let missing = paths.into_iter().filter(|path| !exists(path));
    missing.map(|path| format!("{path} does not exist")).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust files of a folder, as paths from the root.
fn rust_files(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                files.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    assert!(!files.is_empty());
    files
}

#[track_caller]
fn assert_sources_pass(folder: &str, rule: impl Fn(&str, &str) -> Vec<String>) {
    let files = rust_files(folder);
    let faults: Vec<_> = files.iter().flat_map(|path| rule(path, &read(path))).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_layer_names_one_above_it() {
    assert_sources_pass("src", layering);
}

#[test]
fn every_file_says_what_it_is_for() {
    assert_sources_pass("src", module_doc);
    assert_sources_pass("tests", module_doc);
}

#[test]
fn no_file_is_too_long() {
    assert_sources_pass("src", length);
    assert_sources_pass("tests", length);
}

#[test]
fn nothing_is_left_unfinished() {
    assert_sources_pass("src", unfinished);
}

#[test]
fn every_option_is_documented() {
    assert_eq!(undocumented_options(&read("etc/nusku.toml")), [""; 0]);
}

#[test]
fn the_architecture_names_what_is_there() {
    let exists = |path: &str| root().join(path).exists();
    assert_eq!(missing_paths(&read("ARCHITECTURE.md"), exists), [""; 0]);
}

#[test]
fn a_layer_that_points_back_is_found() {
    let violations = [
        ("src/model/queue.rs", "use rusqlite::ToSql;"),
        ("src/storage/mod.rs", "    use crate::service::Service;"),
        ("src/storage/mod.rs", "use crate::storage::embedded::EmbeddedDriver;"),
        ("src/storage/embedded/queues.rs", "fn f() { actix_web::main() }"),
        ("src/service/messages.rs", "use crate::transport::http;"),
        ("src/service/messages.rs", "let store: &EmbeddedDriver = any();"),
        ("src/transport/http/mod.rs", "use crate::storage::embedded::FILE_NAME;"),
        ("src/tasks/gc.rs", "use crate::bootstrap::start;"),
        ("src/cli/serve.rs", "use crate::transport::http;"),
    ];
    for (path, line) in violations {
        let text = format!("//! A file.\n\n{line}\n");
        assert!(layering(path, &text)[0].starts_with(&format!("{path}:3: names")), "{line}");
    }
    assert_eq!(layering("src/model/a.rs", "//! As [`crate::storage`] says.\n"), [""; 0]);
    assert_eq!(layering("src/bootstrap.rs", "use crate::transport::http;\n"), [""; 0]);
}

#[test]
fn a_file_without_a_purpose_is_found() {
    assert_eq!(module_doc("src/a.rs", "use std::fmt;\n//! Late.\n").len(), 1);
    assert_eq!(module_doc("src/a.rs", "//! In time.\n").len(), 0);
}

#[test]
fn a_file_that_is_too_long_is_found() {
    assert_eq!(length("src/a.rs", &"line\n".repeat(501)).len(), 1);
    let mostly_tests = "line\n".repeat(500) + "#[cfg(test)]\n" + &"line\n".repeat(500);
    assert_eq!(length("src/a.rs", &mostly_tests).len(), 0);
}

#[test]
fn an_unfinished_place_is_found() {
    for line in ["    todo!()", "unimplemented!(\"later\")", "// TODO: more", "/* FIXME */"] {
        assert_eq!(unfinished("src/a.rs", &format!("\n{line}\n")).len(), 1, "{line}");
    }
}

#[test]
fn an_undocumented_option_is_found() {
    let text =
        "# Good.\n[a]\n\n# Good.\nx = 1\ny = 2\n\n[b]\n\n# secret = \"\"\n\n# Good.\n# z = 1\n";
    let faults = undocumented_options(text);
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].contains("y = 2") && faults[1].contains("[b]"));
    assert!(faults[2].contains("secret"));
}

#[test]
fn a_path_that_is_gone_is_found() {
    let text = "See `src/a.rs`, `src/gone.rs`, `tests/<name>/`, `Type` and `README.md`.";
    let exists = |path: &str| path != "src/gone.rs";
    assert_eq!(missing_paths(text, exists), ["src/gone.rs does not exist"]);
    assert_eq!(missing_paths("Nothing in `Backticks`.", exists).len(), 1);
}
