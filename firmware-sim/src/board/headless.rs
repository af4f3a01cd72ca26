//! A box for scripts: words on standard input, JSON lines on standard output.

use std::{
    io::{self, BufRead, Write},
    thread,
};

use lockstep::domain::id::Id;
use tokio::sync::mpsc;

use super::{BoardEvent, finger::Finger};
use crate::{
    agent::{Connection, Input, Report, Shown},
    clock,
    config::{Config, LightWord},
    gesture::{Gesture, Timing},
};

/// Lines that wait to be read.
const LINES_MAX: usize = 64;
/// The words, for the message about one that is none.
const WORDS: &str = "press, release, short, double, long (each with a button's name), turn N [DIAL], \
                     wait online|away|PATTERN, state, quit";

/// The headless board.
#[derive(Debug)]
pub struct Headless {
    lines: mpsc::Receiver<String>,
    buttons: Vec<(Id, Timing)>,
    dials: usize,
    finger: Finger,
    /// Told at the next chance.
    notice: Option<String>,
    until: Option<Until>,
    shown: Option<Shown>,
    ended: bool,
}

/// What `wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Connection(Connection),
    Word(LightWord),
}

/// What a line asks for.
#[derive(Debug, Clone, PartialEq)]
enum Word {
    Edge { button: usize, down: bool },
    Gesture { button: usize, gesture: Gesture },
    Turn { dial: usize, clicks: i32 },
    Wait(Until),
    State,
    Quit,
}

impl Headless {
    /// Starts to read standard input.
    pub fn new(config: &Config) -> Self {
        let (tell, lines) = mpsc::channel(LINES_MAX);
        // A thread of its own, which ends with the process: reading standard input cannot be given up.
        thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let Ok(line) = line else { return };
                if tell.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self::with_lines(config, lines)
    }

    fn with_lines(config: &Config, lines: mpsc::Receiver<String>) -> Self {
        Self {
            lines,
            buttons: config.buttons.iter().map(|button| (button.name.clone(), button.timing)).collect(),
            dials: config.dials.len(),
            finger: Finger::default(),
            notice: None,
            until: None,
            shown: None,
            ended: false,
        }
    }

