//! Random histories: a driver and the model live through the same steps and
//! must give the same answers.
//!
//! `NUSKU_PROPERTY_CASES` runs more histories than usual, `NUSKU_PROPERTY_SEED`
//! other ones; without them every run is the same.

mod lockstep;
mod names;
mod steps;

use std::env;
use std::sync::Arc;

use async_trait::async_trait;
use nusku::storage::Storage;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use tokio::runtime::Runtime;

use crate::contract::{Embedded, Harness, Model, Mongodb};
use crate::model::ModelDriver;
use lockstep::Lockstep;
use steps::Step;

/// Histories in a normal run, and the steps of the longest.
const CASES: u32 = 96;
const STEPS_MAX: usize = 80;

/// Lives through `cases` random histories on stores that `fresh` makes; the
/// shortest history found that ends in a difference, and that difference.
fn find_difference<H>(cases: u32, fresh: impl Fn() -> H) -> Option<(Vec<Step>, String)>
where
    H: Harness + 'static,
{
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 3000,
        rng_seed: RngSeed::Fixed(number("NUSKU_PROPERTY_SEED").unwrap_or(1)),
        ..Config::default()
    };
    let runtime = Runtime::new().unwrap();
    let outcome = TestRunner::new(config).run(&steps::history(STEPS_MAX), |history| {
        runtime.block_on(async {
            let mut lockstep = Lockstep::start(fresh()).await;
            for step in &history {
                lockstep.take(step).await?;
            }
            lockstep.finish().await
        })
    });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(reason, history)) => Some((history, reason.to_string())),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect(variable))
}

fn assert_same_as_the_model<H: Harness + 'static>(fresh: impl Fn() -> H) {
    let cases = number("NUSKU_PROPERTY_CASES").map(|cases| u32::try_from(cases).unwrap());
    if let Some((history, difference)) = find_difference(cases.unwrap_or(CASES), fresh) {
        panic!("after {history:#?}\n{difference}");
    }
}

#[test]
fn the_embedded_store_behaves_as_the_model() {
    assert_same_as_the_model(Embedded::fresh);
}

/// Fewer histories: each step costs a round trip.
#[test]
fn the_mongodb_store_behaves_as_the_model() {
    let cases = number("NUSKU_PROPERTY_CASES").map_or(CASES / 6, |it| u32::try_from(it).unwrap());
    if let Some((history, difference)) = find_difference(cases, Mongodb::on_one_member) {
        panic!("after {history:#?}\n{difference}");
    }
}

#[test]
fn the_model_behaves_as_the_model() {
    assert_same_as_the_model(Model::fresh);
}

/// A store that a restart empties: the property must notice.
struct Forgetful;

#[async_trait]
impl Harness for Forgetful {
    async fn open(&mut self) -> Storage {
        let driver = Arc::new(ModelDriver::default());
        Storage { control: driver.clone(), data: driver }
    }
}

#[test]
fn a_store_that_forgets_is_caught() {
    let (history, _) = find_difference(CASES, || Forgetful).expect("a difference");
    assert!(history.iter().any(|step| matches!(step, Step::Restart)));
    assert!(history.len() <= 4, "and shrunk to the point: {history:?}");
}
