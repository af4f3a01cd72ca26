use proptest::prelude::*;

use super::*;

const LONG: u64 = 800;
const DOUBLE: u64 = 350;

fn at(ms: u64) -> Mono {
    Mono::new(Duration::from_millis(ms))
}

fn button(double: bool) -> Gestures {
    Gestures::new(Timing {
        long_press: Duration::from_millis(LONG),
        double_window: double.then(|| Duration::from_millis(DOUBLE)),
    })
}

/// Plays `(ms, down)` edges, then lets time pass, and tells what came of it as words.
fn played(double: bool, edges: &[(u64, bool)]) -> Vec<&'static str> {
    let mut button = button(double);
    let mut told = Vec::new();
    for &(ms, down) in edges {
        told.extend(button.edge(down, at(ms)));
    }
    told.extend(button.wake(at(1_000_000)));
    told.iter().map(|gesture| gesture.word()).collect()
}

#[test]
fn a_short_press_is_told_when_it_ends_without_doubles() {
    let mut button = button(false);
    assert_eq!(button.edge(true, at(0)), []);
    assert_eq!(button.edge(false, at(90)), [Gesture::ShortPress]);
    assert_eq!(button.next_wakeup(), None);
}

#[test]
fn a_short_press_waits_for_the_double_window() {
    let mut button = button(true);
    button.edge(true, at(0));
    assert_eq!(button.edge(false, at(90)), []);
    assert_eq!(button.next_wakeup(), Some(at(90 + DOUBLE)));
    assert_eq!(button.wake(at(89 + DOUBLE)), []);
    assert_eq!(button.wake(at(90 + DOUBLE)), [Gesture::ShortPress]);
}

#[test]
fn the_table_of_gestures() {
    assert_eq!(played(true, &[(0, true), (80, false), (300, true), (380, false)]), ["double_press"]);
    assert_eq!(played(true, &[(0, true), (80, false), (500, true), (580, false)]), ["short_press", "short_press"]);
    assert_eq!(played(true, &[(0, true), (900, false)]), ["long_press", "long_release"]);
    assert_eq!(played(true, &[(0, true), (799, false)]), ["short_press"]);
    // The second of two presses turned long.
    assert_eq!(
        played(true, &[(0, true), (80, false), (200, true), (1200, false)]),
        ["short_press", "long_press", "long_release"]
    );
    assert_eq!(played(false, &[(0, true), (80, false), (200, true), (280, false)]), ["short_press", "short_press"]);
}

#[test]
fn a_lost_edge_does_not_count_twice() {
    assert_eq!(played(false, &[(0, true), (10, true), (80, false), (90, false)]), ["short_press"]);
}

#[test]
fn held_at_start_means_nothing_until_let_go() {
    let mut button = button(true);
    button.held_at_start();
    assert_eq!(button.wake(at(5_000)), []);
    assert_eq!(button.edge(false, at(6_000)), []);
    button.edge(true, at(7_000));
    assert_eq!(button.wake(at(7_800)), [Gesture::LongPress]);
}

/// What presses of `(pause before, held)` ms mean, by the words of the README: written anew, without states or timers.
fn meant(double: bool, presses: &[(u64, u64)]) -> Vec<Gesture> {
    let mut told = Vec::new();
    let mut index = 0;
    while let Some(&(_, held)) = presses.get(index) {
        index += 1;
        if held >= LONG {
            told.extend([Gesture::LongPress, Gesture::LongRelease]);
            continue;
        }
        match presses.get(index) {
            Some(&(pause, held)) if double && pause < DOUBLE && held < LONG => {
                index += 1;
                told.push(Gesture::DoublePress);
            }
            _ => told.push(Gesture::ShortPress),
        }
    }
    told
}

proptest! {
    /// Any presses mean what the README says, whatever their lengths and pauses, the limits themselves included.
    #[test]
    fn presses_mean_what_the_readme_says(
        double in any::<bool>(),
        presses in prop::collection::vec(
            (
                prop_oneof![1_u64..2_000, DOUBLE - 1..=DOUBLE + 1],
                prop_oneof![1_u64..2_000, LONG - 1..=LONG + 1],
            ),
            0..40,
        ),
    ) {
        let mut button = button(double);
        let (mut told, mut ms) = (Vec::new(), 0);
        for &(pause, held) in &presses {
            ms += pause;
            told.extend(button.edge(true, at(ms)));
            ms += held;
            told.extend(button.edge(false, at(ms)));
        }
        told.extend(button.wake(at(ms + 10_000)));
        prop_assert_eq!(told, meant(double, &presses));
    }

    /// Any edges at any times, woken or not in between: each press that ended is told exactly once, a long press has
    /// one long release, nothing panics, and an early wake changes nothing.
    #[test]
    fn every_press_is_told_exactly_once(
        double in any::<bool>(),
        steps in prop::collection::vec((0_u64..3_000, any::<bool>(), any::<bool>()), 0..80),
    ) {
        let mut button = button(double);
        let mut told = Vec::new();
        let (mut ms, mut down, mut presses) = (0, false, 0);
        for (wait, level, wake_between) in steps {
            if let Some(due) = button.next_wakeup().filter(|_| wake_between) {
                let early = Mono::from_nanos(u64::try_from(due.as_nanos() - 1).unwrap());
                if early >= at(ms) && early < at(ms + wait) {
                    prop_assert_eq!(button.wake(early), vec![]);
                    prop_assert_eq!(button.next_wakeup(), Some(due));
                }
            }
            ms += wait;
            if level && !down { presses += 1; }
            down = level;
            told.extend(button.edge(level, at(ms)));
            prop_assert_eq!(button.is_down(), down);
        }
        told.extend(button.edge(false, at(ms + 10)));
        told.extend(button.wake(at(ms + 100_000)));
        prop_assert_eq!(button.next_wakeup(), None);
        let count = |wanted| told.iter().filter(|&&gesture| gesture == wanted).count();
        prop_assert_eq!(
            count(Gesture::ShortPress) + 2 * count(Gesture::DoublePress) + count(Gesture::LongPress),
            presses
        );
        prop_assert_eq!(count(Gesture::LongPress), count(Gesture::LongRelease));
        if !double { prop_assert_eq!(count(Gesture::DoublePress), 0); }
    }

    /// Stamps that go backwards (they cannot, but a driver may lie) never turn time back nor panic.
    #[test]
    fn time_never_runs_backwards(stamps in prop::collection::vec((any::<u64>(), any::<bool>()), 0..50)) {
        let mut button = button(true);
        let mut latest = Mono::default();
        for (nanos, down) in stamps {
            button.edge(down, Mono::from_nanos(nanos));
            latest = latest.max(Mono::from_nanos(nanos));
            if let Some(due) = button.next_wakeup() {
                prop_assert!(due >= latest);
            }
        }
    }

    /// Whether somebody woke the recogniser in between makes no difference to what is told.
    #[test]
    fn waking_makes_no_difference(double in any::<bool>(), waits in prop::collection::vec(0_u64..2_000, 0..60)) {
        let (mut lazy, mut eager) = (button(double), button(double));
        let (mut told_lazy, mut told_eager) = (Vec::new(), Vec::new());
        let (mut ms, mut down) = (0, false);
        for wait in waits {
            while let Some(due) = eager.next_wakeup().filter(|&due| due <= at(ms + wait)) {
                told_eager.extend(eager.wake(due));
            }
            ms += wait;
            down = !down;
            told_lazy.extend(lazy.edge(down, at(ms)));
            told_eager.extend(eager.edge(down, at(ms)));
        }
        prop_assert_eq!(told_lazy, told_eager);
    }
}
