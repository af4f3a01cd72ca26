//! What no orderly client does, byte by byte.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::rig::{Rig, until};

const HANDSHAKE: &str = "GET /ws HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: websocket\n\
                         Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

fn client_frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 1, 2, 3, 4];
    frame.extend(text.bytes().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut all = Vec::new();
    until(wanted, async || {
        let mut buffer = [0; 4096];
        let bytes = stream.read(&mut buffer).await.unwrap();
        all.extend_from_slice(&buffer[..bytes]);
        let text = String::from_utf8_lossy(&all);
        assert!(bytes > 0 || text.contains(wanted), "ended: {text}");
        text.contains(wanted)
    })
    .await;
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_sent_together_with_the_handshake_is_not_lost() {
    let rig = Rig::start().await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    let mut bytes = format!("{}\r\n\r\n", HANDSHAKE.replace('\n', "\r\n")).into_bytes();
    let frame = client_frame(r#"{"type":"ping","id":"early"}"#);
    bytes.extend_from_slice(&frame[..frame.len() - 3]);
    stream.write_all(&bytes).await.unwrap();
    let text = read_until(&mut stream, "hello").await;
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    assert!(text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{text}");
    stream.write_all(&frame[frame.len() - 3..]).await.unwrap();
    read_until(&mut stream, r#""id":"early""#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protocol_error_ends_with_1002_and_a_clean_end() {
    let rig = Rig::start().await;
    let mut stream = TcpStream::connect(rig.address).await.unwrap();
    stream.write_all(format!("{}\r\n\r\n", HANDSHAKE.replace('\n', "\r\n")).as_bytes()).await.unwrap();
    read_until(&mut stream, "hello").await;
    stream.write_all(&[0x81, 0x01, b'a']).await.unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.windows(2).any(|pair| pair == 1002u16.to_be_bytes()), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_pages_are_refused_with_the_line_to_add() {
    let rig = Rig::start_with(|settings| settings.allowed_hosts.push("hub.example".to_owned())).await;
    let status = async |request: String| rig.request(&request).await;
    let foreign = status(format!("{HANDSHAKE}\nOrigin: https://evil.example\nConnection: close")).await;
    assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
    assert!(foreign.contains(r#"http.allowed_origins = [\"https://evil.example\"]"#), "{foreign}");
    let rebound = status(HANDSHAKE.replace("localhost", "evil.example") + "\nConnection: close").await;
    assert!(rebound.starts_with("HTTP/1.1 403 "), "{rebound}");
    assert!(rebound.contains("http.allowed_hosts"), "{rebound}");
    let page = status("GET / HTTP/1.1\nHost: evil.example\nConnection: close".to_owned()).await;
    assert!(page.starts_with("HTTP/1.1 403 "), "{page}");
    let allowed = status("GET /healthz HTTP/1.1\nHost: hub.example\nConnection: close".to_owned()).await;
    assert!(allowed.starts_with("HTTP/1.1 200 "), "{allowed}");
    let health = status("GET /healthz HTTP/1.1\nHost: 10.1.2.3\nConnection: close".to_owned()).await;
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    let plain = status("GET /ws HTTP/1.1\nHost: localhost\nConnection: close".to_owned()).await;
    assert!(plain.starts_with("HTTP/1.1 426 "), "{plain}");
}
