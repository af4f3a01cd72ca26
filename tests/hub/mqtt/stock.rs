//! Clients that people use: rumqttc here; mosquitto, paho and mqtt.js are in `tests/interop`.

use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};

use super::rig::{LIMIT, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn rumqttc_publishes_and_subscribes() {
    let rig = Rig::start().await;
    let mut options = MqttOptions::new("stock", "127.0.0.1", rig.port);
    options.set_keep_alive(Duration::from_secs(5));
    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe("lockstep/main/slider1/value", QoS::ExactlyOnce).await.unwrap();
    client.publish("lockstep/main/slider1/set", QoS::ExactlyOnce, false, "42").await.unwrap();
    let seen = async {
        loop {
            if let Event::Incoming(Packet::Publish(publish)) = events.poll().await.unwrap()
                && publish.payload == "42"
            {
                return publish.topic;
            }
        }
    };
    assert_eq!(tokio::time::timeout(LIMIT, seen).await.unwrap(), "lockstep/main/slider1/value");
}
