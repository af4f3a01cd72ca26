//! The figures of `/metrics`: which there are, of which type, and what they tell.
//!
//! Whoever counts does so by name, where it happens; this list says what the names mean, and `docs/metrics.md` says the same
//! for people. The exporter's types stay in here.

use std::{fmt, time::Duration};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

use crate::domain::rejection::Code;

/// How often what was measured is put into its buckets; it piles up until then.
const SORT_EVERY: Duration = Duration::from_secs(10);

/// The buckets of everything that takes time, in seconds: from a round trip in memory to a disk that hangs.
const BUCKETS_SECONDS: [f64; 14] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The type of a figure, as Prometheus knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, from 0 at the start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How often something took how long.
    Histogram,
}

/// One figure, or one for each value of its label.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// The label that tells its parts apart, with the values that are shown from the start; other labels may come up later.
    pub label: Option<(&'static str, &'static [&'static str])>,
    /// What it tells, with its unit.
    pub help: &'static str,
}

const fn figure(name: &'static str, kind: Kind, help: &'static str) -> Figure {
    Figure { name, kind, label: None, help }
}

const fn by(
    name: &'static str,
    kind: Kind,
    label: &'static str,
    values: &'static [&'static str],
    help: &'static str,
) -> Figure {
    Figure { name, kind, label: Some((label, values)), help }
}

use Kind::{Counter, Gauge, Histogram};

/// Every figure.
pub const FIGURES: &[Figure] = &[
    by(
        "lockstep_connections",
        Gauge,
        "kind",
        &["http", "mqtt", "websocket", "stream", "socketio"],
        "Connections now: HTTP as long as it is HTTP, MQTT over every transport, browsers by WebSocket and by event stream, Socket.IO clients.",
    ),
    figure("lockstep_publications_total", Counter, "Publications since the start, what the hub itself says included."),
    figure("lockstep_retained_topics", Gauge, "Topics with a retained value."),
    figure("lockstep_retained_bytes", Gauge, "Bytes of all retained values."),
    figure(
        "lockstep_engine_credit_used_ratio",
        Gauge,
        "How much of what clients may have under way is under way: 0 to 1.",
    ),
    by(
        "lockstep_queue_length",
        Gauge,
        "queue",
        &["inbox", "journal", "router", "browsers", "socketio", "discovery", "link"],
        "What waits: messages for the engine, batches for everybody who reads from it.",
    ),
    by(
        "lockstep_rejections_total",
        Counter,
        "code",
        &[],
        "Commands and publishes that were rejected, by the code of the reason.",
    ),
    figure("lockstep_login_failures_total", Counter, "Logins with a wrong name or password, over every protocol."),
    figure("lockstep_logins", Gauge, "Who is logged in: browsers and scripts with a token."),
    figure(
        "lockstep_logins_displaced_total",
        Counter,
        "Logins that ended because their user, or all users together, had too many.",
    ),
    figure(
        "lockstep_journal_commit_seconds",
        Histogram,
        "How long writing to the disk took, from handing over to done.",
    ),
    figure("lockstep_journal_failures_total", Counter, "Times that the journal could not be written."),
    figure("lockstep_journal_session_messages", Gauge, "Messages on disk that wait for MQTT sessions."),
    figure("lockstep_browser_deliveries_total", Counter, "Publications brought to browsers."),
    figure(
        "lockstep_browser_coalesced_total",
        Counter,
        "Values that a slow browser was not sent, because a newer one took their place.",
    ),
    figure(
        "lockstep_browser_events_lost_total",
        Counter,
        "Events that were dropped for slow browsers, which were told so.",
    ),
    figure("lockstep_browser_stalls_total", Counter, "Times that a browser's socket was full."),
    figure(
        "lockstep_browser_cut_total",
        Counter,
        "Browsers that were cut off: they took nothing for too long, or asked without reading.",
    ),
    figure("lockstep_browsers_behind", Gauge, "Browsers that have not got everything yet."),
    figure("lockstep_mqtt_sessions", Gauge, "MQTT sessions, those without a connection included."),
    figure("lockstep_mqtt_lasting_sessions", Gauge, "MQTT sessions that outlast their connection and the hub."),
    figure("lockstep_mqtt_subscriptions", Gauge, "Filters of all MQTT sessions."),
    figure("lockstep_mqtt_received_total", Counter, "Publishes that MQTT clients sent."),
    figure("lockstep_mqtt_deliveries_total", Counter, "Publications brought to MQTT clients."),
    figure(
        "lockstep_mqtt_dropped_total",
        Counter,
        "Messages that were dropped for MQTT clients that were too slow or away for too long.",
    ),
    figure("lockstep_mqtt_queue_bytes", Gauge, "Bytes that wait for MQTT clients."),
    by(
        "lockstep_mqtt_denied_total",
        Counter,
        "action",
        &["connect", "publish", "response", "subscribe", "will"],
        "What MQTT clients were not allowed to do.",
    ),
    by(
        "lockstep_mqtt_disconnect_total",
        Counter,
        "reason",
        &[],
        "MQTT connections that the hub ended, by the reason that it gave.",
    ),
    by("lockstep_mqtt_limit_total", Counter, "limit", &[], "Times that a limit of the MQTT side was met."),
    figure("lockstep_router_round_trip_seconds", Histogram, "How long the MQTT router took to answer."),
    figure("lockstep_mqtt_router_replaced_total", Counter, "Times that the MQTT router was replaced."),
];

