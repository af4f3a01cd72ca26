//! The limits of every field, with nothing half-applied.

use super::*;

const NUMBERS: [(&str, u32, u32); 4] = [
    ("work_duration", 1, 86_400),
    ("break_duration", 1, 86_400),
    ("long_break_duration", 0, 86_400),
    ("number_cycles", 1, 100),
];

/// Sends `field` beside two good ones, by `setup` and by `configure`: each or none of the three is taken.
fn check(field: &str, value: &str, expected: Result<Value, Code>) {
    for action in ["setup", "configure"] {
        for field_first in [true, false] {
            let mut desk = Desk::after(&["press"]);
            desk.pass(Duration::from_secs(5));
            let before = desk.state();
            let good = if field == "break_duration" { "work_duration" } else { "break_duration" };
            let fields = match field_first {
                true => format!(r#""{field}":{value},"{good}":77,"auto_start":true"#),
                false => format!(r#""auto_start":true,"{good}":77,"{field}":{value}"#),
            };
            let outcome = desk.send(&format!(r#"{{"action":"{action}",{fields}}}"#));
            let at = format!("{action} {field} {value}: {outcome:?}");
            match &expected {
                Ok(taken) => {
                    outcome.expect(&at);
                    assert_eq!(
                        (desk.field(field), desk.field(good), desk.field("auto_start")),
                        (taken.clone(), 77.into(), true.into()),
                        "{at}"
                    );
                }
                Err(code) => {
                    assert_eq!(outcome.map_err(|e| e.code), Err(*code), "{at}");
                    assert_eq!(desk.state(), before, "half-applied: {at}");
                }
            }
        }
    }
}

#[test]
fn numbers_have_limits() {
    for (field, min, max) in NUMBERS {
        for value in [min, max, min + 1, max - 1] {
            check(field, &value.to_string(), Ok(value.into()));
        }
        check(field, &format!("{max}.0"), Ok(max.into()));
        check(field, "6e1", Ok(60.into()));
        let below = i64::from(min) - 1;
        for value in [below.to_string(), (max + 1).to_string()] {
            check(field, &value, Err(Code::OutOfRange));
        }
        for value in ["-1", "1.5", "0.5", "-0.5", "1e300", "-1e300", "4294967297", "18446744073709551617"] {
            check(field, value, Err(Code::OutOfRange));
        }
        for value in ["\"x\"", "\"60\"", "true", "[]", "{}", "NaN", "1e999", "\"\""] {
            check(field, value, Err(Code::Malformed));
        }
    }
}

#[test]
fn null_and_missing_fields_keep_their_value() {
    for (field, default) in [
        ("work_duration", json!(1500)),
        ("break_duration", json!(300)),
        ("long_break_duration", json!(900)),
        ("number_cycles", json!(3)),
        ("press_while_running", json!("pause")),
    ] {
        check(field, "null", Ok(default));
    }
    let mut desk = Desk::new(Settings::default());
    desk.send(r#"{"action":"configure","auto_start":null,"work_duration":null}"#).expect("nothing is asked for");
    assert_eq!(desk.pomodoro.settings, Settings::default());
}

#[test]
fn words_and_switches_have_limits() {
    check("press_while_running", "\"ignore\"", Ok("ignore".into()));
    for value in ["\"Ignore\"", "\"\"", "1", "true"] {
        check("press_while_running", value, Err(Code::Malformed));
    }
    for value in ["1", "\"true\"", "0"] {
        let mut desk = Desk::new(Settings::default());
        let payload = format!(r#"{{"action":"setup","work_duration":60,"auto_start":{value}}}"#);
        assert_eq!(desk.code(&payload), Some(Code::Malformed), "{value}");
        assert_eq!(desk.pomodoro.settings, Settings::default());
    }
}

#[test]
fn a_field_that_does_not_exist_is_told() {
    check("work_durtion", "60", Err(Code::Malformed));
    // What the configuration alone decides is no field of a command.
    check("press_guard_ms", "0", Err(Code::Malformed));
}

#[test]
fn extending_has_limits() {
    for (value, expected) in [
        ("1", Ok(1)),
        ("3600", Ok(3600)),
        ("null", Ok(60)),
        ("0", Err(Code::OutOfRange)),
        ("-1", Err(Code::OutOfRange)),
        ("1.5", Err(Code::OutOfRange)),
        ("3601", Err(Code::OutOfRange)),
        ("1e300", Err(Code::OutOfRange)),
        ("\"60\"", Err(Code::Malformed)),
    ] {
        let mut desk = Desk::after(&["press"]);
        let before = desk.state();
        let outcome = desk.send(&format!(r#"{{"action":"extend","seconds":{value}}}"#)).map_err(|e| e.code);
        match expected {
            Ok(seconds) => {
                outcome.expect(value);
                assert_eq!(desk.field("phase_duration_ms"), (1500 + seconds) * 1000, "{value}");
            }
            Err(code) => {
                assert_eq!(outcome, Err(code), "{value}");
                assert_eq!(desk.state(), before, "{value}");
            }
        }
    }
}

#[test]
fn a_phase_never_becomes_longer_than_a_day() {
    for pause in [false, true] {
        let mut desk = Desk::after(&[r#"{"action":"setup","work_duration":82800}"#, "press"]);
        if pause {
            desk.send("pause").expect("it runs");
        }
        desk.send(r#"{"action":"extend","seconds":3599}"#).expect("within a day");
        let before = desk.state();
        assert_eq!(desk.code(r#"{"action":"extend","seconds":2}"#), Some(Code::OutOfRange));
        assert_eq!(desk.state(), before);
        desk.send(r#"{"action":"extend","seconds":1}"#).expect("exactly a day");
        assert_eq!(desk.field("phase_duration_ms"), 86_400_000);
        // What has run already counts too.
        desk.pass(Duration::from_secs(3600));
        assert_eq!(desk.code("extend"), Some(Code::OutOfRange));
    }
}

#[test]
fn an_extended_phase_is_longer_in_the_history_too() {
    let mut desk = Desk::after(&["press", r#"{"action":"extend","seconds":100}"#]);
    let finished = desk.pass_until_due().finished.expect("a work period");
    assert_eq!((finished.planned, finished.actual), (Duration::from_secs(1600), Duration::from_secs(1600)));
}

#[test]
fn settings_say_what_is_wrong_with_them() {
    assert_eq!(Settings::default().faults(), Vec::<String>::new());
    let settings = Settings {
        work_duration: 0,
        break_duration: 86_401,
        long_break_duration: 86_401,
        number_cycles: 101,
        press_guard_ms: 60_001,
        ..Settings::default()
    };
    let faults = settings.faults();
    assert_eq!(faults.len(), 5, "{faults:?}");
    assert_eq!(faults[0], "`work_duration` is 0; 1 to 86400 is allowed");
    assert_eq!(Settings { long_break_duration: 0, ..Settings::default() }.faults(), Vec::<String>::new());
}
