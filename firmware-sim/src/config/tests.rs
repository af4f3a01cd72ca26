use proptest::prelude::*;

use super::*;
use crate::pattern::Mode;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, &Overrides::default())
}

/// The faults that `text` has, one a line.
fn faults(text: &str) -> String {
    parse(text).expect_err(text).to_string()
}

#[test]
fn the_default_is_the_courses_box() {
    let config = parse("").unwrap();
    assert_eq!(config, parse(DEFAULT).unwrap());
    assert_eq!(config.hub.address.to_string(), "mqtt://127.0.0.1:1883");
    assert_eq!(config.buttons[0].command(Gesture::ShortPress), Some(&Command::Verb("press")));
    assert_eq!(config.buttons[0].command(Gesture::LongPress), Some(&Command::Verb("reset")));
    assert_eq!(config.buttons[0].timing.double_window, None);
    assert_eq!(config.buttons[0].pin.unwrap().line(), 17);
    let colour = |word, phase| config.patterns.of(word, phase).colour;
    let phases = Phase::ALL.map(|phase| colour(LightWord::Phase(phase), phase));
    let course = ["off", "green", "red", "blue", "yellow", "white"].map(|name| Rgb::parse(name).unwrap());
    assert_eq!(phases, course);
    assert_eq!(colour(LightWord::Paused, Phase::ShortBreak), Rgb::parse("blue").unwrap());
    assert_eq!(config.buzzer, None);
}

#[test]
fn a_key_over_the_default_leaves_the_rest() {
    let config = parse("[patterns.work]\nmode = \"breathe\"\n[buzzer]\npin = \"BOARD18\"").unwrap();
    let work = config.patterns.of(LightWord::Phase(Phase::Work), Phase::Work);
    assert_eq!((work.colour, work.mode), (Rgb::new(0, 255, 0), Mode::Breathe));
    let buzzer = config.buzzer.unwrap();
    assert_eq!(buzzer.pin, Pin::parse("GPIO24"));
    assert_eq!(buzzer.sounds, [LightWord::Phase(Phase::BreakAlarm), LightWord::Phase(Phase::WorkAlarm)]);
}

#[test]
fn lists_are_replaced_as_a_whole() {
    let text = "[[button]]\nname = \"a\"\npin = 5\ndouble_press = \"skip\"\n[[light]]\nname = \"w\"\npin = 6\nshows = [\"work\"]";
    let config = parse(text).unwrap();
    assert_eq!(config.buttons.len(), 1);
    assert_eq!(config.buttons[0].command(Gesture::ShortPress), None);
    assert!(config.buttons[0].timing.double_window.is_some());
    assert!(config.lights[0].takes_part(LightWord::Phase(Phase::Work)));
    assert!(!config.lights[0].takes_part(LightWord::NoHub));
}

#[test]
fn an_unknown_key_is_named_with_its_line() {
    let fault = faults("[hub]\nroom = \"main\"\nroot_topic = \"x\"\n");
    assert!(fault.starts_with("line 3: unknown field `root_topic`, expected one of"), "{fault}");
    assert_eq!(fault.lines().count(), 1);
    assert!(faults("[patterns.wrok]\nmode = \"solid\"").contains("unknown field `wrok`"));
    assert!(faults("[hub]\nkeep_alive_s = \"ten\"").starts_with("line 2: invalid type"));
    assert!(faults("[hub\n").starts_with("line 1:"));
}

#[test]
fn every_fault_is_told_on_its_line() {
    let text = "
        [hub]\nurl = \"http://x\"\nroom = \"hub\"\nkeep_alive_s = 1\npassword_file = \"p\"
        [box]\nid = \"A\"\nboard = \"pi\"
        [[button]]\nname = \"b\"\npin = \"BOARD1\"\nshort_press = \"pres\"
        [[button]]\nname = \"b\"\npin = 4
        [[light]]\nname = \"l\"\npin = 4
        [[light]]\nname = \"m\"\nred = 7
        [[dial]]\nslider = \"s\"\na = 8
        [buzzer]\nsounds = [\"wrok\"]
        [gpio]\npull = \"sideways\"\ndebounce_ms = -1
        [patterns.work]\ncolour = \"gren\"\nmode = \"wobble\"\nperiod_ms = 1
    ";
    let told = faults(text);
    for key in [
        "hub.url",
        "hub.room",
        "hub.keep_alive_s",
        "hub.password_file",
        "box.id",
        "box.board",
        "button b.pin",
        "button b.short_press",
        "[[button]] name",
        "light m",
        "dial s",
        "buzzer.sounds",
        "gpio.pull",
        "gpio.debounce_ms",
        "patterns.work.colour",
        "patterns.work.mode",
        "patterns.work.period_ms",
        "GPIO4 is given twice",
    ] {
        assert_eq!(told.lines().filter(|line| line.starts_with(key)).count(), 1, "{key} in\n{told}");
    }
}

#[test]
fn addresses() {
    let address = |url: &str| {
        let overrides = Overrides { hub: Some(url.to_owned()), ..Overrides::default() };
        Config::parse("", &overrides).map(|config| config.hub.address.to_string()).ok()
    };
    assert_eq!(address("mqtt://pi.local").as_deref(), Some("mqtt://pi.local:1883"));
    assert_eq!(address("mqtt://[::1]:99").as_deref(), Some("mqtt://[::1]:99"));
    assert_eq!(address("auto").as_deref(), Some("auto"));
    if cfg!(feature = "tls") {
        assert_eq!(address("mqtts://hub/").as_deref(), Some("mqtts://hub:8883"));
    }
    for wrong in [
        "",
        "hub",
        "mqtt://",
        "mqtt://a b",
        "mqtt://h:0",
        "mqtt://h:99999",
        "mqtt://u:p@h:1",
        "mqtt://[::1",
        "mqtt://[x]:1",
    ] {
        assert_eq!(address(wrong), None, "{wrong}");
    }
}

#[test]
fn the_names_of_pins() {
    for text in ["17", "GPIO17", "BCM17", "BOARD11", "J8:11"] {
        assert_eq!(Pin::parse(text).map(Pin::line), Some(17), "{text}");
    }
    assert_eq!(Pin::parse("BOARD27").map(Pin::line), Some(0));
    assert_eq!(Pin::parse("BOARD40").map(Pin::line), Some(21));
    for wrong in ["", "GPIO", "BOARD1", "BOARD6", "BOARD41", "BOARD0", "-1", "+1", "512", "17 ", "gpio17"] {
        assert_eq!(Pin::parse(wrong), None, "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,80}", key in "(hub|box|gpio|buzzer)", leaf in "[a-z_]{1,12}", value in ".{0,20}") {
        let _ = parse(&text);
        let _ = parse(&format!("[{key}]\n{leaf} = {value:?}"));
        let _ = Config::parse("", &Overrides { hub: Some(format!("mqtt://{text}")), id: Some(value), ..Overrides::default() });
        let _ = Pin::parse(&text);
    }
}