/// Keeps the figures of this process.
#[derive(Clone)]
pub struct Figures(PrometheusHandle);

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl Figures {
    /// Begins to keep figures. What was counted before is lost, so call it first, and once in a process.
    ///
    /// # Errors
    /// Figures are kept already.
    pub fn keep() -> Result<Self, BuildError> {
        let figures = Self(PrometheusBuilder::new().set_buckets(&BUCKETS_SECONDS)?.install_recorder()?);
        for figure in FIGURES {
            show(figure);
        }
        for code in Code::ALL {
            metrics::counter!("lockstep_rejections_total", "code" => code.as_str()).increment(0);
        }
        Ok(figures)
    }

    /// Sorts what was measured into buckets, again and again, so that it does not pile up where nobody asks. Never returns.
    pub async fn sort(self) {
        loop {
            tokio::time::sleep(SORT_EVERY).await;
            self.0.run_upkeep();
        }
    }

    /// All figures, in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Counts a rejection.
pub fn rejected(code: Code) {
    metrics::counter!("lockstep_rejections_total", "code" => code.as_str()).increment(1);
}

/// Tells what a figure means, and lets it appear before anything was counted.
fn show(figure: &Figure) {
    let name = figure.name;
    let parts: Vec<Vec<metrics::Label>> = match figure.label {
        None => vec![Vec::new()],
        Some((label, values)) => values.iter().map(|value| vec![metrics::Label::new(label, *value)]).collect(),
    };
    match figure.kind {
        Kind::Counter => metrics::describe_counter!(name, figure.help),
        Kind::Gauge => metrics::describe_gauge!(name, figure.help),
        Kind::Histogram => metrics::describe_histogram!(name, figure.help),
    }
    for labels in parts {
        match figure.kind {
            Kind::Counter => metrics::counter!(name, labels).increment(0),
            Kind::Gauge => metrics::gauge!(name, labels).set(0.0),
            Kind::Histogram => drop(metrics::histogram!(name, labels)),
        }
    }
}

/// Something that is counted in a gauge for as long as it lives.
#[derive(Debug)]
pub struct Counted(metrics::Gauge);

impl Counted {
    /// A connection of `kind`.
    #[must_use]
    pub fn connection(kind: &'static str) -> Self {
        let gauge = metrics::gauge!("lockstep_connections", "kind" => kind);
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_documented_as_they_are() {
        let documented: Vec<Vec<&str>> = include_str!("../docs/metrics.md")
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect())
            .collect();
        let kinds = |kind| match kind {
            Counter => "counter",
            Gauge => "gauge",
            Histogram => "histogram",
        };
        let listed: Vec<Vec<&str>> = FIGURES
            .iter()
            .map(|f| vec![f.name, kinds(f.kind), f.label.map_or("", |(label, _)| label), f.help])
            .collect();
        assert_eq!(documented, listed);
    }
}
