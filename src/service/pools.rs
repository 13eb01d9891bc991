//! Pools: make, look at, change, list, remove.

use serde_json::{Map, Value};

use super::access::Permit;
use super::access::actions::{DeletePool, GetPool, ListPools, PutPool, UpdatePool};
use super::check::queue_limit;
use super::placement::Placements;
use super::schema::{POOL, POOL_CHANGE};
use super::{Error, Result, Service};
use crate::config::shown_uri;
use crate::model::{Capability, FlavorName, Pool, PoolName};
use crate::storage;
use crate::storage::pooling::{PoolRouter, Tried};

/// So many queues of a pool are counted to tell how many there are.
const COUNTED_MAX: u64 = 1000;

impl Service {
    /// Makes a pool, or replaces the one of that name, once its store was seen
    /// to answer.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for a name that is none; [`Error::InvalidBody`]
    /// for a document that does not describe a pool, and if its store does not
    /// answer; [`Error::Conflict`] if another pool has the URI, or if there are
    /// queues in the pool and the URI or the options would change;
    /// [`Error::CapabilitiesDiffer`].
    pub async fn put_pool(&self, _: &Permit<PutPool>, name: &str, document: Value) -> Result<()> {
        let name = pool_name(name)?;
        POOL.check(&document)?;
        let mut pool =
            Pool { name, uri: String::new(), weight: 0, flavor: None, options: Map::new() };
        apply(document, &mut pool)?;
        let before = self.storage.control.pools().get(&pool.name).await?;
        self.store_pool(before.as_ref(), &pool).await
    }

    /// A pool.
    ///
    /// # Errors
    ///
    /// [`storage::Error::PoolDoesNotExist`]; [`Error::InvalidRequest`] for a
    /// name that is none.
    pub async fn get_pool(&self, _: &Permit<GetPool>, name: &str) -> Result<Pool> {
        self.find_pool(&pool_name(name)?).await
    }

    /// Changes what `document` names about a pool; returns the pool.
    ///
    /// # Errors
    ///
    /// [`storage::Error::PoolDoesNotExist`], and what [`Self::put_pool`] says.
    pub async fn update_pool(
        &self,
        _: &Permit<UpdatePool>,
        name: &str,
        document: Value,
    ) -> Result<Pool> {
        const MEMBERS: [&str; 4] = ["weight", "uri", "flavor", "options"];
        let name = pool_name(name)?;
        if MEMBERS.iter().all(|member| document.get(member).is_none()) {
            return Err(Error::InvalidBody(
                "One of `uri`, `weight`, `flavor`, or `options` needs to be specified".to_owned(),
            ));
        }
        POOL_CHANGE.check(&document)?;
        let before = self.find_pool(&name).await?;
        let mut pool = before.clone();
        apply(document, &mut pool)?;
        self.store_pool(Some(&before), &pool).await?;
        Ok(pool)
    }

    /// A page of pools behind `marker`, ascending by name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the limit is out of range.
    pub async fn list_pools(
        &self,
        _: &Permit<ListPools>,
        marker: Option<&str>,
        limit: Option<i64>,
    ) -> Result<Vec<Pool>> {
        let limit = queue_limit(limit, self.limits.max_pools_per_page)?;
        Ok(self.storage.control.pools().list(marker, limit).await?)
    }

    /// Removes a pool that no queue is in and no flavor depends on. A missing
    /// pool is no error.
    ///
    /// # Errors
    ///
    /// [`Error::PoolIsNeeded`]; [`Error::InvalidRequest`] for a name that is none.
    pub async fn delete_pool(&self, _: &Permit<DeletePool>, name: &str) -> Result<()> {
        let name = pool_name(name)?;
        let pools = self.storage.control.pools();
        let Some(pool) = pools.get(&name).await? else { return Ok(()) };
        if let Some(flavor) = &pool.flavor
            && pools.of_flavor(Some(flavor)).await?.len() == 1
        {
            return Err(Error::PoolIsNeeded(format!(
                "This pool is used by flavors {flavor}; It cannot be deleted."
            )));
        }
        match pools.delete(&name).await {
            Err(storage::Error::PoolIsInUse(_)) => {
                let queues = self.queues_in(&name).await?;
                return Err(Error::PoolIsNeeded(format!(
                    "This pool holds {queues}; It cannot be deleted."
                )));
            }
            deleted => deleted?,
        }
        self.router()?.drop_pool(&name).await;
        Ok(())
    }

    async fn find_pool(&self, name: &PoolName) -> Result<Pool> {
        let found = self.storage.control.pools().get(name).await?;
        Ok(found.ok_or_else(|| storage::Error::PoolDoesNotExist(name.clone()))?)
    }

    /// Stores a pool that has passed every check.
    async fn store_pool(&self, before: Option<&Pool>, pool: &Pool) -> Result<()> {
        let is_elsewhere = before.is_none_or(|before| before.uri != pool.uri);
        let is_other = is_elsewhere || before.is_none_or(|before| before.options != pool.options);
        let tried = if is_other {
            if before.is_some() {
                self.check_is_empty(&pool.name).await?;
            }
            if is_elsewhere {
                self.check_uri_is_free(pool).await?;
            }
            Some(self.try_pool(pool).await?)
        } else {
            None
        };
        match self.check_and_put(pool).await {
            Ok(()) => {
                if let Some(tried) = tried {
                    self.router()?.keep(tried);
                }
                Ok(())
            }
            Err(error) => {
                if let Some(tried) = tried {
                    tried.discard().await;
                }
                Err(error)
            }
        }
    }

