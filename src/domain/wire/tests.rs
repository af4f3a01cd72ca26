//! What a command may look like.

use proptest::prelude::*;

use super::*;

fn code(payload: &[u8]) -> Code {
    Command::parse(payload).expect_err("no command").code
}

#[test]
fn words_are_read() {
    for text in ["press", " Press\r\n", "\"PRESS\""] {
        assert_eq!(Command::parse(text.as_bytes()), Ok(Command::plain(Body::Word("press".to_owned()))), "{text}");
    }
    for text in ["press now", "\"", "\"\"", "é", "prëss", "[1]", &"x".repeat(33)] {
        assert_eq!(code(text.as_bytes()), Code::Malformed, "{text}");
    }
}

#[test]
fn numbers_are_read() {
    for (text, number) in [("42", 42.0), ("-4.5", -4.5), (".5", 0.5), ("1e2", 100.0), ("+3", 3.0)] {
        assert_eq!(Command::parse(text.as_bytes()), Ok(Command::plain(Body::Number(number))), "{text}");
    }
    for text in ["4x", "-", "1.2.3", "4 2"] {
        assert_eq!(code(text.as_bytes()), Code::Malformed, "{text}");
    }
    assert_eq!(code(b"1e999"), Code::OutOfRange);
}

#[test]
fn objects_are_read_with_ref_and_rev_apart() {
    let command = Command::parse(br#"{"action":"setup","ref":"a1","rev":7,"work_duration":60}"#).expect("a command");
    assert_eq!((command.reference.as_deref(), command.revision), (Some("a1"), Some(7)));
    let Body::Object { action, fields } = command.body else { panic!("an object") };
    assert_eq!((action.as_deref(), fields.len(), &fields["work_duration"]), (Some("setup"), 1, &60.into()));
    let command = Command::parse(br#"{"ref":17,"rev":null,"action":null}"#).expect("a command");
    assert_eq!((command.reference.as_deref(), command.revision), (Some("17"), None));
}

#[test]
fn what_is_no_command_is_told() {
    for payload in [
        &b""[..],
        b" \n",
        b"\xff\xfe",
        b"{",
        b"{}x",
        br#"{"ref":true}"#,
        br#"{"ref":[]}"#,
        br#"{"rev":-1}"#,
        br#"{"rev":1.5}"#,
        br#"{"rev":"7"}"#,
        br#"{"action":7}"#,
        br#"{"value":1e999}"#,
    ] {
        assert_eq!(code(payload), Code::Malformed, "{}", String::from_utf8_lossy(payload));
    }
    let longest = format!(r#"{{"ref":"{}"}}"#, "ö".repeat(REF_LENGTH_MAX));
    assert!(Command::parse(longest.as_bytes()).is_ok());
    let longer = format!(r#"{{"ref":"{}"}}"#, "ö".repeat(REF_LENGTH_MAX + 1));
    assert_eq!((code(longer.as_bytes()), find_reference(longer.as_bytes())), (Code::Malformed, None));
    assert_eq!(code(&[b' '; COMMAND_BYTES_MAX + 1]), Code::TooLarge);
    assert_eq!(code(&[b'['; COMMAND_BYTES_MAX]), Code::Malformed);
    let deep = format!(r#"{{"x":{}"#, "[".repeat(4000));
    assert_eq!(code(deep.as_bytes()), Code::Malformed);
}

#[test]
fn an_echo_is_json_or_text_and_short() {
    assert_eq!(echo(br#"{"a":1}"#), serde_json::json!({"a": 1}));
    assert_eq!(echo(b"press"), Value::from("press"));
    assert_eq!(echo(b"\xff"), Value::from("\u{fffd}"));
    let long = echo("é".repeat(500).as_bytes());
    assert!(long.as_str().is_some_and(|text| text.ends_with('…') && text.chars().count() <= 257));
}

#[test]
fn numbers_are_written_as_people_write_them() {
    for (value, text) in
        [(42.0, "42"), (-0.5, "-0.5"), (0.1, "0.1"), (-0.0, "0"), (1e15, "1000000000000000"), (1e17, "1e+17")]
    {
        assert_eq!(number(value).to_string(), text);
    }
}

proptest! {
    #[test]
    fn no_payload_panics(payload in prop::collection::vec(any::<u8>(), 0..64), text in ".{0,40}", json in "[{}\\[\\]\":,a-z0-9e.+-]{0,40}") {
        for payload in [&payload[..], text.as_bytes(), json.as_bytes()] {
            let _ = Command::parse(payload);
            let _ = find_reference(payload);
            let _ = echo(payload);
        }
    }
}
