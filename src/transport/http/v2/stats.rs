//! `/v2/queues/{queue}/stats`, and the same of topics: how many messages there are.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, ServiceConfig};

use crate::model::{QueueKey, QueueKind};
use crate::service::Service;
use crate::service::access::actions::GetQueueStats;
use crate::transport::http::error::{ApiError, During, failure};
use crate::transport::http::extract::{Granted, Known};
use crate::transport::http::{resource_of, wire};

/// Mounts the stats of queues or topics.
pub fn routes(config: &mut ServiceConfig, kind: QueueKind) {
    let stats = resource_of::<Known<QueueKey>>(kind, "/{queue}/stats", "GET");
    config.service(stats.route(web::get().to(get)));
}

/// Counts, and both ends of the queue.
async fn get(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<GetQueueStats>,
) -> Result<HttpResponse, ApiError> {
    let stats = service.queue_stats(&queue).await;
    let stats = stats.during(failure!(queue.name.kind(), " stats could not be read."))?;
    Ok(wire::json(StatusCode::OK, wire::stats(&queue.name, &stats, service.now())))
}
