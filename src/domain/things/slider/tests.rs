//! The slider by itself: what it takes, where it snaps, how it reads.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::domain::time::Wall;

const NOW: Now =
    Now { mono: Mono::from_boot(Duration::from_secs(1)), wall: Wall::from_unix_ms(0), wall_synchronised: true };

fn slider(min: f64, max: f64, step: f64) -> Slider {
    let settings = Settings { min, max, step, start: min, unit: None };
    assert_eq!(settings.faults(), Vec::<String>::new());
    new(settings)
}

fn send(slider: &mut Slider, payload: &str) -> Result<bool, Code> {
    let command = Command::parse(payload.as_bytes()).map_err(|e| e.code)?;
    slider.apply(&command, NOW).map(|effect| effect.changed).map_err(|e| e.code)
}

fn value(slider: &Slider) -> String {
    slider.leaves()[0].1.clone()
}

#[test]
fn numbers_words_and_objects_move_it() {
    let mut slider = slider(0.0, 100.0, 1.0);
    for (payload, changed, expected) in [
        ("42", true, "42"),
        ("42", false, "42"),
        (" 43.0\n", true, "43"),
        ("4.3e1", false, "43"),
        ("42.4", true, "42"),
        ("42.5", true, "43"),
        ("-0", true, "0"),
        ("+7", true, "7"),
        (r#"{"value":42}"#, true, "42"),
        (r#"{"value":"43"}"#, true, "43"),
        (r#"{"action":"set","value":44}"#, true, "44"),
        ("up", true, "45"),
        ("DOWN", true, "44"),
        (r#"{"action":"up"}"#, true, "45"),
        (r#"{"action":"move","steps":-5}"#, true, "40"),
        (r#"{"action":"move","steps":1e300}"#, true, "100"),
        ("up", false, "100"),
        (r#"{"action":"move","steps":-1e300}"#, true, "0"),
        ("down", false, "0"),
    ] {
        assert_eq!(send(&mut slider, payload), Ok(changed), "{payload}");
        assert_eq!(value(&slider), expected, "{payload}");
    }
}

#[test]
fn what_it_does_not_take_changes_nothing() {
    for (payload, code) in [
        ("101", Code::OutOfRange),
        ("-1", Code::OutOfRange),
        ("100.1", Code::OutOfRange),
        ("-0.1", Code::OutOfRange),
        ("1e300", Code::OutOfRange),
        ("1e999", Code::OutOfRange),
        ("-inf", Code::OutOfRange),
        ("5 5", Code::Malformed),
        ("0x10", Code::Malformed),
        ("1,5", Code::Malformed),
        ("NaN", Code::UnknownCommand),
        ("left", Code::UnknownCommand),
        (r#"{"action":"left"}"#, Code::UnknownCommand),
        ("{}", Code::Malformed),
        (r#"{"value":null}"#, Code::Malformed),
        (r#"{"value":true}"#, Code::Malformed),
        (r#"{"value":"x"}"#, Code::Malformed),
        (r#"{"value":"nan"}"#, Code::Malformed),
        (r#"{"value":[1]}"#, Code::Malformed),
        (r#"{"value":420}"#, Code::OutOfRange),
        (r#"{"action":"move","steps":0.5}"#, Code::Malformed),
        (r#"{"action":"move"}"#, Code::Malformed),
    ] {
        let mut slider = slider(0.0, 100.0, 1.0);
        send(&mut slider, "42").expect("within the limits");
        assert_eq!(send(&mut slider, payload), Err(code), "{payload}");
        assert_eq!(value(&slider), "42", "{payload}");
    }
}

#[test]
fn the_value_reads_as_people_write_it() {
    for (min, max, step, asked, expected) in [
        (0.0, 1.0, 0.1, "0.3", "0.3"),
        (0.0, 1.0, 0.1, "0.7000001", "0.7"),
        (-1.0, 1.0, 0.25, "-0.3", "-0.25"),
        (0.5, 9.5, 1.0, "3", "3.5"),
        (-40.0, 85.0, 0.5, "-0.1", "0"),
        (0.0, 100.0, 7.0, "50", "49"),
        (0.0, 100.0, 8.0, "100", "100"),
        (0.0, 1e15, 1.0, "999999999999999", "999999999999999"),
        (-1e15, 1e15, 1e15, "4e14", "0"),
    ] {
        let mut slider = slider(min, max, step);
        send(&mut slider, asked).expect(asked);
        assert_eq!(value(&slider), expected, "{asked} of {min} to {max} by {step}");
        assert_eq!(slider.state(NOW).get("value").map(ToString::to_string).as_deref(), Some(expected));
    }
}

#[test]
fn limits_are_the_configurations_and_the_value_follows() {
    for (restored, expected) in
        [(json!(42), "42"), (json!(1000), "50"), (json!(-5), "10"), (json!("x"), "10"), (json!(null), "10")]
    {
        let mut slider = slider(10.0, 50.0, 1.0);
        let state = json!({"value": restored, "min": 0, "max": 1000, "step": 5});
        slider.restore(state.as_object().expect("an object"), NOW);
        assert_eq!(value(&slider), expected, "{restored}");
        assert_eq!(slider.state(NOW).get("max"), Some(&50.into()));
    }
}

#[test]
fn settings_say_what_is_wrong_with_them() {
    for (settings, word) in [
        (Settings { min: f64::NAN, ..Settings::default() }, "`min`"),
        (Settings { max: f64::INFINITY, ..Settings::default() }, "`max`"),
        (Settings { max: 0.0, ..Settings::default() }, "`max`"),
        (Settings { step: 0.0, ..Settings::default() }, "`step`"),
        (Settings { step: -1.0, ..Settings::default() }, "`step`"),
        (Settings { step: 101.0, ..Settings::default() }, "`step`"),
        (Settings { step: 1e-12, ..Settings::default() }, "`step`"),
        (Settings { start: 101.0, ..Settings::default() }, "`start`"),
    ] {
        let faults = settings.faults();
        assert!(faults.iter().any(|fault| fault.starts_with(word)), "{settings:?}: {faults:?}");
    }
    assert_eq!(Settings::default().faults(), Vec::<String>::new());
}

#[test]
fn a_unit_is_shown_where_there_is_one() {
    let slider = new(Settings { unit: Some("°C".to_owned()), ..Settings::default() });
    let json = slider.state(NOW).to_json();
    assert_eq!(json, r#"{"value":0,"min":0,"max":100,"step":1,"unit":"°C"}"#);
}
