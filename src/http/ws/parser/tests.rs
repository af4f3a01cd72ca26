use proptest::prelude::*;

use super::*;
use crate::http::ws::frame::{put_server_header, server_frame};

const LIMIT: usize = 1024;

/// A client's frame, masked with `mask`.
fn client_frame(last: bool, opcode: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![u8::from(last) << 7 | opcode];
    match payload.len() {
        n @ 0..=125 => frame.push(0x80 | n as u8),
        n @ 126..=0xFFFF => {
            frame.push(0xFE);
            frame.extend((n as u16).to_be_bytes());
        }
        n => {
            frame.push(0xFF);
            frame.extend((n as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

fn parse(bytes: &[u8]) -> Result<Vec<Message>, Violation> {
    let mut parser = Parser::new(LIMIT);
    parser.push(bytes);
    let mut messages = Vec::new();
    while let Some(message) = parser.next()? {
        messages.push(message);
    }
    Ok(messages)
}

fn violation(bytes: &[u8]) -> u16 {
    parse(bytes).expect_err("a violation").code.number()
}

#[test]
fn each_broken_rule_has_its_close_code() {
    let mask = [1, 2, 3, 4];
    assert_eq!(violation(&[0x81, 0x01, b'a']), 1002, "unmasked");
    assert_eq!(violation(&[0xC1, 0x80, 0, 0, 0, 0]), 1002, "reserved bit");
    assert_eq!(violation(&client_frame(true, 0x3, b"", mask)), 1002, "reserved opcode");
    assert_eq!(violation(&client_frame(false, 0x9, b"", mask)), 1002, "fragmented ping");
    assert_eq!(violation(&client_frame(true, 0x9, &[0; 126], mask)), 1002, "long ping");
    assert_eq!(violation(&client_frame(true, 0x0, b"", mask)), 1002, "continuation of nothing");
    let twice = [client_frame(false, 0x1, b"a", mask), client_frame(true, 0x1, b"b", mask)].concat();
    assert_eq!(violation(&twice), 1002, "message inside a message");
    assert_eq!(violation(&client_frame(true, 0x1, &[0xFF], mask)), 1007);
    assert_eq!(violation(&client_frame(true, 0x1, &[b'a'; LIMIT + 1], mask)), 1009);
    let grown = [client_frame(false, 0x1, &[b'a'; LIMIT], mask), client_frame(true, 0x0, b"b", mask)].concat();
    assert_eq!(violation(&grown), 1009, "too large in two frames");
    assert_eq!(violation(&client_frame(true, 0x8, &[3], mask)), 1002, "half a close code");
    assert_eq!(violation(&client_frame(true, 0x8, &1005u16.to_be_bytes(), mask)), 1002);
    assert_eq!(violation(&client_frame(true, 0x8, &[0x03, 0xE8, 0xFF], mask)), 1007);
    assert_eq!(violation(&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]), 1002, "a length of 64 bits");
}

#[test]
fn a_limit_is_told_from_the_header_alone() {
    let mut parser = Parser::new(LIMIT);
    parser.push(&client_frame(true, 0x1, &[b'a'; LIMIT + 1], [0; 4])[..8]);
    assert_eq!(parser.next().expect_err("too large").code, CloseCode::TooBig);
}

#[test]
fn an_idle_parser_holds_no_memory() {
    let mut parser = Parser::new(LIMIT);
    parser.push(&client_frame(true, 0x1, b"hello", [9; 4]));
    assert_eq!(parser.next(), Ok(Some(Message::Text("hello".into()))));
    assert_eq!(parser.next(), Ok(None));
    assert_eq!(parser.pending.capacity(), 0);
}

#[test]
fn lengths_are_written_in_their_shortest_form() {
    for (length, header) in [(0, 2), (125, 2), (126, 4), (0xFFFF, 4), (0x1_0000, 10)] {
        let mut out = Vec::new();
        put_server_header(&mut out, Opcode::Text, length);
        assert_eq!(out.len(), header, "{length}");
    }
    assert_eq!(&server_frame(Opcode::Text, b"ab")[..], b"\x81\x02ab");
}

#[derive(Debug, Clone)]
enum Sent {
    Message { text: bool, parts: Vec<String>, pings: bool },
    Ping(Vec<u8>),
    Pong,
}

fn sent() -> impl Strategy<Value = Sent> {
    prop_oneof![
        (any::<bool>(), prop::collection::vec(".{0,40}", 1..5), any::<bool>())
            .prop_map(|(text, parts, pings)| Sent::Message { text, parts, pings }),
        prop::collection::vec(any::<u8>(), 0..=125).prop_map(Sent::Ping),
        Just(Sent::Pong),
    ]
}

proptest! {
    /// Whatever is sent, in frames of any size and cut by the network anywhere, is what arrives.
    #[test]
    fn messages_survive_fragments_and_cuts(
        all in prop::collection::vec(sent(), 1..8), mask: [u8; 4], cuts in prop::collection::vec(1usize..60, 1..40),
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for one in all {
            match one {
                Sent::Ping(payload) => {
                    bytes.extend(client_frame(true, 0x9, &payload, mask));
                    expected.push(Message::Ping(payload));
                }
                Sent::Pong => {
                    bytes.extend(client_frame(true, 0xA, b"x", mask));
                    expected.push(Message::Pong);
                }
                Sent::Message { text, parts, pings } => {
                    for (i, part) in parts.iter().enumerate() {
                        let opcode = if i > 0 { 0x0 } else if text { 0x1 } else { 0x2 };
                        bytes.extend(client_frame(i + 1 == parts.len(), opcode, part.as_bytes(), mask));
                        if pings && i + 1 < parts.len() {
                            bytes.extend(client_frame(true, 0x9, b"in between", mask));
                            expected.push(Message::Ping(b"in between".to_vec()));
                        }
                    }
                    let whole = parts.concat();
                    expected.push(if text { Message::Text(whole) } else { Message::Binary(whole.into_bytes()) });
                }
            }
        }
        let (mut parser, mut got, mut rest) = (Parser::new(LIMIT), Vec::new(), &bytes[..]);
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            parser.push(now);
            while let Some(message) = parser.next().expect("no violation") {
                got.push(message);
            }
            rest = later;
            if rest.is_empty() { break }
        }
        prop_assert_eq!(got, expected);
    }

    /// No bytes make it panic, nor keep more than one message and one read's worth.
    #[test]
    fn no_input_panics_or_grows(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..40)) {
        let mut parser = Parser::new(LIMIT);
        'all: for chunk in chunks {
            parser.push(&chunk);
            loop {
                match parser.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'all,
                }
            }
            let held = parser.pending.len() + parser.message.as_ref().map_or(0, |(_, bytes)| bytes.len());
            prop_assert!(held <= 2 * LIMIT + 14);
        }
    }
}
