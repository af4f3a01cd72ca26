//! From what the file says to what the program works with; collects every fault.

use std::{collections::BTreeMap, ops::RangeInclusive, path::PathBuf, time::Duration};

use lockstep::domain::{
    id::{Id, RESERVED_ROOMS},
    things::pomodoro::Phase,
};

use super::{
    BoardKind, Button, Buzzer, Config, Dial, DialLines, Gpio, Hub, HubAddress, Light, LightPins, LightWord, PARTS_MAX,
    Paint, Patterns, Pin, Pull,
    raw::{Raw, RawButton, RawBuzzer, RawDial, RawLight, RawPattern, RawPin},
};
use crate::{
    command::{Command, STEPS_MAX},
    gesture::Timing,
    pattern::{Mode, PERIOD_MAX, PERIOD_MIN, Pattern, Rgb},
};

const NAME_CHARS_MAX: usize = 40;
const PORT_PLAIN: u16 = 1883;
const PORT_TLS: u16 = 8883;

pub(super) fn check(raw: Raw) -> Result<Config, Vec<String>> {
    let mut faults = Faults::default();
    let config = faults.config(raw);
    if faults.0.is_empty() { Ok(config) } else { Err(faults.0) }
}

/// The faults so far. Every check returns something to go on with, so that one run tells them all.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn tell(&mut self, key: &str, value: impl std::fmt::Debug, allowed: &str) {
        self.0.push(format!("{key} = {value:?}: allowed is {allowed}"));
    }

    fn config(&mut self, raw: Raw) -> Config {
        if raw.hub.cert_file.is_empty() != raw.hub.key_file.is_empty() {
            self.0.push(
                "hub.cert_file and hub.key_file: a certificate needs its key, and a key its certificate".to_owned(),
            );
        }
        let hub = Hub {
            address: self.address(&raw.hub.url),
            root: self.id("hub.root", &raw.hub.root),
            room: self.room(&raw.hub.room),
            user: some(raw.hub.user),
            password_file: some(raw.hub.password_file).map(PathBuf::from),
            ca_file: some(raw.hub.ca_file).map(PathBuf::from),
            certificate: some(raw.hub.cert_file).map(PathBuf::from).zip(some(raw.hub.key_file).map(PathBuf::from)),
            keep_alive: Duration::from_secs(self.number("hub.keep_alive_s", raw.hub.keep_alive_s, 5..=600)),
        };
        if hub.password_file.is_some() && hub.user.is_none() {
            self.0.push("hub.password_file is set without hub.user: a password needs a user".to_owned());
        }
        let long_press = self.millis("gestures.long_press_ms", raw.gestures.long_press_ms, 200..=10_000);
        let double = self.millis("gestures.double_window_ms", raw.gestures.double_window_ms, 100..=2_000);
        for (key, count) in [("button", raw.button.len()), ("light", raw.light.len()), ("dial", raw.dial.len())] {
            if count > PARTS_MAX {
                self.0.push(format!("[[{key}]]: there are {count}, allowed are {PARTS_MAX}"));
            }
        }
        let buttons: Vec<_> = raw.button.iter().map(|raw| self.button(raw, long_press, double)).collect();
        if buttons.is_empty() {
            self.0.push("[[button]]: there is none, and a box needs one".to_owned());
        }
        let config = Config {
            hub,
            id: some(raw.own.id).map(|id| self.id("box.id", &id)),
            name: self.name(raw.own.name),
            board: self.board(&raw.own.board),
            buttons,
            lights: raw.light.iter().filter_map(|raw| self.light(raw)).collect(),
            buzzer: self.buzzer(&raw.buzzer),
            dials: raw.dial.iter().filter_map(|raw| self.dial(raw)).collect(),
            gpio: Gpio {
                pull: self.pull(&raw.gpio.pull),
                active_low: raw.gpio.active_low,
                debounce: self.millis("gpio.debounce_ms", raw.gpio.debounce_ms, 0..=1_000),
                chip: raw.gpio.chip,
            },
            patterns: self.patterns(raw.patterns.all()),
        };
        self.no_name_twice(&config);
        self.no_pin_twice(&config);
        config
    }

    fn address(&mut self, url: &str) -> HubAddress {
        if url == "auto" {
            if !cfg!(feature = "mdns") {
                self.0.push("hub.url = \"auto\": this build has no mDNS; give mqtt://HOST:1883".to_owned());
            }
            return HubAddress::Auto;
        }
        if url.starts_with("mqtts://") && !cfg!(feature = "tls") {
            self.0.push(format!("hub.url = {url:?}: this build has no TLS; allowed is mqtt://HOST:1883"));
        }
        parse_address(url).unwrap_or_else(|| {
            self.tell("hub.url", url, "mqtt://HOST[:PORT], mqtts://HOST[:PORT] or auto");
            HubAddress::Auto
        })
    }

    fn id(&mut self, key: &str, text: &str) -> Id {
        text.parse().unwrap_or_else(|_| {
            self.tell(key, text, "1 to 64 of a-z, 0-9, _ and -");
            fallback_id()
        })
    }

    fn room(&mut self, text: &str) -> Id {
        if RESERVED_ROOMS.contains(&text) {
            self.tell("hub.room", text, "any room but `hub` and `device`, which are the hub's own");
        }
        self.id("hub.room", text)
    }

    fn name(&mut self, name: String) -> String {
        if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            self.tell("box.name", &name, "1 to 40 characters");
        }
        name
    }

    fn number<T: TryFrom<i64> + Default>(&mut self, key: &str, value: i64, allowed: RangeInclusive<i64>) -> T {
        if !allowed.contains(&value) {
            self.tell(key, value, &format!("{} to {}", allowed.start(), allowed.end()));
        }
        T::try_from(value).unwrap_or_default()
    }

    fn millis(&mut self, key: &str, value: i64, allowed: RangeInclusive<i64>) -> Duration {
        Duration::from_millis(self.number(key, value, allowed))
    }

    fn board(&mut self, word: &str) -> BoardKind {
        if word == "auto" {
            return if cfg!(feature = "terminal") { BoardKind::Terminal } else { BoardKind::Gpio };
        }
        let known = [BoardKind::Terminal, BoardKind::Headless, BoardKind::Gpio];
        known.into_iter().find(|kind| kind.word() == word).unwrap_or_else(|| {
            self.tell("box.board", word, "auto, terminal, gpio or headless");
            BoardKind::Headless
        })
    }

    fn pull(&mut self, word: &str) -> Pull {
        match word {
            "up" => Pull::Up,
            "down" => Pull::Down,
            "none" => Pull::None,
            _ => {
                self.tell("gpio.pull", word, "up, down or none");
                Pull::Up
            }
        }
    }

    fn pin(&mut self, key: &str, raw: Option<&RawPin>) -> Option<Pin> {
        let (pin, shown) = match raw? {
            RawPin::Line(line) => (u32::try_from(*line).ok().and_then(Pin::from_line), line.to_string()),
            RawPin::Text(text) => (Pin::parse(text), format!("{text:?}")),
        };
        if pin.is_none() {
            self.0
                .push(format!("{key} = {shown}: allowed is 17, \"GPIO17\" or \"BOARD11\" (a position that is a GPIO)"));
        }
        pin
    }

    fn command(&mut self, key: &str, text: &str) -> Option<Command> {
        Command::parse(text).unwrap_or_else(|message| {
            self.0.push(format!("{key} = {message}"));
            None
        })
    }

    fn button(&mut self, raw: &RawButton, long_press: Duration, double_window: Duration) -> Button {
        let key = |leaf: &str| format!("button {}.{leaf}", raw.name);
        let double = self.command(&key("double_press"), &raw.double_press);
        Button {
            name: self.id("button.name", &raw.name),
            pin: self.pin(&key("pin"), raw.pin.as_ref()),
            timing: Timing { long_press, double_window: double.is_some().then_some(double_window) },
            commands: [
                self.command(&key("short_press"), &raw.short_press),
                double,
                self.command(&key("long_press"), &raw.long_press),
                self.command(&key("long_release"), &raw.long_release),
            ],
        }
    }

    fn light(&mut self, raw: &RawLight) -> Option<Light> {
        let key = |leaf: &str| format!("light {}.{leaf}", raw.name);
        let mut pin = |leaf: &str, raw: &Option<RawPin>| self.pin(&key(leaf), raw.as_ref());
        let single = pin("pin", &raw.pin);
        let rgb = [pin("red", &raw.red), pin("green", &raw.green), pin("blue", &raw.blue)];
        let given = [&raw.red, &raw.green, &raw.blue].map(Option::is_some);
        let pins = match (raw.pin.is_some(), given) {
            (true, [false, false, false]) => LightPins::Single(single?),
            (false, [true, true, true]) => LightPins::Rgb([rgb[0]?, rgb[1]?, rgb[2]?]),
            _ => {
                self.0.push(format!("light {}: it has either `pin`, or `red`, `green` and `blue`", raw.name));
                return None;
            }
        };
        let name = self.id("light.name", &raw.name);
        Some(Light { name, pins, active_low: raw.active_low, shows: self.words(&key("shows"), &raw.shows) })
    }

    fn words(&mut self, key: &str, words: &[String]) -> Vec<LightWord> {
        let mut known = Vec::new();
        for word in words {
            match LightWord::ALL.into_iter().find(|known| known.as_str() == word) {
                Some(word) => known.push(word),
                None => self.tell(key, word, &LightWord::ALL.map(LightWord::as_str).join(", ")),
            }
        }
        known
    }

    fn buzzer(&mut self, raw: &RawBuzzer) -> Option<Buzzer> {
        let period = self.millis("buzzer.period_ms", raw.period_ms, 100..=60_000);
        let on = self.millis("buzzer.on_ms", raw.on_ms, 10..=60_000);
        if on > period {
            self.tell("buzzer.on_ms", raw.on_ms, "at most buzzer.period_ms");
        }
        let stop_after: u64 = self.number("buzzer.stop_after_s", raw.stop_after_s, 0..=86_400);
        let sounds = self.words("buzzer.sounds", &raw.sounds);
        let pin = self.pin("buzzer.pin", raw.pin.as_ref());
        let stop_after = (stop_after > 0).then(|| Duration::from_secs(stop_after));
        (pin.is_some() && !sounds.is_empty()).then_some(Buzzer { pin, sounds, on, period, stop_after })
    }

    fn dial(&mut self, raw: &RawDial) -> Option<Dial> {
        let key = |leaf: &str| format!("dial {}.{leaf}", raw.slider);
        let slider = self.id("dial.slider", &raw.slider);
        let step: i32 = self.number(&key("step"), raw.step, 1..=i64::from(STEPS_MAX));
        let mut pin = |leaf: &str, raw: &Option<RawPin>| self.pin(&key(leaf), raw.as_ref());
        let (a, b) = (pin("a", &raw.a), pin("b", &raw.b));
        let (up, down) = (pin("up", &raw.up), pin("down", &raw.down));
        let given = [&raw.a, &raw.b, &raw.up, &raw.down].map(Option::is_some);
        let lines = match given {
            [true, true, false, false] => DialLines::Encoder { a: a?, b: b? },
            [false, false, true, true] => DialLines::Buttons { up: up?, down: down? },
            _ => {
                self.0.push(format!("dial {}: it has either `a` and `b`, or `up` and `down`", raw.slider));
                return None;
            }
        };
        Some(Dial { slider, lines, step })
    }

    fn patterns(&mut self, raw: [&RawPattern; 10]) -> Patterns {
        let mut paints = [Paint { pattern: Pattern::OFF, colour: Some(Rgb::OFF) }; 10];
        for (raw, (word, paint)) in raw.into_iter().zip(LightWord::ALL.into_iter().zip(&mut paints)) {
            *paint = self.paint(raw, word);
        }
        Patterns(paints)
    }

    fn paint(&mut self, raw: &RawPattern, word: LightWord) -> Paint {
        let key = |leaf: &str| format!("patterns.{}.{leaf}", word.as_str());
        let period_ms = raw.period_ms.unwrap_or(1000);
        let allowed = millis_i64(PERIOD_MIN)..=millis_i64(PERIOD_MAX);
        let period = self.millis(&key("period_ms"), period_ms, allowed);
        let mode = match raw.mode.as_str() {
            "solid" => Mode::Solid,
            "blink" => Mode::Blink,
            "breathe" => Mode::Breathe,
            "flash" => {
                let most = i64::from(Pattern::flashes_max(period.max(PERIOD_MIN)));
                Mode::Flash(self.number(&key("flashes"), raw.flashes.unwrap_or(1), 1..=most))
            }
            other => {
                self.tell(&key("mode"), other, "solid, blink, breathe or flash");
                Mode::Solid
            }
        };
        let of_phase = raw.colour == "phase" && !matches!(word, LightWord::Phase(_) | LightWord::NoHub);
        let colour = if of_phase { None } else { Rgb::parse(&raw.colour) };
        if !of_phase && colour.is_none() {
            let phase = if matches!(word, LightWord::Phase(_) | LightWord::NoHub) { "" } else { ", phase" };
            self.tell(&key("colour"), &raw.colour, &format!("{}{phase} or #rrggbb", Rgb::names()));
        }
        let pattern = Pattern { colour: colour.unwrap_or_default(), mode, period: period.max(PERIOD_MIN) };
        Paint { pattern, colour }
    }

    fn no_name_twice(&mut self, config: &Config) {
        let buttons = config.buttons.iter().map(|button| ("button", &button.name));
        let lights = config.lights.iter().map(|light| ("light", &light.name));
        let mut seen = std::collections::BTreeSet::new();
        for part in buttons.chain(lights) {
            if !seen.insert(part) {
                self.0.push(format!("[[{}]] name = {:?}: there are two of that name", part.0, part.1.as_str()));
            }
        }
    }

    fn no_pin_twice(&mut self, config: &Config) {
        let mut users: BTreeMap<Pin, String> = BTreeMap::new();
        let buttons = config.buttons.iter().flat_map(|b| b.pin.map(|pin| (pin, format!("button {}", b.name))));
        let lights = config
            .lights
            .iter()
            .flat_map(|l| l.pins.all().iter().map(|&pin| (pin, format!("light {}", l.name))).collect::<Vec<_>>());
        let buzzer = config.buzzer.iter().filter_map(|b| b.pin).map(|pin| (pin, "the buzzer".to_owned()));
        let dials = config.dials.iter().flat_map(|d| d.lines.pins().map(|pin| (pin, format!("dial {}", d.slider))));
        for (pin, user) in buttons.chain(lights).chain(buzzer).chain(dials) {
            if let Some(other) = users.insert(pin, user.clone()) {
                self.0.push(format!("{pin} is given twice: to {other} and to {user}"));
            }
        }
    }
}

/// Any id, to go on with after a fault has been told.
fn fallback_id() -> Id {
    #[expect(clippy::unwrap_used, reason = "a word of the design is an id")]
    Phase::Idle.as_str().parse().unwrap()
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn millis_i64(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// `mqtt://HOST[:PORT]`; an IPv6 address in brackets; user names do not belong in an address.
fn parse_address(url: &str) -> Option<HubAddress> {
    let (rest, tls) = match (url.strip_prefix("mqtt://"), url.strip_prefix("mqtts://")) {
        (Some(rest), _) => (rest, false),
        (_, Some(rest)) => (rest, true),
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = if rest.starts_with('[') {
        let end = rest.find(']')?;
        rest[1..end].parse::<std::net::Ipv6Addr>().ok()?;
        let after = &rest[end + 1..];
        (&rest[..=end], if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
    } else {
        rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)))
    };
    let host_ok = host.starts_with('[')
        || (!host.is_empty()
            && host.len() <= 253
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)));
    let port = match port {
        Some(port) => port.parse().ok().filter(|&port| port > 0)?,
        None if tls => PORT_TLS,
        None => PORT_PLAIN,
    };
    host_ok.then(|| HubAddress::At { host: host.to_owned(), port, tls })
}
