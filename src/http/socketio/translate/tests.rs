use serde_json::json;

use super::*;

#[track_caller]
fn check_slide(data: Value, expected: Result<(&str, f64), Code>) {
    let parsed = match parse_slide(&data) {
        Ok(Wish::Slide { slider, value, .. }) => Ok((slider.to_string(), value)),
        Ok(other) => panic!("{other:?}"),
        Err(rejection) => Err(rejection.code),
    };
    assert_eq!(parsed, expected.map(|(slider, value)| (slider.to_owned(), value)), "{data}");
}

#[test]
fn a_slider_event_is_a_name_and_a_number() {
    check_slide(json!({"who": "slider1", "data": "37"}), Ok(("slider1", 37.0)));
    check_slide(json!({"who": "slider1", "data": " -1.5 "}), Ok(("slider1", -1.5)));
    check_slide(json!({"who": "slider2", "data": 37}), Ok(("slider2", 37.0)));
    for data in [json!("x"), json!(""), json!("NaN"), json!("1e999"), json!(null), json!([1]), json!("0".repeat(33))] {
        check_slide(json!({"who": "slider1", "data": data}), Err(Code::Malformed));
    }
    for data in [json!(null), json!("slider1"), json!({"data": "1"}), json!({"who": 1, "data": "1"}), json!([])] {
        check_slide(data, Err(Code::Malformed));
    }
    check_slide(json!({"who": "a/b", "data": "1"}), Err(Code::UnknownThing));
    check_slide(json!({"who": "<img onerror=x>", "data": "1"}), Err(Code::UnknownThing));
}

#[test]
fn a_course_event_has_an_action() {
    assert_eq!(parse_course(json!({"action": "press"})), Ok(Wish::Press));
    assert!(matches!(parse_course(json!({"action": "setup", "work_duration": 1})), Ok(Wish::Act(_))));
    for data in [json!(null), json!({}), json!({"action": 1}), json!("press"), json!([{"action": "press"}])] {
        assert_eq!(parse_course(data.clone()).map_err(|rejection| rejection.code), Err(Code::Malformed), "{data}");
    }
}

#[test]
fn an_empty_field_is_left_out_of_the_command() {
    let data = json!({"action": "setup", "work_duration": null, "number_cycles": 2});
    let wish = parse_course(data).unwrap();
    assert_eq!(command(&wish, &Room::default()), r#"{"action":"setup","number_cycles":2}"#);
}

#[test]
fn the_pages_read_what_their_servers_sent() {
    let text = |value: &dyn erased::Json| value.json();
    assert_eq!(text(&Timer::shows("00:24:59")), json!({"success": true, "data": "00:24:59", "error": null}));
    let error = "Timer already started";
    assert_eq!(text(&Timer::fails(error)), json!({"success": false, "data": null, "error": error}));
    let pomodoro: Pomodoro = serde_json::from_value(json!({
        "state": 1, "message": "Work", "paused": false, "work_duration": 10, "break_duration": 5, "number_cycles": 3, "rev": 7,
    }))
    .unwrap();
    assert_eq!(text(&Course::state(&pomodoro)), json!({"state": 1, "message": "Work"}));
    let setup = json!({"state": 1, "message": "Work", "work_duration": 10, "break_duration": 5, "number_cycles": 3});
    assert_eq!(text(&Course::setup(&pomodoro)), setup);
}

/// Anything that has a JSON form.
mod erased {
    use serde::Serialize;
    use serde_json::Value;

    pub(super) trait Json {
        fn json(&self) -> Value;
    }

    impl<T: Serialize> Json for T {
        fn json(&self) -> Value {
            serde_json::to_value(self).unwrap()
        }
    }
}
