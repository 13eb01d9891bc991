//! The records of flavors.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, Row};

use super::EmbeddedDriver;
use crate::model::{Capability, Flavor, FlavorName, ProjectId};
use crate::storage::{FlavorController, Result};

/// Reads the name and the capabilities: their numbers, with commas between.
fn from_row(row: &Row<'_>, project: &ProjectId) -> rusqlite::Result<Flavor> {
    let name = FlavorName::parse(row.get_ref(0)?.as_str()?).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, "no name".into())
    })?;
    let numbers = row.get_ref(1)?.as_str()?.split(',');
    let capabilities =
        numbers.filter_map(|number| Capability::from_number(number.parse().ok()?)).collect();
    Ok(Flavor { project: project.clone(), name, capabilities })
}

#[async_trait]
impl FlavorController for EmbeddedDriver {
    async fn put(&self, flavor: &Flavor) -> Result<()> {
        let flavor = flavor.clone();
        self.write(move |tx| {
            let numbers: Vec<_> =
                flavor.capabilities.iter().map(|it| it.number().to_string()).collect();
            tx.conn
                .prepare_cached(
                    "INSERT INTO flavor VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET capabilities = excluded.capabilities",
                )?
                .execute((flavor.project.as_str(), flavor.name.as_str(), numbers.join(",")))?;
            Ok(())
        })
        .await
    }

    async fn get(&self, project: &ProjectId, name: &FlavorName) -> Result<Option<Flavor>> {
        let (project, name) = (project.clone(), name.clone());
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT name, capabilities FROM flavor WHERE project = ?1 AND name = ?2",
            )?
            .query_row((project.as_str(), name.as_str()), |row| from_row(row, &project))
            .optional()
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
        self.read(move |conn| {
            conn.prepare_cached(
                "SELECT name, capabilities FROM flavor WHERE project = ?1 AND name > ?2
                 ORDER BY name LIMIT ?3",
            )?
            .query_map((project.as_str(), behind, limit), |row| from_row(row, &project))?
            .collect()
        })
        .await
    }

    async fn delete(&self, project: &ProjectId, name: &FlavorName) -> Result<()> {
        let (project, name) = (project.clone(), name.clone());
        self.write(move |tx| {
            tx.conn
                .prepare_cached("DELETE FROM flavor WHERE project = ?1 AND name = ?2")?
                .execute((project.as_str(), name.as_str()))?;
            Ok(())
        })
        .await
    }
}
