//! `/v2`: a file per resource.

mod claims;
mod events;
mod flavors;
mod health;
mod home;
pub(super) mod json_patch;
mod messages;
mod pools;
pub(in crate::transport) mod posted;
mod purge;
mod queues;
pub(super) mod share;
mod stats;
mod subscriptions;
pub(super) mod websocket;

use actix_web::web::ServiceConfig;

use crate::model::QueueKind;

/// What is served to administrators.
#[derive(Clone, Copy, Debug)]
pub struct Administration {
    /// The health report.
    pub health: bool,
    /// Pools and flavors.
    pub pools: bool,
}

/// Mounts all resources, the busiest first.
pub fn routes(config: &mut ServiceConfig, administration: Administration) {
    messages::routes(config, QueueKind::Queue);
    claims::routes(config);
    queues::routes(config, QueueKind::Queue);
    stats::routes(config, QueueKind::Queue);
    purge::routes(config, QueueKind::Queue);
    share::routes(config);
    subscriptions::routes(config, QueueKind::Queue);
    for_topics(config);
    health::routes(config, administration);
    if administration.pools {
        pools::routes(config);
        flavors::routes(config);
    }
    home::routes(config, administration);
}

/// What topics have of all this: they are not claimed from, nor lent.
fn for_topics(config: &mut ServiceConfig) {
    let kind = QueueKind::Topic;
    messages::routes(config, kind);
    queues::routes(config, kind);
    stats::routes(config, kind);
    purge::routes(config, kind);
    subscriptions::routes(config, kind);
}
