//! MQTT over secure WebSockets (MQTT 5 §6), at the very binary.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use super::{client::Client, packets::Connect};
use crate::support::Hub;

/// A hub with certificates of its own authority, and where its page listens with TLS.
struct Secure {
    hub: Hub,
    address: String,
    connector: TlsConnector,
    _folder: tempfile::TempDir,
}

impl Secure {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = std::process::Command::new(env!("CARGO_BIN_EXE_lockstep"))
            .args(["tls", "init", "--data-dir"])
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let hub = Hub::start_in(folder.path(), "127.0.0.1:0", &["--set", "http.listen_tls=127.0.0.1:0"]);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(folder.path().join("tls/ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let connector = TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()));
        let address = hub.ready["http_tls"].as_str().expect("where the page listens with TLS").to_owned();
        Self { hub, address, connector, _folder: folder }
    }

    /// The handshakes of TLS and WebSocket, with the subprotocol that is offered.
    async fn open(&self, subprotocol: &str) -> Result<WebSocketStream<TlsStream<TcpStream>>, u16> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let stream = self.connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
        let mut request = format!("wss://{}/mqtt", self.address).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", subprotocol.parse().unwrap());
        match client_async(request, stream).await {
            Ok((socket, answer)) => {
                assert_eq!(answer.headers()["sec-websocket-protocol"], subprotocol);
                Ok(socket)
            }
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(e) => panic!("{e}"),
        }
    }

    async fn client(&self, v5: bool) -> Client {
        let (near, far) = tokio::io::duplex(1 << 16);
        let socket = self.open(if v5 { "mqtt" } else { "mqttv3.1" }).await.expect("a WebSocket");
        tokio::spawn(carry(socket, far));
        Client::over(near, v5)
    }
}

/// Carries bytes in binary frames, cut where it pleases: packets need not begin with a frame (MQTT 5 §6.0.0-2).
async fn carry(socket: WebSocketStream<TlsStream<TcpStream>>, pipe: DuplexStream) {
    let (mut sink, mut source) = socket.split();
    let (mut reader, mut writer) = tokio::io::split(pipe);
    let outwards = async {
        let mut buffer = vec![0; 1_000];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            if sink.send(Message::binary(buffer[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let inwards = async {
        while let Some(Ok(message)) = source.next().await {
            match message {
                Message::Binary(bytes) => writer.write_all(&bytes).await.unwrap(),
                Message::Close(_) => return,
                other => panic!("the hub sent {other:?}"),
            }
        }
    };
    tokio::select! {
        () = outwards => {}
        () = inwards => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secure_websocket_carries_both_versions() {
    let secure = Secure::start();
    let mut plain = Client::open(secure.hub.mqtt_port(), true).await;
    assert_eq!(plain.connect(&Connect::v5("plain")).await.reason, 0);
    plain.subscribe("wss/+", 2).await;
    for v5 in [true, false] {
        let mut client = secure.client(v5).await;
        let connect = if v5 { Connect::v5("wss") } else { Connect::v311("wss") };
        assert_eq!(client.connect(&connect).await.reason, 0);
        client.subscribe("wss/t", 2).await;
        for qos in 0..=2 {
            // Many frames and TLS records long.
            let long = format!("{qos}{}", "x".repeat(100_000));
            client.publish("wss/t", &long, qos, false).await;
            for reader in [&mut client, &mut plain] {
                let message = reader.message().await;
                assert_eq!((message.topic.as_str(), message.qos), ("wss/t", qos));
                assert!(message.text() == long, "the payload of QoS {qos} is another one");
            }
        }
        client.ping().await;
        client.disconnect().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_for_something_else_is_refused() {
    let secure = Secure::start();
    assert_eq!(secure.open("lockstep.v1").await.err(), Some(400));
}
