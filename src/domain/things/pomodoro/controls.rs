//! What of a Pomodoro a person can read or move.

use super::{Phase, settings::WhileRunning};
use crate::domain::control::{Control, Reading, Sending, Shape};

pub(super) fn controls() -> Vec<Control> {
    let mut controls = vec![
        reading("phase", "Phase", Reading::Enum(Phase::ALL.iter().map(|phase| phase.as_str()).collect())),
        reading("message", "Message", Reading::Text),
        reading("paused", "Paused", Reading::Flag),
        reading("ends_at", "Ends at", Reading::Timestamp),
        reading("cycle", "Cycle", Reading::Count),
    ];
    for (action, name) in [
        ("press", "Press"),
        ("start", "Start"),
        ("pause", "Pause"),
        ("resume", "Resume"),
        ("skip", "Skip"),
        ("extend", "Extend"),
        ("reset", "Reset"),
    ] {
        controls.push(Control {
            id: action,
            name,
            field: None,
            shape: Shape::Press,
            command: Some(Sending::Action { action }),
        });
    }
    for (field, name, min, max, unit) in [
        ("work_duration", "Work", 1.0, 86_400.0, Some("s")),
        ("break_duration", "Short break", 1.0, 86_400.0, Some("s")),
        ("long_break_duration", "Long break", 0.0, 86_400.0, Some("s")),
        ("number_cycles", "Cycles", 1.0, 100.0, None),
    ] {
        let shape = Shape::Number { min, max, step: 1.0, unit: unit.map(str::to_owned) };
        controls.push(setting(field, name, shape));
    }
    controls.push(setting("auto_start", "Start by itself", Shape::Switch));
    let options = WhileRunning::WORDS.to_vec();
    controls.push(setting("press_while_running", "Press while running", Shape::Select { options }));
    controls
}

fn reading(field: &'static str, name: &'static str, reading: Reading) -> Control {
    Control { id: field, name, field: Some(field), shape: Shape::Reading { reading }, command: None }
}

fn setting(field: &'static str, name: &'static str, shape: Shape) -> Control {
    let command = Some(Sending::Field { action: "configure", field });
    Control { id: field, name, field: Some(field), shape, command }
}
