//! Flavors: Zaqar's records of them.

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, RawDocument, doc};

use super::MongodbDriver;
use super::document::{Foreign, field};
use super::error::{DUPLICATE_KEY, Fault, OpResult};
use super::layout::spelled;
use super::store::Store;
use super::wire::Value;
use crate::model::{Capability, Flavor, FlavorName, ProjectId};
use crate::storage::{FlavorController, Result};

/// The record of a flavor. Numbers of capabilities that nusku does not know are
/// left out.
fn decode(record: &RawDocument, project: &ProjectId) -> std::result::Result<Flavor, Foreign> {
    let name = field(record, "n").and_then(Value::text).and_then(FlavorName::parse);
    let numbers = field(record, "c").and_then(Value::elements);
    let capabilities = numbers.into_iter().flatten().map_while(std::result::Result::ok);
    Ok(Flavor {
        project: project.clone(),
        name: name.ok_or_else(|| Foreign::new(record, "n"))?,
        capabilities: capabilities
            .filter_map(|number| Capability::from_number(number.value.integer()?))
            .collect(),
    })
}

fn filter(project: &ProjectId, name: &FlavorName) -> Document {
    doc! { "p": spelled(project), "n": name.as_str() }
}

async fn put(store: &Store, flavor: &Flavor) -> OpResult<()> {
    let flavors = &store.management().await?.flavors;
    let numbers: Vec<Bson> =
        flavor.capabilities.iter().map(|it| Bson::Int32(it.number())).collect();
    let change = doc! { "$set": { "c": numbers } };
    // Of two who make it at once, one finds it there the second time.
    let put =
        || flavors.update_one(filter(&flavor.project, &flavor.name), change.clone()).upsert(true);
    match put().await.map_err(Fault::from) {
        Err(fault) if fault.code() == Some(DUPLICATE_KEY) => put().await?,
        done => done?,
    };
    Ok(())
}

async fn find(store: &Store, project: &ProjectId, name: &FlavorName) -> OpResult<Option<Flavor>> {
    let flavors = &store.management().await?.flavors;
    let record = flavors.find_one(filter(project, name)).await?;
    Ok(record.and_then(|record| read(store, &record, project)))
}

fn read(store: &Store, record: &RawDocument, project: &ProjectId) -> Option<Flavor> {
    decode(record, project).inspect_err(|foreign| store.skip(foreign)).ok()
}

async fn list(
    store: &Store,
    project: &ProjectId,
    behind: &str,
    limit: u32,
) -> OpResult<Vec<Flavor>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let mut found = store
        .management()
        .await?
        .flavors
        .find(doc! { "p": spelled(project), "n": { "$gt": behind } })
        .sort(doc! { "n": 1 })
        .limit(limit.into())
        .await?;
    let mut flavors = Vec::new();
    while found.advance().await? {
        flavors.extend(read(store, found.current(), project));
    }
    Ok(flavors)
}

async fn delete(store: &Store, project: &ProjectId, name: &FlavorName) -> OpResult<()> {
    store.management().await?.flavors.delete_one(filter(project, name)).await?;
    Ok(())
}

#[async_trait]
impl FlavorController for MongodbDriver {
    async fn put(&self, flavor: &Flavor) -> Result<()> {
        let flavor = flavor.clone();
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| put(store, &flavor)).await
        })
        .await
    }

    async fn get(&self, project: &ProjectId, name: &FlavorName) -> Result<Option<Flavor>> {
        let (project, name) = (project.clone(), name.clone());
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| find(store, &project, &name)).await
        })
        .await
    }

    async fn list(
        &self,
        project: &ProjectId,
        marker: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Flavor>> {
        let (project, behind) = (project.clone(), marker.unwrap_or("").to_owned());
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| list(store, &project, &behind, limit)).await
        })
        .await
    }

    async fn delete(&self, project: &ProjectId, name: &FlavorName) -> Result<()> {
        let (project, name) = (project.clone(), name.clone());
        self.run(move |engine| async move {
            let store = &engine.store;
            store.patience.persist(|| delete(store, &project, &name)).await
        })
        .await
    }
}