    /// The next edge or word.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> BoardEvent {
        loop {
            if self.notice.is_some() {
                return BoardEvent::Redraw;
            }
            if !self.finger.is_still() {
                return BoardEvent::Input(self.finger.next().await);
            }
            if self.until.is_some() {
                return std::future::pending().await;
            }
            if self.ended {
                return BoardEvent::Quit;
            }
            let Some(line) = self.lines.recv().await else {
                self.ended = true;
                continue;
            };
            match self.parse(&line) {
                Ok(None) => {}
                Ok(Some(word)) => {
                    if let Some(event) = self.act(word) {
                        return event;
                    }
                }
                Err(message) => self.notice = Some(message),
            }
        }
    }

    fn act(&mut self, word: Word) -> Option<BoardEvent> {
        let now = clock::now();
        match word {
            Word::Edge { button, down } => return Some(BoardEvent::Input(Input::Edge { button, down, at: now })),
            Word::Turn { dial, clicks } => return Some(BoardEvent::Input(Input::Turn { dial, clicks })),
            Word::Quit => return Some(BoardEvent::Quit),
            Word::Gesture { button, gesture } => {
                let (_, timing) = self.buttons.get(button)?;
                self.finger.play(button, gesture, *timing, now);
            }
            Word::Wait(until) => {
                self.until = Some(until);
                self.stop_waiting();
            }
            Word::State => self.print_state(),
        }
        None
    }

    fn parse(&self, line: &str) -> Result<Option<Word>, String> {
        let wrong = || format!("`{}` is no word of this board: {WORDS} are", line.chars().take(60).collect::<String>());
        let mut parts = line.split_whitespace();
        let Some(verb) = parts.next() else { return Ok(None) };
        let (argument, more) = (parts.next(), parts.next());
        if parts.next().is_some() || (more.is_some() && verb != "turn") {
            return Err(wrong());
        }
        let button = || match argument {
            None => Ok(0),
            Some(name) => self.buttons.iter().position(|(known, _)| known.as_str() == name).ok_or_else(|| {
                let names: Vec<_> = self.buttons.iter().map(|(name, _)| name.as_str()).collect();
                format!("there is no button `{name}`: {} is", names.join(", "))
            }),
        };
        let gesture = |gesture| Ok(Some(Word::Gesture { button: button()?, gesture }));
        match verb {
            "press" => Ok(Some(Word::Edge { button: button()?, down: true })),
            "release" => Ok(Some(Word::Edge { button: button()?, down: false })),
            "short" => gesture(Gesture::ShortPress),
            "double" => gesture(Gesture::DoublePress),
            "long" => gesture(Gesture::LongPress),
            "turn" => {
                let clicks = argument.and_then(|clicks| clicks.parse().ok()).ok_or_else(wrong)?;
                let dial = more.map_or(Ok(0), |dial| dial.parse().map_err(|_| wrong()))?;
                if dial >= self.dials {
                    return Err(format!("there is no dial {dial}: the configuration has {}", self.dials));
                }
                Ok(Some(Word::Turn { dial, clicks }))
            }
            "wait" => {
                let word = argument.ok_or_else(wrong)?;
                let light = || LightWord::ALL.into_iter().find(|known| known.as_str() == word).map(Until::Word);
                let until = match word {
                    "online" => Some(Until::Connection(Connection::Online)),
                    "away" => Some(Until::Connection(Connection::Away)),
                    _ => light(),
                };
                Ok(Some(Word::Wait(until.ok_or_else(wrong)?)))
            }
            "state" => Ok(Some(Word::State)),
            "quit" => Ok(Some(Word::Quit)),
            _ => Err(wrong()),
        }
    }

    /// Takes what is shown; a `wait` that it fulfils is over.
    pub fn show(&mut self, shown: &Shown) {
        if self.shown.as_ref() != Some(shown) {
            self.shown = Some(shown.clone());
        }
        self.stop_waiting();
        if let Some(message) = self.notice.take() {
            // A closed standard output ends the box at the next report; this line is for the person who typed.
            let _gone = self.tell(&Report::Notice { message }).is_err();
        }
    }

    fn stop_waiting(&mut self) {
        let Some(shown) = &self.shown else { return };
        let fulfilled = match self.until {
            None => return,
            Some(Until::Connection(connection)) => shown.connection == connection,
            Some(Until::Word(word)) => shown.word_now() == Some(word),
        };
        if fulfilled {
            self.until = None;
        }
    }

    fn print_state(&mut self) {
        let Some(shown) = self.shown.clone() else { return };
        let connection = Report::Connection { connection: shown.connection, protocol: None, reason: None };
        let colour = Some(shown.pattern.colour.to_string());
        let light = Report::Light { light: shown.word.as_str(), mode: shown.pattern.mode.word(), colour };
        let remaining = shown.remaining.map(|remaining| Report::Remaining { remaining });
        for report in [Some(connection), Some(light), shown.phase.map(Report::Phase), remaining].into_iter().flatten() {
            let _gone = self.tell(&report).is_err();
        }
    }

    /// Prints a report.
    ///
    /// # Errors
    /// Nobody reads.
    pub fn tell(&mut self, report: &Report) -> io::Result<()> {
        let mut line = serde_json::to_vec(report).map_err(io::Error::other)?;
        line.push(b'\n');
        let mut out = io::stdout().lock();
        out.write_all(&line)?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    fn board(text: &str) -> Headless {
        let config = Config::parse(text, &Overrides::default()).unwrap();
        Headless::with_lines(&config, mpsc::channel(1).1)
    }

    #[test]
    fn the_words() {
        let board = board(
            "[[button]]\nname = \"a\"\npin = 5\n[[button]]\nname = \"b\"\npin = 6\n[[dial]]\nslider = \"s\"\na = 7\nb = 8",
        );
        let parse = |line: &str| board.parse(line);
        assert_eq!(parse(""), Ok(None));
        assert_eq!(parse(" press "), Ok(Some(Word::Edge { button: 0, down: true })));
        assert_eq!(parse("release b"), Ok(Some(Word::Edge { button: 1, down: false })));
        assert_eq!(parse("double b"), Ok(Some(Word::Gesture { button: 1, gesture: Gesture::DoublePress })));
        assert_eq!(parse("turn -3"), Ok(Some(Word::Turn { dial: 0, clicks: -3 })));
        assert_eq!(parse("wait online"), Ok(Some(Word::Wait(Until::Connection(Connection::Online)))));
        assert_eq!(parse("wait no_hub"), Ok(Some(Word::Wait(Until::Word(LightWord::NoHub)))));
        assert_eq!(parse("quit"), Ok(Some(Word::Quit)));
        for wrong in
            ["pres", "press c", "turn", "turn x", "turn 1 1", "wait", "wait for", "quit now please", "short a b"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
