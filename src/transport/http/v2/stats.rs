//! `/v2/queues/{queue}/stats`: how many messages there are.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, Data, ServiceConfig};

use crate::model::QueueKey;
use crate::service::Service;
use crate::service::access::actions::GetQueueStats;
use crate::transport::http::error::{ApiError, During};
use crate::transport::http::extract::{Granted, Known};
use crate::transport::http::{resource, wire};

/// Mounts the stats of a queue.
pub fn routes(config: &mut ServiceConfig) {
    let stats = resource::<Known<QueueKey>>("/v2/queues/{queue}/stats", "GET");
    config.service(stats.route(web::get().to(get)));
}

/// Counts, and both ends of the queue.
async fn get(
    service: Data<Service>,
    Granted { permit: queue, .. }: Granted<GetQueueStats>,
) -> Result<HttpResponse, ApiError> {
    let stats = service.queue_stats(&queue).await.during("Queue stats could not be read.")?;
    Ok(wire::json(StatusCode::OK, wire::stats(&queue.name, &stats, service.now())))
}
