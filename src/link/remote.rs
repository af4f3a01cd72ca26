//! One end of a link: a connection to a broker with rumqttc, MQTT 5 where the broker speaks it, else 3.1.1.
//!
//! Safety: a message handed in is sent in the connection that was up when it was handed in, or not at all. Liveness: as long as the
//! end runs, it connects again, with growing pauses of random length.
//!
//! What is mirrored does not belong here.

use std::{future::Future, io, sync::Arc, time::Duration};

use bytes::Bytes;
use rumqttc::{Transport, v5};
use tokio::sync::mpsc;
use tokio_rustls::rustls::ClientConfig;

use super::mirror::Message;
use crate::{
    address::{Address, Credentials},
    domain::publication::{BOOT, Qos},
};

/// The user property by which a link knows its own messages.
pub(super) const STAMP: &str = "lockstep-link";

/// The largest packet in either direction, in bytes.
const PACKET_BYTES_MAX: u32 = 1 << 20;
/// How many messages may be under way unacknowledged.
const IN_FLIGHT_MAX: u16 = 100;
/// How long a connection may take to come about.
const CONNECT_TIMEOUT_S: u64 = 10;
/// How long without a sign of life before the connection counts as lost, at half of it a ping is sent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The first pause before connecting again, and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A connection that lasted this long was a good one: the pause starts small again.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// What an end tells.
#[derive(Debug)]
pub(super) enum Heard {
    /// It is connected, and its subscriptions are asked for; what is retained comes next.
    Up {
        /// `5` or `3.1.1`.
        protocol: &'static str,
        /// Which start of which hub it is, where it is a hub that tells.
        boot: Option<String>,
    },
    /// It is not connected any more, or could not connect.
    Down {
        /// Why, for people.
        reason: String,
    },
    /// A message came.
    Message(Message),
}

/// Which protocol to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// MQTT 5, and 3.1.1 where the broker refuses it.
    #[default]
    Auto,
    /// MQTT 5 only.
    V5,
    /// MQTT 3.1.1 only.
    V311,
}

