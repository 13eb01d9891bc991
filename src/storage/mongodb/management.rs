//! Zaqar's collections of pools, flavors and the catalogue.
//!
//! Most servers never need them, and their users may lack the rights: they are
//! made when something first asks for them.

use mongodb::Collection;
use mongodb::bson::RawDocumentBuf;

use super::error::{OpResult, unavailable};
use super::indexes::{self, Index};
use super::store::{Documents, Store};

/// The collections, with their indexes.
#[derive(Debug)]
pub struct Management {
    /// The pools, by name.
    pub pools: Documents,
    /// The flavors, by project and name.
    pub flavors: Documents,
    /// Which queue is in which pool.
    pub catalogue: Documents,
}

impl Store {
    /// The collections, which are made fit for use the first time.
    ///
    /// # Errors
    ///
    /// What the database said; [`crate::storage::Error::Unavailable`] if there
    /// are indexes that are not as Zaqar makes them.
    pub async fn management(&self) -> OpResult<&Management> {
        self.management.get_or_try_init(|| self.make_management()).await
    }

    async fn make_management(&self) -> OpResult<Management> {
        let database = self.client.database(self.settings.queue_database());
        let management = Management {
            pools: database.collection("pools"),
            flavors: database.collection("flavors"),
            catalogue: database.collection("catalogue"),
        };
        fit(&management.pools, &indexes::OF_POOLS).await?;
        fit(&management.flavors, &indexes::OF_FLAVORS).await?;
        fit(&management.catalogue, &indexes::OF_CATALOGUE).await?;
        Ok(management)
    }
}

async fn fit(documents: &Collection<RawDocumentBuf>, wanted: &[Index]) -> OpResult<()> {
    let differences = indexes::compare(documents, wanted).await?;
    if let Some(odd) = differences.odd.first() {
        let place = documents.namespace();
        return Err(unavailable(&format_args!("{place}: its index {odd}")).into());
    }
    if !differences.missing.is_empty() {
        indexes::create(documents, wanted, &differences.missing).await?;
    }
    Ok(())
}
