//! When the buzzer sounds: pure, from the time since the alarm began.

use std::time::Duration;

use crate::config::Buzzer;

/// Whether it sounds `elapsed` after its alarm began.
pub(super) fn sounds_at(buzzer: &Buzzer, elapsed: Duration) -> bool {
    if buzzer.stop_after.is_some_and(|stop| elapsed >= stop) {
        return false;
    }
    within(buzzer, elapsed) < buzzer.on
}

/// When, from the alarm's beginning, that next changes; none when it never does.
pub(super) fn next_change(buzzer: &Buzzer, elapsed: Duration) -> Option<Duration> {
    if buzzer.stop_after.is_some_and(|stop| elapsed >= stop) {
        return None;
    }
    let within = within(buzzer, elapsed);
    let step = if buzzer.on == buzzer.period {
        None
    } else if within < buzzer.on {
        Some(buzzer.on)
    } else {
        Some(buzzer.period)
    };
    let change = step.map(|step| elapsed + (step - within));
    [change, buzzer.stop_after].into_iter().flatten().min()
}

fn within(buzzer: &Buzzer, elapsed: Duration) -> Duration {
    let nanos = elapsed.as_nanos() % buzzer.period.as_nanos().max(1);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn buzzer(on: u64, period: u64, stop_after: Option<u64>) -> Buzzer {
        Buzzer {
            pin: None,
            sounds: Vec::new(),
            on: Duration::from_millis(on),
            period: Duration::from_millis(period),
            stop_after: stop_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn it_beeps_and_stops() {
        let buzzer = buzzer(200, 1000, Some(60));
        let ms = Duration::from_millis;
        assert!(sounds_at(&buzzer, ms(199)) && !sounds_at(&buzzer, ms(200)) && sounds_at(&buzzer, ms(59_000)));
        assert!(!sounds_at(&buzzer, ms(60_000)));
        assert_eq!(next_change(&buzzer, ms(59_300)), Some(ms(60_000)));
        assert_eq!(next_change(&buzzer, ms(60_000)), None);
    }

    proptest! {
        #[test]
        fn the_next_change_tells_the_truth(
            (period, on) in (100_u64..60_000).prop_flat_map(|period| (Just(period), 10..=period)),
            stop in prop::option::of(1_u64..100),
            at in 0_u64..200_000,
            look in 0.0_f64..1.0,
        ) {
            let buzzer = buzzer(on, period, stop);
            let at = Duration::from_millis(at);
            let until = next_change(&buzzer, at).unwrap_or(at + Duration::from_secs(1000));
            prop_assert!(until > at);
            let between = at + (until - at).mul_f64(look * 0.999);
            prop_assert_eq!(sounds_at(&buzzer, at), sounds_at(&buzzer, between));
        }
    }
}