/// What to connect to, and as whom.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) address: Address,
    pub(super) client_id: String,
    pub(super) credentials: Option<Credentials>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) protocol: Protocol,
    pub(super) filters: Vec<String>,
    pub(super) will: Message,
    /// What the stamp says; none for an end whose messages need none.
    pub(super) stamp: Option<String>,
    /// Whether live messages tell if they are retained (MQTT 5 only).
    pub(super) retain_as_published: bool,
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the broker does not speak MQTT 5")]
    NotV5,
    #[error("{}", plain(.0))]
    V5(#[source] Box<v5::ConnectionError>),
    #[error("{}", plain_v4(.0))]
    V4(#[source] Box<rumqttc::ConnectionError>),
    #[error("the subscriptions were refused")]
    Refused,
    #[error("the link stops")]
    Stopped,
}

impl Remote {
    /// Connects, and again whenever the connection is lost, until `heard` or `say` is closed.
    pub(super) async fn run(self, heard: mpsc::Sender<Heard>, mut say: mpsc::Receiver<Message>) {
        let mut pause = PAUSE_MIN;
        let mut v5 = self.protocol != Protocol::V311;
        loop {
            let began = tokio::time::Instant::now();
            let end = if v5 { self.speak_v5(&heard, &mut say).await } else { self.speak_v4(&heard, &mut say).await };
            match end {
                Broken::Stopped => return,
                Broken::NotV5 if self.protocol == Protocol::Auto => {
                    v5 = false;
                    continue;
                }
                broken => {
                    // A broker that was replaced may speak MQTT 5 now.
                    v5 = self.protocol != Protocol::V311;
                    if heard.send(Heard::Down { reason: broken.to_string() }).await.is_err() {
                        return;
                    }
                }
            }
            // What was to be said in the connection that is lost is not said in another one.
            while say.try_recv().is_ok() {}
            if began.elapsed() >= GOOD_AFTER {
                pause = PAUSE_MIN;
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(pause)) => {}
                () = heard.closed() => return,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn speak_v5(&self, heard: &mpsc::Sender<Heard>, say: &mut mpsc::Receiver<Message>) -> Broken {
        let mut options = v5::MqttOptions::new(&self.client_id, &self.address.host, self.address.port);
        options
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_start(true)
            .set_connection_timeout(CONNECT_TIMEOUT_S)
            .set_outgoing_inflight_upper_limit(IN_FLIGHT_MAX)
            .set_max_packet_size(Some(PACKET_BYTES_MAX))
            .set_transport(self.transport());
        let will = v5::mqttbytes::v5::LastWill::new(
            &self.will.topic,
            self.will.payload.to_vec(),
            v5_qos(self.will.qos),
            true,
            None,
        );
        options.set_last_will(will);
        if let Some(credentials) = &self.credentials {
            options.set_credentials(&credentials.user, &credentials.password);
        }
        let (client, mut events) = v5::AsyncClient::new(options, 1);
        let connected = tokio::select! {
            connected = events.poll() => connected,
            () = heard.closed() => return Broken::Stopped,
        };
        let boot = match connected {
            Ok(v5::Event::Incoming(v5::Incoming::ConnAck(ack))) => boot_of(ack),
            Ok(_) => None,
            Err(v5::ConnectionError::ConnectionRefused(
                v5::mqttbytes::v5::ConnectReturnCode::UnsupportedProtocolVersion
                | v5::mqttbytes::v5::ConnectReturnCode::RefusedProtocolVersion,
            )) => return Broken::NotV5,
            // A broker of before 2019 closes the connection, or answers in a form that cannot be read as version 5.
            Err(v5::ConnectionError::Io(e)) if old_broker(&e) => return Broken::NotV5,
            Err(v5::ConnectionError::MqttState(v5::StateError::Deserialization(_))) => return Broken::NotV5,
            Err(e) => return Broken::V5(Box::new(e)),
        };
        let filters = self.filters.iter().map(|filter| v5::mqttbytes::v5::Filter {
            preserve_retain: self.retain_as_published,
            ..v5::mqttbytes::v5::Filter::new(filter, v5::mqttbytes::QoS::AtLeastOnce)
        });
        let subscribe = client.subscribe_many(filters.collect::<Vec<_>>());
        let writing = async {
            if subscribe.await.is_err() || heard.send(Heard::Up { protocol: "5", boot }).await.is_err() {
                return Broken::Stopped;
            }
            while let Some(message) = say.recv().await {
                let properties = v5::mqttbytes::v5::PublishProperties {
                    user_properties: self.stamp.iter().map(|stamp| (STAMP.to_owned(), stamp.clone())).collect(),
                    ..Default::default()
                };
                let qos = v5_qos(message.qos);
                let sent =
                    client.publish_with_properties(message.topic, qos, message.retain, message.payload, properties);
                if sent.await.is_err() {
                    break;
                }
            }
            farewell(client.disconnect()).await
        };
        let reading = async {
            loop {
                match events.poll().await {
                    Ok(v5::Event::Incoming(v5::Incoming::Publish(publish))) => {
                        let stamped = publish.properties.as_ref().is_some_and(|properties| {
                            properties
                                .user_properties
                                .iter()
                                .any(|(name, value)| name == STAMP && Some(value) == self.stamp.as_ref())
                        });
                        let Ok(topic) = String::from_utf8(publish.topic.to_vec()) else { continue };
                        let message = message(topic, publish.payload, publish.retain, publish.qos as u8, stamped);
                        if heard.send(Heard::Message(message)).await.is_err() {
                            return Broken::Stopped;
                        }
                    }
                    Ok(v5::Event::Incoming(v5::Incoming::SubAck(ack))) => {
                        use v5::mqttbytes::v5::SubscribeReasonCode;
                        if !ack.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_))) {
                            return Broken::Refused;
                        }
                    }
                    Ok(_) => {}
                    Err(e) => return Broken::V5(Box::new(e)),
                }
            }
        };
        first(writing, reading).await
    }

    async fn speak_v4(&self, heard: &mpsc::Sender<Heard>, say: &mut mpsc::Receiver<Message>) -> Broken {
        let mut options = rumqttc::MqttOptions::new(&self.client_id, &self.address.host, self.address.port);
        let packet_bytes_max = PACKET_BYTES_MAX as usize;
        options
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_session(true)
            .set_inflight(IN_FLIGHT_MAX)
            .set_max_packet_size(packet_bytes_max, packet_bytes_max)
            .set_transport(self.transport());
        options.set_last_will(rumqttc::LastWill::new(
            &self.will.topic,
            self.will.payload.to_vec(),
            v4_qos(self.will.qos),
            true,
        ));
        if let Some(credentials) = &self.credentials {
            options.set_credentials(&credentials.user, &credentials.password);
        }
        let (client, mut events) = rumqttc::AsyncClient::new(options, 1);
        let mut network = rumqttc::NetworkOptions::new();
        network.set_connection_timeout(CONNECT_TIMEOUT_S);
        events.set_network_options(network);
        let connected = tokio::select! {
            connected = events.poll() => connected,
            () = heard.closed() => return Broken::Stopped,
        };
        if let Err(e) = connected {
            return Broken::V4(Box::new(e));
        }
        let filters =
            self.filters.iter().map(|filter| rumqttc::SubscribeFilter::new(filter.clone(), rumqttc::QoS::AtLeastOnce));
        let subscribe = client.subscribe_many(filters.collect::<Vec<_>>());
        let writing = async {
            if subscribe.await.is_err() || heard.send(Heard::Up { protocol: "3.1.1", boot: None }).await.is_err() {
                return Broken::Stopped;
            }
            while let Some(message) = say.recv().await {
                let sent = client.publish_bytes(message.topic, v4_qos(message.qos), message.retain, message.payload);
                if sent.await.is_err() {
                    break;
                }
            }
            farewell(client.disconnect()).await
        };
        let reading = async {
            loop {
                match events.poll().await {
                    Ok(rumqttc::Event::Incoming(rumqttc::Packet::Publish(publish))) => {
                        let message = message(publish.topic, publish.payload, publish.retain, publish.qos as u8, false);
                        if heard.send(Heard::Message(message)).await.is_err() {
                            return Broken::Stopped;
                        }
                    }
                    Ok(rumqttc::Event::Incoming(rumqttc::Packet::SubAck(ack))) => {
                        use rumqttc::SubscribeReasonCode;
                        if !ack.return_codes.iter().all(|code| matches!(code, SubscribeReasonCode::Success(_))) {
                            return Broken::Refused;
                        }
                    }
                    Ok(_) => {}
                    Err(e) => return Broken::V4(Box::new(e)),
                }
            }
        };
        first(writing, reading).await
    }

    fn transport(&self) -> Transport {
        match &self.tls {
            Some(config) => Transport::tls_with_config(rumqttc::TlsConfiguration::Rustls(Arc::clone(config))),
            None => Transport::Tcp,
        }
    }
}

