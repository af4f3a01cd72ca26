//! The opening handshake (RFC 6455 §4.2).

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use sha1::{Digest as _, Sha1};

/// What the answer's key is made with (RFC 6455 §1.3).
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A handshake that the hub does not carry out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Refusal {
    pub(in crate::http) status: StatusCode,
    pub(in crate::http) reason: &'static str,
}

const fn bad(reason: &'static str) -> Refusal {
    Refusal { status: StatusCode::BAD_REQUEST, reason }
}

/// Reads the opening handshake of a client that must speak one of `protocols`, or offers none at all.
///
/// Returns the headers of the answer.
///
/// # Errors
/// Says what is missing, with the status of the answer.
pub(in crate::http) fn accept(
    method: &Method,
    headers: &HeaderMap,
    protocols: &[&'static str],
) -> Result<Vec<(HeaderName, HeaderValue)>, Refusal> {
    let asks = has_token(headers, &header::CONNECTION, "upgrade") && has_token(headers, &header::UPGRADE, "websocket");
    if method != Method::GET || !asks {
        return Err(Refusal { status: StatusCode::UPGRADE_REQUIRED, reason: "This address speaks WebSocket." });
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(Refusal {
            status: StatusCode::UPGRADE_REQUIRED,
            reason: "Only version 13 of WebSocket is spoken.",
        });
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or(bad("Sec-WebSocket-Key is missing."))?;
    if BASE64.decode(key.as_bytes()).map_or(0, |key| key.len()) != 16 {
        return Err(bad("Sec-WebSocket-Key is not 16 bytes in base64."));
    }
    let digest = Sha1::new().chain_update(key.as_bytes()).chain_update(ACCEPT_GUID).finalize();
    let answer = HeaderValue::try_from(BASE64.encode(digest)).map_err(|_| bad("Sec-WebSocket-Key is odd."))?;
    let mut out = vec![
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, answer),
    ];
    if headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        let spoken = protocols
            .iter()
            .find(|protocol| has_token(headers, &header::SEC_WEBSOCKET_PROTOCOL, protocol))
            .ok_or(bad("None of the offered WebSocket subprotocols is spoken here."))?;
        out.push((header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(spoken)));
    }
    Ok(out)
}

/// Whether one of the comma-separated words of the header `name` is `token`.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(change: impl FnOnce(&mut HeaderMap)) -> Result<Vec<(HeaderName, HeaderValue)>, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat, lockstep.v1"));
        change(&mut headers);
        accept(&Method::GET, &headers, &["lockstep.v1"])
    }

    #[test]
    fn the_example_of_the_rfc_is_answered() {
        let answer = request(|_| {}).expect("a handshake");
        assert!(
            answer.contains(&(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")))
        );
        assert!(answer.contains(&(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("lockstep.v1"))));
    }

    #[test]
    fn a_client_without_subprotocols_is_welcome_and_one_with_foreign_ones_is_not() {
        let answer = request(|headers| drop(headers.remove(header::SEC_WEBSOCKET_PROTOCOL))).expect("a handshake");
        assert!(answer.iter().all(|(name, _)| name != header::SEC_WEBSOCKET_PROTOCOL));
        let foreign = request(|headers| {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("mqtt"));
        });
        assert_eq!(foreign.map_err(|refusal| refusal.status), Err(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn what_is_no_handshake_is_told_so() {
        let status = |change: fn(&mut HeaderMap)| request(change).map_err(|refusal| refusal.status.as_u16());
        assert_eq!(status(|h| drop(h.remove(header::UPGRADE))), Err(426));
        assert_eq!(status(|h| drop(h.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("8")))), Err(426));
        assert_eq!(status(|h| drop(h.remove(header::SEC_WEBSOCKET_KEY))), Err(400));
        assert_eq!(status(|h| drop(h.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("YQ==")))), Err(400));
    }
}
