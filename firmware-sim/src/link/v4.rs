//! One connection by MQTT 3.1.1.

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, Incoming, LastWill, MqttOptions, NetworkOptions, Outgoing,
    QoS, StateError,
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
    options.set_clean_session(true);
    let bytes_max = usize::try_from(PACKET_BYTES_MAX).unwrap_or(usize::MAX);
    options.set_max_packet_size(bytes_max, bytes_max);
    options.set_inflight(IN_FLIGHT_MAX);
    options.set_last_will(LastWill::new(&login.will_topic, "offline", QoS::AtLeastOnce, true));
    if let Some((user, password)) = &login.user {
        options.set_credentials(user, password);
    }
    if let Some(transport) = super::transport(tls, login) {
        options.set_transport(transport);
    }
    let (client, mut connection) = AsyncClient::new(options, PUBLISHES_MAX);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    network.set_connection_timeout(CONNECT_WITHIN.as_secs());
    connection.set_network_options(network);
    let sent = Sent::default();
    let mut on_wire = OnWire::new(sent.clone());
    let mut connected = false;
    loop {
        let event = match connection.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                connected = true;
                let publisher = Publisher { client: Client::V4(client.clone()), sent: sent.clone() };
                Some(LinkEvent::Connected { protocol: 4, publisher })
            }
            Ok(Event::Incoming(Incoming::Publish(message))) => {
                Some(LinkEvent::Message { topic: message.topic, payload: message.payload.to_vec() })
            }
            Ok(Event::Outgoing(Outgoing::Publish(packet_id))) => {
                on_wire.went_out(packet_id);
                None
            }
            Ok(Event::Incoming(Incoming::PubAck(ack))) => {
                on_wire.acknowledged(ack.pkid).map(|token| LinkEvent::Acknowledged { token, refused: None })
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
        ConnectionError::ConnectionRefused(code) => match code {
            Code::RefusedProtocolVersion => ("the broker does not know MQTT 3.1.1".to_owned(), Why::Version),
            Code::BadUserNamePassword | Code::NotAuthorized => (super::REFUSED.to_owned(), Why::Refused),
            other => (format!("the hub refused the connection: {other:?}"), Why::Other),
        },
        ConnectionError::Io(e) | ConnectionError::MqttState(StateError::Io(e)) => {
            // 3.1.1 is only tried after 5: when this fails too, 5 gets its turn again.
            (super::io_reason(e), if connected { Why::Other } else { Why::Version })
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) if connected => {
            (super::CLOSED.to_owned(), Why::Other)
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => (super::SILENT.to_owned(), Why::Other),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            ("no answer in time".to_owned(), Why::Version)
        }
        other => (other.to_string(), if connected { Why::Other } else { Why::Version }),
    };
    End { reason, why }
}
