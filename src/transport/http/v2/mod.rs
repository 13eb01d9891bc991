//! `/v2`: a file per resource.

mod claims;
mod events;
mod health;
mod home;
pub(super) mod json_patch;
mod messages;
pub(super) mod posted;
mod purge;
mod queues;
pub(super) mod share;
mod stats;

use actix_web::web::ServiceConfig;

/// Mounts all resources, the busiest first.
pub fn routes(config: &mut ServiceConfig, admin_mode: bool) {
    messages::routes(config);
    claims::routes(config);
    queues::routes(config);
    stats::routes(config);
    purge::routes(config);
    share::routes(config);
    health::routes(config, admin_mode);
    home::routes(config, admin_mode);
}
