//! A real MongoDB: processes, replica sets, and the network between them.

mod network;
mod process;
mod set;
pub mod shared;
mod trials;

pub use process::Mongod;
pub use set::ReplicaSet;
pub use shared::Databases;
