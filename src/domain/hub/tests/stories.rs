//! Golden stories: `tests/scenarios/*.story` hold what is done, and behind each line what the hub said.
//!
//! Lines that begin with `>` are done, `#` is a remark, the rest is the transcript. `LOCKSTEP_BLESS=1 cargo test stories`
//! writes the transcripts anew; review them as a diff. Moments are told as the wall clock's distance from the beginning.
//!
//! `> +25m wake` lets time pass with the hub awake · `> +90s late` lets it pass and wakes the hub once · `> anna: press` sends to
//! the Pomodoro · `> anna: slider1 42` to another thing · `> wall -2h` sets the wall clock · `> synchronised` confirms it · `> off 10m` kills
//! the hub and starts it again after a while, `unsynchronised` with a clock that nobody vouches for · `> remaining` asks.

use std::{fmt::Write as _, path::Path};

use super::*;

/// The stories that there must be: a lost file must not look like success.
const STORIES_MIN: usize = 9;

#[test]
fn every_story_goes_as_it_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let bless = std::env::var_os("LOCKSTEP_BLESS").is_some();
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "story"));
    files.sort();
    assert!(files.len() >= STORIES_MIN, "{files:?}");
    for path in files {
        let told = std::fs::read_to_string(&path).unwrap();
        let happened = play(&told);
        if bless {
            std::fs::write(&path, happened).unwrap();
        } else {
            let differs = told.lines().zip(happened.lines()).position(|(told, happened)| told != happened);
            let line = differs.map_or(told.lines().count().min(happened.lines().count()), |line| line) + 1;
            assert!(told == happened, "{}: line {line} goes otherwise:\n{happened}", path.display());
        }
    }
}

/// The story again, with the transcript as it happens now.
fn play(story: &str) -> String {
    let mut bench = Bench::new();
    let mut transcript = String::new();
    for line in story.lines().filter(|line| line.starts_with(['>', '#']) || line.is_empty()) {
        transcript.push_str(line);
        transcript.push('\n');
        if let Some(deed) = line.strip_prefix("> ") {
            act(&mut bench, deed, &mut transcript);
            for publication in std::mem::take(&mut bench.said) {
                tell(&publication, &mut transcript);
            }
            for record in std::mem::take(&mut bench.finished) {
                let finished = record.finished;
                let (from, to) = (clock(finished.started_at.unix_ms()), clock(finished.ended_at.unix_ms()));
                let how = if finished.completed { "completed" } else { "broken off" };
                let (actual, planned) = (finished.actual.as_secs(), finished.planned.as_secs());
                writeln!(
                    transcript,
                    "  history: {} {how} from {from} to {to}, {actual} of {planned} s",
                    finished.phase
                )
                .unwrap();
            }
        }
    }
    transcript
}

fn act(bench: &mut Bench, deed: &str, transcript: &mut String) {
    let words: Vec<&str> = deed.split(' ').collect();
    match words[..] {
        [span, "wake"] => bench.live(duration(span)),
        [span, "late"] => {
            bench.pass(duration(span));
            bench.wake();
        }
        ["wall", by] => {
            let (sign, span) = by.split_at(1);
            let ms = i64::try_from(duration(span).as_millis()).unwrap() * if sign == "-" { -1 } else { 1 };
            bench.now.wall = Wall::from_unix_ms(bench.now.wall.unix_ms() + ms);
        }
        ["synchronised"] => bench.now.wall_synchronised = true,
        ["off", span, ref clock @ ..] => {
            let revision = bench.hub.revision();
            if let ["unsynchronised", wall] = clock {
                bench.now.wall_synchronised = false;
                act(bench, &format!("wall {wall}"), transcript);
            }
            bench.restart(spec(), duration(span), revision);
            // What is not of the story: sliders, rooms, people.
            bench.said.retain(|publication| publication.topic.as_str().contains("/pomodoro/"));
        }
        ["remaining"] => writeln!(transcript, "  {}", bench.text("main/pomodoro/remaining").unwrap()).unwrap(),
        _ => {
            let (who, command) = deed.split_once(": ").unwrap_or_else(|| panic!("what is `{deed}`?"));
            let (thing, payload) = match command.split_once(' ') {
                Some((thing, payload)) if thing.starts_with("slider") => (thing, payload),
                _ => ("pomodoro", command),
            };
            match bench.send(who, &format!("main/{thing}/set"), payload) {
                Ok(accepted) => writeln!(transcript, "  ok: revision {}", accepted.revision.unwrap()).unwrap(),
                Err(rejection) => writeln!(transcript, "  {}: {rejection}", rejection.code.as_str()).unwrap(),
            }
        }
    }
}

fn tell(publication: &Publication, transcript: &mut String) {
    let topic = publication.topic.as_str().trim_start_matches("lockstep/main/");
    let payload = std::str::from_utf8(&publication.payload).unwrap();
    match topic.rsplit('/').next().unwrap() {
        // Once a second: asked for by `> remaining`.
        "remaining" => {}
        "state" => {
            let state: Value = serde_json::from_str(payload).unwrap();
            let moment = |name: &str| state[name].as_i64().map_or("-".to_owned(), clock);
            write!(transcript, "  {topic}:").unwrap();
            if state["state"].is_null() {
                write!(transcript, " {}", state["value"]).unwrap();
            } else {
                let paused = if state["paused"] == true { " paused" } else { "" };
                let [number, phase, cycle, left] = ["state", "phase", "cycle", "remaining_ms"].map(|name| &state[name]);
                let (from, to) = (moment("started_at"), moment("ends_at"));
                let phase = phase.as_str().unwrap();
                write!(transcript, " {number} {phase}{paused} from {from} to {to} left {left} cycle {cycle}").unwrap();
            }
            writeln!(transcript, " rev {} by {}", state["rev"], state["by"].as_str().unwrap()).unwrap();
        }
        "event" => {
            let event: Value = serde_json::from_str(payload).unwrap();
            let (what, at) =
                (event["event_type"].as_str().unwrap(), event["ended_at"].as_i64().map_or("-".into(), clock));
            let skipped = if event["skipped"] == true { " skipped" } else { "" };
            writeln!(transcript, "  {topic}: {what}{skipped} at {at}").unwrap();
        }
        _ => writeln!(transcript, "  {topic}: {payload}").unwrap(),
    }
}

/// `1h`, `25m`, `90s`, `500ms`, with or without a `+`.
fn duration(text: &str) -> Duration {
    let text = text.trim_start_matches('+');
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap());
    let number: u64 = digits.parse().unwrap();
    match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3600),
        "d" => Duration::from_secs(number * 86_400),
        _ => panic!("what is `{text}`?"),
    }
}

/// A moment of the wall clock, as the distance from the beginning of the story.
fn clock(unix_ms: i64) -> String {
    let ms = unix_ms - EPOCH_MS;
    let (sign, ms) = if ms < 0 { ("-", -ms) } else { ("", ms) };
    let fraction = if ms % 1000 == 0 { String::new() } else { format!(".{:03}", ms % 1000) };
    format!("{sign}{:02}:{:02}:{:02}{fraction}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60)
}
