//! The targets of the fuzzer, on mutations of their seeds.

#[path = "../../fuzz/targets.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::hostile::mutations::{mutate, mutation};

use targets::{TARGETS, Target};

/// Inputs tried on each target, besides its seeds.
const CASES: u32 = 3000;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder("seeds").join(target)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn withstands(name: &str, target: Target) {
    let seeds = seeds(name);
    for seed in &seeds {
        target(seed);
    }
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    };
    let input = (prop::sample::select(seeds), vec(mutation(), 1..6)).prop_map(|(seed, changes)| {
        let mut input = seed;
        for change in &changes {
            mutate(&mut input, change);
        }
        input
    });
    let outcome = TestRunner::new(config).run(&input, |input| {
        target(&input);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
}

#[test]
fn every_target_withstands_mutations_of_its_seeds() {
    for (name, target) in TARGETS {
        withstands(name, target);
    }
}

#[test]
fn every_target_has_its_program_its_seeds_and_its_line() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let in_folder = |name: &str| -> BTreeSet<String> {
        let stems = fs::read_dir(folder(name)).unwrap();
        stems
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(in_folder("fuzz_targets"), targets);
    assert_eq!(in_folder("seeds"), targets);
    let (manifest, readme) = (read("Cargo.toml"), read("README.md"));
    for name in targets {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(folder(name)).unwrap()
}
