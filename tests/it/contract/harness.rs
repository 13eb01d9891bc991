//! How the suite gets hold of a driver.

use std::sync::Arc;

use async_trait::async_trait;
use nusku::storage::Storage;

use crate::model::ModelDriver;

/// A place where a driver keeps its data: empty at first.
#[async_trait]
pub trait Harness: Send {
    /// Opens the driver on this place. The suite closes a driver before it
    /// opens the place again.
    async fn open(&mut self) -> Storage;
}

/// The reference model; its data outlives a restart because it stays in memory.
pub struct Model(Arc<ModelDriver>);

impl Model {
    /// An empty one.
    pub fn fresh() -> Self {
        Self(Arc::default())
    }
}

#[async_trait]
impl Harness for Model {
    async fn open(&mut self) -> Storage {
        Storage { control: self.0.clone(), data: self.0.clone() }
    }
}
