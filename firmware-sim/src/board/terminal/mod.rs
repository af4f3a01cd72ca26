//! A box on a screen: the picture of a button, a light and a countdown, with keys and mouse.
//!
//! What it looks like is in [`view`]; here are the terminal's modes, its events and when to draw again.

use std::{collections::VecDeque, io, thread, time::Duration};

use lockstep::domain::id::Id;
use ratatui::{
    crossterm::{
        self,
        event::{
            self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, KeyboardEnhancementFlags, MouseButton,
            MouseEvent, MouseEventKind,
        },
        execute,
    },
    layout::Position,
};
use tokio::sync::mpsc;

use super::{BoardEvent, finger::Finger};
use crate::{
    agent::{Input, Report, Shown},
    clock::{self, Mono},
    config::{Button, Config, Light},
    gesture::Gesture,
};

pub mod view;

use view::{Scene, View};

/// Terminal events that wait to be read.
const EVENTS_MAX: usize = 64;
/// Lines of what happened that are kept.
const LOG_MAX: usize = 50;
/// At most so many pictures a second.
const FRAME: Duration = Duration::from_millis(40);

/// The terminal board.
#[derive(Debug)]
pub struct Terminal {
    screen: ratatui::DefaultTerminal,
    events: mpsc::Receiver<Event>,
    finger: Finger,
    buttons: Vec<Button>,
    lights: Vec<Light>,
    dials: usize,
    /// The button that keys press.
    chosen: usize,
    /// The button that the mouse holds down.
    held: Option<usize>,
    /// Whether the terminal tells when a key is let go.
    key_up: bool,
    view: View,
    redraw_at: Option<Mono>,
}

