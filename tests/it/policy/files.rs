//! Policy files, as an operator meets them.

use std::fs;
use std::time::{Duration, Instant};

use crate::cli::program::{PATIENCE, Server, nusku, refusal, request, run, stdout, storage};

#[test]
fn the_rules_in_force_are_shown_as_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.yaml");
    fs::write(&path, "queues:create: role:writer\n").unwrap();
    let mut show = nusku(&["policy", "show"]);
    let shown = stdout(&show.env("NUSKU_POLICY__FILE", &path).output().unwrap(), 0);
    let lines = ["\"queues:create\": \"role:writer\"", "\"health:get\": \"role:admin\""];
    assert!(lines.iter().all(|line| shown.lines().any(|other| other == *line)), "{shown}");

    // What is shown is a file that says the same.
    fs::write(&path, &shown).unwrap();
    let again =
        stdout(&nusku(&["policy", "show"]).env("NUSKU_POLICY__FILE", &path).output().unwrap(), 0);
    let rules = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(rules(&again), rules(&shown));
    assert!(stdout(&run(&["policy", "show"]), 0).contains("\"queues:create\": \"\""));
}

#[test]
fn a_check_names_the_fault() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.yaml");
    let name = path.display().to_string();
    fs::write(&path, "queues:get: role:reader\n").unwrap();
    assert_eq!(stdout(&run(&["policy", "check", &name]), 0), "The policy is sound\n");
    fs::write(&path, "queues:gte: role:reader\n").unwrap();
    let text = stdout(&run(&["policy", "check", &name]), 0);
    assert!(text.contains("line 1, rule queues:gte: there is no action of that name"), "{text}");
    fs::write(&path, "# Ours.\nqueues:get: role:reader or\n").unwrap();
    let fault = "line 2, rule queues:get: it ends where a check should follow";
    assert!(refusal(&run(&["policy", "check", &name])).ends_with(fault));
    assert!(refusal(&run(&["policy", "check", "/nowhere"])).contains("cannot read the policy"));
}

#[test]
fn a_running_server_takes_changes_and_keeps_what_was_good() {
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("policy.d");
    fs::create_dir(&rules).unwrap();
    let uri = storage(&directory.path().join("data"));
    let start = || {
        let mut command = nusku(&["serve", "--port", "0", "--storage", &uri]);
        command.env("NUSKU_POLICY__DIRS", &rules);
        Server::try_spawn(&mut command)
    };
    let broken = rules.join("20.yaml");
    fs::write(&broken, "queues:get_all: nonsense").unwrap();
    let refused = start().err().expect("it does not start");
    assert!(refused.contains("20.yaml, line 1, rule queues:get_all:"), "{refused}");
    fs::remove_file(&broken).unwrap();

    let server = start().unwrap();
    let await_status = |status: u16| {
        let deadline = Instant::now() + PATIENCE;
        while request(server.address, "GET", "/v2/queues", "").unwrap().0 != status {
            assert!(Instant::now() < deadline, "never {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    await_status(200);
    fs::write(rules.join("10.yaml"), "queues:get_all: '!'").unwrap();
    await_status(403);
    fs::write(&broken, "queues:get_all: nonsense").unwrap();
    fs::write(rules.join("10.yaml"), "queues:get_all: '@'").unwrap();
    // Only when the fault is mended does the other change count too.
    fs::remove_file(&broken).unwrap();
    await_status(200);
    server.signal("TERM");
    let (code, log) = server.wait();
    assert_eq!(code, Some(0), "{log}");
}
