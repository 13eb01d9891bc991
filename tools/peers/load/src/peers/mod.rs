//! A client for each system, as its own users would write it.

pub mod beanstalkd;
pub mod nats;
pub mod postgresql;
pub mod rabbitmq;
pub mod zaqar;
