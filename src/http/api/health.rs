//! Health: alive, ready, figures.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    domain::{origin::Origin, publication::Publish, topic::Topic},
    engine::Lane,
    http::{Shared, access::Access, problem::Problem},
};

/// How long a publish may take through everything.
const READY_WITHIN: Duration = Duration::from_secs(2);
/// Where the publish of a readiness check goes: beside every filter that does not name it.
const PROBE_TOPIC: &str = "$lockstep/ready";

/// Whether the hub is alive.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, content_type = "text/plain", body = String)))]
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// A hub that is ready.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    ready: bool,
    /// What was tried: `engine`, `fanout`, and `router` where there is one.
    checked: Vec<&'static str>,
}

/// Whether a publish really gets through the inbox, the engine, the fan-out and the router.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200, body = Ready), (status = 503, body = Problem)))]
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Result<Json<Ready>, Problem> {
    // One at a time, so that whoever asks often cannot make the hub work.
    let _turn = shared.probing.lock().await;
    let mut checked = vec!["engine"];
    let probing = async {
        let topic = Topic::parse(PROBE_TOPIC).map_err(|e| e.to_string())?;
        let publish = Publish::new(topic, "ready?", Origin::Hub);
        let accepted = shared.engine.publish(Lane::Hub, publish).await.map_err(|rejection| rejection.message)?;
        checked.push("fanout");
        if !shared.fanout.reached(accepted.seq).await {
            return Err("the hub is stopping".to_owned());
        }
        if let Some(probe) = &shared.settings.router_probe {
            checked.push("router");
            probe().await?;
        }
        Ok(())
    };
    let outcome =
        tokio::time::timeout(READY_WITHIN, probing).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
    match outcome {
        Ok(()) => Ok(Json(Ready { ready: true, checked })),
        Err(reason) => {
            let at = checked.last().copied().unwrap_or_default();
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("Not ready, at the {at}: {reason}.")))
        }
    }
}

/// The figures, in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses((status = 200, content_type = "text/plain", body = String), (status = 401, body = Problem), (status = 404, body = Problem)),
)]
pub(super) async fn metrics(State(shared): State<Arc<Shared>>, _: Access) -> Result<Response, Problem> {
    let nothing = || Problem::new(StatusCode::NOT_FOUND, "Figures are turned off.");
    let text = shared.settings.metrics.clone().ok_or_else(nothing)?;
    metrics::gauge!("lockstep_engine_credit_used_ratio").set(shared.engine.credit_used());
    metrics::gauge!("lockstep_logins").set(shared.settings.logins.count() as f64);
    if let Ok(sizes) = shared.engine.sizes().await {
        metrics::gauge!("lockstep_retained_topics").set(sizes.retained as f64);
        metrics::gauge!("lockstep_retained_bytes").set(sizes.retained_bytes as f64);
        metrics::counter!("lockstep_publications_total").absolute(sizes.seq);
        for (queue, length) in sizes.queues {
            metrics::gauge!("lockstep_queue_length", "queue" => queue).set(length as f64);
        }
    }
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text()).into_response())
}
