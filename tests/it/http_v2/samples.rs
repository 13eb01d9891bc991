//! The API reference cannot drift: its samples are played against the server,
//! in the order of their names, and its pages show them as they are.
//!
//! With `UPDATE_API_REF=1` in the environment the pages are rewritten instead
//! of compared.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::TestApp;

/// A sample: what is asked and what is answered.
struct Sample {
    name: String,
    /// How long after the one before it is asked.
    seconds_later: i64,
    request: Value,
    response: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("api-ref")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths
}

/// The samples in a folder, in the order of their names.
fn samples(folder: &Path) -> Vec<Sample> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let sample: Value = serde_json::from_str(&text).unwrap();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        Sample {
            name: stem.split_once('-').unwrap().1.to_owned(),
            seconds_later: sample.get("seconds_later").map_or(0, |s| s.as_i64().unwrap()),
            request: sample["request"].clone(),
            response: sample["response"].clone(),
        }
    };
    files(folder, "json").into_iter().map(read).collect()
}

#[test]
fn samples_are_what_happens() {
    let app = TestApp::with(|settings| {
        settings.admin_mode = true;
        settings.signed_url.secret_key = Some("s3cr3t".into());
    });
    play(&app, &samples(&folder().join("samples")), Ids::default());
}

#[test]
fn samples_of_pools_are_what_happens() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path().to_str().unwrap();
    let app = TestApp::whole(|settings| {
        settings.admin_mode = true;
        settings.pooling.enabled = true;
        settings.storage.uri = format!("embedded:{place}/own");
    });
    let mut ids = Ids::default();
    ids.0.insert("/var/lib/nusku".to_owned(), place.to_owned());
    play(&app, &samples(&folder().join("samples/pools")), ids);
}

fn play(app: &TestApp, samples: &[Sample], mut ids: Ids) {
    for sample in samples {
        app.advance(sample.seconds_later);
        let text = |name: &str| sample.request[name].as_str().unwrap();
        let mut request = app.request(text("method"), &ids.real(text("path")));
        if let Some(body) = sample.request.get("body") {
            let body = ids.real(&body.to_string());
            request = request.header("Content-Type", "application/json").body(body);
        }
        for (name, value) in
            sample.request.get("headers").and_then(Value::as_object).into_iter().flatten()
        {
            request = request.header(name, value.as_str().unwrap());
        }
        let status = u16::try_from(sample.response["status"].as_u64().unwrap()).unwrap();
        let answer = request.expect(status);
        let headers = sample.response.get("headers").and_then(Value::as_object);
        for (name, value) in headers.into_iter().flatten() {
            let found = answer.header(&name.to_lowercase()).unwrap_or_default();
            ids.compare(&sample.name, value, &found.into());
        }
        match sample.response.get("body") {
            Some(body) => ids.compare(&sample.name, body, &answer.json()),
            None => assert_eq!(answer.text(), "", "{}", sample.name),
        }
    }
}

/// The ids and places in the samples, and what they are on this server.
#[derive(Default)]
struct Ids(HashMap<String, String>);

impl Ids {
    /// The text with the ids that this server gave out.
    fn real(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (sample, real)| text.replace(sample, real))
    }

    /// Everything must be equal but ids, of which new ones are learnt, and
    /// how many seconds something took.
    fn compare(&mut self, name: &str, sample: &Value, found: &Value) {
        match (sample, found) {
            (Value::Object(sample), Value::Object(found)) => {
                let keys = |map: &serde_json::Map<String, Value>| {
                    map.keys().cloned().collect::<std::collections::BTreeSet<_>>()
                };
                assert_eq!(keys(sample), keys(found), "{name}");
                sample.iter().for_each(|(key, value)| self.compare(name, value, &found[key]));
            }
            (Value::Array(sample), Value::Array(found)) => {
                assert_eq!(sample.len(), found.len(), "{name}");
                sample.iter().zip(found).for_each(|(s, f)| self.compare(name, s, f));
            }
            (Value::String(sample), Value::String(found)) => {
                self.learn(sample, found);
                assert_eq!(&self.real(sample), found, "{name}");
            }
            (Value::Number(sample), Value::Number(found)) if sample.is_f64() => {
                assert!(found.is_f64(), "{name}: {found}");
            }
            _ => assert_eq!(sample, found, "{name}"),
        }
    }

    fn learn(&mut self, sample: &str, found: &str) {
        for (sample, found) in ids_in(sample).zip(ids_in(found)) {
            self.0.entry(sample.to_owned()).or_insert_with(|| found.to_owned());
        }
    }
}

fn ids_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.len() == 24 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[test]
fn pages_show_the_samples() {
    let folders = ["samples", "samples/pools"].map(|name| samples(&folder().join(name)));
    let samples: HashMap<_, _> =
        folders.into_iter().flatten().map(|sample| (sample.name.clone(), sample)).collect();
    let mut unseen: Vec<_> = samples.keys().map(String::as_str).collect();
    for page in files(&folder(), "md") {
        let text = std::fs::read_to_string(&page).unwrap();
        let (shown, names) = with_samples(&text, &samples);
        unseen.retain(|name| !names.contains(&(*name).to_owned()));
        if std::env::var_os("UPDATE_API_REF").is_some() {
            std::fs::write(&page, shown).unwrap();
        } else {
            assert_eq!(text, shown, "{} is out of date", page.display());
        }
    }
    assert_eq!(unseen, Vec::<&str>::new(), "samples that no page shows");
}

/// The page with its samples as they are now, and their names. A sample stands
/// behind `<!-- sample NAME -->`, in a fenced block.
fn with_samples(page: &str, samples: &HashMap<String, Sample>) -> (String, Vec<String>) {
    let (mut shown, mut names) = (String::new(), Vec::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        writeln!(shown, "{line}").unwrap();
        let marked = line.strip_prefix("<!-- sample ").and_then(|rest| rest.strip_suffix(" -->"));
        if let Some(name) = marked {
            let sample = samples.get(name).unwrap_or_else(|| panic!("no sample {name}"));
            write!(shown, "```http\n{}```\n", rendered(sample)).unwrap();
            names.push(name.to_owned());
            assert_eq!(lines.next(), Some("```http"), "no block behind {name}");
            lines.by_ref().take_while(|line| *line != "```").for_each(drop);
        }
    }
    (shown, names)
}

fn rendered(sample: &Sample) -> String {
    let Sample { request, response, .. } = sample;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut shown = format!("{} {}\n", text(&request["method"]), text(&request["path"]));
    let part = |shown: &mut String, part: &Value| {
        for (name, value) in part.get("headers").and_then(Value::as_object).into_iter().flatten() {
            writeln!(shown, "{name}: {}", text(value)).unwrap();
        }
        if let Some(body) = part.get("body") {
            writeln!(shown, "\n{body:#}").unwrap();
        }
    };
    part(&mut shown, request);
    writeln!(shown, "\n→ {}", response["status"]).unwrap();
    part(&mut shown, response);
    shown
}