/// Runs writing and reading side by side until one of them ends. Once nothing more is to be said, reading goes on until the broker
/// has the farewell, and no longer.
async fn first(writing: impl Future<Output = Broken>, reading: impl Future<Output = Broken>) -> Broken {
    tokio::pin!(writing, reading);
    tokio::select! {
        end = &mut reading => return end,
        end = &mut writing => drop(end),
    }
    // The client asked to disconnect: the event loop sends it and what waits before it, and ends with an error.
    let _ = tokio::time::timeout(Duration::from_secs(1), reading).await;
    Broken::Stopped
}

async fn farewell<E>(disconnect: impl Future<Output = Result<(), E>>) -> Broken {
    // A connection that is gone needs no farewell.
    let _ = disconnect.await;
    Broken::Stopped
}

fn boot_of(ack: v5::mqttbytes::v5::ConnAck) -> Option<String> {
    let properties = ack.properties?.user_properties;
    properties.into_iter().find(|(name, _)| name == BOOT).map(|(_, boot)| boot)
}

fn message(topic: String, payload: Bytes, retain: bool, qos: u8, stamped: bool) -> Message {
    let qos = match qos {
        0 => Qos::AtMostOnce,
        1 => Qos::AtLeastOnce,
        _ => Qos::ExactlyOnce,
    };
    Message { topic, payload, retain, qos, stamped }
}

/// A link sends with QoS 1 at the most: levels may arrive twice, and a command over an unreliable link should not stop the rest.
const fn v5_qos(qos: Qos) -> v5::mqttbytes::QoS {
    match qos {
        Qos::AtMostOnce => v5::mqttbytes::QoS::AtMostOnce,
        _ => v5::mqttbytes::QoS::AtLeastOnce,
    }
}

const fn v4_qos(qos: Qos) -> rumqttc::QoS {
    match qos {
        Qos::AtMostOnce => rumqttc::QoS::AtMostOnce,
        _ => rumqttc::QoS::AtLeastOnce,
    }
}

fn old_broker(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::InvalidData)
}

fn plain(error: &v5::ConnectionError) -> String {
    match error {
        v5::ConnectionError::ConnectionRefused(code) => format!("the broker refused the connection: {code:?}"),
        v5::ConnectionError::Timeout(_) => "no answer".to_owned(),
        v5::ConnectionError::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}

fn plain_v4(error: &rumqttc::ConnectionError) -> String {
    match error {
        rumqttc::ConnectionError::ConnectionRefused(code) => format!("the broker refused the connection: {code:?}"),
        rumqttc::ConnectionError::NetworkTimeout | rumqttc::ConnectionError::FlushTimeout => "no answer".to_owned(),
        rumqttc::ConnectionError::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}

/// Half of `pause` to all of it, at random.
fn jittered(pause: Duration) -> Duration {
    let mut bytes = [0; 4];
    // Without a random number it is the half.
    let _ = getrandom::fill(&mut bytes);
    pause.mul_f64(0.5 + f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX) / 2.0)
}
