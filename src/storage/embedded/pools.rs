//! The records of pools.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::OpResult;
use super::tx::Tx;
use super::{EmbeddedDriver, catalogue};
use crate::model::{FlavorName, Pool, PoolName};
use crate::storage::{Error, PoolController, Result};

const COLUMNS: &str = "SELECT name, uri, weight, flavor, options FROM pool";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Pool> {
    let unreadable = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
    };
    let name = PoolName::parse(row.get_ref(0)?.as_str()?);
    let flavor = match row.get_ref(3)?.as_str_or_null()? {
        Some(flavor) => {
            Some(FlavorName::parse(flavor).ok_or_else(|| unreadable(3, "no name".into()))?)
        }
        None => None,
    };
    Ok(Pool {
        name: name.ok_or_else(|| unreadable(0, "no name".into()))?,
        uri: row.get(1)?,
        weight: row.get(2)?,
        flavor,
        options: serde_json::from_str(row.get_ref(4)?.as_str()?)
            .map_err(|error| unreadable(4, error.into()))?,
    })
}

/// The pool, if it exists.
pub fn find(conn: &Connection, name: &PoolName) -> rusqlite::Result<Option<Pool>> {
    conn.prepare_cached(&format!("{COLUMNS} WHERE name = ?1"))?
        .query_row([name.as_str()], from_row)
        .optional()
}

fn put(tx: &Tx<'_>, pool: &Pool) -> OpResult<()> {
    let holder: Option<String> = tx
        .conn
        .prepare_cached("SELECT name FROM pool WHERE uri = ?1")?
        .query_row([&pool.uri], |row| row.get(0))
        .optional()?;
    if holder.is_some_and(|holder| holder != pool.name.as_str()) {
        return Err(Error::PoolUriInUse(pool.name.clone()).into());
    }
    if let Some(old) = find(tx.conn, &pool.name)?
        && (old.uri != pool.uri || old.options != pool.options)
    {
        refuse_if_used(tx, &pool.name)?;
    }
    tx.conn
        .prepare_cached(
            "INSERT INTO pool VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO UPDATE SET
                 uri = excluded.uri, weight = excluded.weight, flavor = excluded.flavor,
                 options = excluded.options",
        )?
        .execute(params![
            pool.name.as_str(),
            pool.uri,
            pool.weight,
            pool.flavor.as_ref().map(FlavorName::as_str),
            serde_json::Value::Object(pool.options.clone()).to_string(),
        ])?;
    Ok(())
}

fn refuse_if_used(tx: &Tx<'_>, name: &PoolName) -> OpResult<()> {
    match catalogue::count(tx.conn, name, 1)? {
        0 => Ok(()),
        _ => Err(Error::PoolIsInUse(name.clone()).into()),
    }
}

fn label(tx: &Tx<'_>, flavor: &FlavorName, pools: &[PoolName], no_others: bool) -> OpResult<()> {
    for pool in pools {
        if find(tx.conn, pool)?.is_none() {
            return Err(Error::PoolDoesNotExist(pool.clone()).into());
        }
    }
    if no_others {
        tx.conn
            .prepare_cached("UPDATE pool SET flavor = NULL WHERE flavor = ?1")?
            .execute([flavor.as_str()])?;
    }
    let mut label = tx.conn.prepare_cached("UPDATE pool SET flavor = ?2 WHERE name = ?1")?;
    for pool in pools {
        label.execute((pool.as_str(), flavor.as_str()))?;
    }
    Ok(())
}

fn delete(tx: &Tx<'_>, name: &PoolName) -> OpResult<()> {
    refuse_if_used(tx, name)?;
    tx.conn.prepare_cached("DELETE FROM pool WHERE name = ?1")?.execute([name.as_str()])?;
    Ok(())
}

#[async_trait]
impl PoolController for EmbeddedDriver {
    async fn put(&self, pool: &Pool) -> Result<()> {
        let pool = pool.clone();
        self.write(move |tx| put(tx, &pool)).await
    }

    async fn get(&self, name: &PoolName) -> Result<Option<Pool>> {
        let name = name.clone();
        self.read(move |conn| find(conn, &name)).await
    }

    async fn list(&self, marker: Option<&str>, limit: u32) -> Result<Vec<Pool>> {
        let behind = marker.unwrap_or("").to_owned();
        self.read(move |conn| {
            conn.prepare_cached(&format!("{COLUMNS} WHERE name > ?1 ORDER BY name LIMIT ?2"))?
                .query_map((behind, limit), from_row)?
                .collect()
        })
        .await
    }

    async fn of_flavor(&self, flavor: Option<&FlavorName>) -> Result<Vec<Pool>> {
        let flavor = flavor.cloned();
        self.read(move |conn| {
            conn.prepare_cached(&format!("{COLUMNS} WHERE flavor IS ?1 ORDER BY name"))?
                .query_map([flavor.as_ref().map(FlavorName::as_str)], from_row)?
                .collect()
        })
        .await
    }

    async fn label(&self, flavor: &FlavorName, pools: &[PoolName], no_others: bool) -> Result<()> {
        let (flavor, pools) = (flavor.clone(), pools.to_vec());
        self.write(move |tx| label(tx, &flavor, &pools, no_others)).await
    }

    async fn delete(&self, name: &PoolName) -> Result<()> {
        let name = name.clone();
        self.write(move |tx| delete(tx, &name)).await
    }
}