impl Terminal {
    /// Takes the terminal over; it is given back in [`stop`](Self::stop), and when the program panics.
    ///
    /// # Errors
    /// There is no terminal.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        if !io::IsTerminal::is_terminal(&io::stdout()) {
            anyhow::bail!("--board terminal needs a terminal; --board headless does not");
        }
        let screen = ratatui::try_init()?;
        execute!(io::stdout(), event::EnableMouseCapture)?;
        let key_up = crossterm::terminal::supports_keyboard_enhancement().unwrap_or(false);
        if key_up {
            execute!(io::stdout(), event::PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::REPORT_EVENT_TYPES))?;
        }
        let (tell, events) = mpsc::channel(EVENTS_MAX);
        // A thread of its own, which ends with the process: reading the terminal cannot be given up.
        thread::spawn(move || {
            while let Ok(event) = event::read() {
                if tell.blocking_send(event).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            screen,
            events,
            finger: Finger::default(),
            buttons: config.buttons.clone(),
            lights: config.lights.clone(),
            dials: config.dials.len(),
            chosen: 0,
            held: None,
            key_up,
            view: View::default(),
            redraw_at: None,
        })
    }

    /// The next edge, or the moment to draw again.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn next(&mut self) -> BoardEvent {
        loop {
            let event = tokio::select! {
                biased;
                event = self.events.recv() => event,
                input = self.finger.next() => return BoardEvent::Input(input),
                () = clock::sleep_until(self.redraw_at) => return BoardEvent::Redraw,
            };
            let Some(event) = event else { return BoardEvent::Quit };
            if let Some(event) = self.event(&event) {
                return event;
            }
        }
    }

    fn event(&mut self, event: &Event) -> Option<BoardEvent> {
        match event {
            Event::Key(key) => self.key(*key),
            Event::Mouse(mouse) => self.mouse(*mouse),
            Event::Resize(..) => Some(BoardEvent::Redraw),
            Event::FocusGained | Event::FocusLost | Event::Paste(_) => None,
        }
    }

    fn key(&mut self, key: KeyEvent) -> Option<BoardEvent> {
        let now = clock::now();
        if key.kind == KeyEventKind::Release {
            return (self.key_up && key.code == KeyCode::Char(' ')).then(|| self.edge(self.chosen, false, now));
        }
        if key.kind == KeyEventKind::Repeat {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Some(BoardEvent::Quit),
            KeyCode::Char('q') | KeyCode::Esc => return Some(BoardEvent::Quit),
            KeyCode::Char(' ') if self.key_up => return Some(self.edge(self.chosen, true, now)),
            KeyCode::Char(' ') | KeyCode::Enter => self.play(Gesture::ShortPress, now),
            KeyCode::Char('d') => self.play(Gesture::DoublePress, now),
            KeyCode::Char('l') => self.play(Gesture::LongPress, now),
            KeyCode::Up | KeyCode::Right | KeyCode::Char('+') => return self.turn(1),
            KeyCode::Down | KeyCode::Left | KeyCode::Char('-') => return self.turn(-1),
            KeyCode::Char(digit) => {
                let number = digit.to_digit(10).and_then(|digit| usize::try_from(digit).ok())?;
                let index = number.checked_sub(1).filter(|&index| index < self.buttons.len())?;
                self.chosen = index;
                return Some(BoardEvent::Redraw);
            }
            _ => {}
        }
        None
    }

    fn mouse(&mut self, mouse: MouseEvent) -> Option<BoardEvent> {
        let now = clock::now();
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                let at = Position::new(mouse.column, mouse.row);
                let button = self.view.buttons.iter().position(|area| area.contains(at))?;
                self.chosen = button;
                self.held = Some(button);
                Some(self.edge(button, true, now))
            }
            MouseEventKind::Up(MouseButton::Left) => {
                let button = self.held.take()?;
                Some(self.edge(button, false, now))
            }
            MouseEventKind::ScrollUp => self.turn(1),
            MouseEventKind::ScrollDown => self.turn(-1),
            _ => None,
        }
    }

    const fn edge(&self, button: usize, down: bool, at: Mono) -> BoardEvent {
        BoardEvent::Input(Input::Edge { button, down, at })
    }

    fn play(&mut self, gesture: Gesture, now: Mono) {
        if let Some(button) = self.buttons.get(self.chosen) {
            self.finger.play(self.chosen, gesture, button.timing, now);
        }
    }

    fn turn(&self, clicks: i32) -> Option<BoardEvent> {
        (self.dials > 0).then_some(BoardEvent::Input(Input::Turn { dial: 0, clicks }))
    }

    /// Draws.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn show(&mut self, shown: &Shown, now: Mono) -> io::Result<()> {
        let buttons: Vec<&Id> = self.buttons.iter().map(|button| &button.name).collect();
        let scene =
            Scene { shown, lights: &self.lights, buttons: &buttons, chosen: self.chosen, dials: self.dials > 0, now };
        let view = &mut self.view;
        self.screen.draw(|frame| view.draw(frame, &scene))?;
        self.redraw_at = shown.next_change(now).map(|change| change.max(now + FRAME));
        Ok(())
    }

    /// Keeps what happened for the lower part of the picture.
    pub fn tell(&mut self, report: &Report) {
        if let Report::Start { id, hub, room, .. } = report {
            self.view.title = format!(" {id} · {hub} · {room} ");
        }
        if let Some(line) = view::words(report) {
            push_bounded(&mut self.view.log, line);
            // The picture with this line follows at the next chance.
            self.redraw_at = Some(self.redraw_at.map_or_else(clock::now, |at| at.min(clock::now())));
        }
    }

    /// Gives the terminal back.
    pub fn stop(self) {
        if self.key_up {
            // A terminal that is gone needs no restoring.
            let _gone = execute!(io::stdout(), event::PopKeyboardEnhancementFlags).is_err();
        }
        let _gone = execute!(io::stdout(), event::DisableMouseCapture).is_err();
        ratatui::restore();
    }
}

fn push_bounded(log: &mut VecDeque<String>, line: String) {
    if log.len() == LOG_MAX {
        log.pop_front();
    }
    log.push_back(line);
}
