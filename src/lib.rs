//! nusku: a multi-tenant message queuing server with claims, compatible with
//! OpenStack Zaqar's API v2.
//!
//! Reading order: [`model`] has the nouns, [`storage`] the promises every
//! driver keeps, [`service`] the verbs and every rule a client can run into,
//! [`transport`] the ways in, [`bootstrap`] how it hangs together.

pub mod bench;
pub mod bootstrap;
pub mod channels;
pub mod cli;
pub mod clock;
pub mod config;
pub mod http_client;
pub mod keystone;
pub mod model;
pub mod service;
pub mod storage;
pub mod tasks;
pub mod token_file;
pub mod transport;
