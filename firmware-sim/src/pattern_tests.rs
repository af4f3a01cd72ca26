use proptest::prelude::*;

use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn any_pattern() -> impl Strategy<Value = Pattern> {
    let mode =
        prop_oneof![Just(Mode::Solid), Just(Mode::Blink), Just(Mode::Breathe), (1_u8..=10).prop_map(Mode::Flash)];
    (any::<(u8, u8, u8)>(), mode, 200_u64..=60_000).prop_map(|((red, green, blue), mode, period)| Pattern {
        colour: Rgb::new(red, green, blue),
        mode,
        period: ms(period),
    })
}

#[test]
fn a_blink_is_on_and_off() {
    let blink = Pattern { colour: Rgb::WHITE, mode: Mode::Blink, period: ms(1000) };
    assert_eq!(blink.colour_at(ms(0)), Rgb::WHITE);
    assert_eq!(blink.colour_at(ms(499)), Rgb::WHITE);
    assert_eq!(blink.colour_at(ms(500)), Rgb::OFF);
    assert_eq!(blink.next_change(ms(499)), Some(ms(500)));
    assert_eq!(blink.next_change(ms(500)), Some(ms(1000)));
}

#[test]
fn a_double_flash_flashes_twice_a_period() {
    let flash = Pattern { colour: Rgb::WHITE, mode: Mode::Flash(2), period: ms(2000) };
    let mut changes = vec![];
    let mut at = ms(0);
    while let Some(next) = flash.next_change(at).filter(|&next| next <= ms(2000)) {
        changes.push((next.as_millis(), flash.colour_at(next) == Rgb::WHITE));
        at = next;
    }
    assert_eq!(changes, [(80, false), (200, true), (280, false), (2000, true)]);
}

#[test]
fn colours_are_names_or_hex() {
    assert_eq!(Rgb::parse("green"), Some(Rgb::new(0, 255, 0)));
    assert_eq!(Rgb::parse("#0a0B0c"), Some(Rgb::new(10, 11, 12)));
    for wrong in ["", "grün", "#12345", "#12345g", "123456", "#é2345"] {
        assert_eq!(Rgb::parse(wrong), None, "{wrong}");
    }
}

proptest! {
    /// Between two changes the colour is the same, and every change is later than the moment asked for.
    #[test]
    fn the_next_change_tells_the_truth(pattern in any_pattern(), at in 0_u64..200_000_000, look in 0.0_f64..1.0) {
        let at = Duration::from_micros(at);
        match pattern.next_change(at) {
            None => {
                let any_time = at + Duration::from_secs_f64(look * 100.0);
                prop_assert_eq!(pattern.colour_at(at), pattern.colour_at(any_time));
            }
            Some(next) => {
                prop_assert!(next > at);
                prop_assert!(next - at <= pattern.period);
                let between = at + (next - at).mul_f64(look * 0.999);
                prop_assert_eq!(pattern.colour_at(at), pattern.colour_at(between));
            }
        }
    }

    /// A pattern repeats after its period and never exceeds its colour.
    #[test]
    fn a_pattern_repeats_and_stays_in_its_colour(pattern in any_pattern(), at in 0_u64..100_000) {
        let colour = pattern.colour_at(ms(at));
        prop_assert_eq!(colour, pattern.colour_at(ms(at) + pattern.period));
        prop_assert!(colour.red <= pattern.colour.red);
        prop_assert!(colour.green <= pattern.colour.green);
        prop_assert!(colour.blue <= pattern.colour.blue);
    }

    /// As many flashes a period as configured, each of its length; a blink is on for half of its period; a solid light always.
    #[test]
    fn a_period_has_as_much_light_as_its_mode_says(pattern in any_pattern(), round in 0_u32..100) {
        let Mode::Flash(flashes) = pattern.mode else {
            let samples = 1000_u32;
            let lit = (0..samples).filter(|&at| pattern.colour_at(pattern.period * at / samples) == pattern.colour).count();
            match pattern.mode {
                Mode::Solid => prop_assert_eq!(lit, 1000),
                Mode::Blink if pattern.colour != Rgb::OFF => prop_assert!((499..=501).contains(&lit), "{lit}"),
                _ => {}
            }
            return Ok(());
        };
        let pattern = Pattern { colour: Rgb::WHITE, mode: Mode::Flash(flashes.min(Pattern::flashes_max(pattern.period))), ..pattern };
        let Mode::Flash(flashes) = pattern.mode else { unreachable!() };
        let begin = pattern.period * round;
        let (mut at, mut lit, mut times) = (begin, Duration::ZERO, 0);
        while at < begin + pattern.period {
            let next = pattern.next_change(at).unwrap().min(begin + pattern.period);
            if pattern.colour_at(at) == Rgb::WHITE {
                lit += next - at;
                times += 1;
            }
            at = next;
        }
        prop_assert_eq!((times, lit), (u32::from(flashes), FLASH_ON * u32::from(flashes)));
    }

    /// A breathing light is never dark, however slow it breathes.
    #[test]
    fn a_breath_is_never_dark(period in 200_u64..60_000, at in 0_u64..600_000) {
        let breath = Pattern { colour: Rgb::WHITE, mode: Mode::Breathe, period: ms(period) };
        prop_assert!(breath.colour_at(ms(at)).brightness() > 0);
    }

    /// An inverted colour is visibly different, and every colour survives being written and read.
    #[test]
    fn colours_invert_and_round_trip(red: u8, green: u8, blue: u8) {
        let colour = Rgb::new(red, green, blue);
        prop_assert!(colour.inverted().brightness().abs_diff(colour.brightness()) >= 127);
        prop_assert_eq!(Rgb::parse(&colour.to_string()), Some(colour));
    }

    #[test]
    fn no_text_makes_the_colour_parser_panic(text in ".{0,12}") {
        let _ = Rgb::parse(&text);
    }
}
