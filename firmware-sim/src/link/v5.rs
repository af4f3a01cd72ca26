//! One connection by MQTT 5.

use rumqttc::{
    NetworkOptions, Outgoing,
    v5::{
        AsyncClient, ConnectionError, Event, Incoming, MqttOptions, StateError,
        mqttbytes::{
            QoS,
            v5::{ConnectReturnCode, DisconnectReasonCode, LastWill, PubAckReason},
        },
    },
};
use tokio::sync::mpsc;

use super::{
    CONNECT_WITHIN, Client, End, IN_FLIGHT_MAX, LinkEvent, Login, OnWire, PACKET_BYTES_MAX, PUBLISHES_MAX, Publisher,
    Sent, Why,
};

/// Connects and serves until the connection ends.
pub(super) async fn session(host: &str, port: u16, tls: bool, login: &Login, tell: &mpsc::Sender<LinkEvent>) -> End {
    let mut options = MqttOptions::new(&login.client_id, host, port);
    options.set_keep_alive(login.keep_alive);
    options.set_clean_start(true);
    options.set_connection_timeout(CONNECT_WITHIN.as_secs());
    options.set_max_packet_size(Some(PACKET_BYTES_MAX));
    options.set_outgoing_inflight_upper_limit(IN_FLIGHT_MAX);
    options.set_last_will(LastWill::new(&login.will_topic, "offline", QoS::AtLeastOnce, true, None));
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_WITHIN.as_secs());
    options.set_network_options(network);
    if let Some((user, password)) = &login.user {
        options.set_credentials(user, password);
    }
    if let Some(transport) = super::transport(tls, login) {
        options.set_transport(transport);
    }
    let (client, mut connection) = AsyncClient::new(options, PUBLISHES_MAX);
    let sent = Sent::default();
    let mut on_wire = OnWire::new(sent.clone());
    let mut connected = false;
    loop {
        let event = match connection.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                connected = true;
                let publisher = Publisher { client: Client::V5(client.clone()), sent: sent.clone() };
                Some(LinkEvent::Connected { protocol: 5, publisher })
            }
            Ok(Event::Incoming(Incoming::Publish(message))) => std::str::from_utf8(&message.topic)
                .ok()
                .map(|topic| LinkEvent::Message { topic: topic.to_owned(), payload: message.payload.to_vec() }),
            Ok(Event::Outgoing(Outgoing::Publish(packet_id))) => {
                on_wire.went_out(packet_id);
                None
            }
            Ok(Event::Incoming(Incoming::PubAck(ack))) => {
                let fine = matches!(ack.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers);
                let said = ack.properties.and_then(|properties| properties.reason_string);
                let refused = (!fine).then(|| said.unwrap_or_else(|| format!("the hub refused it: {:?}", ack.reason)));
                on_wire.acknowledged(ack.pkid).map(|token| LinkEvent::Acknowledged { token, refused })
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => {
                return End { reason: "stopped".to_owned(), why: Why::Stopped };
            }
            Ok(_) => None,
            Err(e) => return end(&e, connected),
        };
        if let Some(event) = event
            && tell.send(event).await.is_err()
        {
            return End { reason: "stopped".to_owned(), why: Why::Stopped };
        }
    }
}

fn end(error: &ConnectionError, connected: bool) -> End {
    use ConnectReturnCode as Code;
    let (reason, why) = match error {
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, reason_string }) => {
            let taken = *reason_code == DisconnectReasonCode::SessionTakenOver;
            let reason = if taken {
                super::TAKEN_OVER.to_owned()
            } else {
                let said = reason_string.clone().unwrap_or_else(|| format!("{reason_code:?}"));
                format!("the hub ended the connection: {said}")
            };
            (reason, if taken { Why::TakenOver } else { Why::Other })
        }
        ConnectionError::ConnectionRefused(code) => match code {
            Code::UnsupportedProtocolVersion | Code::RefusedProtocolVersion => {
                ("the broker does not know MQTT 5".to_owned(), Why::Version)
            }
            Code::BadUserNamePassword | Code::NotAuthorized => (super::REFUSED.to_owned(), Why::Refused),
            other => (format!("the hub refused the connection: {other:?}"), Why::Other),
        },
        ConnectionError::Io(e) if connected || is_network(e) => (super::io_reason(e), Why::Other),
        ConnectionError::MqttState(StateError::Io(e)) if connected => (super::io_reason(e), Why::Other),
        ConnectionError::MqttState(StateError::ConnectionAborted) if connected => {
            (super::CLOSED.to_owned(), Why::Other)
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => (super::SILENT.to_owned(), Why::Other),
        ConnectionError::Timeout(_) => ("no answer in time".to_owned(), Why::Other),
        // An answer that is no MQTT 5, or none but a closed connection: what a 3.1.1 broker does.
        other if !connected => (format!("no MQTT 5 connection: {other}"), Why::Version),
        other => (other.to_string(), Why::Other),
    };
    End { reason, why }
}

/// Whether it never came to MQTT at all.
fn is_network(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    !matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::UnexpectedEof | Kind::InvalidData)
}
