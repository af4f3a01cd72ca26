//! The configuration as the file says it: types, no meaning.

use super::{
    DEFAULT, Overrides,
    keys::{Document, Keys},
};

#[derive(Debug, Clone, Default)]
pub(super) struct Raw {
    pub(super) hub: RawHub,
    pub(super) own: RawBox,
    pub(super) gestures: RawGestures,
    pub(super) button: Vec<RawButton>,
    pub(super) light: Vec<RawLight>,
    pub(super) buzzer: RawBuzzer,
    pub(super) dial: Vec<RawDial>,
    pub(super) gpio: RawGpio,
    pub(super) patterns: RawPatterns,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawHub {
    pub(super) url: String,
    pub(super) root: String,
    pub(super) room: String,
    pub(super) user: String,
    pub(super) password_file: String,
    pub(super) ca_file: String,
    pub(super) cert_file: String,
    pub(super) key_file: String,
    pub(super) keep_alive_s: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawBox {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) board: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawGestures {
    pub(super) long_press_ms: i64,
    pub(super) double_window_ms: i64,
}

/// A pin: `17` or a text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RawPin {
    Line(i64),
    Text(String),
}

#[derive(Debug, Clone)]
pub(super) struct RawButton {
    pub(super) name: String,
    pub(super) pin: Option<RawPin>,
    pub(super) short_press: String,
    pub(super) double_press: String,
    pub(super) long_press: String,
    pub(super) long_release: String,
}

#[derive(Debug, Clone)]
pub(super) struct RawLight {
    pub(super) name: String,
    pub(super) pin: Option<RawPin>,
    pub(super) red: Option<RawPin>,
    pub(super) green: Option<RawPin>,
    pub(super) blue: Option<RawPin>,
    pub(super) active_low: bool,
    pub(super) shows: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawBuzzer {
    pub(super) pin: Option<RawPin>,
    pub(super) sounds: Vec<String>,
    pub(super) on_ms: i64,
    pub(super) period_ms: i64,
    pub(super) stop_after_s: i64,
}

#[derive(Debug, Clone)]
pub(super) struct RawDial {
    pub(super) slider: String,
    pub(super) a: Option<RawPin>,
    pub(super) b: Option<RawPin>,
    pub(super) up: Option<RawPin>,
    pub(super) down: Option<RawPin>,
    pub(super) step: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawGpio {
    pub(super) chip: String,
    pub(super) pull: String,
    pub(super) active_low: bool,
    pub(super) debounce_ms: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawPattern {
    pub(super) colour: String,
    pub(super) mode: String,
    pub(super) period_ms: Option<i64>,
    pub(super) flashes: Option<i64>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct RawPatterns {
    pub(super) idle: RawPattern,
    pub(super) work: RawPattern,
    pub(super) break_alarm: RawPattern,
    pub(super) short_break: RawPattern,
    pub(super) work_alarm: RawPattern,
    pub(super) long_break: RawPattern,
    pub(super) paused: RawPattern,
    pub(super) no_hub: RawPattern,
    pub(super) unsent: RawPattern,
    pub(super) rejected: RawPattern,
}

impl RawPatterns {
    /// The patterns in the order of [`LightWord::ALL`](super::LightWord::ALL).
    pub(super) const fn all(&self) -> [&RawPattern; 10] {
        [
            &self.idle,
            &self.work,
            &self.break_alarm,
            &self.short_break,
            &self.work_alarm,
            &self.long_break,
            &self.paused,
            &self.no_hub,
            &self.unsent,
            &self.rejected,
        ]
    }
}

impl Raw {
    pub(super) fn overlay(&mut self, overrides: &Overrides) {
        let Overrides { hub, root, room, id, user, password_file, ca_file, cert_file, key_file, board } =
            overrides.clone();
        let lay = |value: Option<String>, over: &mut String| {
            if let Some(value) = value {
                *over = value;
            }
        };
        lay(hub, &mut self.hub.url);
        lay(root, &mut self.hub.root);
        lay(room, &mut self.hub.room);
        lay(id, &mut self.own.id);
        lay(user, &mut self.hub.user);
        lay(password_file, &mut self.hub.password_file);
        lay(ca_file, &mut self.hub.ca_file);
        lay(cert_file, &mut self.hub.cert_file);
        lay(key_file, &mut self.hub.key_file);
        lay(board, &mut self.own.board);
    }
}

/// The text laid over the default: tables key by key, lists as a whole.
pub(super) fn merged(text: &str) -> Result<Raw, Vec<String>> {
    let mut document = Document::new(text);
    if let (Some(over), Some(under)) = (document.parse(text), document.parse(DEFAULT)) {
        let mut keys = document.keys(&over, &under);
        let raw = read(&mut keys);
        keys.finish();
        if document.faults.is_empty() {
            return Ok(raw);
        }
    }
    Err(document.faults)
}

fn read(keys: &mut Keys<'_, '_>) -> Raw {
    Raw {
        hub: keys.table("hub", |keys| RawHub {
            url: keys.text("url"),
            root: keys.text("root"),
            room: keys.text("room"),
            user: keys.text("user"),
            password_file: keys.text("password_file"),
            ca_file: keys.text("ca_file"),
            cert_file: keys.text("cert_file"),
            key_file: keys.text("key_file"),
            keep_alive_s: keys.number("keep_alive_s").unwrap_or_default(),
        }),
        own: keys.table("box", |keys| RawBox {
            id: keys.text("id"),
            name: keys.text("name"),
            board: keys.text("board"),
        }),
        gestures: keys.table("gestures", |keys| RawGestures {
            long_press_ms: keys.number("long_press_ms").unwrap_or_default(),
            double_window_ms: keys.number("double_window_ms").unwrap_or_default(),
        }),
        button: keys.list("button", |keys| RawButton {
            name: keys.name("name"),
            pin: keys.pin("pin"),
            short_press: keys.text("short_press"),
            double_press: keys.text("double_press"),
            long_press: keys.text("long_press"),
            long_release: keys.text("long_release"),
        }),
        light: keys.list("light", |keys| RawLight {
            name: keys.name("name"),
            pin: keys.pin("pin"),
            red: keys.pin("red"),
            green: keys.pin("green"),
            blue: keys.pin("blue"),
            active_low: keys.flag("active_low"),
            shows: keys.texts("shows"),
        }),
        buzzer: keys.table("buzzer", |keys| RawBuzzer {
            pin: keys.pin("pin"),
            sounds: keys.texts("sounds"),
            on_ms: keys.number("on_ms").unwrap_or_default(),
            period_ms: keys.number("period_ms").unwrap_or_default(),
            stop_after_s: keys.number("stop_after_s").unwrap_or_default(),
        }),
        dial: keys.list("dial", |keys| RawDial {
            slider: keys.name("slider"),
            a: keys.pin("a"),
            b: keys.pin("b"),
            up: keys.pin("up"),
            down: keys.pin("down"),
            step: keys.number("step").unwrap_or(1),
        }),
        gpio: keys.table("gpio", |keys| RawGpio {
            chip: keys.text("chip"),
            pull: keys.text("pull"),
            active_low: keys.flag("active_low"),
            debounce_ms: keys.number("debounce_ms").unwrap_or_default(),
        }),
        patterns: keys.table("patterns", read_patterns),
    }
}

fn read_patterns(keys: &mut Keys<'_, '_>) -> RawPatterns {
    let mut pattern = |key| {
        keys.table(key, |keys| RawPattern {
            colour: keys.text("colour"),
            mode: keys.text("mode"),
            period_ms: keys.number("period_ms"),
            flashes: keys.number("flashes"),
        })
    };
    RawPatterns {
        idle: pattern("idle"),
        work: pattern("work"),
        break_alarm: pattern("break_alarm"),
        short_break: pattern("short_break"),
        work_alarm: pattern("work_alarm"),
        long_break: pattern("long_break"),
        paused: pattern("paused"),
        no_hub: pattern("no_hub"),
        unsent: pattern("unsent"),
        rejected: pattern("rejected"),
    }
}
