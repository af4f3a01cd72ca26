use std::io::Write;

use super::*;
use crate::domain::things::{Kind, Settings, pomodoro, slider};

fn load(text: &str, overrides: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let mut file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let overrides =
        Overrides(overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned(), "--set")).collect());
    Config::load(Some(file.path()), &overrides).map_err(|faults| {
        faults.iter().map(|fault| fault.to_string().replace(&file.path().display().to_string(), "FILE")).collect()
    })
}

#[test]
fn the_annotated_file_is_what_the_domain_has_as_defaults() {
    let config = load("", &[]).unwrap();
    let settings: Vec<_> = config.things.iter().map(|thing| thing.settings.clone()).collect();
    assert_eq!(
        settings,
        [
            Settings::Pomodoro(pomodoro::Settings::default()),
            Settings::Slider(slider::Settings::default()),
            Settings::Slider(slider::Settings::default())
        ]
    );
    assert_eq!(config.limits, EngineLimits::default());
    assert_eq!(config.http_limits, crate::http::Limits::default());
    assert!(config.threads >= 1);
    assert_eq!(config.http_writers, config.threads.min(4));
    assert_eq!(config.mqtt, crate::mqtt::Settings::default());
    assert_eq!(config.rooms_max, crate::domain::hub::ROOMS_MAX_DEFAULT);
    assert_eq!(config.rooms.len(), 1);
    assert_eq!(config.rooms[0].things, config.things);
    assert_eq!(config.things.iter().map(|thing| thing.settings.kind()).collect::<Vec<_>>()[0], Kind::Pomodoro);
    assert_eq!(config.http_listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(config.mqtt_listen, ["127.0.0.1:1883".parse().unwrap()]);
    assert!(config.is_loopback_only());
    assert_eq!(config.anonymous, None);
    assert_eq!(config.users_file, config.data_dir.join("users"));
}

#[test]
fn levels_of_the_log_are_words_for_everything_or_for_a_part() {
    for level in
        ["error", "warn", "info", "debug", "trace", "off", "INFO", "info,lockstep=debug", "warn,lockstep::mqtt=off"]
    {
        let config = load("", &[("log.level", level)]).unwrap();
        assert_eq!(config.log_level, level);
        // The log's own reader must take what is allowed here.
        tracing_subscriber::EnvFilter::try_new(level).unwrap();
    }
}

#[test]
fn the_command_line_is_stronger_than_the_file() {
    let config = load("[http]\nlisten = \"127.0.0.1:9000\"\n", &[("hub.name", "Home"), ("http.listen", "127.0.0.1:0")]);
    let config = config.unwrap();
    assert_eq!((config.name.as_str(), config.http_listen[0].port()), ("Home", 0));
}

#[test]
fn every_fault_is_one_line_that_says_where_and_what_is_allowed() {
    for (text, expected) in [
        ("[http]\nlistn = 1\n", "FILE: there is no key `http.listn`; did you mean `http.listen`?"),
        ("[storage]\nlisten = 1\n", "FILE: there is no key `storage.listen`; did you mean `http.listen`?"),
        ("[http]\nlisten = \"here\"\n", "FILE: `http.listen` is `here`: `here` is no address with a port"),
        ("[limits]\nrooms_max = 0\n", "FILE: `limits.rooms_max` is `0`: 1 to 1000 is allowed"),
        ("[hub]\nthreads = 65\n", "FILE: `hub.threads` is `65`: 0 to 64 is allowed"),
        ("[http]\nwriters = 65\n", "FILE: `http.writers` is `65`: 0 to 64 is allowed"),
        ("[http.limits]\nstall_max_ms = 1\n", "FILE: `http.limits.stall_max_ms` is `1`: 100 to 600000 is allowed"),
        ("[mqtt.limits]\nrouter_segments = 1\n", "FILE: `mqtt.limits.router_segments` is `1`: 2 to 1024 is allowed"),
        ("[mqtt.limits]\nqueue_bytes_total_max = 70000\n", "cannot be more than queue_bytes_total_max"),
        ("[mqtt.limits]\nreceive_maximum = 70000\n", "receive_maximum"),
        ("[mqtt]\nforbidden_filters = [\"a/#/b\"]\n", "FILE: `mqtt.forbidden_filters`: `a/#/b` is no filter"),
        ("[security]\nanonymous = \"all\"\n", "anonymous"),
        ("[hub]\nroot = \"A b\"\n", "FILE: `hub.root` is `A b`: `A b` is no id"),
        ("[[things]]\nid = \"s\"\nkind = \"slider\"\nmin = 5.0\nmax = 1.0\n", "FILE: `things`: of `s`, `max` is 1"),
        ("[[things]]\nid = \"s\"\nkind = \"slider\"\nmn = 5.0\n", "mn"),
        ("[[rooms]]\nid = \"hub\"\n", "FILE: `rooms`: the id `hub` is taken"),
        ("[discovery]\nprefix = \"a/#\"\n", "FILE: `discovery.prefix` is `a/#`: a topic to publish to has no"),
        ("[discovery]\npage_url = \"hub\"\n", "FILE: `discovery.page_url` is `hub`: an http:// or"),
        ("[link]\nfar = \"ha.local\"\n", "FILE: `link.far` is `ha.local`: `ha.local` is no broker's address"),
        ("[link]\nfar = \"mqtt://ha\"\nprotocol = \"4\"\n", "FILE: `link.protocol` is `4`: auto, 5 and 3.1.1"),
        ("[link]\nfar = \"mqtt://ha\"\npassword_file = \"f\"\n", "FILE: `link.password_file` is `f`: a password needs"),
        ("[log]\nlevel = \"warning\"\n", "FILE: `log.level` is `warning`: `warning` is no level; error, warn, info"),
        ("[log]\nlevel = \"\"\n", "FILE: `log.level` is ``: `` is no level"),
        ("[log]\nlevel = \"info,lockstep=lots\"\n", "`lockstep=lots` is no level"),
        ("[log]\nlevel = \"info,\"\n", "`` is no level"),
        ("[log]\nlevel = \"info, warn\"\n", "` warn` is no level"),
        ("[log]\nlevel = \"=debug\"\n", "`=debug` is no level"),
        ("[hub\n", "FILE: "),
    ] {
        let faults = load(text, &[]).unwrap_err();
        assert!(faults[0].contains(expected), "{text}: {faults:?}");
        assert!(!faults[0].contains('\n'), "{faults:?}");
    }
}

#[test]
fn the_file_for_the_interoperability_tests_is_sound() {
    let config = load(include_str!("../../config/paho.toml"), &[]).unwrap();
    assert_eq!(config.mqtt.server_keep_alive.unwrap().as_secs(), 60);
    assert_eq!(config.mqtt.forbidden_filters.len(), 2);
}

#[test]
fn faults_are_told_all_at_once() {
    let faults = load("[limits]\nrooms_max = 0\n[storage]\nhistory_days = 0\n", &[]).unwrap_err();
    assert_eq!(faults.len(), 2, "{faults:?}");
}
