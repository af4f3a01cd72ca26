//! What each output line has to do now, and until when: pure.

use crate::{
    agent::Shown,
    clock::Mono,
    config::{Buzzer, Config, Light, LightPins},
    pattern::Rgb,
};

use super::buzzer;

/// The steps of one round of pulse-width modulation.
pub(super) const STEPS: u8 = 16;

/// The output lines, in order: each light's, then the buzzer's.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    lights: Vec<Light>,
    buzzer: Option<Buzzer>,
}

impl Plan {
    pub(super) fn new(config: &Config) -> Self {
        Self { lights: config.lights.clone(), buzzer: config.buzzer.clone() }
    }

    /// The lines' offsets, and whether a low line means on.
    pub(super) fn lines(&self) -> Vec<(u32, bool)> {
        let lights = self.lights.iter().flat_map(|l| l.pins.all().iter().map(|pin| (pin.line(), l.active_low)));
        let buzzer = self.buzzer.iter().filter_map(|buzzer| buzzer.pin).map(|pin| (pin.line(), false));
        lights.chain(buzzer).collect()
    }

    /// How long of each round each line is on, in steps: 0 is off, [`STEPS`] is on.
    pub(super) fn duties(&self, shown: &Shown, now: Mono, duties: &mut Vec<u8>) {
        duties.clear();
        for light in &self.lights {
            let colour = shown.colour_at(now, |word| light.takes_part(word));
            match light.pins {
                LightPins::Single(_) => duties.push(duty(colour.brightness())),
                LightPins::Rgb(_) => {
                    let Rgb { red, green, blue } = colour;
                    duties.extend([red, green, blue].map(duty));
                }
            }
        }
        if let Some(buzzer) = self.buzzer.as_ref().filter(|buzzer| buzzer.pin.is_some()) {
            let sounds = buzzer.sounds.contains(&shown.word) && buzzer::sounds_at(buzzer, now.since(shown.since));
            duties.push(if sounds { STEPS } else { 0 });
        }
    }

    /// When that may next be different by itself.
    pub(super) fn next_change(&self, shown: &Shown, now: Mono) -> Option<Mono> {
        let buzzer = self.buzzer.as_ref().filter(|buzzer| buzzer.sounds.contains(&shown.word));
        let buzzer = buzzer.and_then(|b| Some(shown.since + buzzer::next_change(b, now.since(shown.since))?));
        [shown.next_change(now), buzzer].into_iter().flatten().min()
    }
}

/// How long a line is on to look that bright: the eye sees equal steps where the light grows by a power of about 2.2.
fn duty(brightness: u8) -> u8 {
    // 255 * ((step - 0.5) / 16)^(1 / 2.2), the brightness from which on a step is nearest; a light that is not off is never dark.
    const FROM: [u8; 16] = [1, 88, 110, 128, 144, 158, 170, 182, 192, 202, 211, 220, 229, 237, 244, 252];
    u8::try_from(FROM.iter().filter(|&&from| brightness >= from).count()).unwrap_or(STEPS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        agent::{Agent, Input},
        config::Overrides,
    };

    const START: Mono = Mono::new(Duration::from_secs(10));

    fn shown(config: &Config, phase: &str) -> Shown {
        let mut agent = Agent::new(config, "b".parse().unwrap(), String::new(), false, START);
        agent.input(Input::Connected { protocol: 5 }, START);
        let payload = format!("{{\"phase\":\"{phase}\"}}").into_bytes();
        agent.input(Input::Message { topic: "lockstep/main/pomodoro/state".to_owned(), payload }, START);
        agent.shown().clone()
    }

    fn duties(config: &Config, phase: &str, after_ms: u64) -> Vec<u8> {
        let mut duties = Vec::new();
        Plan::new(config).duties(&shown(config, phase), START + Duration::from_millis(after_ms), &mut duties);
        duties
    }

    #[test]
    fn the_courses_colours_at_an_rgb_light_with_buzzer() {
        let config = Config::parse("[buzzer]\npin = 24", &Overrides::default()).unwrap();
        let at_start =
            ["idle", "work", "break_alarm", "short_break", "work_alarm"].map(|phase| duties(&config, phase, 0));
        assert_eq!(
            at_start,
            [[0, 0, 0, 0], [0, 16, 0, 0], [16, 0, 0, 16], [0, 0, 16, 0], [16, 16, 0, 16]].map(Vec::from)
        );
        assert_eq!(duties(&config, "break_alarm", 300), [16, 0, 0, 0], "between two beeps");
        assert_eq!(duties(&config, "break_alarm", 600), [0, 0, 0, 0], "between two blinks");
        assert_eq!(duties(&config, "work_alarm", 60_100), [16, 16, 0, 0], "quiet after a minute");
        assert_eq!(Plan::new(&config).lines(), [(27, false), (22, false), (23, false), (24, false)]);
    }

    #[test]
    fn three_single_lights() {
        let text = "
            [[light]]\nname = \"work\"\npin = 5\nshows = [\"work\"]
            [[light]]\nname = \"break\"\npin = 6\nshows = [\"short_break\", \"long_break\"]\nactive_low = true
            [[light]]\nname = \"alarm\"\npin = 13\nshows = [\"break_alarm\", \"work_alarm\", \"no_hub\"]
        ";
        let config = Config::parse(text, &Overrides::default()).unwrap();
        assert_eq!(duties(&config, "work", 0), [16, 0, 0]);
        assert_eq!(duties(&config, "short_break", 0), [0, 16, 0]);
        assert_eq!(duties(&config, "work_alarm", 0), [0, 0, 16]);
        assert_eq!(Plan::new(&config).lines(), [(5, false), (6, true), (13, false)]);
    }

    #[test]
    fn a_steady_light_asks_for_no_wake_ups() {
        let config = Config::parse("", &Overrides::default()).unwrap();
        for phase in ["idle", "work", "short_break"] {
            assert_eq!(Plan::new(&config).next_change(&shown(&config, phase), START), None, "{phase}");
        }
        assert!(Plan::new(&config).next_change(&shown(&config, "break_alarm"), START).is_some());
    }

    #[test]
    fn duties_grow_with_brightness() {
        assert_eq!((duty(0), duty(1), duty(255)), (0, 1, STEPS));
        for brightness in 1..=u8::MAX {
            assert!(duty(brightness) >= duty(brightness - 1));
            let exact = 16.0 * (f64::from(brightness) / 255.0).powf(2.2);
            assert!(
                (f64::from(duty(brightness)) - exact).abs() <= 1.0,
                "{brightness}: {} for {exact}",
                duty(brightness)
            );
        }
    }

    proptest! {
        /// Until the next change, no line changes.
        #[test]
        fn nothing_changes_unannounced(phase in 0_usize..6, after in 0_u64..100_000, look in 0.0_f64..1.0) {
            let config = Config::parse("[buzzer]\npin = 24", &Overrides::default()).unwrap();
            let plan = Plan::new(&config);
            let word = ["idle", "work", "break_alarm", "short_break", "work_alarm", "long_break"][phase];
            let shown = shown(&config, word);
            let now = START + Duration::from_millis(after);
            let until = plan.next_change(&shown, now).unwrap_or(now + Duration::from_secs(60));
            prop_assert!(until > now);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            plan.duties(&shown, now, &mut first);
            plan.duties(&shown, now + until.since(now).mul_f64(look * 0.999), &mut second);
            prop_assert_eq!(first, second);
        }
    }
}
