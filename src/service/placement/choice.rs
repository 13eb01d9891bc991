//! Which pool takes a new queue.

use uuid::Uuid;

use super::{Placements, unavailable};
use crate::model::{FlavorName, Metadata, Pool, PoolName, ProjectId};
use crate::service::{Error, Result, metadata};

impl Placements {
    /// A pool for a new queue; `None` if the virtual pool is to take it.
    pub(super) async fn choose(
        &self,
        project: &ProjectId,
        flavor: Option<&FlavorName>,
    ) -> Result<Option<PoolName>> {
        if let Some(flavor) = flavor {
            self.check_exists(project, flavor).await?;
        }
        let pools = self.control.pools().of_flavor(flavor).await?;
        match draw(&pools, random()) {
            Some(pool) => Ok(Some(pool.name.clone())),
            None if flavor.is_none() && self.router.has_virtual_pool() => Ok(None),
            None => unavailable("no pool takes new queues of this kind".to_owned()),
        }
    }

    /// Refuses a flavor that the project does not have.
    pub(super) async fn check_exists(
        &self,
        project: &ProjectId,
        flavor: &FlavorName,
    ) -> Result<()> {
        let found = self.control.flavors().get(project, flavor).await?;
        found.map(drop).ok_or_else(|| no_flavor(flavor.as_str()))
    }
}

fn no_flavor(name: &str) -> Error {
    Error::InvalidRequest(format!("Flavor {name} does not exist"))
}

/// The flavor that a queue asks for.
pub(super) fn wanted(metadata: &Metadata) -> Result<Option<FlavorName>> {
    let Some(value) = metadata::flavor(metadata) else { return Ok(None) };
    match value.as_str() {
        Some(name) => FlavorName::parse(name).map(Some).ok_or_else(|| no_flavor(name)),
        None => Err(no_flavor(&value.to_string())),
    }
}

/// Chooses by weight, with 64 random bits.
fn draw(pools: &[Pool], random: u64) -> Option<&Pool> {
    let total: u64 = pools.iter().map(|pool| u64::from(pool.weight)).sum();
    // The upper half of the product is even over 0 to total - 1.
    let drawn = (u128::from(random) * u128::from(total)) >> 64;
    let mut passed = 0;
    pools.iter().find(|pool| {
        passed += u128::from(pool.weight);
        drawn < passed
    })
}

fn random() -> u64 {
    // All but six of a UUID's bits are random: these are.
    let (high, low) = Uuid::new_v4().as_u64_pair();
    (high & 0xffff_ffff_0000_0000) | (low & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::service::tests::fake::metadata;

    fn pool(name: &str, weight: u32) -> Pool {
        let name = PoolName::parse(name).unwrap();
        Pool { uri: format!("x://{name}"), name, weight, flavor: None, options: Map::new() }
    }

    #[test]
    fn pools_are_drawn_by_weight() {
        let pools = [pool("none", 0), pool("three", 30), pool("one", 10), pool("zero", 0)];
        let mut counts = [0; 4];
        for step in 0..4000 {
            let drawn = draw(&pools, step * (u64::MAX / 4000) + u64::MAX / 8000).unwrap();
            counts[pools.iter().position(|pool| pool == drawn).unwrap()] += 1;
        }
        assert_eq!(counts, [0, 3000, 1000, 0]);
        assert_eq!(draw(&pools, u64::MAX).unwrap().name.as_str(), "one");
        assert_eq!(draw(&pools[..1], 7), None);
        assert_eq!(draw(&[], 7), None);
        let heavy = [pool("a", u32::MAX), pool("b", u32::MAX)];
        assert_eq!(draw(&heavy, u64::MAX).unwrap().name.as_str(), "b");
        assert_eq!(draw(&heavy, 0).unwrap().name.as_str(), "a");
    }

    #[test]
    fn random_bits_are_all_random() {
        let (mut ones, mut zeros) = (0, 0);
        for _ in 0..64 {
            let bits = random();
            ones |= bits;
            zeros |= !bits;
        }
        assert_eq!((ones, zeros), (u64::MAX, u64::MAX));
    }

    #[test]
    fn a_flavor_is_named_or_not() {
        for none in [json!({}), json!({"_flavor": null}), json!({"_flavor": ""})] {
            assert_eq!(wanted(&metadata(none)), Ok(None));
        }
        let named = wanted(&metadata(json!({"_flavor": "bulk"}))).unwrap();
        assert_eq!(named, FlavorName::parse("bulk"));
        for (odd, said) in [(json!("a b"), "a b"), (json!(5), "5"), (json!(["x"]), "[\"x\"]")] {
            let said = format!("Flavor {said} does not exist");
            assert_eq!(
                wanted(&metadata(json!({"_flavor": odd}))),
                Err(Error::InvalidRequest(said))
            );
        }
    }
}
