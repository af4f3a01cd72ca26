//! As much of WebSocket and MQTT as a load needs.

/// A client's WebSocket frame, masked with zeros.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | opcode];
    match payload.len() {
        n @ 0..=125 => out.push(0x80 | n as u8),
        n @ 126..=0xFFFF => {
            out.push(0xFE);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(0xFF);
            out.extend((n as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
    out.extend(payload);
    out
}

/// The header and payload length of the server's frame at the start of `bytes`.
pub(crate) fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes.get(1)? {
        126 => Some((4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into())),
        127 => Some((10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize)),
        short => Some((2, short.into())),
    }
}

/// The opening handshake.
pub(crate) fn upgrade(path: &str, protocol: &str) -> Vec<u8> {
    let protocol = if protocol.is_empty() { String::new() } else { format!("Sec-WebSocket-Protocol: {protocol}\r\n") };
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}\r\n"
    )
    .into_bytes()
}

/// An MQTT 3.1.1 packet: type and flags, then the body behind its length.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut length = body.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        out.push((length % 128) as u8 | more);
        length /= 128;
        if length == 0 {
            break;
        }
    }
    out.extend(body);
    out
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

pub(crate) fn mqtt_connect(id: &str) -> Vec<u8> {
    packet(0x10, &[text("MQTT"), vec![4, 2, 0, 0], text(id)].concat())
}

pub(crate) fn mqtt_subscribe(filter: &str) -> Vec<u8> {
    packet(0x82, &[vec![0, 1], text(filter), vec![0]].concat())
}

pub(crate) fn mqtt_publish(topic: &str, payload: &[u8], retain: bool) -> Vec<u8> {
    packet(0x30 | u8::from(retain), &[text(topic), payload.to_vec()].concat())
}

/// Where `needle` is in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}
