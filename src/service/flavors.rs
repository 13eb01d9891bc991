//! Flavors: kinds of store that the queues of a project can ask for.
//!
//! Which pools belong to a flavor stands with the pools, under the flavor's name
//! alone: as in Zaqar, flavors of two projects with one name share their pools.

use serde_json::Value;

use super::access::Permit;
use super::access::actions::{DeleteFlavor, GetFlavor, ListFlavors, PutFlavor, UpdateFlavor};
use super::check::queue_limit;
use super::pools::bad_name;
use super::schema::{FLAVOR, FLAVOR_CHANGE};
use super::{Error, Result, Service};
use crate::model::{Capability, Flavor, FlavorName, Pool, PoolName, ProjectId};

/// A flavor as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlavorView {
    /// Its name.
    pub name: FlavorName,
    /// The pools that belong to it, by name.
    pub pools: Vec<PoolName>,
    /// What these can do.
    pub capabilities: Vec<Capability>,
}

impl Service {
    /// Makes a flavor of the pools that `document` lists, or adds them to it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for a name that is none; [`Error::InvalidBody`]
    /// for a document that describes no flavor; [`Error::FlavorNotMade`] for no
    /// pools, for one that does not exist, and for some that differ in what they
    /// can do.
    pub async fn put_flavor(
        &self,
        project: &Permit<PutFlavor>,
        name: &str,
        document: &Value,
    ) -> Result<()> {
        let name = flavor_name(name)?;
        FLAVOR.check(document)?;
        let pools = self.listed(document).await;
        let pools = pools.map_err(|error| {
            explain(error, |reason| {
                Error::FlavorNotMade(format!("Flavor {name} could not be created, error:{reason}"))
            })
        })?;
        self.store_flavor(project, &name, &pools, false).await
    }

    /// A flavor of the project.
    ///
    /// # Errors
    ///
    /// [`Error::FlavorDoesNotExist`]; [`Error::InvalidRequest`] for a name that is
    /// none.
    pub async fn get_flavor(&self, project: &Permit<GetFlavor>, name: &str) -> Result<FlavorView> {
        let name = flavor_name(name)?;
        self.find_flavor(project, &name).await?;
        self.view(name).await
    }

    /// Makes the pools that `document` lists the only ones of the flavor.
    ///
    /// # Errors
    ///
    /// [`Error::FlavorDoesNotExist`]; [`Error::FlavorNotMade`] for no pools;
    /// [`Error::FlavorNotChanged`] for one that does not exist, and for some that
    /// differ in what they can do; [`Error::InvalidBody`] for a document that
    /// lists none; [`Error::InvalidRequest`] for a name that is none.
    pub async fn update_flavor(
        &self,
        project: &Permit<UpdateFlavor>,
        name: &str,
        document: &Value,
    ) -> Result<FlavorView> {
        let name = flavor_name(name)?;
        if document.get("pool_list").is_none() {
            return Err(Error::InvalidBody("`pool_list` needs to be specified".to_owned()));
        }
        FLAVOR_CHANGE.check(document)?;
        if document.get("pool_list").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            return Err(Error::FlavorNotMade(NO_POOLS.to_owned()));
        }
        self.find_flavor(project, &name).await?;
        let pools = self.listed(document).await;
        let pools = pools.map_err(|error| {
            explain(error, |reason| {
                Error::FlavorNotChanged(format!("Flavor {name} cant be updated, error:{reason}"))
            })
        })?;
        self.store_flavor(project, &name, &pools, true).await?;
        self.view(name).await
    }

    /// A page of the project's flavors behind `marker`, ascending by name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the limit is out of range.
    pub async fn list_flavors(
        &self,
        project: &Permit<ListFlavors>,
        marker: Option<&str>,
        limit: Option<i64>,
    ) -> Result<Vec<FlavorView>> {
        let limit = queue_limit(limit, self.limits.max_flavors_per_page)?;
        let flavors = self.storage.control.flavors().list(project, marker, limit).await?;
        let mut views = Vec::with_capacity(flavors.len());
        for flavor in flavors {
            views.push(self.view(flavor.name).await?);
        }
        Ok(views)
    }

    /// Removes a flavor; its pools have none then. Queues that asked for it stay
    /// where they are. A missing flavor is no error.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for a name that is none.
    pub async fn delete_flavor(&self, project: &Permit<DeleteFlavor>, name: &str) -> Result<()> {
        let name = flavor_name(name)?;
        // Unlike in Zaqar, who has no such flavor takes no pools from others.
        if self.storage.control.flavors().get(project, &name).await?.is_none() {
            return Ok(());
        }
        self.storage.control.pools().label(&name, &[], true).await?;
        Ok(self.storage.control.flavors().delete(project, &name).await?)
    }

    async fn find_flavor(&self, project: &ProjectId, name: &FlavorName) -> Result<Flavor> {
        let found = self.storage.control.flavors().get(project, name).await?;
        found.ok_or_else(|| Error::FlavorDoesNotExist(name.clone()))
    }

    async fn view(&self, name: FlavorName) -> Result<FlavorView> {
        let pools = self.storage.control.pools().of_flavor(Some(&name)).await?;
        let capabilities = self.capabilities_of(&pools)?;
        Ok(FlavorView { name, pools: names(&pools), capabilities })
    }

    /// The pools that a document lists.
    async fn listed(&self, document: &Value) -> Result<Vec<Pool>> {
        let listed = document.get("pool_list").and_then(Value::as_array);
        let mut pools = Vec::new();
        for name in listed.into_iter().flatten().filter_map(Value::as_str) {
            let found = match PoolName::parse(name) {
                Some(name) => self.storage.control.pools().get(&name).await?,
                None => None,
            };
            let missing = || Error::InvalidBody(format!("Pool {name} does not exist"));
            pools.push(found.ok_or_else(missing)?);
        }
        if pools.is_empty() {
            return Err(Error::InvalidBody(NO_POOLS.to_owned()));
        }
        let router = self.router()?;
        let mut capabilities = pools.iter().map(|pool| router.capabilities(&pool.uri));
        let first = capabilities.next();
        if capabilities.any(|other| Some(other) != first) {
            return Err(Error::InvalidBody("these pools cannot do the same".to_owned()));
        }
        Ok(pools)
    }

    async fn store_flavor(
        &self,
        project: &ProjectId,
        name: &FlavorName,
        pools: &[Pool],
        no_others: bool,
    ) -> Result<()> {
        let capabilities = self.capabilities_of(pools)?;
        let flavor = Flavor { project: project.clone(), name: name.clone(), capabilities };
        self.storage.control.flavors().put(&flavor).await?;
        Ok(self.storage.control.pools().label(name, &names(pools), no_others).await?)
    }
}

/// What is said of a flavor without pools.
const NO_POOLS: &str = "pool_list must name at least one pool.";

fn names(pools: &[Pool]) -> Vec<PoolName> {
    pools.iter().map(|pool| pool.name.clone()).collect()
}

fn flavor_name(text: &str) -> Result<FlavorName> {
    FlavorName::parse(text).ok_or_else(|| bad_name("flavor"))
}

/// An error with what is wrong with a list of pools in words for `tell`.
fn explain(error: Error, tell: impl FnOnce(&str) -> Error) -> Error {
    match error {
        Error::InvalidBody(reason) => tell(&reason),
        error => error,
    }
}