    async fn check_and_put(&self, pool: &Pool) -> Result<()> {
        self.check_capabilities(pool).await?;
        match self.storage.control.pools().put(pool).await {
            Err(storage::Error::PoolUriInUse(_)) => Err(uri_in_use()),
            Err(storage::Error::PoolIsInUse(name)) => Err(self.cannot_change(&name).await),
            put => Ok(put?),
        }
    }

    /// A pool's store is where its messages are: while there are queues in it,
    /// nothing that could lead somewhere else may change.
    async fn check_is_empty(&self, name: &PoolName) -> Result<()> {
        match self.storage.control.catalogue().count(name, 1).await? {
            0 => Ok(()),
            _ => Err(self.cannot_change(name).await),
        }
    }

    async fn cannot_change(&self, name: &PoolName) -> Error {
        let queues = self.queues_in(name).await;
        queues.map_or_else(
            |error| error,
            |queues| {
                Error::Conflict(format!(
                    "Pool {name} holds {queues}; its URI and its options cannot be changed."
                ))
            },
        )
    }

    /// How many queues there are in a pool, in words.
    async fn queues_in(&self, name: &PoolName) -> Result<String> {
        Ok(match self.storage.control.catalogue().count(name, COUNTED_MAX).await? {
            1 => "1 queue".to_owned(),
            COUNTED_MAX.. => format!("{COUNTED_MAX} or more queues"),
            some => format!("{some} queues"),
        })
    }

    /// Before the store is tried: one that is in use could not be opened again,
    /// and that would be told in its place.
    async fn check_uri_is_free(&self, pool: &Pool) -> Result<()> {
        let pools = self.router()?.pools().await?;
        let is_taken = pools.iter().any(|it| it.uri == pool.uri && it.name != pool.name);
        if is_taken { Err(uri_in_use()) } else { Ok(()) }
    }

    async fn try_pool(&self, pool: &Pool) -> Result<Tried> {
        let router = self.router()?;
        let cannot_connect =
            || Error::InvalidBody(format!("cannot connect to {}", shown_uri(&pool.uri)));
        if router.capabilities(&pool.uri).is_none() {
            return Err(cannot_connect());
        }
        router.check_options(&pool.uri, &pool.options).map_err(Error::InvalidBody)?;
        router.try_out(pool).await.map_err(|error| {
            tracing::info!(pool.name = %pool.name, %error, "a pool does not answer and was refused");
            cannot_connect()
        })
    }

    /// Pools of one flavor can do the same, and so can those without one.
    async fn check_capabilities(&self, pool: &Pool) -> Result<()> {
        let router = self.router()?;
        let peers = self.storage.control.pools().of_flavor(pool.flavor.as_ref()).await?;
        let others = peers.iter().filter(|peer| peer.name != pool.name);
        let capabilities = router.capabilities(&pool.uri);
        let is_like = |other: &Pool| router.capabilities(&other.uri) == capabilities;
        let first = others.into_iter().next();
        if first.is_none_or(is_like) { Ok(()) } else { Err(Error::CapabilitiesDiffer) }
    }

    /// What these pools can do; nothing if there are none.
    pub(super) fn capabilities_of(&self, pools: &[Pool]) -> Result<Vec<Capability>> {
        let router = self.router()?;
        let first = pools.first().and_then(|pool| router.capabilities(&pool.uri));
        Ok(first.unwrap_or_default().to_vec())
    }

    /// The pools' drivers. Without pools no front end offers what needs them.
    pub(super) fn router(&self) -> Result<&PoolRouter> {
        let router = self.placements.as_deref().map(Placements::router);
        let none = || storage::Error::Unavailable("pooling is not enabled".to_owned());
        Ok(router.ok_or_else(none)?)
    }
}

/// Reads the name of a pool.
pub(super) fn pool_name(text: &str) -> Result<PoolName> {
    PoolName::parse(text).ok_or_else(|| bad_name("pool"))
}

/// What is said of a name that breaks the rule of queue names.
pub(super) fn bad_name(of: &str) -> Error {
    Error::InvalidRequest(format!(
        "The name of a {of} has 1 to 64 characters of A-Z, a-z, 0-9, _, - and ."
    ))
}

fn uri_in_use() -> Error {
    Error::Conflict("The database URI is in use by another pool.".to_owned())
}

/// Sets what a document that fits the schema names.
fn apply(document: Value, pool: &mut Pool) -> Result<()> {
    let Value::Object(members) = document else { return Ok(()) };
    for (member, value) in members {
        match (member.as_str(), value) {
            ("weight", Value::Number(weight)) => {
                pool.weight = weight.as_u64().and_then(|it| u32::try_from(it).ok()).unwrap_or(0);
            }
            ("uri", Value::String(uri)) => pool.uri = uri,
            ("flavor", Value::String(flavor)) if flavor.is_empty() => pool.flavor = None,
            ("flavor", Value::String(flavor)) => {
                let name = FlavorName::parse(&flavor);
                pool.flavor = Some(name.ok_or_else(|| bad_name("flavor"))?);
            }
            ("options", Value::Object(options)) => pool.options = options,
            _ => {}
        }
    }
    Ok(())
}
