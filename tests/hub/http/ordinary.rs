//! Streams that are no plain TCP sockets to the hub, as with TLS; and MQTT inside WebSockets.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use lockstep::http::{BoxFuture, ByteStream, MqttConnection};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::rig::Rig;

/// Something that is a stream and no `TcpStream`.
fn wrap(stream: TcpStream) -> BoxFuture<std::io::Result<Box<dyn ByteStream>>> {
    Box::pin(async move { Ok(Box::new(BufStream::new(stream)) as Box<dyn ByteStream>) })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bridge_works_over_any_stream() {
    let rig = Rig::start_on(Some(Arc::new(wrap))).await;
    for i in 0..2000 {
        rig.publish(&format!("many/{i:04}"), &"x".repeat(200), true).await;
    }
    let mut browser = rig.browser().await;
    let (topics, page) = browser.subscribe_to(&["many/#"]).await;
    assert_eq!((topics.len(), page["page"].clone()), (2000, json!(3)));
    browser.send(json!({"type": "pub", "topic": "many/0000", "payload": 1, "retain": true, "ref": "r"})).await;
    let (mut acked, mut seen) = (false, false);
    while !(acked && seen) {
        let frame = browser.frame().await;
        acked |= frame["type"] == "ack";
        seen |= frame["type"] == "msg" && frame["payload"] == 1;
    }
    rig.http.stop().await;
    assert_eq!(browser.close_code().await, 1001);
}

#[tokio::test(flavor = "multi_thread")]
async fn mqtt_comes_out_of_its_frames_with_the_headers_beside_it() {
    async fn echo(mut connection: MqttConnection) {
        let user = connection.headers.iter().find(|(name, _)| name == "x-user").map(|(_, value)| value.clone());
        connection.stream.write_all(&user.unwrap_or_default()).await.unwrap();
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = connection.stream.read(&mut bytes).await {
            connection.stream.write_all(&bytes[..count]).await.unwrap();
            connection.stream.flush().await.unwrap();
        }
    }
    let rig =
        Rig::start_with(|settings| settings.mqtt_ws = Some(Arc::new(|connection| Box::pin(echo(connection))))).await;
    let mut request = format!("ws://{}/mqtt", rig.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "mqttv3.1, mqtt".parse().unwrap());
    request.headers_mut().insert("x-user", "anna".parse().unwrap());
    let (mut socket, answer) = connect_async(request).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "mqtt");
    socket.send(Message::binary(b"hello".to_vec())).await.unwrap();
    let mut got = Vec::new();
    while got.len() < 9 {
        got.extend_from_slice(&socket.next().await.unwrap().unwrap().into_data());
    }
    assert_eq!(got, b"annahello");
    let plain = Rig::start().await;
    assert!(plain.get("/mqtt").await.starts_with("HTTP/1.1 404 "));
}
